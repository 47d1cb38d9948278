// Builders, losses and updates without Python.
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "../../cpp/engine/backward.hpp"
#include "../../cpp/nn/elementwise_losses.hpp"
#include "../../cpp/nn/losses.hpp"
#include "../../cpp/nn/update.hpp"
#include "check.hpp"
#include "nodes.hpp"

using namespace kilograd;
using namespace kilograd::testing;
using nn::Builder;
using nn::Term;
using nn::Terms;

namespace {

const Builder recording(true);

Terms numbers(const std::vector<double>& data) {
    Terms terms;
    for (double x : data) terms.emplace_back(x, FloatKind);
    return terms;
}

Terms leaves(const std::vector<double>& data) {
    Terms terms;
    for (double x : data) terms.push_back(Term::own(leaf(x)));
    return terms;
}

// The same graph below two nodes: ops, constants, data, and which leaf is which.
bool isomorphic(const Node* a, const Node* b) {
    if (a == b) return true;
    if (a->op != b->op || a->data != b->data || a->kinds.data != b->kinds.data || a->constant != b->constant)
        return false;
    if (!a->a != !b->a || !a->b != !b->b) return false;
    return (!a->a || isomorphic(a->a, b->a)) && (!a->b || isomorphic(a->b, b->b));
}

// Gradients of f over leaves at `at` against central differences: off by h*h/6 times the third derivative, below 60
// here, and by the rounding of f (below 1000) over h.
void check_gradient(const std::vector<double>& at, const std::function<Term(const Terms&)>& f) {
    constexpr double h = 1e-5, tolerance = h * h / 6.0 * 60.0 + 1000.0 * 2.3e-16 / h;
    Terms x = leaves(at);
    Term y = f(x);
    backward(y.node(), 1.0, FloatKind);
    for (std::size_t i = 0; i < at.size(); ++i) {
        auto shifted = [&](double by) {
            std::vector<double> moved = at;
            moved[i] += by;
            return f(numbers(moved)).data();
        };
        CHECK_CLOSE(x[i].node()->grad, (shifted(h) - shifted(-h)) / (2.0 * h), tolerance);
    }
}

const nn::ElementwiseLoss& loss_named(std::string_view name) {
    for (const nn::ElementwiseLoss& loss : nn::elementwise_losses)
        if (loss.name == name) return loss;
    throw std::out_of_range(std::string(name));
}

std::unique_ptr<nn::UpdateRule> rule(const char* kind, const std::map<std::string, double>& values) {
    std::unique_ptr<nn::UpdateRule> made = nn::UpdateRule::make(kind);
    for (nn::Setting* setting : made->settings)
        if (const auto found = values.find(setting->name); found != values.end()) setting->value = found->second;
    return made;
}

}  // namespace

TEST(a_neuron_in_one_go_is_the_neuron_term_by_term) {
    LeakCheck leaks;
    for (bool bias_first : {true, false}) {
        for (bool of_numbers : {true, false}) {
            for (Op op : {Op::leaf, Op::tanh, Op::relu}) {
                Terms w = leaves({0.5, -1.5, 2.0}),
                      x = of_numbers ? numbers({1.0, 2.0, -0.5}) : leaves({1.0, 2.0, -0.5});
                Term bias = Term::own(leaf(0.25));
                std::vector<Node*> weights;
                for (const Term& term : w) weights.push_back(term.node());
                Term quick = recording.plain_neuron(weights, x, bias.node(), bias_first, {op, 0.0}, 0);
                Term sum = recording.weighted_sum(bias_first ? bias.again() : Term(0.0, IntKind), weights, x);
                if (!bias_first) sum = recording.add(sum, bias);
                Term slow = op == Op::leaf ? sum.again() : recording.apply(op, sum);
                CHECK(isomorphic(quick.node(), slow.node()));
                backward(quick.node(), 1.0, FloatKind);
                const std::vector<double> once{weights[0]->grad, weights[2]->grad, bias.node()->grad};
                backward(slow.node(), 1.0, FloatKind);
                CHECK(weights[0]->grad == 2.0 * once[0] && weights[2]->grad == 2.0 * once[1]);
                CHECK(bias.node()->grad == 2.0 * once[2]);
            }
        }
    }
}

