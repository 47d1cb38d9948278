// Descent: steps of an optimiser in a loop that stays in C++.
#pragma once

#include "recorded.hpp"

namespace kilograd {

// Steps of an optimiser: (how many were made, whether one was begun, an exception or None). Step k is zero_grad(),
// backward() over the next `batch` rows, beginning again after the last, and the update at rates[k]; its loss goes to
// losses[k]. At a step that is not regular (an op or the optimiser refuses a number; where `finite` is set, a loss or a
// parameter is not finite, or a parameter is no leaf any more) the loop ends; what such a step changed before it was
// refused is not tidied up. Without a kernel a step ends with the gradient.
//
// The GIL is given up for programs that take long, and now and then for others: a small step takes a microsecond, and
// whoever else wants the GIL would make it five thousand.
py::tuple descend(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle reduce, py::ssize_t batch,
                  py::handle threads, bool check, const py::list& trained, py::handle kernel, const py::tuple& settings,
                  py::handle clip_norm, py::handle clip_value, const py::array_t<double, py::array::c_style>& rates,
                  py::array_t<double, py::array::c_style> losses, bool finite, py::handle stop_flag);

}  // namespace kilograd
