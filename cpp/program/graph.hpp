// Graph: a program in its optimised form, from which all schedules are made and which is what a file holds.
//
// Nodes are in topological order (operands have smaller numbers). The optimiser is one pass that simplifies and
// merges (constants folded, equal expressions shared) and one that turns what is left into sums of products.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "codes.hpp"
#include "kernels/kernels.hpp"
#include "recording.hpp"

namespace kilograd::program {

struct Node {
    double c = 0.0;       // constant: its value; Arity::Param: the constant of the op
    std::uint32_t a = 0;  // operand; input, parameter: its number; dot: first term
    std::uint32_t b = 0;  // operand; dot: one past the last term
    Code code = Code::constant;
};

struct Graph {
    std::vector<Node> nodes;
    std::vector<RowTerm> terms;  // of the dots; b == none: the term is a alone
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

// An op without a rule that could be recorded; `node` is its number in the recording.
struct NotRecordable : std::invalid_argument {
    std::uint32_t node;
    NotRecordable(std::uint32_t node_, const std::string& what) : std::invalid_argument(what), node(node_) {}
};

Graph optimise(const Recording& recording);

// Checks every index, code and order of a graph from outside; throws std::invalid_argument.
void validate(const Graph& graph);

// An op's value by plain double arithmetic.
double evaluate(Code code, double a, double b, double c);

// What eager code says of this result.
Fault fault_of(Code code, double a, double b, double c, double y);

// The shortest decimal form that reads back as the same number.
std::string text_of(double number);

// The op as the eager graph labels it, with the exponent of a power: "**-1", "log".
std::string label_of(const Node& node);

}  // namespace kilograd::program
