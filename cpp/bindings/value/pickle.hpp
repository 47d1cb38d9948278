// Pickling and deep copies, without recursion and with all sharing kept.
//
// The values of one graph reduce to (snapshot, place). The snapshot is one Python object that holds the graph as flat
// arrays in tape order; the pickler's memo, or deepcopy's, makes it one for all the values that share it. A leaf that
// Python can see is pickled as an object of its own, so that sharing holds across graphs as well. A snapshot lists the
// nodes of an earlier living snapshot as external instead of repeating them: pickling the values of a chain one after
// another stays linear.
#pragma once

#include "handle.hpp"

namespace kilograd {

PyObject* value_reduce(PyObject* self, PyObject*);  // Value.__reduce__
PyObject* value_copy(PyObject* self, PyObject*);    // Value.__copy__
// A __setstate__ that goes through the attributes of the class, and not into the __dict__, as pickle does by itself
// with what plain Python wrote.
PyObject* value_setstate(PyObject* self, PyObject* state);

void add_pickle(PyObject* module);  // Snapshot, _leaf, _pick, _load; throws pybind11::error_already_set

}  // namespace kilograd
