// Snapshots as bytes, in a pickle: see docs/formats.md.
//
// What bytes cannot hold goes beside them: the Values of external nodes, classes, and what the op attribute of served
// classes shows.
#pragma once

#include <memory>

#include "../pybind.hpp"
#include "snapshot.hpp"

namespace kilograd {

py::bytes dump(const Snapshot& snapshot);
py::list types_of(const Snapshot& snapshot);  // of the families; for served classes with the texts of their ops
// `classes` are pairs (place among the interior nodes, class) of nodes of subclasses.
std::unique_ptr<Snapshot> load_snapshot(py::bytes bytes, py::list externals, py::list types, py::list classes);

}  // namespace kilograd
