// What a row schedule computes: one row at a time.
//
// Cheap ops run as scalar loops, one dispatch a run; the others are gathered into vectors, `chunk` at a time, and so
// cost what they cost in a batch. The scalar loops are written by hand: instantiating a Rule for double here would
// leave the linker a choice between the copies of several instruction sets. Internal linkage, as in lane.hpp.
#pragma once

#include "block_kernels.hpp"

namespace kilograd::program {
namespace {

inline constexpr std::uint32_t chunk = 64;

// The operands of nodes begin ... begin + count, and copies of the last up to a whole vector; returns that length.
std::uint32_t gather(const std::uint32_t* from, const double* values, std::uint32_t count, double* to) {
    for (std::uint32_t k = 0; k < count; ++k) to[k] = values[from[k]];
    std::uint32_t padded = count;
    for (; padded % width != 0; ++padded) to[padded] = to[count - 1];
    return padded;
}

// A node by itself, in all lanes, of which one counts: what was just written as a number is read as one. (A vector
// gathered from such numbers has to wait for them to leave the store buffer.)
template <Code code>
bool forward_one(const RowCode& s, std::uint32_t i, double* v) {
    const Lane a(v[s.a[i]]), b(info(code).arity == Arity::Binary ? v[s.b[i]] : 0.0);
    const Lane y = value_at<code>(a, b, Lane(s.c[i]));
    v[i] = get(y, 0);
    if constexpr (is_total(code))
        return false;
    else
        return any(suspicious<code>(a, b, y));
}
template <Code code>
void reverse_one(const RowCode& s, std::uint32_t i, const double* v, double* d) {
    constexpr bool binary = info(code).arity == Arity::Binary;
    const double dy = d[i];
    if constexpr (is_step(code)) return;
    if constexpr (code == Code::gate || code == Code::enter) {
        d[s.b[i]] += v[s.a[i]] == 0.0 ? 0.0 : dy;
        return;
    }
    const Lane a(v[s.a[i]]), b(binary ? v[s.b[i]] : 0.0), c(s.c[i]), y(v[i]);
    d[s.a[i]] += get(Rule<code>::template da<Lane>(a, b, c, y), 0) * dy;
    if constexpr (binary) d[s.b[i]] += get(Rule<code>::template db<Lane>(a, b, c, y), 0) * dy;
}

using ForwardOne = bool (*)(const RowCode&, std::uint32_t, double*);
using ReverseOne = void (*)(const RowCode&, std::uint32_t, const double*, double*);
constexpr ForwardOne forward_one_of[] = {nullptr, nullptr, nullptr,
#define KILOGRAD_OP(name, label, arity, edge, value, da, db, doc) forward_one<Code::name>,
#include "../../ops.def"
#include "../reduced_ops.def"
#undef KILOGRAD_OP
                                         nullptr};
constexpr ReverseOne reverse_one_of[] = {nullptr, nullptr, nullptr,
#define KILOGRAD_OP(name, label, arity, edge, value, da, db, doc) reverse_one<Code::name>,
#include "../../ops.def"
#include "../reduced_ops.def"
#undef KILOGRAD_OP
                                         nullptr};

inline constexpr std::uint32_t few = width < 2 ? 0 : 2;  // as many by themselves

bool row_forward_gathered(const RowCode& s, const Run& run, double* v) {
    if (run.count <= few) {
        bool suspects = false;
        for (std::uint32_t i = run.begin; i < run.begin + run.count; ++i)
            suspects |= forward_one_of[index_of(run.code)](s, i, v);
        return suspects;
    }
    alignas(64) double a[chunk], b[chunk];
    const bool binary = info(run.code).arity == Arity::Binary;
    const Forward kernel = forward_of<Lane>(index_of(run.code));
    bool suspects = false;
    for (std::uint32_t done = 0; done < run.count; done += chunk) {
        const std::uint32_t begin = run.begin + done, count = run.count - done < chunk ? run.count - done : chunk;
        const std::uint32_t padded = gather(s.a + begin, v, count, a);
        if (binary) gather(s.b + begin, v, count, b);
        suspects |= kernel({v + begin, a, b, s.c[begin], width, width, static_cast<Size>(padded)});
    }
    return suspects;
}

void row_reverse_gathered(const RowCode& s, const Run& run, const double* v, double* adjoints) {
    if (run.count <= few) {
        for (std::uint32_t i = run.begin + run.count; i-- > run.begin;)
            reverse_one_of[index_of(run.code)](s, i, v, adjoints);
        return;
    }
    alignas(64) double a[chunk], b[chunk], y[chunk], dy[chunk], da[chunk], db[chunk];
    const bool binary = info(run.code).arity == Arity::Binary;
    const Reverse kernel = reverse_of<Lane>(index_of(run.code));
    for (std::uint32_t done = 0; done < run.count; done += chunk) {
        const std::uint32_t begin = run.begin + done, count = run.count - done < chunk ? run.count - done : chunk;
        const std::uint32_t padded = gather(s.a + begin, v, count, a);
        if (binary) gather(s.b + begin, v, count, b);
        for (std::uint32_t k = 0; k < padded; ++k) {
            const std::uint32_t from = begin + (k < count ? k : count - 1);
            y[k] = v[from];
            dy[k] = adjoints[from];
        }
        ReverseArguments arguments{
            {y, a, b, s.c[begin], width, width, static_cast<Size>(padded)}, dy, da, binary ? db : nullptr, true, true};
        kernel(arguments);
        for (std::uint32_t k = 0; k < count; ++k) adjoints[s.a[begin + k]] += da[k];
        if (binary)
            for (std::uint32_t k = 0; k < count; ++k) adjoints[s.b[begin + k]] += db[k];
    }
}

bool finite(double x) { return __builtin_fabs(x) < infinity; }

bool row_forward(const RowCode& s, double* v) {
    bool suspects = false;
    for (const Run *run = s.runs, *last = s.runs + s.run_count; run != last; ++run) {
        const std::uint32_t begin = run->begin, end = begin + run->count;
        const std::uint32_t *a = s.a, *b = s.b;
        switch (run->code) {
            case Code::add:
                for (std::uint32_t i = begin; i < end; ++i) v[i] = v[a[i]] + v[b[i]];
                break;
            case Code::sub:
                for (std::uint32_t i = begin; i < end; ++i) v[i] = v[a[i]] - v[b[i]];
                break;
            case Code::mul:
                for (std::uint32_t i = begin; i < end; ++i) v[i] = v[a[i]] * v[b[i]];
                break;
            case Code::scale:
                for (std::uint32_t i = begin; i < end; ++i) v[i] = v[a[i]] * s.c[i];
                break;
            case Code::offset:
                for (std::uint32_t i = begin; i < end; ++i) v[i] = v[a[i]] + s.c[i];
                break;
            case Code::relu:
                for (std::uint32_t i = begin; i < end; ++i) v[i] = v[a[i]] < 0.0 ? 0.0 : v[a[i]];
                break;
            case Code::square:
                for (std::uint32_t i = begin; i < end; ++i) {
                    const double x = v[a[i]];
                    v[i] = x * x;
                    suspects |= !finite(v[i]) && finite(x);
                }
                break;
            case Code::div:
                for (std::uint32_t i = begin; i < end; ++i) {
                    const double x = v[b[i]];
                    v[i] = v[a[i]] / x;
                    suspects |= __builtin_fabs(x) <= 0x1p-1024;
                }
                break;
            case Code::reciprocal:
                for (std::uint32_t i = begin; i < end; ++i) {
                    const double x = v[a[i]];
                    v[i] = 1.0 / x;
                    suspects |= __builtin_fabs(x) <= 0x1p-1024;
                }
                break;
            case Code::dot:
                if (run->fused == Fused::Add) {
                    for (std::uint32_t i = begin; i < end; ++i) v[i] = mul_add(v[a[i]], v[b[i]], v[s.d[i]]);
                    break;
                }
                if (run->fused == Fused::Subtract) {
                    for (std::uint32_t i = begin; i < end; ++i) v[i] = mul_add(v[a[i]], v[b[i]], -v[s.d[i]]);
                    break;
                }
                for (std::uint32_t i = begin; i < end; ++i) {
                    // Two sums, since one is bound by the latency of its additions.
                    double even = 0.0, odd = 0.0;
                    const Term *term = s.terms + a[i], *end_term = s.terms + b[i];
                    for (; end_term - term >= 2; term += 2) {
                        even = term[0].b == none ? even + v[term[0].a] : mul_add(v[term[0].a], v[term[0].b], even);
                        odd = term[1].b == none ? odd + v[term[1].a] : mul_add(v[term[1].a], v[term[1].b], odd);
                    }
                    if (term != end_term)
                        even = term->b == none ? even + v[term->a] : mul_add(v[term->a], v[term->b], even);
                    v[i] = even + odd;
                }
                break;
            default:
                suspects |= row_forward_gathered(s, *run, v);
        }
    }
    return suspects;
}

void row_reverse(const RowCode& s, const double* v, double* d) {
    for (const Run *run = s.runs + s.run_count, *first = s.runs; run != first;) {
        --run;
        if (!run->reverse) continue;
        const std::uint32_t begin = run->begin, end = begin + run->count;
        const std::uint32_t *a = s.a, *b = s.b;
        switch (run->code) {
            case Code::add:
                for (std::uint32_t i = end; i-- > begin;) {
                    const double dy = d[i];
                    d[a[i]] += dy;
                    d[b[i]] += dy;
                }
                break;
            case Code::sub:
                for (std::uint32_t i = end; i-- > begin;) {
                    const double dy = d[i];
                    d[a[i]] += dy;
                    d[b[i]] -= dy;
                }
                break;
            case Code::mul:
                for (std::uint32_t i = end; i-- > begin;) {
                    const double dy = d[i], va = v[a[i]], vb = v[b[i]];
                    d[a[i]] = mul_add(dy, vb, d[a[i]]);
                    d[b[i]] = mul_add(dy, va, d[b[i]]);
                }
                break;
            case Code::scale:
                for (std::uint32_t i = end; i-- > begin;) d[a[i]] = mul_add(d[i], s.c[i], d[a[i]]);
                break;
            case Code::offset:
                for (std::uint32_t i = end; i-- > begin;) d[a[i]] += d[i];
                break;
            case Code::relu:
                for (std::uint32_t i = end; i-- > begin;) d[a[i]] += (v[i] > 0.0 ? 1.0 : 0.0) * d[i];
                break;
            case Code::square:
                for (std::uint32_t i = end; i-- > begin;) d[a[i]] = mul_add(d[i], v[a[i]] + v[a[i]], d[a[i]]);
                break;
            case Code::div:
                for (std::uint32_t i = end; i-- > begin;) {
                    const double part = d[i] / v[b[i]], y = v[i];
                    d[a[i]] += part;
                    d[b[i]] = mul_add(-part, y, d[b[i]]);
                }
                break;
            case Code::reciprocal:
                for (std::uint32_t i = end; i-- > begin;) d[a[i]] = mul_add(-(v[i] * v[i]), d[i], d[a[i]]);
                break;
            case Code::dot:
                if (run->fused != Fused::No) {
                    const double sign = run->fused == Fused::Add ? 1.0 : -1.0;
                    for (std::uint32_t i = end; i-- > begin;) {
                        const double dy = d[i], va = v[a[i]], vb = v[b[i]];
                        d[a[i]] = mul_add(dy, vb, d[a[i]]);
                        d[b[i]] = mul_add(dy, va, d[b[i]]);
                        d[s.d[i]] = mul_add(sign, dy, d[s.d[i]]);
                    }
                    break;
                }
                for (std::uint32_t i = end; i-- > begin;) {
                    const double dy = d[i];
                    for (const Term *term = s.terms + a[i], *last = s.terms + b[i]; term != last; ++term) {
                        if (term->b == none) {
                            d[term->a] += dy;
                            continue;
                        }
                        const double va = v[term->a], vb = v[term->b];
                        d[term->a] = mul_add(dy, vb, d[term->a]);
                        d[term->b] = mul_add(dy, va, d[term->b]);
                    }
                }
                break;
            default:
                row_reverse_gathered(s, *run, v, d);
        }
    }
}

}  // namespace
}  // namespace kilograd::program
