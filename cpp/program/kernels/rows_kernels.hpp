// What a row schedule computes for several rows: as many as a vector has lanes, each number of the row a vector.
//
// One dispatch a run, as for a single row, and no copying between runs: for graphs in which few nodes are alike this is
// what rows cost least by, unless they are so many that blocks of them (block_kernels.hpp) pay for a dispatch each
// node.
#pragma once

#include "block_kernels.hpp"

namespace kilograd::program {
namespace {

KILOGRAD_INLINE Lane lanes_at(const double* p, std::uint32_t i) { return Lane::load(p + std::size_t{i} * width); }
KILOGRAD_INLINE void put(double* p, std::uint32_t i, Lane x) { x.store(p + std::size_t{i} * width); }
KILOGRAD_INLINE void add_to(double* p, std::uint32_t i, Lane x) { put(p, i, lanes_at(p, i) + x); }
KILOGRAD_INLINE void add_to(double* p, std::uint32_t i, Lane x, Lane y) { put(p, i, mul_add(x, y, lanes_at(p, i))); }

template <Code code>
bool rows_forward_run(const RowCode& s, const Run& run, double* v) {
    constexpr bool binary = info(code).arity == Arity::Binary;
    Mask suspects = no_lane();
    for (std::uint32_t i = run.begin; i < run.begin + run.count; ++i) {
        const Lane a = lanes_at(v, s.a[i]), b = binary ? lanes_at(v, s.b[i]) : Lane(0.0);
        const Lane y = value_at<code>(a, b, Lane(s.c[i]));
        if constexpr (!is_total(code)) suspects = suspects | suspicious<code>(a, b, y);
        put(v, i, y);
    }
    return any(suspects);
}

template <Code code>
void rows_reverse_run(const RowCode& s, const Run& run, const double* v, double* d) {
    constexpr bool binary = info(code).arity == Arity::Binary;
    for (std::uint32_t i = run.begin + run.count; i-- > run.begin;) {
        const Lane dy = lanes_at(d, i), a = lanes_at(v, s.a[i]), y = lanes_at(v, i), c(s.c[i]);
        const Lane b = binary ? lanes_at(v, s.b[i]) : Lane(0.0);
        add_to(d, s.a[i], Rule<code>::template da<Lane>(a, b, c, y), dy);
        if constexpr (binary) add_to(d, s.b[i], Rule<code>::template db<Lane>(a, b, c, y), dy);
    }
}

// As row_dot().
Lane rows_dot(const Term* term, const Term* end, const double* v) {
    const auto first = [&](const Term& t) {
        const Lane a = lanes_at(v, t.a);
        return t.b == none ? a : a * lanes_at(v, t.b);
    };
    const auto plus = [&](Lane sum, const Term& t) {
        const Lane a = lanes_at(v, t.a);
        return t.b == none ? sum + a : mul_add(a, lanes_at(v, t.b), sum);
    };
    Lane even = first(term[0]);
    if (end - term <= 2) return end - term == 2 ? plus(even, term[1]) : even;
    Lane odd = first(term[1]);
    for (term += 2; end - term >= 2; term += 2) {
        even = plus(even, term[0]);
        odd = plus(odd, term[1]);
    }
    return (term != end ? plus(even, *term) : even) + odd;
}

bool rows_forward_dots(const RowCode& s, const Run& run, double* v) {
    for (std::uint32_t i = run.begin; i < run.begin + run.count; ++i) {
        if (run.fused != Fused::No) {
            const Lane d = lanes_at(v, s.d[i]);
            put(v, i, mul_add(lanes_at(v, s.a[i]), lanes_at(v, s.b[i]), run.fused == Fused::Add ? d : -d));
            continue;
        }
        put(v, i, rows_dot(s.terms + s.a[i], s.terms + s.b[i], v));
    }
    return false;
}

void rows_reverse_dots(const RowCode& s, const Run& run, const double* v, double* d) {
    for (std::uint32_t i = run.begin + run.count; i-- > run.begin;) {
        const Lane dy = lanes_at(d, i);
        if (run.fused != Fused::No) {
            const Lane a = lanes_at(v, s.a[i]), b = lanes_at(v, s.b[i]);
            add_to(d, s.a[i], dy, b);
            add_to(d, s.b[i], dy, a);
            add_to(d, s.d[i], run.fused == Fused::Add ? dy : -dy);
            continue;
        }
        for (std::uint32_t t = s.a[i]; t < s.b[i]; ++t) {
            const Term& term = s.terms[t];
            if (term.b == none) {
                add_to(d, term.a, dy);
                continue;
            }
            const Lane a = lanes_at(v, term.a), b = lanes_at(v, term.b);
            add_to(d, term.a, dy, b);
            add_to(d, term.b, dy, a);
        }
    }
}

// Functions: a vector is a block, and its call is the least of what they cost.
bool rows_forward_functions(const RowCode& s, const Run& run, double* v) {
    const Forward kernel = forward_table<Lane>[index_of(run.code)];
    const bool binary = info(run.code).arity == Arity::Binary;
    const auto at = [v](std::uint32_t k) { return v + std::size_t{k} * width; };
    bool suspects = false;
    for (std::uint32_t i = run.begin; i < run.begin + run.count; ++i)
        suspects |= kernel({at(i), at(s.a[i]), binary ? at(s.b[i]) : nullptr, s.c[i], width, width, width});
    return suspects;
}

void rows_reverse_functions(const RowCode& s, const Run& run, const double* v, double* d) {
    if (is_step(run.code)) return;
    const Reverse kernel = reverse_table<Lane>[index_of(run.code)];
    const bool binary = info(run.code).arity == Arity::Binary;
    const auto at = [](auto* p, std::uint32_t k) { return p + std::size_t{k} * width; };
    // The block's y is what is written going forward, and read alone in reverse.
    const auto read = [&](std::uint32_t k) { return const_cast<double*>(at(v, k)); };
    for (std::uint32_t i = run.begin + run.count; i-- > run.begin;) {
        const std::uint32_t a = s.a[i], b = binary ? s.b[i] : a;
        kernel({{read(i), read(a), read(b), s.c[i], width, width, width},
                at(d, i),
                is_choice(run.code) ? nullptr : at(d, a),
                binary ? at(d, b) : nullptr,
                false,
                false});
    }
}

using ForwardRun = bool (*)(const RowCode&, const Run&, double*);
using ReverseRun = void (*)(const RowCode&, const Run&, const double*, double*);
template <Code code>
constexpr ForwardRun rows_forward_of() {
    if constexpr (is_arithmetic(code)) return rows_forward_run<code>;
    return rows_forward_functions;
}
template <Code code>
constexpr ReverseRun rows_reverse_of() {
    if constexpr (is_arithmetic(code)) return rows_reverse_run<code>;
    return rows_reverse_functions;
}
constexpr ForwardRun rows_forward_table[] = {nullptr, nullptr, nullptr,
#define KILOGRAD_OP(name, label, arity, edge, value, da, db, doc) rows_forward_of<Code::name>(),
#include "../../ops.def"
#include "../reduced_ops.def"
#undef KILOGRAD_OP
                                             rows_forward_dots};
constexpr ReverseRun rows_reverse_table[] = {nullptr, nullptr, nullptr,
#define KILOGRAD_OP(name, label, arity, edge, value, da, db, doc) rows_reverse_of<Code::name>(),
#include "../../ops.def"
#include "../reduced_ops.def"
#undef KILOGRAD_OP
                                             rows_reverse_dots};

bool rows_forward(const RowCode& s, double* v) {
    bool suspects = false;
    for (const Run *run = s.runs, *last = s.runs + s.run_count; run != last; ++run)
        suspects |= rows_forward_table[index_of(run->code)](s, *run, v);
    return suspects;
}

void rows_reverse(const RowCode& s, const double* v, double* d) {
    for (const Run *run = s.runs + s.run_count, *first = s.runs; run != first;) {
        --run;
        if (run->reverse) rows_reverse_table[index_of(run->code)](s, *run, v, d);
    }
}

// A vector of numbers that stand so many apart.
KILOGRAD_INLINE Lane collected(const double* p, Size step) {
    return step == 1 ? Lane::load(p) : collected([&](Size lane) { return p[lane * step]; });
}

// Calls f(first) for a vector's width of leaves that stand side by side in a row, the last of a stretch twice where it
// has no whole number of vectors, and g(leaf) for the others.
template <class F, class G>
KILOGRAD_INLINE void for_stretches(const Leaf* leaf, const Leaf* end, bool side_by_side, F&& f, G&& g) {
    while (leaf != end) {
        const Leaf* last = leaf + 1;
        while (last != end && last->number == last[-1].number + 1) ++last;
        if (side_by_side && last - leaf >= width) {
            for (; last - leaf > width; leaf += width) f(leaf);
            f(last - width);
        } else {
            for (; leaf != last; ++leaf) g(*leaf);
        }
        leaf = last;
    }
}

void rows_load(const Leaf* leaves, std::size_t count, const double* table, Size row_step, Size column_step, double* v) {
    for_stretches(
        leaves, leaves + count, transposes && column_step == 1,
        [&](const Leaf* leaf) {
            Lane x[width];
            for (int k = 0; k < width; ++k) x[k] = Lane::load(table + leaf->number + k * row_step);
            transpose(x);
            for (int k = 0; k < width; ++k) put(v, leaf[k].position, x[k]);
        },
        [&](const Leaf& leaf) {
            put(v, leaf.position, collected(table + static_cast<Size>(leaf.number) * column_step, row_step));
        });
}

void rows_store(const Leaf* leaves, std::size_t count, const double* v, double* table, Size row_step,
                Size column_step) {
    for_stretches(
        leaves, leaves + count, transposes && column_step == 1,
        [&](const Leaf* leaf) {
            Lane x[width];
            for (int k = 0; k < width; ++k) x[k] = lanes_at(v, leaf[k].position);
            transpose(x);
            for (int k = 0; k < width; ++k) x[k].store(table + leaf->number + k * row_step);
        },
        [&](const Leaf& leaf) {
            double* to = table + static_cast<Size>(leaf.number) * column_step;
            const Lane y = lanes_at(v, leaf.position);
            if (row_step == 1)
                y.store(to);
            else
                for (int k = 0; k < width; ++k) to[k * row_step] = get(y, k);
        });
}

void rows_add(const Leaf* leaves, std::size_t count, const double* v, double* sums) {
    for (const Leaf *leaf = leaves, *end = leaves + count; leaf != end; ++leaf)
        add_to(sums, leaf->number, lanes_at(v, leaf->position));
}

}  // namespace
}  // namespace kilograd::program
