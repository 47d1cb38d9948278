// Parameter updates: one pass over the nodes of the parameters, in place.
//
// The formulas are those of PyTorch's optimisers, in their order of operations. Running averages are arrays of the
// caller, one entry for each parameter; a null pointer switches the feature off.
#pragma once

#include <span>

#include "../engine/node.hpp"

namespace kilograd::nn {

using Parameters = std::span<Node* const>;

void zero_grad(Parameters parameters);

struct Sgd {
    double rate, weight_decay, momentum, dampening;
    bool nesterov, first;  // first: the momentum begins with the gradient itself
};
void step(Parameters parameters, const Sgd& rule, double* velocity);

struct Adam {
    double rate, weight_decay, beta1, beta2, epsilon;
    double step;     // counts from 1
    bool decoupled;  // AdamW: the decay acts on the parameter and not on the gradient
};
void step(Parameters parameters, const Adam& rule, double* mean, double* square, double* largest_square);

struct RmsProp {
    double rate, weight_decay, smoothing, epsilon, momentum;
};
void step(Parameters parameters, const RmsProp& rule, double* square, double* mean, double* velocity);

double gradient_norm(Parameters parameters, double order);  // order: of the norm; infinity gives the largest
void scale_gradients(Parameters parameters, double factor);
void clip_gradients(Parameters parameters, double limit);

}  // namespace kilograd::nn
