// What the elementary functions of a Lane are made of: polynomials, and sums that keep what rounding loses.
#pragma once

#include <limits>

#include "lane.hpp"

namespace kilograd::lanes {
namespace {

inline constexpr double infinity = std::numeric_limits<double>::infinity();
inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
inline constexpr double same_below = 0x1p-28;  // an odd function with f'(0) = 1 is its argument here
inline constexpr double pi = 0x1.921fb54442d18p+1, pi_low = 0x1.1a62633145c07p-53;

// c[0] + c[1] x + ... by Horner: the loops over rows have enough independent work to hide its latency.
template <int N>
KILOGRAD_INLINE Lane polynomial(Lane x, const double (&c)[N]) {
    Lane r(c[N - 1]);
    KILOGRAD_UNROLL
    for (int k = N - 2; k >= 0; --k) r = mul_add(r, x, Lane(c[k]));
    return r;
}

// The same with coefficients c[k][index] in each lane.
template <int N>
KILOGRAD_INLINE Lane polynomial(Lane x, const double (&c)[N][16], Bits index) {
    Lane r = lookup(c[N - 1], index);
    KILOGRAD_UNROLL
    for (int k = N - 2; k >= 0; --k) r = mul_add(r, x, lookup(c[k], index));
    return r;
}

KILOGRAD_INLINE Lane clamp(Lane x, double low, double high) {  // NaN stays
    return greatest(Lane(low), least(Lane(high), x));
}

// A number as an unevaluated sum, low below half an ulp of high or so.
struct Pair {
    Lane high, low;
};
KILOGRAD_INLINE Pair sum(Lane a, Lane b) {
    const Lane s = a + b, part = s - a;
    return {s, (a - (s - part)) + (b - part)};
}
KILOGRAD_INLINE Pair fast_sum(Lane a, Lane b) {  // |a| >= |b|, or a == 0
    const Lane s = a + b;
    return {s, (a - s) + b};
}
KILOGRAD_INLINE Pair sum(Pair a, Pair b) {
    const Pair s = sum(a.high, b.high);
    return fast_sum(s.high, s.low + (a.low + b.low));
}
KILOGRAD_INLINE Pair product(Lane a, Lane b) {
    const Lane p = a * b;
    return {p, product_error(a, b, p)};
}
KILOGRAD_INLINE Pair product(Pair a, Pair b) {
    const Pair p = product(a.high, b.high);
    return fast_sum(p.high, p.low + mul_add(a.high, b.low, a.low * b.high));
}
KILOGRAD_INLINE Pair operator-(Pair a) { return {-a.high, -a.low}; }
KILOGRAD_INLINE Pair select(Mask m, Pair x, Pair y) { return {select(m, x.high, y.high), select(m, x.low, y.low)}; }

KILOGRAD_INLINE Pair ratio(Pair a, Pair d) {
    const Lane inverse = Lane(1.0) / d.high;
    const Lane y = a.high * inverse;
    const Lane p = y * d.high;
    const Lane rest = ((a.high - p) - product_error(y, d.high, p)) + (a.low - y * d.low);
    return fast_sum(y, rest * inverse);
}
KILOGRAD_INLINE Pair reciprocal(Pair d) {
    const Lane y = Lane(1.0) / d.high, p = y * d.high;
    return {y, y * (((Lane(1.0) - p) - product_error(y, d.high, p)) - y * d.low)};
}

// (a + a_low) / (d + d_low), with the rounding of the quotient made good.
KILOGRAD_INLINE Lane quotient(Lane a, Lane a_low, Lane d, Lane d_low) {
    const Lane inverse = Lane(1.0) / d;
    const Lane y = a * inverse;
    const Lane p = y * d;
    const Lane rest = ((a - p) - product_error(y, d, p)) + (a_low - y * d_low);
    return mul_add(rest, inverse, y);
}

// Beyond 2**52 every number is whole.
inline Lane rint(Lane x) {
    const Lane big(4503599627370496.0), a = abs(x);
    return select(a < big, copy_sign((a + big) - big, x), x);
}
inline Lane floor(Lane x) {
    const Lane near = rint(x);
    return select(near > x, near - Lane(1.0), near);
}

}  // namespace
}  // namespace kilograd::lanes
