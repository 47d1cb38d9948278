// How Python comes to the module.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

// What pybind11 makes of the table of contents (module.cpp).
extern "C" PyObject* kilograd_init_core();

namespace {

PyObject* inner = nullptr;  // the definition that pybind11 makes; version 2 makes the module at once

// The arena, the types and pybind11 itself count on one interpreter; in another one they would wait for its GIL for
// ever. CPython would refuse some of them by itself, without saying what to do, if this claimed to support none.
PyObject* create_in_main_interpreter(PyObject* spec, PyModuleDef*) {
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError,
                        "kilograd works in a process's main interpreter, and this is another one: use it in the main "
                        "one, or in a process of its own (multiprocessing, ProcessPoolExecutor)");
        return nullptr;
    }
    PyObject* const made = kilograd_init_core();
    if (!made || PyModule_Check(made)) return made;
    inner = made;
    return PyModule_FromDefAndSpec(reinterpret_cast<PyModuleDef*>(inner), spec);
}

int execute(PyObject* module) { return inner ? PyModule_ExecDef(module, reinterpret_cast<PyModuleDef*>(inner)) : 0; }

PyModuleDef_Slot slots[] = {
    {Py_mod_create, reinterpret_cast<void*>(create_in_main_interpreter)},
    {Py_mod_exec, reinterpret_cast<void*>(execute)},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef KILOGRAD_FREE_THREADED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};
PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_core", nullptr, 0, nullptr, slots, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__core() { return PyModuleDef_Init(&definition); }
