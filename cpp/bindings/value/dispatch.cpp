// NumPy's protocols `__array_ufunc__` and `__array_function__` of Values, which are there while a thread traces and
// absent for everybody else: NumPy's functions then do with a Value what they do with a float, by functions of Python
// that `kilograd.compiled` brings. Arithmetic and comparisons of two numbers, the bulk of it, do not go that way.
#include "dispatch.hpp"

#include <array>

#include "../modes.hpp"
#include "../numbers.hpp"
#include "value.hpp"

namespace kilograd {

namespace {

PyObject* of_ufuncs = nullptr;  // functions of Python
PyObject* of_functions = nullptr;

using PythonOperator = PyObject* (*)(PyObject*, PyObject*);
template <int comparison>
PyObject* compared(PyObject* left, PyObject* right) {
    return PyObject_RichCompare(left, right, comparison);
}
const std::array<PythonOperator, 10> python_operators = {  // of a DLL on Windows: no constants of the compiler's
    PyNumber_Add,    PyNumber_Subtract, PyNumber_Multiply, PyNumber_TrueDivide, compared<Py_LT>,
    compared<Py_LE>, compared<Py_EQ>,   compared<Py_NE>,   compared<Py_GT>,     compared<Py_GE>};
std::array<PyObject*, std::tuple_size_v<decltype(python_operators)>> ufuncs{};  // NumPy's, of the operators

// A Value, or a number as Python's: NumPy's would ask NumPy again.
Owned operand(PyObject* object) {
    if (is_value(object)) return Owned(Py_NewRef(object));
    Number number{};
    const Conversion found = to_number(object, number);
    if (found == Conversion::Error) PyErr_Clear();
    return found == Conversion::Ok ? Owned(number_object(number.value, number.kind)) : Owned();
}

PyObject* array_ufunc(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* names) {
    static PyObject* call = PyUnicode_InternFromString("__call__");
    if (count == 5 && !names && PyUnicode_Check(args[2]) && PyUnicode_Compare(args[2], call) == 0) {
        for (std::size_t k = 0; k < python_operators.size(); ++k) {
            if (args[1] != ufuncs[k]) continue;
            const Owned left = operand(args[3]), right = operand(args[4]);
            if (left && right) return python_operators[k](left.get(), right.get());
            if (PyErr_Occurred()) return nullptr;
            break;
        }
    }
    return PyObject_Vectorcall(of_ufuncs, args, static_cast<std::size_t>(count), names);
}

struct Protocol {
    PyObject_HEAD PyObject* function;
};

// The attribute is looked up on the class.
PyObject* protocol_get(PyObject* self, PyObject* object, PyObject*) {
    if (!tracing() || !of_ufuncs || object) {
        PyErr_SetNone(PyExc_AttributeError);
        return nullptr;
    }
    PyObject* function = reinterpret_cast<Protocol*>(self)->function;
    return Py_NewRef(function ? function : of_functions);
}

PyObject* protocol_call(PyObject*, PyObject*, PyObject*) {
    PyErr_SetString(PyExc_TypeError, "NumPy's protocols are those of numbers in a function that is recorded");
    return nullptr;
}

int refuse_buffer(PyObject* self, Py_buffer* view, int) {
    view->obj = nullptr;
    const Owned none(PyObject_CallMethod(self, "tofile", nullptr));
    if (none) PyErr_SetString(PyExc_BufferError, "the memory of this array is not that of numbers");
    return -1;
}

PyMethodDef ufunc_method = method<array_ufunc>("__array_ufunc__", METH_FASTCALL | METH_KEYWORDS, "NumPy's protocol.");

}  // namespace

void set_dispatch(PyObject* ufunc_function, PyObject* function_function, PyObject* operator_ufuncs) {
    of_ufuncs = Py_NewRef(ufunc_function);
    of_functions = Py_NewRef(function_function);
    for (std::size_t k = 0; k < python_operators.size(); ++k)
        ufuncs[k] = Py_NewRef(PyTuple_GetItem(operator_ufuncs, static_cast<Py_ssize_t>(k)));
}

void refuse_buffers(PyObject* type) {
    reinterpret_cast<PyTypeObject*>(type)->tp_as_buffer->bf_getbuffer = refuse_buffer;
}

bool add_protocols(PyTypeObject* type) {
    PyType_Slot slots[] = {slot<protocol_get>(Py_tp_descr_get), slot<protocol_call>(Py_tp_call), {0, nullptr}};
    PyType_Spec spec = {"kilograd._core.Protocol", sizeof(Protocol), 0, Py_TPFLAGS_DEFAULT, slots};
    const Owned protocol_type(PyType_FromSpec(&spec));
    if (!protocol_type) return false;
    const auto add = [&](const char* name, PyObject* function) {
        const Owned protocol(PyObject_CallNoArgs(protocol_type.get()));
        if (!protocol) return false;
        reinterpret_cast<Protocol*>(protocol.get())->function = function;
        return PyObject_SetAttrString(reinterpret_cast<PyObject*>(type), name, protocol.get()) == 0;
    };
    PyObject* function = PyCFunction_New(&ufunc_method, nullptr);
    return function && add("__array_ufunc__", function) && add("__array_function__", nullptr);
}

}  // namespace kilograd
