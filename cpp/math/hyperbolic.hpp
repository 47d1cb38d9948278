// Hyperbolic functions, the logistic function, log(cosh(x)).
#pragma once

#include "each.hpp"
#include "exponential.hpp"

namespace kilograd::lanes {
namespace {

// (tanh(x) / x - 1) / x**2 in x**2, |x| <= 0.625, relative error of tanh 6.0e-19: a numerator and a denominator
inline constexpr double tanh_numerator[] = {-0x1.5555555555554p-2, -0x1.4fd1c03012c21p-6, -0x1.a18509a271b39p-13};
inline constexpr double tanh_denominator[] = {0x1.0000000000000p+0, 0x1.d890eda29d0d0p-2, 0x1.7d8fab212838ep-6,
                                              0x1.b0eeb396b6f5ep-13};

// Beyond these, 1 - 2 / (exp(2|x|) + 1), which has lost little there; one division serves both.
inline Lane tanh(Lane x) {
    const Lane a = abs(x), z = x * x, one(1.0);
    const Mask near = a < Lane(0.625);
    const Lane e = exp(least(Lane(44.0), a + a));
    const Lane over = select(near, a * (z * polynomial(z, tanh_numerator)), Lane(-2.0));
    const Lane under = select(near, polynomial(z, tanh_denominator), e + one);
    return copy_sign(select(near, a, one) + over / under, x);
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

}  // namespace
}  // namespace kilograd::lanes
