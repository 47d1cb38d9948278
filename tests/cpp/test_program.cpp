// Programs against plain evaluation of the recording, on every instruction set that the machine has.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "../../cpp/program/execution/threads.hpp"
#include "../../cpp/program/format.hpp"
#include "../../cpp/program/kernels/isa.hpp"
#include "../../cpp/program/passes/second_order.hpp"
#include "../../cpp/program/program.hpp"
#include "../../cpp/program/watch.hpp"
#include "check.hpp"
#include "random_graph.hpp"

using namespace kilograd;
using namespace kilograd::program;
using kilograd::program::testing::Case;
using kilograd::program::testing::Plain;
using kilograd::program::testing::random_case;

namespace {

bool near(double got, double want, double scale = 1.0) {
    return std::abs(got - want) <= 1e-9 * (scale + std::abs(want));
}

struct Results {
    std::vector<double> values, dx, dp;
};

Results run(const Program& p, const Case& c, const Kernels& kernels, unsigned threads = 1, Reduce reduce = Reduce::None,
            const double* weights = nullptr, std::ptrdiff_t weight_stride = 0) {
    Results r;
    r.values.assign((reduce == Reduce::None ? c.rows : 1) * p.n_outputs(), -1.0);
    r.dx.assign(c.rows * p.n_inputs(), -1.0);
    r.dp.assign(p.n_parameters(), -1.0);
    Request q;
    q.x = c.x.data();
    q.row_stride = p.n_inputs();
    q.rows = c.rows;
    q.parameters = c.p.data();
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

// The Hessians of all rows by inputs and parameters: by sweeps over dual numbers, and by the program of the entries.
std::vector<double> hessians(const Program& p, const Case& c, const Kernels& kernels) {
    const std::size_t columns = p.n_inputs() + p.n_parameters();
    std::vector<double> result(c.rows * columns * columns, -1.0);
    Request q;
    q.x = c.x.data();
    q.row_stride = p.n_inputs();
    q.rows = c.rows;
    q.parameters = c.p.data();
    q.promoted = true;
    q.check = false;
    p.hessian_by_sweeps(q, result.data(), kernels);
    return result;
}
std::vector<double> hessians(const Program& entries, const SecondOrder& found, const Case& c, const Kernels& kernels) {
    const std::size_t columns = entries.n_inputs() + entries.n_parameters();
    std::vector<double> result(c.rows * columns * columns, 0.0), values(c.rows * found.at.size());
    Request q;
    q.x = c.x.data();
    q.row_stride = entries.n_inputs();
    q.rows = c.rows;
    q.parameters = c.p.data();
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

}  // namespace

TEST(agrees_with_plain_evaluation) {
    for (unsigned seed = 0; seed < 60; ++seed) {
        const std::size_t rows = std::vector<std::size_t>{1, 7, 64, 1000, 0, 13}[seed % 6];
        const Case c =
            random_case(seed, 1 + seed % 4, seed % 5, 40 + seed * 3, 1 + seed % 3, std::max<std::size_t>(rows, 1));
        Case used = c;
        used.rows = rows;
        const Program p(c.recording);
        std::vector<double> weights(std::max<std::size_t>(rows, 1) * p.n_outputs());
        std::mt19937_64 g(seed);
        for (double& w : weights) w = std::uniform_real_distribution<double>(-2, 2)(g);
        std::vector<double> dp(p.n_parameters(), 0.0), dp_scale(p.n_parameters(), 1.0);
        std::vector<Plain> plain;
        for (std::size_t r = 0; r < rows; ++r) {
            plain.emplace_back(c.recording, &c.x[r * p.n_inputs()], c.p.data());
            plain.back().reverse(c.recording, &weights[r * p.n_outputs()]);
            for (std::size_t k = 0; k < dp.size(); ++k) {
                dp[k] += plain[r].d[c.recording.parameters[k]];
                dp_scale[k] += std::abs(plain[r].d[c.recording.parameters[k]]);
            }
        }
        for (const Kernels* kernels : available_kernels()) {
            const Results got = run(p, used, *kernels, 1, Reduce::None, weights.data(), p.n_outputs());
            for (std::size_t r = 0; r < rows; ++r) {
                for (std::size_t o = 0; o < p.n_outputs(); ++o)
                    CHECK(near(got.values[r * p.n_outputs() + o], plain[r].v[c.recording.outputs[o]]));
                for (std::size_t k = 0; k < p.n_inputs(); ++k)
                    CHECK(near(got.dx[r * p.n_inputs() + k], plain[r].d[c.recording.inputs[k]], 10.0));
            }
            for (std::size_t k = 0; k < dp.size(); ++k) CHECK(near(got.dp[k], dp[k], dp_scale[k]));
            for (unsigned threads = 2; threads <= 4; ++threads) {
                const Results again = run(p, used, *kernels, threads, Reduce::None, weights.data(), p.n_outputs());
                CHECK(got.values == again.values);
                CHECK(got.dx == again.dx);
                CHECK(got.dp == again.dp);
            }
        }
    }
}

TEST(reductions) {
    const Case c = random_case(7, 3, 4, 80, 2, 333);
    const Program p(c.recording);
    for (const Kernels* kernels : available_kernels()) {
        const Results each = run(p, c, *kernels), sum = run(p, c, *kernels, 3, Reduce::Sum),
                      mean = run(p, c, *kernels, 2, Reduce::Mean);
        for (std::size_t o = 0; o < 2; ++o) {
            double total = 0.0, size = 0.0;
            for (std::size_t r = 0; r < c.rows; ++r) {
                total += each.values[r * 2 + o];
                size += std::abs(each.values[r * 2 + o]);
            }
            CHECK(near(sum.values[o], total, size));
            CHECK(near(mean.values[o], total / 333.0, size / 333.0));
        }
        for (std::size_t k = 0; k < 4; ++k) {
            CHECK(near(sum.dp[k], each.dp[k], 100.0));
            CHECK(near(mean.dp[k], each.dp[k] / 333.0));
        }
        for (std::size_t k = 0; k < each.dx.size(); ++k) CHECK(near(mean.dx[k], each.dx[k] / 333.0));
    }
}

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

TEST(second_derivatives_as_a_program) {
    for (unsigned seed = 200; seed < 320; ++seed) {
        const std::size_t rows = seed % 2 ? 1 : 5;
        const Case c = random_case(seed, 1 + seed % 4, seed % 3, 30 + seed % 30, 1 + seed % 2, rows);
        const Program p(c.recording);
        const auto found = differentiate_twice(p.graph(), true, 1000);
        CHECK(found.has_value());
        validate(found->graph);
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
        const auto found = differentiate_twice(p.graph(), true, 1000);
        CHECK(found.has_value());
        const Program entries(found->graph);
        const Kernels& kernels = *available_kernels().front();
        const std::vector<double> want = hessians(p, c, kernels), got = hessians(entries, *found, c, kernels);
        for (std::size_t k = 0; k < want.size(); ++k) {
            // Sweeps may find a NaN in one triangle only, where an intermediate result overflows.
            const std::size_t mirrored = k / 9 * 9 + k % 3 * 3 + k / 3 % 3;
            if (want[k] != want[k] || want[mirrored] != want[mirrored]) continue;
            ++numbers;
            CHECK(got[k] == got[k]);
        }
    }
    CHECK(numbers > 10000);
}

// x > 0 ? sqrt(x) * sqrt(y) : 3 * y
Recording choice() {
    Recording r;
    const std::uint32_t x = r.add(Op::leaf), y = r.add(Op::leaf), zero = r.add(Op::leaf),
                        one = r.add(Op::leaf, 0, 0, 1.0), minus = r.add(Op::leaf, 0, 0, -1.0),
                        three = r.add(Op::leaf, 0, 0, 3.0);
    r.inputs = {x, y};
    const std::uint32_t roots = r.add(Op::mul, r.add(Op::sqrt, x), r.add(Op::sqrt, y)), line = r.add(Op::mul, y, three);
    const std::uint32_t holds = r.add(Op::less, zero, x), fails = r.add(Op::add, one, r.add(Op::mul, holds, minus));
    r.outputs = {r.add(Op::add, r.add(Op::gate, holds, roots), r.add(Op::gate, fails, line))};
    return r;
}

TEST(choices) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    // x, y, and by x and y the gradient and the entries of the Hessian
    const double rows[][7] = {{4, 1, 0.25, 1, -0.03125, 0.125, -0.5},
                              {0, 0, 0, 3, 0, 0, 0},
                              {0, 4, 0, 3, 0, 0, 0},
                              {-0.0, 0, 0, 3, 0, 0, 0},
                              {nan, 9, 0, 3, 0, 0, 0}};
    Saved saved{optimise(choice()), {1}, {}};
    const std::string bytes = serialise(saved);
    const Program program(deserialise(bytes.data(), bytes.size()).graph);
    const auto has = [&](Code code) {
        const auto& nodes = program.graph().nodes;
        return std::any_of(nodes.begin(), nodes.end(), [&](const auto& node) { return node.code == code; });
    };
    CHECK(has(Code::less) && has(Code::gate) && has(Code::enter));
    const auto found = differentiate_twice(program.graph(), false, 1000);
    CHECK(found.has_value());
    const Program entries(found->graph);
    std::vector<double> x;
    for (const auto& row : rows) x.insert(x.end(), {row[0], row[1]});
    for (const Kernels* kernels : available_kernels())
        for (std::size_t count : {std::size_t{1}, std::size(rows)})
            for (std::size_t first = 0; first + count <= std::size(rows); ++first) {
                std::vector<double> values(count), dx(2 * count), sweeps(4 * count), made(3 * count, -1.0);
                Request q;
                q.x = &x[2 * first];
                q.row_stride = 2;
                q.rows = count;
                q.values = values.data();
                q.dx = dx.data();
                program.run(q, *kernels);
                q.dx = nullptr;
                q.values = nullptr;
                program.hessian_by_sweeps(q, sweeps.data(), *kernels);
                q.values = made.data();
                q.check = false;
                entries.run(q, *kernels);
                for (std::size_t r = 0; r < count; ++r) {
                    const double* row = rows[first + r];
                    CHECK(values[r] == (row[0] > 0 ? std::sqrt(row[0]) * std::sqrt(row[1]) : 3 * row[1]));
                    CHECK(dx[2 * r] == row[2] && dx[2 * r + 1] == row[3]);
                    CHECK(sweeps[4 * r] == row[4] && sweeps[4 * r + 1] == row[5] && sweeps[4 * r + 3] == row[6]);
                    CHECK(sweeps[4 * r + 2] == row[5]);
                    for (std::size_t k = 0; k < found->at.size(); ++k) {
                        const auto [i, j] = found->at[k];
                        CHECK(made[r * found->at.size() + k] == row[4 + i + j]);
                    }
                }
            }
}

TEST(quotients_that_decide_are_rounded_once) {
    Recording r;
    const std::uint32_t x = r.add(Op::leaf), divisor = r.add(Op::leaf, 0, 0, 49.0), one = r.add(Op::leaf, 0, 0, 1.0);
    r.inputs = {x};
    const std::uint32_t inverse = r.add(Op::powc, divisor, 0, -1.0);
    const std::uint32_t quotient = r.add(Op::mul, x, inverse, 1.0), product = r.add(Op::mul, x, inverse);
    r.outputs = {r.add(Op::equal, r.add(Op::add, quotient, one), r.add(Op::add, one, one)),
                 r.add(Op::less, product, one), product};
    const Program p(r);
    CHECK(49.0 * (1.0 / 49.0) < 1.0);
    for (const Kernels* kernels : available_kernels())
        for (std::size_t count : {1, 9}) {
            const std::vector<double> at(count, 49.0);
            std::vector<double> values(3 * count);
            Request q;
            q.x = at.data();
            q.row_stride = 1;
            q.rows = count;
            q.values = values.data();
            p.run(q, *kernels);
            for (std::size_t row = 0; row < count; ++row)
                CHECK(values[3 * row] == 1.0 && values[3 * row + 1] == 1.0 && values[3 * row + 2] < 1.0);
        }
}

TEST(nested_choices_and_shared_operands) {
    // m ? (1 ? sqrt(u) : u) + u : u, where u = x * 1 is shared with the outer branch and the rest
    Recording r;
    const std::uint32_t x = r.add(Op::leaf), zero = r.add(Op::leaf), one = r.add(Op::leaf, 0, 0, 1.0);
    r.inputs = {x};
    const std::uint32_t u = r.add(Op::mul, x, x), outer = r.add(Op::less, one, x),
                        inner = r.add(Op::less_equal, zero, u);
    const std::uint32_t root = r.add(Op::gate, inner, r.add(Op::sqrt, u));
    r.outputs = {r.add(Op::add, r.add(Op::gate, outer, r.add(Op::add, root, u)), u)};
    const Program p(r);
    for (const Kernels* kernels : available_kernels())
        for (double at : {0.0, 0.5, 3.0}) {
            double value, gradient, second;
            Request q;
            q.x = &at;
            q.values = &value;
            q.dx = &gradient;
            p.run(q, *kernels);
            const double slope = at > 1 ? 1 + 4 * at : 2 * at, curvature = at > 1 ? 4.0 : 2.0;
            CHECK(near(gradient, slope));
            Request again;
            again.x = &at;
            p.hessian(again, &second, *kernels);
            CHECK(near(second, curvature));
            p.hessian_by_sweeps(again, &second, *kernels);
            CHECK(near(second, curvature));
        }
}

TEST(reductions_of_expressions) {
    Recording r;
    const auto x = r.add(Op::leaf), y = r.add(Op::leaf), minus = r.add(Op::leaf, 0, 0, -1.0);
    r.inputs = {x, y};
    const auto difference = r.add(Op::add, x, r.add(Op::mul, y, minus));
    const auto quotient = r.add(Op::mul, x, r.add(Op::powc, y, 0, -1.0));
    const auto again = r.add(Op::mul, x, r.add(Op::powc, y, 0, -1.0));
    const auto dead = r.add(Op::exp, x);
    (void)dead;
    const auto cube = r.add(Op::powc, x, 0, 3.0);
    const auto constant = r.add(Op::mul, minus, minus);
    const auto sum = r.add(Op::add, r.add(Op::add, r.add(Op::mul, x, y), r.add(Op::mul, x, x)), constant);
    r.outputs = {difference, quotient, again, cube, sum};
    const Graph graph = optimise(r);
    std::size_t count[code_count] = {};
    for (const Node& node : graph.nodes) ++count[index_of(node.code)];
    CHECK(count[index_of(Code::sub)] == 1);
    CHECK(count[index_of(Code::reciprocal)] + count[index_of(Code::div)] == 1);
    CHECK(count[index_of(Code::exp)] == 0);
    CHECK(count[index_of(Code::whole_power)] == 1);
    CHECK(count[index_of(Code::dot)] == 1);
    CHECK(graph.outputs[1] == graph.outputs[2]);
}

TEST(domain_errors) {
    struct Example {
        Op op;
        double c, bad, good;
        Fault fault;
    };
    const Example examples[] = {
        {Op::log, 0, 0.0, 1.0, Fault::Domain},         {Op::log, 0, -1.0, 1.0, Fault::Domain},
        {Op::sqrt, 0, -1.0, 1.0, Fault::Domain},       {Op::exp, 0, 1000.0, 1.0, Fault::Overflow},
        {Op::powc, -1, 0.0, 1.0, Fault::ZeroDivision}, {Op::powc, -2, 0.0, 1.0, Fault::ZeroDivision},
        {Op::powc, 2, 1e200, 1.0, Fault::Overflow},    {Op::powc, 3, 1e200, 1.0, Fault::Overflow},
        {Op::powc, 0.5, -1.0, 1.0, Fault::Domain},     {Op::powc, 1.5, -8.0, 1.0, Fault::Domain},
        {Op::asin, 0, 2.0, 0.5, Fault::Domain},        {Op::atanh, 0, 1.0, 0.5, Fault::Domain},
        {Op::cosh, 0, 1000.0, 0.5, Fault::Overflow},   {Op::powc, -1, 1e-310, 1.0, Fault::Overflow},
    };
    const double inf = std::numeric_limits<double>::infinity();
    for (const Example& e : examples)
        for (std::size_t rows : {1, 3, 500})
            for (const Kernels* kernels : available_kernels())
                for (int divided = 0; divided < 2; ++divided) {
                    Case c;
                    c.rows = rows;
                    Recording& r = c.recording;
                    const auto x = r.add(Op::leaf);
                    r.inputs.assign(1, x);
                    auto y = r.add(e.op, x, 0, e.c);
                    if (divided) y = r.add(Op::mul, r.add(Op::tanh, x), y);  // a quotient where e is a reciprocal
                    r.outputs.assign(1, r.add(Op::tanh, y));
                    const Program p(r);
                    c.x.assign(rows, e.good);
                    run(p, c, *kernels);
                    c.x[rows / 2] = e.bad;
                    c.x.back() = rows > 1 ? e.bad : c.x.back();
                    try {
                        run(p, c, *kernels, 2);
                        CHECK(!"an error was due");
                    } catch (const DomainError& error) {
                        CHECK(error.fault == e.fault);
                        CHECK(error.row == rows / 2);
                        CHECK(error.operand == e.bad);
                        CHECK(!error.in_every_row);
                    }
                    // Not finite to begin with: flows.
                    c.x.assign(rows, std::nan(""));
                    CHECK(std::isnan(run(p, c, *kernels).values[0]));
                    if (e.op == Op::exp || e.op == Op::log) {
                        c.x.assign(rows, inf);
                        CHECK(run(p, c, *kernels).values[0] == 1.0);
                    }
                }
}

TEST(infinite_derivatives_survive_padding) {
    Recording r;
    const auto x = r.add(Op::leaf), w = r.add(Op::leaf);
    r.inputs.assign(1, x);
    r.parameters.assign(1, w);
    r.outputs.assign(1, r.add(Op::sqrt, r.add(Op::mul, w, x)));
    const Program p(r);
    for (std::size_t rows : {1, 2, 3, 7, 9})
        for (const Kernels* kernels : available_kernels()) {
            Case c;
            c.rows = rows;
            c.x.assign(rows, 1.0);
            c.p.assign(1, 0.0);
            const Results got = run(p, c, *kernels);
            CHECK(std::isinf(got.dp[0]));
        }
}

TEST(uniform_outputs_and_plain_leaves) {
    Recording r;
    const auto x = r.add(Op::leaf), w = r.add(Op::leaf), two = r.add(Op::leaf, 0, 0, 2.0), unused = r.add(Op::leaf);
    r.inputs = {x, unused};
    r.parameters.assign(1, w);
    r.outputs = {x, w, two, r.add(Op::mul, w, w), x};
    const Program p(r);
    for (std::size_t rows : {1, 2, 100})
        for (const Kernels* kernels : available_kernels()) {
            Case c;
            c.rows = rows;
            for (std::size_t k = 0; k < rows; ++k) c.x.insert(c.x.end(), {double(k), 5.0});
            c.p.assign(1, 3.0);
            const Results got = run(p, c, *kernels);
            for (std::size_t k = 0; k < rows; ++k) {
                CHECK(got.values[5 * k] == double(k) && got.values[5 * k + 1] == 3.0 && got.values[5 * k + 2] == 2.0);
                CHECK(got.values[5 * k + 3] == 9.0 && got.values[5 * k + 4] == double(k));
                CHECK(got.dx[2 * k] == 2.0 && got.dx[2 * k + 1] == 0.0);
            }
            CHECK(got.dp[0] == 7.0 * double(rows));
        }
}

TEST(strides_of_inputs) {
    const Case c = random_case(5, 3, 2, 60, 1, 50);
    const Program p(c.recording);
    std::vector<double> turned(c.x.size()), a(50), b(50);
    for (std::size_t r = 0; r < 50; ++r)
        for (std::size_t k = 0; k < 3; ++k) turned[k * 50 + r] = c.x[r * 3 + k];
    Request q;
    q.parameters = c.p.data();
    q.rows = 50;
    q.x = c.x.data();
    q.row_stride = 3;
    q.values = a.data();
    p.run(q);
    q.x = turned.data();
    q.row_stride = 1;
    q.column_stride = 50;
    q.values = b.data();
    p.run(q);
    CHECK(a == b);
}

TEST(format_round_trip) {
    for (unsigned seed = 0; seed < 20; ++seed) {
        const Case c = random_case(seed, 2, 3, 100, 2, 9);
        const Program p(c.recording);
        const std::string bytes = serialise({p.graph(), {p.n_outputs()}, c.p});
        const Saved saved = deserialise(bytes.data(), bytes.size());
        const Program q(saved.graph);
        CHECK(serialise(saved) == bytes);
        for (const Kernels* kernels : available_kernels()) {
            const Results a = run(p, c, *kernels), b = run(q, c, *kernels);
            CHECK(a.values == b.values && a.dx == b.dx && a.dp == b.dp);
        }
    }
}

TEST(format_refuses_damage) {
    const Case c = random_case(3, 2, 3, 60, 2, 9);
    const std::string good = serialise({Program(c.recording).graph(), {2}, c.p});
    CHECK_THROWS(std::invalid_argument, deserialise("", 0));
    CHECK_THROWS(std::invalid_argument, deserialise("kgprog", 6));
    for (std::size_t size = 0; size < good.size(); ++size)
        CHECK_THROWS(std::invalid_argument, deserialise(good.data(), size));
    for (std::size_t k = 0; k < good.size(); ++k) {
        std::string bad = good;
        bad[k] = static_cast<char>(bad[k] ^ 0x41);
        CHECK_THROWS(std::invalid_argument, deserialise(bad.data(), bad.size()));
    }
    // With the checksum made right again: any outcome but a crash, and what is accepted runs.
    std::mt19937_64 g(1);
    int accepted = 0;
    for (int trial = 0; trial < 30000; ++trial) {
        std::string bad = good;
        for (std::size_t n = 1 + g() % 3; n-- > 0;)
            bad[6 + g() % (bad.size() - 14)] = static_cast<char>(g() % 4 ? g() % 8 : g());
        std::uint64_t h = 0xcbf29ce484222325u;
        for (std::size_t k = 0; k + 8 < bad.size(); ++k) h = (h ^ static_cast<unsigned char>(bad[k])) * 0x100000001b3u;
        std::memcpy(bad.data() + bad.size() - 8, &h, 8);  // the tests run on little-endian machines
        try {
            const Program p(deserialise(bad.data(), bad.size()).graph);
            if (p.n_inputs() > 100 || p.n_parameters() > 100) continue;
            ++accepted;
            Case any;
            any.rows = 1 + trial % 20;
            any.x.assign(any.rows * p.n_inputs(), 0.5);
            any.p.assign(p.n_parameters(), 0.25);
            try {
                run(p, any, chosen_kernels());
            } catch (const DomainError&) {
            }
        } catch (const std::invalid_argument&) {
        }
    }
    CHECK(accepted > 100);
}

// Asks at every look; `answer` gets the number of the look and may throw.
class EveryLook final : public Watch {
  public:
    explicit EveryLook(std::function<void(int)> answer) : Watch(std::chrono::nanoseconds(0)), answer_(answer) {}
    std::atomic<int> looks{0};

