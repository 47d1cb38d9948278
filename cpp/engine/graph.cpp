#include "graph.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <new>

#include "replay.hpp"

namespace kilograd {

Hooks hooks;
std::size_t rules_alive = 0;

const ValueFn value_of[op_count] = {
    nullptr, nullptr, nullptr,  // leaf, custom, linear: not evaluated
#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc) &Row<Op::name>::value<double>,
#include "../ops.def"
#undef KILOGRAD_OP
};

Kind kind_of_result(Op op, double& y, const Node* a, const Node* b, double c, Kind constant) {
    auto integral = [](std::uint8_t kind) { return (kind & IntKind) != 0; };
    bool exact = integral(a->kinds.data) && std::fabs(y) <= exact_integers;
    switch (op) {
        case Op::add:
            exact = exact && integral(b->kinds.data) && is_exact<Op::add>(a->data, b->data, y);
            break;
        case Op::mul:
            exact = exact && integral(b->kinds.data) && is_exact<Op::mul>(a->data, b->data, y);
            break;
        case Op::pow:  // no power of an integer rounds to 2**53 but that number
            exact = exact && integral(b->kinds.data) && b->data >= 0.0;
            break;
        case Op::powc:
            exact = exact && integral(constant) && c >= 0.0;
            break;
        case Op::relu:  // in the micrograd dialect `0 if self.data < 0 else self.data`
            if (!a->has(ExactInts)) return FloatKind;
            exact = exact || a->data < 0.0;
            break;
        default:
            return FloatKind;
    }
    if (!exact) return FloatKind;
    y += 0.0;
    return IntKind;
}

// --- the sweep ---------------------------------------------------------------------------------------------------

namespace {

// Visits marked nodes from the end of the tape downwards, and clears their marks. The visitor marks what it wants
// visited further down; nothing else may run in between. Whatever ends a sweep, no mark outlives it.
class Sweep {
  public:
    Sweep() = default;
    Sweep(const Sweep&) = delete;
    Sweep& operator=(const Sweep&) = delete;
    ~Sweep() {
        if (pending_) [[unlikely]]
            run(nullptr, [](Node*) {});
    }

    void mark(Node* node) {
        pending_ += (node->flags & Marked) == 0;
        node->flags |= Marked;
        Chunk::of(node)->dirty = true;
    }

    // From the root's own place, or from the end of the tape. `fn(node)` may recycle the node.
    template <class Fn>
    void run(Node* root, Fn&& fn) {
        Chunk* chunk = root ? Chunk::of(root) : arena.last();
        Node* node = root ? root + 1 : arena.end_of(chunk);
        while (pending_) {
            Chunk* const previous = chunk->previous;
            if (chunk->dirty) {
                const HeldChunk held(chunk);
                for (Node* const first = chunk->begin(); node != first && pending_;) {
                    --node;
                    prefetch(reinterpret_cast<std::uintptr_t>(node) - below);
                    if (!sanitized && node - first >= ahead) {  // it may be dead
                        prefetch(node[-ahead].a);
                        prefetch(node[-ahead].b);
                    }
                    if (!(node->flags & Marked)) continue;
                    node->flags &= static_cast<std::uint8_t>(~Marked);
                    --pending_;
                    fn(node);
                }
                chunk->dirty = false;
            }
            chunk = previous;
            if (chunk) node = chunk->end();
        }
    }

  private:
    // An operand lies some hundred nodes below its consumer and is touched first from there, at random, so the
    // hardware sees no stream. Asking for the memory 32 KiB below (mostly the neighbouring chunk, whose place is next
    // to this one) and for the operands of the node twelve places on takes a random graph of 10^6 nodes from 18 ns a
    // node to 5.4. A prefetch of an address that is not there does nothing.
    static constexpr std::uintptr_t below = 32 << 10;
    static constexpr std::ptrdiff_t ahead = 12;
    static void prefetch(std::uintptr_t address) { prefetch(reinterpret_cast<const void*>(address)); }
    static void prefetch([[maybe_unused]] const void* address) {
#if defined(__GNUC__) || defined(__clang__)
        __builtin_prefetch(address, 1);
#endif
    }

