// Nodes that become Tracked when they have consumers already (see handle.hpp): pinned at first, out of the collector's
// sight, and brought into it before the next collection of an older generation.
#pragma once

#include "handle.hpp"

namespace kilograd {

void note_late_tracking();  // some node has become both Tracked and pinned

}  // namespace kilograd
