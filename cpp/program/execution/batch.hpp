// run_batch(): a call over rows.
//
// Rows are cut into blocks that fit the cache, blocks into *shards*; the cut depends on the schedule and the number of
// rows only, and shards are summed in order, so that results are the same to the last bit for any number of threads.
#pragma once

#include "../kernels/kernels.hpp"
#include "../schedules/lane_schedule.hpp"
#include "request.hpp"

namespace kilograd::program {

void run_batch(const Graph& graph, const LaneSchedule& schedule, const Request& request, const Kernels& kernels);

}  // namespace kilograd::program
