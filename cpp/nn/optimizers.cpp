// The optimisers: one class each, and its line in the table at the end. What a class declares as Setting or Average is
// known to Python and to checkpoints by that name; their values are Python's to give.
//
// Formulas, and their order of operations, are those of PyTorch.
#include <algorithm>
#include <stdexcept>

#include "update.hpp"

namespace kilograd::nn {

namespace {

class Sgd final : public UpdateRule {
    Setting momentum{*this, "momentum", Setting::NotNegative}, dampening{*this, "dampening", Setting::Number},
        nesterov{*this, "nesterov", Setting::Flag};
    Average velocity{*this, "velocity"};

    void update(Parameters parameters, double rate) override {
        const bool first = !velocity.begun();  // momentum begins with the gradient itself
        double* const v = momentum == 0.0 ? nullptr : velocity.begin(parameters.size());
        const double decay = weight_decay, mu = momentum, kept = 1.0 - dampening;
        const bool ahead = nesterov != 0.0;
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            Node* const p = parameters[i];
            double direction = decayed(p, decay);
            if (v) {
                v[i] = first ? direction : mu * v[i] + kept * direction;
                direction = ahead ? direction + mu * v[i] : v[i];
            }
            move_to(p, p->data - rate * direction);
        }
    }
};

template <bool decoupled>  // the decay acts on the parameter and not on the gradient
class Adam final : public UpdateRule {
    Setting beta1{*this, "beta1", Setting::Fraction}, beta2{*this, "beta2", Setting::Fraction},
        eps{*this, "eps", Setting::NotNegative}, amsgrad{*this, "amsgrad", Setting::Flag};
    Average mean{*this, "mean"}, square{*this, "square"}, largest_square{*this, "largest_square"};

    void update(Parameters parameters, double rate) override {
        const double step = static_cast<double>(steps + 1);
        const double step_size = rate / (1.0 - std::pow(beta1, step));
        const double root_correction = std::sqrt(1.0 - std::pow(beta2, step));
        double* const m = mean.begin(parameters.size());
        double* const s = square.begin(parameters.size());
        double* const largest = amsgrad == 0.0 ? nullptr : largest_square.begin(parameters.size());
        const double decay = weight_decay, b1 = beta1, b2 = beta2, epsilon = eps;
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            Node* const p = parameters[i];
            const double g = decoupled ? p->grad : decayed(p, decay);
            const double data = decoupled ? p->data * (1.0 - rate * decay) : p->data;
            m[i] += (g - m[i]) * (1.0 - b1);
            s[i] = b2 * s[i] + (1.0 - b2) * g * g;
            const double scale = largest ? largest[i] = std::max(largest[i], s[i]) : s[i];
            move_to(p, data - step_size * (m[i] / (std::sqrt(scale) / root_correction + epsilon)));
        }
    }
};

class RmsProp final : public UpdateRule {
    Setting alpha{*this, "alpha", Setting::Fraction}, eps{*this, "eps", Setting::NotNegative},
        momentum{*this, "momentum", Setting::NotNegative}, centered{*this, "centered", Setting::Flag};
    Average square{*this, "square"}, mean{*this, "mean"}, velocity{*this, "velocity"};

    void update(Parameters parameters, double rate) override {
        double* const s = square.begin(parameters.size());
        double* const m = centered == 0.0 ? nullptr : mean.begin(parameters.size());
        double* const v = momentum == 0.0 ? nullptr : velocity.begin(parameters.size());
        const double decay = weight_decay, keep = alpha, epsilon = eps, mu = momentum;
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            Node* const p = parameters[i];
            const double g = decayed(p, decay);
            s[i] = keep * s[i] + (1.0 - keep) * g * g;
            double variance = s[i];
            if (m) {
                m[i] += (g - m[i]) * (1.0 - keep);
                variance = std::max(variance - m[i] * m[i], 0.0);  // below zero by rounding alone
            }
            double direction = g / (std::sqrt(variance) + epsilon);
            if (v) direction = v[i] = mu * v[i] + direction;
            move_to(p, p->data - rate * direction);
        }
    }
};

class Adagrad final : public UpdateRule {
    Setting lr_decay{*this, "lr_decay", Setting::NotNegative},
        initial_accumulator_value{*this, "initial_accumulator_value", Setting::NotNegative},
        eps{*this, "eps", Setting::NotNegative};
    Average square_sum{*this, "square_sum"};

    void update(Parameters parameters, double rate) override {
        const double step_size = rate / (1.0 + static_cast<double>(steps) * lr_decay);
        double* const s = square_sum.begin(parameters.size(), initial_accumulator_value);
        const double decay = weight_decay, epsilon = eps;
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            Node* const p = parameters[i];
            const double g = decayed(p, decay);
            s[i] += g * g;
            move_to(p, p->data - step_size * (g / (std::sqrt(s[i]) + epsilon)));
        }
    }
};

class Unwritten final : public UpdateRule {  // of an optimiser with a step of its own, written in Python
    void update(Parameters, double) override {
        throw std::logic_error("this optimizer has no step of its own, and Optimizer has none: override step()");
    }
};

template <class Rule>
std::unique_ptr<UpdateRule> make_rule() {
    return std::make_unique<Rule>();
}

constexpr struct {
    const char* name;
    std::unique_ptr<UpdateRule> (*make)();
} kinds[] = {
    {"SGD", make_rule<Sgd>},         {"Adam", make_rule<Adam<false>>}, {"AdamW", make_rule<Adam<true>>},
    {"RMSprop", make_rule<RmsProp>}, {"Adagrad", make_rule<Adagrad>},  {"Optimizer", make_rule<Unwritten>},
};

}  // namespace

std::unique_ptr<UpdateRule> UpdateRule::make(std::string_view kind) {
    for (const auto& each : kinds) {
        if (each.name != kind) continue;
        std::unique_ptr<UpdateRule> rule = each.make();
        rule->kind = each.name;
        return rule;
    }
    return nullptr;
}

}  // namespace kilograd::nn
