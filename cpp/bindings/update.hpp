// Update rules, gradient clipping, and arrays in and out of lists of Values: kilograd.optim, kilograd.arrays.
#pragma once

#include <memory>

#include "../nn/update.hpp"
#include "boxed.hpp"
#include "pybind.hpp"

namespace kilograd {

struct Updater {
    using boxed = void;
    std::unique_ptr<nn::UpdateRule> rule;  // there is one
};

struct Bookmark {
    using boxed = void;
    nn::Bookmark state;
};

void add_update(py::module_& m);

}  // namespace kilograd
