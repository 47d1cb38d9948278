// Loops, sequences and gradients as maps: values by hand, derivatives by differences.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "../../cpp/program/execution/diagnosis.hpp"
#include "../../cpp/program/passes/compose.hpp"
#include "../../cpp/program/passes/entries.hpp"
#include "../../cpp/program/stages/gradient.hpp"
#include "../../cpp/program/stages/loop.hpp"
#include "../../cpp/program/stages/program_map.hpp"
#include "../../cpp/program/stages/sequence.hpp"
#include "check.hpp"

using namespace kilograd;
using namespace kilograd::program;

namespace {

MapPointer map_of(const Recording& recording) {
    return std::make_shared<ProgramMap>(std::make_shared<const Program>(recording));
}

// (c, x, s) -> (sin(c) * s + x, c * c)
Recording turn() {
    Recording r;
    for (int k = 0; k < 3; ++k) r.inputs.push_back(r.add(Op::leaf));
    const auto sine = r.add(Op::sin, 0), product = r.add(Op::mul, sine, 2);
    r.outputs = {r.add(Op::add, product, 1), r.add(Op::mul, 0, 0)};
    return r;
}

LoopShape shape(bool checkpoints) {
    LoopShape shape;
    shape.carried = shape.shared = shape.results = 1;
    shape.varying = {1};
    shape.turns = 7;
    shape.checkpoints = checkpoints;
    return shape;
}

struct Sweeps {
    std::vector<double> y, dx, dx_tangent;
};
// The weighted sum's gradient, and its derivative along v and dw.
Sweeps sweeps(const Map& map, std::size_t rows, const std::vector<double>& x, const std::vector<double>& v,
              const std::vector<double>& w, const std::vector<double>& dw) {
    const Rows all{rows, 0, true, chosen_kernels()};
    Sweeps found{std::vector<double>(rows * map.n_outputs()), std::vector<double>(x.size()),
                 std::vector<double>(x.size())};
    std::vector<double> tangent(found.y.size());
    Kept kept;
    map.forward(all, {x.data(), v.data()}, {found.y.data(), tangent.data()}, kept, true);
    map.reverse(all, {x.data(), v.data()}, {w.data(), dw.data()}, {found.dx.data(), found.dx_tangent.data()}, kept);
    return found;
}
std::vector<double> gradient(const Map& map, std::size_t rows, const std::vector<double>& x,
                             const std::vector<double>& w) {
    const Rows all{rows, 0, true, chosen_kernels()};
    std::vector<double> y(rows * map.n_outputs()), dx(x.size());
    Kept kept;
    map.both(all, {x.data()}, {y.data()}, {w.data()}, {dx.data()}, kept);
    return dx;
}

std::vector<double> numbers(std::size_t count, double phase) {
    std::vector<double> x;
    for (std::size_t k = 0; k < count; ++k) x.push_back(std::sin(phase + 1.7 * static_cast<double>(k)));
    return x;
}

// What may differ from zero holds all that does, of both orders.
void check_patterns(const Map& map) {
    const std::size_t n = map.n_inputs(), m = map.n_outputs();
    const std::vector<double> x = numbers(n, 0.3), w = numbers(m, 2.2), zero(m);
    const Columns columns({{0, static_cast<std::uint32_t>(n)}});
    const auto holds = [](const Pattern& pattern, std::size_t row, std::size_t column) {
        const auto first = pattern.columns.begin();
        return std::binary_search(first + pattern.starts[row], first + pattern.starts[row + 1], column);
    };
    const Pattern jacobian = pattern_of(map, false, columns);
    CHECK(jacobian.height() == m && jacobian.width == n);
    for (std::size_t row = 0; row < m; ++row) {
        std::vector<double> unit(m);
        unit[row] = 1.0;
        const std::vector<double> found = gradient(map, 1, x, unit);
        for (std::size_t column = 0; column < n; ++column) CHECK(found[column] == 0.0 || holds(jacobian, row, column));
    }
    if (map.order() < 2) return;
    const Pattern hessian = pattern_of(map, true, columns);
    CHECK(hessian.height() == n && hessian.width == n);
    for (std::size_t column = 0; column < n; ++column) {
        std::vector<double> unit(n);
        unit[column] = 1.0;
        const Sweeps found = sweeps(map, 1, x, unit, w, zero);
        for (std::size_t row = 0; row < n; ++row) CHECK(found.dx_tangent[row] == 0.0 || holds(hessian, row, column));
    }
}

// First derivatives by differences of weighted values, second ones by differences of gradients.
void check_derivatives(const Map& map, std::size_t rows) {
    const std::size_t n = map.n_inputs();
    const std::vector<double> x = numbers(rows * n, 0.3), v = numbers(rows * n, 1.1);
    const std::vector<double> w = numbers(rows * map.n_outputs(), 2.2), dw = numbers(w.size(), 0.9);
    const Sweeps found = sweeps(map, rows, x, v, w, dw);
    const auto moved = [](std::vector<double> to, const std::vector<double>& along, double h) {
        for (std::size_t k = 0; k < to.size(); ++k) to[k] += h * along[k];
        return to;
    };
    if (rows == 1) check_patterns(map);
    const double h = 1e-6;
    double slope = 0.0, difference = 0.0;
    const Sweeps up = sweeps(map, rows, moved(x, v, h), v, w, dw), down = sweeps(map, rows, moved(x, v, -h), v, w, dw);
    for (std::size_t k = 0; k < x.size(); ++k) slope += found.dx[k] * v[k];
    for (std::size_t k = 0; k < w.size(); ++k) difference += w[k] * (up.y[k] - down.y[k]) / (2 * h);
    CHECK_CLOSE(slope, difference, 1e-6 * (1 + std::abs(difference)));
    const std::vector<double> plain = gradient(map, rows, x, w);
    const std::vector<double> above = gradient(map, rows, moved(x, v, h), moved(w, dw, h));
    const std::vector<double> below = gradient(map, rows, moved(x, v, -h), moved(w, dw, -h));
    for (std::size_t k = 0; k < x.size(); ++k) {
        CHECK_CLOSE(plain[k], found.dx[k], 1e-11 * (1 + std::abs(plain[k])));
        const double wanted = (above[k] - below[k]) / (2 * h);
        CHECK_CLOSE(found.dx_tangent[k], wanted, 1e-5 * (1 + std::abs(wanted)));
    }
}

}  // namespace

