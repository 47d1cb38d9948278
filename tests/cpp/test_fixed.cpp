// Fixed local gradients without a fan, against a twin graph that has a fan at every node: whatever is written in
// between.
#include <random>
#include <utility>
#include <vector>

#include "../../cpp/engine/backward.hpp"
#include "../../cpp/engine/fixed.hpp"
#include "check.hpp"
#include "nodes.hpp"

using namespace kilograd;
using namespace kilograd::testing;

namespace {

// The same node twice: as the engine builds it, and with its local gradients in a fan.
struct Twin {
    Node *node, *fanned;
};

Twin twin_leaf(double data) { return {leaf(data, FloatKind, ExactInts), leaf(data, FloatKind, ExactInts)}; }

Node* fixed(Op op, double y, Node* a, Node* b, double c = 0.0) {
    Node* node = record(op, y, FloatKind, a, b, c, FloatKind, a);
    node->refs.set(References::Fixed, true);
    return node;
}

Twin twin_product(Twin a, Twin b) {
    const double y = a.node->data * b.node->data;
    return {fixed(Op::mul, y, a.node, b.node), fan(Op::linear, y, {a.fanned, b.fanned}, {b.node->data, a.node->data})};
}

Twin twin_sum(Twin a, Twin b) {
    const double y = a.node->data + b.node->data;
    return {fixed(Op::add, y, a.node, b.node), fan(Op::linear, y, {a.fanned, b.fanned}, {1.0, 1.0})};
}

Twin twin_scaled(Twin a, double slope) {
    const double y = a.node->data * slope;
    return {fixed(Op::tanh, y, a.node, nullptr, slope), fan(Op::linear, y, {a.fanned}, {slope})};
}

void write(Twin twin, double data) {
    overwritten.before_write(twin.node);
    twin.node->data = twin.fanned->data = data;
}

void drop_both(Twin twin) {
    release(twin.node);
    release(twin.fanned);
}

void backward_both(Twin root) {
    overwritten.settle();
    for (Node* node : {root.node, root.fanned})
        CHECK(backward_while_exact(node, FloatKind, Order::FirstOperand).empty());
}

}  // namespace

TEST(a_product_has_the_data_of_its_time) {
    LeakCheck leaks;
    Twin x = twin_leaf(2.0), y = twin_leaf(3.0), z = twin_product(x, y);
    write(x, 5.0);
    write(x, 7.0);
    Twin later = twin_product(x, y);
    write(y, 11.0);
    backward_both(later);
    CHECK(y.node->grad == 7.0 && x.node->grad == 3.0);
    CHECK(z.node->op == Op::linear);  // it lived through two bursts of writes
    backward_both(z);
    CHECK(y.node->grad == 9.0 && x.node->grad == 6.0);
    for (Twin twin : {later, z, y, x}) drop_both(twin);
}

TEST(what_is_written_after_the_last_use_costs_no_fan) {
    LeakCheck leaks;
    Twin x = twin_leaf(2.0), y = twin_leaf(3.0);
    for (int step = 0; step < 3; ++step) {
        Twin z = twin_product(x, y);
        backward_both(z);
        write(x, x.node->data - 0.5);
        CHECK(z.node->op == Op::mul);
        drop_both(z);
    }
    drop_both(x);
    drop_both(y);
}

TEST(random_writes_make_no_difference) {
    LeakCheck leaks;
    for (unsigned seed = 0; seed < 300; ++seed) {
        std::mt19937 random(seed);
        const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
        const auto number = [&] { return static_cast<double>(below(33)) / 8.0 - 2.0; };
        std::vector<Twin> twins;
        for (int i = 0; i < 4; ++i) twins.push_back(twin_leaf(number()));
        const auto any = [&] { return twins[below(twins.size())]; };
        const std::size_t steps = seed % 10 == 0 ? 6000 : 200;  // over several chunks
        for (std::size_t step = 0; step < steps; ++step) {
            switch (below(10)) {
                case 0:
                    twins.push_back(twin_leaf(number()));
                    break;
                case 1:
                case 2:
                case 3:
                    twins.push_back(twin_product(any(), any()));
                    break;
                case 4:
                    twins.push_back(twin_sum(any(), any()));
                    break;
                case 5:
                    twins.push_back(twin_scaled(any(), number()));
                    break;
                case 6:
                    write(any(), number());
                    break;
                case 7:
                    for (Twin twin : twins)
                        if (twin.node->is_leaf()) write(twin, number());
                    break;
                case 8:
                    if (twins.size() > 4) {
                        std::swap(twins[below(twins.size())], twins.back());
                        drop_both(twins.back());
                        twins.pop_back();
                    }
                    break;
                default:
                    if (step % 8 == 0) give_fan(any().node);
                    backward_both(any());
            }
            for (Twin twin : twins)
                if (twin.node->grad != twin.fanned->grad && !(twin.node->grad != twin.node->grad)) {
                    CHECK(twin.node->grad == twin.fanned->grad);
                    return;
                }
            if (twins.size() > 40) {
                for (std::size_t i = 20; i < twins.size(); ++i) drop_both(twins[i]);
                twins.resize(20);
            }
        }
        for (Twin twin : twins) drop_both(twin);
    }
}

RUN_TESTS()
