#include "update.hpp"

#include <algorithm>
#include <cmath>

namespace kilograd::nn {

namespace {

void move_to(Node* parameter, double value) {
    parameter->data = value;
    parameter->kinds.data = FloatKind;
}

// The gradient with that of the penalty weight_decay/2 * data**2.
double decayed(const Node* parameter, double weight_decay) {
    return weight_decay == 0.0 ? parameter->grad : parameter->grad + weight_decay * parameter->data;
}

void set_gradient(Node* parameter, double value) {
    parameter->grad = value;
    parameter->kinds.grad = FloatKind;
}

}  // namespace

void zero_grad(Parameters parameters) {
    for (Node* p : parameters) {
        p->grad = 0.0;
        p->kinds.grad = p->has(ExactInts) ? IntKind : FloatKind;
    }
}

void step(Parameters parameters, const Sgd& rule, double* velocity) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        Node* p = parameters[i];
        double direction = decayed(p, rule.weight_decay);
        if (velocity) {
            double& v = velocity[i];
            v = rule.first ? direction : rule.momentum * v + (1.0 - rule.dampening) * direction;
            direction = rule.nesterov ? direction + rule.momentum * v : v;
        }
        move_to(p, p->data - rule.rate * direction);
    }
}

void step(Parameters parameters, const Adam& rule, double* mean, double* square, double* largest_square) {
    const double step_size = rule.rate / (1.0 - std::pow(rule.beta1, rule.step));
    const double root_correction = std::sqrt(1.0 - std::pow(rule.beta2, rule.step));
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        Node* p = parameters[i];
        double g = rule.decoupled ? p->grad : decayed(p, rule.weight_decay);
        double data = rule.decoupled ? p->data * (1.0 - rule.rate * rule.weight_decay) : p->data;
        mean[i] += (g - mean[i]) * (1.0 - rule.beta1);
        square[i] = rule.beta2 * square[i] + (1.0 - rule.beta2) * g * g;
        double s = square[i];
        if (largest_square) s = largest_square[i] = std::max(largest_square[i], s);
        move_to(p, data - step_size * (mean[i] / (std::sqrt(s) / root_correction + rule.epsilon)));
    }
}

void step(Parameters parameters, const RmsProp& rule, double* square, double* mean, double* velocity) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        Node* p = parameters[i];
        double g = decayed(p, rule.weight_decay);
        square[i] = rule.smoothing * square[i] + (1.0 - rule.smoothing) * g * g;
        double variance = square[i];
        if (mean) {
            mean[i] += (g - mean[i]) * (1.0 - rule.smoothing);
            variance -= mean[i] * mean[i];
        }
        double direction = g / (std::sqrt(variance) + rule.epsilon);
        if (velocity) direction = velocity[i] = rule.momentum * velocity[i] + direction;
        move_to(p, p->data - rule.rate * direction);
    }
}

double gradient_norm(Parameters parameters, double order) {
    double sum = 0.0;
    if (std::isinf(order)) {
        for (Node* p : parameters) sum = std::isnan(p->grad) ? p->grad : std::max(sum, std::fabs(p->grad));
        return sum;
    }
    for (Node* p : parameters) sum += order == 2.0 ? p->grad * p->grad : std::pow(std::fabs(p->grad), order);
    return order == 2.0 ? std::sqrt(sum) : std::pow(sum, 1.0 / order);
}

void scale_gradients(Parameters parameters, double factor) {
    for (Node* p : parameters) set_gradient(p, p->grad * factor);
}

void clip_gradients(Parameters parameters, double limit) {
    for (Node* p : parameters)
        if (std::fabs(p->grad) > limit) set_gradient(p, std::copysign(limit, p->grad));
}

}  // namespace kilograd::nn
