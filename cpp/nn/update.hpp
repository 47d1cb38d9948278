// Parameter updates: one pass over the nodes of the parameters, in place.
//
// An optimiser is an UpdateRule: a formula with its settings and running averages. Idiom: the settings and averages are
// members that enter themselves under their names when the rule is made (see optimizers.cpp), and whoever asks for
// settings by name, keeps averages or goes back to a bookmark needs no list of them.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "../engine/node.hpp"

namespace kilograd::nn {

using Parameters = std::span<Node* const>;

void zero_grad(Parameters parameters);
double gradient_norm(Parameters parameters, double order);          // order: of the norm; infinity gives the largest
void limit_norm(Parameters parameters, double norm, double limit);  // norm: that of the gradients now
void limit_values(Parameters parameters, double limit);

class UpdateRule;

// What somebody may change between two steps.
struct Setting {
    enum Kind : std::uint8_t { Number, NotNegative, Fraction, Flag, Limit };  // Fraction: below 1
    static constexpr double none = std::numeric_limits<double>::infinity();   // no limit

    Setting(UpdateRule& rule, const char* name, Kind kind);
    Setting(const Setting&) = delete;
    Setting& operator=(const Setting&) = delete;
    operator double() const { return value; }
    bool allows(double x) const;

    const char* const name;
    const Kind kind;
    double value;
};

// A number for each parameter, kept from step to step.
struct Average {
    Average(UpdateRule& rule, const char* name);
    Average(const Average&) = delete;
    Average& operator=(const Average&) = delete;
    bool begun() const { return !values.empty(); }
    double* begin(std::size_t count, double start = 0.0) {
        if (values.empty()) values.assign(count, start);
        return values.data();
    }

    const char* const name;
    std::vector<double> values;
};

class UpdateRule {
  public:
    UpdateRule() = default;
    UpdateRule(const UpdateRule&) = delete;
    UpdateRule& operator=(const UpdateRule&) = delete;
    virtual ~UpdateRule() = default;
    static std::unique_ptr<UpdateRule> make(std::string_view kind);  // null where there is none of that name

    // Clips the gradients and moves the parameters, for which it has to fit. False, with nothing changed, where their
    // norm is to be limited and not finite.
    bool step(Parameters parameters, double rate);
    bool fits(std::size_t parameters) const;  // whether the averages are of so many

    const char* kind = nullptr;
    std::uint64_t steps = 0;  // that were made
    std::vector<Setting*> settings;
    std::vector<Average*> averages;
    Setting weight_decay{*this, "weight_decay", Setting::NotNegative};
    Setting clip_norm{*this, "clip_norm", Setting::Limit}, clip_value{*this, "clip_value", Setting::Limit};

  protected:
    virtual void update(Parameters parameters, double rate) = 0;

    // The gradient with that of the penalty decay/2 * data**2. Loops hold settings in variables of their own: a write
    // to a parameter might be one to a member, for all that the compiler knows.
    static double decayed(const Node* parameter, double decay) {
        return decay == 0.0 ? parameter->grad : parameter->grad + decay * parameter->data;
    }
    static void move_to(Node* parameter, double value) {
        parameter->data = value;
        parameter->kinds.data = FloatKind;
    }
};

// The parameters and a rule as they are at one moment.
class Bookmark {
  public:
    void take(const UpdateRule& rule, Parameters parameters);
    void restore(UpdateRule& rule, Parameters parameters) const;
    bool fits(const UpdateRule& rule, std::size_t parameters) const {  // whether it may be one of these
        return averages_.size() == rule.averages.size() && data_.size() == parameters;
    }

  private:
    std::vector<double> data_;
    std::uint64_t steps_ = 0;
    std::vector<std::vector<double>> averages_;
};

}  // namespace kilograd::nn
