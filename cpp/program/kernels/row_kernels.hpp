// What a row schedule computes: one row at a time.
//
// Cheap ops run as scalar loops, one dispatch a run; the others are gathered into vectors, `chunk` at a time, and so
// cost what they cost in a batch, but for a few of them, which are evaluated one by one (functions.cpp). The scalar
// loops are written by hand: instantiating a Rule for double here would leave the linker a choice between the copies of
// several instruction sets. Internal linkage, as in lane.hpp.
#pragma once

#include <cmath>

#include "block_kernels.hpp"

namespace kilograd::program {
namespace {

inline constexpr std::uint32_t chunk = 64;

// Writes f(0) ... f(count - 1), and copies of the last up to a whole vector; returns that length. By vectors: one that
// is read behind writes of its numbers has to wait for these.
template <class F>
KILOGRAD_INLINE std::uint32_t gather(std::uint32_t count, double* to, F f) {
    std::uint32_t k = 0;
    for (; k + width <= count; k += width) collected([&](std::uint32_t lane) { return f(k + lane); }).store(to + k);
    if (k == count) return k;
    collected([&](std::uint32_t lane) { return f(k + lane < count ? k + lane : count - 1); }).store(to + k);
    return k + width;
}

bool row_functions_gathered(const RowCode& s, const Run& run, double* v) {
    alignas(64) double a[chunk], b[chunk], y[chunk];
    const bool binary = info(run.code).arity == Arity::Binary;
    const Forward kernel = forward_table<Lane>[index_of(run.code)];
    bool suspects = false;
    for (std::uint32_t done = 0; done < run.count; done += chunk) {
        const std::uint32_t begin = run.begin + done, count = run.count - done < chunk ? run.count - done : chunk;
        const std::uint32_t padded = gather(count, a, [&](std::uint32_t k) { return v[s.a[begin + k]]; });
        if (binary) gather(count, b, [&](std::uint32_t k) { return v[s.b[begin + k]]; });
        // What stands behind the run is of others.
        suspects |=
            kernel({padded == count ? v + begin : y, a, b, s.c[begin], width, width, static_cast<Size>(padded)});
        if (padded != count)
            for (std::uint32_t k = 0; k < count; ++k) v[begin + k] = y[k];
    }
    return suspects;
}

// Numbers that were just written are read as numbers where the nodes are few: a vector gathered from such has to wait
// for them to leave the store buffer.
KILOGRAD_SYSTEM_V bool row_functions(const RowCode& s, const Run& run, double* v) {
    if (run.count > few_alike) return row_functions_gathered(s, run, v);
    const bool binary = info(run.code).arity == Arity::Binary;
    unsigned suspects = 0;
    for (std::uint32_t i = run.begin; i < run.begin + run.count; ++i)
        v[i] = ones.value[index_of(run.code)](v[s.a[i]], binary ? v[s.b[i]] : 0.0, 0.0, s.c + i, &suspects);
    return suspects != 0;
}

bool finite(double x) { return std::fabs(x) < infinity; }

// The first term, and the others added one by one, or of more than two those of even and of odd number apart, since one
// sum is bound by the latency of its additions.
double row_dot(const Term* term, const Term* end, const double* v) {
    const auto first = [&](const Term& t) { return t.b == none ? v[t.a] : v[t.a] * v[t.b]; };
    const auto plus = [&](double sum, const Term& t) {
        return t.b == none ? sum + v[t.a] : mul_add(v[t.a], v[t.b], sum);
    };
    double even = first(term[0]);
    if (end - term <= 2) return end - term == 2 ? plus(even, term[1]) : even;
    double odd = first(term[1]);
    for (term += 2; end - term >= 2; term += 2) {
        even = plus(even, term[0]);
        odd = plus(odd, term[1]);
    }
    return (term != end ? plus(even, *term) : even) + odd;
}

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
                    suspects |= std::fabs(x) <= 0x1p-1024;
                }
                break;
            case Code::reciprocal:
                for (std::uint32_t i = begin; i < end; ++i) {
                    const double x = v[a[i]];
                    v[i] = 1.0 / x;
                    suspects |= std::fabs(x) <= 0x1p-1024;
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
                for (std::uint32_t i = begin; i < end; ++i) v[i] = row_dot(s.terms + a[i], s.terms + b[i], v);
                break;
            default:
                suspects |= row_functions(s, *run, v);
        }
    }
    return suspects;
}

// The local derivatives of functions, which wait for no adjoint: what stands in small runs, one behind the other in a
// chain, is still differentiated by vectors.
KILOGRAD_SYSTEM_V void row_locals(const RowCode& s, const double* v, double* local) {
    alignas(64) double a[chunk], b[chunk], y[chunk], one[chunk];
    for (double& weight : one) weight = 1.0;
    for (const Alike *alike = s.alike, *last = s.alike + s.alike_count; alike != last; ++alike) {
        const Reverse kernel = reverse_table<Lane>[index_of(alike->code)];
        const bool binary = info(alike->code).arity == Arity::Binary;
        for (std::uint32_t done = 0; done < alike->count; done += chunk) {
            const std::uint32_t count = alike->count - done < chunk ? alike->count - done : chunk;
            const std::uint32_t* node = s.locals + alike->first + done;
            const std::uint32_t padded = gather(count, y, [&](std::uint32_t k) { return v[node[k]]; });
            gather(count, a, [&](std::uint32_t k) { return v[s.a[node[k]]]; });
            if (binary) gather(count, b, [&](std::uint32_t k) { return v[s.b[node[k]]]; });
            double *da = local + alike->local + done, *db = binary ? da + alike->padded() : nullptr;
            kernel({{y, a, b, alike->c, width, width, static_cast<Size>(padded)}, one, da, db, true, true});
        }
    }
}

void row_reverse(const RowCode& s, const double* v, double* d, double* local) {
    row_locals(s, v, local);
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
            case Code::gate:
            case Code::enter:
                for (std::uint32_t i = end; i-- > begin;) d[b[i]] += v[a[i]] == 0.0 ? 0.0 : d[i];
                break;
            default:
                if (is_step(run->code)) break;
                for (std::uint32_t i = end; i-- > begin;) {
                    d[a[i]] += local[run->local + (i - begin)] * d[i];
                    if (run->local_b != none) d[b[i]] += local[run->local_b + (i - begin)] * d[i];
                }
        }
    }
}

}  // namespace
}  // namespace kilograd::program
