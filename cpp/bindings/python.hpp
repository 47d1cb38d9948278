// CPython from C++: references that let go by themselves, and functions out of which no exception crosses into C.
//
// Whatever CPython gets to call but deallocators and the collector's functions, which cannot fail, it gets from here:
// slot<>(), method<>(), attribute<>() or Slot<>::call. The types Value and Served are written against this and CPython
// alone; pybind.hpp is for functions of the module.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <type_traits>
#include <utility>

#include "section.hpp"

namespace kilograd {

// A reference to an object, or none.
class Owned {
  public:
    Owned() = default;
    explicit Owned(PyObject* object) : object_(object) {}  // takes over the caller's
    Owned(Owned&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    Owned& operator=(Owned&& other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~Owned() { Py_XDECREF(object_); }

    PyObject* get() const { return object_; }
    PyObject* release() { return std::exchange(object_, nullptr); }
    explicit operator bool() const { return object_ != nullptr; }

  private:
    PyObject* object_ = nullptr;
};

// Lets go of an object, or of none. What dies of it may run code of somebody else's.
inline void release_object(PyObject* object) {
    if (!object) return;
    const Outside outside;
    Py_DECREF(object);
}

// Sets Python's error for the C++ exception that is being handled.
void set_error_from_exception() noexcept;

template <auto fn>
struct Slot;

template <class Result, class... Args, Result (*fn)(Args...)>
struct Slot<fn> {
    static Result call(Args... args) noexcept {
        try {
            [[maybe_unused]] const Section section = enter(args...);
            return fn(args...);
        } catch (...) {
            set_error_from_exception();
            if constexpr (std::is_pointer_v<Result>) {
                return nullptr;
            } else {
                return -1;
            }
        }
    }
};

template <auto fn>
PyType_Slot slot(int id) {
    return {id, reinterpret_cast<void*>(&Slot<fn>::call)};
}

template <auto fn>
PyMethodDef method(const char* name, int flags, const char* doc) {
    return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&Slot<fn>::call)), flags, doc};
}

// An attribute that cannot be set has no second function.
template <auto get, auto set = nullptr>
PyGetSetDef attribute(const char* name, const char* doc) {
    if constexpr (std::is_null_pointer_v<decltype(set)>) {
        return {name, &Slot<get>::call, nullptr, doc, nullptr};
    } else {
        return {name, &Slot<get>::call, &Slot<set>::call, doc, nullptr};
    }
}

}  // namespace kilograd
