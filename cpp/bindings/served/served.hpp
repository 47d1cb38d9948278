// Served classes: a program's own `Value` class, run on the engine.
//
// A served class is a family whose type has only what the author's class has. Every native operation has the author's
// own function beside it: the fast path takes exact operands and finite results, and whatever else comes (an array, an
// error, a subclass, a number that a double cannot hold) goes to the author's code, which builds the node through the
// constructor and a closure. So the native path may be narrow, and an exception comes from the author's own line.
//
// A node whose data, gradient or operands the engine cannot hold is Foreign: the object is kept in the handle's
// __dict__, and backward() through such a node is the author's.
#pragma once

#include <pybind11/pybind11.h>

namespace kilograd {

void add_served(pybind11::module_& module);

}  // namespace kilograd
