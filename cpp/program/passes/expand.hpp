// expand(): a graph's nodes as simplified nodes again, sums op by op, to be rewritten and lowered once more.
#pragma once

#include <vector>

#include "../watch.hpp"
#include "simplifier.hpp"

namespace kilograd::program {

// The number in `in` of each node of the graph; leaf(node) gives those of inputs and parameters.
template <class Leaf>
std::vector<std::uint32_t> expand(const Graph& graph, Simplifier& in, Leaf&& leaf) {
    std::vector<std::uint32_t> number;
    number.reserve(graph.nodes.size());
    Pace pace;
    for (const Node& node : graph.nodes) {
        pace();
        if (node.code == Code::constant) {
            number.push_back(in.constant(node.c));
        } else if (is_leaf(node.code)) {
            number.push_back(leaf(node));
        } else if (node.code == Code::dot) {
            const auto product = [&](const Term& term) {
                return term.b == none ? number[term.a] : in.make(Code::mul, number[term.a], number[term.b], 0.0);
            };
            std::uint32_t sum = product(graph.terms[node.a]);
            for (std::uint32_t t = node.a + 1; t < node.b; ++t)
                sum = in.make(Code::add, sum, product(graph.terms[t]), 0.0);
            number.push_back(sum);
        } else {
            const bool binary = info(node.code).arity == Arity::Binary;
            number.push_back(in.make(node.code, number[node.a], binary ? number[node.b] : 0, node.c));
        }
    }
    return number;
}

}  // namespace kilograd::program
