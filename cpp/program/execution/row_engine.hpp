// RowEngine: what runs a row of a schedule, or as many as a vector has lanes: machine code where there is some, else
// the kernels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../graph.hpp"
#include "../kernels/kernels.hpp"
#include "../machine/row_machine.hpp"
#include "../schedules/row_schedule.hpp"

namespace kilograd::program {

struct RowEngine {
    const Kernels& kernels;
    const machine::RowMachine* machine = nullptr;
    bool several = false;

    // Each number is so many, side by side.
    std::size_t width() const { return several ? static_cast<std::size_t>(kernels.width) : 1; }

    // Whether an operation may have been refused.
    bool forward(const RowSchedule& schedule, double* values) const {
        if (machine) return machine->forward(values);
        return (several ? kernels.rows_forward : kernels.row_forward)(schedule.code(), values);
    }
    // Makes ready for the adjoints of the outputs to be added.
    void clear(const RowSchedule& schedule, const Graph& graph, double* adjoints) const {
        if (!machine)
            std::fill_n(adjoints, schedule.size() * width(), 0.0);
        else
            for (std::uint32_t output : graph.outputs)
                for (std::size_t r = 0; r < width(); ++r) adjoints[schedule.position(output) * width() + r] = 0.0;
    }
    // Of what is less than all numbers nothing is left but a sign, which depends on where a sum began: leaves have 0.0.
    void reverse(const RowSchedule& schedule, const double* values, double* adjoints) const {
        if (machine) return machine->reverse(values, adjoints);
        if (several)
            kernels.rows_reverse(schedule.code(), values, adjoints);
        else
            kernels.row_reverse(schedule.code(), values, adjoints, adjoints + schedule.locals_at());
        for (const auto* leaves : {&schedule.inputs(), &schedule.parameters()})
            for (const RowSchedule::Leaf& leaf : *leaves)
                for (std::size_t r = 0; r < width(); ++r) adjoints[leaf.position * width() + r] += 0.0;
    }
};

}  // namespace kilograd::program
