// Between Python objects and the terms of cpp/nn: the glue for builders.
#pragma once

#include <pybind11/pybind11.h>

#include "../nn/builder.hpp"
#include "errors.hpp"
#include "modes.hpp"
#include "numbers.hpp"
#include "value/handle.hpp"

namespace kilograd {

// A Value or a number as a term; none where it is neither. Throws error_already_set where the conversion raised.
inline bool to_term(PyObject* object, std::vector<nn::Term>& out) {
    if (is_value(object)) {
        out.push_back(nn::Term::share(node_of(object)));
        return true;
    }
    Number number{};
    switch (to_number(object, number)) {
        case Conversion::Ok:
            out.emplace_back(number.value, number.kind);
            return true;
        case Conversion::NotANumber:
            return false;
        case Conversion::Error:
            throw pybind11::error_already_set();
    }
    return false;
}

// The Python object for a node's term: a new reference.
inline PyObject* to_object(nn::Term term) {
    auto [node, handle] = term.leave();
    if (handle) return static_cast<PyObject*>(handle);
    PyObject* object = living_handle(node);
    if (!object) return new_handle(node);
    release_node(node);
    return object;
}

inline pybind11::object to_py(nn::Term term) {
    PyObject* object = to_object(std::move(term));
    if (!object) throw pybind11::error_already_set();
    return pybind11::reinterpret_steal<pybind11::object>(object);
}

// Runs the body of a function that Python calls: C++ exceptions become Python's, and what the terms gave up is freed.
template <class Fn>
PyObject* guarded(Fn&& body) {
    PyObject* result = nullptr;
    [[maybe_unused]] const Section section = enter();
    try {
        result = body().release().ptr();
    } catch (...) {
        set_error_from_exception();
    }
    release_pending();
    return result;
}

}  // namespace kilograd
