#include "recording.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "../../program/recording.hpp"
#include "../numbering.hpp"
#include "../numbers.hpp"
#include "../value/handle.hpp"
#include "signals.hpp"

namespace kilograd {

namespace {

using program::Recording;

[[noreturn]] void refuse_rule(Node* node) {
    py::object value = py::reinterpret_steal<py::object>(handle_of(node));
    std::string name = py::str(value.attr("_op")), label = py::str(value.attr("label"));
    std::string what = node->is_leaf() ? "the leaf" : "the op '" + name + "'";
    if (!label.empty()) what += " labelled '" + label + "'";
    if (node->op == Op::linear && !node->has(Rule))
        what += " has local gradients given as numbers, which cannot be recorded; build it from Value operations";
    else
        what += " has a rule of its own in Python, which cannot be recorded; build it from Value operations";
    throw py::type_error("Program: " + what);
}

std::vector<Node*> leaves_of(const py::list& values, const char* role) {
    std::vector<Node*> nodes;
    for (py::handle value : values) {
        if (!is_value(value.ptr()))
            throw py::type_error(std::string("Program: ") + role + " must be Values, not " +
                                 Py_TYPE(value.ptr())->tp_name);
        nodes.push_back(node_of(value.ptr()));
        if (!nodes.back()->is_leaf())
            throw py::value_error(std::string("Program: ") + role + " must be leaves; number " +
                                  std::to_string(nodes.size() - 1) + " is the result of '" +
                                  std::string(py::str(value.attr("_op"))) + "'");
    }
    std::vector<Node*> sorted = nodes;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
        throw py::value_error(std::string("Program: the same Value occurs twice among the ") + role);
    return nodes;
}

// Those of the outputs that are plain numbers. To read one may run Python code, so it comes first.
std::vector<double> constants_of(const py::tuple& outputs) {
    std::vector<double> constants;
    for (py::handle output : outputs) {
        Number number;
        if (is_value(output.ptr())) continue;
        if (!require_number(output.ptr(), "Program: an output", number)) throw py::error_already_set();
        constants.push_back(number.value);
    }
    return constants;
}

void check_size(const py::tuple& outputs, const Shape& shape) {
    double size = 1.0;
    for (py::ssize_t extent : shape) size *= extent < 0 ? -1.0 : static_cast<double>(extent);
    if (size != static_cast<double>(outputs.size()))
        throw py::value_error("Program: " + std::to_string(outputs.size()) + " outputs do not have that shape");
}

// The operations of a graph, inputs and parameters. Where parameters are to be found they are added, in the order of
// their first use: by an operation, or as one of the `roots`.
Recording flatten(const Numbering& number, std::size_t leaf_count, const std::vector<Node*>& roots,
                  const std::vector<Node*>& inputs, std::vector<Node*>& parameters, bool find_parameters) {
    Recording recording;
    enum : std::uint8_t { Constant, Other, Taken };
    std::vector<std::uint8_t> role(leaf_count, Constant);
    if (find_parameters)
        for (std::size_t k = 0; k < leaf_count; ++k)
            if (number.nodes()[k]->handle) role[k] = Other;
    for (Node* node : inputs) {
        role[number[node]] = Taken;
        recording.inputs.push_back(number[node]);
    }
    for (Node* node : parameters) recording.parameters.push_back(number[node]);
    const auto meet = [&](Node* node) {
        if (!node || !node->is_leaf() || role[number[node]] != Other) return;
        role[number[node]] = Taken;
        recording.parameters.push_back(number[node]);
        parameters.push_back(node);
    };
    const std::size_t size = number.nodes().size();
    recording.op.reserve(size);
    recording.a.reserve(size);
    recording.b.reserve(size);
    recording.c.reserve(size);
    for (const Node* node : number.nodes()) {
        if (node->is_leaf()) {
            recording.add(Op::leaf, 0, 0, node->data);
            continue;
        }
        meet(node->a);
        meet(node->b);
        recording.add(node->op, number[node->a], node->b ? number[node->b] : 0,
                      info(node->op).arity == Arity::Param ? node->constant : 0.0);
    }
    for (Node* node : roots) meet(node);
    return recording;
}

}  // namespace

py::tuple record_graph(py::list given, Shape shape, py::list inputs, py::object parameters) {
    const py::tuple outputs(given);  // which Python that runs meanwhile cannot change
    const std::vector<double> constants = constants_of(outputs);
    check_size(outputs, shape);
    py::list values;  // made before any node is looked up: a collection may run Python code
    std::vector<Node*> roots;
    for (py::handle output : outputs)
        if (is_value(output.ptr())) roots.push_back(node_of(output.ptr()));
    const std::vector<Node*> input_nodes = leaves_of(inputs, "inputs");
    std::vector<Node*> parameter_nodes;
    if (!parameters.is_none()) {
        parameter_nodes = leaves_of(py::cast<py::list>(parameters), "parameters");
        for (Node* node : parameter_nodes)
            if (std::find(input_nodes.begin(), input_nodes.end(), node) != input_nodes.end())
                throw py::value_error("Program: a Value cannot be an input and a parameter");
    }
    std::vector<Node*> reached = roots;
    reached.insert(reached.end(), input_nodes.begin(), input_nodes.end());
    reached.insert(reached.end(), parameter_nodes.begin(), parameter_nodes.end());
    const Ancestry graph = ancestors(reached.data(), reached.size());
    for (Node* node : graph.interior)
        if (node->has_fan() || node->has(Rule)) refuse_rule(node);
    for (Node* node : graph.leaves)
        if (node->has(Rule)) refuse_rule(node);

    Recording recording;
    {
        const Numbering number(graph);
        recording = flatten(number, graph.leaves.size(), roots, input_nodes, parameter_nodes, parameters.is_none());
        auto root = roots.begin();
        auto constant = constants.begin();
        for (py::handle output : outputs)
            recording.outputs.push_back(is_value(output.ptr()) ? number[*root++]
                                                               : recording.add(Op::leaf, 0, 0, *constant++));
    }
    for (Node* node : parameter_nodes) values.append(py::reinterpret_steal<py::object>(handle_of(node)));
    const Signals signals;  // whose handlers may do away with nodes: none is looked at any more
    return py::make_tuple(boxed(recording, std::move(shape)), values);
}

}  // namespace kilograd
