// Tangents and second derivatives of programs, by sweeps and by a program of their entries.
#include <algorithm>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "runs.hpp"

using namespace kilograd;
using namespace kilograd::program;
using namespace kilograd::program::testing;

TEST(tangents_and_second_derivatives) {
    for (unsigned seed = 100; seed < 130; ++seed) {
        const std::size_t rows = 5, n = 3, np = 2, m = 2;
        const Case c = random_case(seed, n, np, 50, m, rows);
        const Program p(c.recording);
        for (const Kernels* kernels : available_kernels()) {
            Request q;
            q.x = c.x.data();
            q.row_stride = n;
            q.parameters = c.p.data();
            // Jacobian by reverse and by tangents, parameters promoted to inputs.
            const std::size_t columns = n + np;
            std::vector<double> reverse(rows * m * columns), forward(rows * columns * m);
            q.promoted = true;
            q.rows = rows * m;
            q.repeat = m;
            q.unit_weights = true;
            q.dx = reverse.data();
            p.run(q, *kernels);
            q.unit_weights = false;
            q.dx = nullptr;
            q.rows = rows * columns;
            q.repeat = columns;
            q.unit_tangents = true;
            q.value_tangents = forward.data();
            p.run(q, *kernels);
            for (std::size_t r = 0; r < rows; ++r)
                for (std::size_t o = 0; o < m; ++o) {
                    Plain plain(c.recording, &c.x[r * n], c.p.data());
                    double weights[2] = {o == 0 ? 1.0 : 0.0, o == 1 ? 1.0 : 0.0};
                    plain.reverse(c.recording, weights);
                    for (std::size_t k = 0; k < columns; ++k) {
                        const double want = plain.d[k < n ? c.recording.inputs[k] : c.recording.parameters[k - n]];
                        CHECK(near(reverse[(r * m + o) * columns + k], want, 10.0));
                        CHECK(near(forward[(r * columns + k) * m + o], want, 10.0));
                    }
                }
            // Hessian against central differences of the gradient.
            std::vector<double> hessian(rows * columns * columns), gradient(hessian.size());
            q.value_tangents = nullptr;
            q.dx = gradient.data();
            q.dx_tangents = hessian.data();
            p.run(q, *kernels);
            for (std::size_t r = 0; r < rows; ++r)
                for (std::size_t i = 0; i < columns; ++i) {
                    std::vector<double> at(&c.x[r * n], &c.x[r * n] + n);
                    at.insert(at.end(), c.p.begin(), c.p.end());
                    const double h = 1e-6, here = at[i], ones[2] = {1.0, 1.0};
                    at[i] = here + h;
                    Plain up(c.recording, at.data(), at.data() + n);
                    up.reverse(c.recording, ones);
                    at[i] = here - h;
                    Plain down(c.recording, at.data(), at.data() + n);
                    down.reverse(c.recording, ones);
                    for (std::size_t k = 0; k < columns; ++k) {
                        const std::uint32_t leaf = k < n ? c.recording.inputs[k] : c.recording.parameters[k - n];
                        const double want = (up.d[leaf] - down.d[leaf]) / (2 * h);
                        const double got = hessian[(r * columns + i) * columns + k];
                        CHECK(std::abs(got - want) <= 1e-4 * (1.0 + std::abs(want) + std::abs(up.d[leaf])));
                        CHECK(near(got, hessian[(r * columns + k) * columns + i], 10.0));
                    }
                }
        }
    }
}

TEST(jacobians_as_a_program) {
    for (unsigned seed = 1200; seed < 1320; ++seed) {
        const std::size_t rows = seed % 2 ? 1 : 5, inputs = 1 + seed % 7, outputs = 1 + seed / 7 % 7;
        const Case c = random_case(seed, inputs, seed % 3, 30 + seed % 30, outputs, rows);
        const Program p(c.recording);
        for (const Columns& columns :
             {Columns::of(p.graph(), true, true), Columns::of(p.graph(), false, true),
              Columns::of(p.graph(), true, false), Columns({{0, 1}}),
              Columns(
                  {{0, 1}, {static_cast<std::uint32_t>(inputs - (inputs > 1)), static_cast<std::uint32_t>(inputs)}})}) {
            if (columns.size() == 2 && inputs == 1) continue;
            const std::size_t area = outputs * columns.size();
            for (const Kernels* kernels : available_kernels()) {
                Request q = request(p, c);
                q.check = false;
                std::vector<double> want(rows * area, -1.0), got(want), sum(area, -1.0), swept(area, -1.0);
                p.derivatives().by_sweeps(Of::Jacobian, p, q, columns, want.data(), *kernels);
                p.derivatives().whole(Of::Jacobian, p, q, columns, got.data(), *kernels);
                double scale = 1.0;
                for (double d : want) scale = std::max(scale, std::abs(d));
                for (std::size_t k = 0; k < want.size(); ++k) CHECK(std::abs(got[k] - want[k]) <= 1e-10 * scale);
                q.reduce = Reduce::Mean;
                p.derivatives().by_sweeps(Of::Jacobian, p, q, columns, swept.data(), *kernels);
                p.derivatives().whole(Of::Jacobian, p, q, columns, sum.data(), *kernels);
                for (std::size_t k = 0; k < area; ++k) CHECK(std::abs(sum[k] - swept[k]) <= 1e-10 * scale);
                q.reduce = Reduce::None;
                const Pattern& pattern = p.derivatives().pattern(Of::Jacobian, p, columns, false);
                std::vector<double> entries(rows * pattern.size(), -1.0), spread(rows * area, 0.0);
                p.derivatives().entries(Of::Jacobian, p, q, columns, entries.data(), *kernels);
                for (std::size_t r = 0; r < rows; ++r)
                    for (std::size_t row = 0; row < outputs; ++row)
                        for (std::size_t k = pattern.starts[row]; k < pattern.starts[row + 1]; ++k)
                            spread[(r * outputs + row) * pattern.width + pattern.columns[k]] =
                                entries[r * pattern.size() + k];
                CHECK(spread == got);
            }
        }
    }
}

