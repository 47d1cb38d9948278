// RowEngine: what runs the single rows of a schedule: machine code where there is some, else the kernels.
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

    // Numbers from the values of a row to its adjoints, and of these with what the reverse sweep needs behind them:
    // kernels write up to a vector more.
    static std::size_t value_room(const RowSchedule& schedule) { return schedule.size() + 8; }
    std::size_t adjoint_room(const RowSchedule& schedule) const {
        return value_room(schedule) + schedule.local_count() + 8 + (machine ? machine->slots() : 0);
    }

    // Whether an operation may have been refused.
    bool forward(const RowSchedule& schedule, double* values) const {
        return machine ? machine->forward(values) : kernels.row_forward(schedule.code(), values);
    }
    // Makes ready for the adjoints of the outputs to be added.
    void clear(const RowSchedule& schedule, const Graph& graph, double* adjoints) const {
        if (!machine)
            std::fill_n(adjoints, schedule.size(), 0.0);
        else
            for (std::uint32_t output : graph.outputs) adjoints[schedule.position(output)] = 0.0;
    }
    // Of what is less than all numbers nothing is left but a sign, which depends on where a sum began: leaves have 0.0.
    void reverse(const RowSchedule& schedule, const double* values, double* adjoints) const {
        if (machine) return machine->reverse(values, adjoints);
        kernels.row_reverse(schedule.code(), values, adjoints, adjoints + value_room(schedule));
        for (const RowSchedule::Leaf& leaf : schedule.inputs()) adjoints[leaf.position] += 0.0;
        for (const RowSchedule::Leaf& leaf : schedule.parameters()) adjoints[leaf.position] += 0.0;
    }
};

}  // namespace kilograd::program
