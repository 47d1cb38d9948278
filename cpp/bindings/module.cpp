// The table of contents of kilograd._core.
#include <pybind11/stl.h>

#include <string>

#include "../engine/order.hpp"
#include "losses.hpp"
#include "modes.hpp"
#include "network.hpp"
#include "program/guards.hpp"
#include "program/program.hpp"
#include "program/stages.hpp"
#include "pybind.hpp"
#include "served/served.hpp"
#include "update.hpp"
#include "value/dispatch.hpp"
#include "value/pickle.hpp"
#include "value/value.hpp"

using namespace kilograd;

namespace {

py::list op_table() {
    static constexpr const char* arities[] = {"None", "Unary", "Param", "Binary"};
    static constexpr const char* edges[] = {"Bounded", "Total", "Flows", "Overflows",
                                            "Pole",    "Poles", "Power", "Divides"};
    py::list rows;
    for (std::size_t i = first_row; i < method_end; ++i) {
        const OpInfo& row = op_infos[i];
        rows.append(py::make_tuple(row.name, row.label, arities[static_cast<int>(row.arity)],
                                   edges[static_cast<int>(row.edge)], row.doc));
    }
    return rows;
}

std::size_t live_nodes() {
    std::size_t count = 0;
    for_each_arena([&] { count += arena().live_nodes(); });
    return count;
}

}  // namespace

// pybind11's initialisation under another name: ours (init.cpp) looks first whether it may run.
#define PyInit__core kilograd_init_core

PYBIND11_MODULE(_core, m) {
    m.doc() = "The compiled core of kilograd.";
    // pybind11 says by a std::runtime_error that it could not allocate something: the boundary knows better.
    py::register_local_exception_translator([](std::exception_ptr thrown) {
        try {
            std::rethrow_exception(thrown);
        } catch (const py::builtin_exception&) {
            throw;
        } catch (const std::runtime_error&) {
            set_error_from_exception();
        } catch (const std::length_error&) {
            set_error_from_exception();
        }
    });
    if (!make_value_type(m.ptr())) throw py::error_already_set();
    add_pickle(m.ptr());
    add_network(m);
    add_losses(m);
    add_update(m);
    add_served(m);
    add_program(m);
    add_stages(m);
    m.def(
        "new_family",
        [](py::str name, bool int_grads, bool shows_grad, py::str module) {
            return checked(make_family(name.ptr(), module.ptr(), int_grads, shows_grad));
        },
        py::arg("name"), py::kw_only(), py::arg("int_grads") = false, py::arg("shows_grad") = false,
        py::arg("module") = "kilograd", "Make a subclass of Value whose operations give instances of it.");
    m.def(
        "keep_objects",
        [](py::object type, bool keep) {
            if (!keep_objects(type.ptr(), keep)) throw py::error_already_set();
        },
        py::arg("type"), py::arg("keep") = true,
        "Whether every object of this class lives as long as its node, for programs that remember addresses.");
    m.def(
        "declare_absent",
        [](py::type type, py::dict instead_of) {
            if (!declare_absent(reinterpret_cast<PyTypeObject*>(type.ptr()), instead_of.ptr()))
                throw py::error_already_set();
        },
        py::arg("type"), py::arg("instead_of"), py::pos_only(),
        "Let names that objects of this class have not say, in their error, what to write.");
    m.def("ops", op_table, "The op table: (name, label, arity, edge, doc) of each row.");
    {
        // Signatures of our own, as inspect and editors read them.
        py::options options;
        options.disable_function_signatures();
        m.def("live_nodes", live_nodes, "live_nodes()\n--\n\nThe number of nodes alive now.");
        m.def("reserved_bytes", mapped_bytes, "reserved_bytes()\n--\n\nThe memory that the arena holds, in bytes.");
        const auto define = [&](const std::string& name, Op op) {
            const bool binary = info(op).arity == Arity::Binary;
            const std::string doc = name + (binary ? "(a, b, /)\n--\n\n" : "(a, /)\n--\n\n") + info(op).doc;
            if (binary)
                m.def(name.c_str(),
                      within([op](py::object a, py::object b) { return checked(apply_row(op, a.ptr(), b.ptr())); }),
                      py::arg("a"), py::arg("b"), py::pos_only(), doc.c_str());
            else
                m.def(name.c_str(), within([op](py::object a) { return checked(apply_row(op, a.ptr(), nullptr)); }),
                      py::arg("a"), py::pos_only(), doc.c_str());
        };
        define("maximum", Op::maximum);
        define("minimum", Op::minimum);
        for (std::size_t i = method_end; i < op_count; ++i) {
            const Op op = static_cast<Op>(i);
            const std::string name = std::string("_") + info(op).name;
            if (info(op).arity != Arity::Param)
                define(name, op);
            else
                m.def(name.c_str(),
                      within([op](py::object x, int order) { return checked(apply_order(op, x.ptr(), order)); }),
                      py::arg("x"), py::arg("order"), py::pos_only(), info(op).doc);
        }
    }
    m.def("_operations_backward", within([](py::object root) {
              if (!is_value(root.ptr())) throw py::type_error("a Value is expected");
              py::list found;
              for (Node* node : ancestors(node_of(root.ptr())).interior) found.append(checked(handle_of(node)));
              return found;
          }),
          py::arg("root"), py::pos_only(),
          "The operations below a Value in the order in which backward() visits them.");
    m.def("_enter_no_grad", [] {
        if (!enter_no_grad()) throw py::error_already_set();
    });
    m.def("_exit_no_grad", [] {
        if (!exit_no_grad()) throw std::runtime_error("no_grad: this thread has no such block open");
    });
    m.def(
        "_trace_into",
        [](std::optional<py::list> list) {
            PyObject* before = trace_into(list ? list->ptr() : nullptr);
            return before ? py::reinterpret_steal<py::object>(before) : py::none();
        },
        py::arg("notes"), py::pos_only(),
        "Trace in this thread: note what a path through a function depends on in a list; None stops. Returns what was "
        "set.");
    m.def(
        "_dispatch_by",
        [](py::object of_ufuncs, py::object of_functions, py::tuple operators) {
            if (operators.size() != 10) throw py::value_error("ten ufuncs");
            set_dispatch(of_ufuncs.ptr(), of_functions.ptr(), operators.ptr());
        },
        py::arg("of_ufuncs"), py::arg("of_functions"), py::arg("operators"), py::pos_only(),
        "What NumPy's protocols of a Value call while a function is traced.");
    m.def(
        "_refuse_buffers",
        [](py::type type) {
            if (!PyType_HasFeature(reinterpret_cast<PyTypeObject*>(type.ptr()), Py_TPFLAGS_HEAPTYPE))
                throw py::type_error("a class made by Python is expected");
            refuse_buffers(type.ptr());
        },
        py::arg("type"), py::pos_only(),
        "Let nobody at the memory of arrays of this class, and of those derived later.");
    add_guards(m);
}
