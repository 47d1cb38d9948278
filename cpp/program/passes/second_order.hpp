// The second derivatives of a graph as a graph of their own, whose outputs are the entries of the Hessian.
//
// A symbolic reverse sweep gives the gradient, a symbolic forward sweep over that, with the few columns that each
// node depends on, the Hessian. Where it is sparse this leaves a handful of ops for each entry, in place of sweeps over
// the whole program. Derivatives come from the op table by Symbol, and are combined as Dual combines them, so that
// nothing becomes NaN that is none in a sweep over dual numbers.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "../graph.hpp"

namespace kilograd::program {

struct SecondOrder {
    Graph graph;                                              // inputs and parameters are those of the original
    std::vector<std::pair<std::uint32_t, std::uint32_t>> at;  // of each output: row >= column; all others are zero
};

// Of the sum of the outputs by the inputs and, if `promoted`, the parameters after them. None where sweeps are better:
// where this takes more than `most_work` times the ops of the graph.
std::optional<SecondOrder> differentiate_twice(const Graph& graph, bool promoted, std::size_t most_work = 8);

}  // namespace kilograd::program
