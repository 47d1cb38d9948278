// A row of the op table over a Lane, and what eager code may say of the result. Internal linkage, as in lane.hpp.
#pragma once

#include "dual.hpp"

namespace kilograd::program {
namespace {

template <Code code>
KILOGRAD_INLINE Lane value_at(Lane a, Lane b, Lane c) {
    return Rule<code>::template value<Lane>(a, b, c);
}
KILOGRAD_INLINE Mask is_finite(Lane x) { return abs(x) < Lane(infinity); }

// Lanes whose operands are finite and whose result eager code may refuse.
template <Code code>
KILOGRAD_INLINE Mask suspicious(Lane a, Lane b, Lane y) {
    if constexpr (code == Code::div) {
        return abs(b) <= Lane(0x1p-1024);  // 1 / b is infinite
    } else if constexpr (info(code).edge == Edge::Divides) {
        return b == Lane(0.0);
    } else if constexpr (info(code).arity == Arity::Binary) {
        return ~is_finite(y) & is_finite(a) & is_finite(b);
    } else {
        return ~is_finite(y) & is_finite(a);
    }
}

}  // namespace
}  // namespace kilograd::program
