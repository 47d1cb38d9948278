// Guards: the conditions under which a call of a compiled function takes a path that was recorded before.
//
// Built from the notes of a trace (see modes.hpp). The compared Values are recomputed op by op in double arithmetic,
// in the order of the trace, so that every decision is bit for bit the one that Python would take; the programs
// themselves may fuse and reorder, which is right for values and wrong for decisions. No path
// is taken where a comparison meets NaN, which NumPy orders as it likes: paths are of numbers. A row stops at its first
// condition that fails, so that nothing is evaluated that this row would not have reached.
#pragma once

#include <pybind11/pybind11.h>

namespace kilograd {

void add_guards(pybind11::module_& m);

}  // namespace kilograd
