// The operators. Their structure is part of the contract, because people draw it: `-a` is `a * -1`, `a - b` is
// `a + (-b)`, `a / b` is `a * b**-1`, and a number operand becomes a leaf.
#include <cmath>
#include <cstring>

#include "../../portable.hpp"
#include "../errors.hpp"
#include "../modes.hpp"
#include "../numbers.hpp"
#include "value.hpp"

namespace kilograd {

namespace {

Node* leaf_like(Number number, const Node* like) {
    return new_leaf(number.value, number.kind, like->family, like->flags & ExactInts);
}

// add and mul: nothing to refuse, and hot.
template <Op op>
Node* build_plain(Node* a, Node* b) {
    double y = Row<op>::value(a->data, b->data, 0.0);
    Kind kind = FloatKind;
    if (a->kinds.data & b->kinds.data & IntKind) [[unlikely]]
        kind = kind_of_result(op, y, a, b, 0.0, FloatKind);
    if (!recording()) [[unlikely]]
        return leaf_like({y, kind}, a);
    return record(op, y, kind, a, b, 0.0, FloatKind, a);
}

// A node that an operator makes on the way to its result. Where its operands carry state it needs a handle of its
// own, which holds them (see handle.hpp).
class Intermediate {
  public:
    explicit Intermediate(Node* node) : node_(node) {
        if (!node) return;
        if (!carries_state(node->a) && !carries_state(node->b)) return;
        handle_ = wrap(node);
        if (!handle_) node_ = nullptr;
    }
    Intermediate(const Intermediate&) = delete;
    Intermediate& operator=(const Intermediate&) = delete;
    ~Intermediate() {
        if (handle_) {
            Py_DECREF(handle_);
        } else if (node_) {
            release(node_);  // its consumer holds it, or it is fresh and its operands are held elsewhere
        }
    }
    Node* node() const { return node_; }

  private:
    Node* node_;
    PyObject* handle_ = nullptr;
};

// A number operand as a leaf, for as long as the operation is being built.
class LeafOperand {
  public:
    LeafOperand(Number number, const Node* like) : node_(leaf_like(number, like)) {}
    LeafOperand(const LeafOperand&) = delete;
    LeafOperand& operator=(const LeafOperand&) = delete;
    ~LeafOperand() { release(node_); }
    Node* node() const { return node_; }

