// What kilograd.Program is made of: recorded programs over NumPy arrays.
//
// kilograd/program.py documents the methods; here graphs become recordings, arrays become requests, and the GIL is
// given up while a request runs. A program holds no Python object: callers pass the Values of its parameters, so that
// the cyclic collector sees who holds them.
#pragma once

#include <pybind11/pybind11.h>

namespace kilograd {

void add_program(pybind11::module_& module);

}  // namespace kilograd
