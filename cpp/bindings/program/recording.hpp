// Recording: a graph of Values as a program. The two share nothing from then on but the Values that are parameters.
#pragma once

#include <pybind11/stl.h>

#include "recorded.hpp"

namespace kilograd {

// (program, list of the Values that are its parameters). `parameters` is None for all leaves that Python can see.
py::tuple record_graph(py::list outputs, Shape shape, py::list inputs, py::object parameters);

}  // namespace kilograd
