// The chain rule without Python: gradients are right for every row, of what is reached and of nothing else.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "../../cpp/engine/backward.hpp"
#include "../../cpp/engine/order.hpp"
#include "check.hpp"
#include "nodes.hpp"

using namespace kilograd;
using namespace kilograd::testing;

// (f(x + h) - f(x - h)) / 2h is off by h*h/6 times the third derivative, which is at most 361 at these points (of log2,
// at 0.2), and by the rounding of f (below 10 in magnitude) over h.
TEST(every_row_against_central_differences) {
    LeakCheck leaks;
    constexpr double h = 1e-5;
    constexpr double tolerance = h * h / 6.0 * 361.0 + 1e-15 * 10.0 / h;
    for (std::size_t i = first_row; i < op_count; ++i) {
        Op op = static_cast<Op>(i);
        Arity arity = info(op).arity;
        const bool shifted = op == Op::acosh || op == Op::tgamma || op == Op::polygamma || op == Op::digamma_gap ||
                             op == Op::trigamma_gap;
        const double shift = shifted ? 1.5 : 0.0;  // inside the domain of every row, and off its poles
        const bool has_order = op == Op::polygamma || op == Op::erfcx || op == Op::bessel_i || op == Op::bessel_ie ||
                               op == Op::bessel_fall;
        for (double x : {0.2, 0.45, 0.7}) {
            Node* a = leaf(x + shift);
            Node* b = arity == Arity::Binary ? leaf(1.3 - x) : nullptr;
            double c = has_order ? 1.0 : arity == Arity::Param ? 1.7 : 0.0;
            Node* y = make(op, a, b, c);
            backward(y, 2.0, FloatKind);
            auto value = [&](double da, double db) {
                Fault fault;
                return evaluate(op, a->data + da, b ? b->data + db : 0.0, c, fault);
            };
            CHECK_CLOSE(a->grad, (value(h, 0.0) - value(-h, 0.0)) / h, 2.0 * tolerance);
            Locals locals = locals_of(y);
            CHECK(2.0 * locals.da == a->grad);
            if (b) {
                CHECK_CLOSE(b->grad, (value(0.0, h) - value(0.0, -h)) / h, 2.0 * tolerance);
                CHECK(2.0 * locals.db == b->grad);
                release(b);
            }
            release(a);
            release(y);
        }
    }
}

TEST(random_graphs_against_a_sum_over_edges) {
    LeakCheck leaks;
    for (unsigned seed = 0; seed < 30; ++seed) {
        std::mt19937 random(seed);
        std::vector<Node*> nodes{leaf(0.5), leaf(-0.25), leaf(0.75)};
        for (int i = 0; i < 300; ++i) {
            Node* a = nodes[random() % nodes.size()];
            Node* b = nodes[nodes.size() - 1 - random() % std::min<std::size_t>(nodes.size(), 8)];
            if (random() % 8 == 0) {
                nodes.push_back(fan(Op::linear, 0.1, {a, b, a}, {0.5, -0.25, 0.125}));
            } else if (random() % 3) {
                nodes.push_back(make(random() % 2 ? Op::mul : Op::add, a, b));
            } else {
                nodes.push_back(make(Op::tanh, a));
            }
        }
        // The plain way: all nodes from last to first, each adding along its edges.
        std::vector<double> expected(nodes.size());
        expected.back() = 1.0;
        auto place = [&](Node* node) {
            return static_cast<std::size_t>(std::find(nodes.begin(), nodes.end(), node) - nodes.begin());
        };
        for (std::size_t i = nodes.size(); i-- > 3;) {
            Node* node = nodes[i];
            if (node->op == Op::linear) {
                for (Fan::Edge& edge : *node->fan) expected[place(edge.operand)] += edge.local * expected[i];
                continue;
            }
            Locals locals = locals_of(node);
            expected[place(node->a)] += locals.da * expected[i];
            if (node->b) expected[place(node->b)] += locals.db * expected[i];
        }
        backward(nodes.back(), 1.0, FloatKind);
        for (std::size_t i = 0; i < nodes.size(); ++i) CHECK(nodes[i]->grad == expected[i]);
        zero_grad(nodes.back());
        for (Node* node : nodes) CHECK(node->grad == 0.0);
        for (Node* node : nodes) release(node);
    }
}

TEST(gradients_add_up_and_the_root_is_set) {
    LeakCheck leaks;
    Node* x = leaf(3.0);
    Node* xx = make(Op::mul, x, x);
    Node* y = make(Op::mul, xx, x);
    backward(y, 1.0, FloatKind);
    CHECK(x->grad == 27.0);
    x->grad = 0.0;
    backward(y, 1.0, FloatKind);
    CHECK(x->grad == 45.0);
    CHECK(y->grad == 1.0);
    backward(x, 5.0, FloatKind);
    CHECK(x->grad == 5.0);
    for (Node* node : {x, xx, y}) release(node);
}

