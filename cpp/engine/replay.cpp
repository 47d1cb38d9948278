#include "replay.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace kilograd {

namespace {

constexpr bool can_be_int(Op op) {
    return op == Op::add || op == Op::mul || op == Op::pow || op == Op::powc || op == Op::relu;
}

// A few, so that a training and a validation loss can take turns.
constexpr std::size_t kept = 4;
struct Entry {
    Node* root = nullptr;
    std::shared_ptr<const Course> course;
};
std::array<Entry, kept> entries;
std::size_t next_entry = 0;

Entry* find(const Node* root) {
    if (root->kinds.replayed)
        for (Entry& entry : entries)
            if (entry.root == root) return &entry;
    return nullptr;
}

// Adds a node, which stands above all that were added before.
void append(std::vector<Course::Run>& runs, Node* node) {
    constexpr std::uint32_t most = 1u << 30;
    Course::Run* last = runs.empty() ? nullptr : &runs.back();
    if (!last || last->end() != node || last->singles == most) {
        runs.push_back({node, 0, 1});
        return;
    }
    Node* const product = node - 1;
    Node* const before = node->op == Op::add ? other_term(node, product) : nullptr;
    const bool is_pair = last->singles > 0 && product->op == Op::mul && before && before != product &&
                         (node->a == product || node->b == product);
    if (!is_pair) {
        ++last->singles;
        return;
    }
    auto inside = [&](const Node* operand) { return operand >= last->begin && operand < product; };
    if (last->singles == 1 && last->pairs > 0 && last->pairs < most && before == product - 1 && !inside(product->a) &&
        !inside(product->b)) {
        ++last->pairs;
        last->singles = 0;
        return;
    }
    if (--last->singles == 0 && last->pairs == 0) runs.pop_back();
    runs.push_back({product, 1, 0});
}

std::shared_ptr<const Course> course_for(Node* root) {
    if (Entry* known = find(root)) return known->course;
    auto course = std::make_shared<Course>();
    std::vector<Node*> interior = ancestors(root).interior;
    for (auto node = interior.rbegin(); node != interior.rend(); ++node) {
        append(course->runs, *node);
        ++course->count;
        course->custom |= (*node)->op == Op::custom;
        course->fallible |= !is_total(info((*node)->op));
        if ((*node)->op == Op::linear && !course->fixed) course->fixed = *node;
    }
    // An entry whose root died keeps its address, which another node may have now: a root has one entry.
    auto entry = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.root == root; });
    if (entry == entries.end()) {
        entry = entries.begin() + static_cast<std::ptrdiff_t>(next_entry);
        next_entry = (next_entry + 1) % kept;
    }
    *entry = Entry{root, course};
    root->kinds.replayed = 1;
    return course;
}

// What a node held before. The kinds are widened: a byte that is written and then copied as part of eight bytes
// stalls the store buffer, which cost more than all the arithmetic.
struct State {
    double data, grad;
    std::uint64_t kinds;
};

State state_of(const Node* node) { return {node->data, node->grad, std::bit_cast<std::uint8_t>(node->kinds)}; }

// Gives the first `count` nodes their states back.
void restore(const Course& course, const State* state, std::size_t count) {
    for (const Course::Run& run : course.runs)
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
Replay forward_with_rules(const Course& course) {
    Replay result;
    std::vector<State> before;
    for (const Course::Run& run : course.runs)
        for (Node* node = run.begin; node != run.end(); ++node) {
            if (needs_python(node) && !hooks.has_forward(node)) return {.outcome = Outcome::NoRule, .node = node};
            before.push_back(state_of(node));
        }
    for (const Course::Run& run : course.runs)
        for (Node* node = run.begin; node != run.end(); ++node) {
            if (!needs_python(node)) {
                if (recompute(node, result)) continue;
            } else if (hooks.run_forward(node)) {
                set(node, node->data, static_cast<Kind>(node->kinds.data));
                continue;
            } else {
                result = {.outcome = Outcome::HostFailed, .node = node};
            }
            restore(course, before.data(), before.size());
            return result;
        }
    return result;
}

// Sums and products cannot be refused.
void recompute_pairs(const Course::Run& run) {
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
Replay forward_native(const Course& course) {
    static std::vector<State> before;  // nothing else runs meanwhile
    if (Save && before.size() < course.count) before.resize(course.count);
    State* state = before.data();
    Replay result;
    for (const Course::Run& run : course.runs) {
        if (run.pairs) {
            if constexpr (Save)
                for (Node *node = run.begin, *const end = run.after_pairs(); node != end; ++node)
                    *state++ = state_of(node);
            recompute_pairs(run);
        }
        for (Node *node = run.after_pairs(), *const end = run.end(); node != end; ++node) {
            if constexpr (Save) *state++ = state_of(node);
            if (!recompute(node, result)) [[unlikely]] {
                restore(course, before.data(), static_cast<std::size_t>(state - before.data()));
                return result;
            }
        }
    }
    return result;
}

}  // namespace

const Course* course_of(const Node* root) {
    Entry* entry = find(root);
    return entry ? entry->course.get() : nullptr;
}

Replay forward(Node* root) {
    if (root->is_leaf()) return {};
    std::shared_ptr<const Course> course = course_for(root);
    if (course->fixed) return {.outcome = Outcome::Fixed, .node = course->fixed};
    if (course->custom || rules_alive > 0) return forward_with_rules(*course);
    return course->fallible ? forward_native<true>(*course) : forward_native<false>(*course);
}

}  // namespace kilograd
