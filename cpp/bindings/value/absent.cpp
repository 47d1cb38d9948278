// Attributes that objects of other libraries have and ours have not: an error says what to write instead.
//
// No data descriptors: an attribute of that name can be set. To hasattr(), dir(), help() and vars() there is none.
#include "../modes.hpp"
#include "value.hpp"

namespace kilograd {

namespace {

struct Absent {
    const char* name;
    const char* instead;
    bool is_itself = false;  // to a function that is recorded, since of a plain number it is that number
};
constexpr const char *one_number = "it is one number, without axes: leave it out",
                     *in_memory = "it is a number in memory; leave the call out";
constexpr Absent of_values[] = {
    {"item", "v.data is its number", true},
    {"tolist", "v.data is its number", true},
    {"detach", "v.data is its number, and kilograd.no_grad() computes without a graph", true},
    {"numpy", "v.data is its number, and kilograd.arrays.data(values) an array of them", true},
    {"value", "v.data is its number"},
    {"val", "v.data is its number"},
    {"gradient", "v.grad is its gradient"},
    {"name", "v.label is its name"},
    {"parents", "v._prev are its operands"},
    {"requires_grad", "every Value has a gradient, and kilograd.no_grad() computes without a graph"},
    {"requires_grad_", "every Value has a gradient, and kilograd.no_grad() computes without a graph"},
    {"retain_grad", "every Value keeps its gradient, v.grad"},
    {"grad_fn", "v._op is its operation, v._prev are its operands"},
    {"is_leaf", "a leaf is a Value without operands: not v._prev"},
    {"clone", "v * 1 is a node computed from it, copy.copy(v) another one like it"},
    {"cpu", in_memory},
    {"cuda", in_memory},
    {"to", in_memory},
    {"device", "it is a number in memory"},
    {"float", in_memory},
    {"double", in_memory},
    {"dtype", "it is one number, and v.data a float or an int"},
    {"shape", one_number},
    {"ndim", one_number},
    {"dim", one_number},
    {"size", one_number},
    {"numel", one_number},
    {"T", one_number},
    {"view", one_number},
    {"reshape", one_number},
    {"squeeze", one_number},
    {"flatten", one_number},
    {"sum", "it is one number, and kilograd.functional.sum(values) adds up a list"},
    {"mean", "it is one number, and kilograd.functional.mean(values) is that of a list"},
    {"max", "it is one number; v.maximum(w) is the larger one of two"},
    {"min", "it is one number; v.minimum(w) is the smaller one of two"},
    {"norm", "write v.abs()"},
    {"dot", "write v * w, or kilograd.functional.dot(a, b) of two lists"},
    {"matmul", "write v * w, or kilograd.functional.dot(a, b) of two lists"},
    {"add", "write v + w"},
    {"sub", "write v - w"},
    {"mul", "write v * w"},
    {"div", "write v / w"},
    {"neg", "write -v"},
    {"pow", "write v ** w"},
    {"square", "write v ** 2"},
    {"clamp", "write v.maximum(low).minimum(high)"},
    {"clip", "write v.maximum(low).minimum(high)"},
    {"softmax", "write kilograd.functional.softmax(values)"},
};

struct AbsentAttribute {
    PyObject_HEAD PyTypeObject* owner;
    PyObject *holder, *name, *instead;
    PyObject* text;  // for objects of the owner itself: hasattr() throws it away
    bool is_itself;
};

// What a class has that comes after the owner in the order of resolution, as a mixin; null without an error where none
// has the name.
PyObject* of_another_base(const AbsentAttribute& attribute, PyObject* object, PyTypeObject* type) {
    PyObject* const order = type->tp_mro;
    const Py_ssize_t count = PyTuple_GET_SIZE(order);
    if (count >= 2 && PyTuple_GET_ITEM(order, count - 2) == attribute.holder) return nullptr;
    PyObject* const from = object ? object : reinterpret_cast<PyObject*>(type);
    const Owned rest(
        PyObject_CallFunctionObjArgs(reinterpret_cast<PyObject*>(&PySuper_Type), attribute.holder, from, nullptr));
    PyObject* const found = rest ? PyObject_GetAttr(rest.get(), attribute.name) : nullptr;
    if (!found && PyErr_ExceptionMatches(PyExc_AttributeError)) PyErr_Clear();
    return found;
}

// While tracing, x.sum().item() is of NumPy's floats, and the number itself.
PyObject* refuse_absent(PyObject* self, PyObject* object, PyObject* of) {
    auto& attribute = *reinterpret_cast<AbsentAttribute*>(self);
    PyTypeObject* const type = of && PyType_Check(of) ? reinterpret_cast<PyTypeObject*>(of) : attribute.owner;
    const bool usual = type == attribute.owner;
    if (!usual) {
        PyObject* const found = of_another_base(attribute, object, type);
        if (found || PyErr_Occurred()) return found;
    }
    if (attribute.is_itself && object && tracing()) return PyObject_GetAttrString(object, "__pos__");
    PyObject* text = usual ? Py_XNewRef(attribute.text) : nullptr;
    if (!text)
        text = PyUnicode_FromFormat("'%.100s' object has no attribute '%U': %U", type->tp_name, attribute.name,
                                    attribute.instead);
    if (!text) return nullptr;
    PyErr_SetObject(PyExc_AttributeError, text);
    if (usual && !attribute.text) attribute.text = Py_NewRef(text);
    Py_DECREF(text);
    return nullptr;
}

// They live as long as the process, as the classes do that they are of.
class AbsentAttributes {
  public:
    explicit AbsentAttributes(PyTypeObject* owner) : owner_(owner) {
        PyType_Slot none[] = {{0, nullptr}};
        PyType_Spec spec = {"kilograd._core.Absent", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT, none};
        holder_ = Owned(PyType_FromSpec(&spec));
    }

