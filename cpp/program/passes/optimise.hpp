// optimise(): from a recording to the graph that programs run.
//
// The passes: what the outputs reach is simplified node by node (simplifier.hpp); what one side of a choice alone needs
// is separated from the rest (branches.hpp); sums become dots (lower.hpp).
#pragma once

#include <stdexcept>
#include <string>

#include "../graph.hpp"
#include "../recording.hpp"

namespace kilograd::program {

// An op without a rule that could be recorded; `node` is its number in the recording.
struct NotRecordable : std::invalid_argument {
    std::uint32_t node;
    NotRecordable(std::uint32_t node_, const std::string& what) : std::invalid_argument(what), node(node_) {}
};

Graph optimise(const Recording& recording);

}  // namespace kilograd::program
