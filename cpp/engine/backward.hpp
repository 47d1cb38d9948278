// Differentiating a graph: the chain rule from a root down to its leaves.
//
// backward() is one sweep from the root: visit a node if it is marked, add to the gradients of its operands by its
// rule, mark them. A root that is replayed has its order kept, and no mark is needed.
#pragma once

#include <vector>

#include "order.hpp"

namespace kilograd {

// d y / d a and d y / d b at the current data; db is 0 for ops of one operand.
struct Locals {
    double da, db;
};
Locals locals_of(const Node* node);

// Whether the first or second of them is an int where Python's arithmetic on the operands would give one.
Kind local_kind(const Node* node, bool second);

// Sets root.grad to `seed` and adds into the gradient of every ancestor. False when a Python rule raised.
bool backward(Node* root, double seed, Kind seed_kind);

// Whether Python would find the slope of a power in floats too, with data that may have changed since the power was
// made.
bool power_stays_float(const Node* node);

// For classes whose integers have no limit. Whether the op's own rule leaves only such integers in the gradients of the
// operands as a double holds.
bool stays_exact(const Node* node);

// As backward(), without Python rules and in the given order, up to the first node whose rule would not stay exact: the
// rules of that node and of what is left after it, in order, are for the caller to run.
std::vector<Node*> backward_while_exact(Node* root, Kind seed_kind, Order order);

// Runs the op's own rule on this node alone, whatever rule Python supplies: its gradient flows one step.
void apply_own_rule(Node* node);

// Sets the gradient of everything that root reaches to zero.
void zero_grad(Node* root);

}  // namespace kilograd
