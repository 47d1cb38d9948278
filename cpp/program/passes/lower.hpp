// lower(): the last pass, from simplified nodes to a graph.
//
// `x * y**-1` becomes a quotient and a tree of sums one dot, a sum of products, which the kernels have an instruction
// for. What no output needs is left behind.
#pragma once

#include <vector>

#include "../graph.hpp"

namespace kilograd::program {

// Leaves `nodes` in an unspecified state.
void lower(std::vector<Node>& nodes, const std::vector<std::uint32_t>& outputs, Graph& graph);

}  // namespace kilograd::program
