// The base of all served classes: how their objects are made, initialised and given attributes. Class(number) makes a
// leaf without a call into Python where the author's constructor would only store the number.
#include <algorithm>
#include <array>

#include "../value/pickle.hpp"
#include "class.hpp"

namespace kilograd {

namespace {

// Whether the type, or what it derives from, serves a class by now.
bool ready(PyTypeObject* type, int family) {
    const Served* own = served[static_cast<std::size_t>(family)].get();
    if (own && own->init) return true;
    PyErr_Format(PyExc_TypeError, "%.200s serves no class: only kilograd run makes such types", type->tp_name);
    return false;
}

PyObject* served_new(PyTypeObject* type, PyObject*, PyObject*) {
    int family = family_of(type);
    if (!ready(type, family)) return nullptr;
    Node* node = served_leaf({0.0, FloatKind}, static_cast<std::uint8_t>(family));
    if (type == families[static_cast<std::size_t>(family)].type) return new_handle(node);
    auto* handle = reinterpret_cast<Handle*>(type->tp_alloc(type, 0));
    if (!handle) {
        release(node);
        return nullptr;
    }
    node->flags |= Stateful;  // its class must come back with it
    bound(as_object(handle), node);
    if (served_of(node)->bare ? !make_bare(handle) : served_of(node)->rule && !set_method_rule(handle)) {
        Py_DECREF(handle);
        return nullptr;
    }
    return as_object(handle);
}

int served_init(PyObject* self, PyObject* args, PyObject* kwargs) {
    const Served& own = *served_of(node_of(self));
    PyObject* bound = PyMethod_New(own.init, self);
    PyObject* result = bound ? PyObject_Call(bound, args, kwargs) : nullptr;
    Py_XDECREF(bound);
    if (!result) return -1;
    bool none = result == Py_None;
    if (!none) PyErr_Format(PyExc_TypeError, "__init__() should return None, not '%.200s'", Py_TYPE(result)->tp_name);
    Py_DECREF(result);
    return none ? 0 : -1;
}

// The attribute of the author's under this name, or null; borrowed. Of the last two that were asked for the answer is
// known: a training loop sets data and gradients.
PyObject* member_called(PyTypeObject* type, PyObject* name) {
    struct Answer {
        PyTypeObject* type;
        PyObject* name;  // owned: no other object has its address
        unsigned int version;
        PyObject* member;
    };
    static std::array<Answer, 2> known{};
    static std::size_t oldest = 0;
    const bool versioned = PyType_HasFeature(type, Py_TPFLAGS_VALID_VERSION_TAG);
    for (const Answer& answer : known)
        if (answer.name == name && answer.type == type && versioned && answer.version == type->tp_version_tag)
            return answer.member;
    PyObject* own = PyDict_GetItemWithError(type->tp_dict, name);
    if (!own || !is_member(own)) return nullptr;
    if (versioned) {
        Answer& answer = known[oldest];
        Py_XDECREF(answer.name);
        answer = {type, Py_NewRef(name), type->tp_version_tag, own};
        oldest = 1 - oldest;
    }
    return own;
}

int served_setattr(PyObject* self, PyObject* name, PyObject* value) {
    if (is_exact_value(self)) {
        PyObject* member = member_called(Py_TYPE(self), name);
        if (member) return set_member(member, self, value);
        if (PyErr_Occurred()) return -1;
    }
    if (is_exact_value(self) && served_of(node_of(self))->closed) {
        PyObject* descriptor = PyObject_GetAttr(reinterpret_cast<PyObject*>(Py_TYPE(self)), name);
        bool own = descriptor && Py_TYPE(descriptor)->tp_descr_set;
        Py_XDECREF(descriptor);
        if (!own) {
            PyErr_Clear();
            PyErr_Format(PyExc_AttributeError, "'%.200s' object has no attribute '%U'", Py_TYPE(self)->tp_name, name);
            return -1;
        }
    }
    if (PyObject_GenericSetAttr(self, name, value) < 0) return -1;
    Handle* handle = as_handle(self);
    if (handle->dict) mark_state(handle, handle->dict);
    if (!served_of(handle->node)->rule || PyUnicode_CompareWithASCIIString(name, "_backward") != 0) return 0;
    // The class has its rule as a method, and this object now one of its own, or no longer.
    if (!value) return set_method_rule(handle) ? 0 : -1;
    if (!state_of(handle)) return -1;
    set_rule(handle, value);
    return 0;
}

PyObject* served_get_dict(PyObject* self, void*) {
    if (is_exact_value(self) && served_of(node_of(self))->closed) {
        PyErr_Format(PyExc_AttributeError, "'%.200s' object has no attribute '__dict__'", Py_TYPE(self)->tp_name);
        return nullptr;
    }
    return expose(as_handle(self)) ? Py_NewRef(as_handle(self)->dict) : nullptr;
}

PyGetSetDef served_getset[] = {
    attribute<served_get_dict>("__dict__", nullptr),
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMethodDef served_methods[] = {
    method<value_reduce>("__reduce__", METH_NOARGS, nullptr),
    method<value_copy>("__copy__", METH_NOARGS, nullptr),
    method<value_setstate>("__setstate__", METH_O, nullptr),
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

PyObject* served_vectorcall(PyObject* callable, PyObject* const* args, std::size_t nargsf, PyObject* keywords) {
    auto* type = reinterpret_cast<PyTypeObject*>(callable);
    auto family = static_cast<std::uint8_t>(family_of(type));
    if (!ready(type, family)) [[unlikely]]
        return nullptr;
    const Served& own = *served[family];
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    Number number{};
    if (own.plain_init && count == 1 && !keywords && is_held(own, args[0], number) && make_number(own, number) &&
        !own.is_paused()) {
        ++built_natively;
        return new_handle(served_leaf(number, family));
    }
    PyObject* self = new_handle(served_leaf({0.0, FloatKind}, family));
    if (self && own.bare && !make_bare(as_handle(self))) Py_CLEAR(self);
    if (!self) return nullptr;
    Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
    std::vector<PyObject*> all(static_cast<std::size_t>(count + named) + 1);
    all[0] = self;
    std::copy(args, args + count + named, all.begin() + 1);
    PyObject* result = PyObject_Vectorcall(own.init, all.data(), static_cast<std::size_t>(count) + 1, keywords);
    if (result && result != Py_None)
        PyErr_Format(PyExc_TypeError, "__init__() should return None, not '%.200s'", Py_TYPE(result)->tp_name);
    Py_XDECREF(result);
    if (result != Py_None) Py_CLEAR(self);
    return self;
}

bool make_served_type() {
    std::vector<PyType_Slot> slots = handle_slots();
    slots.insert(slots.end(), {slot<served_new>(Py_tp_new),
                               slot<served_init>(Py_tp_init),
                               {Py_tp_free, reinterpret_cast<void*>(PyObject_GC_Del)},
                               slot<served_setattr>(Py_tp_setattro),
                               {Py_tp_getset, served_getset},
                               {Py_tp_methods, served_methods}});
    add_operator_slots(slots);
    served_type = make_type("kilograd._core.Served", sizeof(Handle),
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots);
    if (!served_type) return false;
    // A class has the methods that its author wrote, and no others.
    for (const char* name : {"__add__", "__radd__", "__mul__", "__rmul__", "__pow__", "__rpow__"})
        if (PyDict_DelItemString(served_type->tp_dict, name) < 0) return false;
    PyType_Modified(served_type);
    return add_numpy_priority();
}

}  // namespace kilograd
