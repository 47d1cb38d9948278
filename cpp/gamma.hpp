// log(gamma(x)) and its derivatives, the beta function, for doubles: within some ulp of the larger of 1 and the result.
#pragma once

#include <cmath>
#include <limits>

#include "orders.hpp"

namespace kilograd::scalar::KILOGRAD_UNIT {

// About its root, which is 1.46163..., as a rational function of the distance (the coefficients are those of Boost).
inline double digamma_near_root(double x) {
    constexpr double root = 1569415565.0 / 1073741824.0, rest = 381566830.0 / 1073741824.0 / 1073741824.0;
    constexpr double last = 0.9016312093258695918615325266959189453125e-19, slope = 0.99558162689208984375;
    constexpr double p[] = {0.25479851061131551,  -0.32555031186804491,  -0.65031853770896507,
                            -0.28919126444774784, -0.045251321448739056, -0.0020713321167745952};
    constexpr double q[] = {1.0,
                            2.0767117023730469,
                            1.4606242909763515,
                            0.43593529692665969,
                            0.054151797245674225,
                            0.0021284987017821144,
                            -0.55789841321675513e-6};
    double above = 0.0, below = 0.0;
    for (int k = 5; k >= 0; --k) above = above * (x - 1.0) + p[k];
    for (int k = 6; k >= 0; --k) below = below * (x - 1.0) + q[k];
    const double distance = ((x - root) - rest) - last;
    return distance * slope + distance * (above / below);
}

// Bernoulli's numbers B(2), B(4), ...
inline constexpr double bernoulli[] = {1.0 / 6.0,  -1.0 / 30.0,     1.0 / 42.0, -1.0 / 30.0,
                                       5.0 / 66.0, -691.0 / 2730.0, 7.0 / 6.0,  -3617.0 / 510.0};

inline double digamma(double x) {
    constexpr double pi = 3.14159265358979323846;
    if (x == 0.0) return std::copysign(std::numeric_limits<double>::infinity(), -x);
    if (x < 0.0) {
        if (x == std::floor(x)) return std::numeric_limits<double>::quiet_NaN();
        return digamma(1.0 - x) - pi / std::tan(pi * (x - std::rint(x)));
    }
    double below = 0.0;
    if (x >= 10.0) {
        const double z = 1.0 / (x * x);
        double sum = 0.0;
        for (int k = 7; k >= 0; --k) sum = (sum + bernoulli[k] / (2.0 * (k + 1))) * z;
        return std::log(x) - 0.5 / x - sum;
    }
    for (; x > 2.0; below += 1.0 / x) x -= 1.0;
    for (; x < 1.0; x += 1.0) below -= 1.0 / x;
    return digamma_near_root(x) + below;
}

// The n-th derivative of digamma: a sum over (x + k)**-(n + 1), whose tail is Euler's and Maclaurin's.
inline double polygamma(double x, double order) {
    const int n = whole_order(order);
    if (n == 0) return digamma(x);
    if (n > 0 && x == -std::numeric_limits<double>::infinity()) return n % 2 ? -x : x;  // as SciPy has it
    if (n < 0 || x != x || x < -1e4) return std::numeric_limits<double>::quiet_NaN();
    if (x <= 0.0 && x == std::floor(x))  // as from above, where the sign depends on the side
        return (n % 2 ? 1.0 : -1.0) * std::numeric_limits<double>::infinity();
    if (std::isinf(x)) return 0.0;
    const double s = n + 1.0;
    double sum = 0.0, factorial = 1.0;
    for (int k = 2; k <= n; ++k) factorial *= k;
    const double scale = n % 2 ? factorial : -factorial;
    if (x > 1e100) return scale * (std::pow(x, -n) / n);  // where powers of order s underflow
    for (; x < 12.0 + n; x += 1.0) sum += std::pow(x, -s);
    const double z = 1.0 / (x * x), power = std::pow(x, -s);
    double term = 0.5 * s * power / x, tail = x * power / n + 0.5 * power;
    for (int k = 0; k < 8; ++k) {
        tail += bernoulli[k] * term;
        term *= (s + 2.0 * k + 1.0) * (s + 2.0 * k + 2.0) / ((2.0 * k + 3.0) * (2.0 * k + 4.0)) * z;
    }
    return scale * (sum + tail);
}

// As std::lgamma, which in some libraries writes the sign of gamma into a variable that all threads share.
inline double log_gamma(double x) {
    if (x == -std::numeric_limits<double>::infinity()) return x;  // as SciPy has it
#if defined(__GLIBC__) || defined(__APPLE__)
    int sign;
    return ::lgamma_r(x, &sign);
#else
    return std::lgamma(x);
#endif
}

// What Stirling's formula lacks of log(gamma(x)), for x >= 10.
inline double stirling_rest(double x) {
    const double z = 1.0 / (x * x);
    double sum = 0.0;
    for (int k = 7; k >= 0; --k) sum = sum * z + bernoulli[k] / ((2.0 * k + 2.0) * (2.0 * k + 1.0));
    return sum / x;
}

// log_gamma(a) + log_gamma(b) - log_gamma(a + b) for positive numbers, without what is large and cancels.
inline double log_beta(double a, double b) {
    constexpr double log_root_two_pi = 0.91893853320467274178;
    if (!(a >= 0.0 && b >= 0.0)) return std::numeric_limits<double>::quiet_NaN();
    const double low = a < b ? a : b;
    double high = a < b ? b : a, above = 1.0;
    if (low == 0.0)  // of either sign
        return std::isinf(high) ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
    if (std::isinf(high)) return -high;
    if (high < 2.5) return log_gamma(low) + log_gamma(high) - log_gamma(low + high);
    for (; high < 10.0; high += 1.0) above *= 1.0 + low / high;
    const double ratio = low / high, rest = stirling_rest(high) - stirling_rest(low + high);
    if (low < 10.0) {
        const double quotient = rest + low - low * std::log(high) - (low + high - 0.5) * std::log1p(ratio);
        return log_gamma(low) + (quotient + std::log(above));
    }
    return log_root_two_pi - 0.5 * std::log(high) + (stirling_rest(low) + rest) +
           (low - 0.5) * std::log(ratio / (1.0 + ratio)) - high * std::log1p(ratio);
}

// Of digamma (order 0) and its derivative (1) what is left at a of what is there at a + b, for positive numbers: digits
// hold however near the two are. 1 - (1 + b / a)**-n is what differences of powers are multiples of.
inline double polygamma_gap(double a, double b, int order) {
    if (!(a >= 0.0 && b >= 0.0)) return std::numeric_limits<double>::quiet_NaN();
    if (std::isinf(a)) return std::isinf(b) ? std::numeric_limits<double>::quiet_NaN() : 0.0;
    if (std::isinf(b)) return order == 0 ? -b : polygamma(a, 1.0);
    double below = 0.0;
    for (; a < 10.0; a += 1.0) {
        const double ratio = b / a / (a + b);
        below += order == 0 ? -ratio : ratio * (1.0 / a + 1.0 / (a + b));
    }
    const double logarithm = std::log1p(b / a), z = 1.0 / a / a;
    const auto gap = [&](double n) { return -std::expm1(-n * logarithm); };
    double sum = order == 0 ? -logarithm - 0.5 / a * gap(1.0) : gap(1.0) / a + 0.5 * z * gap(2.0);
    double power = order == 0 ? -1.0 : 1.0 / a;
    for (int k = 0; k < 8; ++k) {
        const double n = 2.0 * k + 2.0 + order;
        power *= z;
        sum += bernoulli[k] * (order == 0 ? 1.0 / n : 1.0) * power * gap(n);
    }
    return sum + below;
}
inline double digamma_gap(double a, double b) { return polygamma_gap(a, b, 0); }
inline double trigamma_gap(double a, double b) { return polygamma_gap(a, b, 1); }

}  // namespace kilograd::scalar::KILOGRAD_UNIT
