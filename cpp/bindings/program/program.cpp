#include "program.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../../program/format.hpp"
#include "../../program/kernels/isa.hpp"
#include "../../program/passes/share.hpp"
#include "../value/handle.hpp"
#include "call.hpp"
#include "descent.hpp"
#include "recording.hpp"

namespace kilograd {

namespace {

py::object forward(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle reduce,
                   py::handle threads, bool check, py::handle out) {
    Call call(self, parameters, x, threads, check);
    call.set_reduce(reduce);
    py::array values = call.target(out, call.values_shape(), "out");
    call.request.values = data_of(values);
    call.run();
    return shown(values, out);
}

py::tuple value_and_grad(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle wrt_name,
                         py::handle weights, py::handle reduce, py::handle threads, bool check, py::object out,
                         const std::string& order) {
    if (order != "C" && order != "F") throw py::value_error("order must be \"C\" or \"F\", not \"" + order + "\"");
    const Wrt wrt = with_respect_to(wrt_name);
    Call call(self, parameters, x, threads, check);
    call.set_reduce(reduce);
    call.set_weights(weights);
    const std::size_t count = 1 + wrt.inputs + wrt.parameters;
    py::object outs[3] = {py::none(), py::none(), py::none()};
    if (!out.is_none()) {
        if (!py::isinstance<py::sequence>(out) || py::len(out) != count)
            throw py::value_error("out must be a tuple of " + std::to_string(count) + " arrays");
        for (std::size_t k = 0; k < count; ++k) outs[k] = out[py::int_(k)];
    }
    py::tuple results(count);
    py::array values = call.target(outs[0], call.values_shape(), "out[0]");
    call.request.values = data_of(values);
    std::size_t k = 1;
    if (wrt.inputs) {
        const bool by_columns = order == "F" && call.batched();
        py::array dx = call.target(outs[k], call.by_row({{static_cast<py::ssize_t>(self.program.n_inputs())}}),
                                   "out[1]", by_columns);
        call.request.dx = data_of(dx);
        call.request.dx_step = by_columns && call.rows() > 1 ? call.rows() : 0;
        results[k++] = dx;
    }
    if (wrt.parameters) {
        py::array dp = call.target(outs[k], {static_cast<py::ssize_t>(self.program.n_parameters())}, "out[-1]");
        call.request.dp = data_of(dp);
        results[k++] = dp;
    }
    call.run();
    results[0] = shown(values, outs[0]);
    return results;
}

py::object add_gradients(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle weights,
                         py::handle reduce, py::handle threads, bool check, py::handle out) {
    require_values(parameters);
    Call call(self, parameters, x, threads, check);
    call.set_reduce(reduce);
    call.set_weights(weights);
    py::array values = call.target(out, call.values_shape(), "out");
    std::vector<double> gradient(parameters.size() + 1);
    call.request.values = data_of(values);
    call.request.dp = gradient.data();
    call.run();
    for (std::size_t k = 0; k < parameters.size(); ++k) {
        at_node(PyTuple_GET_ITEM(parameters.ptr(), static_cast<py::ssize_t>(k)), [&](Node* node) {
            node->grad += gradient[k];
            node->kinds.grad = FloatKind;
        });
    }
    return shown(values, out);
}

py::object vjp(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle v, py::handle wrt,
               py::handle reduce, py::handle threads, bool check, py::handle out) {
    if (v.is_none()) throw py::type_error("vjp: v is missing");
    Call call(self, parameters, x, threads, check);
    call.set_weights(v);
    call.set_reduce(reduce);
    call.set_columns(with_respect_to(wrt));
    py::array wide = call.wide_target(out, {});
    call.run(&program::Request::dx, data_of(wide), call.all_columns());
    return call.narrow(wide);
}

py::object jvp(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle v, py::handle wrt,
               py::handle reduce, py::handle threads, bool check, py::handle out) {
    Call call(self, parameters, x, threads, check);
    call.set_columns(with_respect_to(wrt));
    call.set_tangents(v);
    call.set_reduce(reduce);
    py::array tangents = call.target(out, call.values_shape(), "out");
    call.run(&program::Request::value_tangents, data_of(tangents), self.n_outputs());
    return shown(tangents, out);
}

py::object hvp(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle v, py::handle wrt,
               py::handle weights, py::handle reduce, py::handle threads, bool check, py::handle out) {
    Call call(self, parameters, x, threads, check);
    call.set_weights(weights);
    call.set_columns(with_respect_to(wrt));
    call.set_tangents(v);
    call.set_reduce(reduce);
    py::array wide = call.wide_target(out, {});
    call.run(&program::Request::dx_tangents, data_of(wide), call.all_columns());
    return call.narrow(wide);
}

using Of = program::Derivatives::Of;

py::object jacobian(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle wrt, py::handle reduce,
                    py::handle threads, bool check, py::handle out) {
    Call call(self, parameters, x, threads, check);
    call.set_reduce(reduce);
    const program::Columns columns = columns_of(self.program, wrt);
    py::array matrix =
        call.target(out, call.unless_reduced({self.shape, {static_cast<py::ssize_t>(columns.size())}}), "out");
    call.run_whole(Of::Jacobian, columns, data_of(matrix));
    return matrix;
}

py::object hessian(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle wrt, py::handle weights,
                   py::handle reduce, py::handle threads, bool check, py::handle out) {
    Call call(self, parameters, x, threads, check);
    call.set_weights(weights);
    call.set_reduce(reduce);
    const program::Columns columns = columns_of(self.program, wrt);
    const auto size = static_cast<py::ssize_t>(columns.size());
    py::array matrix = call.target(out, call.unless_reduced({{size, size}}), "out");
    call.run_whole(Of::Hessian, columns, data_of(matrix));
    return matrix;
}

// The entries of the pattern, ([rows,] n), of Jacobians or, with any weights, Hessians.
py::object entries(const Recorded& self, const py::tuple& parameters, py::handle x, bool second, py::handle wrt,
                   py::handle weights, py::handle reduce, py::handle threads, bool check, py::handle out) {
    Call call(self, parameters, x, threads, check);
    call.set_weights(weights);
    call.set_reduce(reduce);
    const Of of = second ? Of::Hessian : Of::Jacobian;
    const program::Columns columns = columns_of(self.program, wrt);
    std::size_t count;
    {
        const Released released;
        count = self.program.derivatives().pattern(of, self.program, columns, call.request.weights != nullptr).size();
    }
    py::array found = call.target(out, call.unless_reduced({{static_cast<py::ssize_t>(count)}}), "out");
    call.run_entries(of, columns, data_of(found));
    return found;
}

// (starts, columns) of the entries that may differ from zero, as in a CSR matrix.
py::tuple pattern(const Recorded& self, bool second, py::handle wrt, bool weighted) {
    const program::Columns columns = columns_of(self.program, wrt);
    const Signals signals;
    const program::Pattern* found;
    {
        const Released released;
        found =
            &self.program.derivatives().pattern(second ? Of::Hessian : Of::Jacobian, self.program, columns, weighted);
    }
    return py::make_tuple(signed_array(found->starts), signed_array(found->columns));
}

// The program with some of its inputs, a tuple of stretches, as further parameters.
py::object shared(const Recorded& self, const py::tuple& inputs) {
    const program::Columns columns = columns_of(self.program, inputs);
    if (columns.end() > self.program.n_inputs()) throw py::value_error("only inputs become parameters");
    const Signals signals;
    return boxed(program::share(self.program.graph(), columns), self.shape);
}

py::dict counts(const Recorded& self) {
    const program::Graph& graph = self.program.graph();
    py::dict recorded, optimised;
    for (std::size_t op = first_row; op < graph.recorded.size(); ++op)
        if (graph.recorded[op]) recorded[op_infos[op].name] = graph.recorded[op];
    std::vector<std::size_t> by_code(program::code_count);
    for (const program::Node& node : graph.nodes) ++by_code[program::index_of(node.code)];
    for (std::size_t code = 0; code < program::code_count; ++code)
        if (by_code[code] && !program::is_leaf(static_cast<program::Code>(code)))
            optimised[program::code_infos[code].name] = by_code[code];
    py::dict both;
    both["recorded"] = recorded;
    both["optimised"] = optimised;
    return both;
}

std::size_t op_count_of(const Recorded& self) {
    const auto& nodes = self.program.graph().nodes;
    return static_cast<std::size_t>(
        std::count_if(nodes.begin(), nodes.end(), [](const program::Node& node) { return !is_leaf(node.code); }));
}

py::bytes dump(const Recorded& self, const std::vector<double>& data) {
    if (data.size() != self.program.n_parameters()) throw py::value_error("wrong number of parameters");
    program::Saved saved{self.program.graph(), {}, data};
    for (py::ssize_t extent : self.shape) saved.shape.push_back(static_cast<std::uint32_t>(extent));
    return py::bytes(program::serialise(saved));
}

// (program, data of its parameters)
py::tuple load(const py::bytes& bytes) {
    char* data;
    py::ssize_t size;
    if (PyBytes_AsStringAndSize(bytes.ptr(), &data, &size) < 0) throw py::error_already_set();
    program::Saved saved = program::deserialise(data, static_cast<std::size_t>(size));
    Shape shape(saved.shape.begin(), saved.shape.end());
    return py::make_tuple(boxed(std::move(saved.graph), std::move(shape)), saved.parameters);
}

}  // namespace

void add_program(py::module_& m) {
    using py::arg;
    BoxedType<Recorded>("kilograd._core._Program", "The compiled part of kilograd.Program.")
        .def("forward", forward)
        .def("value_and_grad", value_and_grad)
        .def("backward", add_gradients)
        .def("descend", within(descend))
        .def("vjp", vjp)
        .def("jvp", jvp)
        .def("hvp", hvp)
        .def("jacobian", jacobian)
        .def("hessian", hessian)
        .def("entries", entries)
        .def("pattern", pattern)
        .def("shared", shared)
        .def("counts", counts)
        .def("dump", dump)
        .def_property_readonly("nbytes", [](const Recorded& self) { return self.program.bytes(); })
        .def_property(
            "code_allowed", [](const Recorded& self) { return self.program.machine_allowed(); },
            [](Recorded& self, bool allowed) { self.program.allow_machine(allowed); })
        .def_property_readonly(
            "code", [](const Recorded& self) { return self.program.machine_state(program::chosen_kernels()); })
        .def_property_readonly("n_inputs", [](const Recorded& self) { return self.program.n_inputs(); })
        .def_property_readonly("shape", [](const Recorded& self) { return py::tuple(py::cast(self.shape)); })
        .def("__len__", op_count_of);
    m.def("_record", within(record_graph), arg("outputs"), arg("shape"), arg("inputs"), arg("parameters"),
          arg("cut") = false, "A graph as (program, list of its parameters).");
    m.def("_boundary", within(boundary), arg("values"), arg("inner"), arg("since"),
          "What Values are computed from: held leaves, those of `inner`, and what is older than `since`.");
    m.def("_shared_results", within(shared_results), arg("values"), arg("inner"),
          "Results of operations on the way from `inner` to Values that are of use elsewhere too.");
    m.def("_load_program", load, arg("data"), "What _Program.dump wrote, as (program, data of its parameters).");
    m.def(
        "_instruction_sets",
        [] {
            std::vector<std::string> names;
            for (const program::Kernels* kernels : program::available_kernels()) names.push_back(kernels->name);
            return names;
        },
        "The instruction sets that programs can use on this machine, best first.");
}

}  // namespace kilograd
