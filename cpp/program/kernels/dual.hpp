// Dual: a Lane and its tangent. Sweeps over duals give exact second derivatives (forward over reverse).
//
// The derivative of each elementary function is that of its own row in ops.def: no second table.
#pragma once

#include "../../math/vector_math.hpp"
#include "../codes.hpp"

namespace kilograd::lanes {
namespace {

KILOGRAD_INLINE Lane whole_power(Lane a, Lane exponent) {
    return program::whole_power_of(a, static_cast<int>(get(exponent, 0)));
}

}  // namespace
}  // namespace kilograd::lanes

namespace kilograd::program {
namespace {

using namespace lanes;
using lanes::mul_add;  // which those of Dual would hide

struct Dual {
    Lane v, t;
    Dual() = default;
    KILOGRAD_INLINE explicit Dual(double x) : v(x), t(0.0) {}
    KILOGRAD_INLINE Dual(Lane value, Lane tangent) : v(value), t(tangent) {}
};

KILOGRAD_INLINE Dual operator+(Dual a, Dual b) { return {a.v + b.v, a.t + b.t}; }
KILOGRAD_INLINE Dual operator-(Dual a, Dual b) { return {a.v - b.v, a.t - b.t}; }
KILOGRAD_INLINE Dual operator-(Dual a) { return {-a.v, -a.t}; }
KILOGRAD_INLINE Dual operator*(Dual a, Dual b) { return {a.v * b.v, mul_add(a.v, b.t, a.t * b.v)}; }
KILOGRAD_INLINE Dual operator/(Dual a, Dual b) {
    const Lane y = a.v / b.v;
    return {y, (a.t - y * b.t) / b.v};
}
KILOGRAD_INLINE Dual mul_add(Dual a, Dual b, Dual c) {
    return {mul_add(a.v, b.v, c.v), mul_add(a.v, b.t, mul_add(a.t, b.v, c.t))};
}
KILOGRAD_INLINE Mask operator<(Dual a, Dual b) { return a.v < b.v; }
KILOGRAD_INLINE Mask operator<=(Dual a, Dual b) { return a.v <= b.v; }
KILOGRAD_INLINE Mask operator>(Dual a, Dual b) { return a.v > b.v; }
KILOGRAD_INLINE Mask operator>=(Dual a, Dual b) { return a.v >= b.v; }
KILOGRAD_INLINE Mask operator==(Dual a, Dual b) { return a.v == b.v; }
KILOGRAD_INLINE Mask operator!=(Dual a, Dual b) { return a.v != b.v; }
KILOGRAD_INLINE Dual select(Mask m, Dual x, Dual y) { return {select(m, x.v, y.v), select(m, x.t, y.t)}; }

// The tangent's factor is dropped where the tangent is zero: an infinite derivative in a direction that is not taken
// must not turn into NaN.
KILOGRAD_INLINE Lane directional(Lane derivative, Lane tangent) {
    return select(tangent == Lane(0.0), Lane(0.0), derivative * tangent);
}

template <Op op>
inline Dual through_row(Dual a) {
    const Lane unused(0.0);
    const Lane y = Row<op>::value(a.v, unused, unused);
    return {y, directional(Row<op>::da(a.v, unused, unused, y), a.t)};
}

#define KILOGRAD_UNARY(name) \
    inline Dual name(Dual a) { return through_row<Op::name>(a); }
#include "../../unary_functions.def"
#undef KILOGRAD_UNARY

inline Dual logistic(Dual a) { return through_row<Op::sigmoid>(a); }

template <Op op>
inline Dual through_row(Dual a, Dual b) {
    const Lane unused(0.0);
    const Lane y = Row<op>::value(a.v, b.v, unused);
    return {y, directional(Row<op>::da(a.v, b.v, unused, y), a.t) + directional(Row<op>::db(a.v, b.v, unused, y), b.t)};
}

#define KILOGRAD_BINARY(name) \
    inline Dual name(Dual a, Dual b) { return through_row<Op::name>(a, b); }
KILOGRAD_BINARY_FUNCTIONS(KILOGRAD_BINARY)
#undef KILOGRAD_BINARY

template <Op op>
inline Dual of_order(Dual a, Dual order) {
    const Lane unused(0.0), y = Row<op>::value(a.v, unused, order.v);
    return {y, directional(Row<op>::da(a.v, unused, order.v, y), a.t)};
}
#define KILOGRAD_OF_ORDER(name) \
    inline Dual name(Dual a, Dual order) { return of_order<Op::name>(a, order); }
KILOGRAD_FUNCTIONS_OF_ORDERS(KILOGRAD_OF_ORDER)
#undef KILOGRAD_OF_ORDER

// By the rule, and not by the squarings: where these overflow, the tangents of their quotients are NaN.
KILOGRAD_INLINE Dual whole_power(Dual a, Dual exponent) {
    const Lane n = exponent.v, y = whole_power(a.v, n);
    if (get(n, 0) == 0.0) return {y, Lane(0.0)};
    return {y, directional(n * whole_power(a.v, n - Lane(1.0)), a.t)};
}

}  // namespace
}  // namespace kilograd::program
