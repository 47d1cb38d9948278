// The Python classes of networks: their methods as written, which network.cpp implements, and whether an object still
// has them.
#pragma once

#include <utility>

#include "../engine/node.hpp"
#include "pybind.hpp"

namespace kilograd {

inline PyObject* intern(const char* name) { return PyUnicode_InternFromString(name); }

struct Names {
    PyObject *call = intern("__call__"), *weighted_sum = intern("weighted_sum"), *activate = intern("activate"),
             *parameters = intern("parameters"), *w = intern("w"), *b = intern("b"), *activation = intern("activation"),
             *nonlin = intern("nonlin"), *neurons = intern("neurons"), *layers = intern("layers"),
             *linear = intern("linear");
};
extern const Names* all_names;  // made with the module
inline const Names& names() { return *all_names; }

struct ActivationRow {
    PyObject* name;
    PyObject* method;
    Op op;
    double constant;
};

// The row of a method's name, or null.
const ActivationRow* find_activation(PyObject* name);

inline PyObject* look_up(PyTypeObject* type, PyObject* name) { return _PyType_Lookup(type, name); }

inline PyObject* get(const py::object& dict, PyObject* name) { return PyDict_GetItemWithError(dict.ptr(), name); }

inline py::object borrowed(PyObject* object) { return py::reinterpret_borrow<py::object>(object); }

// How a type of neurons behaves; `native` where its call is one of the dialects'.
struct NeuronFacts {
    bool native = false, bias_first = false, native_activation = false, nonlin = false;
};

NeuronFacts neuron_facts(PyTypeObject* type);

// The attributes of a neuron itself. Whatever stands here hides the class's method of that name.
struct Fields {
    PyObject *w = nullptr, *b = nullptr, *activation = nullptr, *nonlin = nullptr;
    PyObject *weighted_sum = nullptr, *activate = nullptr;

    explicit Fields(const py::object& dict) {
        const Names& name = names();
        const std::pair<PyObject*, PyObject**> all[] = {{name.w, &w},
                                                        {name.b, &b},
                                                        {name.activation, &activation},
                                                        {name.nonlin, &nonlin},
                                                        {name.weighted_sum, &weighted_sum},
                                                        {name.activate, &activate}};
        // One walk over the few entries finds the keys that are interned, as those of attributes are; where there is
        // anything else, each is looked up.
        PyObject *key, *value;
        bool known = true;
        Py_ssize_t position = 0;
        for (Py_ssize_t left = PyDict_GET_SIZE(dict.ptr()); known && left; --left) {
            if (!PyDict_Next(dict.ptr(), &position, &key, &value)) break;
            known = false;
            for (auto& [its_name, field] : all) {
                if (key != its_name) continue;
                *field = value;
                known = true;
                break;
            }
        }
        if (known) return;
        for (auto& [its_name, field] : all) *field = get(dict, its_name);
    }
};

bool is_native_layer(PyTypeObject* type);
bool has_own_operators(PyTypeObject* type);  // not patched
bool is_layers_parameters(PyObject* method);
bool is_neurons_parameters(PyObject* method);

void add_network_classes(py::module_& m);  // declare_neuron, declare_layer

}  // namespace kilograd
