// log(gamma(x)), its derivatives, the gamma and the beta function.
//
// Small numbers are expanded about the nearest of sixteen centres, among them 1, 2 and the root of digamma: so relative
// errors hold at these zeros. From 9 on it is Stirling's formula, and for negative numbers Euler's reflection. All is
// done by pairs, of which the sums are rounded once, at the end: where they cancel, at the zeros of negative numbers
// and of log_beta(), what is left has the error of a rounding of 2**-60 of the terms.
#pragma once

#include "../special.hpp"
#include "each.hpp"
#include "exponential.hpp"
#include "gamma_tables.hpp"
#include "trigonometric.hpp"

namespace kilograd::lanes {
namespace {

inline constexpr double expanded_from = 0.5625, expanded_to = 9.0;  // where the tables hold

// x + shift, shift being 0 or 1, x >= 0, as distance from a centre: exact, since the centre is near x too.
struct Centre {
    Lane t;
    Bits index;
};
KILOGRAD_INLINE Centre nearest_centre(Lane x, Lane shift, Lane at_three_halves, Lane low) {
    const Bits half_way = bits(x + shift) + (std::uint64_t{1} << 49);
    const Lane c = lane(half_way & ~((std::uint64_t{1} << 50) - 1));
    const Mask third = c == Lane(1.5);
    const Lane t = x - (select(third, at_three_halves, c) - shift);
    return {select(third, t - low, t), (half_way >> 50) - std::uint64_t{0x3fe4000000000000u >> 50}};
}
KILOGRAD_INLINE Centre nearest_centre(Lane x, Lane shift) { return nearest_centre(x, shift, Lane(1.5), Lane(0.0)); }

template <int N>
KILOGRAD_INLINE Pair expansion(Centre at, const double (&table)[N][16]) {
    const Lane t = at.t;
    Lane rest = lookup(table[N - 1], at.index);
    KILOGRAD_UNROLL
    for (int k = N - 2; k >= 4; --k) rest = mul_add(rest, t, lookup(table[k], at.index));
    const Pair linear = product(lookup(table[1], at.index), t);
    const Pair y = sum(lookup(table[0], at.index), linear.high);
    const Lane low = mul_add(t, lookup(table[3], at.index), lookup(table[2], at.index));
    return {y.high, y.low + mul_add(t * t, rest, linear.low + low)};
}

// x times what Stirling's formula lacks of log(gamma(x)), and x**2 times what log(x) - 1 / (2 x) has more than
// digamma(x), x / z times what trigamma(x) has more than 1 / x + z / 2: in z = 1 / x**2, x >= 9, absolute errors below
// 5e-18, 5e-18 and 1e-17.
inline constexpr double stirling_coefficients[] = {
    0x1.5555555555555p-4,  -0x1.6c16c16c16344p-9,  0x1.a01a0194e5371p-11, -0x1.38136bc9c5210p-11,
    0x1.b93e423d82af7p-11, -0x1.f201587f8597cp-10, 0x1.5bf021843d989p-8};
inline constexpr double digamma_coefficients[] = {0x1.5555555555555p-4,  -0x1.111111110f100p-7, 0x1.041040efb0215p-8,
                                                  -0x1.1110ea10375f1p-8, 0x1.f058574f2b2acp-8,  -0x1.55522855d256ep-6,
                                                  0x1.12ec4946ab5f6p-4};
inline constexpr double trigamma_coefficients[] = {0x1.5555555555555p-3,  -0x1.1111111110da3p-5, 0x1.861861833c152p-6,
                                                   -0x1.11110d6a682b0p-5, 0x1.364b46311a2fcp-4,  -0x1.02ca6424e8adfp-2,
                                                   0x1.20bd6f4591531p+0,  -0x1.3eeaac8b39094p+2};

KILOGRAD_INLINE Lane stirling_rest(Lane x) {
    const Lane inverse = Lane(1.0) / x;
    return inverse * polynomial(inverse * inverse, stirling_coefficients);
}

inline constexpr double log_root_two_pi = 0x1.d67f1c864beb5p-1, log_root_two_pi_low = -0x1.65b5a1b7ff5dfp-55;
inline constexpr double log_pi = 0x1.250d048e7a1bdp+0, log_pi_low = 0x1.7abf2ad8d5088p-57;
inline constexpr double large_operand = 0x1p+900;  // from there on products are of scaled numbers

// log(gamma(x + shift)) for shift = 0 or 1 and x + shift > 0, times 2**-100 where x is beyond large_operand.
KILOGRAD_INLINE Pair log_gamma_pair(Lane x, Lane shift) {
    const Lane y = x + shift, one(1.0);
    const Mask small = y < Lane(expanded_from), far = y >= Lane(expanded_to);
    Pair r = expansion(nearest_centre(x, select(small, one, shift)), log_gamma_table);
    if (!any(small | far)) return r;
    const Lane y_low = x - (y - shift);
    const Pair logarithm = log_pair(select(small | far, y, one));
    const Pair from_one = fast_sum(-logarithm.high, r.high);
    r = select(small, Pair{from_one.high, from_one.low + (r.low - logarithm.low)}, r);
    // (y - 1/2) log y - y + log(2 pi) / 2 + ...
    const Lane factor = select(y > Lane(large_operand), Lane(0x1p-100), one), less = factor * (y - Lane(0.5));
    const Pair main = product(less, logarithm.high);
    const Pair first = fast_sum(main.high, -factor * y);
    const Lane lows =
        mul_add(less, logarithm.low, main.low + first.low) + mul_add(y_low, logarithm.high, stirling_rest(y));
    const Pair second = fast_sum(first.high, Lane(log_root_two_pi));
    const Pair stirling = fast_sum(second.high, second.low + (lows + Lane(log_root_two_pi_low)));
    return select(far, stirling, r);
}

// sin(pi r) and cos(pi r), |r| <= 1/2.
KILOGRAD_INLINE void of_half_turns(Lane r, Pair& sine, Pair& cosine) {
    const Pair angle = product(r, Lane(pi));
    const Lane angle_low = mul_add(r, Lane(pi_low), angle.low);
    const Turn t = turn(angle.high);
    const Mask odd = has_bits(t.quadrant, 1);
    const Lane sign = select(has_bits(t.quadrant, 2), Lane(-1.0), Lane(1.0));
    const Lane s = sign * select(odd, t.cosine, t.sine), s_low = sign * select(odd, t.cosine_low, t.sine_low);
    const Lane c = sign * select(odd, -t.sine, t.cosine), c_low = sign * select(odd, -t.sine_low, t.cosine_low);
    sine = fast_sum(s, mul_add(angle_low, c, s_low));
    cosine = fast_sum(c, mul_add(-angle_low, s, c_low));
}

// log|gamma(x)|, scaled as above: infinite at the poles.
KILOGRAD_INLINE Pair log_gamma_of(Lane x) {
    const Lane a = abs(x), one(1.0), zero(0.0);
    const Mask negative = x < Lane(-0x1p-200);  // nearer to 0 it is -log(a), and pi a might be subnormal
    Pair r = log_gamma_pair(a, select(negative, one, zero));
    if (any(negative)) {  // pi / (sin(pi a) gamma(1 + a))
        Pair sine, cosine;
        const Lane fraction = abs(a - rint(a));
        of_half_turns(fraction, sine, cosine);
        Pair logarithm = log_pair(select(fraction > zero, sine.high, one));
        logarithm.low = logarithm.low + select(fraction > zero, sine.low / sine.high, zero);
        const Pair reflected = sum(sum(Pair{Lane(log_pi), Lane(log_pi_low)}, -logarithm), -r);
        r = select(negative, select(fraction == zero, Pair{Lane(infinity), zero}, reflected), r);
    }
    return {select(a == zero, Lane(infinity), r.high), r.low};
}

inline Lane log_gamma(Lane x) {
    const Pair r = log_gamma_of(x);
    const Lane y = r.high + select(abs(r.high) < Lane(infinity), r.low, Lane(0.0));
    return select(abs(x) < Lane(infinity), select(x > Lane(large_operand), y * Lane(0x1p+100), y), x);
}

// Below -2**51 all numbers are whole, and poles.
inline Lane tgamma(Lane x) {
    const Lane zero(0.0), one(1.0);
    const Pair r = log_gamma_of(x);
    const Lane high = clamp(r.high, -746.0, 710.0);
    Lane y = times_exp({one, zero}, {high, select(high == r.high, r.low, zero)}).high;
    y = select(x > Lane(200.0), Lane(infinity), y);
    const Lane lowest = floor(x), half = lowest * Lane(0.5);
    y = select((x < zero) & (floor(half) != half), -y, y);
    y = select((x < zero) & (lowest == x), Lane(not_a_number), y);
    return select(x == zero, one / x, select(x == x, y, x));
}

inline constexpr double digamma_root = 0x1.762d86356be3fp+0, digamma_root_low = 0x1.b86a722197829p-54;

inline Lane digamma(Lane x) {
    const Lane a = abs(x), one(1.0), zero(0.0);
    const Mask negative = x < zero;
    const Lane shift = select(negative, one, zero), y = a + shift;
    const Mask small = y < Lane(expanded_from), far = y >= Lane(expanded_to);
    Pair r = expansion(nearest_centre(a, select(small, one, shift), Lane(digamma_root), Lane(digamma_root_low)),
                       digamma_table);
    if (any(small | far)) {
        const Lane inverse = one / select(small, x, y), z = inverse * inverse;
        const Lane less = mul_add(z, polynomial(z, digamma_coefficients), Lane(0.5) * inverse);
        const Pair logarithm = log_pair(select(far, y, one));
        const Pair series = fast_sum(logarithm.high, -less);
        const Lane low = series.low + mul_add(a - (y - shift), inverse, logarithm.low);
        r = select(far, Pair{series.high, low}, r);
        r = select(small, sum(-reciprocal({select(small, x, one), zero}), r), r);
    }
    if (any(negative)) {  // pi cot(pi a) more
        Pair sine, cosine;
        const Lane fraction = a - rint(a);
        of_half_turns(fraction, sine, cosine);
        const Pair above = product(cosine, Pair{Lane(pi), Lane(pi_low)});
        r = select(negative, sum(ratio(above, sine), r), r);
        r.high = select(negative & (fraction == zero), Lane(not_a_number), r.high);
    }
    const Lane sum = r.high + select(abs(r.high) < Lane(infinity), r.low, zero);
    return select(x == Lane(infinity), x, select(a < Lane(0x1p-200), -one / x, sum));
}

// Infinite at the poles, where it comes from both sides.
inline Lane trigamma(Lane x) {
    const Lane a = abs(x), one(1.0), zero(0.0), half(0.5);
    const Mask negative = x < zero;
    const Lane shift = select(negative, one, zero), y = a + shift;
    const Mask small = y < Lane(expanded_from), far = y >= Lane(expanded_to);
    Pair r = expansion(nearest_centre(a, select(small, one, shift)), trigamma_table);
    if (any(small | far)) {
        const Lane operand = select(small, a, y), inverse = one / operand, z = inverse * inverse;
        const Lane lost = (one - inverse * operand) - product_error(inverse, operand, inverse * operand);
        const Pair series = fast_sum(inverse, mul_add(half, z, inverse * z * polynomial(z, trigamma_coefficients)));
        r = select(far, Pair{series.high, mul_add(inverse, lost, series.low)}, r);
        const Pair square = sum(z, r.high);
        const Lane low = mul_add(z, lost + lost, product_error(inverse, inverse, z)) + (square.low + r.low);
        r = select(small, Pair{square.high, select(z < Lane(large_operand), low, zero)}, r);
    }
    if (any(negative)) {
        Pair sine, cosine;
        const Lane fraction = abs(a - rint(a));
        of_half_turns(fraction, sine, cosine);
        const Pair above = product(Pair{Lane(pi), Lane(pi_low)}, Pair{Lane(pi), Lane(pi_low)});
        r = select(negative, sum(ratio(above, product(sine, sine)), -r), r);
        r.high = select(negative & (fraction == zero), Lane(infinity), r.high);
    }
    Lane sum = r.high + select(abs(r.high) < Lane(infinity), r.low, zero);
    sum = select(x > Lane(large_operand), one / x, sum);
    sum = select(a < Lane(0x1p-500), one / a / a, sum);
    return select(x == Lane(infinity), zero, select(a == Lane(infinity), Lane(infinity), sum));
}

inline Lane polygamma(Lane x, Lane order) {
    const double n = get(order, 0);
    return n == 0.0 ? digamma(x) : n == 1.0 ? trigamma(x) : each(scalar::polygamma, x, order);
}

}  // namespace
}  // namespace kilograd::lanes
