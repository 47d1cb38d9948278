// An attribute of a served class under its author's name, and how operands and local gradients are shown and set.
#pragma once

#include "class.hpp"

namespace kilograd {

enum class Role : std::uint8_t { Data, Grad, Children, Locals, Pairs, Op, Rule, Label, Extra };
enum class Container : std::uint8_t { Set, Frozenset, Tuple, List };

// An attribute of a served class, under the author's name for it.
struct Member {
    PyObject_HEAD PyObject* name;
    PyObject* empty;     // what a leaf shows, Ellipsis where it has no such attribute; or null, for one of its own
    PyObject* on_class;  // what the class itself shows (a dataclass default), or null
    PyObject* live;      // the class of the lists or sets that it shows, or null: they note that they are being changed
    bool watched;        // the author's methods read it: a value of the program's makes a node foreign
    Role role;
    Container container;
    Container leaf_container;  // of a leaf, empty
};

bool is_container(Container container, PyObject* object);
PyObject* in_container(Container container, PyObject* tuple);  // steals; null with an error set
// New tuples, or null with an error set.
PyObject* operand_tuple(Node* node);
PyObject* local_tuple(Node* node);
PyObject* pair_tuple(Node* node);  // of operands with their local gradients

// Whether that is what a leaf shows.
bool shows_empty(const Member* member, PyObject* value);
// What the program sets; what the engine cannot hold makes the node foreign. -1 with an error set.
int set_children(const Member* member, Handle* handle, PyObject* value);
int set_locals(const Member* member, Handle* handle, PyObject* value);
int set_pairs(const Member* member, Handle* handle, PyObject* value);

}  // namespace kilograd
