// C++ functions as CPython calls them: no exception crosses into C.
//
// Whatever CPython gets to call but deallocators and the collector's functions, which cannot fail, it gets from here:
// slot<>(), method<>(), attribute<>() or Slot<>::call.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <type_traits>

namespace kilograd {

// Sets Python's error for the C++ exception that is being handled.
void set_error_from_exception() noexcept;

template <auto fn>
struct Slot;

template <class Result, class... Args, Result (*fn)(Args...)>
struct Slot<fn> {
    static Result call(Args... args) noexcept {
        try {
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
