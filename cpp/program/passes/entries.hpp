// The derivatives of a graph as a graph of their own, whose outputs are the entries of its Jacobian or its Hessian that
// may differ from zero.
//
// A Jacobian comes from a symbolic sweep with the few columns that each node depends on, or from one with the few
// outputs that depend on it, whichever has less to do. A Hessian is the Jacobian of a gradient, which a reverse sweep
// gives. Where matrices are sparse this leaves a handful of ops for each entry, in place of sweeps over the whole
// program. Derivatives come from the op table by Symbol, and are combined as Dual combines them, so that nothing
// becomes NaN that is none in a sweep over dual numbers.
#pragma once

#include <optional>
#include <vector>

#include "../columns.hpp"
#include "../graph.hpp"

namespace kilograd::program {

struct Place {
    std::uint32_t row, column;
    auto operator<=>(const Place&) const = default;
};

// All that the original computes is in the graph, too, so that a call meets the errors that the original would.
struct Entries {
    Graph graph;            // inputs and parameters are those of the original
    std::vector<Place> at;  // of each output, in ascending order; all other entries are zero
};

// Ops, those of a sum being its terms.
std::size_t work_of(const Graph& graph);

// None where this takes more than `most` ops. Rows are the outputs; columns count within the choice.
std::optional<Entries> differentiate(const Graph& graph, const Columns& columns, std::size_t most);

// Of the sum of the outputs, the lower triangle alone: row >= column. With `weighted`, of a weighted sum: the weights
// are further inputs.
std::optional<Entries> differentiate_twice(const Graph& graph, const Columns& columns, bool weighted, std::size_t most);

// A graph with the outputs of this one, and after them the gradient of their sum, however long it becomes.
Graph with_gradient(const Graph& graph, const Columns& columns);

// The sweeps of one row as a graph, whose inputs are directions: for a Jacobian by columns of the choice, giving
// tangents of the outputs; by outputs, giving weighted sums of its rows; for a Hessian by columns. All else, the values
// and the local derivatives, is made of parameters, once for all sweeps: the inputs and the parameters of the original,
// and after them, for a Hessian, weights of the outputs.
enum class Sweep : std::uint8_t { Forward, Reverse, Second };
Graph sweep(const Graph& graph, const Columns& columns, Sweep kind);

}  // namespace kilograd::program
