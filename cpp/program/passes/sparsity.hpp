// Which derivatives can differ from zero, what the chain rule takes for them, and how few sweeps give them all.
//
// Columns of the Hessian without a common row are found by one sweep with the sum of their directions (Curtis, Powell
// and Reid). A tridiagonal Hessian takes three sweeps in any dimension.
#pragma once

#include <vector>

#include "../columns.hpp"
#include "../graph.hpp"

namespace kilograd::program {

struct Colouring {
    std::vector<std::uint32_t> colours;                       // of each column
    std::uint32_t colour_count = 0;                           // none: not worth it, or too large to find out
    std::vector<std::pair<std::uint32_t, std::uint32_t>> at;  // (row, column) of what may differ from zero
};

// Of the Hessian of any weighted sum of the outputs by the inputs and, if `promoted`, the parameters after them.
Colouring colour_hessian(const Graph& graph, bool promoted);

// Products of the chain rule for the entries of the Jacobian alone: along the columns that each node depends on, and
// along the outputs that depend on it. More than `most` are not counted.
struct ChainRule {
    std::size_t by_columns, by_outputs;
};
ChainRule count_products(const Graph& graph, const Columns& columns, std::size_t most);

// The first of these, where `column` has the column of each node, or none; of nodes that are `live` alone.
std::size_t count_products(const Graph& graph, const std::vector<std::uint32_t>& column,
                           const std::vector<std::uint8_t>& live, std::size_t most);

}  // namespace kilograd::program
