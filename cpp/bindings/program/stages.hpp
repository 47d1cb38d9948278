// Stages of compiled functions for Python: Maps made of programs, loops, sequences and Python objects.
//
// kilograd/compiled/stages.py decides what follows what; here arrays become rows, and the GIL is given up while they
// run.
#pragma once

#include <pybind11/pybind11.h>

namespace kilograd {

void add_stages(pybind11::module_& module);

}  // namespace kilograd
