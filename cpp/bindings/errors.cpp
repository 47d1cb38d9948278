#include "errors.hpp"

#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "../nn/builder.hpp"
#include "../program/program.hpp"
#include "modes.hpp"
#include "pybind.hpp"

namespace kilograd {

static std::string text_of(double value) {
    char* text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, nullptr);
    if (!text) return "?";
    std::string result = text;
    PyMem_Free(text);
    return result;
}

static PyObject* exception_for(Fault fault) {
    return fault == Fault::Overflow       ? PyExc_OverflowError
           : fault == Fault::ZeroDivision ? PyExc_ZeroDivisionError
                                          : PyExc_ValueError;
}

void raise_fault(Fault fault, Op op, double a, double b, double c) {
    const OpInfo& row = info(op);
    bool power = row.edge == Edge::Power;
    std::string name = power ? "**" : row.name;
    std::string call;
    if (power) {
        call = text_of(a) + " ** " + text_of(row.arity == Arity::Param ? c : b);
    } else {
        call = name + "(" + text_of(a);
        if (row.arity == Arity::Binary) call += ", " + text_of(b);
        if (row.arity == Arity::Param) call += ", " + text_of(c);
        call += ")";
    }
    std::string message;
    switch (fault) {
        case Fault::None:
            return;
        case Fault::Domain:
            message = call + " is undefined: the operand is outside the domain of " + name +
                      "; keep it inside, for example with maximum() or minimum()";
            break;
        case Fault::Overflow:
            message = call + " is too large for a float: scale the operand down, or bound it with minimum()";
            break;
        case Fault::ZeroDivision:
            message = call + " divides by zero: keep the divisor away from 0, for example by adding a small constant";
            break;
    }
    if (tracing() && !note("raises", Py_None, Py_None, true)) return;  // a function may handle the error
    PyErr_SetString(exception_for(fault), message.c_str());
}

void set_error_from_exception() noexcept {
    try {
        throw;
    } catch (const nn::Refused& refused) {
        raise_fault(refused.fault, refused.op, refused.a, refused.b, refused.c);
    } catch (const nn::HostFailed&) {
    } catch (const program::DomainError& error) {
        PyErr_SetString(exception_for(error.fault), error.what());
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (const py::builtin_exception& error) {
        error.set_error();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::length_error&) {  // more than any memory holds
        PyErr_NoMemory();
    } catch (const std::exception& error) {  // pybind11 says that it could not allocate: Python has said so already
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, error.what());
    }
}

}  // namespace kilograd
