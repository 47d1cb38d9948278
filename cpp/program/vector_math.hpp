// Elementary functions of a Lane: exp expm1 log log1p sin cos tanh pow by polynomials, the rest through libm.
//
// Each reduces its argument to a small interval exactly, evaluates a minimax polynomial there (Remez exchange in 60
// digits), and puts the result together with compensated sums where a plain one would cost an ulp. No tables and no
// branches per element, so that one vector costs what one number costs. Errors are below 2 ulp over the whole range,
// zeros, subnormals, infinities and NaN included; tests/cpp/test_vector_math.cpp measures them in quad precision.
#pragma once

#include <cmath>
#include <limits>

#include "lane.hpp"

namespace kilograd::program {
namespace {

inline constexpr double infinity = std::numeric_limits<double>::infinity();
inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
inline constexpr double log2_e = 0x1.71547652b82fep+0;
inline constexpr double ln2_high = 0x1.62e42feep-1;  // 32 bits, so that products with exponents are exact
inline constexpr double ln2_low = 0x1.a39ef35793c76p-33;

// c[0] + c[1] x + ... by Horner: the loops over rows have enough independent work to hide its latency.
template <int N>
KILOGRAD_INLINE Lane polynomial(Lane x, const double (&c)[N]) {
    Lane r(c[N - 1]);
#pragma GCC unroll 16
    for (int k = N - 2; k >= 0; --k) r = mul_add(r, x, Lane(c[k]));
    return r;
}

KILOGRAD_INLINE Lane clamp(Lane x, double low, double high) {  // NaN stays
    x = select(x > Lane(high), Lane(high), x);
    return select(x < Lane(low), Lane(low), x);
}

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
    return select(x == Lane(0.0), x, y + y);
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

// a / (d + d_low), with the rounding of quotient and divisor made good.
KILOGRAD_INLINE Lane quotient(Lane a, Lane d, Lane d_low) {
    const Lane inverse = Lane(1.0) / d;
    const Lane y = a * inverse;
    const Lane p = y * d;
    const Lane rest = ((a - p) - product_error(y, d, p)) - y * d_low;
    return mul_add(rest, inverse, y);
}

// e**2|x| - 1 over e**2|x| + 1 without cancellation
inline Lane tanh(Lane x) {
    const Lane a = abs(x), two(2.0);
    const Lane e = expm1(select(a > Lane(22.0), Lane(44.0), a + a));
    const Lane d = e + two, part = d - e;
    return copy_sign(quotient(e, d, (e - (d - part)) + (two - part)), x);
}

inline Lane logistic(Lane x) {
    const Lane one(1.0);
    const Lane e = exp(-abs(x));
    const Lane d = one + e;
    return quotient(select(x < Lane(0.0), e, one), d, (one - d) + e);
}

template <class F>
Lane each(F f, Lane a) {
    double x[width];
    a.store(x);
    for (int k = 0; k < width; ++k) x[k] = f(x[k]);
    return Lane::load(x);
}
template <class F>
Lane each(F f, Lane a, Lane b) {
    double x[width], y[width];
    a.store(x);
    b.store(y);
    for (int k = 0; k < width; ++k) x[k] = f(x[k], y[k]);
    return Lane::load(x);
}

// sin(r) / r - 1 over r**2, and (cos(r) - 1 + r**2 / 2) / r**4, in r**2, for |r| <= pi / 4
inline constexpr double sin_coefficients[] = {-0x1.5555555555555p-3, 0x1.1111111110bb1p-7,   -0x1.a01a019e833cdp-13,
                                              0x1.71de3795f24dep-19, -0x1.ae600a5d44286p-26, 0x1.5e0adc4470db3p-33};
inline constexpr double cos_coefficients[] = {0x1.5555555555555p-5,   -0x1.6c16c16c16966p-10, 0x1.a01a019f4e75dp-16,
                                              -0x1.27e4fa178a86cp-22, 0x1.1eeb6893220f8p-29,  -0x1.907d638114ffap-37};

// sin(x + quarters * pi / 2). Cody and Waite's reduction in three parts, the first two of 33 bits, so exact up to
// a million; beyond that libm.
KILOGRAD_INLINE Lane sin_shifted(Lane x, int quarters) {
    Bits whole;
    const Lane n = round_near(x * Lane(0x1.45f306dc9c883p-1), whole);
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
    const Lane sine = high + mul_add(high * z, polynomial(z, sin_coefficients), low * one_less);
    const Lane cosine =
        one_less + (((Lane(1.0) - one_less) - half) + mul_add(z * z, polynomial(z, cos_coefficients), -(high * low)));
    const Bits quadrant = whole + static_cast<std::uint64_t>(quarters);
    const Lane y = select(has_bits(quadrant, 1), cosine, sine);
    return lane(bits(y) ^ ((quadrant & 2) << 62));
}

inline Lane sin(Lane x) {
    if (any(abs(x) > Lane(1e6))) return each([](double v) { return ::sin(v); }, x);
    return select(x == Lane(0.0), x, sin_shifted(x, 0));
}
inline Lane cos(Lane x) {
    if (any(abs(x) > Lane(1e6))) return each([](double v) { return ::cos(v); }, x);
    return sin_shifted(x, 1);
}

// ((log((1 + s) / (1 - s)) / (2 s) - 1) / s**2 - 1/3) / s**2 in s**2, relative error of log 8e-22
inline constexpr double pow_coefficients[] = {0x1.999999999999ap-3, 0x1.2492492492523p-3, 0x1.c71c71c6ea1a9p-4,
                                              0x1.745d177b03b82p-4, 0x1.3b1395a77fe88p-4, 0x1.1118d06172ccbp-4,
                                              0x1.df7b1bc6d3eebp-5, 0x1.e03f13d022ddfp-5};

// exp(y log|x|) with the logarithm as an unevaluated sum of two doubles, 2**-64 relative.
inline Lane pow(Lane x, Lane y) {
    const Lane one(1.0), zero(0.0);
    const Lane ax = abs(x), ay = abs(y);
    Lane bias, k;
    const Lane m = split_exponent(lift_subnormal(ax, bias), 0.0, k);
    k = k + bias;
    // s = (m - 1) / (m + 1)
    const Lane f = m - one, d = m + one, d_low = m - (d - one);
    const Lane s = f / d;
    const Lane sd = s * d;
    const Lane s_low = (((f - sd) - product_error(s, d, sd)) - s * d_low) / d;
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
    // log|x| = k ln 2 + 2 l
    const Lane whole_part = k * Lane(ln2_high);
    const Lane u = whole_part + (l + l);
    const Lane u_low = mul_add(k, Lane(ln2_low), ((whole_part - u) + (l + l)) + (l_low + l_low));
    Lane log_x = u + u_low;
    const Lane log_low = (u - log_x) + u_low;
    log_x = select(ax == zero, Lane(-infinity), select(ax == Lane(infinity), ax, log_x));
    // exp(y log|x|)
    const Lane product = y * log_x;
    const Lane e = clamp(product, -800.0, 800.0);
    Lane e_low = mul_add(y, log_low, product_error(y, log_x, product));
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

#define KILOGRAD_LIBM(name)                                 \
    inline Lane name(Lane a) {                              \
        return each([](double v) { return ::name(v); }, a); \
    }
KILOGRAD_LIBM(tan)
KILOGRAD_LIBM(asin)
KILOGRAD_LIBM(acos)
KILOGRAD_LIBM(atan)
KILOGRAD_LIBM(sinh)
KILOGRAD_LIBM(cosh)
KILOGRAD_LIBM(asinh)
KILOGRAD_LIBM(acosh)
KILOGRAD_LIBM(atanh)
KILOGRAD_LIBM(erf)
KILOGRAD_LIBM(erfc)
#undef KILOGRAD_LIBM

}  // namespace
}  // namespace kilograd::program