  private:
    bool ask() override {
        answer_(++looks);
        return true;
    }
    std::function<void(int)> answer_;
};

struct Enough {};

TEST(a_call_is_called_off_between_two_blocks) {
    const Case c = random_case(5, 3, 3, 60, 2, 200000);
    const Program p(c.recording);
    const Results want = run(p, c, chosen_kernels());
    std::vector<double> values(c.rows * p.n_outputs(), -777.0);
    Request q;
    q.x = c.x.data();
    q.row_stride = p.n_inputs();
    q.rows = c.rows;
    q.parameters = c.p.data();
    q.values = values.data();
    {
        EveryLook watch([](int look) {
            if (look == 5) throw Enough();
        });
        CHECK_THROWS(Enough, p.run(q));
        CHECK(watch.looks == 5);
    }
    CHECK(std::count(values.begin(), values.end(), -777.0) > std::ptrdiff_t(values.size() * 9 / 10));
    for (std::size_t k = 0; k < values.size(); ++k) CHECK(values[k] == -777.0 || values[k] == want.values[k]);
    CHECK(run(p, c, chosen_kernels()).dx == want.dx);
}

TEST(a_call_within_a_call) {
    const Case c = random_case(6, 3, 3, 60, 2, 20000);
    const Program p(c.recording);
    const Results want = run(p, c, chosen_kernels());
    for (unsigned threads : {1u, 3u}) {
        int wrong = 0;
        EveryLook watch([&](int look) {
            if (look % 8 == 1) wrong += run(p, c, chosen_kernels(), threads).dx != want.dx;
        });
        const Results got = run(p, c, chosen_kernels());
        CHECK(got.values == want.values && got.dx == want.dx && got.dp == want.dp);
        CHECK(watch.looks > 0);
        CHECK(wrong == 0);
    }
}

TEST(schedules_and_second_derivatives_are_called_off) {
    Case c;
    std::uint32_t y = c.recording.add(Op::leaf);
    const std::uint32_t x = c.recording.add(Op::leaf);
    c.recording.inputs = {y, x};
    for (int k = 0; k < 100000; ++k) y = c.recording.add(k % 2 ? Op::tanh : Op::mul, y, x);
    c.recording.outputs = {y};
    c.rows = 3;
    c.x = {0.5, 1.5, -0.5, 1.25, 0.75, -1.5};
    const auto called_off = [&](auto&& work) {
        EveryLook watch([&](int) { throw Enough(); });
        CHECK_THROWS(Enough, work());
        CHECK(watch.looks == 1);
    };
    called_off([&] { optimise(c.recording); });
    const Program p(c.recording);
    const std::size_t bytes = p.bytes();
    called_off([&] { run(p, c, chosen_kernels()); });
    called_off([&] { hessians(p, c, chosen_kernels()); });
    CHECK(p.bytes() == bytes);  // nothing half made is kept
    const Results got = run(p, c, chosen_kernels()), want = run(Program(c.recording), c, chosen_kernels());
    CHECK(got.values == want.values && got.dx == want.dx && got.dp == want.dp);
}

// Tasks of which the helpers' do not end before the owner says so.
struct Waiting {
    const std::thread::id owner = std::this_thread::get_id();
    std::atomic<int> waiting{0};
    bool mine() const { return std::this_thread::get_id() == owner; }
    template <class Condition>
    void help_until(Condition done) {
        ++waiting;
        while (!done()) std::this_thread::yield();
    }
    void wait_for_a_helper() const {
        while (!waiting) std::this_thread::yield();
    }
};

TEST(helpers_are_called_off_with_their_owner) {
    for (const int last : {1, 5}) {  // in a task, and while waiting for the others' tasks
        EveryLook watch([&](int look) {
            if (look == last) throw Enough();
        });
        Waiting tasks;
        CHECK_THROWS(Enough, parallel(8, 3, [&](std::size_t) {
                         if (tasks.mine()) {
                             tasks.wait_for_a_helper();
                             if (last == 1) look_up();
                         } else {
                             tasks.help_until([] {
                                 look_up();
                                 return false;
                             });
                         }
                     }));
        CHECK(watch.looks == last);
    }
}

// ThreadSanitizer ends a forked child that starts threads.
#if (defined(__unix__) || defined(__APPLE__)) && !defined(__SANITIZE_THREAD__)
TEST(a_child_forked_from_within_a_call_goes_on) {
    for (const bool in_task : {true, false}) {
        pid_t child = -1;
        std::atomic<bool> forked{false};
        std::vector<std::size_t> done(8, 0);
        {
            EveryLook watch([&](int look) {
                if (look != 1) return;
                child = fork();
                forked = true;
            });
            Waiting tasks;
            parallel(8, 3, [&](std::size_t k) {
                if (!tasks.mine()) tasks.help_until([&] { return forked.load(); });
                if (tasks.mine() && !forked) {
                    tasks.wait_for_a_helper();
                    if (in_task) look_up();
                }
                done[k] = k * k + 1;
            });
        }
        bool right = true;
        for (std::size_t k = 0; k < done.size(); ++k) right = right && done[k] == k * k + 1;
        if (child == 0) {
            std::atomic<int> again{0};
            parallel(8, 3, [&](std::size_t) { ++again; });
            _exit(right && again == 8 ? 0 : 1);
        }
        CHECK(right);
        int status = -1;
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    }
}
#endif

TEST(the_lowest_failed_task_is_the_one_that_is_told) {
    for (int round = 0; round < 200; ++round) {
        try {
            parallel(20, 4, [](std::size_t k) {
                if (k % 7 == 3) throw static_cast<int>(k);
            });
            CHECK(!"an error was due");
        } catch (int k) {
            CHECK(k == 3);
        }
    }
}

TEST(refuses_what_it_cannot_record) {
    Recording r;
    const auto x = r.add(Op::leaf);
    r.inputs.assign(1, x);
    r.outputs.assign(1, r.add(Op::custom, x));
    CHECK_THROWS(NotRecordable, optimise(r));
}

TEST(instruction_set_by_name) {
    for (const Kernels* kernels : available_kernels()) CHECK(&kernels_named(kernels->name) == kernels);
    CHECK_THROWS(std::invalid_argument, kernels_named("mmx"));
}

RUN_TESTS()
