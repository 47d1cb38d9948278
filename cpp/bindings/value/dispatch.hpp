// What NumPy asks of a Value for which a function is traced.
#pragma once

#include "../python.hpp"

namespace kilograd {

bool add_protocols(PyTypeObject* type);

// The functions that do what `__array_ufunc__` and `__array_function__` of a Value do, and NumPy's ufuncs add,
// subtract, multiply, true_divide, less, less_equal, equal, not_equal, greater and greater_equal.
void set_dispatch(PyObject* of_ufuncs, PyObject* of_functions, PyObject* operators);

// Nobody reads or writes the memory of arrays of this class of Python's, and of classes derived from it later:
// references are there. What asks gets the error of their method `tofile`.
void refuse_buffers(PyObject* type);

}  // namespace kilograd
