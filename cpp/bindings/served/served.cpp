#include "served.hpp"

#include "../../engine/typed.hpp"
#include "../pybind.hpp"
#include "class.hpp"

namespace kilograd {

namespace {

py::object new_served(py::str name, py::str module, py::type metaclass) {
    if (!PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(metaclass.ptr()), &PyType_Type))
        throw py::type_error("new_served: the metaclass must derive from type");
    py::object result = checked(make_family(name.ptr(), module.ptr(), true, true, served_type));
    auto* type = reinterpret_cast<PyTypeObject*>(result.ptr());
    const auto family = static_cast<std::size_t>(family_of(type));
    served[family] = std::make_unique<Served>();
    served[family]->type = type;
    families[family].conventions = served[family].get();
    type->tp_vectorcall = Slot<served_vectorcall>::call;
    auto* meta = reinterpret_cast<PyTypeObject*>(metaclass.ptr());
    // A metaclass made by Python does not inherit the vectorcall of `type` before 3.12, and has no __call__ of its own.
    meta->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
    meta->tp_vectorcall_offset = offsetof(PyTypeObject, tp_vectorcall);
    Py_INCREF(meta);
    Py_SET_TYPE(type, meta);
    return result;
}

OperatorIndex operator_index(const std::string& name) {
    if (name == "add") return Add;
    if (name == "mul") return Multiply;
    if (name == "pow") return Power;
    if (name == "sub") return Subtract;
    if (name == "truediv") return Divide;
    if (name == "neg") return Negate;
    throw py::value_error("no such operator: " + name);
}

Kind kind_called(const std::string& type) {
    static const std::pair<const char*, Kind> kinds[] = {
        {"int", IntKind}, {"float", FloatKind}, {"float64", NumpyKind}, {"float32", SingleKind}};
    for (const auto& [name, kind] : kinds)
        if (type == name) return kind;
    throw py::value_error("no such type of numbers: " + type);
}

Served& own_of(py::handle type) {
    Served* own = PyType_Check(type.ptr()) ? served_of(reinterpret_cast<PyTypeObject*>(type.ptr())) : nullptr;
    if (!own) throw py::type_error("a served class is expected");
    return *own;
}

}  // namespace

