// The items of what Python calls a sequence, owned: whatever Python runs meanwhile, they stay, in this number.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cstddef>

#include "section.hpp"

namespace kilograd {

class Items {
  public:
    Items() = default;
    Items(const Items&) = delete;
    Items& operator=(const Items&) = delete;
    ~Items() { Py_XDECREF(tuple_); }

    // False with an error set; a TypeError with this message where the object is not iterable.
    bool take(PyObject* object, const char* message) {
        const Outside outside;
        tuple_ = PySequence_Fast(object, message);
        if (tuple_ && !PyTuple_CheckExact(tuple_)) {
            PyObject* list = tuple_;
            tuple_ = PyList_Check(list) ? PyList_AsTuple(list) : PySequence_Tuple(list);
            Py_DECREF(list);
        }
        return tuple_ != nullptr;
    }
    std::size_t size() const { return tuple_ ? static_cast<std::size_t>(PyTuple_GET_SIZE(tuple_)) : 0; }
    PyObject* operator[](std::size_t i) const { return PyTuple_GET_ITEM(tuple_, static_cast<Py_ssize_t>(i)); }
    PyObject* const* begin() const { return tuple_ ? &PyTuple_GET_ITEM(tuple_, 0) : nullptr; }
    PyObject* const* end() const { return begin() + size(); }

  private:
    PyObject* tuple_ = nullptr;
};

}  // namespace kilograd
