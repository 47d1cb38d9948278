// backward() of served classes, in the author's order: order decides the last bit of a sum of gradients. The engine
// does it as long as it holds all the numbers exactly; a step that it cannot do runs in Python's arithmetic, so that
// types and exceptions are the author's.
#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "../../engine/backward.hpp"
#include "../../engine/order.hpp"
#include "../../engine/typed.hpp"
#include "class.hpp"

namespace kilograd {

namespace {

PyObject* data_object(Node* node) {
    PyObject* object = foreign_value(node, served_of(node)->data_name);
    return object ? Py_NewRef(object) : PyErr_Occurred() ? nullptr : exact_number_object(node->data, node->kinds.data);
}

// c * x ** (c - 1), as authors have it, in the arithmetic of x.
PyObject* power_slope(Node* node) {
    const Owned x(data_object(node->a)), c(exact_number_object(node->constant, node->kinds.constant));
    const Owned one(PyLong_FromLong(1)), less(c && one ? PyNumber_Subtract(c.get(), one.get()) : nullptr);
    const Owned power(x && less ? PyNumber_Power(x.get(), less.get(), Py_None) : nullptr);
    return power ? PyNumber_Multiply(c.get(), power.get()) : nullptr;
}

// Of a difference, how its author's rule is written.
Minus minus_of(const Node* node) {
    if (node->op != Op::linear) return Minus::Products;
    const std::vector<Minus>& minuses = served_of(node)->minuses;
    return node->fan->tag < minuses.size() ? minuses[node->fan->tag] : Minus::Products;
}

// What flows to an operand; of a log by quotient, `local` is the operand's data.
PyObject* term_of(const Node* node, bool first, PyObject* local, PyObject* grad) {
    if (const Minus minus = minus_of(node); minus != Minus::Products) {
        if (first && node->fan->count == 2) return Py_NewRef(grad);
        if (minus != Minus::Product) return minus == Minus::Negated ? PyNumber_Negative(grad) : Py_NewRef(grad);
    }
    if (node->is_fixed()) return PyNumber_Multiply(local, grad);
    // `+` adds the gradient itself: multiplying it by one could change its type.
    if (node->op == Op::add) return Py_NewRef(grad);
    if (node->op == Op::log && log_rule(node) == LogRule::Quotient) return PyNumber_TrueDivide(grad, local);
    return PyNumber_Multiply(local, grad);
}

// The gradient of a node flows one step, in Python's arithmetic.
bool run_in_python(Node* node) {
    PyObject* name = served_of(node)->grad_name;
    PyObject* self = handle_of(node);
    if (!self) return false;
    std::vector<Node*> operands;
    for_each_operand(node, [&](Node* operand) { operands.push_back(operand); });
    bool ok = true;
    for (std::uint32_t i = 0; ok && i < operands.size(); ++i) {
        PyObject* grad = PyObject_GetAttr(self, name);
        PyObject* local = grad ? local_object(node, i) : nullptr;
        PyObject* term = local ? term_of(node, i == 0, local, grad) : nullptr;
        PyObject* operand = term ? handle_of(operands[i]) : nullptr;
        PyObject* old = operand ? PyObject_GetAttr(operand, name) : nullptr;
        const bool subtracted = minus_of(node) == Minus::Subtracted && i + 1 == operands.size();
        PyObject* sum = !old         ? nullptr
                        : subtracted ? PyNumber_InPlaceSubtract(old, term)
                                     : PyNumber_InPlaceAdd(old, term);
        ok = sum && PyObject_SetAttr(operand, name, sum) == 0;
        for (PyObject* object : {grad, local, term, operand, old, sum}) Py_XDECREF(object);
    }
    Py_DECREF(self);
    return ok;
}

// The op's own rule: the engine's where it has all the numbers and no integer outgrows it.
bool run_own_rule(Node* node) {
    overwritten.settle();  // also in the midst of a sweep, where other rules are Python's
    if (node->is_leaf() || node->op == Op::custom) return true;
    if (const QuotientRule* rule = quotient_rule(node)) return run_quotient_rule(node, *rule);
    if (foreign_alive && any_foreign(node)) return run_in_python(node);
    if (!stays_exact(node)) return apply_typed_rule(node) || run_in_python(node);
    apply_own_rule(node);
    return true;
}

}  // namespace

PyObject* local_object(Node* node, std::uint32_t index) {
    const Slope slope = late_slope(node);
    if (slope != Slope::None && node->is_foreign()) {
        const Owned y(data_object(node));
        return y ? slope_object(slope, y.get()) : nullptr;
    }
    if (node->op == Op::linear) {
        Fan::Edge& edge = node->fan->begin()[index];
        return exact_number_object(edge.local, edge.kind);
    }
    if (node->is_fixed()) {
        overwritten.settle();
        if (!node->is_fixed()) return local_object(node, index);
        if (node->op == Op::add) return PyFloat_FromDouble(1.0);
        const Node* factor = index ? node->a : node->b;
        return node->op == Op::mul ? exact_number_object(factor->data, factor->kinds.data)
                                   : exact_number_object(node->constant, node->kinds.constant);
    }
    if (node->op == Op::add) return PyLong_FromLong(1);
    if (node->op == Op::mul) return data_object(index ? node->a : node->b);
    if (node->op == Op::powc) return power_slope(node);
    if (node->op == Op::relu && is_numpy(relu_decider(node)->kinds.data)) {
        const Owned y(data_object(relu_decider(node) == node ? node : node->a)), zero(PyLong_FromLong(0));
        return y && zero ? PyObject_RichCompare(y.get(), zero.get(), Py_GT) : nullptr;
    }
    if (node->op == Op::log && log_rule(node) != LogRule::Reciprocal) {
        const Owned x(data_object(node->a)), exponent(PyLong_FromLong(-1));
        if (!x || !exponent || log_rule(node) == LogRule::Quotient) return x ? Py_NewRef(x.get()) : nullptr;
        return PyNumber_Power(x.get(), exponent.get(), Py_None);
    }
    if (is_late_exp(node)) {
        const Owned object(data_object(node->a));
        const double x = object ? PyFloat_AsDouble(object.get()) : -1.0;
        if (x == -1.0 && PyErr_Occurred()) return nullptr;
        const double y = Row<Op::exp>::value(x, 0.0, 0.0);
        if (!std::isinf(y) || std::isinf(x)) return PyFloat_FromDouble(y);
        PyErr_SetString(PyExc_OverflowError, "math range error");
        return nullptr;
    }
    PyObject* name = served_of(node)->data_name;
    PyObject* data = nullptr;
    for (Node* holder : {node, node->a}) {
        PyObject* kept = foreign_value(holder, name);
        Number number{};
        if (kept &&
            is_held(*served_of(node), kept, number)) {  // the program looked into __dict__, where the number is now
            if (served_of(node)->fixes_products) overwritten.before_write(holder);
            holder->data = number.value, holder->kinds.data = number.kind;
        } else if (kept && !data) {
            data = kept;
        }
    }
    if (data) {
        PyErr_Format(PyExc_TypeError,
                     "kilograd run: %s() was computed natively before its data became a %.200s, which its derivative "
                     "would need: make the node anew, or run the program without kilograd",
                     info(node->op).name, Py_TYPE(data)->tp_name);
        return nullptr;
    }
    return exact_number_object(locals_of(node).da, local_kind(node, false));
}

PyObject* run_served_rule(Node* node) {
    if (!run_own_rule(node)) return nullptr;
    Py_RETURN_NONE;
}

// All that a root reaches, results first. Leaves have their turn too: a rule that runs before may give them one.
static std::vector<Node*> order_with_leaves(Node* root, Order order) {
    if (order == Order::Tape) {
        Ancestry found = ancestors(root);
        found.interior.insert(found.interior.end(), found.leaves.begin(), found.leaves.end());
        return found.interior;
    }
    struct Frame {
        Node* node;
        std::vector<Node*> operands;  // not asked yet, the next one last
    };
    std::vector<Node*> left;
    std::vector<Frame> stack;
    std::unordered_set<const Node*> seen;
    auto enter = [&](Node* node) {
        if (!seen.insert(node).second) return;
        Frame frame{node, {}};
        for_each_operand(node, [&](Node* operand) { frame.operands.push_back(operand); });
        if (order == Order::FirstOperand) std::reverse(frame.operands.begin(), frame.operands.end());
        stack.push_back(std::move(frame));
    };
    enter(root);
    while (!stack.empty()) {
        std::vector<Node*>& operands = stack.back().operands;
        if (operands.empty()) {
            left.push_back(stack.back().node);
            stack.pop_back();
        } else {
            Node* const operand = operands.back();
            operands.pop_back();
            enter(operand);
        }
    }
    std::reverse(left.begin(), left.end());
    return left;
}

PyObject* native_backward(PyObject* self) {
    Node* root = node_of(self);
    const Served& own = *served_of(root);
    if (root->is_foreign() || !recording() || own.is_paused()) return nullptr;
    overwritten.settle();
    if (foreign_alive == 0 && rules_alive == 0) {
        for (Node* node : backward_while_exact(root, own.one, own.order))
            if (!run_own_rule(node)) return nullptr;
        Py_RETURN_NONE;
    }
    std::vector<Node*> order = own.order == Order::Tape ? ancestors(root).interior : depth_first(root, own.order);
    bool foreign = false;
    if (foreign_alive)
        for (Node* node : order) foreign |= any_foreign(node);
    if (rules_alive)  // a leaf with a rule has its turn in the author's order, not in ours
        for (Node* leaf : ancestors(root).leaves) foreign |= leaf->has(Rule);
    if (foreign) return nullptr;
    if (std::any_of(order.begin(), order.end(), [](const Node* node) { return node->has(Rule); }))
        order = order_with_leaves(root, own.order);
    root->grad = 1.0;
    root->kinds.grad = own.one;
    // The caller's reference to the root keeps all of these nodes alive while a Python rule runs.
    for (Node* node : order)
        if (!(node->has(Rule) ? hooks.run_rule(node) : node->is_leaf() || run_own_rule(node))) return nullptr;
    Py_RETURN_NONE;
}

}  // namespace kilograd
