// The error functions, the normal distribution and its inverse.
#pragma once

#include "../special.hpp"
#include "each.hpp"
#include "exponential.hpp"

namespace kilograd::lanes {
namespace {

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

// 1 / (a + 1) for 15/32 <= a <= 28: 0.75 of it, what that lost as part of it, and the variable of the expansions.
struct Far {
    Lane q, q_low, t, t_low;
};
KILOGRAD_INLINE Far far_of(Lane a, Lane a_low) {
    const Lane one(1.0);
    const Lane d = a + one, part = d - a;
    const Lane d_low = (a - (d - part)) + (one - part) + a_low;
    const Lane q = Lane(0.75) / d;
    const Lane p = q * d;
    const Lane q_low = Lane(1.0 / 0.75) * (((Lane(0.75) - p) - product_error(q, d, p)) - q * d_low);
    const Lane twice = q + q, t = Lane(0.5) - twice;
    return {q, q_low, t, ((Lane(0.5) - t) - twice) - twice * q_low};
}

// erfc(a) exp(a**2) for a + a_low, 15/32 <= a <= 28: q (1 + w) with q = 0.75 / (a + 1).
KILOGRAD_INLINE Pair erfcx_far(Lane a, Lane a_low) {
    const Far at = far_of(a, a_low);
    const Lane slope = polynomial(at.t, erfc_coefficients);
    const Lane w = mul_add(at.t, slope, mul_add(at.t_low, slope, at.q_low) + Lane(erfc_first));
    const Lane g = mul_add(at.q, w, at.q);
    return {g, mul_add(at.q, w, at.q - g)};
}

// erfc of the same, down to the smallest double. The square comes with what it lost: what the functions of q, t and
// a**2 would magnify is made good, their roundings.
KILOGRAD_INLINE Lane erfc_far(Lane a, Lane a_low, Lane square, Lane square_low) {
    return times_exp(erfcx_far(a, a_low), {-square, -square_low}).high;
}

// Up to 15/32 erf is below 1/2, so that 1 - erf loses nothing; from there on 2 - erfc(-x) is as good.
inline Lane erfc(Lane x) {
    const Lane a = abs(x), bounded = least(Lane(28.0), a), square = bounded * bounded;
    const Lane far = erfc_far(bounded, Lane(0.0), square, product_error(bounded, bounded, square));
    const Lane near = mul_add(x, polynomial(x * x, erf_coefficients), x);
    return select(a < Lane(0.46875), Lane(1.0) - near, select(x < Lane(0.0), Lane(2.0) - far, far));
}

inline constexpr double root_half = 0x1.6a09e667f3bcdp-1, root_half_low = -0x1.bdd3413b26456p-55;

// erfc(-x / sqrt(2)) / 2: the square of the quotient is x**2 / 2, which loses nothing but in x**2.
inline Lane ndtr(Lane x) {
    const Lane a = abs(x), half(0.5), root_half_high(root_half), bounded = least(Lane(39.0), a);
    const Lane square = bounded * bounded, square_low = product_error(bounded, bounded, square);
    const Lane z = bounded * root_half_high;
    const Lane z_low = mul_add(bounded, Lane(root_half_low), product_error(bounded, root_half_high, z));
    const Lane far = half * erfc_far(z, z_low, half * square, half * square_low);
    const Lane near = half * mul_add(z, polynomial(z * z, erf_coefficients), z);
    return select(z < Lane(0.46875), half + copy_sign(near, x), select(x < Lane(0.0), far, Lane(1.0) - far));
}

// In 1 / a**2, a >= 28: a sqrt(pi) exp(a**2) erfc(a), and 2 a**2 (1 - that), which asymptotic series give to 1e-18.
inline constexpr double erfcx_farther[] = {1.0, -0.5, 0.75, -1.875, 6.5625, -29.53125, 162.421875, -1055.7421875};
inline constexpr double erfcx_slope_farther[] = {1.0,     -1.5,       3.75,        -13.125,
                                                 59.0625, -324.84375, 2111.484375, -15836.1328125};
inline constexpr double inverse_root_pi = 0x1.20dd750429b6dp-1, inverse_root_pi_low = 0x1.1ae3a914fed80p-57;

// exp(x**2) erfc(x). Up to 15/32 it is exp(x**2) less the same of erf, for negative numbers twice that less erfcx(-x).
KILOGRAD_INLINE Pair erfcx_pair(Lane x) {
    const Lane a = abs(x), one(1.0), two(2.0), zero(0.0);
    const Mask near = a < Lane(0.46875), left = x < zero;
    Pair r = erfcx_far(clamp(a, 0.46875, 28.0), zero);
    if (any(near | left)) {
        const Lane bounded = select(near | left, least(a, Lane(26.7)), zero);
        const Pair square = product(bounded, bounded);
        const Pair e = times_exp({one, zero}, square);
        const Lane erf = mul_add(x, polynomial(square.high, erf_coefficients), x);
        const Pair less = sum(e.high, -(e.high * erf)), twice = {e.high + e.high, e.low + e.low};
        const Pair mirrored = sum(twice.high, -r.high);
        r = select(near, Pair{less.high, less.low + e.low},
                   select(left, Pair{mirrored.high, mirrored.low + (twice.low - r.low)}, r));
    }
    const Mask far = x > Lane(28.0);
    if (any(far)) {
        const Mask farthest = x > Lane(0x1p+100);  // where it is the first term
        const Lane bounded = select(far & ~farthest, x, one), inverse = one / bounded;
        const Pair above = product(Lane(inverse_root_pi), polynomial(inverse * inverse, erfcx_farther));
        r = select(far, ratio({above.high, above.low + Lane(inverse_root_pi_low)}, {bounded, zero}), r);
        r = select(farthest, Pair{Lane(inverse_root_pi) / x, zero}, r);
    }
    return r;
}

// (4 (a + 1) / 3)**2 times half the negative slope of exp(a**2) erfc(a), in the variable of erfcx_far: interpolation at
// Chebyshev's points, relative error 3e-17.
inline constexpr double erfcx_slope_first = 0x1.b57034efd3f72p-1, erfcx_slope_first_low = 0x1.2b259c9bfba76p-55;
inline constexpr double erfcx_slope_coefficients[] = {
    -0x1.30ef87bd2759ep-1, -0x1.df2a201da966dp-2, 0x1.22b58d5dfc5d8p-2,  0x1.07195285f6038p-1,  0x1.a575c8aff8185p-4,
    -0x1.994cf6d41c73fp-2, -0x1.ec7536fce29e7p-2, -0x1.43a3517e76298p-4, 0x1.c880025f5246ap-2,  0x1.450c28dcfd2bap-1,
    0x1.21490d2dd7f0dp-2,  -0x1.a08904432a65ap-2, -0x1.e02cf675daadap-1, -0x1.afb4a302f9beep-1, -0x1.ea0754b84246ep-7,
    0x1.230eb2f29d633p+0,  0x1.d3628a730b7c7p+0,  0x1.6603d3ea24980p+0,  -0x1.8a651f04635a9p-4, -0x1.24bb9558e66d7p+1,
    -0x1.41ef2c5f344fdp+2, -0x1.673146f4f519ep+2, 0x1.013ec122420a9p+1,  0x1.c119b77e8e4c5p+3,  0x1.7cea7a2a0cd9dp+3,
    -0x1.80820253bd164p+2, -0x1.b9e318bb76a85p+3, -0x1.45c35d1b6048cp+2, 0x1.2d7ac6374614dp-1};

// Half the negative slope of exp(x**2) erfc(x), which is 1 / sqrt(pi) less x times it.
KILOGRAD_INLINE Lane erfcx_slope(Lane x) {
    const Lane one(1.0), zero(0.0);
    const Far at = far_of(clamp(x, 0.46875, 28.0), zero);
    const Lane slope = polynomial(at.t, erfcx_slope_coefficients);
    const Pair g =
        fast_sum(Lane(erfcx_slope_first), mul_add(at.t, slope, mul_add(at.t_low, slope, Lane(erfcx_slope_first_low))));
    const Pair square = product(at.q, at.q),
               scaled = product(g, {square.high, mul_add(at.q_low + at.q_low, square.high, square.low)});
    Lane y = scaled.high;
    const Mask near = x < Lane(0.46875);
    const Mask far = x > Lane(28.0);
    if (any(near)) {
        // Products of large numbers are of scaled ones.
        const Mask large = x < Lane(-16.0);
        const Lane down = select(large, Lane(0x1p-128), one), up = select(large, Lane(0x1p+128), one);
        const Pair whole = erfcx_pair(x), part = product({whole.high * down, whole.low * down}, Pair{x, zero});
        const Pair less = sum(down * Lane(inverse_root_pi), -part.high);
        const Lane low = less.low + mul_add(down, Lane(inverse_root_pi_low), -part.low);
        y = select(near, select(whole.high < Lane(infinity), up * (less.high + low), Lane(infinity)), y);
    }
    if (any(far)) {
        const Mask farthest = x > Lane(0x1p+100);
        const Lane bounded = select(far & ~farthest, x, one), inverse = one / bounded;
        const Pair above = product(Lane(0.5 * inverse_root_pi), polynomial(inverse * inverse, erfcx_slope_farther));
        y = select(far, quotient(above.high, above.low, bounded, zero) / bounded, y);
        y = select(farthest, Lane(0.5 * inverse_root_pi) / x / x, y);
    }
    return y;
}

// Of order 0 and 1 here; of others number by number.
inline Lane erfcx(Lane x, Lane order) {
    const double n = get(order, 0);
    if (n != 0.0 && n != 1.0) return each(scalar::erfcx, x, order);
    Lane y;
    if (n == 0.0) {
        const Pair r = erfcx_pair(x);
        y = r.high + select(r.high < Lane(infinity), r.low, Lane(0.0));
    } else {
        y = erfcx_slope(x);
    }
    y = select(x < Lane(-26.7), Lane(infinity), y);
    return select(x == x, y, x);
}

// Of ndtri(1/2 + q) / q - 5/2 numerator and denominator in 0.14 - q**2, |q| <= 0.374; of sqrt(2) r + ndtri(exp(-r**2))
// the same in r - 1.4375 up to r = 6, and in r - 6 up to 27.4. Relative errors of ndtri 6e-18, 7e-17 and 3e-17.
inline constexpr double central_above[] = {0x1.20945c4983502p-1,   0x1.34e9d5a15ef79p+3,   0x1.ac5f942276da5p+4,
                                           -0x1.6076e89324cd3p+8,  -0x1.42ffcae9cb0cbp+11, -0x1.777a9bd102330p+12,
                                           -0x1.355dd15bb1996p+12, -0x1.f072196272096p+9};
inline constexpr double central_below[] = {1.0,
                                           0x1.c5a8698f670d7p+4,
                                           0x1.387a5da17132fp+8,
                                           0x1.a6e3aa086c00bp+10,
                                           0x1.24ad273d63444p+12,
                                           0x1.87b7f84426477p+12,
                                           0x1.aad9f3e753320p+11,
                                           0x1.e0b6506c26e67p+8};
inline constexpr double tail_above[] = {
    0x1.c7f1669b6ce22p-1, 0x1.ec4cbb42f5837p+0, 0x1.b24c824ec9930p+0,  0x1.987b57bb7ab79p-1,  0x1.bb06d22bc4af3p-3,
    0x1.1190bf2e148d8p-5, 0x1.60b60015ad86fp-9, 0x1.8f53b766517dbp-14, 0x1.133f7ae18d72bp-20, 0x1.1a7b9eb3bc202p-31};
inline constexpr double tail_below[] = {1.0,
                                        0x1.451034add8113p+1,
                                        0x1.59181e7a9dbfep+1,
                                        0x1.90a289df3f799p+0,
                                        0x1.15eafe74a96bbp-1,
                                        0x1.d402994276cd0p-4,
                                        0x1.cb0d52e358593p-7,
                                        0x1.da53fc9a26846p-11,
                                        0x1.abaedf9772757p-16,
                                        0x1.bd459d836fe00p-23};
inline constexpr double far_tail_above[] = {0x1.757067ddf79d2p-2,  0x1.4ebd5e6b13c97p-3,  0x1.c57236532035fp-6,
                                            0x1.25391b5c7547dp-9,  0x1.7a8fa209204acp-14, 0x1.d34ef77e21d2dp-20,
                                            0x1.e0b1bd29fdb33p-27, 0x1.2392b74265aa0p-35, 0x1.c54b9099bd49fp-49};
inline constexpr double far_tail_below[] = {1.0,
                                            0x1.208233129aac3p-1,
                                            0x1.016e936666bd4p-3,
                                            0x1.d0c51ed52c787p-7,
                                            0x1.c36f8c895e0a5p-11,
                                            0x1.d1c7f790cec4ep-16,
                                            0x1.da372985401c5p-22,
                                            0x1.947961a66aee7p-29,
                                            0x1.85bf1efa12e64p-38};

KILOGRAD_INLINE Lane ndtri_tail(Lane p) {
    const Pair logarithm = log_pair(p);
    const Lane size = -logarithm.high, r = sqrt(size), square = r * r;
    const Lane r_low = (((size - square) - product_error(r, r, square)) - logarithm.low) / (r + r);
    const Mask far = r > Lane(6.0);
    const Lane u = r - Lane(1.4375);
    Lane less = polynomial(u, tail_above) / polynomial(u, tail_below);
    if (any(far)) {
        const Lane v = r - Lane(6.0);
        less = select(far, polynomial(v, far_tail_above) / polynomial(v, far_tail_below), less);
    }
    const Lane root_two(0x1.6a09e667f3bcdp+0), root_two_low(-0x1.bdd3413b26456p-54);
    const Pair main = product(r, root_two), y = sum(less, -main.high);
    return y.high + (y.low - mul_add(r_low, root_two, mul_add(r, root_two_low, main.low)));
}

inline Lane ndtri(Lane p) {
    const Lane half(0.5), one(1.0), zero(0.0), q = p - half;
    const Mask tail = abs(q) > Lane(0.374);
    const Lane z = Lane(0.14) - q * q;
    Lane y = q * (Lane(2.5) + polynomial(z, central_above) / polynomial(z, central_below));
    if (any(tail)) {
        const Lane outer = select(q > zero, one - p, p);  // without a rounding
        y = select(tail, copy_sign(ndtri_tail(select(tail & (outer > zero), outer, Lane(0.1))), q), y);
    }
    y = select((p == zero) | (p == one), copy_sign(Lane(infinity), q), y);
    return select((p >= zero) & (p <= one), y, Lane(not_a_number));
}

}  // namespace
}  // namespace kilograd::lanes
