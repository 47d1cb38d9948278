// Hessians: second derivatives of a program, in the cheapest of three ways.
//
// By a program of their entries (passes/second_order.hpp) where that is short, else by one sweep over dual numbers for
// each colour (passes/sparsity.hpp), else for each column. What that takes is made when first asked for.
#pragma once

#include <cstddef>

#include "execution/request.hpp"
#include "kernels/kernels.hpp"
#include "lazy.hpp"
#include "passes/sparsity.hpp"

namespace kilograd::program {

class Program;

class Hessians {
  public:
    Hessians();
    ~Hessians();

    // (rows, columns, columns) of the weighted sum of the outputs.
    void run(const Program& program, const Request& request, double* to, const Kernels& kernels) const;
    void run_by_sweeps(const Program& program, const Request& request, double* to, const Kernels& kernels) const;
    std::size_t bytes() const;

  private:
    struct Entries;
    const Entries& entries(const Graph& graph, bool promoted) const;
    const Colouring& colouring(const Graph& graph, bool promoted) const;

    Lazy<Colouring> colourings_[2];  // by promoted
    Lazy<Entries> entries_[2];
};

}  // namespace kilograd::program
