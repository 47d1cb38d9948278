#include "losses.hpp"

#include <cmath>

namespace kilograd::nn {

namespace {

Term number(double value) { return Term(value, FloatKind); }

// x[i] - max(x): nothing in it is positive, so that no exponential of it overflows.
struct Shifted {
    Term largest;
    Terms below;
};

Shifted shift(const Builder& g, View x) {
    Term largest = x[0].again();
    for (const Term& each : x.subspan(1)) largest = g.apply(Op::maximum, largest, each);
    Term minus = g.negate(largest);
    Terms below;
    below.reserve(x.size());
    for (const Term& each : x) below.push_back(g.add(each, minus));
    return {std::move(largest), std::move(below)};
}

Terms exponentials(const Builder& g, View x) {
    Terms out;
    out.reserve(x.size());
    for (const Term& each : x) out.push_back(g.apply(Op::exp, each));
    return out;
}

Term sum(const Builder& g, View x) { return total(g, x.subspan(1), x[0].again()); }

Term log_of_sum(const Builder& g, View below) { return g.apply(Op::log, sum(g, exponentials(g, below))); }

}  // namespace

Term total(const Builder& g, View values, Term start) {
    for (const Term& each : values) start = g.add(start, each);
    return start;
}

Term dot(const Builder& g, View w, View x, Term start) {
    for (std::size_t i = 0; i < w.size(); ++i) start = g.add(start, g.mul(w[i], x[i]));
    return start;
}

Term mean(const Builder& g, View values) {
    return g.mul(total(g, values, Term(0.0, IntKind)), number(1.0 / static_cast<double>(values.size())));
}

Term logsumexp(const Builder& g, View x) {
    Shifted shifted = shift(g, x);
    return g.add(log_of_sum(g, shifted.below), shifted.largest);
}

Terms softmax(const Builder& g, View x) {
    Terms terms = exponentials(g, shift(g, x).below);
    Term inverse = g.power(sum(g, terms), -1.0, IntKind);
    for (Term& each : terms) each = g.mul(each, inverse);
    return terms;
}

Terms log_softmax(const Builder& g, View x) {
    Terms terms = std::move(shift(g, x).below);
    Term minus = g.negate(log_of_sum(g, terms));
    for (Term& each : terms) each = g.add(each, minus);
    return terms;
}

Term cross_entropy(const Builder& g, View logits, std::size_t target) {
    Shifted shifted = shift(g, logits);
    return g.subtract(log_of_sum(g, shifted.below), shifted.below[target]);
}

Term cross_entropy(const Builder& g, View logits, View target) {
    Terms terms = log_softmax(g, logits);
    return g.negate(dot(g, terms, target, Term(0.0, IntKind)));
}

Term l2(const Builder& g, View values, double alpha) {
    return g.mul(dot(g, values, values, Term(0.0, IntKind)), number(alpha));
}

}  // namespace kilograd::nn
