// Exponentials, logarithms, powers.
#pragma once

#include "polynomial.hpp"

namespace kilograd::lanes {
namespace {

inline constexpr double log2_e = 0x1.71547652b82fep+0;
inline constexpr double ln2_high = 0x1.62e42feep-1;  // 32 bits, so that products with exponents are exact
inline constexpr double ln2_low = 0x1.a39ef35793c76p-33;

// x = n ln 2 + r, |r| <= ln 2 / 2; returns r.
KILOGRAD_INLINE Lane reduce_exp(Lane x, Lane& n, Bits& whole) {
    n = round_near(x * Lane(log2_e), whole);
    return mul_add(n, Lane(-ln2_low), mul_add(n, Lane(-ln2_high), x));
}

// (exp(r) - 1 - r) / r**2 on |r| <= 0.3467, relative error of exp 1.6e-19
inline constexpr double exp_coefficients[] = {0x1.0000000000000p-1,  0x1.5555555555557p-3,  0x1.5555555555558p-5,
                                              0x1.11111111100d3p-7,  0x1.6c16c16c151f5p-10, 0x1.a01a01abeca4fp-13,
                                              0x1.a01a01acfcb12p-16, 0x1.71de0222d7426p-19, 0x1.27e4cccab8666p-22,
                                              0x1.af4e08340fc9bp-26, 0x1.1f8b4fd9f6b25p-29};

inline Lane exp(Lane x) {
    Lane n;
    Bits whole;
    const Lane r = reduce_exp(clamp(x, -746.0, 710.0), n, whole);
    const Lane p = Lane(1.0) + mul_add(r * r, polynomial(r, exp_coefficients), r);
    return scale(p, n, whole);
}

inline Lane expm1(Lane x) {
    Lane n;
    Bits whole;
    const Lane bounded = clamp(x, -40.0, 710.0);
    n = round_near(bounded * Lane(log2_e), whole);
    const Lane high = mul_add(n, Lane(-ln2_high), bounded);
    const Lane r = mul_add(n, Lane(-ln2_low), high);
    const Lane lost = mul_add(n, Lane(-ln2_low), high - r);
    const Lane p = r + mul_add(r * r, polynomial(r, exp_coefficients), lost);
    // Halved: 2**1024 has no double, while the result just below the overflow has one.
    const Lane s = lane((whole + 1022) << 52);
    const Lane y = mul_add(s, p, s - Lane(0.5));
    return select(abs(x) < Lane(0x1p-54), x, y + y);
}

// x = 2**k m with m in [sqrt(1/2), sqrt(2)), x positive and normal; k is raised by `bias`.
KILOGRAD_INLINE Lane split_exponent(Lane x, double bias, Lane& k) {
    constexpr std::uint64_t root_half = 0x3fe6a09e667f3bcd, one = 0x3ff0000000000000;
    const Bits shifted = bits(x) + (one - root_half);
    const Bits exponent = (shifted >> 52) | std::uint64_t{0x4330000000000000};
    k = lane(exponent) - Lane(4503599627370496.0 + 1023.0 - bias);
    return lane((shifted & std::uint64_t{0x000fffffffffffff}) + root_half);
}

// Brings subnormal numbers into the range of split_exponent; `bias` gets what that adds to the exponent.
KILOGRAD_INLINE Lane lift_subnormal(Lane x, Lane& bias) {
    const Mask small = x < Lane(std::numeric_limits<double>::min());
    bias = select(small, Lane(-54.0), Lane(0.0));
    return select(small, x * Lane(18014398509481984.0), x);
}

// (log((1 + s) / (1 - s)) / s - 2) / s**2 in s**2, relative error of log 4.5e-18
inline constexpr double log_coefficients[] = {0x1.5555555555558p-1, 0x1.99999999951f7p-2, 0x1.2492492e08d4dp-2,
                                              0x1.c71c62c9f71c3p-3, 0x1.7462bbefd8b7cp-3, 0x1.39fd7e410a736p-3,
                                              0x1.2b6296ce1e53dp-3};

// k ln 2 + log(1 + f) + small
KILOGRAD_INLINE Lane log_reduced(Lane k, Lane f, Lane small) {
    const Lane s = f / (Lane(2.0) + f);
    const Lane z = s * s;
    const Lane half_square = Lane(0.5) * f * f;
    const Lane rest = mul_add(s, mul_add(z, polynomial(z, log_coefficients), half_square), small);
    return mul_add(k, Lane(ln2_high), f - (half_square - mul_add(k, Lane(ln2_low), rest)));
}

inline Lane log(Lane x) {
    Lane bias, k;
    const Lane m = split_exponent(lift_subnormal(x, bias), 0.0, k);
    Lane y = log_reduced(k + bias, m - Lane(1.0), Lane(0.0));
    y = select(x == Lane(infinity), x, y);
    y = select(x == Lane(0.0), Lane(-infinity), y);
    return select(x >= Lane(0.0), y, Lane(not_a_number));
}

inline Lane log1p(Lane x) {
    const Lane u = Lane(1.0) + x;
    const Lane part = u - Lane(1.0);
    const Lane lost = (Lane(1.0) - (u - part)) + (x - part);
    Lane k;
    const Lane m = split_exponent(u, 0.0, k);
    Lane y = log_reduced(k, m - Lane(1.0), lost / u);
    y = select((x == Lane(infinity)) | (x == Lane(0.0)), x, y);
    y = select(x == Lane(-1.0), Lane(-infinity), y);
    return select(x >= Lane(-1.0), y, Lane(not_a_number));
}

// ((log((1 + s) / (1 - s)) / (2 s) - 1) / s**2 - 1/3) / s**2 in s**2, relative error of log 8e-22
inline constexpr double pow_coefficients[] = {0x1.999999999999ap-3, 0x1.2492492492523p-3, 0x1.c71c71c6ea1a9p-4,
                                              0x1.745d177b03b82p-4, 0x1.3b1395a77fe88p-4, 0x1.1118d06172ccbp-4,
                                              0x1.df7b1bc6d3eebp-5, 0x1.e03f13d022ddfp-5};

// k ln 2 + log(m), where f = m - 1 and d = m + 1 come with what their rounding lost: relative error 2**-64.
KILOGRAD_INLINE Pair log_ratio(Lane k, Lane f, Lane f_low, Lane d, Lane d_low) {
    const Lane s = f / d;
    const Lane sd = s * d;
    const Lane s_low = ((((f - sd) - product_error(s, d, sd)) - s * d_low) + f_low) / d;
    // b = s**2 / 3 + s**4 P(s**2), so that log m = 2 s (1 + b)
    const Lane z = s * s;
    const Lane z_low = mul_add(s + s, s_low, product_error(s, s, z));
    const Lane third(0x1.5555555555555p-2), third_low(0x1.5555555555555p-56);
    const Lane a = z * third;
    const Lane a_low = mul_add(z, third_low, mul_add(z_low, third, product_error(z, third, a)));
    const Lane rest = mul_add(z * z, polynomial(z, pow_coefficients), a_low);
    const Lane b = a + rest, b_low = (a - b) + rest;
    const Lane t = s * b;
    const Lane t_low = mul_add(s, b_low, mul_add(s_low, b, product_error(s, b, t)));
    const Lane l = s + t, l_low = ((s - l) + t) + (t_low + s_low);
    const Lane whole_part = k * Lane(ln2_high);
    const Lane u = whole_part + (l + l);
    const Lane u_low = mul_add(k, Lane(ln2_low), ((whole_part - u) + (l + l)) + (l_low + l_low));
    return fast_sum(u, u_low);
}

// log(x) of a positive finite number.
KILOGRAD_INLINE Pair log_pair(Lane x) {
    const Lane one(1.0);
    Lane bias, k;
    const Lane m = split_exponent(lift_subnormal(x, bias), 0.0, k);
    const Lane d = m + one;
    return log_ratio(k + bias, m - one, Lane(0.0), d, m - (d - one));
}

// log(1 + h) for 0 <= h <= 1.
KILOGRAD_INLINE Pair log1p_pair(Pair h) {
    const Mask large = h.high > Lane(0.41421356237309503);  // as half of it
    const Lane half(0.5), one(1.0), zero(0.0);
    const Pair f = sum(h.high, select(large, Lane(-1.0), zero)), d = sum(h.high, select(large, Lane(3.0), Lane(2.0)));
    const Lane factor = select(large, half, one);
    return log_ratio(select(large, one, zero), factor * f.high, factor * (f.low + h.low), factor * d.high,
                     factor * (d.low + h.low));
}

// g exp(x) for -746 <= x <= 710.
KILOGRAD_INLINE Pair times_exp(Pair g, Pair x) {
    Bits whole;
    const Lane n = round_near(x.high * Lane(log2_e), whole);
    const Lane high = mul_add(n, Lane(-ln2_high), x.high);
    const Lane reduced = mul_add(n, Lane(-ln2_low), high), r = reduced + x.low;
    const Lane r_low = mul_add(n, Lane(-ln2_low), high - reduced) + ((reduced - r) + x.low);
    const Lane e = mul_add(r * r, polynomial(r, exp_coefficients), r_low);
    const Pair y = fast_sum(g.high, mul_add(g.high, r, mul_add(g.high, e, g.low)));
    return {scale(y.high, n, whole), scale(y.low, n, whole)};
}

// exp(y log|x|) with the logarithm as an unevaluated sum of two doubles.
inline Lane pow(Lane x, Lane y) {
    const Lane one(1.0), zero(0.0);
    const Lane ax = abs(x), ay = abs(y);
    const Pair logarithm = log_pair(ax);
    const Lane log_x = select(ax == zero, Lane(-infinity), select(ax == Lane(infinity), ax, logarithm.high));
    // exp(y log|x|)
    const Lane product = y * log_x;
    const Lane e = clamp(product, -800.0, 800.0);
    Lane e_low = mul_add(y, logarithm.low, product_error(y, log_x, product));
    e_low = select((abs(product) < Lane(800.0)) & (ay < Lane(1e290)), e_low, zero);
    Lane n;
    Bits whole;
    const Lane r = reduce_exp(clamp(e, -746.0, 710.0), n, whole) + e_low;
    Lane v = scale(one + mul_add(r * r, polynomial(r, exp_coefficients), r), n, whole);
    // Signs and exceptional points, as C's pow has them.
    const Lane big(4503599627370496.0);
    const Lane shifted = ay + big;
    const Mask has_fraction = (ay < big) & (shifted - big != ay);
    const Mask odd = ((ay < big) & has_bits(bits(shifted), 1) & ~has_fraction) |
                     ((ay >= big) & (ay < Lane(9007199254740992.0)) & has_bits(bits(ay), 1));
    v = select((x < zero) & (ax < Lane(infinity)) & has_fraction, Lane(not_a_number), v);
    v = select(odd, copy_sign(v, x), v);
    v = select((ax == one) & (ay == Lane(infinity)), one, v);
    v = select((x == x) & (y == y), v, Lane(not_a_number));
    return select((x == one) | (y == zero), one, v);
}

}  // namespace
}  // namespace kilograd::lanes
