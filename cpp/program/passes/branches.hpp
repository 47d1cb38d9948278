// Branches: a stop-gradient, `enter`, around what is computed for one side of a choice alone.
//
// In eager code the side that is not chosen is in no graph, and its derivatives do not exist. In a program both sides
// are computed, and an adjoint of 0 times an infinite derivative on the side not chosen (sqrt at 0) would be NaN.
// `enter` drops it where the mask is 0, at the border of the branch: whatever has no other use than the gate (the
// multiplication by the mask).
#pragma once

#include <vector>

#include "simplifier.hpp"

namespace kilograd::program {

// The nodes that the outputs need, with these borders; `outputs` are renumbered.
Simplifier enter_branches(const Simplifier& from, std::vector<std::uint32_t>& outputs);

}  // namespace kilograd::program
