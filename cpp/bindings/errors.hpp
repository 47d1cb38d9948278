// Exceptions for refused operations: the op, the operands and the remedy, in the built-in class that `math` would use.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "../engine/graph.hpp"
#include "python.hpp"

namespace kilograd {

// Sets the exception for a fault of `op` at these operands.
void raise_fault(Fault fault, Op op, double a, double b, double c);

}  // namespace kilograd
