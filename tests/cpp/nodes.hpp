// Nodes by hand, and the check that a test leaves none behind.
#pragma once

#include <cstddef>

#include "../../cpp/engine/graph.hpp"
#include "check.hpp"

namespace kilograd::testing {

inline Node* leaf(double data, Kind kind = FloatKind, std::uint8_t dialect = 0) {
    return new_leaf(data, kind, 0, dialect);
}

// A node for op; the caller owns one reference.
inline Node* make(Op op, Node* a, Node* b = nullptr, double c = 0.0, Kind constant = FloatKind) {
    Fault fault;
    double y = evaluate(op, a->data, b ? b->data : 0.0, c, fault);
    CHECK(fault == Fault::None);
    return record(op, y, kind_of_result(op, y, a, b, c, constant), a, b, c, constant, a);
}

// Replaces a node by op over it, as a loop `x = op(x, other)` does.
inline void push(Node*& x, Op op, Node* other = nullptr, double c = 0.0) {
    Node* y = make(op, x, other, c);
    release(x);
    x = y;
}

// The reserve is 4 MiB; the open chunk and a chunk of the pool may each keep a region of 2 MiB beside it.
inline constexpr std::size_t reserve = std::size_t{8} << 20;

// One chunk of the tape stays open and one of the pool with room may stay: what a test may leave reserved beyond.
struct LeakCheck {
    std::size_t before = arena.live_nodes();
    ~LeakCheck() {
        CHECK(arena.live_nodes() == before);
        CHECK(arena.reserved_bytes() <= reserve);
    }
};

}  // namespace kilograd::testing
