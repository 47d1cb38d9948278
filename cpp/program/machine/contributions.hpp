// Contributions: what the reverse sweep of a row schedule adds to each adjoint, in the order in which it adds it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../kernels/kernels.hpp"

namespace kilograd::program::machine {

enum class Form : std::uint8_t {
    Plus,          // + dy
    Minus,         // - dy
    Product,       // + dy * value[factor]
    Constant,      // + dy * the node's constant
    Local,         // what the node's code says: relu, square, div, reciprocal
    Local2,        // the same for its second operand
    Slot,          // + slot[factor]
    LocalProduct,  // + (dy * local[factor]), rounded before it is added
    SlotProduct,   // + dy * slot[factor]
};

struct Contribution {
    std::uint32_t consumer;  // position: dy is its adjoint
    Form form;
    std::uint32_t factor;
};

class Contributions {
  public:
    // For one row, or for several: these kernels leave local derivatives in the slots, to be multiplied; those of one
    // row what is to be added, where it is not among the locals that were made beforehand.
    Contributions(const RowCode& code, std::size_t size, bool several);

    const Contribution* begin(std::uint32_t position) const { return list_.data() + first_[position]; }
    const Contribution* end(std::uint32_t position) const { return list_.data() + first_[position + 1]; }
    const Run& run(std::uint32_t position) const { return *run_of_[position]; }
    bool in_run(std::uint32_t position) const { return run_of_[position] != nullptr; }
    // Whether a kernel is to be called for the run's slots.
    bool has_slots(const Run& run) const {
        return !is_arithmetic(run.code) && !is_step(run.code) && (several_ || run.local == none);
    }
    std::uint32_t slot(const Run& run) const { return slot_of_run_[static_cast<std::size_t>(&run - runs_)]; }
    std::size_t slots() const { return slots_; }

  private:
    template <class F>
    void each(const RowCode& code, F&& f) const;

    const Run* runs_;
    const bool several_;
    std::vector<std::uint32_t> first_, slot_of_run_;
    std::vector<const Run*> run_of_;
    std::vector<Contribution> list_;
    std::size_t slots_ = 0;
};

}  // namespace kilograd::program::machine
