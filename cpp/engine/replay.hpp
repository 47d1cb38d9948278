// Recomputes a graph in place from the present data of its leaves.
//
// A node's operands never change, so what a root reaches stays the same for as long as the root lives: its order is
// found once and kept as runs of neighbouring tape slots (a freshly built graph is a handful of them). Replaying is
// then a walk over memory in both directions, with no marking. Kept orders cannot go stale: they belong to roots that
// are marked with Kinds::replayed, which dies with the node.
#pragma once

#include <memory>
#include <vector>

#include "graph.hpp"

namespace kilograd {

struct Course {
    struct Run {
        Node* begin;
        Node* end;
    };
    std::vector<Run> runs;  // everything but leaves that the root reaches, oldest first
    std::size_t count = 0;
    Node* fixed = nullptr;  // a `linear` node among them: its local gradients cannot be recomputed
    bool custom = false;    // `custom` nodes are among them
    bool fallible = false;  // an operation among them can be refused
};

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
