// Optimiser steps, gradient clipping, and arrays in and out of lists of Values.
#pragma once

#include <pybind11/pybind11.h>

namespace kilograd {

void add_update(pybind11::module_& m);  // zero_grad, *_step, clip_*, read_*, write_data, leaves

}  // namespace kilograd
