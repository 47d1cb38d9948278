#include "numbers.hpp"

#include <cmath>

namespace kilograd {

namespace {

// An attribute of the numpy module if some code has imported it, else null without an error. Borrowed: the module
// and its types are never freed.
PyObject* numpy_attribute(const char* name) {
    static PyObject* key = PyUnicode_InternFromString("numpy");
    PyObject* module = PyDict_GetItemWithError(PyImport_GetModuleDict(), key);
    PyObject* attribute = module ? PyObject_GetAttrString(module, name) : nullptr;
    if (!attribute) PyErr_Clear();
    Py_XDECREF(attribute);
    return attribute;
}

bool is_instance(PyObject* object, const char* numpy_type) {
    PyObject* type = numpy_attribute(numpy_type);
    return type && PyType_Check(type) && PyObject_TypeCheck(object, reinterpret_cast<PyTypeObject*>(type));
}

// The scalar types met so far: NumPy's are static, so a pointer identifies one for good.
struct ScalarType {
    PyTypeObject* type;
    Kind kind;
};
constexpr int known_limit = 16;
ScalarType known[known_limit];
int known_count = 0;

bool numpy_scalar_kind(PyObject* object, Kind& kind) {
    PyTypeObject* type = Py_TYPE(object);
    for (int i = 0; i < known_count; ++i) {
        if (known[i].type == type) {
            kind = known[i].kind;
            return true;
        }
    }
    if (is_instance(object, "integer")) {
        kind = IntKind;
    } else if (is_instance(object, "floating")) {
        kind = FloatKind;
    } else if (is_instance(object, "bool_")) {
        kind = BoolKind;
    } else {
        return false;
    }
    if (known_count < known_limit && !(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) known[known_count++] = {type, kind};
    return true;
}

Conversion from_int(PyObject* object, Kind kind, Number& out) {
    double value = PyLong_AsDouble(object);
    if (value == -1.0 && PyErr_Occurred()) return Conversion::Error;
    bool exact = std::fabs(value) < exact_integers;
    if (std::fabs(value) == exact_integers) exact = PyLong_AsLongLong(object) == static_cast<long long>(value);
    out = {value, exact ? kind : FloatKind};
    return Conversion::Ok;
}

}  // namespace

Conversion to_number_slow(PyObject* object, Number& out) {
    if (PyBool_Check(object)) {
        out = {object == Py_True ? 1.0 : 0.0, BoolKind};
        return Conversion::Ok;
    }
    if (PyLong_Check(object)) return from_int(object, IntKind, out);
    if (PyFloat_Check(object)) {  // numpy.float64 is one
        out = {PyFloat_AS_DOUBLE(object), FloatKind};
        return Conversion::Ok;
    }
    Kind kind;
    if (!numpy_scalar_kind(object, kind)) return Conversion::NotANumber;
    if (kind == IntKind) {
        PyObject* integer = PyNumber_Index(object);
        if (!integer) return Conversion::Error;
        Conversion result = from_int(integer, IntKind, out);
        Py_DECREF(integer);
        return result;
    }
    double value = kind == BoolKind ? PyObject_IsTrue(object) : PyFloat_AsDouble(object);
    if (value == -1.0 && PyErr_Occurred()) return Conversion::Error;
    out = {value, kind};
    return Conversion::Ok;
}

bool require_number_slow(PyObject* object, const char* what, Number& out) {
    Conversion result = to_number(object, out);
    if (result == Conversion::NotANumber)
        PyErr_Format(PyExc_TypeError, "%s must be a real number (int, float, bool or a NumPy scalar), not %.200s", what,
                     Py_TYPE(object)->tp_name);
    return result == Conversion::Ok;
}

PyObject* number_object(double value, std::uint8_t kind) {
    switch (kind) {
        case IntKind:
            return PyLong_FromDouble(value);
        case BoolKind:
            return PyBool_FromLong(value != 0.0);
        default:
            return PyFloat_FromDouble(value);
    }
}

bool is_array(PyObject* object) { return is_instance(object, "ndarray"); }

}  // namespace kilograd
