// Builders, losses and updates without Python.
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "../../cpp/engine/backward.hpp"
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
                Term quick = recording.plain_neuron(weights, x, bias.node(), bias_first, {op, 0.0});
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
        recording.plain_neuron(weights, x, bias.node(), false, {Op::exp, 0.0});
    } catch (const nn::Refused& refusal) {
        refused = refusal.fault == Fault::Overflow && refusal.op == Op::exp && refusal.a == 1000.0;
    }
    CHECK(refused && weights[0]->refs == 1 && bias.node()->refs == 1);
}

TEST(losses_are_differentiated_right) {
    LeakCheck leaks;
    const Builder& g = recording;
    const Term one(1.0, FloatKind), half(0.5, FloatKind);
    check_gradient({0.3}, [&](const Terms& x) { return nn::squared_error(g, x[0], one); });
    check_gradient({0.3}, [&](const Terms& x) { return nn::huber(g, x[0], one, 0.5); });
    check_gradient({0.8}, [&](const Terms& x) { return nn::huber(g, x[0], one, 0.5); });
    check_gradient({0.3}, [&](const Terms& x) { return nn::hinge(g, x[0], one, 1.0); });
    check_gradient({0.3}, [&](const Terms& x) { return nn::binary_cross_entropy(g, x[0], half); });
    check_gradient({-1.3}, [&](const Terms& x) { return nn::binary_cross_entropy_from_logit(g, x[0], one); });
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
    CHECK(nn::binary_cross_entropy_from_logit(recording, logit[0], Term(1.0, FloatKind)).data() == 800.0);
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
    nn::step(p, nn::Sgd{0.5, 0.0, 0.0, 0.0, false, true}, nullptr);
    CHECK(p[0]->data == 0.75 && p[1]->data == 0.0);
    std::vector<double> velocity(2);
    nn::step(p, nn::Sgd{0.5, 0.0, 0.5, 0.0, false, true}, velocity.data());
    nn::step(p, nn::Sgd{0.5, 0.0, 0.5, 0.0, false, false}, velocity.data());
    CHECK(velocity[0] == 0.75 && p[0]->data == 0.75 - 0.25 - 0.375);
    std::vector<double> mean(2), square(2);
    p[0]->data = 1.0;
    nn::step(p, nn::Adam{0.25, 0.0, 0.5, 0.5, 0.0, 1.0, false}, mean.data(), square.data(), nullptr);
    CHECK(p[0]->data == 0.75);  // the first step is the rate, whatever the gradient
    p[0]->data = 1.0;
    std::fill(square.begin(), square.end(), 0.0);
    nn::step(p, nn::RmsProp{0.25, 0.0, 0.75, 0.0, 0.0}, square.data(), nullptr, nullptr);
    CHECK(p[0]->data == 0.5);  // rate * g / sqrt(0.25 * g * g)
    CHECK(nn::gradient_norm(p, 2.0) == std::sqrt(0.25 + 16.0));
    CHECK(nn::gradient_norm(p, std::numeric_limits<double>::infinity()) == 4.0);
    nn::clip_gradients(p, 1.0);
    CHECK(p[0]->grad == 0.5 && p[1]->grad == -1.0);
    nn::scale_gradients(p, 2.0);
    CHECK(p[0]->grad == 1.0 && p[1]->grad == -2.0);
    nn::zero_grad(p);
    CHECK(p[0]->grad == 0.0 && p[1]->grad == 0.0);
}

RUN_TESTS()