TEST(a_loop_is_the_loop) {
    for (const bool checkpoints : {false, true})
        for (const std::size_t rows : {1, 3}) {
            const Loop loop(map_of(turn()), nullptr, shape(checkpoints), {});
            const std::vector<double> x = numbers(rows * loop.n_inputs(), 0.3), zero(x.size());
            const std::vector<double> w(rows * loop.n_outputs()), dw(w.size());
            const Sweeps found = sweeps(loop, rows, x, zero, w, dw);
            for (std::size_t r = 0; r < rows; ++r) {
                const double *own = &x[r * loop.n_inputs()], *y = &found.y[r * loop.n_outputs()];
                double c = own[0];
                for (std::size_t t = 0; t < 7; ++t) {
                    CHECK_CLOSE(y[1 + t], c * c, 1e-14);
                    c = std::sin(c) * own[8] + own[1 + t];
                }
                CHECK_CLOSE(y[0], c, 1e-14);
            }
            check_derivatives(loop, rows);
        }
}

// (c, x, k, t, s) -> (sin(c) * s + x * k / (t + 2), log(c * c + 1)): all that a turn may be given.
Recording full_turn() {
    Recording r;
    for (int k = 0; k < 5; ++k) r.inputs.push_back(r.add(Op::leaf));
    const auto one = r.add(Op::leaf, 0, 0, 1.0), two = r.add(Op::leaf, 0, 0, 2.0);
    const auto sine = r.add(Op::mul, r.add(Op::sin, 0), 4), own = r.add(Op::mul, 1, 2);
    const auto part = r.add(Op::mul, own, r.add(Op::powc, r.add(Op::add, 3, two), 0, -1.0), 1.0);
    r.outputs = {r.add(Op::add, sine, part), r.add(Op::log, r.add(Op::add, r.add(Op::mul, 0, 0), one))};
    return r;
}

// A single row goes through frames, rows that are alike go through a turn together.
TEST(frames_are_rows) {
    for (const bool checkpoints : {false, true})
        for (const bool backwards : {false, true})
            for (const std::size_t turns : {0, 1, 2, 7, 30}) {
                LoopShape full = shape(checkpoints);
                full.constant = 1;
                full.counted = true;
                full.first_count = 3.0;
                full.backwards = backwards;
                full.turns = turns;
                const Loop loop(map_of(full_turn()), nullptr, full, numbers(turns, 0.6));
                const std::vector<double> x = numbers(loop.n_inputs(), 0.3), w = numbers(loop.n_outputs(), 1.3);
                std::vector<double> x2(x), w2(w), y(w.size()), y2(2 * w.size());
                x2.insert(x2.end(), x.begin(), x.end());
                w2.insert(w2.end(), w.begin(), w.end());
                const std::vector<double> one = gradient(loop, 1, x, w), two = gradient(loop, 2, x2, w2);
                Kept kept;
                loop.forward({1, 0, true, chosen_kernels()}, {x.data()}, {y.data()}, kept, false);
                loop.forward({2, 0, true, chosen_kernels()}, {x2.data()}, {y2.data()}, kept, false);
                for (std::size_t k = 0; k < y.size(); ++k) CHECK_CLOSE(y[k], y2[k], 1e-13);
                for (std::size_t k = 0; k < x.size(); ++k) CHECK_CLOSE(one[k], two[k], 1e-12);
                check_derivatives(loop, 1);
            }
}

