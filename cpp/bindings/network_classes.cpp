#include "network_classes.hpp"

#include <string>
#include <vector>

#include "../engine/graph.hpp"
#include "value/handle.hpp"

namespace kilograd {

const Names* all_names = nullptr;

namespace {

// What the Python classes declare (see declare_neuron below): their methods as written, which network.cpp implements.
struct Dialect {
    PyObject *call, *weighted_sum, *activate, *parameters;
    bool bias_first, nonlin;
};
std::vector<Dialect> dialects;
PyObject* layer_call = nullptr;
PyObject* layer_parameters = nullptr;

// The operators and activation methods as the engine made them, to notice when the class has been patched.
binaryfunc own_add = nullptr, own_multiply = nullptr;
std::vector<ActivationRow> activations;

py::object class_attribute(const py::object& type, PyObject* name) {
    PyObject* attribute = look_up(reinterpret_cast<PyTypeObject*>(type.ptr()), name);
    if (!attribute) throw py::attribute_error(std::string(py::str(name)) + " is missing");
    return borrowed(attribute);
}

}  // namespace

const ActivationRow* find_activation(PyObject* name) {
    for (const ActivationRow& row : activations)  // literals are interned: mostly found here
        if (row.name == name) return &row;
    for (const ActivationRow& row : activations)
        if (PyUnicode_Compare(row.name, name) == 0) return &row;
    return nullptr;
}

NeuronFacts neuron_facts(PyTypeObject* type) {
    NeuronFacts facts;
    if (type->tp_getattro != PyObject_GenericGetAttr || type->tp_dictoffset == 0) return facts;
    const Names& name = names();
    for (PyObject* instance_only : {name.w, name.b, name.nonlin})
        if (look_up(type, instance_only)) return facts;
    PyObject* activation = look_up(type, name.activation);
    if (activation && Py_TYPE(activation)->tp_descr_get) return facts;
    PyObject *call = look_up(type, name.call), *sum = look_up(type, name.weighted_sum),
             *activate = look_up(type, name.activate);
    bool known_call = false, known_sum = false;
    for (const Dialect& dialect : dialects) {
        known_call |= call == dialect.call;
        if (sum == dialect.weighted_sum) {
            known_sum = true;
            facts.bias_first = dialect.bias_first;
        }
        if (activate == dialect.activate) {
            facts.native_activation = true;
            facts.nonlin = dialect.nonlin;
        }
    }
    facts.native = known_call && known_sum;
    return facts;
}

bool is_native_layer(PyTypeObject* type) {
    return type->tp_getattro == PyObject_GenericGetAttr && type->tp_dictoffset != 0 &&
           look_up(type, names().call) == layer_call && !look_up(type, names().neurons);
}

bool has_own_operators(PyTypeObject* type) {
    return type->tp_as_number->nb_add == own_add && type->tp_as_number->nb_multiply == own_multiply;
}

bool is_layers_parameters(PyObject* method) { return method == layer_parameters; }

bool is_neurons_parameters(PyObject* method) {
    for (const Dialect& dialect : dialects)
        if (method == dialect.parameters) return true;
    return false;
}

void add_network_classes(py::module_& m) {
    all_names = new Names;
    own_add = value_type->tp_as_number->nb_add;
    own_multiply = value_type->tp_as_number->nb_multiply;
    auto add_activation = [](const char* name, Op op, double constant) {
        PyObject* interned = intern(name);
        activations.push_back({interned, Py_XNewRef(look_up(value_type, interned)), op, constant});
    };
    for (std::size_t i = first_row; i < op_count; ++i)
        if (op_infos[i].arity == Arity::Unary) add_activation(op_infos[i].name, static_cast<Op>(i), 0.0);
    add_activation("leaky_relu", Op::leaky_relu, 0.01);

    m.def(
        "declare_neuron",
        [](const py::type& type, bool bias_first, bool nonlin) {
            const Names& name = names();
            dialects.push_back({class_attribute(type, name.call).release().ptr(),
                                class_attribute(type, name.weighted_sum).release().ptr(),
                                class_attribute(type, name.activate).release().ptr(),
                                class_attribute(type, name.parameters).release().ptr(), bias_first, nonlin});
        },
        py::arg("type"), py::kw_only(), py::arg("bias_first") = false, py::arg("nonlin") = false,
        "Say that this class of neurons, as it stands, is one that call_neuron implements.");
    m.def(
        "declare_layer",
        [](const py::type& type) {
            layer_call = class_attribute(type, names().call).release().ptr();
            layer_parameters = class_attribute(type, names().parameters).release().ptr();
        },
        py::arg("type"), "Say that this class of layers, as it stands, is the one that call_layer implements.");
}

}  // namespace kilograd
