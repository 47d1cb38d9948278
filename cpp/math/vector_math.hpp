// Elementary functions of a Lane: by polynomials, but for the rarer ones at the end, which go through libm.
//
// Each reduces its argument to a small interval exactly, evaluates a polynomial there (of 60 digits' Remez exchange,
// where nothing else is said), and puts the result together with compensated sums where a plain one would cost an ulp.
// There is no branch per element, so that one vector costs what one number costs. Errors are below 2 ulp over the whole
// range, zeros, subnormals, infinities and NaN included; tests/cpp/test_vector_math.cpp measures them in quad
// precision.
#pragma once

#include "bessel.hpp"
#include "beta.hpp"
#include "hyperbolic.hpp"
#include "normal.hpp"
#include "trigonometric.hpp"

namespace kilograd::lanes {
namespace {

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
#undef KILOGRAD_LIBM

// libm's is off by up to 2.5 ulp, which a step of Newton's mends.
inline Lane cbrt(Lane x) {
    const Lane y = each([](double v) { return ::cbrt(v); }, x);
    const Lane better = y - (y - x / (y * y)) * Lane(1.0 / 3.0);
    return select(abs(y) < Lane(infinity), select(y == Lane(0.0), y, better), y);
}

inline Lane copysign(Lane a, Lane b) { return copy_sign(a, b); }
inline Lane modulo(Lane a, Lane b) { return each(scalar::modulo, a, b); }
inline Lane floor_divide(Lane a, Lane b) { return each(scalar::floor_divide, a, b); }

}  // namespace
}  // namespace kilograd::lanes
