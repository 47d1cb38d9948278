// The engine without Python: where nodes live, how they die, and that gradients are right for every row.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "../../cpp/engine/backward.hpp"
#include "../../cpp/engine/graph.hpp"
#include "../../cpp/engine/order.hpp"
#include "check.hpp"
#include "nodes.hpp"

using namespace kilograd;
using namespace kilograd::testing;

namespace {

Node* fan(Op op, double y, const std::vector<Node*>& operands, const std::vector<double>& locals = {}) {
    Fan* edges = new_fan(static_cast<std::uint32_t>(operands.size()));
    for (std::size_t i = 0; i < operands.size(); ++i)
        edges->begin()[i] = {operands[i], locals.empty() ? 0.0 : locals[i], FloatKind};
    return record_fan(op, y, FloatKind, edges, 0, 0);
}

Node* chain(std::size_t length) {
    Node* x = leaf(1.0);
    for (std::size_t i = 0; i < length; ++i) push(x, Op::sin);
    return x;
}

std::vector<Node*> released;  // by the hook
bool record_release(void* handle) {
    released.push_back(static_cast<Node*>(handle));
    return false;
}

}  // namespace

// --- the arena -------------------------------------------------------------------------------------------------------

TEST(nodes_are_handed_out_in_tape_order) {
    LeakCheck leaks;
    Node* x = leaf(1.0);
    std::vector<Node*> nodes;
    for (int i = 0; i < 5000; ++i) nodes.push_back(make(Op::add, x, x));
    std::size_t chunks = 1;
    for (std::size_t i = 1; i < nodes.size(); ++i) {
        if (Chunk::of(nodes[i]) == Chunk::of(nodes[i - 1])) {
            CHECK(nodes[i] == nodes[i - 1] + 1);
        } else {
            ++chunks;
            CHECK(Chunk::of(nodes[i])->previous == Chunk::of(nodes[i - 1]));
            CHECK(Chunk::of(nodes[i - 1])->next == Chunk::of(nodes[i]));
            CHECK(nodes[i] == Chunk::of(nodes[i])->begin());
        }
    }
    CHECK(chunks >= 5000 / Chunk::slots);
    std::size_t seen = 0;
    arena.for_each_node([&](Node* node) { seen += node == nodes[seen]; });
    CHECK(seen == nodes.size());
    for (Node* node : nodes) release(node);
    release(x);
}

TEST(leaves_do_not_live_in_the_tape) {
    LeakCheck leaks;
    Node* a = leaf(1.0);
    Node* x = make(Op::exp, a);
    Node* b = leaf(2.0);
    Node* y = make(Op::exp, b);
    CHECK(Chunk::of(a)->pool && Chunk::of(b)->pool);
    CHECK(!Chunk::of(x)->pool);
    CHECK(Chunk::of(x) != Chunk::of(y) || y == x + 1);
    for (Node* node : {a, b, x, y}) release(node);
}

TEST(an_emptied_chunk_is_recycled_wherever_it_stands) {
    LeakCheck leaks;
    Node* x = leaf(1.0);
    std::vector<Node*> nodes;
    for (std::size_t i = 0; i < 20 * Chunk::slots; ++i) nodes.push_back(make(Op::add, x, x));
    std::size_t full = arena.reserved_bytes();
    std::mt19937 random(1);
    std::vector<std::size_t> order(20);
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    for (std::size_t part : order)  // the chunks die in the middle, at the front and at the end
        for (std::size_t i = part * Chunk::slots; i < (part + 1) * Chunk::slots; ++i) release(nodes[i]);
    CHECK(arena.live_nodes() == leaks.before + 1);
    for (std::size_t i = 0; i < 20 * Chunk::slots; ++i) nodes[i] = make(Op::add, x, x);
    CHECK(arena.reserved_bytes() <= full + page_block);
    for (std::size_t i = 0; i + 1 < nodes.size(); ++i) release(nodes[i]);
    CHECK(arena.live_nodes() == leaks.before + 2);
    backward(nodes.back(), 1.0, FloatKind);
    CHECK(x->grad == 2.0);
    release(nodes.back());
    release(x);
}

TEST(the_open_chunk_starts_anew_when_everything_in_it_died) {
    LeakCheck leaks;
    Node* x = leaf(1.0);
    std::size_t before = arena.reserved_bytes();
    for (std::size_t i = 0; i < 100 * Chunk::slots; ++i) release(make(Op::exp, x));
    CHECK(arena.reserved_bytes() <= before + page_block);
    release(x);
}

