#include "modes.hpp"

namespace kilograd {

Counter no_grad_blocks{};
thread_local int no_grad_depth = 0;
thread_local PyObject* notes = nullptr;
Counter tracing_threads{};

bool enter_no_grad() {
    if (refuse_while_tracing("no_grad()")) return false;
    ++no_grad_blocks;
    ++no_grad_depth;
    return true;
}

bool exit_no_grad() {
    if (no_grad_depth == 0) return false;
    --no_grad_blocks;
    --no_grad_depth;
    return true;
}

PyObject* trace_into(PyObject* list) {
    PyObject* before = notes;
    Py_XINCREF(list);
    notes = list;
    if (list && !before) ++tracing_threads;
    if (before && !list) --tracing_threads;
    return before;
}

bool note(const char* symbol, PyObject* left, PyObject* right, bool result) {
    PyObject* entry = Py_BuildValue("(sOOO)", symbol, left, right, result ? Py_True : Py_False);
    bool ok = entry && PyList_Append(notes, entry) == 0;
    Py_XDECREF(entry);
    return ok;
}

bool refuse_traced(const char* what) {
    if (!note("raises", Py_None, Py_None, true)) return true;  // a function may handle the error
    PyErr_Format(PyExc_TypeError,
                 "%s cannot be recorded inside a compiled function, where a Value stands for a number: leave it out, "
                 "or call the function without kilograd.compile",
                 what);
    return true;
}

}  // namespace kilograd
