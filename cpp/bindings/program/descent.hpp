// Descent: steps of an optimiser in a loop that stays in C++.
#pragma once

#include "../update.hpp"
#include "recorded.hpp"

namespace kilograd {

// Steps of an optimiser: (how many were made, a bookmark of before the last one where `finite` is set, an exception or
// None). Step k is zero_grad(), backward() over the next `batch` rows, beginning again after the last, and the update
// at rates[k]; its loss goes to losses[k]. The loop ends before a step that is not regular: an op or the optimiser
// refuses a number, a parameter is no leaf any more, or, where `finite` is set, a loss or a parameter becomes infinite
// or NaN. Such a step has changed nothing but gradients that zero_grad() sets. Without rates a step ends with the
// gradient.
//
// The GIL is given up for programs that take long, and now and then for others: a small step takes a microsecond, and
// whoever else wants the GIL would make it five thousand.
py::tuple descend(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle reduce, py::ssize_t batch,
                  py::handle threads, bool check, const py::list& trained, const Updater& updater, py::handle rates,
                  py::array_t<double, py::array::c_style> losses, bool finite, py::handle stop_flag);

}  // namespace kilograd
