#include "graph.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "watch.hpp"

namespace kilograd::program {

double evaluate(Code code, double a, double b, double c) {
    switch (code) {
#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc) \
    case Code::name:                                                 \
        return Rule<Code::name>::value<double>(a, b, c);
#include "../ops.def"
#include "reduced_ops.def"
#undef KILOGRAD_OP
        default:
            return c;
    }
}

Fault fault_of(Code code, double a, double b, double c, double y) {
    if (code == Code::div) return fault_of(info(Code::reciprocal), b, 0.0, 1.0 / b);
    return fault_of(info(code), a, info(code).arity == Arity::Param ? c : b, y);
}

std::vector<std::uint8_t> depends_on(const Graph& graph, bool inputs, bool parameters) {
    Pace pace;
    std::vector<std::uint8_t> marks(graph.nodes.size(), 0);
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
        pace();
        const Node& node = graph.nodes[n];
        if (node.code == Code::input)
            marks[n] = inputs;
        else if (node.code == Code::parameter)
            marks[n] = parameters;
        else
            graph.for_operands(node, [&](std::uint32_t operand) { marks[n] |= marks[operand]; });
    }
    return marks;
}

std::vector<std::uint8_t> needed(const Graph& graph) {
    std::vector<std::uint8_t> marks(graph.nodes.size(), 0);
    for (std::uint32_t output : graph.outputs) marks[output] = 1;
    for (std::size_t n = marks.size(); n-- > 0;)
        if (marks[n]) graph.for_operands(graph.nodes[n], [&](std::uint32_t operand) { marks[operand] = 1; });
    return marks;
}

std::vector<std::uint8_t> swept_back(const Graph& graph, bool inputs, bool parameters) {
    std::vector<std::uint8_t> marks = depends_on(graph, inputs, parameters);
    if (!inputs && !parameters) return marks;
    const std::vector<std::uint8_t> live = needed(graph);
    for (std::size_t n = 0; n < marks.size(); ++n) marks[n] &= live[n];
    return marks;
}

void validate(const Graph& graph) {
    constexpr std::uint32_t max_leaves = 1u << 30;
    const auto refuse = [](const char* what) { throw std::invalid_argument(what); };
    if (graph.nodes.size() >= none || graph.terms.size() >= none) refuse("too many nodes");
    if (graph.n_inputs > max_leaves || graph.n_parameters > max_leaves) refuse("too many inputs or parameters");
    std::vector<std::uint8_t> used(graph.nodes.size(), 0);
    std::uint32_t terms = 0;  // sums share none: schedules are as long as the terms of all sums together
    for (std::uint32_t n = 0; n < graph.nodes.size(); ++n) {
        const Node& node = graph.nodes[n];
        if (index_of(node.code) >= code_count) refuse("unknown operation");
        if (node.code == Code::input && node.a >= graph.n_inputs) refuse("input out of range");
        if (node.code == Code::parameter && node.a >= graph.n_parameters) refuse("parameter out of range");
        if (node.code == Code::dot) {
            if (node.a != terms || node.a >= node.b || node.b > graph.terms.size()) refuse("terms out of order");
            terms = node.b;
        }
        if (node.code == Code::whole_power && !(std::abs(node.c) <= 8.0 && node.c == std::floor(node.c)))
            refuse("exponent out of range");
        graph.for_operands(node, [&](std::uint32_t operand) {
            if (operand >= n) refuse("operand out of order");
            used[operand] = 1;
        });
    }
    if (terms != graph.terms.size()) refuse("terms left over");
    for (std::uint32_t n : graph.outputs) {
        if (n >= graph.nodes.size()) refuse("output out of range");
        used[n] = 1;
    }
    // The schedules count on it: whatever is wanted receives an adjoint.
    if (std::find(used.begin(), used.end(), 0) != used.end()) refuse("node without use");
}

}  // namespace kilograd::program
