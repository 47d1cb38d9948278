// What a row schedule computes: one row at a time.
//
// Cheap ops run as scalar loops, one dispatch a run; the others are gathered into vectors, `chunk` at a time, and so
// cost what they cost in a batch, but for a few of them, which are evaluated one by one (ones.cpp). The scalar loops
// are written by hand: instantiating a Rule for double here would leave the linker a choice between the copies of
// several instruction sets. Internal linkage, as in lane.hpp.
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

bool row_forward_gathered(const RowCode& s, const Run& run, double* v) {
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

// What `count` nodes of a run, a chunk at most, add to the adjoints of their operands.
void row_parts(const RowCode& s, const Run& run, std::uint32_t begin, std::uint32_t count, const double* v,
               const double* adjoints, double* da, double* db) {
    alignas(64) double a[chunk], b[chunk], y[chunk], dy[chunk];
    const bool binary = info(run.code).arity == Arity::Binary;
    const std::uint32_t padded = gather(s.a + begin, v, count, a);
    if (binary) gather(s.b + begin, v, count, b);
    for (std::uint32_t k = 0; k < padded; ++k) {
        const std::uint32_t from = begin + (k < count ? k : count - 1);
        y[k] = v[from];
        dy[k] = adjoints[from];
    }
    reverse_of<Lane>(index_of(run.code))(
        {{y, a, b, s.c[begin], width, width, static_cast<Size>(padded)}, dy, da, binary ? db : nullptr, true, true});
}

// Calls f(begin, count) for each chunk of a run, the last first.
template <class F>
void chunks_backward(const Run& run, F&& f) {
    for (std::uint32_t left = run.count; left > 0;) {
        const std::uint32_t begin = (left - 1) / chunk * chunk;
        f(run.begin + begin, left - begin);
        left = begin;
    }
}

void row_reverse_gathered(const RowCode& s, const Run& run, const double* v, double* adjoints) {
    alignas(64) double da[chunk], db[chunk];
    chunks_backward(run, [&](std::uint32_t begin, std::uint32_t count) {
        row_parts(s, run, begin, count, v, adjoints, da, db);
        for (std::uint32_t k = count; k-- > 0;) {
            adjoints[s.a[begin + k]] += da[k];
            if (info(run.code).arity == Arity::Binary) adjoints[s.b[begin + k]] += db[k];
        }
    });
}

void row_run_locals(const RowCode& s, const Run& run, const double* v, double* adjoints, std::size_t slots) {
    alignas(64) double da[chunk], db[chunk];
    chunks_backward(run, [&](std::uint32_t begin, std::uint32_t count) {
        row_parts(s, run, begin, count, v, adjoints, da, db);
        double* to = adjoints + slots + (begin - run.begin);
        for (std::uint32_t k = 0; k < count; ++k) to[k] = da[k];
        if (info(run.code).arity == Arity::Binary)
            for (std::uint32_t k = 0; k < count; ++k) to[run.count + k] = db[k];
    });
}

bool finite(double x) { return __builtin_fabs(x) < infinity; }

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
                for (std::uint32_t i = begin; i < end; ++i) v[i] = row_dot(s.terms + a[i], s.terms + b[i], v);
                break;
            default:
                if (run->count > few_alike)
                    suspects |= row_forward_gathered(s, *run, v);
                else
                    for (std::uint32_t i = begin; i < end; ++i) suspects |= ones.forward[index_of(run->code)](s, i, v);
        }
    }
    return suspects;
}

// The local derivatives of nodes that are alike but stand in different runs.
void row_locals(const RowCode& s, const double* v, double* local) {
    alignas(64) double a[chunk], y[chunk], one[chunk];
    for (double& weight : one) weight = 1.0;
    for (const Alike *alike = s.alike, *last = s.alike + s.alike_count; alike != last; ++alike) {
        const Reverse kernel = reverse_of<Lane>(index_of(alike->code));
        for (std::uint32_t done = 0; done < alike->count; done += chunk) {
            const std::uint32_t first = alike->first + done;
            const std::uint32_t count = alike->count - done < chunk ? alike->count - done : chunk;
            const std::uint32_t padded = gather(s.locals + first, v, count, y);
            for (std::uint32_t k = 0; k < padded; ++k) a[k] = v[s.a[s.locals[first + (k < count ? k : count - 1)]]];
            const Size rows = static_cast<Size>(padded);
            kernel({{y, a, nullptr, alike->c, width, 0, rows}, one, local + first, nullptr, true, true});
        }
    }
}

void row_reverse(const RowCode& s, const double* v, double* d, double* local) {
    if (s.alike_count) row_locals(s, v, local);
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
                if (run->local != none)
                    for (std::uint32_t i = end; i-- > begin;) d[a[i]] += local[run->local + (i - begin)] * d[i];
                else if (run->count > few_alike)
                    row_reverse_gathered(s, *run, v, d);
                else
                    for (std::uint32_t i = end; i-- > begin;) ones.reverse[index_of(run->code)](s, i, v, d);
        }
    }
}

}  // namespace
}  // namespace kilograd::program
