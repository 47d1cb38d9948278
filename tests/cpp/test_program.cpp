// Programs against plain evaluation of the recording, on every instruction set that the machine has.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "../../cpp/program/format.hpp"
#include "../../cpp/program/kernels/isa.hpp"
#include "../../cpp/program/program.hpp"
#include "check.hpp"
#include "runs.hpp"

using namespace kilograd;
using namespace kilograd::program;
using namespace kilograd::program::testing;

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
    const auto found = differentiate_twice(program.graph(), Columns::of(program.graph(), true, false), false, 100000);
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
                swept_hessian(program, q, sweeps.data(), *kernels);
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
            whole_hessian(p, again, &second, *kernels);
            CHECK(near(second, curvature));
            swept_hessian(p, again, &second, *kernels);
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

// What a number gives does not depend on where it is computed: by itself, or in a vector of others.
TEST(one_number_is_what_a_vector_has) {
    std::vector<double> points;
    for (double x = 1e-9; x < 1e12; x *= 2.7) points.insert(points.end(), {x, -x, 1.0 / x + 0.3});
    points.insert(points.end(), {0.0, -0.0, 1.0, -1.0, 0.5, 5e-324, std::numeric_limits<double>::infinity(),
                                 -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()});
    while (points.size() % 8) points.push_back(0.25);
    const std::size_t n = points.size();
    const auto same = [](double a, double b) { return a == b || (a != a && b != b); };
    for (const Kernels* kernels : available_kernels())
        for (std::size_t c = index_of(Code::add); c < index_of(Code::dot); ++c) {
            const Code code = static_cast<Code>(c);
            const bool param = info(code).arity == Arity::Param, binary = info(code).arity == Arity::Binary;
            const double constant = param ? 3.0 : 0.7;
            const std::vector<double> a = points, b(points.rbegin(), points.rend()), ones(n, 1.0);
            std::vector<double> y(n), da(n), db(n);
            const std::ptrdiff_t step = kernels->width, rows = static_cast<std::ptrdiff_t>(n);
            const ForwardArguments forward{y.data(), a.data(), b.data(), constant, step, step, rows};
            kernels->forward[c](forward);
            kernels->reverse[c]({forward, ones.data(), da.data(), binary ? db.data() : nullptr, true, true});
            for (std::size_t k = 0; k < n; ++k) {
                const std::uint32_t at_a[] = {0, 0, 0}, at_b[] = {0, 0, 1};
                const double constants[] = {0.0, 0.0, constant};
                const Run run{code, Fused::No, true, 2, 1, 0, binary ? 8 : none};
                const Alike alike{code, constant, 0, 1, 0};
                const std::uint32_t nodes[] = {2};
                RowCode row{&run, 1, at_a, at_b, nullptr, constants, nullptr, &alike, has_locals(code), nodes};
                std::vector<double> v{a[k], b[k], 0.0}, d{0.0, 0.0, 1.0}, local(16);
                kernels->row_forward(row, v.data());
                kernels->row_reverse(row, v.data(), d.data(), local.data());
                const bool ok = same(v[2], y[k]) && same(d[0], da[k]) && (!binary || same(d[1], db[k]));
                if (!CHECK(ok)) std::printf("    %s of %s at %g\n", kernels->name, info(code).name, a[k]);
            }
        }
}

// A chain in which no two nodes that are alike are ready together: local derivatives are made beforehand.
TEST(a_chain_is_differentiated_by_vectors) {
    for (const std::size_t turns : {3, 7, 8, 9, 200}) {
        Recording r;
        for (int k = 0; k < 2; ++k) r.inputs.push_back(r.add(Op::leaf));
        std::uint32_t s = 0;
        double value = 0.4, by_start = 1.0, by_factor = 0.0;
        const double factor = 1.3;
        for (std::size_t k = 0; k < turns; ++k) {
            const std::uint32_t sine = r.add(Op::sin, s), sum = r.add(Op::add, r.add(Op::mul, sine, 1), 0);
            s = r.add(Op::leaky_relu, sum, 0, k % 3 ? 0.5 : 2.0);
            const double before = std::sin(value) * factor + 0.4, slope = before > 0 ? 1.0 : k % 3 ? 0.5 : 2.0;
            const double inner = std::cos(value) * factor;
            by_factor = slope * (std::sin(value) + inner * by_factor);
            by_start = slope * (inner * by_start + 1.0);
            value = slope * before;
        }
        r.outputs = {s};
        const Program p(r);
        const std::vector<double> x{0.4, factor};
        for (const Kernels* kernels : available_kernels()) {
            double y = 0.0, dx[2] = {};
            Request q;
            q.x = x.data();
            q.values = &y;
            q.dx = dx;
            p.run(q, *kernels);
            CHECK(near(y, value) && near(dx[0], by_start) && near(dx[1], by_factor));
        }
    }
}

RUN_TESTS()