    bool add(PyObject* name, PyObject* instead, bool is_itself) {
        PyObject* const kind = descriptors();
        const Owned made(kind && holder_ ? PyObject_CallNoArgs(kind) : nullptr);
        if (!made) return false;
        auto& attribute = *reinterpret_cast<AbsentAttribute*>(made.get());
        attribute.owner = owner_;
        attribute.holder = Py_NewRef(holder_.get());
        attribute.name = Py_NewRef(name);
        attribute.instead = Py_NewRef(instead);
        attribute.is_itself = is_itself;
        return PyObject_SetAttr(holder_.get(), name, made.get()) == 0;
    }

    // They stand on a class of their own in the owner's order of resolution, before `object`, where look-ups find them;
    // it is no base, so that what goes through the bases, as dir() does, does not.
    bool finish() {
        const Py_ssize_t last = PyTuple_GET_SIZE(owner_->tp_mro) - 1;
        PyObject* const order = PyTuple_New(last + 2);
        if (!order) return false;
        for (Py_ssize_t i = 0; i <= last; ++i)
            PyTuple_SET_ITEM(order, i == last ? last + 1 : i, Py_NewRef(PyTuple_GET_ITEM(owner_->tp_mro, i)));
        PyTuple_SET_ITEM(order, last, holder_.release());
        Py_SETREF(owner_->tp_mro, order);
        PyType_Modified(owner_);
        return true;
    }

  private:
    static PyObject* descriptors() {
        static PyObject* const type = [] {
            PyType_Slot slots[] = {slot<refuse_absent>(Py_tp_descr_get), {0, nullptr}};
            PyType_Spec spec = {"kilograd._core.AbsentAttribute", sizeof(AbsentAttribute), 0, Py_TPFLAGS_DEFAULT,
                                slots};
            return PyType_FromSpec(&spec);
        }();
        return type;
    }

    PyTypeObject* owner_;
    Owned holder_;
};

}  // namespace

bool add_absent_attributes(PyTypeObject* type) {
    AbsentAttributes absent(type);
    for (const Absent& row : of_values) {
        const Owned name(PyUnicode_InternFromString(row.name)), instead(PyUnicode_FromString(row.instead));
        if (!name || !instead || !absent.add(name.get(), instead.get(), row.is_itself)) return false;
    }
    return absent.finish();
}

bool declare_absent(PyTypeObject* type, PyObject* instead_of) {
    AbsentAttributes absent(type);
    PyObject *name, *instead;
    Py_ssize_t position = 0;
    while (PyDict_Next(instead_of, &position, &name, &instead))
        if (!absent.add(name, instead, false)) return false;
    return absent.finish();
}

}  // namespace kilograd
