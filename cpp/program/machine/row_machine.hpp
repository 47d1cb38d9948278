// RowMachine: a row schedule as machine code, forward and in reverse, for one row or for as many as a vector has lanes.
//
// The code does what the row kernels do, so that results are the same to the last bit; functions for which there is no
// instruction are called. In reverse an adjoint is added up where it is needed, from the contributions of its consumers
// in the order in which the kernels add them.
//
// For processors of the x86-64 family with AVX and FMA, always under the System V calling convention, and for AArch64.
// Elsewhere, and where the system executes no memory that was written, there is none, and the kernels do the work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "../graph.hpp"
#include "../kernels/kernels.hpp"
#include "../schedules/row_schedule.hpp"
#include "../schedules/wants.hpp"
#include "pages.hpp"

namespace kilograd::program::machine {

// When machine code is made, by the environment variable KILOGRAD_CODE: 0 for never, `always` for at once.
enum class When : std::uint8_t { Never, ItPays, Always };
When when();

class RowMachine {
  public:
    // Whether there is code beside such kernels, and for such a schedule: the system may still refuse it.
    static bool suits(const Kernels& kernels);
    static bool suits(const RowSchedule& schedule, const Kernels& kernels, bool several);

    // For one row, or with `several` for as many as the kernels' vectors have lanes. The schedule and the kernels must
    // outlive it.
    RowMachine(const Graph& graph, const RowSchedule& schedule, Wants wants, const Kernels& kernels, bool several);

    bool usable() const { return pages_ != nullptr; }
    const Kernels& kernels() const { return kernels_; }
    std::size_t bytes() const { return pages_ ? pages_->size() : 0; }

    // As Kernels::row_forward and rows_forward.
    bool forward(double* values) const { return forward_(values) != 0; }
    // The adjoints of the outputs are read, and those of the wanted leaves written.
    void reverse(const double* values, double* adjoints) const { reverse_(values, adjoints); }

  private:
    const Kernels& kernels_;
    const RowCode code_;
    std::unique_ptr<const Pages> pages_;
    using Forward = unsigned(KILOGRAD_SYSTEM_V*)(double*);
    using Reverse = void(KILOGRAD_SYSTEM_V*)(const double*, double*);
    Forward forward_ = nullptr;
    Reverse reverse_ = nullptr;
};

}  // namespace kilograd::program::machine
