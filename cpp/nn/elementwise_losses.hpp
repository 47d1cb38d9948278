// The losses that compare one prediction with one target: a row for each, and nothing about it stands anywhere else.
// The Python function, its checks, its signature and its documentation are made from the row.
//
// What is subtracted for stability is itself part of the graph: see losses.hpp.
#pragma once

#include <cmath>

#include "builder.hpp"

namespace kilograd::nn {

// Which numbers something may be: those, or those of a magnitude, in a closed interval.
struct Range {
    const char* text = nullptr;  // null: all numbers
    double low = 0.0, high = 0.0;
    bool of_magnitude = false;
    const char* remedy = "";  // what an error says to do

    bool allows(double x) const {
        if (!text) return true;
        const double size = of_magnitude ? std::fabs(x) : x;
        return low <= size && size <= high;
    }
};
inline constexpr Range from_0_to_1{"from 0 to 1", 0.0, 1.0}, minus_1_or_1{"-1 or 1", 1.0, 1.0, true};
inline constexpr Range sigmoids{"from 0 to 1", 0.0, 1.0, false,
                                ": pass from_logits=True where the model ends without a sigmoid"};

struct LossSetting {             // a positive number
    const char* name = nullptr;  // null: there is none
    double standard = 0.0;
    const char* doc = nullptr;
};

struct ElementwiseLoss {
    const char* name;
    const char* doc;  // the formula, of the prediction p and the target t
    Term (*build)(const Builder& g, const Term& p, const Term& t, double setting);
    const char* prediction = "prediction";  // what the first argument is called
    Range predictions = {}, targets = {};
    LossSetting setting = {};
};

// log(p), but no less than -100, as PyTorch has it: a saturated probability costs 100 and not infinity.
inline Term bounded_log(const Builder& g, const Term& p) {
    return g.apply(Op::log, g.apply(Op::maximum, p, Term(std::exp(-100.0), FloatKind)));
}

inline constexpr ElementwiseLoss elementwise_losses[] = {
    {.name = "mse",
     .doc = "Squared error, ``(p - t)**2``.",
     .build = [](const Builder& g, const Term& p, const Term& t,
                 double) { return g.power(g.subtract(p, t), 2.0, IntKind); }},
    {.name = "huber",
     .doc = "Huber loss of the distance d between p and t: ``d**2 / 2`` up to `delta`, ``delta * (d - delta/2)`` "
            "beyond.",
     .build =
         [](const Builder& g, const Term& p, const Term& t, double delta) {
             // With c = min(d, delta), both branches are c * (d - c/2).
             Term distance = g.apply(Op::abs, g.subtract(p, t));
             Term capped = g.apply(Op::minimum, distance, Term(delta, FloatKind));
             return g.mul(capped, g.add(distance, g.mul(capped, Term(-0.5, FloatKind))));
         },
     .setting = {"delta", 1.0, "Where the parabola ends; positive."}},
    {.name = "log_cosh",
     .doc = "Logarithm of the hyperbolic cosine of the error, ``log(cosh(p - t))``.\n\n"
            "Nearly ``(p - t)**2 / 2`` for small errors, ``abs(p - t) - log(2)`` for large ones, and smooth in\n"
            "between (Saleh and Saleh, Statistical properties of the log-cosh loss function, 2022).",
     .build = [](const Builder& g, const Term& p, const Term& t,
                 double) { return g.apply(Op::log_cosh, g.subtract(p, t)); }},
    {.name = "hinge",
     .doc = "Hinge loss of a binary classifier, ``max(0, margin - t * score)``.",
     .build =
         [](const Builder& g, const Term& score, const Term& t, double margin) {
             return g.apply(Op::relu, g.add(g.mul(score, g.negate(t)), Term(margin, FloatKind)));
         },
     .prediction = "score",
     .targets = minus_1_or_1,
     .setting = {"margin", 1.0, "Positive."}},
    {.name = "binary_cross_entropy",
     .doc = "Cross-entropy of a binary classifier, ``-(t * log(p) + (1 - t) * log(1 - p))``.\n\n"
            "A logarithm below -100 counts as -100, and gradients are exact (PyTorch caps them for p or 1 - p below\n"
            "1e-12).",
     .build =
         [](const Builder& g, const Term& p, const Term& t, double) {
             Term rest = g.subtract(Term(1.0, IntKind), t);
             Term result(0.0, FloatKind);
             // A target that is a number and rules a class out leaves nothing to build for it.
             bool positive = !t.is_number() || t.data() != 0.0;
             bool negative = !t.is_number() || t.data() != 1.0;
             if (positive) result = g.mul(bounded_log(g, p), g.negate(t));
             if (negative) {
                 Term other = g.mul(bounded_log(g, g.subtract(Term(1.0, IntKind), p)), g.negate(rest));
                 result = positive ? g.add(result, other) : std::move(other);
             }
             return result;
         },
     .predictions = sigmoids,
     .targets = from_0_to_1},
    {.name = "binary_cross_entropy_from_logits",
     .doc = "Cross-entropy of a binary classifier that ends without a sigmoid, ``softplus(p) - t * p``.\n\n"
            "That of the probability ``sigmoid(p)``, without any loss of accuracy.",
     .build = [](const Builder& g, const Term& logit, const Term& t,
                 double) { return g.add(g.apply(Op::softplus, logit), g.mul(logit, g.negate(t))); },
     .targets = from_0_to_1},
};

}  // namespace kilograd::nn
