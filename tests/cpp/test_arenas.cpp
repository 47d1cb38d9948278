// Arenas of several threads, as without a GIL: joined, left behind by their threads, and taken up again.
#include <algorithm>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "../../cpp/engine/backward.hpp"
#include "../../cpp/engine/order.hpp"
#include "nodes.hpp"

using namespace kilograd;
using namespace kilograd::testing;

namespace {

// What a host does with locks, for tests that are at one arena at a time.
class In {
  public:
    explicit In(Arena& arena) : before_(entered) { entered = arena.joined ? &common_arena : &arena; }
    In(const In&) = delete;
    In& operator=(const In&) = delete;
    ~In() { entered = before_; }

  private:
    Arena* const before_;
};

std::size_t living(Arena& arena) {
    const In in(arena);
    return kilograd::arena().live_nodes();
}

// x + 1 + 1 ... and a few nodes that die at once, with a reference for each of the first and the last.
struct Chain {
    Node* first;
    Node* last;
    int length;

    explicit Chain(int count) : first(leaf(1.0)), last(first), length(count) {
        ++first->refs;
        Node* const one = leaf(1.0);
        for (int i = 0; i < count; ++i) {
            if (i % 3 == 0) release(make(Op::mul, last, one));
            push(last, Op::add, one);
        }
        release(one);
    }
    void free() const {
        release(last);
        release(first);
    }
};

}  // namespace

TEST(what_is_joined_is_one_graph_in_order) {
    Arena a, b;
    In in_a(a);
    const Chain left(3000);
    In in_b(b);
    const Chain right(5000);
    In in_common(common_arena);
    const Chain own(10);
    for (Arena* arena : {&a, &b}) {
        join(*arena);
        CHECK(arena->joined && arena->live_nodes() == 0);
    }
    Node* const product = make(Op::mul, left.last, right.last);
    Node* const root = make(Op::add, product, own.last);
    CHECK(root->data == 3001.0 * 5001.0 + 11.0);
    CHECK(&arena_of(left.first) == &common_arena && &arena_of(right.last) == &common_arena);
    const std::vector<Node*> order = ancestors(root).interior;
    CHECK(order.size() == 2 + 3000 + 5000 + 10);
    CHECK(backward(root, 1.0, FloatKind));
    CHECK(left.first->grad == 5001.0 && right.first->grad == 3001.0 && own.first->grad == 1.0);
    std::size_t seen = 0;
    arena().for_each_node([&](Node*) { ++seen; });
    CHECK(seen == order.size());
    for (const Chain* chain : {&left, &right, &own}) chain->free();
    release(product);
    release(root);
    CHECK(arena().live_nodes() == 0);
}

TEST(joined_in_any_order_and_state) {
    std::mt19937 random(1);
    for (int round = 0; round < 200; ++round) {
        std::vector<std::unique_ptr<Arena>> arenas;
        std::vector<Chain> chains;
        for (int i = 0; i < 4; ++i) {
            Arena& own = *arenas.emplace_back(std::make_unique<Arena>());
            for (int k = 0; k < 3; ++k) {
                const In in(random() % 4 ? own : common_arena);
                const int lengths[] = {0, 1, 7, static_cast<int>(Chunk::slots), 3000};
                const Chain chain(lengths[random() % 5]);
                random() % 3 ? chains.push_back(chain) : chain.free();
            }
            if (random() % 2) join(own);
        }
        for (auto& own : arenas)
            if (!own->joined) join(*own);
        const In in(common_arena);
        Node* root = leaf(0.0);
        for (const Chain& chain : chains) push(root, Op::add, chain.last);
        CHECK(backward(root, 1.0, FloatKind));
        for (const Chain& chain : chains) CHECK(chain.first->grad == 1.0 && chain.last->data == chain.length + 1.0);
        std::shuffle(chains.begin(), chains.end(), random);
        release(root);
        for (const Chain& chain : chains) chain.free();
        CHECK(arena().live_nodes() == 0);
    }
    CHECK(mapped_bytes() <= reserve);
}

TEST(kept_orders_are_found_anew_after_a_join) {
    Arena own;
    Node *x, *y;
    {
        const In in(own);
        x = leaf(0.5);
        y = make(Op::exp, x);
        CHECK(keep_order(y)->count == 1 && kept_order(y));
    }
    join(own);
    const In in(common_arena);
    CHECK(!kept_order(y));
    CHECK(keep_order(y)->count == 1 && kept_order(y));
    release(y);
    release(x);
    CHECK(arena().live_nodes() == 0);
}

TEST(threads_build_at_the_same_time) {
    std::vector<Chain> chains;
    std::vector<Arena*> owners(4);
    {
        std::vector<std::unique_ptr<Chain>> made(4);
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < 4; ++i)
            threads.emplace_back([&, i] {
                owners[i] = &own_arena();
                const In in(own_arena());
                for (int k = 0; k < 20; ++k) Chain(2000).free();
                made[i] = std::make_unique<Chain>(4000);
                CHECK(backward(made[i]->last, 1.0, FloatKind));
            });
        for (std::thread& thread : threads) thread.join();
        for (const auto& chain : made) chains.push_back(*chain);
    }
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(&arena_of(chains[i].last) == owners[i] && chains[i].first->grad == 1.0);
        const In in(*owners[i]);
        chains[i].free();
    }
    for (Arena* owner : owners) CHECK(living(*owner) == 0);  // one may have served two threads, one after the other
    Arena* next = nullptr;
    std::thread([&] { next = &own_arena(); }).join();
    CHECK(std::find(owners.begin(), owners.end(), next) != owners.end());  // one that had lost its thread
    CHECK(arenas().size() <= 1 + 4);
}

RUN_TESTS()
