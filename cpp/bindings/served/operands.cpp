// Operands and local gradients of served classes: the containers in which a node shows them, and what the program sets.
#include <algorithm>

#include "member.hpp"

namespace kilograd {

PyObject* in_container(Container container, PyObject* tuple) {  // steals
    if (!tuple || container == Container::Tuple) return tuple;
    PyObject* result = container == Container::Set         ? PySet_New(tuple)
                       : container == Container::Frozenset ? PyFrozenSet_New(tuple)
                                                           : PySequence_List(tuple);
    Py_DECREF(tuple);
    return result;
}

bool is_container(Container container, PyObject* object) {
    switch (container) {
        case Container::Set:
            return PySet_CheckExact(object);
        case Container::Frozenset:
            return PyFrozenSet_CheckExact(object);
        case Container::Tuple:
            return PyTuple_CheckExact(object);
        case Container::List:
            return PyList_CheckExact(object);
    }
    return false;
}

PyObject* operand_tuple(Node* node) {
    std::vector<Node*> operands;
    for_each_operand(node, [&](Node* operand) { operands.push_back(operand); });
    PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(operands.size()));
    for (std::size_t i = 0; tuple && i < operands.size(); ++i) {
        PyObject* operand = handle_of(operands[i]);
        if (!operand)
            Py_CLEAR(tuple);
        else
            PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(i), operand);
    }
    return tuple;
}

PyObject* local_tuple(Node* node) {
    // A sum needs no place for its local gradients: they are one, whatever becomes of the data.
    std::uint32_t count = node->op == Op::linear ? node->fan->count : node->op == Op::add ? 2 : 0;
    if (node->is_fixed()) count = node->b ? 2 : 1;
    PyObject* tuple = PyTuple_New(count);
    for (std::uint32_t i = 0; tuple && i < count; ++i) {
        PyObject* local = local_object(node, i);
        if (!local)
            Py_CLEAR(tuple);
        else
            PyTuple_SET_ITEM(tuple, i, local);
    }
    return tuple;
}

PyObject* pair_tuple(Node* node) {
    const Owned operands(operand_tuple(node)), locals(operands ? local_tuple(node) : nullptr);
    if (!locals) return nullptr;
    const Py_ssize_t count = std::min(PyTuple_GET_SIZE(operands.get()), PyTuple_GET_SIZE(locals.get()));
    Owned tuple(PyTuple_New(count));
    for (Py_ssize_t i = 0; tuple && i < count; ++i) {
        PyObject* pair = PyTuple_Pack(2, PyTuple_GET_ITEM(operands.get(), i), PyTuple_GET_ITEM(locals.get(), i));
        if (!pair) return nullptr;
        PyTuple_SET_ITEM(tuple.get(), i, pair);
    }
    return tuple.release();
}

namespace {

// The handle gets another node that has these operands and is otherwise as the old one.
bool set_operands(Handle* handle, PyObject* sequence) {
    Node* old = handle->node;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(sequence);
    Node* node;
    if (count == 0) {
        node = served_leaf({old->data, static_cast<Kind>(old->kinds.data)}, old->family);
    } else {
        Fan* fan = new_fan(static_cast<std::uint32_t>(count));
        fan->tag = 0;
        for (Py_ssize_t i = 0; i < count; ++i)
            fan->begin()[i] = {node_of(PySequence_Fast_GET_ITEM(sequence, i)), 0.0, FloatKind};
        node = record_fan(Op::custom, old->data, static_cast<Kind>(old->kinds.data), fan, old->family, ExactInts);
    }
    node->grad = old->grad;
    node->kinds.grad = old->kinds.grad;
    replace_node(handle, node);
    if (!bind_operands(handle)) return false;
    const Served& own = *served_of(node);
    return !own.rule || set_method_rule(handle);
}

// Whether the engine can have that object as an operand of the node.
bool is_operand(const Node* node, PyObject* object) {
    return PyObject_TypeCheck(object, served_type) && node_of(object)->family == node->family &&
           node_of(object) != node;
}

}  // namespace

bool shows_empty(const Member* member, PyObject* value) {
    if (member->empty == Py_Ellipsis) return false;
    if (value == member->empty) return true;
    if (!member->empty) return is_container(member->leaf_container, value) && PyObject_Size(value) == 0;
    return PyFrozenSet_CheckExact(value) && PyFrozenSet_CheckExact(member->empty) && PySet_GET_SIZE(value) == 0;
}

