// The parts of the Python type `Value`, each in a file of its own, which adds its slots to the type.
#pragma once

#include "../python.hpp"
#include "handle.hpp"

namespace kilograd {

// construct.cpp: Value(data, children, op or local gradients, label)
void add_construct_slots(std::vector<PyType_Slot>& slots);
PyObject* value_vectorcall(PyObject* type, PyObject* const* args, std::size_t nargsf, PyObject* keywords);

// attributes.cpp: data, grad, label, _op, _prev, ...
void add_attribute_slots(std::vector<PyType_Slot>& slots);
PyObject* read_data(PyObject* self);  // as Python reads it: what is read while tracing is noted
PyObject* op_label(Node* node);       // what `_op` shows: a new reference

// absent.cpp: names that give an error which says what to write
bool add_absent_attributes(PyTypeObject* type);
bool declare_absent(PyTypeObject* type, PyObject* instead_of);  // of a class written in Python: from a dict of texts

// arithmetic.cpp: the operators and comparisons
void add_arithmetic_slots(std::vector<PyType_Slot>& slots);
// A node for op over a and b or c, a leaf under no_grad(); null with an error set where the operands are refused.
Node* build(Op op, Node* a, Node* b, double c, Kind constant);
// A row of the table without a constant, of Values and numbers; `right` is null where it has one operand.
PyObject* apply_row(Op op, PyObject* left, PyObject* right);
PyObject* value_floor(PyObject* self, PyObject*);  // while tracing: ints, and guards of them
PyObject* value_ceil(PyObject* self, PyObject*);
PyObject* value_trunc(PyObject* self, PyObject*);
PyObject* apply_order(Op op, PyObject* x, int order);  // a row whose constant is an order
PyObject* value_maximum(PyObject* left, PyObject* right);
PyObject* value_minimum(PyObject* left, PyObject* right);

// methods.cpp: one method per row of the op table, backward, formatting
void add_method_slots(std::vector<PyType_Slot>& slots);

inline void add_value_slots(std::vector<PyType_Slot>& slots) {
    add_construct_slots(slots);
    add_attribute_slots(slots);
    add_arithmetic_slots(slots);
    add_method_slots(slots);
}

}  // namespace kilograd