TEST(what_is_not_reached_is_not_touched) {
    LeakCheck leaks;
    Node* x = leaf(1.0);
    Node* before = make(Op::exp, x);
    Node* inside = make(Op::exp, x);
    Node* beside = make(Op::exp, inside);
    Node* root = make(Op::sin, inside);
    Node* after = make(Op::exp, root);
    for (Node* node : {before, beside, after}) node->grad = 7.0;
    backward(root, 1.0, FloatKind);
    zero_grad(root);
    for (Node* node : {before, beside, after}) CHECK(node->grad == 7.0);
    arena().for_each_node([](Node* node) { CHECK(!node->has(Marked | Seen)); });
    for (Node* node : {x, before, inside, beside, root, after}) release(node);
}

TEST(ancestors_in_tape_order) {
    LeakCheck leaks;
    Node* a = leaf(1.0);
    Node* b = leaf(2.0);
    Node* sum = make(Op::add, a, b);
    Node* square = make(Op::mul, sum, sum);
    Node* other = make(Op::exp, b);
    Node* root = make(Op::add, other, square);
    Ancestry found = ancestors(root);
    CHECK(found.interior == std::vector<Node*>{root, other, square, sum});
    CHECK(found.leaves == std::vector<Node*>{b, a});
    CHECK(ancestors(a).interior.empty());
    CHECK(ancestors(a).leaves == std::vector<Node*>{a});
    Node* roots[] = {square, other, square, a};
    found = ancestors(roots, 4);
    CHECK(found.interior == std::vector<Node*>{other, square, sum});
    CHECK(found.leaves.size() == 2);
    found = ancestors(&root, 1, [](Node* node) { return node->op == Op::mul; });
    CHECK(found.interior == std::vector<Node*>{root, other});
    CHECK(found.outside == std::vector<Node*>{square});
    CHECK(found.leaves == std::vector<Node*>{b});
    CHECK(!a->has(Seen) && !b->has(Seen));
    for (Node* node : {a, b, sum, square, other, root}) release(node);
}

namespace {
std::vector<Node*> ran;
bool refuse = false;
bool run_test_rule(Node* node) {
    ran.push_back(node);
    for_each_operand(node, [&](Node* operand) { operand->grad += 10.0 * node->grad; });
    release(chain(3000));  // a rule may build and free, across chunks
    return !refuse;
}
void set_rule(Node* node) {
    node->flags |= Rule;
    ++rules_alive;
}
}  // namespace

TEST(rules_of_the_host) {
    LeakCheck leaks;
    hooks.run_rule = run_test_rule;
    Node* x = leaf(2.0);
    Node* y = make(Op::exp, x);
    Node* custom = fan(Op::custom, 7.0, {y, x});
    Node* root = make(Op::mul, custom, custom);
    set_rule(custom);
    set_rule(x);
    CHECK(backward(root, 1.0, FloatKind));
    CHECK(ran == std::vector<Node*>{custom, x});
    CHECK(custom->grad == 14.0 && y->grad == 140.0);
    CHECK(x->grad == 140.0 + 140.0 * y->data);
    zero_grad(root);
    ran.clear();
    refuse = true;
    CHECK(!backward(root, 1.0, FloatKind));
    CHECK(ran == std::vector<Node*>{custom});
    CHECK(x->grad == 140.0);  // what came before the refusal stays
    refuse = false;
    zero_grad(root);
    y->grad = 1.0;
    apply_own_rule(y);
    CHECK(x->grad == y->data);
    rules_alive -= 2;
    for (Node* node : {x, y, custom, root}) node->flags &= static_cast<std::uint8_t>(~Rule);
    for (Node* node : {x, y, custom, root}) release(node);
    hooks = Hooks{};
}

TEST(an_op_without_a_rule_stops_the_gradient) {
    LeakCheck leaks;
    Node* x = leaf(2.0);
    Node* custom = fan(Op::custom, 7.0, {x});
    Node* root = make(Op::exp, custom);
    backward(root, 1.0, FloatKind);
    CHECK(custom->grad == root->data && x->grad == 0.0);
    for (Node* node : {x, custom, root}) release(node);
}

TEST(deep_graphs) {
    LeakCheck leaks;
    Node* a = leaf(0.5);
    Node* x = make(Op::sin, a);
    for (int i = 0; i < 1'000'000; ++i) push(x, Op::add, a);
    backward(x, 1.0, FloatKind);
    CHECK_CLOSE(a->grad, 1e6 + std::cos(0.5), 1e-9);
    CHECK(ancestors(x).interior.size() == 1'000'001);
    zero_grad(x);
    CHECK(a->grad == 0.0);
    release(x);
    release(a);
}

