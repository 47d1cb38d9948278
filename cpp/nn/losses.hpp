// Reductions, and losses of whole lists, as graphs of ordinary nodes, in forms that hold for large arguments.
//
// Each takes terms (numbers or nodes) in flat order; shapes are the caller's business. Whatever is subtracted for
// stability is itself part of the graph, so that a replay at other data stays as stable.
#pragma once

#include <span>
#include <vector>

#include "builder.hpp"

namespace kilograd::nn {

using Terms = std::vector<Term>;
using View = std::span<const Term>;

Term total(const Builder& g, View values, Term start);  // start + v[0] + v[1] + ...
Term dot(const Builder& g, View w, View x, Term start);
Term mean(const Builder& g, View values);  // of at least one
Term logsumexp(const Builder& g, View x);
Terms softmax(const Builder& g, View x);
Terms log_softmax(const Builder& g, View x);

// One term for each sample; losses of one element are in elementwise_losses.hpp.
Term cross_entropy(const Builder& g, View logits, std::size_t target);
Term cross_entropy(const Builder& g, View logits, View target);  // target: a probability for each class
Term l2(const Builder& g, View values, double alpha);

}  // namespace kilograd::nn
