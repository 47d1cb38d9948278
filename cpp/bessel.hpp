// The modified Bessel functions of the first kind, I(n, x), and the same times exp(-|x|): over any number type for the
// orders 0 and 1, for doubles for all others.
//
// To |x| = 5 a polynomial in x**2 / 4, beyond one in 10 / x - 1 (interpolation at Chebyshev's points with 50 digits,
// relative errors below 1e-17). All terms of the first are positive, and so are the ratios of neighbouring orders by
// which higher ones are computed.
#pragma once

#include <cmath>
#include <limits>

#include "orders.hpp"

namespace kilograd::scalar::KILOGRAD_UNIT {

// (I(0, x) - 1) / a and (2 I(1, x) / x - 1) / a, in a = x**2 / 4
inline constexpr double bessel_near[2][13] = {
    {0x1.0000000000000p+0, 0x1.0000000000000p-2, 0x1.c71c71c71c72bp-6, 0x1.c71c71c71c3e9p-10, 0x1.23456789b1a61p-14,
     0x1.02e85c07cd916p-19, 0x1.522a4419b5aa5p-25, 0x1.522a3fd694f7ap-31, 0x1.0b3186a31d0eep-37, 0x1.55f85af2d1365p-44,
     0x1.6a7712540fea9p-51, 0x1.397b57e64fcdfp-58, 0x1.2b7d75ad2043ep-65},
    {0x1.0000000000000p-1, 0x1.5555555555555p-4, 0x1.c71c71c71c720p-8, 0x1.6c16c16c16b3fp-12, 0x1.845c8a0ce827cp-17,
     0x1.27e4fb771ecb7p-22, 0x1.522a4408ff0bfp-28, 0x1.2c9756add8cdap-34, 0x1.ab82433dc5d7ap-41, 0x1.f16ce6ae2e160p-48,
     0x1.e319b7250095bp-55, 0x1.833a3bb72694ap-62, 0x1.51a16bba9470ep-69}};
// sqrt(x) exp(-x) I(n, x), in 10 / x - 1
inline constexpr double bessel_far[2][34] = {
    {0x1.9df2459937017p-2,   0x1.72f12ae1b66ccp-8,   0x1.ae85525b1404ap-12,  0x1.19d5826e8241cp-14,
     0x1.6600c9485b706p-16,  0x1.516d93229640dp-17,  0x1.3c4d786fa4f4fp-19,  -0x1.314ff9f5846b7p-18,
     -0x1.5c4b3ab21895fp-18, 0x1.4ee9d51db289bp-20,  0x1.283985bf19d17p-18,  -0x1.12f84ce659505p-20,
     -0x1.d5e5dcd4f241dp-19, 0x1.065b15640d586p-19,  0x1.178b461894f76p-19,  -0x1.815dda71e864ap-19,
     0x1.53e2e955eb702p-22,  0x1.5e166de500124p-19,  -0x1.c1181ef613812p-19, -0x1.ffb18262ee2abp-22,
     0x1.8168083621fbfp-18,  -0x1.763c4acfeb06bp-19, -0x1.a3756b62c6792p-18, 0x1.5c65ffd100a14p-18,
     0x1.42bda675d3ff5p-18,  -0x1.605f91a413930p-18, -0x1.604c883d69afep-19, 0x1.ceddc0b294ebdp-19,
     0x1.05044fc10487cp-20,  -0x1.8ad25d397aa27p-20, -0x1.d82f1b2f447c4p-23, 0x1.903ead9473f97p-22,
     0x1.8a1cd06e9ad5ep-26,  -0x1.6f99bc35e448ep-25},
    {0x1.88ab61a6cd2b9p-2,   -0x1.06f36a4bbc49fp-6,  -0x1.514e5819ee5aep-11, -0x1.6faddf3669bdap-14,
     -0x1.a93963c1e5593p-16, -0x1.82850b5428729p-17, -0x1.89fac8a29d123p-19, 0x1.393c3bf5885ffp-18,
     0x1.7c05511f6b01dp-18,  -0x1.1ddecbb3cd9e9p-20, -0x1.3b057c98026d3p-18, 0x1.d05579742b9dcp-21,
     0x1.f41d78a0b2779p-19,  -0x1.f9c4891573e95p-20, -0x1.32eb2e607e9f9p-19, 0x1.87214b1079ff7p-19,
     -0x1.6f351af28f2b9p-23, -0x1.71ac659578ddbp-19, 0x1.bdb9652ce0ec2p-19,  0x1.64459320ce5cep-21,
     -0x1.89796afa96e9fp-18, 0x1.633fecb75f102p-19,  0x1.b1ca85f6ec396p-18,  -0x1.59414597714f8p-18,
     -0x1.50b732294e8abp-18, 0x1.6222b361b5f54p-18,  0x1.722ae0972ffaep-19,  -0x1.d4aa9fa12212ep-19,
     -0x1.13f4bb641bd10p-20, 0x1.91b0a3d422039p-20,  0x1.f6045d070319cp-23,  -0x1.989807e521ab6p-22,
     -0x1.a531f90b1995dp-26, 0x1.783b02da25b74p-25}};

template <int N, class T>
T horner(T x, const double (&c)[N]) {
    T r(c[N - 1]);
#pragma GCC unroll 32
    for (int k = N - 2; k >= 0; --k) r = mul_add(r, x, T(c[k]));
    return r;
}

// I(n, x) for n = 0 or 1, times exp(-|x|) where `scaled`.
template <bool scaled, class T>
T bessel_of_first_orders(T x, int n) {
    const T size = abs(x), five(5.0), near_size = select(size < five, size, five);
    const T a = T(0.25) * near_size * near_size, sum = mul_add(a, horner(a, bessel_near[n]), T(1.0));
    const T near = n == 0 ? sum : T(0.5) * near_size * sum, far_size = select(size < five, five, size);
    const T far = horner(T(10.0) / far_size - T(1.0), bessel_far[n]) / sqrt(far_size);
    T y;
    if constexpr (scaled) {
        y = select(size < five, near * exp(-near_size), far);
    } else {  // exp(x) overflows a little earlier
        const T large = select(size > T(700.0), T(32.0), T(0.0)),
                factor = select(size > T(700.0), T(exp(32.0)), T(1.0));
        y = select(size < five, near, far * exp(far_size - large) * factor);
        y = select(size == T(std::numeric_limits<double>::infinity()), size, y);
    }
    y = select(x != x, x, y);
    return n == 0 ? y : copysign(y, x);
}

// exp(-x) I(n, x) for n > 1, x >= 0: by Hankel's expansion, or from the order 1 by ratios, each from the next.
inline double scaled_bessel_of_order(double x, int n) {
    if (x > 30.0 + 2.0 * n * n) {
        double term = 1.0, sum = 1.0;
        for (int k = 1; k < 60 && std::abs(term) > 1e-17; ++k) {
            term *= ((2.0 * k - 1.0) * (2.0 * k - 1.0) - 4.0 * n * n) / (8.0 * k * x);
            sum += term;
        }
        return sum / std::sqrt(6.283185307179586477 * x);
    }
    double ratio = 0.0, product = bessel_of_first_orders<true>(x, 1);
    for (int k = n + 20 + static_cast<int>(std::sqrt(80.0 * x)); k > 1; --k) {
        ratio = 1.0 / (2.0 * k / x + ratio);
        if (k <= n) product *= ratio;
    }
    return product;
}

inline double bessel_ie(double x, double order) {
    const int n = whole_order(order);
    if (n < 0 || x != x) return std::numeric_limits<double>::quiet_NaN();
    if (n < 2) return bessel_of_first_orders<true>(x, n);
    const double y = scaled_bessel_of_order(std::abs(x), n);
    return n % 2 && x < 0.0 ? -y : y;
}

inline double bessel_i(double x, double order) {
    const int n = whole_order(order);
    if (n < 0 || x != x) return std::numeric_limits<double>::quiet_NaN();
    if (n < 2) return bessel_of_first_orders<false>(x, n);
    const double size = std::abs(x), half = std::exp(0.5 * size);
    const double y = std::isinf(half) ? half : scaled_bessel_of_order(size, n) * half * half;
    return n % 2 && x < 0.0 ? -y : y;
}

}  // namespace kilograd::scalar::KILOGRAD_UNIT
