// The logarithm of the beta function and its derivatives, of positive numbers.
#pragma once

#include "gamma.hpp"

namespace kilograd::lanes {
namespace {

KILOGRAD_INLINE Pair scaled(Pair x, Lane factor) { return {x.high * factor, x.low * factor}; }

// log_gamma(a) + log_gamma(b) - log_gamma(a + b), where a <= b, without what is large and cancels: the terms of
// Stirling's formula are put together for b and a + b from b = 9 on, and for all three where a is as large.
inline Lane log_beta(Lane x, Lane y) {
    const Lane zero(0.0), one(1.0), half(0.5), a = select(x < y, x, y), b = select(x < y, y, x);
    const Mask regular = (a > zero) & (b < Lane(infinity)), far = regular & (b >= Lane(expanded_to));
    const Mask both_far = regular & (a >= Lane(expanded_to));
    const Lane a_or_one = select(regular, a, one), b_or_one = select(regular, b, one);
    const Pair total = sum(b_or_one, a_or_one);
    Pair r = log_gamma_pair(select(both_far, one, a_or_one), zero);
    if (any(regular & ~far)) {
        const Lane s = select(far, one, total.high), t = one + s;
        const Pair of_b = log_gamma_pair(select(far, one, b_or_one), zero), of_s = log_gamma_pair(s, zero);
        // Some digits of digamma(s) are enough for what s lost.
        const Lane slope = log(t) - (half + Lane(1.0 / 12.0) / t) / t;
        const Pair y_near = sum(r, sum(of_b, -of_s));
        r = select(far, r, Pair{y_near.high, mul_add(-slope, total.low, y_near.low) + total.low / s});
    }
    if (any(far)) {
        const Lane p = select(far, a_or_one, one), q = select(far, b_or_one, Lane(16.0));
        // Products of large numbers are of scaled ones.
        const Mask large = q > Lane(large_operand);
        const Lane down = select(large, Lane(0x1p-128), one), up = select(large, Lane(0x1p+128), one);
        const Lane d = q * down, n = p * down, ratio = n / d, back = ratio * d;
        const Pair h = {ratio, ((n - back) - product_error(ratio, d, back)) / d};
        const Pair growth = log1p_pair(h), of_q = log_pair(q);
        const Lane stirling = stirling_rest(q) - stirling_rest(p + q);
        const Pair less = sum(p, Lane(-0.5));
        // log_gamma(q) - log_gamma(p + q)
        const Pair count = sum(q, less.high);
        const Pair grown = product(scaled({count.high, count.low + less.low}, down), scaled(growth, up));
        const Pair moved = product(Pair{select(both_far, one, p), zero}, of_q);
        const Pair fallen = sum(sum(Pair{p, zero}, -moved), -grown);
        Pair y_far = sum(r, fallen);
        y_far.low = y_far.low + stirling;
        if (any(both_far)) {
            const Pair of_ratio = sum(sum(log_pair(p), -of_q), -growth);
            const Pair main = product(scaled(less, down), of_ratio), rest = product(Pair{d, zero}, growth);
            const Pair terms = scaled(sum(main, -rest), up);
            const Pair last = sum(Pair{Lane(log_root_two_pi), Lane(log_root_two_pi_low)}, scaled(of_q, Lane(-0.5)));
            Pair both = sum(terms, last);
            both.low = both.low + (stirling + stirling_rest(p));
            both = select(abs(terms.high) < Lane(infinity), both, Pair{terms.high, zero});
            y_far = select(both_far, both, y_far);
        }
        r = select(far, y_far, r);
    }
    Lane result = r.high + r.low;
    result = select(a == zero, select(b == Lane(infinity), Lane(not_a_number), Lane(infinity)), result);
    result = select((a > zero) & (b == Lane(infinity)), Lane(-infinity), result);
    return select((x >= zero) & (y >= zero), result, Lane(not_a_number));
}

// P(u**2) and (P(u**2) - P(v**2)) / (u**2 - v**2).
template <int N>
KILOGRAD_INLINE Lane divided_difference(Lane u2, Lane v2, const double (&c)[N], Lane& value) {
    Lane r(c[N - 1]), difference = r;
    KILOGRAD_UNROLL
    for (int k = N - 2; k > 0; --k) {
        r = mul_add(r, u2, Lane(c[k]));
        difference = mul_add(difference, v2, r);
    }
    value = mul_add(r, u2, Lane(c[0]));
    return difference;
}

// Of digamma (order 0) and its derivative (1) what is left at a of what is there at a + b: digits hold however near the
// two are. By the recurrence a is brought to 9, where the series of the two are subtracted term by term: all terms have
// one sign.
template <int order>
Lane polygamma_gap(Lane a, Lane b) {
    const Lane zero(0.0), one(1.0), half(0.5), first(expanded_to), large(large_operand);
    const Mask regular = (a > Lane(order == 0 ? 0x1p-900 : 0x1p-480)) & (a < large) & (b >= zero) & (b < large);
    const Lane start = select(regular, a, first), gap = select(regular, b, one);
    // The last is as far up as it takes.
    const Lane steps = select(start < first, -floor(start - first), zero);
    const Pair x = sum(start, steps), y = sum(x, {gap, zero}), u = reciprocal(x), v = reciprocal(y);
    const Pair ahead = product({gap, zero}, u), apart = product(ahead, v);
    const Lane u2 = u.high * u.high, v2 = v.high * v.high, both = u.high + v.high;
    Pair total;
    if constexpr (order == 0) {
        Lane value;
        const Lane series = divided_difference(u2, v2, digamma_coefficients, value);
        const Lane logarithm = log1p(ahead.high), lost = ahead.low / (one + ahead.high);
        total = fast_sum(logarithm, mul_add(apart.high, mul_add(both, mul_add(v2, series, value), half), lost));
    } else {
        Lane value;
        const Lane series = divided_difference(u2, v2, trigamma_coefficients, value);
        const Lane at_v = mul_add(v2 - u2, series, value), cubes = mul_add(u.high, both, v2);
        const Lane more = mul_add(half, both, mul_add(cubes, at_v, u2 * u.high * both * series));
        total = fast_sum(apart.high, mul_add(apart.high, more, apart.low));
    }
    if (any(steps > zero))
        for (int k = 8; k >= 0; --k) {
            const Pair at = sum(start, Lane(double(k))), above = sum(at, {gap, zero});
            const Pair p = reciprocal(at), q = reciprocal(above), term = product(product({gap, zero}, q), p);
            const Pair next = sum(total, order == 0 ? term : product(term, sum(p, q)));
            total = select(Lane(double(k)) < steps, next, total);
        }
    const Lane sum = total.high + total.low;
    Lane result = order == 0 ? -sum : sum;
    if (any(~regular)) {  // the largest terms alone
        a = a + zero;     // as a positive zero
        const Lane above = a + b, direct = b / above / a;
        const Lane of_small = order == 0 ? -direct : direct * (one / a + one / above);
        const Lane of_large = order == 0 ? -log1p(b / a) : direct;
        const Lane of_one = order == 0 ? digamma(a) - log(b) : trigamma(a);
        const Lane other = select(a < one, of_small, select(a > Lane(0x1p+60), of_large, of_one));
        result = select(regular, result, select((a < one) & (b >= large), of_one, other));
    }
    return select((a >= zero) & (b >= zero), result, Lane(not_a_number));
}
inline Lane digamma_gap(Lane a, Lane b) { return polygamma_gap<0>(a, b); }
inline Lane trigamma_gap(Lane a, Lane b) { return polygamma_gap<1>(a, b); }

}  // namespace
}  // namespace kilograd::lanes
