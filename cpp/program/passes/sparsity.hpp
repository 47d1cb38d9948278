// Which derivatives can differ from zero, what the chain rule takes for them, and how few sweeps give them all.
//
// Columns of the Hessian without a common row are found by one sweep with the sum of their directions (Curtis, Powell
// and Reid). A tridiagonal Hessian takes three sweeps in any dimension.
#pragma once

#include <vector>

#include "../columns.hpp"
#include "../graph.hpp"

namespace kilograd::program {

// Calls f(operand) for each operand that a derivative of a node goes to.
template <class F>
void for_varying_operands(const Graph& graph, const Node& node, F&& f) {
    if (is_step(node.code)) return;
    if (node.code == Code::gate || node.code == Code::enter) return f(node.b);
    if (node.code == Code::copysign) return f(node.a);
    graph.for_operands(node, f);
}

// Calls f(a, b) for nodes, operands or node number n itself, whose columns have second derivatives of the node: each of
// the first with each of the second.
template <class F>
void for_crossings(const Graph& graph, std::uint32_t n, F&& f) {
    const Node& node = graph.nodes[n];
    switch (node.code) {
        case Code::add:
        case Code::sub:
        case Code::scale:
        case Code::offset:
        // Linear wherever they have a derivative.
        case Code::relu:
        case Code::leaky_relu:
        case Code::abs:
        case Code::maximum:
        case Code::minimum:
        case Code::fmax:
        case Code::fmin:
        case Code::modulo:
        case Code::copysign:
        case Code::gate:
        case Code::enter:
            return;
        case Code::mul:
        case Code::directional:
            return f(node.a, node.b);
        case Code::div:
            f(node.a, node.b);
            return f(node.b, node.b);
        case Code::dot:
            for (std::uint32_t t = node.a; t < node.b; ++t)
                if (graph.terms[t].b != none) f(graph.terms[t].a, graph.terms[t].b);
            return;
        default:
            if (!is_leaf(node.code) && !is_step(node.code)) f(n, n);
    }
}

struct Colouring {
    std::vector<std::uint32_t> colours;                       // of each column
    std::uint32_t colour_count = 0;                           // none: not worth it, or too large to find out
    std::vector<std::pair<std::uint32_t, std::uint32_t>> at;  // (row, column) of what may differ from zero
};

// The entries of a matrix that may differ from zero, row after row: those of row r are number starts[r] ...
// starts[r + 1] - 1 and stand in `columns`, in ascending order.
struct Pattern {
    std::size_t width = 0;  // of the matrix
    std::vector<std::uint32_t> starts, columns;
    std::size_t height() const { return starts.size() - 1; }
    std::size_t area() const { return height() * width; }
    std::size_t size() const { return columns.size(); }
};

// All entries; a std::length_error where these are too many.
Pattern full_pattern(std::size_t height, std::size_t width);

// How few sweeps give all entries of a pattern: columns of one colour have no row in common, but for rows that are
// `alone`, each of which takes a sweep of its own in the other direction. Of a symmetric pattern these are columns,
// too, which give their rows; they have no colour.
struct Groups {
    std::vector<std::uint32_t> alone;
    std::vector<std::uint32_t> colours;  // of each column
    std::uint32_t colour_count = 0;
    std::size_t sweeps() const { return alone.size() + colour_count; }
};
Groups group_columns(const Pattern& pattern, bool symmetric);
Pattern transposed(const Pattern& pattern);

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
