// Loops, sequences and gradients as maps: values by hand, derivatives by differences.
#include <cmath>
#include <memory>
#include <vector>

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
    shape.carried = shape.varying = shape.shared = shape.results = 1;
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

RUN_TESTS()
