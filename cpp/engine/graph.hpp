// Building and freeing a graph. No Python in here.
//
// Idiom: evaluate() gives a value or a fault and builds nothing; record() builds a node from a value and cannot be
// refused. A node dies with the last reference to it, and what it held alone with it, without recursion. Python enters
// only through `hooks`.
#pragma once

#include <cmath>
#include <utility>

#include "arena.hpp"

namespace kilograd {

// What the engine asks of its host.
struct Hooks {
    // Runs the Python rule of a node; false when it raised.
    bool (*run_rule)(Node* node) = nullptr;
    // Whether Python supplies a rule that recomputes the node's data; runs it, false when it raised.
    bool (*has_forward)(Node* node) = nullptr;
    bool (*run_forward)(Node* node) = nullptr;
    // Whether the rule of a `linear` node is the host's arithmetic, and not its local gradients; and that, false with
    // nothing done where Python's objects have to do it. Runs no Python.
    bool (*computes_rule)(const Node* node) = nullptr;
    bool (*compute_rule)(Node* node) = nullptr;
    // Somebody gives up a reference to a handle. Runs no Python and frees no node. True where the handle has died of
    // it: the reference to its node that it held is then the caller's.
    bool (*release_handle)(void* handle) = nullptr;
};
extern Hooks hooks;

// Nodes alive that carry Flag::Rule: while there are none, backward() needs no list of what it will visit.
extern Counter rules_alive;

// --- values ------------------------------------------------------------------------------------------------------

using ValueFn = double (*)(double a, double b, double c);
extern const ValueFn value_of[op_count];

// Why a result that is not finite is refused, or Fault::None where it flows.
inline Fault fault_of(Op op, double a, double b, double c, double y) {
    return fault_of(info(op), a, info(op).arity == Arity::Param ? c : b, y);
}

inline double evaluate(Op op, double a, double b, double c, Fault& fault) {
    double y = value_of[static_cast<std::size_t>(op)](a, b, c);
    fault = std::isfinite(y) ? Fault::None : fault_of(op, a, b, c, y);
    return y;
}

// --- nodes -------------------------------------------------------------------------------------------------------

// The kind of the gradient of a new node.
inline std::uint8_t new_grad_kind(std::uint8_t dialect) { return dialect ? IntKind : FloatKind; }

// A new leaf. The caller owns one reference, as with every node that is made here.
inline Node* new_leaf(double data, Kind kind, std::uint8_t family, std::uint8_t dialect) {
    Node* node = arena().new_leaf();
    node->data = data;
    node->grad = 0.0;
    node->a = node->b = nullptr;
    node->constant = 0.0;
    node->handle = nullptr;
    static_cast<Tag&>(*node) = {1, Op::leaf, Kinds{static_cast<std::uint8_t>(kind), new_grad_kind(dialect), FloatKind},
                                static_cast<std::uint8_t>(Marked | dialect), family};
    return node;
}

// Whether the sum or product y of two integers is exact.
template <Op op>
bool is_exact(double a, double b, double y) {
    if (std::fabs(y) != exact_integers) return std::fabs(y) < exact_integers;
    return op == Op::add ? y - a == b && y - b == a : std::fma(a, b, -y) == 0.0;
}

// The kind of a result: integers stay integers through + * and non-negative integer powers while they are exact.
// Integers have one zero: y becomes 0.0 where it is an integer -0.0.
Kind kind_of_result(Op op, double& y, const Node* a, const Node* b, double c, Kind constant);

// The dialect of a result, whatever its family: as soon as one operand's gradient may be an int, sweeps have to know.
inline std::uint8_t dialect_over(const Node* a, const Node* b) {
    return static_cast<std::uint8_t>((b ? a->flags | b->flags : a->flags) & ExactInts);
}

// The tag of a new node, of the family of `like`.
inline Tag new_tag(Op op, Kind kind, Kind constant, const Node* like, std::uint8_t dialect) {
    return {1, op, Kinds{static_cast<std::uint8_t>(kind), new_grad_kind(dialect), static_cast<std::uint8_t>(constant)},
            dialect, like->family};
}

inline Node* fill(Node* node, const Tag& tag, double y, Node* a, Node* b, double c) {
    node->data = y;
    node->grad = 0.0;
    node->a = a;
    node->b = b;
    node->constant = c;
    node->handle = nullptr;
    static_cast<Tag&>(*node) = tag;
    return node;
}

// A new node over a and b (b may be null) with value y, which takes over the caller's references to them. Where there
// is no memory for it they stay the caller's, as everywhere here.
inline Node* adopt(const Tag& tag, double y, Node* a, Node* b, double c = 0.0) {
    return fill(arena().new_node(), tag, y, a, b, c);
}

// A new node for `op` over a and b (b may be null) with value y. It takes the family of `like`.
inline Node* record(Op op, double y, Kind kind, Node* a, Node* b, double c, Kind constant, const Node* like) {
    Node* node = arena().new_node();
    ++a->refs;
    if (b) ++b->refs;
    return fill(node, new_tag(op, kind, constant, like, dialect_over(a, b)), y, a, b, c);
}

// A new `custom` (no local gradients) or `linear` node over any number of operands; takes over the fan, in any case.
// Its dialect is the given one, or an operand's.
Node* record_fan(Op op, double y, Kind kind, Fan* fan, std::uint8_t family, std::uint8_t dialect);
Fan* new_fan(std::uint32_t count);  // edges uninitialised; freed with the node, or by free_fan
void free_fan(Fan* fan) noexcept;

void destroy(Node* node);  // refs has just reached 0

// The last consumer is gone: the handle, which holds the last reference, is Python's alone again. True where it was
// nobody's else and has died, and with it that reference.
bool unpin(Node* node);

// Drops one reference without freeing the node: true where it was the last.
inline bool drop(Node* node) {
    if (--node->refs == 0) return true;
    if (node->refs != 1 || !node->has(OwnsHandle)) [[likely]]
        return false;
    return unpin(node);
}

// Drops one reference.
inline void release(Node* node) {
    if (drop(node)) destroy(node);
}

// A reference of its owner's, for as long as the owner lives.
class Held {
  public:
    explicit Held(Node* node) : node_(node) {}
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() {
        if (node_) release(node_);
    }
    Node* get() const { return node_; }
    Node* leave() { return std::exchange(node_, nullptr); }  // the reference is the caller's

  private:
    Node* node_;
};

}  // namespace kilograd
