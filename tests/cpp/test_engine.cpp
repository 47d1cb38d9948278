// Building and freeing graphs without Python: where nodes live, how they die, what values they have.
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
    arena().for_each_node([&](Node* node) { seen += node == nodes[seen]; });
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
    std::size_t full = mapped_bytes();
    std::mt19937 random(1);
    std::vector<std::size_t> order(20);
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    for (std::size_t part : order)  // the chunks die in the middle, at the front and at the end
        for (std::size_t i = part * Chunk::slots; i < (part + 1) * Chunk::slots; ++i) release(nodes[i]);
    CHECK(arena().live_nodes() == leaks.before + 1);
    for (std::size_t i = 0; i < 20 * Chunk::slots; ++i) nodes[i] = make(Op::add, x, x);
    CHECK(mapped_bytes() <= full + page_block);
    for (std::size_t i = 0; i + 1 < nodes.size(); ++i) release(nodes[i]);
    CHECK(arena().live_nodes() == leaks.before + 2);
    backward(nodes.back(), 1.0, FloatKind);
    CHECK(x->grad == 2.0);
    release(nodes.back());
    release(x);
}

TEST(the_open_chunk_starts_anew_when_everything_in_it_died) {
    LeakCheck leaks;
    Node* x = leaf(1.0);
    std::size_t before = mapped_bytes();
    for (std::size_t i = 0; i < 100 * Chunk::slots; ++i) release(make(Op::exp, x));
    CHECK(mapped_bytes() <= before + page_block);
    release(x);
}

TEST(the_pool_gives_back_what_is_empty) {
    LeakCheck leaks;
    std::vector<Node*> leaves;
    for (std::size_t i = 0; i < 300 * Chunk::slots; ++i) leaves.push_back(leaf(static_cast<double>(i)));
    CHECK(arena().live_nodes() == leaks.before + leaves.size());
    CHECK(mapped_bytes() >= 300 * page_block);
    std::mt19937 random(2);
    std::shuffle(leaves.begin(), leaves.end(), random);
    for (std::size_t i = 0; i < leaves.size() / 2; ++i) release(leaves[i]);
    for (std::size_t i = 0; i < leaves.size() / 2; ++i) leaves[i] = leaf(0.5);
    CHECK(arena().live_nodes() == leaks.before + leaves.size());
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
    CHECK(mapped_bytes() <= reserve);
    release(x);
}

TEST(large_graphs_return_their_memory) {
    LeakCheck leaks;
    Node* x = chain(500'000);
    CHECK(arena().live_nodes() == leaks.before + 500'001);
    CHECK(mapped_bytes() > 500'000 * sizeof(Node));
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
    CHECK(arena().live_nodes() == leaks.before + 4);
    release(y);
    CHECK(arena().live_nodes() == leaks.before + 3);
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
        CHECK(arena().live_nodes() == leaks.before + left);
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
    CHECK(arena().live_nodes() == leaks.before + nodes.size());
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

RUN_TESTS()