// (c, a, b, d, s) -> c * s + a * b + d over sequences of a alone and of (b, d).
TEST(each_sequence_stands_by_itself) {
    Recording r;
    for (int k = 0; k < 5; ++k) r.inputs.push_back(r.add(Op::leaf));
    r.outputs = {r.add(Op::add, r.add(Op::add, r.add(Op::mul, 0, 4), r.add(Op::mul, 1, 2)), 3)};
    for (const bool backwards : {false, true}) {
        LoopShape two;
        two.carried = two.shared = 1;
        two.varying = {1, 2};
        two.turns = 4;
        two.backwards = backwards;
        const Loop loop(map_of(r), nullptr, two, {});
        const std::vector<double> x = numbers(14, 0.4);
        for (const std::size_t rows : {1, 3}) check_derivatives(loop, rows);
        double c = x[0], y = 0.0;
        for (std::size_t t = 0; t < 4; ++t) {
            const std::size_t k = backwards ? 3 - t : t;
            c = c * x[13] + x[1 + k] * x[5 + 2 * k] + x[6 + 2 * k];
        }
        Kept kept;
        loop.forward({1, 0, true, chosen_kernels()}, {x.data()}, {&y}, kept, false);
        CHECK_CLOSE(y, c, 1e-14);
    }
}

// c -> c / 2 + s, for as long as c < limit, or so many times that not all frames are kept.
TEST(loops_that_keep_what_is_carried) {
    Recording body;
    for (int k = 0; k < 3; ++k) body.inputs.push_back(body.add(Op::leaf));
    const auto half = body.add(Op::mul, 0, body.add(Op::leaf, 0, 0, 0.5));
    body.outputs = {body.add(Op::add, half, 1)};
    Recording test;
    for (int k = 0; k < 3; ++k) test.inputs.push_back(test.add(Op::leaf));
    test.outputs = {test.add(Op::less, 0, 2)};
    LoopShape shape;
    shape.carried = 1;
    shape.shared = 2;
    const std::vector<double> one{1.0};
    const Loop loop(map_of(body), map_of(test), shape, {});
    const std::vector<double> x{0.0, 1.0, 1.95}, dx = gradient(loop, 1, x, one);  // 0, 1, 1.5, 1.75, 1.875, 1.9375
    CHECK_CLOSE(dx[0], 1.0 / 64, 1e-15);
    CHECK_CLOSE(dx[1], 2.0 - 1.0 / 32, 1e-15);
    CHECK(dx[2] == 0.0);

    shape.turns = 400'000;
    const Loop longer(map_of(body), nullptr, shape, {});
    const std::vector<double> slope = gradient(longer, 1, x, one);
    CHECK(slope[0] == 0.0);
    CHECK_CLOSE(slope[1], 2.0, 1e-12);
}

TEST(a_refusal_in_a_frame_names_the_turn) {
    Recording body;  // c -> log(c - 1)
    body.inputs.push_back(body.add(Op::leaf));
    body.outputs = {body.add(Op::log, body.add(Op::add, 0, body.add(Op::leaf, 0, 0, -1.0)))};
    LoopShape shape;
    shape.carried = 1;
    shape.turns = 5;
    const Loop loop(map_of(body), nullptr, shape, {});
    const double x = 10.0;  // 2.197, 0.18, and no more
    double y = 0.0;
    Kept kept;
    bool refused = false;
    try {
        loop.forward({1, 4, true, chosen_kernels()}, {&x}, {&y}, kept, false);
    } catch (const DomainError& error) {
        refused = true;
        CHECK(error.turns == std::vector<std::size_t>{2});
        CHECK(error.row == 4);
    }
    CHECK(refused);
    loop.forward({1, 4, false, chosen_kernels()}, {&x}, {&y}, kept, false);
    CHECK(y != y);
}

TEST(stages_in_stages) {
    const auto loop = std::make_shared<Loop>(map_of(turn()), nullptr, shape(false), std::vector<double>());
    // A program of five inputs, a loop of nine numbers in any order, a program of what these gave.
    std::vector<Sequence::Step> steps;
    steps.push_back({map_of(turn()), Places({0, 1, 2}), 0});
    steps.push_back({loop, Places({5, 4, 3, 6, 6, 0, 1, 2, 5}), 0});
    steps.push_back({map_of(turn()), Places({7, 8, 14}), 0});
    const auto sequence = std::make_shared<Sequence>(5, std::move(steps), Places({15, 7, 15, 2, 16}));
    for (const std::size_t rows : {1, 2, 9}) check_derivatives(*sequence, rows);

    LoopShape outer;
    outer.carried = 5;
    outer.turns = 3;
    outer.checkpoints = true;
    for (const std::size_t rows : {1, 2}) check_derivatives(Loop(sequence, nullptr, outer, {}), rows);
}

