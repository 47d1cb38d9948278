// The modified Bessel functions of the first kind, I(n, x), and the same times exp(-|x|), of the orders 0 and 1.
//
// To |x| = 5 a polynomial in x**2 / 4, beyond one in 10 / x - 1 (interpolation at Chebyshev's points with 50 digits,
// relative errors below 1e-17).
#pragma once

#include "../special.hpp"
#include "each.hpp"
#include "exponential.hpp"

namespace kilograd::lanes {
namespace {

// (I(0, x) - 1) / a and (2 I(1, x) / x - 1) / a, in a = x**2 / 4: the first coefficients and the others
inline constexpr double bessel_near_first[2] = {1.0, 0.5};
inline constexpr double bessel_near[2][12] = {
    {0x1.0000000000000p-2, 0x1.c71c71c71c72bp-6, 0x1.c71c71c71c3e9p-10, 0x1.23456789b1a61p-14, 0x1.02e85c07cd916p-19,
     0x1.522a4419b5aa5p-25, 0x1.522a3fd694f7ap-31, 0x1.0b3186a31d0eep-37, 0x1.55f85af2d1365p-44, 0x1.6a7712540fea9p-51,
     0x1.397b57e64fcdfp-58, 0x1.2b7d75ad2043ep-65},
    {0x1.5555555555555p-4, 0x1.c71c71c71c720p-8, 0x1.6c16c16c16b3fp-12, 0x1.845c8a0ce827cp-17, 0x1.27e4fb771ecb7p-22,
     0x1.522a4408ff0bfp-28, 0x1.2c9756add8cdap-34, 0x1.ab82433dc5d7ap-41, 0x1.f16ce6ae2e160p-48, 0x1.e319b7250095bp-55,
     0x1.833a3bb72694ap-62, 0x1.51a16bba9470ep-69}};
// sqrt(x) exp(-x) I(n, x), in 10 / x - 1: the first coefficients and the others
inline constexpr double bessel_far_first[2] = {0x1.9df2459937017p-2, 0x1.88ab61a6cd2b9p-2};
inline constexpr double bessel_far[2][33] = {
    {0x1.72f12ae1b66ccp-8,   0x1.ae85525b1404ap-12,  0x1.19d5826e8241cp-14,  0x1.6600c9485b706p-16,
     0x1.516d93229640dp-17,  0x1.3c4d786fa4f4fp-19,  -0x1.314ff9f5846b7p-18, -0x1.5c4b3ab21895fp-18,
     0x1.4ee9d51db289bp-20,  0x1.283985bf19d17p-18,  -0x1.12f84ce659505p-20, -0x1.d5e5dcd4f241dp-19,
     0x1.065b15640d586p-19,  0x1.178b461894f76p-19,  -0x1.815dda71e864ap-19, 0x1.53e2e955eb702p-22,
     0x1.5e166de500124p-19,  -0x1.c1181ef613812p-19, -0x1.ffb18262ee2abp-22, 0x1.8168083621fbfp-18,
     -0x1.763c4acfeb06bp-19, -0x1.a3756b62c6792p-18, 0x1.5c65ffd100a14p-18,  0x1.42bda675d3ff5p-18,
     -0x1.605f91a413930p-18, -0x1.604c883d69afep-19, 0x1.ceddc0b294ebdp-19,  0x1.05044fc10487cp-20,
     -0x1.8ad25d397aa27p-20, -0x1.d82f1b2f447c4p-23, 0x1.903ead9473f97p-22,  0x1.8a1cd06e9ad5ep-26,
     -0x1.6f99bc35e448ep-25},
    {-0x1.06f36a4bbc49fp-6,  -0x1.514e5819ee5aep-11, -0x1.6faddf3669bdap-14, -0x1.a93963c1e5593p-16,
     -0x1.82850b5428729p-17, -0x1.89fac8a29d123p-19, 0x1.393c3bf5885ffp-18,  0x1.7c05511f6b01dp-18,
     -0x1.1ddecbb3cd9e9p-20, -0x1.3b057c98026d3p-18, 0x1.d05579742b9dcp-21,  0x1.f41d78a0b2779p-19,
     -0x1.f9c4891573e95p-20, -0x1.32eb2e607e9f9p-19, 0x1.87214b1079ff7p-19,  -0x1.6f351af28f2b9p-23,
     -0x1.71ac659578ddbp-19, 0x1.bdb9652ce0ec2p-19,  0x1.64459320ce5cep-21,  -0x1.89796afa96e9fp-18,
     0x1.633fecb75f102p-19,  0x1.b1ca85f6ec396p-18,  -0x1.59414597714f8p-18, -0x1.50b732294e8abp-18,
     0x1.6222b361b5f54p-18,  0x1.722ae0972ffaep-19,  -0x1.d4aa9fa12212ep-19, -0x1.13f4bb641bd10p-20,
     0x1.91b0a3d422039p-20,  0x1.f6045d070319cp-23,  -0x1.989807e521ab6p-22, -0x1.a531f90b1995dp-26,
     0x1.783b02da25b74p-25}};
// The derivatives of the former with respect to a, to 9e-5 and better: by them the rounding of a is made good.
inline constexpr double bessel_near_slope[2][5] = {
    {0x1.001475973b11dp+0, 0x1.fd7314979c574p-2, 0x1.623492ec2568fp-4, 0x1.6dbfb08d3f529p-8, 0x1.2fa015983c690p-11},
    {0x1.00059630b7723p-1, 0x1.54a2fdad0a5d4p-3, 0x1.5c606bbcd8bd9p-6, 0x1.3b0378c98cad9p-10, 0x1.796350fee117bp-14}};

template <bool scaled>
Lane bessel_of_first_orders(Lane x, int n) {
    const Lane size = abs(x), zero(0.0), one(1.0);
    const Mask is_near = size < Lane(5.0);
    // The largest of unscaled ones overflows; of scaled ones a quarter, so that the square of the root does not.
    const Lane near_size = least(size, Lane(5.0)),
               far_size = greatest(least(size, Lane(scaled ? std::numeric_limits<double>::max() : 750.0)), Lane(5.0)),
               under_root = scaled ? Lane(0.25) * far_size : far_size;
    const Lane half = Lane(0.5) * near_size, a = half * half;
    const Lane a_low = product_error(half, half, a) * polynomial(a, bessel_near_slope[n]);
    const Pair slope = sum(Lane(bessel_near_first[n]), a * polynomial(a, bessel_near[n]));
    const Pair more = product(a, slope.high),
               series = sum({one, zero}, {more.high, more.low + mul_add(a, slope.low, a_low)});
    const Pair near = n == 0 ? series : product(series, Pair{half, zero});
    // sqrt(x) exp(-x) I(n, x)
    const Lane t = Lane(10.0) / far_size - one;
    const Pair far = fast_sum(Lane(bessel_far_first[n]), t * polynomial(t, bessel_far[n]));
    const Lane root = sqrt(under_root), square = root * root;
    const Lane root_low = ((under_root - square) - product_error(root, root, square)) / (root + root);
    Lane y;
    if constexpr (scaled) {
        const Lane divided = Lane(0.5) * quotient(far.high, far.low, root, root_low);
        y = select(is_near, times_exp(near, {-near_size, zero}).high, divided);
        y = select(size == Lane(infinity), zero, y);
    } else {  // exp(x) overflows a little earlier, and the quotient still earlier
        const Mask large = far_size > Lane(600.0);
        const Lane exponent = far_size - select(large, Lane(64.0), zero);
        const Pair power = times_exp(far, {exponent, zero});
        const Lane divided = quotient(power.high, power.low, root, root_low);
        y = select(is_near, near.high + near.low, select(large, divided * Lane(0x1.425982cf597cdp+92), divided));
        y = select(size == Lane(infinity), size, y);
    }
    y = select(x != x, x, y);
    return n == 0 ? y : copy_sign(y, x);
}

inline Lane bessel_i(Lane x, Lane order) {
    const double n = get(order, 0);
    return n == 0.0 || n == 1.0 ? bessel_of_first_orders<false>(x, static_cast<int>(n))
                                : each(scalar::bessel_i, x, order);
}
inline Lane bessel_ie(Lane x, Lane order) {
    const double n = get(order, 0);
    return n == 0.0 || n == 1.0 ? bessel_of_first_orders<true>(x, static_cast<int>(n))
                                : each(scalar::bessel_ie, x, order);
}

// J(n) = integral of w**n exp(-|x| w), w = 1 - cos(t), over t from 0 to pi, over pi: J(0) is I(0, x) exp(-|x|), and its
// derivative is -J(1), and so on, where a difference of Bessel functions would lose all digits for large x. The
// derivative of w**(n + 1/2) (2 - w)**(1/2) exp(-|x| w) has the integral 0 over w from 0 to 2, which is
//
//     (2 n + 1) J(n) = (2 |x| + n + 1) J(n + 1) - |x| J(n + 2),
//
// and backwards from a large n this gives all quotients, as J. C. P. Miller computed Bessel functions (M. Abramowitz,
// I. Stegun, 9.12). With J(n + 1) / J(n) = (2 n + 1) v d(n + 1) / d(n) there is one division. Coefficients are those
// of |x| and 1 over the larger of the two, so that d stays below 1e250.
inline Lane bessel_fall(Lane x, Lane order) {
    const double n = get(order, 0);
    if (!(n >= 0.0 && n <= 32.0)) return Lane(not_a_number);
    const Lane size = least(abs(x), Lane(std::numeric_limits<double>::max())), scale = greatest(size, Lane(1.0));
    const Lane u = size / scale, v = Lane(1.0) / scale, twice = u + u, both = u * v;
    Lane d(1.0), after(0.0), at_n(1.0);
    for (double k = 67.0 + 4.0 * n; k >= 0.0; --k) {
        const Lane now = mul_add(mul_add(Lane(k + 1.0), v, twice), d, -(Lane(2.0 * k + 3.0) * both) * after);
        after = d;
        d = now;
        if (k == n) at_n = d;
    }
    Lane y = bessel_of_first_orders<true>(size, 0) * (at_n / d);
    for (double k = 0.0; k < n; ++k) y = y * (Lane(2.0 * k + 1.0) * v);
    return select(x == x, select(abs(x) == Lane(infinity), Lane(0.0), y), x);
}

}  // namespace
}  // namespace kilograd::lanes
