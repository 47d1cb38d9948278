// Random recordings over every row of the op table, and a plain evaluator as their oracle.
#pragma once

#include <cmath>
#include <random>
#include <vector>

#include "../../cpp/program/program.hpp"

namespace kilograd::program::testing {

inline double value_of(Op op, double a, double b, double c) {
    switch (op) {
#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc) \
    case Op::name:                                                   \
        return Row<Op::name>::value<double>(a, b, c);
#include "../../cpp/ops.def"
#undef KILOGRAD_OP
        default:
            return c;
    }
}
inline double da_of(Op op, double a, double b, double c, double y) {
    switch (op) {
#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc) \
    case Op::name:                                                   \
        return Row<Op::name>::da<double>(a, b, c, y);
#include "../../cpp/ops.def"
#undef KILOGRAD_OP
        default:
            return 0.0;
    }
}
inline double db_of(Op op, double a, double b, double c, double y) {
    switch (op) {
#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc) \
    case Op::name:                                                   \
        return Row<Op::name>::db<double>(a, b, c, y);
#include "../../cpp/ops.def"
#undef KILOGRAD_OP
        default:
            return 0.0;
    }
}

// One row through the recording as it stands: values of all nodes, then adjoints under the given output weights.
struct Plain {
    std::vector<double> v, d;

    Plain(const Recording& r, const double* x, const double* p) : v(r.size()) {
        for (std::size_t n = 0; n < r.size(); ++n) v[n] = r.c[n];
        for (std::size_t k = 0; k < r.inputs.size(); ++k) v[r.inputs[k]] = x[k];
        for (std::size_t k = 0; k < r.parameters.size(); ++k) v[r.parameters[k]] = p[k];
        for (std::size_t n = 0; n < r.size(); ++n)
            if (r.op[n] != Op::leaf) v[n] = value_of(r.op[n], v[r.a[n]], v[r.b[n]], r.c[n]);
    }
    void reverse(const Recording& r, const double* weights) {
        d.assign(r.size(), 0.0);
        for (std::size_t k = 0; k < r.outputs.size(); ++k) d[r.outputs[k]] += weights[k];
        for (std::size_t n = r.size(); n-- > 0;) {
            if (r.op[n] == Op::leaf || d[n] == 0.0) continue;
            const double a = v[r.a[n]], b = v[r.b[n]];
            const Arity arity = info(r.op[n]).arity;
            const double da = da_of(r.op[n], a, b, r.c[n], v[n]), db = db_of(r.op[n], a, b, r.c[n], v[n]);
            d[r.a[n]] += da * d[n];
            if (arity == Arity::Binary) d[r.b[n]] += db * d[n];
        }
    }
};

struct Case {
    Recording recording;
    std::vector<double> x, p;  // (rows, inputs), parameters
    std::size_t rows;
};

// Takes only nodes whose value is moderate, and smooth with moderate slopes, in every row.
inline Case random_case(unsigned seed, std::size_t inputs, std::size_t parameters, std::size_t ops, std::size_t outputs,
                        std::size_t rows) {
    std::mt19937_64 g(seed);
    std::uniform_real_distribution<double> u(-1.5, 1.5);
    Case c;
    c.rows = rows;
    c.x.resize(rows * inputs);
    c.p.resize(parameters);
    for (double& v : c.x) v = u(g);
    for (double& v : c.p) v = u(g);
    Recording& r = c.recording;
    std::vector<std::vector<double>> v;  // node, row
    std::vector<std::uint32_t> pool;
    const auto leaf = [&](auto value_at, double constant) {
        pool.push_back(r.add(Op::leaf, 0, 0, constant));
        v.emplace_back();
        for (std::size_t row = 0; row < rows; ++row) v.back().push_back(value_at(row));
        return pool.back();
    };
    for (std::size_t k = 0; k < inputs; ++k)
        r.inputs.push_back(leaf([&](std::size_t row) { return c.x[row * inputs + k]; }, 0.0));
    for (std::size_t k = 0; k < parameters; ++k) r.parameters.push_back(leaf([&](std::size_t) { return c.p[k]; }, 0.0));
    for (double constant : {0.0, 1.0, -1.0, 2.0, 0.3}) leaf([&](std::size_t) { return constant; }, constant);

    const double exponents[] = {-2, -1, -0.5, 0, 0.5, 1, 2, 3, 5, 2.5};
    std::size_t made = 0;
    for (std::size_t tries = 0; made < ops && tries < 200 * ops + 1000; ++tries) {
        Op op = static_cast<Op>(first_row + g() % (op_count - first_row));
        if (g() % 2) op = g() % 2 ? Op::add : Op::mul;
        const std::uint32_t a = pool[g() % pool.size()], b = pool[g() % pool.size()];
        const double constant = op == Op::powc ? exponents[g() % 10] : op == Op::leaky_relu ? 0.1 : 0.0;
        const Arity arity = info(op).arity;
        std::vector<double> y;
        bool good = true;
        for (std::size_t row = 0; row < rows && good; ++row) {
            const double va = v[a][row], vb = arity == Arity::Binary ? v[b][row] : 0.0;
            y.push_back(value_of(op, va, vb, constant));
            const double da = da_of(op, va, vb, constant, y.back()), db = db_of(op, va, vb, constant, y.back());
            good = std::abs(y.back()) < 30.0 && std::abs(da) < 30.0 && std::abs(db) < 30.0;
            // Kinks and the edges of domains, where neighbouring doubles differ.
            if (op == Op::relu || op == Op::leaky_relu || op == Op::abs) good = good && std::abs(va) > 1e-6;
            if (op == Op::maximum || op == Op::minimum || op == Op::fmax || op == Op::fmin || op == Op::less ||
                op == Op::less_equal || op == Op::equal)
                good = good && std::abs(va - vb) > 1e-6;
            if (op == Op::sign || op == Op::cbrt || op == Op::copysign) good = good && std::abs(va) > 1e-6;
            if (op == Op::copysign) good = good && std::abs(vb) > 1e-6;
            if (op == Op::atan2) good = good && std::abs(va) > 1e-6 && std::abs(vb) > 1e-6;
            if (op == Op::floor) good = good && std::abs(va - std::rint(va)) > 1e-6;
            if (op == Op::rint) good = good && std::abs(va - std::floor(va) - 0.5) > 1e-6;
            if (op == Op::modulo || op == Op::floor_divide)
                good = good && std::abs(va / vb - std::rint(va / vb)) > 1e-6;
            if (op == Op::gate) good = good && (va == 0.0 || std::abs(va) > 1e-6);
        }
        if (!good) continue;
        pool.push_back(r.add(op, a, arity == Arity::Binary ? b : 0, constant));
        v.push_back(std::move(y));
        ++made;
    }
    for (std::size_t k = 0; k < outputs; ++k)
        r.outputs.push_back(pool[pool.size() - 1 - (k == 0 ? 0 : g() % (made / 2 + 1))]);
    return c;
}

}  // namespace kilograd::program::testing