    std::size_t pending_ = 0;
};

// Runs `fn(node, sweep)` over the marked part of the ancestry of one root.
template <class Fn>
void sweep_from(Node* root, Fn&& fn) {
    if (root->is_leaf()) return;
    Sweep sweep;
    sweep.mark(root);
    sweep.run(root, [&](Node* node) { fn(node, sweep); });
}

}  // namespace

// --- nodes -------------------------------------------------------------------------------------------------------

namespace {

// Dead fans of one or two edges wait here for the next graph. With malloc, a training step of 68,000 nodes that fix
// their local gradients took a fifth more instructions.
struct SpareFan {
    SpareFan* next;
};
constexpr std::uint32_t small_fan = 2;
constexpr std::uint32_t spare_fans_limit = sanitized ? 0 : 1 << 16;  // 4 MiB, as much as pages.cpp keeps
SpareFan* spare_fans = nullptr;
std::uint32_t spare_fans_count = 0;

}  // namespace

Fan* new_fan(std::uint32_t count) {
    void* memory = spare_fans;
    if (count <= small_fan && memory) {
        spare_fans = spare_fans->next;
        --spare_fans_count;
    } else {
        memory = ::operator new(sizeof(Fan) + std::max(count, small_fan) * sizeof(Fan::Edge));
    }
    return new (memory) Fan{count};
}

void free_fan(Fan* fan) noexcept {
    if (fan->count > small_fan || spare_fans_count == spare_fans_limit) {
        ::operator delete(fan);
        return;
    }
    spare_fans = new (static_cast<void*>(fan)) SpareFan{spare_fans};
    ++spare_fans_count;
}

Node* record_fan(Op op, double y, Kind kind, Fan* fan, std::uint8_t family, std::uint8_t dialect) {
    std::unique_ptr<Fan, decltype(&free_fan)> taken(fan, free_fan);
    for (Fan::Edge& edge : *fan) dialect |= edge.operand->flags & ExactInts;
    Node* node = arena.new_node();
    taken.release();
    static_cast<Edges&>(*node) = {.data = y, .grad = 0.0, .a = nullptr, .b = nullptr, .fan = fan, .handle = nullptr};
    static_cast<Tag&>(*node) = {.refs = 1,
                                .op = op,
                                .kinds = Kinds{static_cast<std::uint8_t>(kind), new_grad_kind(dialect), FloatKind},
                                .flags = dialect,
                                .family = family};
    for (Fan::Edge& edge : *fan) ++edge.operand->refs;
    return node;
}

bool unpin(Node* node) {
    node->flags &= static_cast<std::uint8_t>(~OwnsHandle);
    return hooks.release_handle(node->handle) && --node->refs == 0;
}

void destroy(Node* root) {
    // Dead nodes wait on a stack that is linked through their `handle`: a dead node has none. Depth first is fastest
    // while the graph is in the cache. Where more dies, the rest is swept: a random graph of 10^6 nodes took 80 ns a
    // node by the stack and takes 31 by the sweep.
    constexpr int stack_budget = 1 << 15;
    Node* stack = nullptr;
    auto free_node = [](Node* node) {
        if (node->has_fan()) free_fan(node->fan);
        arena.recycle(node);
    };
    auto push = [&stack](Node* node) {
        if (node->is_leaf()) return arena.recycle(node);
        node->handle = stack;
        stack = node;
    };
    Node* node = root;
    for (int i = 0; node; ++i) {
        if (i == stack_budget) break;
        for_each_operand(node, [&](Node* operand) {
            if (drop(operand)) push(operand);
        });
        free_node(node);
        node = stack;
        if (node) stack = static_cast<Node*>(node->handle);
    }
    if (!node) return;
    Sweep sweep;
    auto bury = [&](Node* dead) {
        if (dead->is_leaf()) {
            arena.recycle(dead);
        } else {
            sweep.mark(dead);
        }
    };
    sweep.mark(node);
    for (; stack; stack = static_cast<Node*>(stack->handle)) sweep.mark(stack);
    sweep.run(nullptr, [&](Node* dead) {
        for_each_operand(dead, [&](Node* operand) {
            if (drop(operand)) bury(operand);
        });
        free_node(dead);
    });
}

// --- rules -------------------------------------------------------------------------------------------------------

Locals locals_of(const Node* node) {
    double a = node->a->data;
    double b = node->b ? node->b->data : 0.0;
    double c = node->constant;
    double y = node->data;
    switch (node->op) {
#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc) \
    case Op::name:                                                   \
        return {Row<Op::name>::da(a, b, c, y), Row<Op::name>::db(a, b, c, y)};
#include "../ops.def"
#undef KILOGRAD_OP
        default:
            return {0.0, 0.0};
    }
}

Kind local_kind(const Node* node, bool second) {
    switch (node->op) {
        case Op::add:
        case Op::relu:
            return IntKind;
        case Op::mul:
            return static_cast<Kind>((second ? node->a : node->b)->kinds.data);
        case Op::powc:
            if (node->constant >= 1.0) return join_kinds(node->kinds.constant, node->a->kinds.data);
            return node->a->kinds.data == NumpyKind ? NumpyKind : FloatKind;
        case Op::exp:
            return static_cast<Kind>(node->kinds.data);
        default:
            return FloatKind;
    }
}

namespace {

void accumulate(Node* operand, double term) { operand->grad += term; }

// The micrograd dialect: a gradient stays an int where Python's arithmetic on ints keeps it one.
void accumulate_exact(Node* operand, double term, std::uint8_t kind) {
    operand->grad += term;
    Kind sum = join_kinds(operand->kinds.grad, kind);
    const bool exact = std::fabs(term) < exact_integers && std::fabs(operand->grad) < exact_integers;
    operand->kinds.grad = sum == IntKind && !exact ? FloatKind : sum;
}

// mask ? x : y without a jump.
double select(bool mask, double x, double y) {
    auto bits = -static_cast<std::uint64_t>(mask);
    return std::bit_cast<double>((std::bit_cast<std::uint64_t>(x) & bits) | (std::bit_cast<std::uint64_t>(y) & ~bits));
}

// One step of the chain rule: adds to the gradients of the operands and calls visit() on each.
template <bool Exact, class Visit>
inline void propagate(Node* node, Visit&& visit) {
    const double g = node->grad;
    auto add = [&](Node* operand, double term, bool second) {
        if constexpr (Exact) {
            accumulate_exact(operand, term, join_kinds(node->kinds.grad, local_kind(node, second)));
        } else {
            (void)second;
            accumulate(operand, term);
        }
        visit(operand);
    };
    if (node->op == Op::add || node->op == Op::mul) {
        // Sums and products follow each other at random in most graphs: choosing between their rules by arithmetic
        // instead of a jump takes a random graph of 10^4 nodes from 5.6 to 3.4 ns a node.
        Node* const left = node->a;
        Node* const right = node->b;
        const bool product = node->op == Op::mul;
        const double a = left->data, b = right->data, y = node->data;
        const double to_left = select(product, Row<Op::mul>::da(a, b, 0.0, y), Row<Op::add>::da(a, b, 0.0, y)) * g;
        const double to_right = select(product, Row<Op::mul>::db(a, b, 0.0, y), Row<Op::add>::db(a, b, 0.0, y)) * g;
        add(left, to_left, false);
        add(right, to_right, true);
        return;
    }
    switch (node->op) {
        case Op::leaf:
            return;
        case Op::custom:
            for (Fan::Edge& edge : *node->fan) visit(edge.operand);
            return;
        case Op::linear:
            for (Fan::Edge& edge : *node->fan) {
                if constexpr (Exact) {
                    accumulate_exact(edge.operand, edge.local * g, join_kinds(node->kinds.grad, edge.kind));
                } else {
                    accumulate(edge.operand, edge.local * g);
                }
                visit(edge.operand);
            }
            return;
#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc)     \
    case Op::name: {                                                     \
        Node* left = node->a;                                            \
        const double a = left->data, c = node->constant, y = node->data; \
        if constexpr (Arity::arity == Arity::Binary) {                   \
            Node* right = node->b;                                       \
            const double b = right->data;                                \
            const double to_left = Row<Op::name>::da(a, b, c, y) * g;    \
            const double to_right = Row<Op::name>::db(a, b, c, y) * g;   \
            add(left, to_left, false);                                   \
            add(right, to_right, true);                                  \
        } else {                                                         \
            add(left, Row<Op::name>::da(a, 0.0, c, y) * g, false);       \
        }                                                                \
        return;                                                          \
    }
#include "../ops.def"
#undef KILOGRAD_OP
        case Op::count_:
            return;
    }
}

// What propagate() would do to a sum and then to the product that it adds to `before`, in its order. `g` is the sum's
// gradient and becomes that of `before`. False, with nothing done, where numbers are not all floats.
template <bool Exact>
inline bool propagate_pair(Node* sum, Node* product, Node* before, double& g) {
    Node *const left = product->a, *const right = product->b;
    if constexpr (Exact) {
        auto plain = [](const Node* node) { return !((node->kinds.data | node->kinds.grad) & NumpyKind); };
        if (sum->kinds.grad != FloatKind || !plain(before) || !plain(product) || !plain(left) || !plain(right))
            [[unlikely]]
            return false;
        for (Node* node : {before, product, left, right}) node->kinds.grad = FloatKind;
    }
    const double to_product = product->grad + g;
    g += before->grad;
    product->grad = to_product;
    before->grad = g;
    left->grad += right->data * to_product;
    right->grad += left->data * to_product;
    return true;
}

// One node of a sweep. Where a product stands just below the sum that it goes into and nothing else has asked for it,
// it is done with the sum.
template <bool Exact>
void visit(Node* node, Sweep& sweep) {
    Node* const product = node - 1;
    if ((node->a == product || node->b == product) && node->op == Op::add && product->op == Op::mul &&
        !product->has(Marked) && node->a != node->b) {
        double g = node->grad;
        Node* const before = other_term(node, product);
        if (propagate_pair<Exact>(node, product, before, g)) {
            for (Node* operand : {before, product->a, product->b}) sweep.mark(operand);
            return;
        }
    }
    propagate<Exact>(node, [&](Node* operand) { sweep.mark(operand); });
}

// The pairs of a run.
template <bool Exact>
void descend_pairs(const Course::Run& run) {
    Node* product = run.after_pairs();
    double g = product[-1].grad;
    while (product != run.begin) {
        product -= 2;
        Node* const before = other_term(product + 1, product);
        if (propagate_pair<Exact>(product + 1, product, before, g)) continue;
        propagate<true>(product + 1, [](Node*) {});
        propagate<true>(product, [](Node*) {});
        g = before->grad;
    }
}

// The order of a sweep, where it is known already.
template <bool Exact>
void descend(const Course& course) {
    for (auto run = course.runs.rbegin(); run != course.runs.rend(); ++run) {
        for (Node* node = run->end(); node != run->after_pairs();) propagate<Exact>(--node, [](Node*) {});
        if (run->pairs) descend_pairs<Exact>(*run);
    }
}

}  // namespace

namespace {

// Nodes in order of discovery, each once: what was seen is flagged as long as this lives.
class SeenOnce {
  public:
    explicit SeenOnce(std::vector<Node*>& nodes) : nodes_(nodes) {}
    SeenOnce(const SeenOnce&) = delete;
    SeenOnce& operator=(const SeenOnce&) = delete;
    ~SeenOnce() {
        for (Node* node : nodes_) node->flags &= static_cast<std::uint8_t>(~Seen);
    }
    void add(Node* node) {
        if (node->has(Seen)) return;
        nodes_.push_back(node);
        node->flags |= Seen;
    }