// The table of contents, for python/kilograd/run.
void add_served(py::module_& m) {
    PyTypeObject* method_type = make_method_type();
    if (!method_type || !make_served_type() || !make_member_type()) throw py::error_already_set();
    hooks.computes_rule = [](const Node* node) { return quotient_rule(node) != nullptr; };
    hooks.compute_rule = [](Node* node) { return run_quotient_plainly(node, *quotient_rule(node)); };
    m.attr("ServedMethod") = py::handle(reinterpret_cast<PyObject*>(method_type));
    m.attr("Served") = py::handle(reinterpret_cast<PyObject*>(served_type));
    m.def("new_served", new_served, py::arg("name"), py::arg("module"), py::arg("metaclass"));
    m.def(
        "served_conventions",
        [](py::object cls, const std::string& zero, const std::string& one, const std::string& order, bool closed,
           bool closures, const std::string& makes, bool paused, bool numpy, bool numpy_ints, bool singles,
           bool numpy_left, py::object data, py::object grad, py::list foreign, py::list names, bool bare,
           py::list switches) {
            Served& own = own_of(cls);
            own.closed = closed;
            own.closures = closures;
            own.bare = bare;
            own.makes = makes.empty() ? std::nullopt : std::optional(kind_called(makes));
            note_kind(own.makes.value_or(FloatKind));
            own.numpy = numpy;
            own.paused = paused;
            own.numpy_ints = numpy_ints;
            own.singles = singles;
            ask_numpy_left(own, numpy_left);
            own.zero = kind_called(zero);
            own.one = kind_called(one);
            note_kind(own.zero);
            note_kind(own.one);
            own.order = order == "first operand"  ? Order::FirstOperand
                        : order == "last operand" ? Order::LastOperand
                                                  : Order::Tape;
            keep(own.data_name, data.ptr());
            keep(own.grad_name, grad.ptr());
            own.foreign_names.clear();  // interned and immortal, as names of attributes are
            for (py::handle name : foreign) own.foreign_names.push_back(Py_NewRef(name.ptr()));
            own.names.clear();
            for (py::handle name : names) own.names.push_back(Py_NewRef(name.ptr()));
            std::vector<Switch> changed;  // interned and immortal names again, and one of two truths
            for (py::handle one : switches) {
                auto [place, name, usual, type] =
                    one.cast<std::tuple<py::object, py::object, py::object, py::object>>();
                const auto dictionary = [](const py::object& of) {
                    if (!PyType_Check(of.ptr())) return of;
                    auto* const cls = reinterpret_cast<PyTypeObject*>(of.ptr());
#if PY_VERSION_HEX >= 0x030C0000  // a builtin class has none in tp_dict
                    return py::reinterpret_steal<py::object>(PyType_GetDict(cls));
#else
                    return py::reinterpret_borrow<py::object>(cls->tp_dict);
#endif
                };
                py::object variables = dictionary(place);
                if (!PyDict_Check(variables.ptr())) throw py::type_error("a switch is in a dictionary, or on a class");
                changed.push_back({variables.release().ptr(), Py_NewRef(name.ptr()), usual.ptr(),
                                   type.is_none() ? nullptr : dictionary(type).release().ptr()});
            }
            own.switches.swap(changed);
            for (const Switch& former : changed) {
                Py_DECREF(former.variables);
                Py_XDECREF(former.hiding);
            }
            own.prepare_results();
        },
        py::arg("cls"), py::kw_only(), py::arg("zero"), py::arg("one"), py::arg("order"), py::arg("closed"),
        py::arg("closures"), py::arg("makes"), py::arg("paused"), py::arg("numpy"), py::arg("numpy_ints"),
        py::arg("singles"), py::arg("numpy_left"), py::arg("data"), py::arg("grad"), py::arg("foreign"),
        py::arg("names"), py::arg("bare"), py::arg("switches"));
    m.def(
        "served_init",
        [](py::object cls, py::object function, bool plain) {
            Served& own = own_of(cls);
            keep(own.init, function.ptr());
            own.plain_init = plain;
        },
        py::arg("cls"), py::arg("function"), py::arg("plain"));
    // Puts an attribute on a served class without touching the type's slots, which stay the engine's.
    m.def("served_attribute", [](py::type cls, py::str name, py::object value) {
        own_of(cls);
        auto* type = reinterpret_cast<PyTypeObject*>(cls.ptr());
        int failed = value.is(py::ellipsis()) ? PyDict_DelItem(type->tp_dict, name.ptr())
                                              : PyDict_SetItem(type->tp_dict, name.ptr(), value.ptr());
        PyType_Modified(type);
        if (failed) throw py::error_already_set();
    });
    // Gives a subclass of a served class the operators of the engine: they follow what it overrides.
    m.def("served_subclass", [](py::type cls) {
        auto* type = reinterpret_cast<PyTypeObject*>(cls.ptr());
        if (type == served_type || !is_served(type)) throw py::type_error("a subclass of a served class is expected");
        give_operators(type);
    });
    // Lets a served class derive from what its author's derives from. It has the members of its bases already, and
    // Python would make its slots anew.
    m.def("served_bases", [](py::type cls, py::tuple bases) {
        own_of(cls);
        auto* type = reinterpret_cast<PyTypeObject*>(cls.ptr());
        const PyTypeObject before = *type;
        const PyNumberMethods numbers = *type->tp_as_number;
        py::type::of(py::type::of(py::none())).attr("__dict__")["__bases__"].attr("__set__")(cls, bases);
        *type->tp_as_number = numbers;
        type->tp_new = before.tp_new;
        type->tp_init = before.tp_init;
        type->tp_setattro = before.tp_setattro;
        type->tp_getattro = before.tp_getattro;
        type->tp_vectorcall = before.tp_vectorcall;
        type->tp_richcompare = before.tp_richcompare;
    });
    m.def("served_rule", [](py::object cls, py::object function) { keep(own_of(cls).rule, function.ptr()); });
    m.def(
        "served_operator",
        [](py::object cls, const std::string& name, bool reflected, py::object function, int mode, py::object label,
           py::object steps, py::object rule) {
            Served& own = own_of(cls);
            OperatorIndex index = operator_index(name);
            Operator& operation = own.operators[index];
            keep(reflected ? operation.reflected : operation.function, function.ptr());
            (reflected ? operation.reflected_mode : operation.mode) = static_cast<std::uint8_t>(mode);
            own.fixes_products |= index == Multiply && mode & Captured;
            own.prepare_results();
            auto& composition = reflected ? operation.reflected_composition : operation.composition;
            composition.reset();
            if (!steps.is_none() && !(composition = read_composition(steps.ptr()))) throw py::error_already_set();
            set_operator_slot(own, index);
            if (index > Power && mode & Nodes) {
                own.tags.push_back(label.is_none() ? nullptr : label.inc_ref().ptr());
                operation.tag = static_cast<std::uint32_t>(own.tags.size() - 1);
                own.minuses.resize(own.tags.size(), Minus::Products);
                own.minuses[operation.tag] = index == Divide ? Minus::Products : minus_of(operation.mode);
                own.quotients.resize(own.tags.size());
                if (!rule.is_none() && !(own.quotients[operation.tag] = read_quotient_rule(rule.ptr())))
                    throw py::error_already_set();
            }
            if (label.is_none() || index > Power) return;
            constexpr Op rows[] = {Op::add, Op::mul, Op::powc};
            keep(own.labels[static_cast<std::size_t>(rows[index])], label.ptr());
            keep(own.tags[static_cast<std::size_t>(rows[index])], label.ptr());
        },
        py::arg("cls"), py::arg("name"), py::arg("reflected"), py::arg("function"), py::arg("mode"), py::arg("label"),
        py::arg("steps"), py::arg("rule"));
    m.def(
        "new_member",
        [](py::str name, const std::string& role, const std::string& container, const std::string& leaf_container,
           py::object empty, py::object on_class, py::object live, bool watched) {
            return checked(new_member(name.ptr(), role, container, leaf_container, empty.ptr(), on_class.ptr(),
                                      live.ptr(), watched));
        },
        py::arg("name"), py::arg("role"), py::arg("container") = "tuple", py::arg("leaf_container") = "tuple",
        py::arg("empty") = py::none(), py::arg("on_class") = py::ellipsis(), py::arg("live") = py::none(),
        py::arg("watched") = false);
    // Keeps an object of the program's as what an attribute of a node shows, whatever the engine holds.
    m.def("served_keep", [](py::object node, py::str name, py::object value) {
        if (!is_served(Py_TYPE(node.ptr()))) throw py::type_error("an object of a served class is expected");
        if (!keep_foreign(as_handle(node.ptr()), name.ptr(), value.ptr())) throw py::error_already_set();
    });
    m.def(
        "new_method",
        [](py::object cls, py::str name, const std::string& recipe, py::object function, bool fixed, bool numpy,
           const std::string& local_kind, py::object label, py::object steps) {
            return checked(new_method(own_of(cls), name.ptr(), recipe, function.ptr(), fixed, numpy, local_kind,
                                      label.ptr(), steps.ptr()));
        },
        py::arg("cls"), py::arg("name"), py::arg("recipe"), py::arg("function"), py::arg("fixed"), py::arg("numpy"),
        py::arg("local_kind"), py::arg("label"), py::arg("steps"));
    m.def("served_nodes_built", [] { return built_natively; });
}

}  // namespace kilograd