TEST(a_refused_neuron_leaves_nothing) {
    LeakCheck leaks;
    Terms w = leaves({1000.0}), x = numbers({1.0});
    Term bias = Term::own(leaf(0.0));
    const std::vector<Node*> weights{w[0].node()};
    bool refused = false;
    try {
        recording.plain_neuron(weights, x, bias.node(), false, {Op::exp, 0.0}, 0);
    } catch (const nn::Refused& refusal) {
        refused = refusal.fault == Fault::Overflow && refusal.op == Op::exp && refusal.a == 1000.0;
    }
    CHECK(refused && weights[0]->refs == 1 && bias.node()->refs == 1);
}

TEST(losses_are_differentiated_right) {
    LeakCheck leaks;
    const Builder& g = recording;
    for (const nn::ElementwiseLoss& loss : nn::elementwise_losses)
        for (double setting : {0.5, 1.5})  // on both sides of where a parabola or a margin ends
            for (double at : {0.3, 0.8, -1.3, 2.25})
                for (double target : {1.0, 0.5, -1.0, 0.0}) {
                    if (!loss.predictions.allows(at) || !loss.targets.allows(target)) continue;
                    const Term t(target, FloatKind);
                    check_gradient({at}, [&](const Terms& x) { return loss.build(g, x[0], t, setting); });
                    const Term p(at, FloatKind);
                    check_gradient({target}, [&](const Terms& x) { return loss.build(g, p, x[0], setting); });
                }
    check_gradient({0.1, -0.4, 1.2}, [&](const Terms& x) { return nn::cross_entropy(g, x, 1); });
    check_gradient({0.1, -0.4, 1.2}, [&](const Terms& x) { return nn::logsumexp(g, x); });
    check_gradient({0.1, -0.4, 1.2}, [&](const Terms& x) { return std::move(nn::softmax(g, x)[2]); });
    check_gradient({0.1, -0.4, 1.2}, [&](const Terms& x) { return nn::l2(g, x, 0.5); });
    check_gradient({0.1, -0.4, 1.2}, [&](const Terms& x) { return nn::mean(g, x); });
}

TEST(losses_hold_for_large_arguments) {
    LeakCheck leaks;
    Terms x = leaves({1000.0, 0.0, -1000.0});
    CHECK(nn::logsumexp(recording, x).data() == 1000.0);
    CHECK(nn::cross_entropy(recording, x, 0).data() == 0.0);
    CHECK(nn::cross_entropy(recording, x, 2).data() == 2000.0);
    Terms logit = leaves({-800.0});
    const Term one(1.0, FloatKind);
    CHECK(loss_named("binary_cross_entropy_from_logits").build(recording, logit[0], one, 0.0).data() == 800.0);
    CHECK(loss_named("log_cosh").build(recording, logit[0], one, 0.0).data() == 801.0 - std::log(2.0));
    CHECK(loss_named("log_cosh").build(recording, one, one, 0.0).data() == 0.0);
}

TEST(without_recording_results_are_leaves) {
    LeakCheck leaks;
    const Builder inference(false);
    Terms x = leaves({0.5, 0.25});
    Term sum = nn::total(inference, x, Term(0.0, IntKind));
    CHECK(sum.node()->is_leaf() && sum.data() == 0.75);
    CHECK(x[0].node()->refs == 1);
}

