#include "update.hpp"

#include <algorithm>

namespace kilograd::nn {

static void set_gradient(Node* parameter, double value) {
    parameter->grad = value;
    parameter->kinds.grad = FloatKind;
}

void zero_grad(Parameters parameters) {
    for (Node* p : parameters) {
        p->grad = 0.0;
        p->kinds.grad = p->has(ExactInts) ? IntKind : FloatKind;
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

void limit_norm(Parameters parameters, double norm, double limit) {
    const double factor = limit / (norm + 1e-6);  // as PyTorch: the addend keeps a zero gradient zero
    if (!(factor < 1.0)) return;
    for (Node* p : parameters) set_gradient(p, p->grad * factor);
}

void limit_values(Parameters parameters, double limit) {
    for (Node* p : parameters)
        if (std::fabs(p->grad) > limit) set_gradient(p, std::copysign(limit, p->grad));
}

Setting::Setting(UpdateRule& rule, const char* its_name, Kind its_kind)
    : name(its_name), kind(its_kind), value(its_kind == Limit ? none : 0.0) {
    rule.settings.push_back(this);
}

bool Setting::allows(double x) const {
    if (kind == Number || kind == Flag) return true;
    return x >= 0.0 && std::isfinite(x) && (kind != Fraction || x < 1.0);
}

Average::Average(UpdateRule& rule, const char* its_name) : name(its_name) { rule.averages.push_back(this); }

bool UpdateRule::step(Parameters parameters, double rate) {
    if (clip_norm != Setting::none) {
        const double norm = gradient_norm(parameters, 2.0);
        if (!std::isfinite(norm)) return false;
        limit_norm(parameters, norm, clip_norm);
    }
    if (clip_value != Setting::none) limit_values(parameters, clip_value);
    update(parameters, rate);
    ++steps;
    return true;
}

bool UpdateRule::fits(std::size_t parameters) const {
    return std::all_of(averages.begin(), averages.end(), [&](const Average* average) {
        return !average->begun() || average->values.size() == parameters;
    });
}

void Bookmark::take(const UpdateRule& rule, Parameters parameters) {
    data_.resize(parameters.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) data_[i] = parameters[i]->data;
    steps_ = rule.steps;
    averages_.resize(rule.averages.size());
    for (std::size_t i = 0; i < averages_.size(); ++i) averages_[i] = rule.averages[i]->values;
}

void Bookmark::restore(UpdateRule& rule, Parameters parameters) const {
    for (std::size_t i = 0; i < averages_.size(); ++i) rule.averages[i]->values = averages_[i];
    rule.steps = steps_;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        parameters[i]->data = data_[i];
        parameters[i]->kinds.data = FloatKind;
    }
}

}  // namespace kilograd::nn
