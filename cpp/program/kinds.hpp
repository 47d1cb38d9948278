// Kinds: what a graph is made of, as far as the price of running it over rows depends on that.
#pragma once

#include <algorithm>
#include <cstddef>

#include "graph.hpp"
#include "kernels/kernels.hpp"
#include "machine/row_machine.hpp"

namespace kilograd::program {

struct Kinds {
    std::size_t arithmetic = 0;  // ops that are a few instructions, and terms of sums
    std::size_t functions = 0;   // the other ops
    std::size_t matrices = 0;    // terms of sums of uniform multiples, for which there are small matrix products
    std::size_t uniform = 0;     // ops, and terms, that depend on no row

    // With `promoted`, parameters differ from row to row.
    explicit Kinds(const Graph& graph, bool promoted = false);

    // What costs each block of rows a dispatch, but for the matrix products.
    std::size_t varying() const { return arithmetic + functions; }

    // Whether rows are cheaper in groups of a vector each (execution/groups.hpp) than in blocks. Where kernels have
    // machine code beside them, that keeps arithmetic in registers, a tenth to two thirds of the time, and calls
    // functions, which costs more than a loop over a block. Whether the code is there by then is not asked, since
    // results must not depend on it. A single group does without the matrix products for as many terms as machine code
    // is faster with.
    bool suit_groups(std::size_t rows, const Kernels& kernels) const {
        constexpr std::size_t few_terms = 400;
        if (uniform > varying() / 4) return false;
        if (rows <= static_cast<std::size_t>(kernels.width)) return matrices <= std::max(varying(), few_terms);
        if (matrices > varying()) return false;
        if (!machine::RowMachine::suits(kernels)) return varying() >= 1500;
        return varying() >= 300 || arithmetic >= 4 * functions;
    }

    // Nanoseconds, roughly, that rows take in blocks of vectors of eight.
    double price(std::size_t rows) const {
        const double vectors = static_cast<double>((rows + 7) / 8);
        return static_cast<double>(uniform) + static_cast<double>(varying()) * (4.0 + 1.5 * vectors) +
               static_cast<double>(matrices) * (1.0 + 0.25 * vectors);
    }
};

}  // namespace kilograd::program
