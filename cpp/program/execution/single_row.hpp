// run_row(): a call of one row, without tangents.
#pragma once

#include "../kernels/kernels.hpp"
#include "../schedules/row_schedule.hpp"
#include "request.hpp"

namespace kilograd::program {

void run_row(const Graph& graph, const RowSchedule& schedule, const Request& request, const Kernels& kernels);

}  // namespace kilograd::program
