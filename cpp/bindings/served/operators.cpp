// The operators +, * and ** of served classes. A slot tries the native way first; what that leaves goes to the author's
// method, by Python's own rule for operands of two classes.
#include <cmath>

#include "../../engine/typed.hpp"
#include "../../portable.hpp"
#include "class.hpp"

namespace kilograd {

namespace {

// A sum, difference or product; false where the author's method has to compute it.
template <class Operation>
inline bool compute(Operation operation, const Node* a, const Node* b, Number& out) {
    const Typed y = apply_typed(operation, {a->data, a->kinds.data}, {b->data, b->kinds.data});
    out = {y.value, static_cast<Kind>(y.kind)};
    if (out.kind == FloatKind) [[likely]]
        return make_number(*served_of(a), out);
    if (is_integral(out.kind) ? !(std::fabs(out.value) < exact_integers) : !std::isfinite(out.value))
        return false;  // NumPy warns
    return make_number(*served_of(a), out);
}

// Null without an error where the author's method has to do it.
template <Op op>
PyObject* native_plain(Node* a, Node* b, std::uint8_t mode) {
    const auto operation = [](auto x, auto y) { return op == Op::add ? x + y : x * y; };
    Number y;
    if (!compute(operation, a, b, y)) return nullptr;
    const std::uint8_t fixed = op == Op::add ? Captured | FloatUnit : Captured;  // 1 is an int unless fixed to 1.0
    return wrap((mode & fixed) == fixed ? served_fixed(op, y.value, y.kind, a, b)
                                        : served_node(op, y.value, y.kind, a, b, 0.0, FloatKind));
}

// a - b, or -a where b is null: their local gradients are 1 and -1, whatever becomes of the data.
PyObject* native_difference(Node* a, Node* b, const Operator& operation) {
    const auto subtract = [b](auto x, auto y) { return b ? x - y : -x; };
    Number y;
    if (!compute(subtract, a, b ? b : a, y)) return nullptr;
    const std::uint8_t minus = operation.mode & FloatUnit ? FloatKind : IntKind;
    const std::uint8_t plus =
        operation.mode & Captured ? minus : std::uint8_t{IntKind};  // else it gets the gradient itself
    Fan* fan = new_fan(b ? 2 : 1);
    fan->tag = operation.tag;
    if (b) fan->begin()[0] = {a, 1.0, plus};
    fan->begin()[b ? 1 : 0] = {b ? b : a, -1.0, minus};
    Node* node = record_fan(Op::linear, y.value, y.kind, fan, a->family, ExactInts);
    node->kinds.grad = served_of(a)->zero;
    ++built_natively;
    return wrap(node);
}

// Whether the local derivative of a**c is finite, and c is a case that Python and the engine compute alike.
bool plain_power(double a, double c) {
    return std::isfinite(a) && std::isfinite(c) && c != 0.0 && (c >= 1.0 || (std::fabs(a) >= 1e-20 && c >= -14.0));
}

// A power as Python and NumPy compute it: integers to a negative one are floats, and NumPy's raise.
bool compute_power(Typed x, Typed c, Number& out) {
    const bool inverse = c.value < 0.0 && is_integral(x.kind) && is_integral(c.kind);
    if (inverse && (is_numpy(x.kind) || x.value == 0.0)) return false;
    const auto power = [](auto base, auto exponent) { return std::pow(base, exponent); };
    const Typed y = apply_typed(power, x, inverse ? Typed{c.value, FloatKind} : c);
    out = {y.value, static_cast<Kind>(y.kind)};
    return std::isfinite(y.value) && (!is_integral(y.kind) || std::fabs(y.value) < exact_integers);
}

PyObject* native_power(Node* a, Number c, std::uint8_t mode) {
    if (c.kind == BoolKind || is_numpy(c.kind) || !plain_power(a->data, c.value)) return nullptr;
    Number y;
    if (!compute_power({a->data, a->kinds.data}, {c.value, c.kind}, y) || !make_number(*served_of(a), y))
        return nullptr;
    if (!(mode & Captured) && !(a->kinds.data & c.kind & IntKind))
        return wrap(served_node(Op::powc, y.value, y.kind, a, nullptr, c.value, c.kind));
    Number slope;
    if (!compute_power({a->data, a->kinds.data}, {c.value - 1.0, c.kind}, slope)) return nullptr;
    const Typed da = apply_typed([](auto x, auto y) { return x * y; }, {c.value, c.kind}, {slope.value, slope.kind});
    if (is_integral(da.kind) && !(std::fabs(da.value) < exact_integers)) return nullptr;
    if (!(mode & Captured)) return wrap(served_node(Op::powc, y.value, y.kind, a, nullptr, c.value, c.kind));
    if (da.kind == SingleKind || da.kind == NumpyIntKind) return nullptr;  // which no constant holds
    return wrap(served_fixed(Op::powc, y.value, y.kind, a, nullptr, {da.value, da.kind}));
}

// An object of the class itself. One of a subclass may have overridden what the author's method reads or makes.
bool native_operand(PyObject* object, std::uint8_t family) {
    return is_exact_value(object) && node_of(object)->family == family && !node_of(object)->is_foreign();
}

template <OperatorIndex index>
PyObject* native_operation(PyObject* self, PyObject* other, bool reflected, std::uint8_t mode) {
    Node* node = node_of(self);
    if (node->is_foreign() || !recording() || !is_exact_value(self)) return nullptr;
    if constexpr (index > Power) {
        const Operator& own = served_of(node)->operators[index];
        const Composition* composition = (reflected ? own.reflected_composition : own.composition).get();
        if (composition) return composed(*composition, self, other);
        if (reflected) return nullptr;
        if (index == Negate) return native_difference(node, nullptr, own);
        const auto operation = index == Divide ? native_quotient : native_difference;
        if (native_operand(other, node->family)) return operation(node, node_of(other), own);
        Number number{};
        if (!(mode & Numbers) || !is_held(*served_of(node), other, number) || !make_number(*served_of(node), number))
            return nullptr;
        const Held leaf(served_leaf(number, node->family));
        return operation(node, leaf.get(), own);
    } else if constexpr (index == Power) {
        Number number{};
        if (reflected || !(mode & Numbers) || !is_held(*served_of(node), other, number)) return nullptr;
        return native_power(node, number, mode);
    } else {
        constexpr Op op = index == Add ? Op::add : Op::mul;
        if (native_operand(other, node->family)) {
            if (!(mode & Nodes)) return nullptr;
            return native_plain<op>(node, node_of(other), mode);
        }
        Number number{};
        if (!(mode & Numbers) || !is_held(*served_of(node), other, number) || !make_number(*served_of(node), number))
            return nullptr;
        Node* leaf = served_leaf(number, node->family);
        bool node_first = !reflected || (mode & Swapped);
        PyObject* result = native_plain<op>(node_first ? node : leaf, node_first ? leaf : node, mode);
        release(leaf);
        return result;
    }
}

template <OperatorIndex index>
PyObject* operate(PyObject* left, PyObject* right) {
    bool forward = PyObject_TypeCheck(left, served_type);
    PyObject* self = forward ? left : right;
    PyObject* other = forward ? right : left;
    const Operator& own = served_of(node_of(self))->operators[index];
    PyObject* function = forward ? own.function : own.reflected;
    if (!function) Py_RETURN_NOTIMPLEMENTED;
    PyObject* arguments[] = {self, other};
    return PyObject_Vectorcall(function, arguments, 2, nullptr);
}

constexpr const char* forward_names[] = {"__add__", "__mul__", "__pow__", "__sub__", "__truediv__"};
constexpr const char* reflected_names[] = {"__radd__", "__rmul__", "__rpow__", "__rsub__", "__rtruediv__"};

// Python's own rule for a binary operator, for operands whose classes may override it: the right operand goes first
// where its class derives from the left one's and has a reflected method of its own.
PyObject* general_operation(OperatorIndex index, PyObject* left, PyObject* right) {
    auto look_up = [](PyObject* object, const char* name) {
        PyObject* method = PyObject_TypeCheck(object, served_type)
                               ? PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(object)), name)
                               : nullptr;
        if (!method) PyErr_Clear();
        return Owned(method);
    };
    auto call = [](const Owned& method, PyObject* self, PyObject* other) {
        if (!method) Py_RETURN_NOTIMPLEMENTED;
        PyObject* arguments[] = {self, other};
        return PyObject_Vectorcall(method.get(), arguments, 2, nullptr);
    };
    Owned forward = look_up(left, forward_names[index]);
    Owned reflected = Py_TYPE(left) == Py_TYPE(right) ? Owned() : look_up(right, reflected_names[index]);
    if (forward && reflected && PyType_IsSubtype(Py_TYPE(right), Py_TYPE(left)) &&
        reflected.get() != look_up(left, reflected_names[index]).get()) {
        PyObject* result = call(reflected, right, left);
        if (result != Py_NotImplemented) return result;
        Py_DECREF(result);
        reflected = Owned();
    }
    PyObject* result = call(forward, left, right);
    if (result != Py_NotImplemented) return result;
    Py_DECREF(result);
    return call(reflected, right, left);
}

