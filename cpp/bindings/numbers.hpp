// Python numbers to doubles and back. Accepted are int, float, bool, their subclasses and NumPy's real scalars;
// NumPy is recognised without being imported.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "../engine/node.hpp"

namespace kilograd {

struct Number {
    double value;
    Kind kind;
};

enum class Conversion { Ok, NotANumber, Error };

Conversion to_number_slow(PyObject* object, Number& out);
inline Conversion to_number(PyObject* object, Number& out) {
    if (PyFloat_CheckExact(object)) [[likely]] {
        out = {PyFloat_AS_DOUBLE(object), FloatKind};
        return Conversion::Ok;
    }
    return to_number_slow(object, out);
}

// As above, but anything that is no number is a TypeError: "<what> must be a real number, not <type>".
bool require_number_slow(PyObject* object, const char* what, Number& out);
inline bool require_number(PyObject* object, const char* what, Number& out) {
    if (PyFloat_CheckExact(object)) [[likely]] {
        out = {PyFloat_AS_DOUBLE(object), FloatKind};
        return true;
    }
    return require_number_slow(object, what, out);
}

PyObject* number_object(double value, std::uint8_t kind);

// Numbers that a node holds exactly, type included: bool, int, float, and numpy.float64, numpy.int64 and numpy.float32,
// which are NumpyKind, NumpyIntKind and SingleKind here and nowhere else.
PyObject* exact_number_object(double value, std::uint8_t kind);
bool is_exact_number_slow(PyObject* object, Number& out);  // never raises
inline bool is_exact_number(PyObject* object, Number& out) {
    if (PyFloat_CheckExact(object)) [[likely]] {
        out = {PyFloat_AS_DOUBLE(object), FloatKind};
        return true;
    }
    return is_exact_number_slow(object, out);
}

// What a function of NumPy's gives for a float: its own bits, which need not be those of the C library.
Conversion call_numpy(const char* function, double x, double& y);

// Whether it is one of NumPy's scalars, numbers or not; and the int or float that meets an object which NumPy does not
// know in the place of a numpy.int64 or numpy.float64: null without an error for the others, or with one.
bool is_numpy_scalar(PyObject* object);
PyObject* plain_of_numpy(PyObject* object);

// Whether object is an instance of numpy.ndarray; NumPy is not imported for it.
bool is_array(PyObject* object);

// What something other than a list or a tuple holds: a function of kilograd.tables says it, which knows arrays and
// tables by their protocols. Either gives a new reference, or null with an error set.
PyObject* listed(PyObject* object, const char* what);  // rows as lists; a number for an array without dimensions
PyObject* sample(PyObject* object);                    // a list of what a model is called with

}  // namespace kilograd
