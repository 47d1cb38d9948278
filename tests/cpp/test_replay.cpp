// Replay without Python: a graph recomputed in place is the graph built anew, or nothing has changed.
#include "../../cpp/engine/backward.hpp"
#include "../../cpp/engine/order.hpp"
#include "../../cpp/engine/replay.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "check.hpp"
#include "nodes.hpp"

using namespace kilograd;
using namespace kilograd::testing;

namespace {

struct Graph {
    std::vector<Node*> nodes;
    std::size_t leaves;
    Node* root() const { return nodes.back(); }
    ~Graph() {
        for (Node* node : nodes) release(node);
    }
};

// Leaves with these data, and then what the seed says: among it the pairs of weighted sums, whole and broken.
Graph build(unsigned seed, const std::vector<double>& data, std::uint8_t dialect, bool integers) {
    std::mt19937 random(seed);
    Graph graph{{}, data.size()};
    for (double x : data)
        graph.nodes.push_back(leaf(integers ? std::floor(x) : x, integers ? IntKind : FloatKind, dialect));
    auto any = [&] {
        std::size_t reach = std::min<std::size_t>(graph.nodes.size(), random() % 4 ? 6 : 1000);
        return graph.nodes[graph.nodes.size() - 1 - random() % reach];
    };
    for (int i = 0; i < 400; ++i) {
        switch (random() % 8) {
            case 0:
                graph.nodes.push_back(make(Op::tanh, any()));
                break;
            case 1:
                graph.nodes.push_back(make(Op::add, any(), any()));
                break;
            case 2:
                graph.nodes.push_back(make(Op::relu, any()));
                break;
            default: {
                Node *before = graph.nodes.back(), *left = any(), *right = graph.nodes[random() % graph.leaves];
                graph.nodes.push_back(make(Op::mul, left, right));
                Node* product = graph.nodes.back();
                graph.nodes.push_back(random() % 4 ? make(Op::add, before, product) : make(Op::add, product, before));
            }
        }
        if (i % 5 == 4) graph.nodes.push_back(make(Op::tanh, graph.root()));
    }
    return graph;
}

bool same(double x, double y) { return x == y || (x != x && y != y); }

}  // namespace

TEST(a_replayed_graph_is_the_graph_built_anew) {
    LeakCheck leaks;
    for (unsigned seed = 0; seed < 60; ++seed) {
        for (std::uint8_t dialect : {std::uint8_t{0}, std::uint8_t{ExactInts}}) {
            std::mt19937 random(seed);
            std::vector<double> before, after;
            for (int i = 0; i < 5; ++i) {
                before.push_back(std::uniform_real_distribution<>(-2.0, 2.0)(random));
                after.push_back(std::uniform_real_distribution<>(-2.0, 2.0)(random));
            }
            const bool integers = seed % 3 == 0;
            Graph graph = build(seed, before, dialect, integers), fresh = build(seed, after, dialect, integers);
            backward(graph.root(), 1.0, FloatKind);
            for (std::size_t i = 0; i < graph.leaves; ++i) {
                graph.nodes[i]->data = fresh.nodes[i]->data;
                graph.nodes[i]->grad = 0.0;
                graph.nodes[i]->kinds.grad = fresh.nodes[i]->kinds.grad;
            }
            std::vector<Node*> reached = ancestors(graph.root()).interior;
            CHECK(forward(graph.root()).outcome == Outcome::Done);
            CHECK(kept_order(graph.root()) && kept_order(graph.root())->count == reached.size());
            for (int twice = 0; twice < 2; ++twice) {
                backward(graph.root(), 1.0, FloatKind);  // along the kept order
                backward(fresh.root(), 1.0, FloatKind);  // by marking
                for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
                    Node *node = graph.nodes[i], *other = fresh.nodes[i];
                    if (!node->is_leaf() && std::find(reached.begin(), reached.end(), node) == reached.end()) continue;
                    CHECK(same(node->data, other->data) && node->kinds.data == other->kinds.data);
                    CHECK(same(node->grad, other->grad) && node->kinds.grad == other->kinds.grad);
                }
            }
        }
    }
}

TEST(a_long_weighted_sum_crosses_chunks) {
    LeakCheck leaks;
    constexpr int count = 5000;
    Node *w = leaf(0.5), *x = leaf(3.0), *sum = leaf(1.0);
    for (int i = 0; i < count; ++i) {
        Node* product = make(Op::mul, w, x);
        push(sum, Op::add, product);
        release(product);
    }
    CHECK(forward(sum).outcome == Outcome::Done);
    const TopologicalOrder* order = kept_order(sum);
    CHECK(order->count == 2 * count && order->runs.size() <= 2 * (2 * count / Chunk::slots + 2));
    x->data = 2.0;
    forward(sum);
    CHECK(sum->data == 1.0 + count);
    backward(sum, 1.0, FloatKind);
    CHECK(w->grad == 2.0 * count && x->grad == 0.5 * count);
    for (Node* node : {w, x, sum}) release(node);
}

TEST(a_refused_operation_leaves_everything_as_it_was) {
    LeakCheck leaks;
    Node *x = leaf(4.0), *y = leaf(0.5);
    Node* product = make(Op::mul, x, y);
    Node* sum = make(Op::add, x, product);
    Node* root = make(Op::log, sum);
    Node* top = make(Op::tanh, root);
    backward(top, 1.0, FloatKind);
    const std::vector<Node*> nodes{x, y, product, sum, root, top};
    x->data = -1.0;
    std::vector<double> before;
    for (Node* node : nodes) before.insert(before.end(), {node->data, node->grad});
    Replay result = forward(top);
    CHECK(result.outcome == Outcome::Refused && result.node == root && result.fault == Fault::Domain);
    std::vector<double> after;
    for (Node* node : nodes) after.insert(after.end(), {node->data, node->grad});
    CHECK(before == after);
    x->data = 1.0;
    CHECK(forward(top).outcome == Outcome::Done && root->data == std::log(1.5));
    for (Node* node : nodes) release(node);
}

TEST(roots_that_die_leave_no_stale_order) {
    LeakCheck leaks;
    Node* x = leaf(0.5);
    for (int i = 0; i < 50; ++i) {
        Node* root = make(i % 2 ? Op::sin : Op::cos, x);
        CHECK(kept_order(root) == nullptr);
        x->data += 0.125;
        forward(root);
        CHECK(root->data == (i % 2 ? std::sin(x->data) : std::cos(x->data)));
        release(root);
    }
    release(x);
}

RUN_TESTS()
