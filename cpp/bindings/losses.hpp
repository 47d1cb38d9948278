// Reductions and losses for kilograd.functional.
#pragma once

#include <pybind11/pybind11.h>

namespace kilograd {

void add_losses(pybind11::module_& m);  // flatten, dot, total, ..., cross_entropy

}  // namespace kilograd
