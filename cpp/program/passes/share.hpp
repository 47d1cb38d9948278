// share(): a graph with some of its inputs as further parameters, the same for all rows of a call.
#pragma once

#include "../columns.hpp"
#include "../graph.hpp"

namespace kilograd::program {

// The inputs of the choice become parameters, after those that there are; the others keep their order.
Graph share(const Graph& graph, const Columns& inputs);

}  // namespace kilograd::program
