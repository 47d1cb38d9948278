// The kernels without vector types (math/registers.hpp) give what those with them give, to the last bit.
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "../../cpp/program/kernels/isa.hpp"
#include "check.hpp"

namespace kilograd::program {
extern const Kernels kernels_sse2_registers, kernels_avx2_registers, kernels_avx512_registers;
}

namespace {

using namespace kilograd::program;

constexpr std::ptrdiff_t rows = 2048;
using Numbers = std::vector<double>;

bool same(const Numbers& a, const Numbers& b) {
    for (std::size_t k = 0; k < a.size(); ++k)
        if (std::bit_cast<std::uint64_t>(a[k]) != std::bit_cast<std::uint64_t>(b[k]) &&
            !(std::isnan(a[k]) && std::isnan(b[k])))
            return false;
    return a.size() == b.size();
}

// Random bits, numbers of middling size, and those at which functions have edges.
Numbers sample(std::uint64_t seed, std::size_t size) {
    constexpr double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    constexpr std::array edges{0.0,       -0.0,       1.0,      -1.0,  0.5,    2.0, -2.0, 3.0,
                               0x1p-1074, -0x1p-1030, 0x1p1023, 710.0, -746.0, inf, -inf, nan};
    std::mt19937_64 g(seed);
    std::normal_distribution<double> middling(0.0, 10.0);
    Numbers x(size);
    for (double& v : x) switch (g() % 4) {
            case 0:
                v = std::bit_cast<double>(g());
                break;
            case 1:
                v = edges[g() % edges.size()];
                break;
            default:
                v = middling(g);
        }
    return x;
}

struct Two {
    const Kernels *with, *without;
};
std::vector<Two> tables() {
    std::vector<Two> all;
    for (const Kernels* without : {&kernels_sse2_registers, &kernels_avx2_registers, &kernels_avx512_registers})
        for (const Kernels* with : available_kernels())
            if (std::string(with->name) + "_registers" == without->name) all.push_back({with, without});
    return all;
}

// A function of a table of kernels that gives numbers.
template <class F>
void compare(const char* what, F f) {
    for (const Two& two : tables())
        if (!CHECK(same(f(*two.with), f(*two.without)))) std::printf("    %s of %s\n", what, two.without->name);
}

TEST(every_op_forward_and_in_reverse) {
    const Numbers a = sample(1, 2 * rows), b = sample(2, 2 * rows), dy = sample(3, 2 * rows);
    for (std::size_t k = 0; k < code_count; ++k) {
        if (!kernels_sse2_registers.forward[k]) continue;
        compare(code_infos[k].name, [&](const Kernels& kernels) {
            Numbers all;
            for (const bool dual : {false, true}) {
                Numbers y(2 * rows), da(2 * rows, 1.0), db(2 * rows, 1.0);
                ReverseArguments s{{y.data(), a.data(), b.data(), 2.0, kernels.width, kernels.width, rows},
                                   dy.data(),
                                   da.data(),
                                   db.data(),
                                   false,
                                   true};
                all.push_back((dual ? kernels.forward_dual : kernels.forward)[k](s));
                (dual ? kernels.reverse_dual : kernels.reverse)[k](s);
                for (const Numbers& part : {y, da, db}) all.insert(all.end(), part.begin(), part.end());
            }
            return all;
        });
    }
}

TEST(matrix_products_and_sums) {
    constexpr std::size_t ins = 5, outs = 7;
    const Numbers x = sample(4, ins * rows), w = sample(5, ins * outs), d = sample(6, outs * rows);
    constexpr std::array<std::uint32_t, outs> numbers{0, 1, 2, 3, 4, 5, 6};
    compare("products", [&](const Kernels& kernels) {
        const auto width = static_cast<std::size_t>(kernels.width);
        Numbers y(outs * rows), sums(ins * outs * width), totals(ins * outs);
        kernels.linear({w.data(), ins, 1, nullptr, x.data(), numbers.data(), ins, y.data(), numbers.data(), nullptr,
                        outs, rows, rows});
        kernels.outer(
            {d.data(), numbers.data(), outs, x.data(), numbers.data(), ins, sums.data(), nullptr, rows, rows});
        kernels.sum_lanes(sums.data(), totals.size(), totals.data());
        for (const Numbers& part : {sums, totals}) y.insert(y.end(), part.begin(), part.end());
        return y;
    });
}

TEST(tables_of_rows) {
    constexpr std::uint32_t columns = 11, places = 8;
    std::vector<Leaf> leaves;
    for (std::uint32_t k = 0; k < columns; ++k) leaves.push_back({columns - 1 - k, k});
    const Numbers table = sample(7, columns * places);
    for (const bool by_row : {true, false})
        compare("tables", [&](const Kernels& kernels) {
            const std::ptrdiff_t row_step = by_row ? columns : 1, column_step = by_row ? 1 : places;
            Numbers values(columns * places), back(columns * places);
            kernels.rows_load(leaves.data(), columns, table.data(), row_step, column_step, values.data());
            kernels.rows_store(leaves.data(), columns, values.data(), back.data(), row_step, column_step);
            for (std::size_t k = 0; k < columns; ++k)
                for (std::ptrdiff_t row = 0; row < kernels.width; ++row) {
                    const auto at =
                        static_cast<std::size_t>(row * row_step + static_cast<std::ptrdiff_t>(k) * column_step);
                    CHECK(same({back[at]}, {table[at]}));
                }
            values.insert(values.end(), back.begin(), back.end());
            return values;
        });
}

}  // namespace

RUN_TESTS()
