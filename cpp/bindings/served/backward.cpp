#include <algorithm>

#include "class.hpp"

namespace kilograd {

PyObject* local_object(Node* node, std::uint32_t index) {
    if (node->op == Op::linear) {
        Fan::Edge& edge = node->fan->begin()[index];
        return served_number(edge.local, edge.kind);
    }
    if (node->op == Op::add) return PyLong_FromLong(1);
    Node* other = index ? node->a : node->b;
    const Served& own = *served_of(node);
    if (node->op == Op::mul) {
        PyObject* object = foreign_value(other, own.data_name);
        return object ? Py_NewRef(object) : served_number(other->data, other->kinds.data);
    }
    Locals locals = locals_of(node);
    return PyFloat_FromDouble(index ? locals.db : locals.da);
}

PyObject* run_served_rule(Node* node) {
    if (node->is_leaf() || node->op == Op::custom) Py_RETURN_NONE;
    if (!any_foreign(node)) {
        apply_own_rule(node);
        Py_RETURN_NONE;
    }
    PyObject* name = served_of(node)->grad_name;
    PyObject* self = handle_of(node);
    if (!self) return nullptr;
    std::vector<Node*> operands;
    for_each_operand(node, [&](Node* operand) { operands.push_back(operand); });
    for (std::uint32_t i = 0; i < operands.size(); ++i) {
        PyObject* grad = PyObject_GetAttr(self, name);
        PyObject* local = grad ? local_object(node, i) : nullptr;
        // `+` adds the gradient itself: multiplying it by one could change its type.
        PyObject* term = !local ? nullptr : node->op == Op::add ? Py_NewRef(grad) : PyNumber_Multiply(local, grad);
        PyObject* operand = term ? handle_of(operands[i]) : nullptr;
        PyObject* old = operand ? PyObject_GetAttr(operand, name) : nullptr;
        PyObject* sum = old ? PyNumber_InPlaceAdd(old, term) : nullptr;
        bool ok = sum && PyObject_SetAttr(operand, name, sum) == 0;
        for (PyObject* object : {grad, local, term, operand, old, sum}) Py_XDECREF(object);
        if (!ok) {
            Py_DECREF(self);
            return nullptr;
        }
    }
    Py_DECREF(self);
    Py_RETURN_NONE;
}

namespace {

// The interior nodes in the order in which a recursive search, operands first, leaves them: the order in which authors
// sum gradients when their nodes keep the operands in a tuple.
std::vector<Node*> depth_first(Node* root) {
    struct Frame {
        Node* node;
        std::uint32_t next;
    };
    std::vector<Node*> order;
    std::vector<Frame> stack;
    auto operand = [](Node* node, std::uint32_t i) -> Node* {
        if (node->has_fan()) return i < node->fan->count ? node->fan->begin()[i].operand : nullptr;
        return i == 0 ? node->a : i == 1 ? node->b : nullptr;
    };
    auto enter = [&](Node* node) {
        if (node->flags & Marked) return;  // a leaf, or seen
        node->flags |= Marked;
        stack.push_back({node, 0});
    };
    enter(root);
    while (!stack.empty()) {
        Frame& frame = stack.back();
        if (Node* next = operand(frame.node, frame.next++)) {
            enter(next);
        } else {
            order.push_back(frame.node);
            stack.pop_back();
        }
    }
    for (Node* node : order) node->flags &= static_cast<std::uint8_t>(~Marked);
    std::reverse(order.begin(), order.end());
    return order;
}

}  // namespace

PyObject* native_backward(PyObject* self) {
    Node* root = node_of(self);
    const Served& own = *served_of(root);
    if (root->is_foreign() || !recording()) return nullptr;
    if (foreign_alive == 0 && rules_alive == 0 && !own.depth_first) {
        if (!backward(root, 1.0, own.one)) return nullptr;
        Py_RETURN_NONE;
    }
    std::vector<Node*> order = own.depth_first ? depth_first(root) : ancestors(root).interior;
    bool foreign = false;
    if (foreign_alive)
        for (Node* node : order) foreign |= any_foreign(node);
    if (rules_alive)  // a leaf with a rule has its turn in the author's order, not in ours
        for (Node* leaf : ancestors(root).leaves) foreign |= leaf->has(Rule);
    if (foreign) return nullptr;
    root->grad = 1.0;
    root->kinds.grad = own.one;
    // The caller's reference to the root keeps all of these nodes alive while a Python rule runs.
    for (Node* node : order) {
        if (node->has(Rule)) {
            if (!hooks.run_rule(node)) return nullptr;
        } else if (foreign_alive == 0) {
            apply_own_rule(node);
        } else {
            PyObject* done = run_served_rule(node);
            if (!done) return nullptr;
            Py_DECREF(done);
        }
    }
    Py_RETURN_NONE;
}

}  // namespace kilograd