template <OperatorIndex index>
PyObject* native_or_null(PyObject* self, PyObject* other, bool reflected) {
    const Served* own = served_of(node_of(self));
    if (!own) return nullptr;
    std::uint8_t mode = reflected ? own->operators[index].reflected_mode : own->operators[index].mode;
    return mode && !own->is_paused() ? native_operation<index>(self, other, reflected, mode) : nullptr;
}

// What the result of two nodes is where they are of one class and hold floats and nothing else; else null.
template <OperatorIndex index>
const Tag* plain_result(const Node* a, const Node* b) {
    if (a->kinds.data != FloatKind || b->kinds.data != FloatKind || a->family != b->family) return nullptr;
    if (carries_state(a) || carries_state(b)) return nullptr;  // what is foreign does
    const Tag& result = served_of(a)->plain_results[index];
    return result.op == Op::leaf ? nullptr : &result;
}

// left + right where both are served, of two classes: the left one's method, then the right one's reflected one.
template <OperatorIndex index>
KILOGRAD_NOINLINE PyObject* binary_slow(PyObject* left, PyObject* right) {
    // What is native needs neither a look at the classes' methods nor at what they derive from.
    bool forward = is_exact_value(left);
    if (!forward && !PyFloat_CheckExact(left) && !PyLong_CheckExact(left)) {
        PyObject* result = numpy_operation(index, left, right);
        if (result || PyErr_Occurred()) return result;
    }
    if (forward || is_exact_value(right)) [[likely]] {
        PyObject* result = native_or_null<index>(forward ? left : right, forward ? right : left, !forward);
        if (result || PyErr_Occurred()) return result;
    }
    auto overriding = [](PyObject* object) {
        return Py_TYPE(object)->tp_dealloc != handle_dealloc && PyObject_TypeCheck(object, served_type);
    };
    if (overriding(left) || overriding(right)) [[unlikely]]
        return general_operation(index, left, right);
    PyObject* result = operate<index>(left, right);
    if (result != Py_NotImplemented || !PyObject_TypeCheck(left, served_type) ||
        !PyObject_TypeCheck(right, served_type) || node_of(left)->family == node_of(right)->family)
        return result;
    PyObject* function = served_of(node_of(right))->operators[index].reflected;
    if (!function) return result;
    Py_DECREF(result);
    PyObject* arguments[] = {right, left};
    return PyObject_Vectorcall(function, arguments, 2, nullptr);
}