TEST(updates) {
    LeakCheck leaks;
    Terms terms = leaves({1.0, -2.0});
    const std::vector<Node*> p{terms[0].node(), terms[1].node()};
    auto gradients = [&] {
        p[0]->grad = 0.5;
        p[1]->grad = -4.0;
    };
    gradients();
    const auto sgd = rule("SGD", {});
    CHECK(sgd->step(p, 0.5));
    CHECK(p[0]->data == 0.75 && p[1]->data == 0.0 && sgd->steps == 1);
    const auto momentum = rule("SGD", {{"momentum", 0.5}});
    CHECK(momentum->step(p, 0.5) && momentum->step(p, 0.5));
    CHECK(momentum->averages[0]->values[0] == 0.75 && p[0]->data == 0.75 - 0.25 - 0.375);
    CHECK(momentum->fits(2) && !momentum->fits(3) && sgd->fits(3));
    p[0]->data = 1.0;
    CHECK(rule("Adam", {{"beta1", 0.5}, {"beta2", 0.5}})->step(p, 0.25));
    CHECK(p[0]->data == 0.75);  // the first step is the rate, whatever the gradient
    p[0]->data = 1.0;
    CHECK(rule("RMSprop", {{"alpha", 0.75}})->step(p, 0.25));
    CHECK(p[0]->data == 0.5);  // rate * g / sqrt(0.25 * g * g)
    p[0]->data = 1.0;
    const auto adagrad = rule("Adagrad", {{"initial_accumulator_value", 2.0}, {"lr_decay", 0.5}});
    CHECK(adagrad->step(p, 0.25));
    CHECK(p[0]->data == 1.0 - 0.25 * (0.5 / 1.5));  // the sum is 2.25
    const double first = p[0]->data;
    CHECK(adagrad->step(p, 0.25));
    CHECK(p[0]->data == first - 0.25 / 1.5 * (0.5 / std::sqrt(2.5)));
    CHECK(nn::gradient_norm(p, 2.0) == std::sqrt(0.25 + 16.0));
    CHECK(nn::gradient_norm(p, std::numeric_limits<double>::infinity()) == 4.0);
    nn::limit_values(p, 1.0);
    CHECK(p[0]->grad == 0.5 && p[1]->grad == -1.0);
    nn::limit_norm(p, 2.0 - 1e-6, 1.0);
    CHECK(p[0]->grad == 0.25 && p[1]->grad == -0.5);
    nn::zero_grad(p);
    CHECK(p[0]->grad == 0.0 && p[1]->grad == 0.0);
}

TEST(bookmarks) {
    LeakCheck leaks;
    Terms terms = leaves({1.0, -2.0});
    const std::vector<Node*> p{terms[0].node(), terms[1].node()};
    p[0]->grad = p[1]->grad = 1.0;
    const auto adam = rule("Adam", {{"beta1", 0.5}, {"beta2", 0.5}});
    nn::Bookmark start, later;
    start.take(*adam, p);
    adam->step(p, 0.25);
    later.take(*adam, p);
    adam->step(p, 0.25);
    const double data = p[0]->data;
    later.restore(*adam, p);
    CHECK(adam->steps == 1 && p[0]->data == 0.75);
    adam->step(p, 0.25);
    CHECK(p[0]->data == data);
    start.restore(*adam, p);
    CHECK(adam->steps == 0 && p[0]->data == 1.0 && !adam->averages[0]->begun());
}

TEST(a_norm_that_is_not_finite_is_not_scaled) {
    Terms terms = leaves({1.0, 2.0});
    const std::vector<Node*> p{terms[0].node(), terms[1].node()};
    p[0]->grad = std::numeric_limits<double>::infinity();
    CHECK(!rule("Adam", {{"clip_norm", 1.0}})->step(p, 0.1));
    CHECK(p[0]->data == 1.0 && p[1]->data == 2.0 && std::isinf(p[0]->grad));
}

TEST(settings_know_what_they_may_be) {
    const auto adam = rule("AdamW", {});
    const auto allows = [&](std::string_view name, double value) {
        for (const nn::Setting* setting : adam->settings)
            if (setting->name == name) return setting->allows(value);
        return false;
    };
    CHECK(allows("beta1", 0.0) && !allows("beta1", 1.0) && !allows("beta1", -0.1));
    CHECK(allows("eps", 3.0) && !allows("eps", -1.0) && !allows("eps", std::nan("")));
    CHECK(!nn::UpdateRule::make("adam"));
}

RUN_TESTS()
