#include "replay.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "order.hpp"

namespace kilograd {

namespace {

constexpr bool can_be_int(Op op) {
    return op == Op::add || op == Op::mul || op == Op::pow || op == Op::powc || op == Op::relu;
}

// What a node held before. The kinds are widened: a byte that is written and then copied as part of eight bytes
// stalls the store buffer, which cost more than all the arithmetic.
struct State {
    double data, grad;
    std::uint64_t kinds;
};

State state_of(const Node* node) { return {node->data, node->grad, std::bit_cast<std::uint8_t>(node->kinds)}; }

// Gives the first `count` nodes their states back.
void restore(const TopologicalOrder& order, const State* state, std::size_t count) {
    for (const TopologicalOrder::Run& run : order.runs)
        for (Node* node = run.begin; node != run.end(); ++node, ++state) {
            if (count-- == 0) return;
            node->data = state->data;
            node->grad = state->grad;
            node->kinds = std::bit_cast<Kinds>(static_cast<std::uint8_t>(state->kinds));
        }
}

inline void set(Node* node, double y, Kind kind) {
    node->data = y;
    node->grad = 0.0;
    node->kinds.data = kind;
    node->kinds.grad = node->has(ExactInts) ? IntKind : FloatKind;
}

// Recomputes one native node; false, with the node as it was, where the operation is refused.
inline bool recompute(Node* node, Replay& refused) {
    switch (node->op) {
#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc)                                         \
    case Op::name: {                                                                                         \
        const Node *left = node->a, *right = node->b;                                                        \
        const double a = left->data, c = node->constant;                                                     \
        double b = 0.0;                                                                                      \
        if constexpr (Arity::arity == Arity::Binary) b = right->data;                                        \
        double y = Row<Op::name>::value(a, b, c);                                                            \
        if constexpr (!is_total(info(Op::name))) {                                                           \
            if (!std::isfinite(y)) [[unlikely]] {                                                            \
                Fault fault = fault_of(Op::name, a, b, c, y);                                                \
                if (fault != Fault::None) {                                                                  \
                    refused = {Outcome::Refused, node, fault, a, b};                                         \
                    return false;                                                                            \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
        Kind kind = FloatKind;                                                                               \
        if constexpr (can_be_int(Op::name)) {                                                                \
            if ((left->kinds.data & IntKind) || (Op::name == Op::relu && node->has(ExactInts))) [[unlikely]] \
                kind = kind_of_result(Op::name, y, left, right, c, static_cast<Kind>(node->kinds.constant)); \
        }                                                                                                    \
        set(node, y, kind);                                                                                  \
        return true;                                                                                         \
    }
#include "../ops.def"
#undef KILOGRAD_OP
        default:
            return true;
    }
}

bool needs_python(const Node* node) { return node->op == Op::custom || node->has(Rule); }

// Python rules may do anything, from building graphs to raising: everything is saved first.
Replay forward_with_rules(const TopologicalOrder& order) {
    Replay result;
    std::vector<State> before;
    for (const TopologicalOrder::Run& run : order.runs)
        for (Node* node = run.begin; node != run.end(); ++node) {
            if (needs_python(node) && !hooks.has_forward(node)) return {.outcome = Outcome::NoRule, .node = node};
            before.push_back(state_of(node));
        }
    for (const TopologicalOrder::Run& run : order.runs)
        for (Node* node = run.begin; node != run.end(); ++node) {
            if (!needs_python(node)) {
                if (recompute(node, result)) continue;
            } else if (hooks.run_forward(node)) {
                set(node, node->data, static_cast<Kind>(node->kinds.data));
                continue;
            } else {
                result = {.outcome = Outcome::HostFailed, .node = node};
            }
            restore(order, before.data(), before.size());
            return result;
        }
    return result;
}

// Sums and products cannot be refused.
void recompute_pairs(const TopologicalOrder::Run& run) {
    double sum = other_term(run.begin + 1, run.begin)->data;
    for (Node *product = run.begin, *const end = run.after_pairs(); product != end; product += 2) {
        const Node *left = product->a, *right = product->b;
        if (left->kinds.data & right->kinds.data & IntKind) [[unlikely]] {
            Replay never;
            recompute(product, never);
            recompute(product + 1, never);
            sum = product[1].data;
            continue;
        }
        const double term = left->data * right->data;
        sum += term;
        set(product, term, FloatKind);
        set(product + 1, sum, FloatKind);
    }
}

template <bool Save>
Replay forward_native(const TopologicalOrder& order) {
    static KILOGRAD_PER_THREAD std::vector<State> before;  // nothing else runs meanwhile
    if (Save && before.size() < order.count) before.resize(order.count);
    State* state = before.data();
    Replay result;
    for (const TopologicalOrder::Run& run : order.runs) {
        if (run.pairs) {
            if constexpr (Save)
                for (Node *node = run.begin, *const end = run.after_pairs(); node != end; ++node)
                    *state++ = state_of(node);
            recompute_pairs(run);
        }
        for (Node *node = run.after_pairs(), *const end = run.end(); node != end; ++node) {
            if constexpr (Save) *state++ = state_of(node);
            if (!recompute(node, result)) [[unlikely]] {
                restore(order, before.data(), static_cast<std::size_t>(state - before.data()));
                return result;
            }
        }
    }
    return result;
}

}  // namespace

Replay forward(Node* root) {
    if (root->is_leaf()) return {};
    std::shared_ptr<const TopologicalOrder> order = keep_order(root);
    if (order->fixed) return {.outcome = Outcome::Fixed, .node = order->fixed};
    if (order->custom || rules_alive > 0) return forward_with_rules(*order);
    return order->fallible ? forward_native<true>(*order) : forward_native<false>(*order);
}

}  // namespace kilograd
