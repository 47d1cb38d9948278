// Recomputes a graph in place from the present data of its leaves.
//
// A node's operands never change, so what a root reaches stays the same for as long as the root lives: its order is
// found once and kept as runs of neighbouring tape slots. Replaying is then a walk over memory in both directions, with
// no marking. A run begins with the multiply-add pairs of a weighted sum, where there is one: a neuron is mostly that,
// and its running sum and that sum's gradient stay in a register. Kept orders cannot go stale: they belong to roots
// that are marked with Kinds::replayed, which dies with the node.
#pragma once

#include <memory>
#include <vector>

#include "graph.hpp"

namespace kilograd {

struct Course {
    // First `pairs` times a product and the sum that adds it to what was before: p0 = x0*y0, s0 = s + p0, p1 = x1*y1,
    // s1 = s0 + p1 ... where no factor is one of these nodes. Then `singles` nodes of any kind.
    struct Run {
        Node* begin;
        std::uint32_t pairs = 0, singles = 0;
        Node* after_pairs() const { return begin + 2 * std::size_t{pairs}; }
        Node* end() const { return after_pairs() + singles; }
    };
    std::vector<Run> runs;  // everything but leaves that the root reaches, oldest first
    std::size_t count = 0;
    Node* fixed = nullptr;  // a `linear` node among them: its local gradients cannot be recomputed
    bool custom = false;    // `custom` nodes are among them
    bool fallible = false;  // an operation among them can be refused
};

// The other operand of a sum with this product.
inline Node* other_term(const Node* sum, const Node* product) { return sum->a == product ? sum->b : sum->a; }

// The kept order of a root, or null. Valid while the root lives, or until the next call of forward().
const Course* course_of(const Node* root);

enum class Outcome : std::uint8_t {
    Done,
    Refused,     // an operation at `node` has a fault
    Fixed,       // `node` has fixed local gradients
    NoRule,      // `node` has a Python rule for backward and none for forward
    HostFailed,  // a Python rule raised
};
struct Replay {
    Outcome outcome = Outcome::Done;
    Node* node = nullptr;
    Fault fault = Fault::None;
    double a = 0.0, b = 0.0;  // the operands that were refused
};

// Recomputes the data of every node that root reaches and sets the gradients of all but the leaves to zero, as if the
// graph had just been built. Unless Done, all data and gradients are as before the call.
Replay forward(Node* root);

}  // namespace kilograd
