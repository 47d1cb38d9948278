#include "recording.hpp"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "../../engine/order.hpp"
#include "../../program/recording.hpp"
#include "../numbering.hpp"
#include "../numbers.hpp"
#include "../value/handle.hpp"
#include "signals.hpp"

namespace kilograd {

namespace {

using program::Recording;

// Thrown where Ctrl-C came while no Python may run: whoever makes that possible again lets Python know by repeat().
struct CtrlC {
    // Once for so many nodes, which take some milliseconds.
    static void look_for(std::size_t k) {
        if (k % (1 << 16) == 0 && PyOS_InterruptOccurred()) throw CtrlC();
    }
    static void repeat() {
        PyErr_SetInterrupt();
        if (PyErr_CheckSignals() < 0) throw py::error_already_set();
    }
};

[[noreturn]] void refuse_rule(Node* node) {
    py::object value = py::reinterpret_steal<py::object>(handle_of(node));
    std::string name = py::str(value.attr("_op")), label = py::str(value.attr("label"));
    std::string what = node->is_leaf() ? "the leaf" : "the op '" + name + "'";
    if (!label.empty()) what += " labelled '" + label + "'";
    if ((node->op == Op::linear || node->is_fixed()) && !node->has(Rule))
        what += " has local gradients given as numbers, which cannot be recorded; build it from Value operations";
    else
        what += " has a rule of its own in Python, which cannot be recorded; build it from Value operations";
    throw py::type_error("Program: " + what);
}

std::vector<Node*> leaves_of(const py::list& values, const char* role, bool or_cut = false) {
    std::vector<Node*> nodes;
    for (py::handle value : values) {
        if (!is_value(value.ptr()))
            throw py::type_error(std::string("Program: ") + role + " must be Values, not " +
                                 Py_TYPE(value.ptr())->tp_name);
        nodes.push_back(node_of(value.ptr()));
        if (!nodes.back()->is_leaf() && !or_cut)
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

// What is recorded: `parameters` are the leaves that the caller names, or all that an object in Python holds, in the
// order of their first use. Where `cut`, an input may be the result of an operation, which is not recorded then.
struct Request {
    std::vector<Node*> outputs, inputs, parameters;
    bool parameters_are_named = false, cut = false;
};

// The graph as a recording, without its outputs; `number` has their numbers. No Python may run.
Recording read(const Ancestry& graph, const Numbering& number, Request& request) {
    enum : std::uint8_t { Constant, Other, Taken };
    Recording recording;
    const std::size_t first_op = graph.leaves.size() + graph.outside.size();
    std::vector<std::uint8_t> role(first_op, Constant);
    if (!request.parameters_are_named)
        for (std::size_t k = 0; k < graph.leaves.size(); ++k)
            if (graph.leaves[k]->handle) role[k] = Other;
    for (Node* node : request.inputs) {
        role[number[node]] = Taken;
        recording.inputs.push_back(number[node]);
    }
    for (Node* node : request.parameters) recording.parameters.push_back(number[node]);
    const auto meet = [&](Node* node) {
        if (!node || !node->is_leaf() || role[number[node]] != Other) return;
        role[number[node]] = Taken;
        recording.parameters.push_back(number[node]);
        request.parameters.push_back(node);
    };
    const std::size_t size = number.nodes().size();
    recording.op.reserve(size);
    recording.a.reserve(size);
    recording.b.reserve(size);
    recording.c.reserve(size);
    for (std::size_t k = 0; k < size; ++k) {
        CtrlC::look_for(k);
        const Node* node = number.nodes()[k];
        if (k < first_op) {
            recording.add(Op::leaf, 0, 0, node->data);
            continue;
        }
        meet(node->a);
        meet(node->b);
        recording.add(node->op, number[node->a], node->b ? number[node->b] : 0,
                      info(node->op).arity == Arity::Param || is_quotient(node) ? node->constant : 0.0);
    }
    for (Node* node : request.outputs) meet(node);
    return recording;
}

// As above, outputs included; those that are plain numbers have theirs in `constants`.
Recording read(const py::tuple& outputs, const std::vector<double>& constants, Request& request) {
    std::vector<Node*> cut, roots;
    for (Node* node : request.inputs) (node->is_leaf() ? roots : cut).push_back(node);
    std::sort(cut.begin(), cut.end());
    const auto is_cut = [&](Node* node) { return std::binary_search(cut.begin(), cut.end(), node); };
    for (Node* node : request.outputs)
        if (!is_cut(node)) roots.push_back(node);
    roots.insert(roots.end(), request.parameters.begin(), request.parameters.end());
    Ancestry graph = ancestors(roots.data(), roots.size(), cut.empty() ? Stop() : Stop(is_cut));
    graph.outside = std::move(cut);  // those that nothing needs included
    for (Node* node : graph.interior)
        if (node->has_fan() || node->is_fixed() || node->has(Rule)) refuse_rule(node);
    for (Node* node : graph.leaves)
        if (node->has(Rule)) refuse_rule(node);
    const Numbering number(graph);
    Recording recording = read(graph, number, request);
    auto root = request.outputs.begin();
    auto constant = constants.begin();
    for (py::handle output : outputs)
        recording.outputs.push_back(is_value(output.ptr()) ? number[*root++]
                                                           : recording.add(Op::leaf, 0, 0, *constant++));
    return recording;
}

Request request_of(const py::tuple& outputs, const py::list& inputs, const py::object& parameters, bool cut) {
    Request request;
    for (py::handle output : outputs)
        if (is_value(output.ptr())) request.outputs.push_back(node_of(output.ptr()));
    request.cut = cut;
    request.inputs = leaves_of(inputs, "inputs", cut);
    request.parameters_are_named = !parameters.is_none();
    if (request.parameters_are_named) request.parameters = leaves_of(py::cast<py::list>(parameters), "parameters");
    for (Node* node : request.parameters)
        if (std::find(request.inputs.begin(), request.inputs.end(), node) != request.inputs.end())
            throw py::value_error("Program: a Value cannot be an input and a parameter");
    return request;
}

std::vector<Node*> nodes_of(const py::list& values) {
    std::vector<Node*> nodes;
    for (py::handle value : values)
        if (is_value(value.ptr())) nodes.push_back(node_of(value.ptr()));
    return nodes;
}
// Those that are no leaves, sorted.
std::vector<Node*> results_of(const py::list& values) {
    std::vector<Node*> nodes = nodes_of(values);
    std::erase_if(nodes, [](Node* node) { return node->is_leaf(); });
    std::sort(nodes.begin(), nodes.end());
    return nodes;
}

}  // namespace

py::tuple record_graph(py::list given, Shape shape, py::list inputs, py::object parameters, bool cut) {
    const py::tuple outputs(given);  // which Python that runs meanwhile cannot change
    std::vector<double> constants;   // to read one may run Python code, so it comes first
    for (py::handle output : outputs) {
        Number number;
        if (is_value(output.ptr())) continue;
        if (!require_number(output.ptr(), "Program: an output", number)) throw py::error_already_set();
        constants.push_back(number.value);
    }
    double size = 1.0;
    for (py::ssize_t extent : shape) size *= extent < 0 ? -1.0 : static_cast<double>(extent);
    if (size != static_cast<double>(outputs.size()))
        throw py::value_error("Program: " + std::to_string(outputs.size()) + " outputs do not have that shape");
    py::list values;  // made before any node is looked up: a collection may run Python code
    while (true) {
        try {
            Request request = request_of(outputs, inputs, parameters, cut);
            const Recording recording = read(outputs, constants, request);
            for (Node* node : request.parameters) values.append(py::reinterpret_steal<py::object>(handle_of(node)));
            const Signals signals;  // whose handlers may do away with nodes: none is looked at any more
            return py::make_tuple(boxed(recording, std::move(shape)), values);
        } catch (const CtrlC&) {
            CtrlC::repeat();  // and once more where the handler raises nothing
        }
    }
}

py::list shared_results(const py::list& values, const py::list& inner) {
    const std::vector<Node*> roots = nodes_of(values), cut = results_of(inner);
    const auto stop = [&](Node* node) { return std::binary_search(cut.begin(), cut.end(), node); };
    const Ancestry graph = ancestors(roots.data(), roots.size(), stop);
    std::unordered_map<Node*, std::uint32_t> uses;
    for (Node* node : graph.interior) for_each_operand(node, [&](Node* operand) { ++uses[operand]; });
    py::list result;
    for (Node* node : graph.interior)
        if (node->refs > uses[node]) result.append(py::reinterpret_steal<py::object>(handle_of(node)));
    return result;
}

py::list boundary(const py::list& values, const py::list& inner, const py::object& since) {
    std::vector<Node*> roots = nodes_of(values);
    const std::vector<Node*> cut = results_of(inner);
    std::vector<Chunk*> younger;  // than the chunk of the node `since`
    Node* const mark = since.is_none() ? nullptr : node_of(since.ptr());
    Chunk* const own = mark ? Chunk::of(mark) : nullptr;
    for (Chunk* chunk = mark ? arena().last() : nullptr; chunk && chunk != own; chunk = chunk->previous)
        younger.push_back(chunk);
    std::sort(younger.begin(), younger.end());
    const auto stop = [&](Node* node) {
        if (std::binary_search(cut.begin(), cut.end(), node)) return true;
        if (!mark) return false;
        Chunk* const chunk = Chunk::of(node);
        return chunk == own ? node <= mark : !std::binary_search(younger.begin(), younger.end(), chunk);
    };
    std::vector<Node*> found;
    std::erase_if(roots, [&](Node* root) {
        const bool stops = !root->is_leaf() && stop(root);
        if (stops) found.push_back(root);
        return stops;
    });
    const Ancestry graph = ancestors(roots.data(), roots.size(), stop);
    found.insert(found.end(), graph.outside.begin(), graph.outside.end());
    for (Node* leaf : graph.leaves)
        if (leaf->handle) found.push_back(leaf);
    std::unordered_set<Node*> met;  // a root may be an operand as well
    std::erase_if(found, [&](Node* node) { return !met.insert(node).second; });
    py::list result;
    for (Node* node : found) result.append(py::reinterpret_steal<py::object>(handle_of(node)));
    return result;
}

}  // namespace kilograd
