// Elementary functions of a Lane: by polynomials, but for the rarer ones at the end, which go through libm.
//
// Each reduces its argument to a small interval exactly, evaluates a polynomial there (of 60 digits' Remez exchange,
// where nothing else is said), and puts the result together with compensated sums where a plain one would cost an ulp.
// There is no branch per element, so that one vector costs what one number costs. Errors are below 2 ulp over the whole
// range, zeros, subnormals, infinities and NaN included; tests/cpp/test_vector_math.cpp measures them in quad
// precision.
#pragma once

#include <cmath>
#include <limits>

#include "lane.hpp"

namespace kilograd::program {
namespace {

inline constexpr double infinity = std::numeric_limits<double>::infinity();
inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
inline constexpr double same_below = 0x1p-28;  // an odd function with f'(0) = 1 is its argument here
inline constexpr double log2_e = 0x1.71547652b82fep+0;
inline constexpr double ln2_high = 0x1.62e42feep-1;  // 32 bits, so that products with exponents are exact
inline constexpr double ln2_low = 0x1.a39ef35793c76p-33;

// c[0] + c[1] x + ... by Horner: the loops over rows have enough independent work to hide its latency.
template <int N>
KILOGRAD_INLINE Lane polynomial(Lane x, const double (&c)[N]) {
    Lane r(c[N - 1]);
#pragma GCC unroll 32
    for (int k = N - 2; k >= 0; --k) r = mul_add(r, x, Lane(c[k]));
    return r;
}

// The same with coefficients c[k][index] in each lane.
template <int N>
KILOGRAD_INLINE Lane polynomial(Lane x, const double (&c)[N][16], Bits index) {
    Lane r = lookup(c[N - 1], index);
#pragma GCC unroll 32
    for (int k = N - 2; k >= 0; --k) r = mul_add(r, x, lookup(c[k], index));
    return r;
}

KILOGRAD_INLINE Lane clamp(Lane x, double low, double high) {  // NaN stays
    return greatest(Lane(low), least(Lane(high), x));
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

// (a + a_low) / (d + d_low), with the rounding of the quotient made good.
KILOGRAD_INLINE Lane quotient(Lane a, Lane a_low, Lane d, Lane d_low) {
    const Lane inverse = Lane(1.0) / d;
    const Lane y = a * inverse;
    const Lane p = y * d;
    const Lane rest = ((a - p) - product_error(y, d, p)) + (a_low - y * d_low);
    return mul_add(rest, inverse, y);
}

// e**2|x| - 1 over e**2|x| + 1 without cancellation
inline Lane tanh(Lane x) {
    const Lane a = abs(x), two(2.0);
    const Lane e = expm1(select(a > Lane(22.0), Lane(44.0), a + a));
    const Lane d = e + two, part = d - e;
    return copy_sign(quotient(e, Lane(0.0), d, (e - (d - part)) + (two - part)), x);
}

inline Lane logistic(Lane x) {
    const Lane one(1.0);
    const Lane e = exp(-abs(x));
    const Lane d = one + e;
    return quotient(select(x < Lane(0.0), e, one), Lane(0.0), d, (one - d) + e);
}

// As scalar::log_cosh, with one logarithm for both sides.
inline Lane log_cosh(Lane x) {
    const Lane a = abs(x), m = expm1(-a), e = Lane(1.0) + m;
    const Mask near = a < Lane(1.0);
    const Lane y = log1p(select(near, m * m / (e + e), e * e));
    return select(near, y, (a - Lane(0.69314718055994530942)) + y);
}

// What sanitizers add asks their libraries, wherever it stands.
#if defined(KILOGRAD_KEEP_HIGH_REGISTERS) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define KILOGRAD_HIGH_REGISTERS \
    KILOGRAD_REGISTER(16, 0)    \
    KILOGRAD_REGISTER(17, 64)   \
    KILOGRAD_REGISTER(18, 128)  \
    KILOGRAD_REGISTER(19, 192)  \
    KILOGRAD_REGISTER(20, 256)  \
    KILOGRAD_REGISTER(21, 320)  \
    KILOGRAD_REGISTER(22, 384)  \
    KILOGRAD_REGISTER(23, 448)  \
    KILOGRAD_REGISTER(24, 512)  \
    KILOGRAD_REGISTER(25, 576)  \
    KILOGRAD_REGISTER(26, 640)  \
    KILOGRAD_REGISTER(27, 704)  \
    KILOGRAD_REGISTER(28, 768)  \
    KILOGRAD_REGISTER(29, 832)  \
    KILOGRAD_REGISTER(30, 896)  \
    KILOGRAD_REGISTER(31, 960)
// This unit is compiled to leave registers 16 to 31 alone; the C library is not.
constexpr bool keeps_high_registers = true;
class Kept {
  public:
    Kept() {
        asm volatile(
#define KILOGRAD_REGISTER(n, at) "vmovupd %%zmm" #n ", " #at "(%0)\n\t"
            KILOGRAD_HIGH_REGISTERS
#undef KILOGRAD_REGISTER
            ::"r"(space_)
            : "memory");
    }
    ~Kept() {
        asm volatile(
#define KILOGRAD_REGISTER(n, at) "vmovupd " #at "(%0), %%zmm" #n "\n\t"
            KILOGRAD_HIGH_REGISTERS
#undef KILOGRAD_REGISTER
            ::"r"(space_)
            : "memory");
    }
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;

  private:
    double space_[16 * 8];
};
#else
constexpr bool keeps_high_registers = false;
struct Kept {
    Kept() {}
};
#endif

template <class F>
Lane each(F f, Lane a) {
    const Kept kept;
    double x[width];
    a.store(x);
    for (int k = 0; k < width; ++k) x[k] = f(x[k]);
    return Lane::load(x);
}
template <class F>
Lane each(F f, Lane a, Lane b) {
    const Kept kept;
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

// (sinh(r) / r - 1) / r**2 and (cosh(r) - 1) / r**2 in r**2, |r| <= 0.3467, relative errors of sinh and cosh 9.5e-19
// and 2.0e-21
inline constexpr double sinh_coefficients[] = {0x1.5555555555556p-3, 0x1.11111111109afp-7, 0x1.a01a01a7c7759p-13,
                                               0x1.71de0da186524p-19, 0x1.af38c80e6c692p-26};
inline constexpr double cosh_coefficients[] = {0x1.0000000000000p-1,  0x1.5555555555557p-5,  0x1.6c16c16c15a5ep-10,
                                               0x1.a01a01a9edc28p-16, 0x1.27e4d40e407ebp-22, 0x1.1f7f3bff4370bp-29};

// With a = n ln 2 + r, a quarter of 2**n + 2**-n and of 2**n - 2**-n, which are cosh and sinh of n ln 2; r, sinh(r) - r
// and cosh(r) - 1. The addition theorem makes of them sinh(a) / 2 and cosh(a) / 2: whole, they overflow too early.
struct Hyperbolic {
    Lane sum, difference, r, sinh_rest, cosh_rest;
};
KILOGRAD_INLINE Hyperbolic hyperbolic(Lane a) {
    Hyperbolic h;
    Bits whole;
    const Lane bounded = least(Lane(710.6), a);
    const Lane n = round_near(bounded * Lane(log2_e), whole);
    const Lane high = mul_add(n, Lane(-ln2_high), bounded);
    h.r = mul_add(n, Lane(-ln2_low), high);
    const Lane lost = mul_add(n, Lane(-ln2_low), high - h.r);
    const Lane z = h.r * h.r;
    h.sinh_rest = mul_add(h.r * z, polynomial(z, sinh_coefficients), lost);
    h.cosh_rest = z * polynomial(z, cosh_coefficients);
    const Lane up = lane((whole + 1021) << 52), down = Lane(0.0625) / up;
    h.sum = up + down;
    h.difference = up - down;
    return h;
}

inline Lane sinh(Lane x) {
    const Hyperbolic h = hyperbolic(abs(x));
    const Lane y = h.difference + mul_add(h.sum, h.r, mul_add(h.sum, h.sinh_rest, h.difference * h.cosh_rest));
    return select(abs(x) < Lane(same_below), x, copy_sign(y + y, x));
}

inline Lane cosh(Lane x) {
    const Hyperbolic h = hyperbolic(abs(x));
    const Lane y = h.sum + mul_add(h.difference, h.r, mul_add(h.difference, h.sinh_rest, h.sum * h.cosh_rest));
    return y + y;
}

inline constexpr double pi = 0x1.921fb54442d18p+1, pi_low = 0x1.1a62633145c07p-53;

// (atan(t) / t - 1) / t**2 in t**2, |t| <= tan(pi / 8), relative error of atan 1.6e-18
inline constexpr double atan_coefficients[] = {-0x1.555555555554dp-2, 0x1.9999999997695p-3,  -0x1.2492492351df5p-3,
                                               0x1.c71c711f279f0p-4,  -0x1.745cfea8f7cb5p-4, 0x1.3b1177952d992p-4,
                                               -0x1.10ef997105dc2p-4, 0x1.df43ea06e58ccp-5,  -0x1.9db11f0bfe21dp-5,
                                               0x1.39ea5da6b3189p-5,  -0x1.29bb53ffb6fa7p-6};

// By atan(a) = pi / 4 + atan((a - 1) / (a + 1)) = pi / 2 + atan(-1 / a).
inline Lane atan(Lane x) {
    const Lane one(1.0), zero(0.0), a = least(Lane(1e18), abs(x));
    const Mask middle = a > Lane(0.41421356237309503), large = a > Lane(2.414213562373095);
    const Lane less = a - one, more = a + one;
    const Lane t = quotient(
        select(large, -one, select(middle, less, a)), select(large, zero, select(middle, a - (less + one), zero)),
        select(large, a, select(middle, more, one)), select(large, zero, select(middle, a - (more - one), zero)));
    const Lane z = t * t;
    const Lane base = select(large, Lane(pi / 2), select(middle, Lane(pi / 4), zero));
    const Lane base_low = select(large, Lane(pi_low / 2), select(middle, Lane(pi_low / 4), zero));
    return copy_sign(base + (t + mul_add(t * z, polynomial(z, atan_coefficients), base_low)), x);
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

// erf about 0, 13/32, 2 * 13/32, ...: row k has the k-th coefficients of the sixteen polynomials in the distance,
// fitted and rounded one after the other; the first polynomial is erf(t) / t. Relative error of erf 5.8e-17, of which
// all but 1.7e-17 is the rounding of the constant terms.
inline constexpr double erf_table[][16] = {
    {0x1.20dd750429b6dp+0, 0x1.bccfec24855b8p-2, 0x1.7fb9bfaed8078p-1, 0x1.d4970f9ce00d9p-1, 0x1.f4f693b67bd77p-1,
     0x1.fdea6e062d0c9p-1, 0x1.ffb5bdf67fe6fp-1, 0x1.fff86cfd3e657p-1, 0x1.ffff6f9f67e55p-1, 0x1.fffff82cdcf1bp-1,
     0x1.ffffffb127525p-1, 0x1.fffffffdbff2ap-1, 0x1.fffffffff4188p-1, 0x1.ffffffffffd27p-1, 0x1.ffffffffffff8p-1,
     0x1.0000000000000p+0},
    {0.0, 0x1.e9d5a8e4c9355p-1, 0x1.2a8dcede36742p-1, 0x1.059f59af7a8f6p-2, 0x1.499d478bca739p-4, 0x1.2a875b5ffab97p-6,
     0x1.84ba3004a503ap-9, 0x1.6be02102b3360p-12, 0x1.e9b5e8d00d833p-16, 0x1.d9c73698fd734p-20, 0x1.4980cb3c7ac05p-24,
     0x1.4979ac8add4a1p-29, 0x1.d9a880f0c436cp-35, 0x1.e981028c76675p-41, 0x1.6ba91ab18486dp-47, 0x1.846e9d99155c1p-54},
    {-0x1.812746b037920p-2, -0x1.8dfd9939e386ep-2, -0x1.e5267029186e6p-2, -0x1.3eda354ddd6e2p-2, -0x1.0bcfca219496bp-3,
     -0x1.2f3178cd7b180p-5, -0x1.d9c2ea85a91cbp-8, -0x1.02b15777f7f46p-10, -0x1.8de3cd268be43p-14,
     -0x1.b11017d244a4cp-18, -0x1.4ea6ccabc76dap-22, -0x1.7015d37e1285fp-27, -0x1.209ad9fb3964bp-32,
     -0x1.426b652712e28p-38, -0x1.afcfcab96ce7fp-45, -0x1.727d4461e0fb8p-48},
    {0.0, -0x1.b588d8dc605d3p-3, 0x1.fe0796bb8982cp-5, 0x1.57b85ad43b3abp-3, 0x1.d6631e1a28396p-4, 0x1.68d1c45b91905p-5,
     0x1.60898536e7377p-7, 0x1.cc1d88688760fp-10, 0x1.9aa489e3972f4p-13, 0x1.fc0dfadb669b2p-17, 0x1.b771d9b8df37ap-21,
     0x1.0b48779dd115ap-25, 0x1.cb2a2eb607166p-31, 0x1.1756eba5b0a4ap-36, 0x1.e29289d481bb1p-43, 0x1.2873f7098f0d4p-49},
    {0x1.ce2f21a01a245p-4, 0x1.62338788be463p-3, 0x1.0fa230219b229p-3, 0x1.8e90c2ac16399p-10, -0x1.974c03681fbbap-5,
     -0x1.09648dd2d558cp-5, -0x1.5eb1c899f3819p-7, -0x1.1bff7061931cdp-9, -0x1.2c7d5f6938832p-12,
     -0x1.ac4e1eb98fb06p-16, -0x1.a26cb99e5053bp-20, -0x1.1b474b2243082p-24, -0x1.0c84ac154ca55p-29,
     -0x1.7507a844db61fp-35, -0x1.555a2879d6ad7p-39, 0x1.f5a85e528a404p-41},
    {0.0, 0x1.26cf85ca4785bp-5, -0x1.fa21ebbb87618p-5, -0x1.a2893b38abcecp-5, -0x1.17d430ac2db24p-9,
     0x1.ad8b1490bf30fp-7, 0x1.d854f73510978p-8, 0x1.fc0f76bb4d269p-10, 0x1.490a4d369f24dp-12, 0x1.131810d07ada4p-15,
     0x1.3302bb2b773dbp-19, 0x1.d23fef33fb204p-24, 0x1.e7ba454977ef8p-29, 0x1.62636d5cd202fp-34, 0x1.67e68ee7d7b54p-40,
     0x1.00943bbec124bp-46},
    {-0x1.b82ce2d80c622p-6, -0x1.a1bcaaba640c3p-5, -0x1.31546d3850690p-6, 0x1.4d6af412552eap-6, 0x1.d857f2704a66ap-7,
     -0x1.f00fc5505667cp-13, -0x1.897719a8f7cc0p-9, -0x1.4a222b6af20b1p-10, -0x1.14543dae4b83ep-12,
     -0x1.16292fc85e194p-15, -0x1.67e67d9b056e3p-19, -0x1.35122b6ae4ea9p-23, -0x1.49c923c2d6d0fp-28,
     0x1.3bcc2fbdfca3ep-35, 0x1.4a4ac0413d57cp-33, -0x1.47f50cc7a9294p-34},
    {0.0, -0x1.5b4abf197eee9p-9, 0x1.37e53cddefe39p-6, 0x1.4ccf0e8140f69p-8, -0x1.954ab3cbbde98p-8,
     -0x1.87188b22bcfcep-9, 0x1.88cdf98b582d7p-12, 0x1.26888f1f07177p-11, 0x1.647f6565d99eap-13, 0x1.c22a5b1e1e7e2p-16,
     0x1.58b4cc28268efp-19, 0x1.53a637a98c561p-23, 0x1.bc2db33a1648ap-28, 0x1.88c6c8fa44d8fp-33, 0x1.db96f876aa35ep-39,
     0x1.8dbf852d8cc40p-45},
    {0x1.565ba2113ac1cp-8, 0x1.6ee0d2a332194p-7, 0x1.0977f22734dbep-13, -0x1.83304a35d2264p-8, -0x1.2e433c97f6db7p-11,
     0x1.9a7f0a525683dp-10, 0x1.b325a5d7b1b53p-12, -0x1.0f9f0ab09353fp-13, -0x1.568d3bd65fdd9p-14,
     -0x1.2479c10c8a80fp-16, -0x1.131e5bae525d7p-19, -0x1.4a0c0570a97fap-23, -0x1.aae2fb9c110fcp-26,
     -0x1.ddb3fdf9ffe53p-28, -0x1.a770d65669123p-28, 0x1.9dbf21b545b5cp-29},
    {0.0, -0x1.03a4c15d06b0cp-11, -0x1.e81e523c99c5fp-9, 0x1.4101926aae966p-11, 0x1.71cf4ac7b7aa7p-10,
     -0x1.09637601ca6d3p-13, -0x1.381d01abac8aep-12, -0x1.cb8f5608b28aap-16, 0x1.b2d332431fc00p-16,
     0x1.2be61e1a8f096p-17, 0x1.66c0a0ee47ab3p-20, 0x1.e9956c036efd2p-24, 0x1.9fe80ba4795e5p-28, 0x1.caccf7de89d29p-33,
     0x1.50c1c41c2d691p-38, 0x1.4e2fd6d799282p-44},
    {-0x1.c00c47204d3a7p-11, -0x1.ff323ea288f3dp-10, 0x1.317c0d34fcafap-11, 0x1.d84a4efb9eafdp-11,
     -0x1.7555e910729bbp-12, -0x1.dc552386afff2p-13, 0x1.2b1adf6dbb926p-14, 0x1.42add9875ee11p-15,
     -0x1.f92a1ee66818fp-20, -0x1.ad1883d36bdebp-19, -0x1.baecf97935e70p-22, 0x1.4981326967507p-24,
     0x1.7398b424d7c39p-22, 0x1.1859324ff4e40p-23, 0x1.005430cdd51fcp-23, -0x1.f54d909307727p-25},
    {0.0, 0x1.ca731a450f7b7p-13, 0x1.0ea1ff549bfe9p-11, -0x1.329c02ff8dad5p-12, -0x1.08aacfe193ad0p-13,
     0x1.ae5cd02e84a0ep-14, 0x1.283a82aa64ac9p-16, -0x1.0032811915733p-16, -0x1.8a3578d2b1a09p-19,
     0x1.b0b08c4c7fa37p-21, 0x1.56a4fc20617a0p-22, 0x1.7b82adf06ecbap-25, 0x1.c6f9af73066c5p-29, 0x1.4adef154470f3p-33,
     0x1.336cca6d5353bp-38, 0x1.77cad338c0e95p-44},
    {0x1.ecaba9f8e7f07p-14, 0x1.21f891877e72cp-12, -0x1.4852e0e378264p-13, -0x1.37f82f4d3abcdp-14,
     0x1.6f32eb59334a5p-14, 0x1.c136adb407404p-21, -0x1.2803e66e830a9p-16, 0x1.442c98cced999p-19,
     -0x1.7f603d9391f20p-20, -0x1.dbd5084ce08d8p-20, -0x1.46279d1d5487ap-19, -0x1.373ff4cc02df6p-20,
     -0x1.5f4ab59066eb0p-19, -0x1.05ad8c977e316p-20, -0x1.ddd07c05f414ep-21, 0x1.d335e8a66f765p-22}};

// A table, since selecting coefficients costs less than the exponential function that spares it.
inline Lane erf(Lane x) {
    const Lane a = abs(x), bounded = least(Lane(6.25), a);
    Bits index;
    const Lane n = round_near(bounded * Lane(32.0 / 13.0), index);
    const Lane t = mul_add(n, Lane(-13.0 / 32.0), bounded);
    const Lane y = polynomial(t, erf_table, index);
    return copy_sign(select(n == Lane(0.0), bounded * y, y), x);
}

// erf(x) / x - 1 in x**2, |x| <= 15/32, relative error of erf 1.4e-18
inline constexpr double erf_coefficients[] = {0x1.06eba8214db69p-3,  -0x1.812746b0379d5p-2,  0x1.ce2f21a0409bap-4,
                                              -0x1.b82ce310f8b57p-6, 0x1.565bcc7badb29p-8,   -0x1.c02d7778661a0p-11,
                                              0x1.f99475bbe8d3cp-14, -0x1.f2bc6f35a0da5p-17, 0x1.90abc780ad401p-20};

// (a + 1) exp(a**2) erfc(a) / 0.75 - 1 in 1/2 - 1.5 / (a + 1), 15/32 <= a <= 27.5: the first coefficient, and the
// others. The rounding of the second alone would cost half an ulp, so the first nine were rounded one after the other
// and the rest fitted anew each time, by least squares over Chebyshev's points: relative error of erfc 2.5e-17.
inline constexpr double erfc_first = 0x1.619c6d4b1dd74p-6;
inline constexpr double erfc_coefficients[] = {
    -0x1.0a36d7faca07dp-1, -0x1.2c19916763d13p-3, 0x1.66211d6c8955bp-3,  0x1.1831e6cbc5da5p-3,  -0x1.1c30aea27276bp-5,
    -0x1.eeeb92b91ef2cp-4, -0x1.202ea3c0b6cabp-4, 0x1.44a4fab903c28p-5,  0x1.b0863cdd0b138p-4,  0x1.3d4160c614affp-4,
    -0x1.2accc5107564cp-6, -0x1.b6d3896047a19p-4, -0x1.ecdf746ddcf88p-4, -0x1.4119ec3d9ba3bp-5, 0x1.6e3ea85005b2ep-4,
    0x1.699fcc698be21p-3,  0x1.45f6c1e2277e6p-3,  0x1.9f80f5b8d0564p-5,  -0x1.3e6079b76fc19p-3, -0x1.f0e97457a109bp-2,
    -0x1.08e8db1084d6fp-1, 0x1.4e391e87d36dap-2,  0x1.21c6525649323p+0,  0x1.a71656361a279p-2,  -0x1.642151472922dp-1,
    -0x1.feca2f4f97f19p-2};

// erfc(a + a_low) for 15/32 <= a <= 28, down to the smallest double: exp(-square) q (1 + w) with q = 0.75 / (a + 1).
// The square comes with what it lost: what the functions of q, t and a**2 would magnify is made good, their roundings.
KILOGRAD_INLINE Lane erfc_far(Lane a, Lane a_low, Lane square, Lane square_low) {
    const Lane one(1.0);
    const Lane d = a + one, part = d - a;
    const Lane d_low = (a - (d - part)) + (one - part) + a_low;
    const Lane q = Lane(0.75) / d;
    const Lane p = q * d;
    const Lane q_low = Lane(1.0 / 0.75) * (((Lane(0.75) - p) - product_error(q, d, p)) - q * d_low);  // relative to q
    const Lane twice = q + q, t = Lane(0.5) - twice;
    const Lane t_low = ((Lane(0.5) - t) - twice) - twice * q_low;
    const Lane slope = polynomial(t, erfc_coefficients);
    const Lane w = mul_add(t, slope, mul_add(t_low, slope, q_low) + Lane(erfc_first));
    const Lane g = mul_add(q, w, q);
    const Lane g_low = mul_add(q, w, q - g);
    // exp(r + r_low) 2**n
    Bits whole;
    const Lane n = round_near(square * Lane(-log2_e), whole);
    const Lane high = mul_add(n, Lane(-ln2_high), -square);
    const Lane reduced = mul_add(n, Lane(-ln2_low), high), r = reduced - square_low;
    const Lane r_low = mul_add(n, Lane(-ln2_low), high - reduced) + ((reduced - r) - square_low);
    const Lane e = mul_add(r * r, polynomial(r, exp_coefficients), r_low);
    return scale(g + mul_add(g, r, mul_add(g, e, g_low)), n, whole);
}

// Up to 15/32 erf is below 1/2, so that 1 - erf loses nothing; from there on 2 - erfc(-x) is as good.
inline Lane erfc(Lane x) {
    const Lane a = abs(x), bounded = least(Lane(28.0), a), square = bounded * bounded;
    const Lane far = erfc_far(bounded, Lane(0.0), square, product_error(bounded, bounded, square));
    const Lane near = mul_add(x, polynomial(x * x, erf_coefficients), x);
    return select(a < Lane(0.46875), Lane(1.0) - near, select(x < Lane(0.0), Lane(2.0) - far, far));
}

// erfc(-x / sqrt(2)) / 2: the square of the quotient is x**2 / 2, which loses nothing but in x**2.
inline Lane ndtr(Lane x) {
    const Lane a = abs(x), half(0.5), root_half(scalar::root_half), bounded = least(Lane(39.0), a);
    const Lane square = bounded * bounded, square_low = product_error(bounded, bounded, square);
    const Lane z = bounded * root_half;
    const Lane z_low = mul_add(bounded, Lane(scalar::root_half_low), product_error(bounded, root_half, z));
    const Lane far = half * erfc_far(z, z_low, half * square, half * square_low);
    const Lane near = half * mul_add(z, polynomial(z * z, erf_coefficients), z);
    return select(z < Lane(0.46875), half + copy_sign(near, x), select(x < Lane(0.0), far, Lane(1.0) - far));
}

#define KILOGRAD_LIBM(name)                                 \
    inline Lane name(Lane a) {                              \
        return each([](double v) { return ::name(v); }, a); \
    }
KILOGRAD_LIBM(asinh)
KILOGRAD_LIBM(acosh)
KILOGRAD_LIBM(atanh)
KILOGRAD_LIBM(exp2)
KILOGRAD_LIBM(log2)
KILOGRAD_LIBM(log10)
KILOGRAD_LIBM(tgamma)
#undef KILOGRAD_LIBM

// libm's is off by up to 2.5 ulp, which a step of Newton's mends.
inline Lane cbrt(Lane x) {
    const Lane y = each([](double v) { return ::cbrt(v); }, x);
    const Lane better = y - (y - x / (y * y)) * Lane(1.0 / 3.0);
    return select(abs(y) < Lane(infinity), select(y == Lane(0.0), y, better), y);
}

inline Lane hypot(Lane a, Lane b) {
    return each([](double x, double y) { return ::hypot(x, y); }, a, b);
}
inline Lane atan2(Lane a, Lane b) {
    return each([](double y, double x) { return ::atan2(y, x); }, a, b);
}
inline Lane log_gamma(Lane a) { return each(scalar::log_gamma, a); }
inline Lane polygamma(Lane a, Lane order) { return each(scalar::polygamma, a, order); }
inline Lane log_beta(Lane a, Lane b) { return each(scalar::log_beta, a, b); }
inline Lane digamma_gap(Lane a, Lane b) { return each(scalar::digamma_gap, a, b); }
inline Lane trigamma_gap(Lane a, Lane b) { return each(scalar::trigamma_gap, a, b); }
inline Lane ndtri(Lane a) { return each(scalar::ndtri, a); }
inline Lane erfcx(Lane a, Lane order) { return each(scalar::erfcx, a, order); }
inline Lane modulo(Lane a, Lane b) { return each(scalar::modulo, a, b); }
inline Lane copysign(Lane a, Lane b) { return copy_sign(a, b); }
inline Lane bessel_i(Lane a, Lane order) {
    const int n = scalar::whole_order(get(order, 0));
    return n == 0 || n == 1 ? scalar::bessel_of_first_orders<false>(a, n) : each(scalar::bessel_i, a, order);
}
inline Lane bessel_ie(Lane a, Lane order) {
    const int n = scalar::whole_order(get(order, 0));
    return n == 0 || n == 1 ? scalar::bessel_of_first_orders<true>(a, n) : each(scalar::bessel_ie, a, order);
}
inline Lane floor_divide(Lane a, Lane b) { return each(scalar::floor_divide, a, b); }

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
}  // namespace kilograd::program
