// NumPy's scalars on the left of a node: `np.int64(3) * v`, `np.float64(1.0) == v`.
//
// NumPy does not know the class, finds that out in 2 us, and then has Python's own int or float meet the node. Of a
// class that NumPy cannot tell from a plain one, nodes have an `__array_priority__` above that of scalars and below
// that of arrays: so scalars leave their operators to the node, which does with the usual ones what NumPy would do.
// With the others, and for comparisons, it asks NumPy again, for which there is no such attribute meanwhile.
#include <utility>

#include "class.hpp"

namespace kilograd {

namespace {

// How many of NumPy's operators are at work that were asked again: no node has a priority then.
int asking_again = 0;

struct AskingAgain {
    AskingAgain() { ++asking_again; }
    AskingAgain(const AskingAgain&) = delete;
    AskingAgain& operator=(const AskingAgain&) = delete;
    ~AskingAgain() { --asking_again; }
};

// Whether NumPy's scalars leave their operators to this object.
bool is_asked(PyObject* object) {
    return asking_again == 0 && is_exact_value(object) && is_served(Py_TYPE(object)) &&
           served_of(node_of(object))->numpy_left && !carries_state(node_of(object));
}

using Slots = PyNumberMethods;

PyObject* by_numpy(binaryfunc Slots::*slot, PyObject* left, PyObject* right) {
    const Slots* slots = Py_TYPE(left)->tp_as_number;
    if (!slots || !(slots->*slot)) Py_RETURN_NOTIMPLEMENTED;
    const AskingAgain again;
    return (slots->*slot)(left, right);
}

// The slots of operators that no class has that is asked: scalars leave them all or none.
constexpr binaryfunc Slots::*unused[] = {
    &Slots::nb_floor_divide, &Slots::nb_remainder, &Slots::nb_divmod, &Slots::nb_lshift,          &Slots::nb_rshift,
    &Slots::nb_and,          &Slots::nb_xor,       &Slots::nb_or,     &Slots::nb_matrix_multiply,
};

template <std::size_t index>
PyObject* unused_slot(PyObject* left, PyObject* right) {
    if (!is_asked(right) || !is_numpy_scalar(left)) Py_RETURN_NOTIMPLEMENTED;
    return by_numpy(unused[index], left, right);
}

template <std::size_t... indices>
void give_unused_slots(Slots& slots, bool wanted, std::index_sequence<indices...>) {
    auto give = [&](binaryfunc& slot, binaryfunc own) {
        if (wanted) slot = own;
        if (!wanted && slot == own) slot = nullptr;
    };
    (give(slots.*unused[indices], Slot<unused_slot<indices>>::call), ...);
}

// Comparisons of a class without any: by identity, and with a scalar on either side as that does it.
PyObject* compare_by_identity(PyObject* self, PyObject* other, int operation) {
    if (self == other && (operation == Py_EQ || operation == Py_NE)) return PyBool_FromLong(operation == Py_EQ);
    if (!is_asked(self) || !is_numpy_scalar(other)) Py_RETURN_NOTIMPLEMENTED;
    constexpr int mirrored[] = {Py_GT, Py_GE, Py_EQ, Py_NE, Py_LT, Py_LE};
    const AskingAgain again;
    return Py_TYPE(other)->tp_richcompare(other, self, mirrored[operation]);
}

// `__array_priority__`, which only nodes have that are asked. It is no data descriptor: what the program sets under
// this name counts.
PyObject* priority_get(PyObject*, PyObject* object, PyObject*) {
    constexpr double above_scalars = -999999.0;  // which are at -1000000.0; the lowest array, a memmap, is at -100.0
    if (object && is_asked(object)) return PyFloat_FromDouble(above_scalars);
    PyErr_SetString(PyExc_AttributeError, "__array_priority__");
    return nullptr;
}

}  // namespace

bool add_numpy_priority() {
    PyTypeObject* type = make_type("kilograd._core.Priority", sizeof(PyObject), Py_TPFLAGS_DEFAULT,
                                   {slot<priority_get>(Py_tp_descr_get)});
    const Owned priority(type ? type->tp_alloc(type, 0) : nullptr);
    Py_XDECREF(type);
    return priority && PyDict_SetItemString(served_type->tp_dict, "__array_priority__", priority.get()) == 0;
}

void ask_numpy_left(Served& own, bool asked) {
    own.numpy_left = asked;
    give_unused_slots(*own.type->tp_as_number, asked, std::make_index_sequence<std::size(unused)>{});
    if (asked) {
        own.type->tp_richcompare = Slot<compare_by_identity>::call;
    } else if (own.type->tp_richcompare == Slot<compare_by_identity>::call) {
        own.type->tp_richcompare = PyBaseObject_Type.tp_richcompare;
    }
}

PyObject* numpy_operation(OperatorIndex index, PyObject* left, PyObject* right) {
    if (!is_asked(right)) return nullptr;
    if (const Owned number{plain_of_numpy(left)}) {
        switch (index) {
            case Add:
                return PyNumber_Add(number.get(), right);
            case Multiply:
                return PyNumber_Multiply(number.get(), right);
            case Power:
                return PyNumber_Power(number.get(), right, Py_None);
            case Subtract:
                return PyNumber_Subtract(number.get(), right);
            default:
                return PyNumber_TrueDivide(number.get(), right);
        }
    }
    if (PyErr_Occurred() || !is_numpy_scalar(left)) return nullptr;
    PyObject* result;
    if (index == Power) {
        const AskingAgain again;
        const Slots* slots = Py_TYPE(left)->tp_as_number;
        result = slots && slots->nb_power ? slots->nb_power(left, right, Py_None) : Py_NewRef(Py_NotImplemented);
    } else {
        constexpr binaryfunc Slots::*slots[] = {&Slots::nb_add, &Slots::nb_multiply, nullptr, &Slots::nb_subtract,
                                                &Slots::nb_true_divide};
        result = by_numpy(slots[index], left, right);
    }
    if (result == Py_NotImplemented) Py_CLEAR(result);  // and so it is the node's turn in any case
    return result;
}

}  // namespace kilograd
