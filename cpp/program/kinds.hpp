// Kinds: what a graph is made of, as far as the price of running it over rows depends on that.
#pragma once

#include <algorithm>
#include <cstddef>

#include "graph.hpp"

namespace kilograd::program {

struct Kinds {
    std::size_t varying = 0;   // ops, and terms of sums, that cost each block of rows a dispatch
    std::size_t matrices = 0;  // terms of sums of uniform multiples, for which there are small matrix products
    std::size_t uniform = 0;   // ops, and terms, that depend on no row

    // With `promoted`, parameters differ from row to row.
    explicit Kinds(const Graph& graph, bool promoted = false);

    // Whether rows are cheaper in groups of a vector each (execution/groups.hpp) than in blocks. A single group does
    // without the matrix products for as many terms as machine code is faster with.
    bool suit_groups(std::size_t rows, std::size_t width) const {
        constexpr std::size_t large = 1500, few_terms = 400;
        if (uniform > varying / 4) return false;
        if (rows <= width) return matrices <= std::max(varying, few_terms);
        return varying >= large && matrices <= varying;
    }

    // Nanoseconds, roughly, that rows take in blocks of vectors of eight.
    double price(std::size_t rows) const {
        const double vectors = static_cast<double>((rows + 7) / 8);
        return static_cast<double>(uniform) + static_cast<double>(varying) * (4.0 + 1.5 * vectors) +
               static_cast<double>(matrices) * (1.0 + 0.25 * vectors);
    }
};

}  // namespace kilograd::program
