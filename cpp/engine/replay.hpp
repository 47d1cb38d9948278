// Recomputes a graph in place from the present data of its leaves, in its kept order (order.hpp).
#pragma once

#include "graph.hpp"

namespace kilograd {

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