  private:
    Node* node_;
};

PyObject* wrap_or_null(Node* node) { return node ? wrap(node) : nullptr; }

// numpy.<ufunc>(left, right), elementwise. Arrays leave the operator to us (see __array_priority__) so that NumPy's
// scalars do not turn into 0-d arrays on the way.
PyObject* array_operation(const char* ufunc, PyObject* left, PyObject* right) {
    const Outside outside;
    PyObject* numpy = PyImport_ImportModule("numpy");
    PyObject* result = numpy ? PyObject_CallMethod(numpy, ufunc, "OO", left, right) : nullptr;
    Py_XDECREF(numpy);
    return result;
}

// The other operand is no Value. Sets `number` and returns null, or returns what the operator returns.
PyObject* other_operand(PyObject* other, bool other_is_left, const char* ufunc, PyObject* left, PyObject* right,
                        Number& number) {
    switch (to_number(other, number)) {
        case Conversion::Ok:
            return nullptr;
        case Conversion::Error:
            return nullptr;
        case Conversion::NotANumber:
            break;
    }
    if (other_is_left && is_array(other)) return array_operation(ufunc, left, right);
    if (tracing() && PyComplex_Check(other)) return array_operation(ufunc, left, right);
    return Py_NewRef(Py_NotImplemented);
}

template <Op op>
KILOGRAD_NOINLINE PyObject* commutative_slow(PyObject* left, PyObject* right, const char* ufunc) {
    bool left_is_value = is_value(left);
    if (left_is_value && is_value(right)) return wrap(build_plain<op>(node_of(left), node_of(right)));
    PyObject* value = left_is_value ? left : right;
    PyObject* other = left_is_value ? right : left;
    Number number{};
    if (PyObject* result = other_operand(other, !left_is_value, ufunc, left, right, number)) return result;
    if (PyErr_Occurred()) return nullptr;
    LeafOperand leaf(number, node_of(value));
    return wrap(build_plain<op>(node_of(value), leaf.node()));
}

// The hottest lines of the package: two floating-point Values without state, while recording.
template <Op op>
PyObject* commutative(PyObject* left, PyObject* right, const char* ufunc) {
    if (is_exact_value(left) && is_exact_value(right) && no_grad_blocks == 0) [[likely]] {
        Node* a = node_of(left);
        Node* b = node_of(right);
        if (!(a->kinds.data & b->kinds.data & IntKind) && !((a->flags | b->flags) & (Stateful | Tracked))) [[likely]]
            return new_handle(record(op, Row<op>::value(a->data, b->data, 0.0), FloatKind, a, b, 0.0, FloatKind, a));
    }
    return commutative_slow<op>(left, right, ufunc);
}

Node* negated(Node* node) {
    LeafOperand minus_one({-1.0, IntKind}, node);
    return build_plain<Op::mul>(node, minus_one.node());
}

Number negative(Number number) {
    return {number.kind == FloatKind ? -number.value : 0.0 - number.value,
            number.kind == FloatKind ? FloatKind : IntKind};
}

PyObject* value_add(PyObject* left, PyObject* right) { return commutative<Op::add>(left, right, "add"); }
PyObject* value_multiply(PyObject* left, PyObject* right) { return commutative<Op::mul>(left, right, "multiply"); }

PyObject* value_subtract(PyObject* left, PyObject* right) {
    bool left_is_value = is_value(left), right_is_value = is_value(right);
    Number number{};
    if (!left_is_value || !right_is_value) {
        PyObject* other = left_is_value ? right : left;
        if (PyObject* result = other_operand(other, !left_is_value, "subtract", left, right, number)) return result;
        if (PyErr_Occurred()) return nullptr;
    }
    if (!right_is_value) {
        LeafOperand leaf(negative(number), node_of(left));
        return wrap(build_plain<Op::add>(node_of(left), leaf.node()));
    }
    Intermediate minus(negated(node_of(right)));
    if (!minus.node()) return nullptr;
    if (left_is_value) return wrap(build_plain<Op::add>(node_of(left), minus.node()));
    LeafOperand leaf(number, node_of(right));
    return wrap(build_plain<Op::add>(minus.node(), leaf.node()));
}

PyObject* traced_quotient(Node* a, Node* divisor) {
    Intermediate inverse(build(Op::powc, divisor, nullptr, -1.0, IntKind));
    if (!inverse.node()) return nullptr;
    return wrap(record(Op::mul, a->data / divisor->data, FloatKind, a, inverse.node(), 1.0, FloatKind, a));
}

PyObject* value_divide(PyObject* left, PyObject* right) {
    bool left_is_value = is_value(left), right_is_value = is_value(right);
    Number number{};
    if (!left_is_value || !right_is_value) {
        PyObject* other = left_is_value ? right : left;
        if (PyObject* result = other_operand(other, !left_is_value, "true_divide", left, right, number)) return result;
        if (PyErr_Occurred()) return nullptr;
    }
    if (tracing()) [[unlikely]] {
        if (left_is_value && right_is_value) return traced_quotient(node_of(left), node_of(right));
        LeafOperand leaf(number, node_of(left_is_value ? left : right));
        return traced_quotient(left_is_value ? node_of(left) : leaf.node(),
                               right_is_value ? node_of(right) : leaf.node());
    }
    if (!right_is_value) {
        Fault fault;
        double inverse = evaluate(Op::powc, number.value, 0.0, -1.0, fault);
        if (fault != Fault::None) {
            raise_fault(fault, Op::powc, number.value, 0.0, -1.0);
            return nullptr;
        }
        LeafOperand leaf({inverse, FloatKind}, node_of(left));
        return wrap(build_plain<Op::mul>(node_of(left), leaf.node()));
    }
    Intermediate inverse(build(Op::powc, node_of(right), nullptr, -1.0, IntKind));
    if (!inverse.node()) return nullptr;
    if (left_is_value) return wrap(build_plain<Op::mul>(node_of(left), inverse.node()));
    LeafOperand leaf(number, node_of(right));
    return wrap(build_plain<Op::mul>(inverse.node(), leaf.node()));
}

PyObject* value_power(PyObject* left, PyObject* right, PyObject* modulus) {
    if (modulus != Py_None) {
        PyErr_SetString(PyExc_TypeError, "pow() of a Value takes no modulus: use two arguments");
        return nullptr;
    }
    bool left_is_value = is_value(left), right_is_value = is_value(right);
    if (left_is_value && right_is_value)
        return wrap_or_null(build(Op::pow, node_of(left), node_of(right), 0.0, FloatKind));
    Number number{};
    PyObject* other = left_is_value ? right : left;
    if (PyObject* result = other_operand(other, !left_is_value, "power", left, right, number)) return result;
    if (PyErr_Occurred()) return nullptr;
    if (left_is_value) return wrap_or_null(build(Op::powc, node_of(left), nullptr, number.value, number.kind));
    LeafOperand leaf(number, node_of(right));
    return wrap_or_null(build(Op::pow, leaf.node(), node_of(right), 0.0, FloatKind));
}

// `%` and `//` are recorded, and no operators of Values otherwise.
template <Op op>
PyObject* while_tracing(PyObject* left, PyObject* right) {
    if (!tracing()) return Py_NewRef(Py_NotImplemented);
    Number number{};
    for (PyObject* other : {left, right}) {
        if (is_value(other)) continue;
        const char* ufunc = op == Op::modulo ? "remainder" : "floor_divide";
        if (PyObject* result = other_operand(other, other == left, ufunc, left, right, number)) return result;
        if (PyErr_Occurred()) return nullptr;
    }
    return apply_row(op, left, right);
}

PyObject* value_divmod(PyObject* left, PyObject* right) {
    const Owned quotient(while_tracing<Op::floor_divide>(left, right));
    if (!quotient || quotient.get() == Py_NotImplemented) return Py_XNewRef(quotient.get());
    const Owned rest(while_tracing<Op::modulo>(left, right));
    return rest ? PyTuple_Pack(2, quotient.get(), rest.get()) : nullptr;
}

PyObject* value_negative(PyObject* self) { return wrap(negated(node_of(self))); }
PyObject* value_positive(PyObject* self) { return Py_NewRef(self); }
PyObject* value_absolute(PyObject* self) {
    return wrap_or_null(build(Op::abs, node_of(self), nullptr, 0.0, FloatKind));
}

PyObject* refuse_float(PyObject*) {
    if (tracing()) {
        if (!note("raises", Py_None, Py_None, true)) return nullptr;  // a function may handle the error
        PyErr_SetString(
            PyExc_TypeError,
            "a number that is recorded cannot become a plain float: leave out float(x), call functions as "
            "numpy.exp(x) or math.exp(x), which are recorded where they are attributes of their modules, and "
            "write into arrays that the function itself makes by numpy.zeros(n), empty, ones, full or eye, or "
            "into copies of its arguments");
        return nullptr;
    }
    PyErr_SetString(PyExc_TypeError,
                    "a Value does not convert to a number, because that would silently drop its gradient: use v.data "
                    "for the number, v.exp() and the like for functions, kilograd.arrays.data(array) for arrays");
    return nullptr;
}

// The whole number that a traced Value becomes: a constant, where the guards hold that it be this one.
PyObject* whole(PyObject* self, double number, bool above, bool below) {
    const double x = node_of(self)->data;
    if (!std::isfinite(x)) {
        PyErr_SetString(std::isnan(x) ? PyExc_ValueError : PyExc_OverflowError,
                        "NaN and infinity do not become integers");
        return nullptr;
    }
    const auto holds = [&](const char* symbol, double bound) {
        const Owned object(PyFloat_FromDouble(bound));
        return object && note(symbol, self, object.get(), true);
    };
    const bool exact = number - 1.0 == number || number + 1.0 == number;
    if (exact && !holds("==", x)) return nullptr;
    if (!exact && above && !(holds(">=", number) && holds("<", number + 1.0))) return nullptr;
    if (!exact && below && !(holds("<=", number) && holds(">", number - 1.0))) return nullptr;
    if (!exact && !above && !below && !(holds(">", -1.0) && holds("<", 1.0))) return nullptr;
    return PyLong_FromDouble(number);
}

PyObject* value_int(PyObject* self) {
    if (!tracing()) return refuse_float(self);
    const double number = std::trunc(node_of(self)->data);
    return whole(self, number, number > 0.0, number < 0.0);
}

bool compare_doubles(double x, double y, int comparison) {
    switch (comparison) {
        case Py_EQ:
            return x == y;
        case Py_NE:
            return x != y;
        case Py_LT:
            return x < y;
        case Py_LE:
            return x <= y;
        case Py_GT:
            return x > y;
        default:
            return x >= y;
    }
}

// Whether object is an integer that is rounded when it becomes a double, or that is too large for one.
bool is_rounded(PyObject* object, const Number& number) {
    if (!PyLong_Check(object) || number.kind != FloatKind) return false;
    PyObject* value = PyFloat_FromDouble(number.value);
    int equal = value ? PyObject_RichCompareBool(value, object, Py_EQ) : 0;
    Py_XDECREF(value);
    if (equal < 0) PyErr_Clear();
    return equal != 1;
}

// With an integer that no double holds, as Python's numbers compare: exactly.
PyObject* compare_with_large_integer(PyObject* self, PyObject* other, int comparison) {
    if (tracing()) {
        PyErr_Format(PyExc_ValueError, "a recorded function compares floats, and no float equals %.200R", other);
        return nullptr;
    }
    Node* node = node_of(self);
    PyObject* number = number_object(node->data, node->kinds.data);
    PyObject* result = number ? PyObject_RichCompare(number, other, comparison) : nullptr;
    Py_XDECREF(number);
    return result;
}

// Orders by data; equality is identity, as in the pure-Python class, except while tracing.
PyObject* value_compare(PyObject* self, PyObject* other, int comparison) {
    if ((comparison == Py_EQ || comparison == Py_NE) && !tracing()) Py_RETURN_NOTIMPLEMENTED;
    double x = node_of(self)->data;
    double y;
    if (is_value(other)) {
        y = node_of(other)->data;
    } else {
        Number number{};
        switch (to_number(other, number)) {
            case Conversion::Ok:
                if (is_rounded(other, number)) [[unlikely]]
                    return compare_with_large_integer(self, other, comparison);
                break;
            case Conversion::Error:
                if (!PyLong_Check(other) || !PyErr_ExceptionMatches(PyExc_OverflowError)) return nullptr;
                PyErr_Clear();
                return compare_with_large_integer(self, other, comparison);
            case Conversion::NotANumber: {
                static const char* const ufuncs[] = {"less",      "less_equal", "equal",
                                                     "not_equal", "greater",    "greater_equal"};
                if (is_array(other)) return array_operation(ufuncs[comparison], self, other);
                Py_RETURN_NOTIMPLEMENTED;
            }
        }
        y = number.value;
    }
    bool result = compare_doubles(x, y, comparison);
    static const char* const symbols[] = {"<", "<=", "==", "!=", ">", ">="};
    if (tracing()) {
        if (!PyList_CheckExact(notes))
            return PyObject_CallMethod(notes, "compare", "sOOO", symbols[comparison], self, other,
                                       result ? Py_True : Py_False);
        if (!note(symbols[comparison], self, other, result)) return nullptr;
    }
    return PyBool_FromLong(result);
}

int value_truth(PyObject* self) {
    if (!tracing()) return 1;
    bool result = node_of(self)->data != 0.0;
    static PyObject* zero = PyFloat_FromDouble(0.0);
    return note("!=", self, zero, result) ? result : -1;
}

Py_hash_t value_hash(PyObject* self) {
    if (refuse_while_tracing("the hash of a Value (a key of a dict, a member of a set)")) return -1;
    auto bits = reinterpret_cast<std::uintptr_t>(self);  // by identity; the low four bits are alignment
    auto hash = static_cast<Py_hash_t>((bits >> 4) | (bits << (8 * sizeof bits - 4)));
    return hash == -1 ? -2 : hash;
}

}  // namespace

PyObject* apply_row(Op op, PyObject* left, PyObject* right) {
    PyObject* like = is_value(left) ? left : right && is_value(right) ? right : nullptr;
    Number x{}, y{};
    if (!is_value(left) && !require_number(left, info(op).name, x)) return nullptr;
    if (right && !is_value(right) && !require_number(right, info(op).name, y)) return nullptr;
    if (!like) {
        Fault fault;
        return PyFloat_FromDouble(evaluate(op, x.value, y.value, 0.0, fault));
    }
    if (!right) return wrap_or_null(build(op, node_of(left), nullptr, 0.0, FloatKind));
    if (is_value(left) && is_value(right))
        return wrap_or_null(build(op, node_of(left), node_of(right), 0.0, FloatKind));
    LeafOperand leaf(is_value(left) ? y : x, node_of(like));
    Node* a = is_value(left) ? node_of(left) : leaf.node();
    Node* b = is_value(right) ? node_of(right) : leaf.node();
    return wrap_or_null(build(op, a, b, 0.0, FloatKind));
}

Node* build(Op op, Node* a, Node* b, double c, Kind constant) {
    Fault fault;
    double second = b ? b->data : 0.0;
    double y = evaluate(op, a->data, second, c, fault);
    if (fault != Fault::None) [[unlikely]] {
        raise_fault(fault, op, a->data, second, c);
        return nullptr;
    }
    Kind kind = kind_of_result(op, y, a, b, c, constant);
    if (!recording()) [[unlikely]]
        return leaf_like({y, kind}, a);
    return record(op, y, kind, a, b, c, constant, a);
}

PyObject* value_floor(PyObject* self, PyObject*) {
    return tracing() ? whole(self, std::floor(node_of(self)->data), true, false) : refuse_float(self);
}
PyObject* value_ceil(PyObject* self, PyObject*) {
    return tracing() ? whole(self, std::ceil(node_of(self)->data), false, true) : refuse_float(self);
}
PyObject* value_trunc(PyObject* self, PyObject*) { return value_int(self); }

PyObject* apply_order(Op op, PyObject* x, int order) {
    Number number{};
    if (is_value(x)) return wrap_or_null(build(op, node_of(x), nullptr, order, IntKind));
    if (!require_number(x, info(op).name, number)) return nullptr;
    Fault fault;
    return PyFloat_FromDouble(evaluate(op, number.value, 0.0, order, fault));
}

PyObject* value_maximum(PyObject* left, PyObject* right) { return apply_row(Op::maximum, left, right); }
PyObject* value_minimum(PyObject* left, PyObject* right) { return apply_row(Op::minimum, left, right); }

void add_arithmetic_slots(std::vector<PyType_Slot>& slots) {
    slots.insert(slots.end(), {
                                  slot<value_add>(Py_nb_add),
                                  slot<value_multiply>(Py_nb_multiply),
                                  slot<value_subtract>(Py_nb_subtract),
                                  slot<value_divide>(Py_nb_true_divide),
                                  slot<value_power>(Py_nb_power),
                                  slot<while_tracing<Op::modulo>>(Py_nb_remainder),
                                  slot<while_tracing<Op::floor_divide>>(Py_nb_floor_divide),
                                  slot<value_divmod>(Py_nb_divmod),
                                  slot<value_negative>(Py_nb_negative),
                                  slot<value_positive>(Py_nb_positive),
                                  slot<value_absolute>(Py_nb_absolute),
                                  slot<value_truth>(Py_nb_bool),
                                  slot<refuse_float>(Py_nb_float),
                                  slot<value_int>(Py_nb_int),
                                  slot<value_compare>(Py_tp_richcompare),
                                  slot<value_hash>(Py_tp_hash),
                              });
}

}  // namespace kilograd
