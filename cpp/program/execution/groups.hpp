// run_groups(): a call over rows by a row schedule, as many rows at a time as a vector has lanes.
//
// For what run_batch() does badly: a few rows, and graphs that leave a block (batch.hpp) no more rows than that, where
// each node costs a dispatch for one vector. Groups are cut into shards that depend on the number of rows alone and are
// summed in order.
#pragma once

#include "../schedules/row_schedule.hpp"
#include "request.hpp"
#include "row_engine.hpp"

namespace kilograd::program {

// Without tangents; one weight of an output for each row.
bool can_run_groups(const Request& request);
void run_groups(const Graph& graph, const RowSchedule& schedule, const Request& request, const RowEngine& engine);

}  // namespace kilograd::program
