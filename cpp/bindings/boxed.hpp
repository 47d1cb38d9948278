// Python types that each hold one C++ object and that only C++ can make: no __new__, no subclasses, so that whatever is
// of the type holds an object. pybind11's own classes can be had without one, and do not survive a failed allocation.
//
// Idiom: `using boxed = void;` in the type, `BoxedType<Thing>(name, doc)` once; then functions that pybind11 calls take
// `Thing&`, and return `Box<Thing>::make(...)`. A member `PyObject* box` gets to know its box.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <utility>

namespace kilograd {

template <class T>
struct Box {
    PyObject_HEAD T* value;
    static inline PyTypeObject* type = nullptr;

    static T* of(PyObject* object) {
        return Py_IS_TYPE(object, type) ? reinterpret_cast<Box*>(object)->value : nullptr;
    }

    // As of(), for an argument that has to be one.
    static T& expect(PyObject* object) {
        if (T* value = of(object)) return *value;
        throw pybind11::type_error(std::string(type->tp_name) + " expected, not " + Py_TYPE(object)->tp_name);
    }

    static pybind11::object make(std::unique_ptr<T> value) {
        PyObject* object = type->tp_alloc(type, 0);
        if (!object) throw pybind11::error_already_set();
        if constexpr (requires { value->box; }) value->box = object;
        reinterpret_cast<Box*>(object)->value = value.release();
        return pybind11::reinterpret_steal<pybind11::object>(object);
    }

    static void dealloc(PyObject* self) {
        delete reinterpret_cast<Box*>(self)->value;
        PyTypeObject* const its_type = Py_TYPE(self);
        its_type->tp_free(self);
        Py_DECREF(its_type);
    }
};

// Adds methods to the type, as pybind11's class_ does.
template <class T>
class BoxedType {
  public:
    BoxedType(const char* name, const char* doc) {
        PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&Box<T>::dealloc)},
                               {Py_tp_doc, const_cast<char*>(doc)},
                               {0, nullptr}};
        PyType_Spec spec = {name, sizeof(Box<T>), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
        PyObject* type = PyType_FromSpec(&spec);
        if (!type) throw pybind11::error_already_set();
        Box<T>::type = reinterpret_cast<PyTypeObject*>(type);
    }
    pybind11::handle type() const { return reinterpret_cast<PyObject*>(Box<T>::type); }

    template <class Fn, class... Extra>
    BoxedType& def(const char* name, Fn&& fn, const Extra&... extra) {
        type().attr(name) = method(name, std::forward<Fn>(fn), extra...);
        return *this;
    }
    template <class Fn>
    BoxedType& def_property_readonly(const char* name, Fn&& fn) {
        return def_property(name, std::forward<Fn>(fn));
    }
    template <class... Fn>
    BoxedType& def_property(const char* name, Fn&&... get_and_set) {
        type().attr(name) =
            pybind11::module_::import("builtins").attr("property")(method(name, std::forward<Fn>(get_and_set))...);
        return *this;
    }

  private:
    template <class Fn, class... Extra>
    pybind11::object method(const char* name, Fn&& fn, const Extra&... extra) {
        return pybind11::cpp_function(std::forward<Fn>(fn), pybind11::name(name), pybind11::is_method(type()),
                                      extra...);
    }
};

}  // namespace kilograd

namespace pybind11::detail {

template <class T>
requires requires { typename T::boxed; }
class type_caster<T> {
  public:
    static constexpr auto name = const_name("object");
    bool load(handle source, bool) { return (value_ = kilograd::Box<T>::of(source.ptr())) != nullptr; }
    template <class U>
    using cast_op_type = detail::cast_op_type<U>;
    operator T&() { return *value_; }
    operator T*() { return value_; }

  private:
    T* value_ = nullptr;
};

}  // namespace pybind11::detail
