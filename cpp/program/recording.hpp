// Recording: a graph of eager nodes as plain arrays, in tape order. What the passes read.
//
// Whoever owns a graph (the bindings, a test) fills it; nothing here knows the engine. Node i is described by the
// i-th entry of each array and its operands have smaller numbers. A leaf that is neither an input nor a parameter
// is a constant, and c is its data; for an op with a constant (Arity::Param), c is that.
// A mul whose c is 1 is a quotient: b is divisor**-1, and where a comparison depends on it, it is rounded as one.
#pragma once

#include <cstdint>
#include <vector>

#include "../ops.hpp"

namespace kilograd::program {

struct Recording {
    std::vector<Op> op;
    std::vector<std::uint32_t> a, b;
    std::vector<double> c;
    std::vector<std::uint32_t> inputs, parameters, outputs;

    std::size_t size() const { return op.size(); }
    std::uint32_t add(Op what, std::uint32_t left = 0, std::uint32_t right = 0, double constant = 0.0) {
        op.push_back(what);
        a.push_back(left);
        b.push_back(right);
        c.push_back(constant);
        return static_cast<std::uint32_t>(op.size() - 1);
    }
};

}  // namespace kilograd::program
