// Nodes by hand, and the check that a test leaves none behind.
#pragma once

#include <cstddef>
#include <vector>

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

// A `linear` or `custom` node over any operands.
inline Node* fan(Op op, double y, const std::vector<Node*>& operands, const std::vector<double>& locals = {}) {
    Fan* edges = new_fan(static_cast<std::uint32_t>(operands.size()));
    for (std::size_t i = 0; i < operands.size(); ++i)
        edges->begin()[i] = {operands[i], locals.empty() ? 0.0 : locals[i], FloatKind};
    return record_fan(op, y, FloatKind, edges, 0, 0);
}

inline Node* chain(std::size_t length) {
    Node* x = leaf(1.0);
    for (std::size_t i = 0; i < length; ++i) push(x, Op::sin);
    return x;
}

// The reserve is 4 MiB; the open chunk and a chunk of the pool may each keep a region of 2 MiB beside it.
inline constexpr std::size_t reserve = std::size_t{8} << 20;

// One chunk of the tape stays open and one of the pool with room may stay: what a test may leave reserved beyond.
struct LeakCheck {
    std::size_t before = arena().live_nodes();
    ~LeakCheck() {
        CHECK(arena().live_nodes() == before);
        CHECK(mapped_bytes() <= reserve);
    }
};

}  // namespace kilograd::testing
