// Recording: a graph of Values as a program. The two share nothing from then on but the Values that are parameters.
#pragma once

#include <pybind11/stl.h>

#include "recorded.hpp"

namespace kilograd {

// (program, list of the Values that are its parameters). `parameters` is None for all leaves that Python can see. With
// `cut` inputs may be results of operations.
py::tuple record_graph(py::list outputs, Shape shape, py::list inputs, py::object parameters, bool cut);

// Results of operations on the way from `inner` to Values, these included, that something else refers to as well.
py::list shared_results(const py::list& values, const py::list& inner);

// What Values are computed from: leaves that an object in Python holds and, without looking further, those of `inner`
// and all that is not younger than `since`, the result of an operation, or None.
py::list boundary(const py::list& values, const py::list& inner, const py::object& since);

}  // namespace kilograd