TEST(the_pool_gives_back_what_is_empty) {
    LeakCheck leaks;
    std::vector<Node*> leaves;
    for (std::size_t i = 0; i < 300 * Chunk::slots; ++i) leaves.push_back(leaf(static_cast<double>(i)));
    CHECK(arena.live_nodes() == leaks.before + leaves.size());
    CHECK(arena.reserved_bytes() >= 300 * page_block);
    std::mt19937 random(2);
    std::shuffle(leaves.begin(), leaves.end(), random);
    for (std::size_t i = 0; i < leaves.size() / 2; ++i) release(leaves[i]);
    for (std::size_t i = 0; i < leaves.size() / 2; ++i) leaves[i] = leaf(0.5);
    CHECK(arena.live_nodes() == leaks.before + leaves.size());
    for (Node* node : leaves) release(node);
}

TEST(spare_blocks_do_not_keep_their_regions) {
    LeakCheck leaks;
    Node* x = leaf(1.0);
    std::vector<Node*> nodes;
    for (std::size_t i = 0; i < 2000 * Chunk::slots; ++i) nodes.push_back(make(Op::exp, x));
    std::vector<std::size_t> order(2000);
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::mt19937 random(3);
    std::shuffle(order.begin(), order.end(), random);
    for (std::size_t part : order)
        for (std::size_t i = part * Chunk::slots; i < (part + 1) * Chunk::slots; ++i) release(nodes[i]);
    CHECK(arena.reserved_bytes() <= reserve);
    release(x);
}

