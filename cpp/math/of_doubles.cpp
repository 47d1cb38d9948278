// The functions of special.hpp: of a Lane of one number, and for higher orders by series and recurrences.
#define KILOGRAD_LANES 1
#include "../special.hpp"

#include <cmath>
#include <limits>

#include "vector_math.hpp"

namespace kilograd::scalar {

using lanes::Lane;

namespace {

// -1 for what is none.
int whole_order(double order) { return order >= 0.0 && order <= largest_order ? static_cast<int>(order) : -1; }

// Bernoulli's numbers B(2), B(4), ...
constexpr double bernoulli[] = {1.0 / 6.0,  -1.0 / 30.0,     1.0 / 42.0, -1.0 / 30.0,
                                5.0 / 66.0, -691.0 / 2730.0, 7.0 / 6.0,  -3617.0 / 510.0};
constexpr double two_over_root_pi = 1.12837916709551257390;

}  // namespace

double log_gamma(double x) { return lanes::log_gamma(Lane(x)).v; }
double tgamma(double x) { return lanes::tgamma(Lane(x)).v; }
double log_beta(double a, double b) { return lanes::log_beta(Lane(a), Lane(b)).v; }
double digamma_gap(double a, double b) { return lanes::digamma_gap(Lane(a), Lane(b)).v; }
double trigamma_gap(double a, double b) { return lanes::trigamma_gap(Lane(a), Lane(b)).v; }
double ndtr(double x) { return lanes::ndtr(Lane(x)).v; }
double ndtri(double p) { return lanes::ndtri(Lane(p)).v; }

// The n-th derivative of digamma: a sum over (x + k)**-(n + 1), whose tail is Euler's and Maclaurin's.
double polygamma(double x, double order) {
    if (order == 0.0) return lanes::digamma(Lane(x)).v;
    if (order == 1.0) return lanes::trigamma(Lane(x)).v;
    const int n = whole_order(order);
    if (n > 0 && x == -std::numeric_limits<double>::infinity()) return n % 2 ? -x : x;  // as SciPy has it
    if (n < 0 || x != x || x < -1e4) return std::numeric_limits<double>::quiet_NaN();
    if (x <= 0.0 && x == std::floor(x))  // as from above, where the sign depends on the side
        return (n % 2 ? 1.0 : -1.0) * std::numeric_limits<double>::infinity();
    if (std::isinf(x)) return 0.0;
    const double s = n + 1.0;
    double sum = 0.0, factorial = 1.0;
    for (int k = 2; k <= n; ++k) factorial *= k;
    // n! x**-order: powers may underflow where this does not
    const auto term_of = [factorial](double at, double order) {
        const double power = std::pow(at, -order);
        if (std::abs(power) >= 1e-290) return factorial * power;
        const double root = std::pow(std::abs(at), -0.5 * order);
        return std::copysign(factorial * root * root, power);
    };
    for (; x < 12.0 + n; x += 1.0) sum += term_of(x, s);
    const double inverse = 1.0 / x, z = inverse * inverse;
    double term = 0.5 * s * z, tail = 1.0 / n + 0.5 * inverse;  // in n! x**-n
    for (int k = 0; k < 8; ++k) {
        tail += bernoulli[k] * term;
        term *= (s + 2.0 * k + 1.0) * (s + 2.0 * k + 2.0) / ((2.0 * k + 3.0) * (2.0 * k + 4.0)) * z;
    }
    const double size = sum + term_of(x, n) * tail;
    return n % 2 ? size : -size;
}

// exp(z**2) times the n-th repeated integral of erfc from z to infinity, J(n). J(n)' = -2 (n + 1) J(n + 1), and
// J(n - 1) = 2 z J(n) + 2 (n + 1) J(n + 1), with J(-1) = 2 / sqrt(pi): from above that is stable for z > 0 and all
// terms are positive, from below for z < 0.
double erfcx(double z, double order) {
    if (order == 0.0 || order == 1.0) return lanes::erfcx(Lane(z), Lane(order)).v;
    const int n = whole_order(order);
    if (n < 0 || z != z) return std::numeric_limits<double>::quiet_NaN();
    if (z < -27.0) return std::numeric_limits<double>::infinity();
    if (z < 0.5) {
        double before = erfcx(z, 0.0), now = erfcx(z, 1.0);
        if (std::isinf(now)) return now;
        for (int k = 1; k < n; ++k) {
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

// exp(-x) I(n, x) for n > 1, x >= 0: by Hankel's expansion, or from the order 1 by ratios, each from the next.
static double scaled_bessel_of_order(double x, int n) {
    if (x > 30.0 + 2.0 * n * n) {
        double term = 1.0, sum = 1.0;
        for (int k = 1; k < 60 && std::abs(term) > 1e-17; ++k) {
            term *= ((2.0 * k - 1.0) * (2.0 * k - 1.0) - 4.0 * n * n) / (8.0 * k * x);
            sum += term;
        }
        return sum / (2.50662827463100050242 * std::sqrt(x));
    }
    double ratio = 0.0, product = bessel_ie(x, 1.0);
    for (int k = n + 20 + static_cast<int>(std::sqrt(80.0 * x)); k > 1; --k) {
        ratio = 1.0 / (2.0 * k / x + ratio);
        if (k <= n) product *= ratio;
    }
    return product;
}

double bessel_ie(double x, double order) {
    if (order == 0.0 || order == 1.0) return lanes::bessel_ie(Lane(x), Lane(order)).v;
    const int n = whole_order(order);
    if (n < 0 || x != x) return std::numeric_limits<double>::quiet_NaN();
    const double y = scaled_bessel_of_order(std::abs(x), n);
    return n % 2 && x < 0.0 ? -y : y;
}

double bessel_i(double x, double order) {
    if (order == 0.0 || order == 1.0) return lanes::bessel_i(Lane(x), Lane(order)).v;
    const int n = whole_order(order);
    if (n < 0 || x != x) return std::numeric_limits<double>::quiet_NaN();
    const double size = std::abs(x), half = std::exp(0.5 * size);
    const double y = std::isinf(half) ? half : scaled_bessel_of_order(size, n) * half * half;
    return n % 2 && x < 0.0 ? -y : y;
}

double bessel_fall(double x, double order) { return lanes::bessel_fall(Lane(x), Lane(order)).v; }

double modulo(double a, double b) {
    const double rest = std::fmod(a, b);
    if (rest == 0.0) return std::copysign(0.0, b);
    return (b < 0.0) != (rest < 0.0) ? rest + b : rest;
}
double floor_divide(double a, double b) {
    if (b == 0.0) return a / b;
    const double rest = std::fmod(a, b);
    double quotient = (a - rest) / b;
    if (rest != 0.0 && (b < 0.0) != (rest < 0.0)) quotient -= 1.0;
    if (quotient == 0.0) return std::copysign(0.0, a / b);
    const double whole = std::floor(quotient);
    return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

}  // namespace kilograd::scalar
