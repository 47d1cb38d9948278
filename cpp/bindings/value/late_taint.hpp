// Taint that comes to a node when it has consumers already (see handle.hpp): pinned at first, out of the collector's
// sight, and brought into it before the next collection of an older generation.
#pragma once

#include "handle.hpp"

namespace kilograd {

void note_late_taint();  // some node has become both Tainted and pinned

}  // namespace kilograd
