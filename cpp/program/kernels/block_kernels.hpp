// What one instruction of a lane schedule does to a block of rows: elementwise ops, dots and small matrix products, on
// values and on dual numbers, forward and in reverse.
//
// The order of every sum depends on nothing but the arguments, so results are the same to the last bit whatever thread
// runs a block. Internal linkage, as in lane.hpp.
#pragma once

#include "evaluation.hpp"
#include "kernels.hpp"

namespace kilograd::program {
namespace {

using Size = std::ptrdiff_t;

// Vectors with their tangents `gap` doubles behind.
template <class T>
KILOGRAD_INLINE T load(const double* p, Size gap);
template <>
KILOGRAD_INLINE Lane load<Lane>(const double* p, Size) {
    return Lane::load(p);
}
template <>
KILOGRAD_INLINE Dual load<Dual>(const double* p, Size gap) {
    return {Lane::load(p), Lane::load(p + gap)};
}
KILOGRAD_INLINE void store(double* p, Size, Lane x) { x.store(p); }
KILOGRAD_INLINE void store(double* p, Size gap, Dual x) {
    x.v.store(p);
    x.t.store(p + gap);
}
KILOGRAD_INLINE Lane value_of(Lane x) { return x; }
KILOGRAD_INLINE Lane value_of(Dual x) { return x.v; }
// At a kink the derivative is what the table says, as in a reverse sweep, and not that of one side of the value.
constexpr bool has_kink(Code code) {
    return code == Code::relu || code == Code::leaky_relu || code == Code::softplus || code == Code::maximum ||
           code == Code::minimum || code == Code::fmax || code == Code::fmin;
}

template <Code code>
KILOGRAD_INLINE Dual value_at(Dual a, Dual b, Dual c) {
    if constexpr (!has_kink(code)) {
        return Rule<code>::template value<Dual>(a, b, c);
    } else {
        const Lane zero(0.0), y = Rule<code>::template value<Lane>(a.v, b.v, c.v);
        const auto along = [zero](Lane derivative, Lane tangent) {
            return select(derivative == zero, zero, directional(derivative, tangent));
        };
        Lane t = along(Rule<code>::template da<Lane>(a.v, b.v, c.v, y), a.t);
        if constexpr (info(code).arity == Arity::Binary)
            t = t + along(Rule<code>::template db<Lane>(a.v, b.v, c.v, y), b.t);
        return {y, t};
    }
}

template <Code code, class T>
bool forward(const ForwardArguments& s) {
    constexpr bool binary = info(code).arity == Arity::Binary;
    const T c(s.c);
    const Size gap_a = s.step_a ? s.rows : width, gap_b = s.step_b ? s.rows : width;
    const double *pa = s.a, *pb = s.b;
    Mask suspects = no_lane();
    for (Size r = 0; r < s.rows; r += width) {
        const T a = load<T>(pa, gap_a);
        T b(0.0);
        if constexpr (binary) b = load<T>(pb, gap_b);
        const T y = value_at<code>(a, b, c);
        if constexpr (!is_total(code)) suspects = suspects | suspicious<code>(value_of(a), value_of(b), value_of(y));
        store(s.y + r, s.rows, y);
        pa += s.step_a;
        if constexpr (binary) pb += s.step_b;
    }
    if constexpr (is_total(code)) return false;
    return any(suspects);
}

// Adds contributions to one operand's adjoint: to its slot, or, for a uniform, to its sum over rows.
template <class T>
struct Adjoint {
    double* p;
    Size step, gap;
    bool fresh;
    T sum{0.0};
    KILOGRAD_INLINE Adjoint(double* where, Size step_, Size rows, bool fresh_)
        : p(where), step(step_), gap(step_ ? rows : width), fresh(fresh_) {}
    KILOGRAD_INLINE void add(T local, T dy) {
        if (step == 0) {
            sum = mul_add(local, dy, sum);
        } else {
            store(p, gap, fresh ? local * dy : mul_add(local, dy, load<T>(p, gap)));
            p += step;
        }
    }
    KILOGRAD_INLINE void finish() {
        if (step == 0) store(p, gap, load<T>(p, gap) + sum);
    }
};

template <Code code, class T>
void reverse(const ReverseArguments& s) {
    constexpr bool binary = info(code).arity == Arity::Binary;
    const T c(s.c);
    const Size gap_a = s.step_a ? s.rows : width, gap_b = s.step_b ? s.rows : width;
    const double *pa = s.a, *pb = s.b;
    Adjoint<T> into_a(s.da, s.step_a, s.rows, s.fresh_a), into_b(s.db, s.step_b, s.rows, s.fresh_b);
    for (Size r = 0; r < s.rows; r += width) {
        const T dy = load<T>(s.dy + r, s.rows), y = load<T>(s.y + r, s.rows), a = load<T>(pa, gap_a);
        T b(0.0);
        if constexpr (binary) b = load<T>(pb, gap_b);
        // A choice is none of numbers: 0 * dy would keep a NaN.
        constexpr bool steps = is_step(code);
        constexpr bool chooses = is_choice(code);
        if constexpr (steps || chooses) {
            if (s.da) into_a.add(T(0.0), T(0.0));
            if (binary && s.db) into_b.add(T(1.0), chooses ? select(a == T(0.0), T(0.0), dy) : T(0.0));
            pa += s.step_a;
            pb += s.step_b;
            continue;
        }
        if (s.da) into_a.add(Rule<code>::template da<T>(a, b, c, y), dy);
        pa += s.step_a;
        if constexpr (binary) {
            if (s.db) into_b.add(Rule<code>::template db<T>(a, b, c, y), dy);
            pb += s.step_b;
        }
    }
    if (s.da) into_a.finish();
    if constexpr (binary)
        if (s.db) into_b.finish();
}

template <class T>
inline constexpr Size slot_factor = 1;
template <>
inline constexpr Size slot_factor<Dual> = 2;

template <class T>
KILOGRAD_INLINE T load_ref(const DotArguments& s, Ref ref, Size r) {
    constexpr Size factor = slot_factor<T>;
    if (ref.uniform) return load<T>(s.uniforms + ref.index * factor * width, width);
    return load<T>(s.values + ref.index * factor * s.rows + r, s.rows);
}

template <class T>
void dot(const DotArguments& s) {
    double* y = s.values + s.y * slot_factor<T> * s.rows;
    for (Size r = 0; r < s.rows; r += width) {
        T sum(0.0);
        for (std::size_t k = 0; k < s.term_count; ++k) {
            const DotTerm& term = s.terms[k];
            const T a = load_ref<T>(s, term.a, r);
            sum = term.b.index == none ? sum + a : mul_add(a, load_ref<T>(s, term.b, r), sum);
        }
        store(y + r, s.rows, sum);
    }
}

template <class T>
void dot_reverse(const DotArguments& s) {
    constexpr Size factor = slot_factor<T>;
    const double* dy = s.adjoints + s.dy * factor * s.rows;
    const auto add = [&](Ref to, std::uint32_t adjoint, bool fresh, Ref other) {
        if (adjoint == none) return;
        double* p = to.uniform ? s.uniform_sums + adjoint * factor * width : s.adjoints + adjoint * factor * s.rows;
        Adjoint<T> into(p, to.uniform ? 0 : width, s.rows, fresh);
        for (Size r = 0; r < s.rows; r += width)
            into.add(other.index == none ? T(1.0) : load_ref<T>(s, other, r), load<T>(dy + r, s.rows));
        into.finish();
    };
    for (std::size_t k = 0; k < s.term_count; ++k) {
        const DotTerm& term = s.terms[k];
        add(term.a, term.da, term.fresh_a, term.b);
        if (term.b.index != none) add(term.b, term.db, term.fresh_b, term.a);
    }
}

// The number of accumulators that fit in the registers beside the operands: 32 registers with AVX-512, else 16.
inline constexpr int tile_rows = KILOGRAD_LANES == 8 ? 4 : 2;

// `outs` outputs over `vectors` vectors of rows: each x is loaded once for all of them.
template <int outs, int vectors>
KILOGRAD_INLINE void linear_tile(const LinearArguments& s, const std::uint32_t* columns, Size r) {
    Lane sum[outs][vectors];
    const double* w[outs];
    for (int o = 0; o < outs; ++o) {
        w[o] = s.coefficients + static_cast<Size>(columns[o]) * s.out_stride;
        const Lane start(s.bias ? s.bias[columns[o]] : 0.0);
        for (int v = 0; v < vectors; ++v) sum[o][v] = start;
    }
    const double* x_base = s.x_base + r;
    Size offset = 0;
    for (std::size_t n = 0; n < s.x_count; ++n, offset += s.in_stride) {
        const double* x = x_base + s.x[n] * s.slot_size;
        Lane in[vectors];
        for (int v = 0; v < vectors; ++v) in[v] = Lane::load(x + v * width);
        for (int o = 0; o < outs; ++o) {
            const Lane coefficient(w[o][offset]);
            for (int v = 0; v < vectors; ++v) sum[o][v] = mul_add(coefficient, in[v], sum[o][v]);
        }
    }
    for (int o = 0; o < outs; ++o) {
        double* y = s.y_base + s.y[columns[o]] * s.slot_size + r;
        const bool accumulate = s.accumulate && s.accumulate[columns[o]];
        for (int v = 0; v < vectors; ++v) {
            if (accumulate) sum[o][v] = sum[o][v] + Lane::load(y + v * width);
            sum[o][v].store(y + v * width);
        }
    }
}

template <int outs>
void linear_rows(const LinearArguments& s, const std::uint32_t* columns) {
    Size r = 0;
    for (; r + tile_rows * width <= s.rows; r += tile_rows * width) linear_tile<outs, tile_rows>(s, columns, r);
    for (; r < s.rows; r += width) linear_tile<outs, 1>(s, columns, r);
}

void linear(const LinearArguments& s) {
    std::uint32_t columns[4];
    int filled = 0;
    for (std::size_t o = 0; o < s.y_count; ++o) {
        if (s.y[o] == none) continue;
        columns[filled++] = static_cast<std::uint32_t>(o);
        if (filled == 4) {
            linear_rows<4>(s, columns);
            filled = 0;
        }
    }
    if (filled == 3) linear_rows<3>(s, columns);
    if (filled == 2) linear_rows<2>(s, columns);
    if (filled == 1) linear_rows<1>(s, columns);
}

template <int ds, int xs>
KILOGRAD_INLINE void outer_tile(const OuterArguments& s, std::size_t o, std::size_t n) {
    Lane sum[ds][xs];
    const double *d[ds], *x[xs];
    for (int i = 0; i < ds; ++i) d[i] = s.d_base + s.d[o + i] * s.slot_size;
    for (int j = 0; j < xs; ++j) x[j] = s.x_base + s.x[n + j] * s.slot_size;
    double* sums = s.sums + static_cast<Size>(o * s.x_count + n) * width;
    const Size stride = static_cast<Size>(s.x_count) * width;
    for (int i = 0; i < ds; ++i)
        for (int j = 0; j < xs; ++j) sum[i][j] = Lane::load(sums + i * stride + j * width);
    for (Size r = 0; r < s.rows; r += width) {
        Lane right[xs];
        for (int j = 0; j < xs; ++j) right[j] = Lane::load(x[j] + r);
        for (int i = 0; i < ds; ++i) {
            const Lane left = Lane::load(d[i] + r);
            for (int j = 0; j < xs; ++j) sum[i][j] = mul_add(left, right[j], sum[i][j]);
        }
    }
    for (int i = 0; i < ds; ++i)
        for (int j = 0; j < xs; ++j) sum[i][j].store(sums + i * stride + j * width);
}

template <int ds>
void outer_rows(const OuterArguments& s, std::size_t o) {
    std::size_t n = 0;
    for (; n + 4 <= s.x_count; n += 4) outer_tile<ds, 4>(s, o, n);
    for (; n + 2 <= s.x_count; n += 2) outer_tile<ds, 2>(s, o, n);
    for (; n < s.x_count; ++n) outer_tile<ds, 1>(s, o, n);
}

void outer(const OuterArguments& s) {
    std::size_t o = 0;
    if constexpr (KILOGRAD_LANES == 8)
        for (; o + 4 <= s.d_count; o += 4) outer_rows<4>(s, o);
    for (; o + 2 <= s.d_count; o += 2) outer_rows<2>(s, o);
    for (; o < s.d_count; ++o) outer_rows<1>(s, o);
    if (!s.bias_sums) return;
    for (o = 0; o < s.d_count; ++o) {
        const double* d = s.d_base + s.d[o] * s.slot_size;
        Lane sum = Lane::load(s.bias_sums + o * width);
        for (Size r = 0; r < s.rows; r += width) sum = sum + Lane::load(d + r);
        sum.store(s.bias_sums + o * width);
    }
}

void sum_lanes(const double* vectors, std::size_t count, double* sums) {
    for (std::size_t k = 0; k < count; ++k) sums[k] = sum_of(Lane::load(vectors + k * width));
}

// f(0), f(1), ... as a vector, without a way through memory, which would have to wait for them.
template <class F>
KILOGRAD_INLINE Lane collected(F f) {
#if KILOGRAD_LANES == 8
    return Lane(Raw{f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)});
#elif KILOGRAD_LANES == 4
    return Lane(Raw{f(0), f(1), f(2), f(3)});
#elif KILOGRAD_LANES == 2
    return Lane(Raw{f(0), f(1)});
#else
    return Lane(f(0));
#endif
}

using Forward = bool (*)(const ForwardArguments&);
using Reverse = void (*)(const ReverseArguments&);

// Tables within the functions would be written to the stack, each as a whole, at every call.
template <class T>
constexpr Forward forward_table[] = {nullptr, nullptr, nullptr,
#define KILOGRAD_OP(name, label, arity, edge, value, da, db, doc) forward<Code::name, T>,
#include "../../ops.def"
#include "../reduced_ops.def"
#undef KILOGRAD_OP
                                     nullptr};
template <class T>
constexpr Reverse reverse_table[] = {nullptr, nullptr, nullptr,
#define KILOGRAD_OP(name, label, arity, edge, value, da, db, doc) reverse<Code::name, T>,
#include "../../ops.def"
#include "../reduced_ops.def"
#undef KILOGRAD_OP
                                     nullptr};

}  // namespace
}  // namespace kilograd::program