  private:
    std::vector<Node*>& nodes_;
};

void find_ancestors(Node* const* roots, std::size_t count, Stop stop, Ancestry& found) {
    SeenOnce leaves(found.leaves), outside(found.outside);
    Sweep sweep;
    auto reach = [&](Node* node) {
        if (node->is_leaf()) {
            leaves.add(node);
        } else {
            sweep.mark(node);
        }
    };
    for (std::size_t i = 0; i < count; ++i) reach(roots[i]);
    bool single = count == 1 && !roots[0]->is_leaf();
    sweep.run(single ? roots[0] : nullptr, [&](Node* node) {
        found.interior.push_back(node);
        for_each_operand(node, [&](Node* operand) {
            if (stop && !operand->is_leaf() && stop(operand)) {
                outside.add(operand);
            } else {
                reach(operand);
            }
        });
    });
}

}  // namespace

Ancestry ancestors(Node* const* roots, std::size_t count, Stop stop) {
    Ancestry found;
    find_ancestors(roots, count, stop, found);
    return found;
}

void apply_own_rule(Node* node) {
    auto nothing = [](Node*) {};
    if (node->has(ExactInts)) {
        propagate<true>(node, nothing);
    } else {
        propagate<false>(node, nothing);
    }
}

bool backward(Node* root, double seed, Kind seed_kind) {
    const auto set_seed = [&] {
        root->grad = seed;
        root->kinds.grad = root->has(ExactInts) ? seed_kind : FloatKind;
    };
    if (rules_alive == 0) {
        set_seed();
        if (const Course* course = course_of(root)) {
            root->has(ExactInts) ? descend<true>(*course) : descend<false>(*course);
            return true;
        }
        if (root->has(ExactInts)) {
            sweep_from(root, [](Node* node, Sweep& sweep) { visit<true>(node, sweep); });
        } else {
            sweep_from(root, [](Node* node, Sweep& sweep) { visit<false>(node, sweep); });
        }
        return true;
    }
    // A Python rule may build, free and differentiate graphs, or let another thread do so: by the time it runs, no
    // mark is left anywhere. The caller's reference to the root keeps all of these nodes alive.
    Ancestry order = ancestors(root);
    set_seed();
    for (Node* node : order.interior) {
        if (!node->has(Rule)) {
            apply_own_rule(node);
        } else if (!hooks.run_rule(node)) {
            return false;
        }
    }
    for (Node* leaf : order.leaves)
        if (leaf->has(Rule) && !hooks.run_rule(leaf)) return false;
    return true;
}

bool stays_exact(const Node* node) {
    if (!(node->kinds.grad & IntKind)) [[likely]]
        return true;
    const double g = node->grad;
    double terms = 0.0;  // the sum of their magnitudes: an operand may get several of them
    auto each_term = [&](auto&& fn) {
        if (node->op == Op::linear) {
            for (Fan::Edge& edge : *node->fan) fn(edge.operand, edge.local, edge.kind);
        } else if (!node->has_fan() && !node->is_leaf()) {
            Locals locals = locals_of(node);
            fn(node->a, locals.da, local_kind(node, false));
            if (node->b) fn(node->b, locals.db, local_kind(node, true));
        }
    };
    each_term([&](const Node*, double local, std::uint8_t kind) {
        if (kind & IntKind) terms += std::fabs(local) + std::fabs(local * g);
    });
    bool exact = true;
    each_term([&](const Node* operand, double, std::uint8_t kind) {
        if (kind & operand->kinds.grad & IntKind) exact &= terms + std::fabs(operand->grad) < exact_integers;
    });
    return exact;
}

std::vector<Node*> backward_while_exact(Node* root, Kind seed_kind) {
    root->grad = 1.0;
    root->kinds.grad = seed_kind;
    std::vector<Node*> rest;
    sweep_from(root, [&](Node* node, Sweep& sweep) {
        if (rest.empty() && stays_exact(node)) [[likely]] {
            visit<true>(node, sweep);  // what this does of a second node is done in floats, and so is exact
        } else {
            rest.push_back(node);
            for_each_operand(node, [&](Node* to) { sweep.mark(to); });
        }
    });
    return rest;
}

void zero_grad(Node* root) {
    auto zero = [](Node* node) {
        node->grad = 0.0;
        node->kinds.grad = node->has(ExactInts) ? IntKind : FloatKind;
    };
    zero(root);
    sweep_from(root, [&](Node* node, Sweep& sweep) {
        zero(node);
        for_each_operand(node, [&](Node* operand) {
            zero(operand);
            sweep.mark(operand);
        });
    });
}

}  // namespace kilograd
