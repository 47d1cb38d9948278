// Native calls of Neuron, Layer and MLP for kilograd.nn.
#pragma once

#include <pybind11/pybind11.h>

namespace kilograd {

void add_network(pybind11::module_& m);  // call_neuron, call_layer, call_layers, parameters_of, declare_*

}  // namespace kilograd