TEST(gradients_and_compositions) {
    Recording r = turn();
    r.outputs.assign(1, r.add(Op::mul, r.outputs[0], r.outputs[1]));
    const Program whole(r);
    const Columns columns({{0, 2}});
    const auto written =
        std::make_shared<ProgramMap>(std::make_shared<const Program>(with_gradient(whole.graph(), columns)));
    const Gradient swept(map_of(r), 2);
    const std::vector<double> x = numbers(3, 0.3), w = numbers(3, 0.8);
    CHECK(swept.order() == 1 && written->order() == 2);
    const std::vector<double> one = gradient(swept, 1, x, w), other = gradient(*written, 1, x, w);
    for (std::size_t k = 0; k < 3; ++k) CHECK_CLOSE(one[k], other[k], 1e-13);
    check_derivatives(*written, 5);

    const Graph& graph = written->program()->graph();
    const Program composed(compose(3, {{&graph, {0, 1, 2}}, {&graph, {3, 4, 5}}}, {6, 8, 3}));
    const auto map = std::make_shared<ProgramMap>(std::make_shared<const Program>(composed.graph()));
    std::vector<Sequence::Step> steps;
    for (const std::uint32_t first : {0u, 3u}) steps.push_back({written, Places({first, first + 1, first + 2}), 0});
    const Sequence sequence(3, std::move(steps), Places({6, 8, 3}));
    const std::vector<double> a = gradient(*map, 1, x, w), b = gradient(sequence, 1, x, w);
    for (std::size_t k = 0; k < 3; ++k) CHECK_CLOSE(a[k], b[k], 1e-12 * (1 + std::abs(b[k])));
    check_derivatives(*map, 2);
}

// A sum over a long sequence: as sparse as its terms, and every number in the sum.
TEST(patterns_of_long_loops) {
    Recording r;  // (c, d, x) -> (c + d * x, x)
    for (int k = 0; k < 3; ++k) r.inputs.push_back(r.add(Op::leaf));
    r.outputs = {r.add(Op::add, 0, r.add(Op::mul, 1, 2)), 2};
    constexpr std::uint32_t turns = 20'000;
    LoopShape sum;
    sum.carried = 2;
    sum.varying = {1};
    sum.turns = turns;
    const Loop loop(map_of(r), nullptr, sum, {});
    const Columns columns({{2, turns + 2}});
    const Pattern jacobian = pattern_of(loop, false, columns), hessian = pattern_of(loop, true, columns);
    CHECK(jacobian.size() == turns + 1);  // the first is multiplied with no column
    CHECK(hessian.size() == 2 * (turns - 1));
    CHECK(group_columns(hessian, true).sweeps() == 2);
    // And of a chain of them all; a running sum is as dense as its triangle.
    sum.turns = 40;
    Recording of_all;  // (c, x) -> (c + x, c + x)
    for (int k = 0; k < 2; ++k) of_all.inputs.push_back(of_all.add(Op::leaf));
    const auto total = of_all.add(Op::add, 0, 1);
    of_all.outputs = {total, total};
    sum.carried = sum.results = 1;
    const Loop running(map_of(of_all), nullptr, sum, {});
    CHECK(pattern_of(running, false, Columns({{1, 41}})).size() == 40 + 40 * 41 / 2);
    CHECK(pattern_of(running, true, Columns({{0, 41}})).size() == 0);
}

TEST(few_sweeps) {
    const auto pattern = [](std::size_t n, auto&& holds) {
        Pattern made;
        made.width = n;
        made.starts.push_back(0);
        for (std::uint32_t row = 0; row < n; ++row) {
            for (std::uint32_t column = 0; column < n; ++column)
                if (holds(row, column)) made.columns.push_back(column);
            made.starts.push_back(static_cast<std::uint32_t>(made.columns.size()));
        }
        return made;
    };
    const Pattern arrow = pattern(50, [](auto r, auto c) { return r == c || r == 7 || c == 7; });
    CHECK(group_columns(arrow, true).sweeps() == 2);
    const Pattern row = pattern(50, [](auto r, auto c) { return r == c || r == 7; });
    CHECK(group_columns(row, false).sweeps() == 2);
    CHECK(group_columns(transposed(row), false).sweeps() == 2);
    CHECK(group_columns(full_pattern(9, 5), false).sweeps() == 5);
    CHECK(group_columns(full_pattern(0, 5), false).sweeps() <= 1);
    CHECK(transposed(transposed(arrow)).columns == arrow.columns);
}

RUN_TESTS()
