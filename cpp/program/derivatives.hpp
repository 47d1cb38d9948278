// Derivatives: the Jacobians and Hessians of a program, in the cheapest of a few ways.
//
// By a program of their entries (passes/entries.hpp) where that is short, else by one sweep for each row or column, or
// for each colour of a Hessian's columns (passes/sparsity.hpp). The sweeps of a single row may be a program, too, in
// which values and local derivatives are made once for all of them, and what is dense becomes products of matrices.
// What all that takes is made when first asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "columns.hpp"
#include "execution/request.hpp"
#include "kernels/kernels.hpp"
#include "lazy.hpp"
#include "passes/sparsity.hpp"

namespace kilograd::program {

class Program;

class Derivatives {
  public:
    enum class Of : std::uint8_t { Jacobian, Hessian };  // of the outputs; of their weighted sum
    // What a program of entries is made for; `sparse`: however long it becomes.
    struct Key {
        Of of;
        bool weighted, sparse;
        Columns columns;
        bool operator==(const Key&) const = default;
    };

    Derivatives();
    ~Derivatives();

    // Of each row (or, reduced, of all) the whole matrix. Nothing else of the request is computed.
    void whole(Of of, const Program& program, const Request& request, const Columns& columns, double* to,
               const Kernels& kernels) const;
    // Of each row the entries of the pattern alone.
    void entries(Of of, const Program& program, const Request& request, const Columns& columns, double* to,
                 const Kernels& kernels) const;
    const Pattern& pattern(Of of, const Program& program, const Columns& columns, bool weighted) const;

    void by_sweeps(Of of, const Program& program, const Request& request, const Columns& columns, double* to,
                   const Kernels& kernels) const;
    std::size_t bytes() const;

  private:
    class Made;
    class Swept;
    const Made& made(const Program& program, const Key& key) const;
    const Swept& swept(const Program& program, const Key& key) const;
    const Colouring& colouring(const Graph& graph, bool promoted) const;
    void hessian_by_sweeps(const Program& program, const Request& request, const Columns& columns, double* to,
                           const Kernels& kernels) const;
    void jacobian_by_sweeps(const Program& program, const Request& request, const Columns& columns, double* to,
                            const Kernels& kernels) const;

    LazyList<Key, Made> made_;
    LazyList<Key, Swept> swept_;
    Lazy<Colouring> colourings_[2];  // by promoted
};

}  // namespace kilograd::program
