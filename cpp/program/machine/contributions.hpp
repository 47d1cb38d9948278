// Contributions: what the reverse sweep of a row schedule adds to each adjoint, in the order in which it adds it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../kernels/kernels.hpp"

namespace kilograd::program::machine {

enum class Form : std::uint8_t {
    Plus,       // + dy
    Minus,      // - dy
    Product,    // + dy * value[factor]
    Constant,   // + dy * the node's constant
    Local,      // what the node's code says: relu, square, div, reciprocal
    Local2,     // the same for its second operand
    Function,   // + dy * the local derivative, of a function
    Function2,  // the same for its second operand
    Gated,      // + dy where value[factor] is not 0
};

struct Contribution {
    std::uint32_t consumer;  // position: dy is its adjoint
    Form form;
    std::uint32_t factor;
};

class Contributions {
  public:
    Contributions(const RowCode& code, std::size_t size);

    const Contribution* begin(std::uint32_t position) const { return list_.data() + first_[position]; }
    const Contribution* end(std::uint32_t position) const { return list_.data() + first_[position + 1]; }
    const Run& run(std::uint32_t position) const { return runs_[run_of_[position]]; }
    std::size_t count() const { return list_.size(); }
    bool in_run(std::uint32_t position) const { return run_of_[position] != none; }

  private:
    template <class F>
    static void each(const RowCode& code, F&& f);

    const Run* const runs_;
    std::vector<std::uint32_t> first_, run_of_;
    std::vector<Contribution> list_;
};

}  // namespace kilograd::program::machine
