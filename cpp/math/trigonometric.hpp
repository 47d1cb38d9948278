// Trigonometric functions and their inverses.
#pragma once

#include <cmath>

#include "each.hpp"
#include "polynomial.hpp"

namespace kilograd::lanes {
namespace {

// sin(r) / r - 1 over r**2, and (cos(r) - 1 + r**2 / 2) / r**4, in r**2, for |r| <= pi / 4
inline constexpr double sin_coefficients[] = {-0x1.5555555555555p-3, 0x1.1111111110bb1p-7,   -0x1.a01a019e833cdp-13,
                                              0x1.71de3795f24dep-19, -0x1.ae600a5d44286p-26, 0x1.5e0adc4470db3p-33};
inline constexpr double cos_coefficients[] = {0x1.5555555555555p-5,   -0x1.6c16c16c16966p-10, 0x1.a01a019f4e75dp-16,
                                              -0x1.27e4fa178a86cp-22, 0x1.1eeb6893220f8p-29,  -0x1.907d638114ffap-37};

// Beyond it the reduction modulo pi / 2 is libm's.
inline constexpr double most_radians = 1e6;

// sin and cos of x - n pi / 2, |.| <= pi / 4, each with what its rounding lost. Cody and Waite's reduction in three
// parts, the first two of 33 bits, so exact up to a million.
struct Turn {
    Lane sine, sine_low, cosine, cosine_low;
    Bits quadrant;  // n
};
KILOGRAD_INLINE Turn turn(Lane x) {
    Turn y;
    const Lane n = round_near(x * Lane(0x1.45f306dc9c883p-1), y.quadrant);
    const Lane t = mul_add(n, Lane(-0x1.921fb544p+0), x);
    const Lane w = n * Lane(0x1.0b4611a6p-34);
    Lane r = t - w;
    const Lane part = r - t;
    Lane lost = (t - (r - part)) - (w + part);
    lost = mul_add(n, Lane(-0x1.3198a2e037073p-69), lost);
    const Lane high = r + lost;
    const Lane low = (r - high) + lost;
    const Lane z = high * high;
    const Lane half = Lane(0.5) * z;
    const Lane one_less = Lane(1.0) - half;
    const Lane sine = mul_add(high * z, polynomial(z, sin_coefficients), low * one_less);
    const Lane cosine =
        ((Lane(1.0) - one_less) - half) + mul_add(z * z, polynomial(z, cos_coefficients), -(high * low));
    y.sine = high + sine;
    y.sine_low = (high - y.sine) + sine;
    y.cosine = one_less + cosine;
    y.cosine_low = (one_less - y.cosine) + cosine;
    return y;
}

// sin(x + quarters * pi / 2)
KILOGRAD_INLINE Lane sin_shifted(Lane x, int quarters) {
    const Turn t = turn(x);
    const Bits quadrant = t.quadrant + static_cast<std::uint64_t>(quarters);
    const Lane y = select(has_bits(quadrant, 1), t.cosine, t.sine);
    return lane(bits(y) ^ ((quadrant & 2) << 62));
}

// `y`, or where x is beyond it libm's f(x): what a number gives does not depend on its neighbours.
template <class F>
KILOGRAD_INLINE Lane or_far(Lane x, Lane y, F f) {
    const Mask far = abs(x) > Lane(most_radians);
    return any(far) ? select(far, each(f, x), y) : y;
}

inline Lane sin(Lane x) {
    return or_far(x, select(x == Lane(0.0), x, sin_shifted(x, 0)), [](double v) { return ::sin(v); });
}
inline Lane cos(Lane x) {
    return or_far(x, sin_shifted(x, 1), [](double v) { return ::cos(v); });
}
inline Lane tan(Lane x) {
    const Turn t = turn(x);
    const Mask odd = has_bits(t.quadrant, 1);
    const Lane y = quotient(select(odd, -t.cosine, t.sine), select(odd, -t.cosine_low, t.sine_low),
                            select(odd, t.sine, t.cosine), select(odd, t.sine_low, t.cosine_low));
    return or_far(x, select(abs(x) < Lane(same_below), x, y), [](double v) { return ::tan(v); });
}

// (atan(t) / t - 1) / t**2 in t**2, |t| <= tan(pi / 8), relative error of atan 1.6e-18
inline constexpr double atan_coefficients[] = {-0x1.555555555554dp-2, 0x1.9999999997695p-3,  -0x1.2492492351df5p-3,
                                               0x1.c71c711f279f0p-4,  -0x1.745cfea8f7cb5p-4, 0x1.3b1177952d992p-4,
                                               -0x1.10ef997105dc2p-4, 0x1.df43ea06e58ccp-5,  -0x1.9db11f0bfe21dp-5,
                                               0x1.39ea5da6b3189p-5,  -0x1.29bb53ffb6fa7p-6};

// The angle of the point (x, y) in the first quadrant, or where `left` of its mirror image (-x, y), by
// atan(a) = pi / 4 + atan((a - 1) / (a + 1)) = pi / 2 + atan(-1 / a), a = y / x.
KILOGRAD_INLINE Lane angle(Lane y, Lane x, Mask left) {
    const Lane zero(0.0);
    const Mask middle = y > Lane(0.41421356237309503) * x, large = y > Lane(2.414213562373095) * x;
    const Lane less = y - x, more = y + x, less_low = sum(y, -x).low, more_low = sum(y, x).low;
    const Lane t = quotient(select(large, -x, select(middle, less, y)), select(large | ~middle, zero, less_low),
                            select(large, y, select(middle, more, x)), select(large | ~middle, zero, more_low));
    const Lane z = t * t;
    const Lane quarters = select(large, Lane(2.0), select(middle, Lane(1.0), zero));
    const Lane base = Lane(pi / 4) * select(left, Lane(4.0) - quarters, quarters);
    const Lane base_low = Lane(pi_low / 4) * select(left, Lane(4.0) - quarters, quarters);
    const Lane rest = t * z * polynomial(z, atan_coefficients);
    return base + (select(left, -t, t) + (select(left, -rest, rest) + base_low));
}

inline Lane atan(Lane x) { return copy_sign(angle(least(Lane(1e18), abs(x)), Lane(1.0), no_lane()), x); }

// The same power of two times both, so that squares neither overflow nor underflow.
KILOGRAD_INLINE Lane middling(Lane largest) {
    return select(largest > Lane(0x1p+500), Lane(0x1p-600),
                  select(largest < Lane(0x1p-400), Lane(0x1p+600), Lane(1.0)));
}

inline Lane atan2(Lane y, Lane x) {
    const Lane zero(0.0), one(1.0), a = abs(y), b = abs(x);
    const Mask up = a == Lane(infinity), wide = b == Lane(infinity);
    const Lane height = select(up, one, select(wide, zero, a)), length = select(wide, one, select(up, zero, b));
    const Lane largest = select(height < length, length, height), factor = middling(largest);
    const Mask left = has_bits(bits(x), sign_bit), nothing = largest == zero;
    const Lane h = height * factor, l = select(nothing, one, length * factor);
    // Where the angle is nearly the quotient, which may be subnormal.
    const Mask flat = ~left & (h < Lane(same_below) * l);
    const Lane result = select(flat, height / select(nothing, one, length), angle(h, l, left));
    return select((x == x) & (y == y), copy_sign(result, y), x + y);
}

inline Lane hypot(Lane x, Lane y) {
    const Lane a = abs(x), b = abs(y), zero(0.0), one(1.0), large = select(a < b, b, a), small = select(a < b, a, b);
    const Lane factor = middling(large), l = large * factor, s = small * factor;
    const Pair square = product(l, l), other = product(s, s), total = fast_sum(square.high, other.high);
    const Lane root = sqrt(total.high);
    const Lane lost =
        ((total.high - root * root) - product_error(root, root, root * root)) + (total.low + (square.low + other.low));
    const Lane result = (root + lost / select(root == zero, one, root + root)) / factor;
    const Lane ordinary = select((x == x) & (y == y), result, x + y);
    return select((a == Lane(infinity)) | (b == Lane(infinity)), Lane(infinity), ordinary);
}

// (asin(t) / t - 1) / t**2 in t**2, |t| <= 1/2, relative error of asin 1.2e-18
inline constexpr double asin_coefficients[] = {
    0x1.555555555555ep-3, 0x1.3333333330dcfp-4,  0x1.6db6db704246ap-5, 0x1.f1c71b3082c61p-6, 0x1.6e8bcf4e24051p-6,
    0x1.1c4af1e9701c1p-6, 0x1.ca0920beeeb0dp-7,  0x1.76316e2514eddp-7, 0x1.5db02ed0a1646p-7, 0x1.0c6374e9726b7p-8,
    0x1.54e4bff026e65p-6, -0x1.44141e0e13d4ap-6, 0x1.054dbc7755ca5p-5};

// By asin(a) = pi / 2 - 2 asin(sqrt((1 - a) / 2)) beyond 1/2. Either asin is t + rest, of |x| or of that root.
struct Arc {
    Mask small;
    Lane t, rest;
};
KILOGRAD_INLINE Arc arc(Lane x) {
    const Lane a = abs(x), one(1.0);
    Arc y;
    y.small = a <= Lane(0.5);
    const Lane half = Lane(0.5) * (one - a), root = sqrt(half);
    const Lane square = root * root;
    const Lane lost = ((half - square) - product_error(root, root, square)) / select(a == one, one, root + root);
    const Lane z = select(y.small, a * a, half);
    y.t = select(y.small, a, root);
    y.rest = mul_add(y.t * z, polynomial(z, asin_coefficients), select(y.small, Lane(0.0), lost));
    return y;
}
// base - (v + rest)
KILOGRAD_INLINE Lane arc_from(Lane base, Lane base_low, Lane v, Lane rest) {
    const Lane y = base - v;
    return y + (((base - y) - v) + (base_low - rest));
}

inline Lane asin(Lane x) {
    const Arc y = arc(x);
    const Lane from_half_pi = arc_from(Lane(pi / 2), Lane(pi_low / 2), y.t + y.t, y.rest + y.rest);
    return copy_sign(select(y.small, y.t + y.rest, from_half_pi), x);
}

inline Lane acos(Lane x) {
    const Arc y = arc(x);
    const Lane zero(0.0);
    const Mask negative = x < zero;
    const Lane base = select(y.small, Lane(pi / 2), select(negative, Lane(pi), zero));
    const Lane base_low = select(y.small, Lane(pi_low / 2), select(negative, Lane(pi_low), zero));
    const Lane factor = select(negative, Lane(-1.0), Lane(1.0)) * select(y.small, Lane(1.0), Lane(-2.0));
    return arc_from(base, base_low, factor * y.t, factor * y.rest);
}

}  // namespace
}  // namespace kilograd::lanes
