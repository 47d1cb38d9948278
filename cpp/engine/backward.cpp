#include "backward.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <utility>

#include "order.hpp"
#include "sweep.hpp"
#include "typed.hpp"

namespace kilograd {

// The result as the rule of an op sees it.
template <Op op>
static double result_of(const Node* node) {
    if (op == Op::relu) return relu_decider(node)->data;
    return op == Op::exp && is_late_exp(node) ? Row<Op::exp>::value(node->a->data, 0.0, 0.0) : node->data;
}

Locals locals_of(const Node* node) {
    if (node->is_fixed() && !node->b) return {node->constant, 0.0};
    double a = node->a->data;
    double b = node->b ? node->b->data : 0.0;
    double c = node->constant;
    double y = is_late_exp(node)      ? result_of<Op::exp>(node)
               : node->op == Op::relu ? result_of<Op::relu>(node)
                                      : node->data;
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
    if (node->op == Op::mul) return static_cast<Kind>((second ? node->a : node->b)->kinds.data);
    if (node->is_fixed()) return static_cast<Kind>(node->kinds.constant);  // of a sum: floats
    switch (node->op) {
        case Op::add:
            return IntKind;
        case Op::relu:  // `y > 0`, which is a numpy.bool where y is NumPy's
            return is_numpy(relu_decider(node)->kinds.data) ? NumpyKind : IntKind;
        case Op::powc:
            return join_kinds(node->constant >= 1.0 ? node->kinds.constant : std::uint8_t{FloatKind},
                              node->a->kinds.data);
        case Op::log:  // of the operand's data, in its arithmetic
            return join_kinds(FloatKind, node->a->kinds.data);
        case Op::exp:
            return is_late_exp(node) ? FloatKind : static_cast<Kind>(node->kinds.data);
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

// What flows from a log of `x` with gradient `g`.
double term_of_log(LogRule rule, double x, double g) {
    // A constant exponent would be compiled into 1 / x.
    static volatile double exponent = -1.0;
    if (rule == LogRule::Reciprocal) return Row<Op::log>::da(x, 0.0, 0.0, 0.0) * g;
    return rule == LogRule::Quotient ? g / x : std::pow(x, exponent) * g;
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
    if (node->is_fixed()) {
        add(node->a, node->constant * g, false);
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
#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc)   \
    case Op::name: {                                                   \
        Node* left = node->a;                                          \
        const double a = left->data, c = node->constant;               \
        const double y = result_of<Op::name>(node);                    \
        if constexpr (Arity::arity == Arity::Binary) {                 \
            Node* right = node->b;                                     \
            const double b = right->data;                              \
            const double to_left = Row<Op::name>::da(a, b, c, y) * g;  \
            const double to_right = Row<Op::name>::db(a, b, c, y) * g; \
            add(left, to_left, false);                                 \
            add(right, to_right, true);                                \
        } else if constexpr (Op::name == Op::log) {                    \
            add(left, term_of_log(log_rule(node), a, g), false);       \
        } else {                                                       \
            add(left, Row<Op::name>::da(a, 0.0, c, y) * g, false);     \
        }                                                              \
        return;                                                        \
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
        auto plain = [](const Node* node) {
            return !((node->kinds.data | node->kinds.grad) & (NumpyKind | NumpyIntKind));
        };
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
void descend_pairs(const TopologicalOrder::Run& run) {
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
void descend(const TopologicalOrder& order) {
    for (auto run = order.runs.rbegin(); run != order.runs.rend(); ++run) {
        for (Node* node = run->end(); node != run->after_pairs();) propagate<Exact>(--node, [](Node*) {});
        if (run->pairs) descend_pairs<Exact>(*run);
    }
}

}  // namespace

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
        if (const TopologicalOrder* order = kept_order(root)) {
            root->has(ExactInts) ? descend<true>(*order) : descend<false>(*order);
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

bool power_stays_float(const Node* node) {
    if (node->is_fixed()) return true;
    const Node* base = node->a;
    if (base->kinds.data == NumpyIntKind) return false;                                  // wraps around, or raises
    if (base->data < 0.0 && node->constant != std::trunc(node->constant)) return false;  // complex
    if (!(base->kinds.data & node->kinds.constant & IntKind) || node->constant < 1.0) return true;
    return std::fabs(locals_of(node).da) < exact_integers;
}

// Calls fn(operand, local gradient, its kind) for each operand.
template <class Fn>
static void each_term(const Node* node, Fn&& fn) {
    if (node->op == Op::linear) {
        for (const Fan::Edge& edge : *node->fan) fn(edge.operand, edge.local, edge.kind);
    } else if (!node->has_fan() && !node->is_leaf()) {
        const Locals locals = locals_of(node);
        fn(node->a, locals.da, local_kind(node, false));
        if (node->b) fn(node->b, locals.db, local_kind(node, true));
    }
}

// Whether NumPy's floats, if any meet in this step, stay finite: else NumPy warns, or raises.
static bool stays_finite(const Node* node) {
    bool numpy = is_numpy(node->kinds.grad), finite = true;
    double terms = 0.0;  // an operand may get several of them
    each_term(node, [&](const Node* operand, double local, std::uint8_t kind) {
        numpy |= is_numpy(kind) || is_numpy(operand->kinds.grad);
        terms += std::fabs(local * node->grad);
        finite &= std::isfinite(terms + std::fabs(operand->grad));
    });
    return finite || !numpy;
}

bool stays_exact(const Node* node) {
    if (singles_seen && meets_singles(node)) [[unlikely]]
        return false;
    if (numpy_seen && !stays_finite(node)) [[unlikely]]
        return false;
    if (rules_computed && node->op == Op::linear && hooks.computes_rule(node)) return false;
    if (node->op == Op::powc && !power_stays_float(node)) return false;
    if (!(node->kinds.grad & IntKind) && node->kinds.grad != NumpyIntKind) [[likely]]
        return true;  // floats, whatever they meet
    if (node->kinds.grad == NumpyIntKind) return false;
    if (node->op == Op::relu && !node->is_fixed() && is_numpy(relu_decider(node)->kinds.data))
        return false;  // numpy.bool * int: numpy.int64
    const double g = node->grad;
    double terms = 0.0;  // the sum of their magnitudes: an operand may get several of them
    each_term(node, [&](const Node*, double local, std::uint8_t kind) {
        if (kind & IntKind) terms += std::fabs(local) + std::fabs(local * g);
    });
    bool exact = true;
    each_term(node, [&](const Node* operand, double, std::uint8_t kind) {
        exact &= kind != NumpyIntKind && operand->kinds.grad != NumpyIntKind;
        if (kind & operand->kinds.grad & IntKind) exact &= terms + std::fabs(operand->grad) < exact_integers;
    });
    return exact;
}

// The rule of a node that does not stay exact, as far as that takes none of Python's objects.
static bool flows_typed(Node* node) {
    if (rules_computed && node->op == Op::linear && hooks.computes_rule(node)) return hooks.compute_rule(node);
    return apply_typed_rule(node);
}

// The same over runs that are known, results last: how many of them are left, and of the last one up to which node.
static std::pair<std::size_t, Node*> descend_while_exact(const std::vector<TopologicalOrder::Run>& runs) {
    for (std::size_t i = runs.size(); i-- > 0;) {
        const TopologicalOrder::Run& run = runs[i];
        double g = run.end()[-1].grad;
        for (Node* end = run.end(); end != run.begin;) {
            Node *const node = end - 1, *const product = end - 2;
            if (run.pairs && propagate_pair<true>(node, product, other_term(node, product), g)) {
                end = product;
                continue;
            }
            for (const Node* const last = run.pairs ? product : node; end != last; --end) {
                if (stays_exact(end - 1)) [[likely]]
                    propagate<true>(end - 1, [](Node*) {});
                else if (!flows_typed(end - 1))
                    return {i + 1, end};
            }
            if (end != run.begin) g = end[-1].grad;
        }
    }
    return {0, nullptr};
}

constexpr std::size_t most_kept = std::size_t{1} << 19;  // 8 MiB

std::vector<Node*> backward_while_exact(Node* root, Kind seed_kind, Order order) {
    std::vector<Node*> rest;
    const auto set_seed = [&] {
        root->grad = 1.0;
        root->kinds.grad = seed_kind;
    };
    if (order != Order::Tape) {
        static KILOGRAD_PER_THREAD std::vector<TopologicalOrder::Run>
            kept;  // its memory, for the graphs of a training loop
        std::vector<TopologicalOrder::Run> runs = std::move(kept);
        find_postorder(root, order, runs);
        for (auto& run : runs) unmark(run.end() - 1);
        set_seed();
        auto [left, end] = descend_while_exact(runs);
        for (runs.resize(left); !runs.empty(); runs.pop_back(), end = nullptr)
            for (Node* node = end ? end : runs.back().end(); node != runs.back().begin;) rest.push_back(--node);
        runs.clear();
        if (runs.capacity() <= most_kept) kept = std::move(runs);
        return rest;
    }
    set_seed();
    sweep_from(root, [&](Node* node, Sweep& sweep) {
        if (rest.empty() && stays_exact(node)) [[likely]] {
            visit<true>(node, sweep);  // what this does of a second node is done in floats, and so is exact
        } else {
            if (!rest.empty() || !flows_typed(node)) rest.push_back(node);
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
