// run_row(): a call of one row, without tangents.
#pragma once

#include "request.hpp"
#include "row_engine.hpp"

namespace kilograd::program {

void run_row(const Graph& graph, const RowSchedule& schedule, const Request& request, const RowEngine& engine);

// The same in the caller's memory, of so many numbers, in which constants and parameters stand already: for calls that
// follow one another.
inline std::size_t room_for_row(const RowSchedule& schedule) { return schedule.size() + schedule.adjoint_room(); }
void run_row_in(double* values, const Graph& graph, const RowSchedule& schedule, const Request& request,
                const RowEngine& engine);

}  // namespace kilograd::program