TEST(large_graphs_return_their_memory) {
    LeakCheck leaks;
    Node* x = chain(500'000);
    CHECK(arena.live_nodes() == leaks.before + 500'001);
    CHECK(arena.reserved_bytes() > 28'000'000);
    release(x);
}

// --- dying -----------------------------------------------------------------------------------------------------------

TEST(a_node_lives_while_a_consumer_does) {
    LeakCheck leaks;
    Node* a = leaf(2.0);
    Node* x = make(Op::exp, a);
    Node* y = make(Op::mul, x, x);
    Node* z = make(Op::add, x, a);
    release(a);
    release(x);
    CHECK(arena.live_nodes() == leaks.before + 4);
    release(y);
    CHECK(arena.live_nodes() == leaks.before + 3);
    CHECK(x->refs == 1 && a->refs == 2);
    release(z);
}

// Random graphs below and above what dies by the stack, dropped from several ends.
TEST(random_graphs_die_by_stack_and_by_sweep) {
    for (std::size_t size : {10u, 1000u, 4095u, 4096u, 4097u, 10'000u, 200'000u}) {
        LeakCheck leaks;
        std::mt19937 random(static_cast<unsigned>(size));
        std::vector<Node*> nodes{leaf(0.5), leaf(0.25), leaf(-0.125)};
        auto pick = [&] { return nodes[random() % nodes.size()]; };
        while (nodes.size() < size) {
            switch (random() % 4) {
                case 0:
                    nodes.push_back(make(Op::tanh, pick()));
                    break;
                case 1:
                    nodes.push_back(fan(Op::linear, 0.5, {pick(), pick(), pick()}, {1.0, 2.0, 3.0}));
                    break;
                case 2:
                    nodes.push_back(leaf(0.5));
                    break;
                default:
                    nodes.push_back(make(Op::add, pick(), pick()));
            }
        }
        std::shuffle(nodes.begin(), nodes.end(), random);
        Node* kept = nodes.back();
        nodes.pop_back();
        for (Node* node : nodes) release(node);
        std::size_t left = ancestors(kept).interior.size() + ancestors(kept).leaves.size();
        CHECK(arena.live_nodes() == leaks.before + left);
        release(kept);
    }
}

TEST(a_graph_with_one_owner_dies_whole) {
    LeakCheck leaks;
    std::mt19937 random(7);
    std::vector<Node*> nodes{leaf(0.5)};
    for (int i = 0; i < 100'000; ++i)
        nodes.push_back(make(Op::add, nodes[random() % nodes.size()], nodes[nodes.size() - 1]));
    for (std::size_t i = 0; i + 1 < nodes.size(); ++i) release(nodes[i]);
    CHECK(arena.live_nodes() == leaks.before + nodes.size());
    release(nodes.back());
}

TEST(a_pinned_handle_is_given_up_with_the_last_consumer) {
    LeakCheck leaks;
    hooks.release_handle = record_release;
    released.clear();
    for (std::size_t above : {1u, 10u, 10'000u}) {
        Node* x = leaf(1.0);  // our reference stands for its handle's
        x->handle = x;
        x->flags |= OwnsHandle;
        Node* y = make(Op::exp, x);
        Node* z = make(Op::mul, x, x);
        for (std::size_t i = 0; i < above; ++i) push(y, Op::sin);
        release(y);
        CHECK(released.empty());
        release(z);
        CHECK(released == std::vector<Node*>{x});
        CHECK(!x->has(OwnsHandle) && x->refs == 1);
        released.clear();
        release(x);
    }
    hooks = Hooks{};
}

// --- values ----------------------------------------------------------------------------------------------------------

TEST(faults) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    struct Case {
        Op op;
        double a, b, c;
        Fault fault;
    };
    for (const Case& at : {
             Case{Op::powc, 0.0, 0.0, -1.0, Fault::ZeroDivision},
             Case{Op::powc, 10.0, 0.0, 400.0, Fault::Overflow},
             Case{Op::powc, -8.0, 0.0, 1.0 / 3.0, Fault::Domain},
             Case{Op::pow, 0.0, -1.0, 0.0, Fault::ZeroDivision},
             Case{Op::pow, -8.0, 0.5, 0.0, Fault::Domain},
             Case{Op::log, 0.0, 0.0, 0.0, Fault::Domain},
             Case{Op::log, -1.0, 0.0, 0.0, Fault::Domain},
             Case{Op::sqrt, -1.0, 0.0, 0.0, Fault::Domain},
             Case{Op::exp, 1000.0, 0.0, 0.0, Fault::Overflow},
             Case{Op::exp, infinity, 0.0, 0.0, Fault::None},
             Case{Op::exp, nan, 0.0, 0.0, Fault::None},
             Case{Op::mul, 1e300, 1e300, 0.0, Fault::None},
             Case{Op::add, infinity, -infinity, 0.0, Fault::None},
             Case{Op::powc, infinity, 0.0, 2.0, Fault::None},
             Case{Op::powc, 0.0, 0.0, -infinity, Fault::None},
             Case{Op::sin, infinity, 0.0, 0.0, Fault::None},
         }) {
        Fault fault;
        evaluate(at.op, at.a, at.b, at.c, fault);
        CHECK(fault == at.fault);
    }
}

TEST(kinds_of_results) {
    LeakCheck leaks;
    Node* two = leaf(2.0, IntKind);
    Node* yes = leaf(1.0, BoolKind);
    Node* half = leaf(0.5);
    Node* large = leaf(9007199254740992.0, IntKind);
    Node* minus = leaf(-1.0, IntKind);
    auto kind = [](Op op, Node* a, Node* b = nullptr, double c = 0.0, Kind constant = FloatKind) {
        Node* node = make(op, a, b, c, constant);
        auto result = static_cast<Kind>(node->kinds.data);
        release(node);
        return result;
    };
    CHECK(kind(Op::add, two, two) == IntKind);
    CHECK(kind(Op::add, yes, yes) == IntKind);
    CHECK(kind(Op::mul, two, yes) == IntKind);
    CHECK(kind(Op::add, two, half) == FloatKind);
    CHECK(kind(Op::mul, two, large) == FloatKind);
    CHECK(kind(Op::powc, two, nullptr, 3.0, IntKind) == IntKind);
    CHECK(kind(Op::powc, two, nullptr, 3.0, FloatKind) == FloatKind);
    CHECK(kind(Op::powc, two, nullptr, -1.0, IntKind) == FloatKind);
    CHECK(kind(Op::pow, two, two) == IntKind);
    CHECK(kind(Op::pow, two, minus) == FloatKind);
    CHECK(kind(Op::tanh, two) == FloatKind);
    CHECK(kind(Op::relu, two) == FloatKind);
    for (Node* node : {two, yes, half, large, minus}) release(node);
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

// --- backward --------------------------------------------------------------------------------------------------------

// (f(x + h) - f(x - h)) / 2h is off by h*h/6 times the third derivative, which is at most 250 at these points (of log,
// at 0.2), and by the rounding of f (below 10 in magnitude) over h.
TEST(every_row_against_central_differences) {
    LeakCheck leaks;
    constexpr double h = 1e-5;
    constexpr double tolerance = h * h / 6.0 * 250.0 + 1e-15 * 10.0 / h;
    for (std::size_t i = first_row; i < op_count; ++i) {
        Op op = static_cast<Op>(i);
        Arity arity = info(op).arity;
        double shift = op == Op::acosh ? 1.5 : 0.0;  // inside the domain of every row
        for (double x : {0.2, 0.45, 0.7}) {
            Node* a = leaf(x + shift);
            Node* b = arity == Arity::Binary ? leaf(1.3 - x) : nullptr;
            double c = arity == Arity::Param ? 1.7 : 0.0;
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
    arena.for_each_node([](Node* node) { CHECK(!node->has(Marked | Seen)); });
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

RUN_TESTS()
