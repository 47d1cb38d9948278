// The normal distribution, for doubles: its integral, the inverse of that, and the scaled integrals of erfc, by which
// logarithms of tails have derivatives without cancellation.
#pragma once

#include <cmath>
#include <limits>

#include "orders.hpp"

namespace kilograd::scalar::KILOGRAD_UNIT {

inline constexpr double root_half = 0.70710678118654752440, root_half_low = -4.833646656726456726e-17;
inline constexpr double two_over_root_pi = 1.12837916709551257390;

// erfc(-x / sqrt(2)) / 2, with the rounding of the quotient made good: in the tail erfc magnifies it.
inline double ndtr(double x) {
    if (x < -40.0) return 0.0;
    const double z = -x * root_half, lost = std::fma(-x, root_half, -z) - x * root_half_low;
    return 0.5 * (std::erfc(z) - (x < 0.0 ? two_over_root_pi * std::exp(-z * z) * lost : 0.0));
}

// exp(z**2) times the n-th repeated integral of erfc from z to infinity, J(n). J(n)' = -2 (n + 1) J(n + 1), and
// J(n - 1) = 2 z J(n) + 2 (n + 1) J(n + 1), with J(-1) = 2 / sqrt(pi): from above that is stable for z > 0 and all
// terms are positive, from below for z < 0.
inline double erfcx(double z, double order) {
    const int n = whole_order(order);
    if (n < 0 || z != z) return std::numeric_limits<double>::quiet_NaN();
    if (z < -27.0) return std::numeric_limits<double>::infinity();
    if (z < 0.5 || (n == 0 && z < 25.0)) {
        const double square = z * z, lost = std::fma(z, z, -square), y = std::exp(square) * std::erfc(z);
        double before = two_over_root_pi, now = std::fma(y, lost, y);
        if (std::isinf(now)) return now;
        for (int k = 0; k < n; ++k) {
            const double next = (0.5 * before - z * now) / (k + 1.0);
            before = now;
            now = next;
        }
        return now;
    }
    const int last = n + 10 + static_cast<int>(190.0 / (z * z));
    double ratio = 1.0 / (z + std::sqrt(z * z + 2.0 * (last + 2.0))), product = two_over_root_pi;
    for (int k = last; k >= 0; --k) {
        ratio = 0.5 / (z + (k + 1.0) * ratio);
        if (k <= n) product *= ratio;
    }
    return product;
}

// For 0 < p <= 1/2: an approximation to 4.5e-4 (Hastings), and steps of Halley's, each of which triples the digits.
inline double ndtri_below(double p) {
    const double logarithm = std::log(p), t = std::sqrt(-2.0 * logarithm);
    double x = (2.515517 + t * (0.802853 + t * 0.010328)) / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t;
    for (int k = 0; k < 3; ++k) {
        double step;  // Newton's
        if (p > 0.1) {
            step = (0.5 * std::erf(x * root_half) - (p - 0.5)) /
                   (0.5 * two_over_root_pi * root_half * std::exp(-0.5 * x * x));
            x -= step / (1.0 + 0.5 * x * step);
        } else {  // of the logarithm of ndtr, whose derivative is h
            const double tail = erfcx(-x * root_half, 0.0), h = two_over_root_pi * root_half / tail;
            step = (std::log(0.5 * tail) - 0.5 * x * x - logarithm) / h;
            x -= step / (1.0 + 0.5 * step * (h + x));
        }
    }
    return x;
}

inline double ndtri(double p) {
    if (!(p >= 0.0 && p <= 1.0)) return std::numeric_limits<double>::quiet_NaN();
    if (p == 0.0 || p == 1.0) return std::copysign(std::numeric_limits<double>::infinity(), p - 0.5);
    return p > 0.5 ? -ndtri_below(1.0 - p) : ndtri_below(p);
}

}  // namespace kilograd::scalar::KILOGRAD_UNIT
