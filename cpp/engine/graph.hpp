// Building, differentiating and freeing a graph. No Python in here.
//
// Idiom: evaluate() gives a value or a fault and builds nothing; record() builds a node from a value and cannot be
// refused. backward() is one sweep down the tape from the root: visit a node if it is marked, apply its rule, mark
// its operands. Everything is iterative. Callers hold the GIL; Python enters only through `hooks`.
#pragma once

#include <cmath>
#include <vector>

#include "arena.hpp"

namespace kilograd {

enum class Fault : std::uint8_t { None, Domain, Overflow, ZeroDivision };

// What the engine asks of its host.
struct Hooks {
    // Runs the Python rule of a node; false when it raised.
    bool (*run_rule)(Node* node) = nullptr;
    // Whether Python supplies a rule that recomputes the node's data; runs it, false when it raised.
    bool (*has_forward)(Node* node) = nullptr;
    bool (*run_forward)(Node* node) = nullptr;
    // The node gives up its reference to its handle. Must not free anything before the caller has returned.
    void (*release_handle)(void* handle) = nullptr;
};
extern Hooks hooks;

// Nodes alive that carry Flag::Rule: while there are none, backward() needs no list of what it will visit.
extern std::size_t rules_alive;

// --- values ------------------------------------------------------------------------------------------------------

using ValueFn = double (*)(double a, double b, double c);
extern const ValueFn value_of[op_count];

// Why a result that is not finite is refused, or Fault::None where it flows.
Fault fault_of(Op op, double a, double b, double c, double y);

inline double evaluate(Op op, double a, double b, double c, Fault& fault) {
    double y = value_of[static_cast<std::size_t>(op)](a, b, c);
    fault = std::isfinite(y) ? Fault::None : fault_of(op, a, b, c, y);
    return y;
}

// d y / d a and d y / d b at the current data; db is 0 for ops of one operand.
struct Locals {
    double da, db;
};
Locals locals_of(const Node* node);

// Whether the first or second of them is an int where Python's arithmetic on the operands would give one.
Kind local_kind(const Node* node, bool second);

// --- nodes -------------------------------------------------------------------------------------------------------

// The kind of the gradient of a new node.
inline std::uint8_t new_grad_kind(std::uint8_t dialect) { return dialect ? IntKind : FloatKind; }

// A new leaf. The caller owns one reference, as with every node that is made here.
inline Node* new_leaf(double data, Kind kind, std::uint8_t family, std::uint8_t dialect) {
    Node* node = arena.new_leaf();
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

// The tag of a new node, of the family and the dialect of `like`.
inline Tag new_tag(Op op, Kind kind, Kind constant, const Node* like) {
    const std::uint8_t dialect = like->flags & ExactInts;
    return {1, op, Kinds{static_cast<std::uint8_t>(kind), new_grad_kind(dialect), static_cast<std::uint8_t>(constant)},
            dialect, like->family};
}

// A new node over a and b (b may be null) with value y, which takes over the caller's references to them.
inline Node* adopt(const Tag& tag, double y, Node* a, Node* b, double c = 0.0) {
    Node* node = arena.new_node();
    node->data = y;
    node->grad = 0.0;
    node->a = a;
    node->b = b;
    node->constant = c;
    node->handle = nullptr;
    static_cast<Tag&>(*node) = tag;
    return node;
}

// A new node for `op` over a and b (b may be null) with value y. It takes the family and the dialect of `like`.
inline Node* record(Op op, double y, Kind kind, Node* a, Node* b, double c, Kind constant, const Node* like) {
    ++a->refs;
    if (b) ++b->refs;
    return adopt(new_tag(op, kind, constant, like), y, a, b, c);
}

// A new `custom` (no local gradients) or `linear` node over any number of operands; takes over the fan.
Node* record_fan(Op op, double y, Kind kind, Fan* fan, std::uint8_t family, std::uint8_t dialect);
Fan* new_fan(std::uint32_t count);  // edges uninitialised; freed with the node, or by free_fan
void free_fan(Fan* fan);

void destroy(Node* node);  // refs has just reached 0

// The last consumer is gone: the handle, which holds the last reference, is Python's alone again.
inline void unpin(Node* node) {
    node->flags &= static_cast<std::uint8_t>(~OwnsHandle);
    hooks.release_handle(node->handle);
}

// Drops one reference.
inline void release(Node* node) {
    if (--node->refs == 0) {
        destroy(node);
    } else if (node->refs == 1 && node->has(OwnsHandle)) {
        unpin(node);
    }
}

// --- traversals --------------------------------------------------------------------------------------------------

// Everything that a root reaches: interior nodes from the root down the tape, then leaves in order of discovery.
struct Ancestry {
    std::vector<Node*> interior;
    std::vector<Node*> leaves;
    std::vector<Node*> outside;  // interior nodes at which the caller stopped the search
};
// `stop(node)` is asked of each interior node below the roots; where it says true the search does not enter.
using Stop = bool (*)(Node* node);
Ancestry ancestors(Node* const* roots, std::size_t count, Stop stop = nullptr);
inline Ancestry ancestors(Node* root) { return ancestors(&root, 1); }

// Sets root.grad to `seed` and adds into the gradient of every ancestor. False when a Python rule raised.
bool backward(Node* root, double seed, Kind seed_kind);

// For classes whose integers have no limit. Whether the op's own rule leaves only such integers in the gradients of the
// operands as a double holds.
bool stays_exact(const Node* node);

// As backward(), without Python rules, up to the first node whose rule would not stay exact: the rules of that node and
// of what is left below it, newest first, are for the caller to run.
std::vector<Node*> backward_while_exact(Node* root, Kind seed_kind);

// Runs the op's own rule on this node alone, whatever rule Python supplies: its gradient flows one step.
void apply_own_rule(Node* node);

// Sets the gradient of everything that root reaches to zero.
void zero_grad(Node* root);

}  // namespace kilograd