int set_children(const Member* member, Handle* handle, PyObject* value) {
    Node* node = handle->node;
    give_fan(node);
    bool fitting = is_container(member->container, value);
    PyObject* sequence =
        PyAnySet_Check(value) || PyTuple_Check(value) || PyList_Check(value) ? PySequence_Tuple(value) : nullptr;
    if (member->empty && value == member->empty) {
        Py_XSETREF(sequence, PyTuple_New(0));
    }
    if (sequence && PySequence_Fast_GET_SIZE(sequence) == 0) fitting = shows_empty(member, value);
    for (Py_ssize_t i = 0; sequence && i < PySequence_Fast_GET_SIZE(sequence); ++i) {
        PyObject* item = PySequence_Fast_GET_ITEM(sequence, i);
        if (!is_operand(node, item)) Py_CLEAR(sequence);
    }
    // A node that has consumers keeps its place on the tape, so it can be given no operands that came after it. The
    // result of a native operation keeps its rule when its operands are taken away, as an author's closure does.
    bool movable = node->refs == 1 && (node->is_leaf() || node->op == Op::custom);
    if (sequence && fitting && node->has_fan() && PyAnySet_Check(value)) {  // a second view of the same operands
        PyObject* present = in_container(member->container, operand_tuple(node));
        int same = present ? PyObject_RichCompareBool(present, value, Py_EQ) : -1;
        Py_XDECREF(present);
        if (same) {
            Py_DECREF(sequence);
            return same < 0 ? -1 : 0;
        }
    }
    if (sequence && fitting && movable) {
        bool ok = drop_foreign(handle, member->name);
        bool trivial = node->is_leaf() && PySequence_Fast_GET_SIZE(sequence) == 0;
        if (ok && !trivial) ok = set_operands(handle, sequence);
        Py_DECREF(sequence);
        return ok ? 0 : -1;
    }
    Py_XDECREF(sequence);
    PyErr_Clear();
    return keep_foreign(handle, member->name, value) ? 0 : -1;
}

int set_locals(const Member* member, Handle* handle, PyObject* value) {
    Node* node = handle->node;
    bool fitting = node->is_leaf() ? shows_empty(member, value) : is_container(member->container, value);
    if (node->is_leaf() && fitting) return drop_foreign(handle, member->name) ? 0 : -1;
    PyObject* sequence = fitting ? PySequence_Tuple(value) : nullptr;
    Py_ssize_t count = sequence ? PySequence_Fast_GET_SIZE(sequence) : -1;
    bool ok = false;
    give_fan(node);
    if (count > 0 && node->has_fan() && count == static_cast<Py_ssize_t>(node->fan->count)) {
        std::vector<Number> locals(static_cast<std::size_t>(count));
        ok = true;
        for (Py_ssize_t i = 0; i < count; ++i)
            ok = ok &&
                 is_held(*served_of(node), PySequence_Fast_GET_ITEM(sequence, i), locals[static_cast<std::size_t>(i)]);
        for (Py_ssize_t i = 0; ok && i < count; ++i) {
            Number number = locals[static_cast<std::size_t>(i)];
            node->fan->begin()[i].local = number.value;
            node->fan->begin()[i].kind = number.kind;
        }
        if (ok) node->op = Op::linear;
    }
    Py_XDECREF(sequence);
    if (ok) return drop_foreign(handle, member->name) ? 0 : -1;
    PyErr_Clear();
    return keep_foreign(handle, member->name, value) ? 0 : -1;
}

int set_pairs(const Member* member, Handle* handle, PyObject* value) {
    Node* node = handle->node;
    if (node->is_leaf() && shows_empty(member, value)) return drop_foreign(handle, member->name) ? 0 : -1;
    const bool movable = node->refs == 1 && (node->is_leaf() || node->op == Op::custom);  // see set_children()
    Owned pairs(movable && is_container(member->container, value) ? PySequence_Tuple(value) : nullptr);
    const Py_ssize_t count = pairs ? PyTuple_GET_SIZE(pairs.get()) : 0;
    Owned operands(count ? PyTuple_New(count) : nullptr);
    std::vector<Number> locals(static_cast<std::size_t>(count));
    bool fitting = static_cast<bool>(operands);
    for (Py_ssize_t i = 0; fitting && i < count; ++i) {
        PyObject* pair = PyTuple_GET_ITEM(pairs.get(), i);
        PyObject* operand =
            PyTuple_CheckExact(pair) && PyTuple_GET_SIZE(pair) == 2 ? PyTuple_GET_ITEM(pair, 0) : nullptr;
        fitting = operand && is_operand(node, operand) &&
                  is_held(*served_of(node), PyTuple_GET_ITEM(pair, 1), locals[static_cast<std::size_t>(i)]);
        if (fitting) PyTuple_SET_ITEM(operands.get(), i, Py_NewRef(operand));
    }
    if (!fitting) {
        PyErr_Clear();
        return keep_foreign(handle, member->name, value) ? 0 : -1;
    }
    if (!drop_foreign(handle, member->name) || !set_operands(handle, operands.get())) return -1;
    node = handle->node;
    for (std::size_t i = 0; i < locals.size(); ++i) {
        node->fan->begin()[i].local = locals[i].value;
        node->fan->begin()[i].kind = locals[i].kind;
    }
    node->op = Op::linear;
    return 0;
}

}  // namespace kilograd
