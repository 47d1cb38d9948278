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

#include "../numbers.hpp"
#include "../value/handle.hpp"

namespace kilograd {

void add_served(pybind11::module_& module);
bool is_served_type(PyTypeObject* type);
void drop_foreign_flag(Node* node);
PyObject* run_served_rule(Node* node);  // the rule of one node, in Python arithmetic where it is Foreign

// --- for copies and pickles --------------------------------------------------------------------------------------

bool is_served(const Node* node);

// A number as a Python object of its kind, NumpyKind among them.
PyObject* served_number(double value, std::uint8_t kind);
// And back: numbers that a node holds exactly, type included. Never raises.
bool is_number_like_slow(PyObject* object, Number& out);
inline bool is_number_like(PyObject* object, Number& out) {
    if (PyFloat_CheckExact(object)) [[likely]] {
        out = {PyFloat_AS_DOUBLE(object), FloatKind};
        return true;
    }
    return is_number_like_slow(object, out);
}

// What the op attribute shows for a native operation: a pattern with "{}" for an exponent, borrowed, or null.
PyObject* op_pattern(const Node* node);
void note_op_pattern(Node* node, PyObject* pattern);  // for a node that was made elsewhere

// Authors' rules are closures over the original node and its operands, and a copy of a node shares its closure.
bool copy_shares_rule(const Node* node);
bool share_rule(Node* original, Node* copy);  // false with an error set

}  // namespace kilograd
