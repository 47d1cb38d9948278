#include "numbers.hpp"

#include <atomic>
#include <cmath>
#include <cstdarg>
#include <cstring>

#include "../engine/typed.hpp"
#include "python.hpp"
#include "value/handle.hpp"

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

// numpy.float64, numpy.int64 or numpy.float32, once NumPy is there.
PyTypeObject* numpy_type(Kind kind) {
    static std::atomic<PyTypeObject*> types[3] = {nullptr, nullptr, nullptr};
    constexpr const char* names[] = {"float64", "int64", "float32"};
    const int index = kind / 2 - 1;
    std::atomic<PyTypeObject*>& type = types[index];
    if (type) return type;
    PyObject* found = numpy_attribute(names[index]);
    if (found && PyType_Check(found)) type = reinterpret_cast<PyTypeObject*>(found);
    return type;
}

// The scalar types met so far: NumPy's are static, so a pointer identifies one for good.
struct ScalarType {
    PyTypeObject* type;
    Kind kind;
};
constexpr int known_limit = 16;
ScalarType known[known_limit];
std::atomic<int> known_count{0};
Door numbers_door;  // to new ones

bool numpy_scalar_kind(PyObject* object, Kind& kind) {
    PyTypeObject* type = Py_TYPE(object);
    const int count = known_count.load(std::memory_order_acquire);
    for (int i = 0; i < count; ++i) {
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
    if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) return true;
    const Alone alone(numbers_door);
    if (const int next = known_count; next < known_limit) {
        known[next] = {type, kind};
        known_count.store(next + 1, std::memory_order_release);
    }
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

// The dimensions of an ndarray, of no subclass, of numbers or objects; -1 for everything else.
long plain_dimensions(PyObject* object) {
    static PyObject *dtype = PyUnicode_InternFromString("dtype"), *kind = PyUnicode_InternFromString("kind"),
                    *ndim = PyUnicode_InternFromString("ndim");
    if (reinterpret_cast<PyObject*>(Py_TYPE(object)) != numpy_attribute("ndarray")) return -1;
    PyObject* its_type = PyObject_GetAttr(object, dtype);
    PyObject* its_kind = its_type ? PyObject_GetAttr(its_type, kind) : nullptr;
    PyObject* count = its_kind ? PyObject_GetAttr(object, ndim) : nullptr;
    long dimensions = -1;
    if (count) {
        const char* letter = PyUnicode_AsUTF8(its_kind);
        if (letter && std::strchr("biufO", *letter)) dimensions = PyLong_AsLong(count);
    }
    Py_XDECREF(its_type);
    Py_XDECREF(its_kind);
    Py_XDECREF(count);
    PyErr_Clear();
    return dimensions;
}

// What to write in place of an object that is no number, for the end of a sentence.
const char* number_instead(PyObject* object) {
    if (is_value(object)) return "; v.data is its number";
    if (PyUnicode_Check(object) || PyBytes_Check(object)) return "; float(text) makes a number of it";
    if (plain_dimensions(object) == 0) return "; array.item() is its number";
    if (PyList_Check(object) || PyTuple_Check(object) || plain_dimensions(object) > 0)
        return "; kilograd.arrays.values(numbers) makes a Value of each";
    return "";
}

PyObject* ask_tables(const char* function, const char* format, ...) {
    PyObject* module = PyImport_ImportModule("kilograd.tables");
    PyObject* callable = module ? PyObject_GetAttrString(module, function) : nullptr;
    std::va_list parts;
    va_start(parts, format);
    PyObject* arguments = callable ? Py_VaBuildValue(format, parts) : nullptr;
    va_end(parts);
    const Outside outside;
    PyObject* result = arguments ? PyObject_CallObject(callable, arguments) : nullptr;
    Py_XDECREF(arguments);
    Py_XDECREF(callable);
    Py_XDECREF(module);
    return result;
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
        PyErr_Format(PyExc_TypeError, "%s must be a real number (int, float, bool or a NumPy scalar), not %.200s%s",
                     what, Py_TYPE(object)->tp_name, number_instead(object));
    return result == Conversion::Ok;
}

PyObject* number_object(double value, std::uint8_t kind) {
    switch (kind) {
        case IntKind:  // or not, where the class of an object was changed and its consumers knew it as another's
            return value == std::trunc(value) ? PyLong_FromDouble(value) : PyFloat_FromDouble(value);
        case BoolKind:
            return PyBool_FromLong(value != 0.0);
        default:
            return PyFloat_FromDouble(value);
    }
}

PyObject* exact_number_object(double value, std::uint8_t kind) {
    if (!is_numpy(kind)) return number_object(value, kind);
    auto* const type = reinterpret_cast<PyObject*>(numpy_type(static_cast<Kind>(kind)));
    if (!type) {  // a pickle was read
        PyObject* numpy = PyImport_ImportModule("numpy");
        if (!numpy) return nullptr;
        Py_DECREF(numpy);
        return exact_number_object(value, kind);
    }
    PyObject* plain = kind == NumpyIntKind ? PyLong_FromDouble(value) : PyFloat_FromDouble(value);
    PyObject* result = plain ? PyObject_CallOneArg(type, plain) : nullptr;
    Py_XDECREF(plain);
    return result;
}

bool is_exact_number_slow(PyObject* object, Number& out) {
    if (PyBool_Check(object)) {
        out = {object == Py_True ? 1.0 : 0.0, BoolKind};
        return true;
    }
    if (PyLong_CheckExact(object)) {
        double value = PyLong_AsDouble(object);
        if (value == -1.0 && PyErr_Occurred()) {
            PyErr_Clear();
            return false;
        }
        out = {value, IntKind};
        return std::fabs(value) < exact_integers;
    }
    if (PyFloat_Check(object)) {
        out = {PyFloat_AS_DOUBLE(object), NumpyKind};
        note_kind(NumpyKind);
        return Py_TYPE(object) == numpy_type(NumpyKind);
    }
    if (Py_TYPE(object) == numpy_type(SingleKind)) {
        out = {PyFloat_AsDouble(object), SingleKind};
        note_kind(SingleKind);
        return true;
    }
    if (Py_TYPE(object) != numpy_type(NumpyIntKind)) return false;
    PyObject* integer = PyNumber_Index(object);
    Number number{};
    const bool held = integer && from_int(integer, NumpyIntKind, number) == Conversion::Ok;
    Py_XDECREF(integer);
    if (!held) PyErr_Clear();
    note_kind(NumpyIntKind);
    out = number;
    return held && std::fabs(number.value) < exact_integers;
}

Conversion call_numpy(const char* function, double x, double& y) {
    PyObject* callable = numpy_attribute(function);
    const Owned argument(callable ? PyFloat_FromDouble(x) : nullptr);
    const Owned result(argument ? PyObject_CallOneArg(callable, argument.get()) : nullptr);
    if (!result) return PyErr_Occurred() ? Conversion::Error : Conversion::NotANumber;
    if (Py_TYPE(result.get()) != numpy_type(NumpyKind)) return Conversion::NotANumber;
    y = PyFloat_AS_DOUBLE(result.get());
    return Conversion::Ok;
}

bool is_numpy_scalar(PyObject* object) {
    Kind kind;
    return numpy_scalar_kind(object, kind) || is_instance(object, "generic");
}

PyObject* plain_of_numpy(PyObject* object) {
    if (Py_TYPE(object) == numpy_type(NumpyKind)) return PyFloat_FromDouble(PyFloat_AS_DOUBLE(object));
    return Py_TYPE(object) == numpy_type(NumpyIntKind) ? PyNumber_Index(object) : nullptr;
}

bool is_array(PyObject* object) { return is_instance(object, "ndarray"); }

PyObject* listed(PyObject* object, const char* what) {
    if (PyList_Check(object) || PyTuple_Check(object)) return PySequence_List(object);
    if (plain_dimensions(object) >= 0) return PyObject_CallMethod(object, "tolist", nullptr);
    return ask_tables("listed", "(Os)", object, what);
}

PyObject* sample(PyObject* object) {
    if (PyList_Check(object) || PyTuple_Check(object)) return PySequence_List(object);
    if (PyFloat_CheckExact(object) || PyLong_CheckExact(object)) return Py_BuildValue("[O]", object);
    if (plain_dimensions(object) == 1) return PyObject_CallMethod(object, "tolist", nullptr);
    return ask_tables("sample", "(O)", object);
}

}  // namespace kilograd
