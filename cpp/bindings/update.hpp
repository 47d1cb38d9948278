// Optimiser steps, gradient clipping, and arrays in and out of lists of Values.
//
// kilograd.optim hands a step function its settings as a tuple of arguments. `BoundUpdate` is such a tuple read once
// and stepped many times, for loops that stay in C++: the arithmetic is the same, so is the trajectory to the last bit.
// It keeps settings and arrays but no parameters: Python code between two steps may give a Value another node.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <span>

namespace kilograd {

struct Node;

void add_update(pybind11::module_& m);  // zero_grad, *_step, clip_*, read_*, write_data, leaves

class BoundUpdate {
  public:
    // `kernel` names the step function ("sgd", "adam", "rmsprop"), `arguments` is what it would be called with and must
    // outlive this object; `count` is how many parameters there are. Limits are numbers or None. Null with an error
    // set.
    static std::unique_ptr<BoundUpdate> read(const char* kernel, PyObject* arguments, std::size_t count,
                                             PyObject* clip_norm, PyObject* clip_value);
    virtual ~BoundUpdate() = default;

    // Clips and steps, at a rate of its own; the settings then are those of the next step. False, with the parameters
    // as before, where the norm of the gradient is not finite.
    virtual bool step(double rate, std::span<Node* const> parameters) = 0;
};

}  // namespace kilograd
