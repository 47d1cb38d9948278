// pybind11, for what it binds: functions and small types of the module. `Value` itself is written against CPython.
#pragma once

#include <pybind11/pybind11.h>

namespace kilograd {

namespace py = pybind11;

// A new reference, or null with an error set, as an object or an exception.
inline py::object checked(PyObject* object) {
    if (!object) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(object);
}

}  // namespace kilograd
