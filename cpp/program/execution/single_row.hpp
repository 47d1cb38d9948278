// run_row(): a call of one row, without tangents.
#pragma once

#include "../kernels/kernels.hpp"
#include "../schedules/row_schedule.hpp"
#include "request.hpp"

namespace kilograd::program {

void run_row(const Graph& graph, const RowSchedule& schedule, const Request& request, const Kernels& kernels);

// The same in the caller's memory, of so many numbers, in which constants and parameters stand already: for calls that
// follow one another.
inline std::size_t room_for_row(const RowSchedule& schedule) {
    return 2 * schedule.size() + schedule.local_count() + 3 * 8;
}
void run_row_in(double* values, const Graph& graph, const RowSchedule& schedule, const Request& request,
                const Kernels& kernels);

}  // namespace kilograd::program
