// Calls of a program that tests compare.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "../../cpp/program/kernels/isa.hpp"
#include "../../cpp/program/passes/entries.hpp"
#include "random_graph.hpp"

namespace kilograd::program::testing {

inline bool near(double got, double want, double scale = 1.0) {
    return std::abs(got - want) <= 1e-9 * (scale + std::abs(want));
}

inline Request request(const Program& p, const Case& c) {
    Request q;
    q.x = c.x.data();
    q.row_stride = p.n_inputs();
    q.rows = c.rows;
    q.parameters = c.p.data();
    return q;
}

struct Results {
    std::vector<double> values, dx, dp;
};

inline Results run(const Program& p, const Case& c, const Kernels& kernels, unsigned threads = 1,
                   Reduce reduce = Reduce::None, const double* weights = nullptr, std::ptrdiff_t weight_stride = 0) {
    Results r;
    r.values.assign((reduce == Reduce::None ? c.rows : 1) * p.n_outputs(), -1.0);
    r.dx.assign(c.rows * p.n_inputs(), -1.0);
    r.dp.assign(p.n_parameters(), -1.0);
    Request q = request(p, c);
    q.threads = threads;
    q.reduce = reduce;
    q.weights = weights;
    q.weight_row_stride = weight_stride;
    q.values = r.values.data();
    q.dx = r.dx.data();
    q.dp = r.dp.data();
    p.run(q, kernels);
    return r;
}

using Of = Derivatives::Of;

inline Columns columns_of(const Program& p, const Request& q) { return Columns::of(p.graph(), true, q.promoted); }
inline void whole_hessian(const Program& p, const Request& q, double* to, const Kernels& kernels) {
    p.derivatives().whole(Of::Hessian, p, q, columns_of(p, q), to, kernels);
}
inline void swept_hessian(const Program& p, const Request& q, double* to, const Kernels& kernels) {
    p.derivatives().by_sweeps(Of::Hessian, p, q, columns_of(p, q), to, kernels);
}

// The Hessians of all rows by inputs and parameters: by sweeps over dual numbers, and by the program of the entries.
inline std::vector<double> hessians(const Program& p, const Case& c, const Kernels& kernels) {
    const std::size_t columns = p.n_inputs() + p.n_parameters();
    std::vector<double> result(c.rows * columns * columns, -1.0);
    Request q = request(p, c);
    q.promoted = true;
    q.check = false;
    swept_hessian(p, q, result.data(), kernels);
    return result;
}
inline std::vector<double> hessians(const Program& entries, const Entries& found, const Case& c,
                                    const Kernels& kernels) {
    const std::size_t columns = entries.n_inputs() + entries.n_parameters();
    std::vector<double> result(c.rows * columns * columns, 0.0), values(c.rows * found.at.size());
    Request q = request(entries, c);
    q.check = false;
    q.values = values.data();
    entries.run(q, kernels);
    for (std::size_t r = 0; r < c.rows; ++r)
        for (std::size_t k = 0; k < found.at.size(); ++k) {
            const auto [i, j] = found.at[k];
            result[(r * columns + i) * columns + j] = result[(r * columns + j) * columns + i] =
                values[r * found.at.size() + k];
        }
    return result;
}

}  // namespace kilograd::program::testing