TEST(hessians_of_weighted_sums_as_a_program) {
    for (unsigned seed = 1400; seed < 1440; ++seed) {
        const std::size_t rows = seed % 2 ? 1 : 5;
        const Case c = random_case(seed, 4, 2, 40, 3, rows);
        const Program p(c.recording);
        std::mt19937_64 g(seed);
        std::vector<double> weights(rows * 3);
        for (double& w : weights) w = std::uniform_real_distribution<double>(-1.0, 1.0)(g);
        for (const Kernels* kernels : available_kernels())
            for (std::ptrdiff_t stride : {0, 3}) {
                Request q = request(p, c);
                q.promoted = true;
                q.check = false;
                q.weights = weights.data();
                q.weight_row_stride = stride;
                std::vector<double> want(rows * 36, -1.0), got(want);
                swept_hessian(p, q, want.data(), *kernels);
                whole_hessian(p, q, got.data(), *kernels);
                double scale = 1.0;
                for (double h : want) scale = std::max(scale, std::abs(h));
                for (std::size_t k = 0; k < want.size(); ++k) CHECK(std::abs(got[k] - want[k]) <= 1e-10 * scale);
            }
    }
}

TEST(second_derivatives_as_a_program) {
    for (unsigned seed = 200; seed < 320; ++seed) {
        const std::size_t rows = seed % 2 ? 1 : 5;
        const Case c = random_case(seed, 1 + seed % 4, seed % 3, 30 + seed % 30, 1 + seed % 2, rows);
        const Program p(c.recording);
        const auto found = differentiate_twice(p.graph(), Columns::of(p.graph(), true, true), false, 100000);
        CHECK(found.has_value());
        const Program entries(found->graph);
        for (const Kernels* kernels : available_kernels()) {
            const std::vector<double> want = hessians(p, c, *kernels), got = hessians(entries, *found, c, *kernels);
            double scale = 1.0;
            for (double h : want) scale = std::max(scale, std::abs(h));
            for (std::size_t k = 0; k < want.size(); ++k) CHECK(std::abs(got[k] - want[k]) <= 1e-10 * scale);
        }
    }
}

TEST(second_derivatives_have_no_more_nan_than_sweeps) {
    const double infinity = std::numeric_limits<double>::infinity();
    const double edges[] = {0.0,       -0.0,  1.0,    -1.0,   0.5,     -0.5, infinity,
                            -infinity, 1e200, -1e200, 1e-200, -1e-200, 1e308};
    std::size_t numbers = 0;
    for (unsigned seed = 400; seed < 1000; ++seed) {
        Case c = random_case(seed, 3, 0, 4 + seed % 12, 1, 16);
        std::mt19937_64 g(seed);
        for (double& x : c.x) x = edges[g() % std::size(edges)];
        const Program p(c.recording);
        const auto found = differentiate_twice(p.graph(), Columns::of(p.graph(), true, true), false, 100000);
        CHECK(found.has_value());
        const Program entries(found->graph);
        const Kernels& kernels = *available_kernels().front();
        const std::vector<double> want = hessians(p, c, kernels), got = hessians(entries, *found, c, kernels);
        for (std::size_t k = 0; k < want.size(); ++k) {
            // Sweeps may find a NaN in one triangle only, where an intermediate result overflows; and where the result
            // itself is beyond the largest number, its terms are infinite, and cancel or not by their order.
            const std::size_t mirrored = k / 9 * 9 + k % 3 * 3 + k / 3 % 3;
            if (!std::isfinite(want[k]) || !std::isfinite(want[mirrored])) continue;
            ++numbers;
            CHECK(got[k] == got[k]);
        }
    }
    CHECK(numbers > 10000);
}

RUN_TESTS()
