// Numbers with their types, as they meet in the rule of one node: Python's int and float, and NumPy's. Sweeps of served
// classes come here where types decide more than what a number is called.
//
// Of single precision, numpy.float32, is whatever comes of one and of Python's numbers, which then count as singles. A
// double holds a single, and is rounded before and after each operation: of sums, differences and products that gives
// the bits of an operation of singles.
#pragma once

#include "node.hpp"

namespace kilograd {

// Whether any number of NumPy's, and of single precision, has been seen: until then no sweep looks for them.
inline bool numpy_seen = false;
inline bool singles_seen = false;

inline void note_kind(std::uint8_t kind) {
    numpy_seen |= is_numpy(kind);
    singles_seen |= kind == SingleKind;
}

// Whether the host has made a node whose rule it computes itself, which hooks.computes_rule() knows.
inline bool rules_computed = false;

struct Typed {
    double value;
    std::uint8_t kind;
};

template <class Operation>
Typed apply_typed(Operation operation, Typed x, Typed y) {
    const Kind kind = join_kinds(x.kind, y.kind);
    if (kind == SingleKind) return {operation(static_cast<float>(x.value), static_cast<float>(y.value)), kind};
    const double result = operation(x.value, y.value);
    return {is_integral(kind) ? result + 0.0 : result, kind};  // an integer zero has no sign
}

// Whether the data or the gradient of the node or of one of its operands is a single, or a local gradient that it
// keeps.
bool meets_singles(const Node* node);

// The gradient of a node flows one step. False, with nothing done, where Python's and NumPy's objects have to do that.
bool apply_typed_rule(Node* node);

}  // namespace kilograd