TEST(integer_gradients_of_the_exact_dialect) {
    LeakCheck leaks;
    Node* a = leaf(3.0, IntKind, ExactInts);
    Node* h = leaf(0.5, FloatKind, ExactInts);
    CHECK(a->kinds.grad == IntKind);
    Node* square = make(Op::mul, a, a);
    Node* scaled = make(Op::mul, square, h);
    backward(square, 1.0, IntKind);
    CHECK(a->grad == 6.0 && a->kinds.grad == IntKind && square->kinds.grad == IntKind);
    backward(scaled, 1.0, IntKind);
    CHECK(a->grad == 6.0 + (1.0 + 0.5) * 6.0 && a->kinds.grad == FloatKind);
    CHECK(h->grad == 9.0 && h->kinds.grad == IntKind);
    zero_grad(scaled);
    CHECK(a->grad == 0.0 && a->kinds.grad == IntKind);
    Node* power = make(Op::powc, a, nullptr, 2.0, IntKind);
    backward(power, 1.0, IntKind);
    CHECK(a->grad == 6.0 && a->kinds.grad == IntKind);
    backward(power, 0.5, FloatKind);
    CHECK(a->grad == 9.0 && a->kinds.grad == FloatKind && power->kinds.grad == FloatKind);
    for (Node* node : {a, h, square, scaled, power}) release(node);
}

// --- depth first -----------------------------------------------------------------------------------------------------

namespace {

void leave(Node* node, bool last_first, std::vector<Node*>& order) {
    if (node->is_leaf() || std::find(order.begin(), order.end(), node) != order.end()) return;
    std::vector<Node*> operands;
    for_each_operand(node, [&](Node* operand) { operands.push_back(operand); });
    if (last_first) std::reverse(operands.begin(), operands.end());
    for (Node* operand : operands) leave(operand, last_first, order);
    order.push_back(node);
}

}  // namespace

TEST(depth_first_is_the_order_of_a_recursive_search) {
    LeakCheck leaks;
    for (unsigned seed = 0; seed < 400; ++seed) {
        std::mt19937 random(seed);
        const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
        std::vector<Node*> nodes;
        for (int i = 0; i < 6; ++i) nodes.push_back(leaf(1.0 / (i + 1), FloatKind, ExactInts));
        const auto any = [&] { return nodes[nodes.size() - 1 - below(std::min<std::size_t>(nodes.size(), 12))]; };
        for (int step = 0; step < 12; ++step) {
            switch (below(5)) {
                case 0:
                    nodes.push_back(make(Op::tanh, any()));
                    break;
                case 1:
                    nodes.push_back(make(below(2) ? Op::add : Op::mul, any(), any()));
                    break;
                case 2:
                    nodes.push_back(fan(Op::linear, 0.5, {any(), any(), any()}, {0.5, 0.25, 2.0}));
                    break;
                default: {  // a weighted sum, whose parts are mostly nobody else's
                    Node* sum = any();
                    ++sum->refs;
                    for (std::size_t k = below(6) + 1; k-- > 0;) {
                        Node* product = make(Op::mul, any(), any());
                        Node* next = below(8) ? make(Op::add, sum, product) : make(Op::add, product, sum);
                        below(8) ? release(product) : nodes.push_back(product);
                        below(8) ? release(sum) : nodes.push_back(sum);
                        sum = next;
                    }
                    nodes.push_back(sum);
                }
            }
        }
        Node* root = nodes.back();
        for (const Order order : {Order::FirstOperand, Order::LastOperand}) {
            std::vector<Node*> expected;
            leave(root, order == Order::LastOperand, expected);
            std::reverse(expected.begin(), expected.end());
            CHECK(depth_first(root, order) == expected);
            const auto zero = [&] {
                for (Node* node : nodes) node->grad = 0.0;
                for (Node* node : expected) node->grad = 0.0;
            };
            zero();
            root->grad = 1.0;
            for (Node* node : expected) apply_own_rule(node);
            std::vector<double> grads;
            for (Node* node : nodes) grads.push_back(node->grad);
            zero();
            CHECK(backward_while_exact(root, FloatKind, order).empty());
            bool same = true;
            for (std::size_t i = 0; i < nodes.size(); ++i)
                same &= std::bit_cast<std::uint64_t>(nodes[i]->grad) == std::bit_cast<std::uint64_t>(grads[i]);
            CHECK(same);
            for (Node* node : nodes) CHECK(node->has(Marked) == node->is_leaf());
        }
        for (Node* node : nodes) release(node);
    }
}

RUN_TESTS()