template <OperatorIndex index>
PyObject* binary_slot(PyObject* left, PyObject* right) {
    if constexpr (index < Power) {
        if (is_exact_value(left) && is_exact_value(right) && no_grad_blocks == 0) [[likely]] {
            Node *const a = node_of(left), *const b = node_of(right);
            if (const Tag* result = plain_result<index>(a, b)) [[likely]] {
                Node* node = arena().new_node();
                ++a->refs;
                ++b->refs;
                ++built_natively;
                const double y = index == Add ? a->data + b->data : a->data * b->data;
                return new_handle(fill(node, *result, y, a, b, 0.0));
            }
        }
    }
    return binary_slow<index>(left, right);
}

PyObject* power_slot(PyObject* left, PyObject* right, PyObject* modulus) {
    if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
    return binary_slot<Power>(left, right);
}

PyObject* negative_slot(PyObject* self) {
    if (is_exact_value(self)) {
        PyObject* result = native_or_null<Negate>(self, nullptr, false);
        if (result || PyErr_Occurred()) return result;
    }
    return PyObject_CallOneArg(served_of(node_of(self))->operators[Negate].function, self);
}

}  // namespace

const NativeOperation native_operations[operator_count] = {native_or_null<Add>,    native_or_null<Multiply>,
                                                           native_or_null<Power>,  native_or_null<Subtract>,
                                                           native_or_null<Divide>, native_or_null<Negate>};

void add_operator_slots(std::vector<PyType_Slot>& slots) {
    slots.insert(slots.end(), {slot<binary_slot<Add>>(Py_nb_add), slot<binary_slot<Multiply>>(Py_nb_multiply),
                               slot<power_slot>(Py_nb_power)});
}

void set_operator_slot(const Served& own, OperatorIndex index) {
    PyNumberMethods* number = own.type->tp_as_number;
    const bool there = own.operators[index].function || own.operators[index].reflected ||
                       (own.numpy_left && index != Negate);  // NumPy's scalars ask for it
    if (index == Subtract) number->nb_subtract = there ? Slot<binary_slot<Subtract>>::call : nullptr;
    if (index == Divide) number->nb_true_divide = there ? Slot<binary_slot<Divide>>::call : nullptr;
    if (index == Negate) number->nb_negative = there ? Slot<negative_slot>::call : nullptr;
}

void give_operators(PyTypeObject* type) {
    PyNumberMethods* number = type->tp_as_number;
    number->nb_add = Slot<binary_slot<Add>>::call;
    number->nb_multiply = Slot<binary_slot<Multiply>>::call;
    number->nb_power = Slot<power_slot>::call;
    number->nb_subtract = Slot<binary_slot<Subtract>>::call;
    number->nb_true_divide = Slot<binary_slot<Divide>>::call;
}

}  // namespace kilograd
