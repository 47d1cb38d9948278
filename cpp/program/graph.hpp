// Graph: a recorded program in the form that the passes leave it in, from which all schedules are made and which is
// what a file holds. Nodes are in topological order: operands have smaller numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "codes.hpp"

namespace kilograd::program {

struct Node {
    double c = 0.0;       // constant: its value; Arity::Param: the constant of the op
    std::uint32_t a = 0;  // operand; input, parameter: its number; dot: first term
    std::uint32_t b = 0;  // operand; dot: one past the last term
    Code code = Code::constant;
};

struct Graph {
    std::vector<Node> nodes;
    std::vector<Term> terms;  // of the dots; b == none: the term is a alone
    std::vector<std::uint32_t> outputs;
    std::uint32_t n_inputs = 0, n_parameters = 0;
    std::vector<std::uint32_t> recorded;  // nodes of the recording by Op

    // Calls f(operand) for each operand of a node, repeated ones repeatedly.
    template <class F>
    void for_operands(const Node& node, F&& f) const {
        if (node.code == Code::dot) {
            for (std::uint32_t t = node.a; t < node.b; ++t) {
                f(terms[t].a);
                if (terms[t].b != none) f(terms[t].b);
            }
        } else if (!is_leaf(node.code)) {
            f(node.a);
            if (info(node.code).arity == Arity::Binary) f(node.b);
        }
    }
};

// An op's value by plain double arithmetic.
double evaluate(Code code, double a, double b, double c);

// What eager code says of this result.
Fault fault_of(Code code, double a, double b, double c, double y);

// For each node whether it depends on an input (if `inputs`) or a parameter (if `parameters`).
std::vector<std::uint8_t> depends_on(const Graph& graph, bool inputs, bool parameters);

// For each node whether an output depends on it. A node on which none does is there for what it may refuse.
std::vector<std::uint8_t> needed(const Graph& graph);

// For each node whether a reverse sweep for inputs or parameters goes through it.
std::vector<std::uint8_t> swept_back(const Graph& graph, bool inputs, bool parameters);

// Checks every index, code and order of a graph from outside; throws std::invalid_argument.
void validate(const Graph& graph);

}  // namespace kilograd::program
