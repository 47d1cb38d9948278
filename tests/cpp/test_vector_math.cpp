// Error of the vector functions in units in the last place, against quad precision, on a million points each.
#include <quadmath.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "../../cpp/program/kernels/isa.hpp"
#include "check.hpp"

using namespace kilograd;
using namespace kilograd::program;

namespace {

constexpr std::size_t points = 1'000'000;
constexpr double inf = std::numeric_limits<double>::infinity();

double ulps(double got, __float128 want) {
    const double w = static_cast<double>(want);
    if (std::isnan(w) || std::isnan(got)) return std::isnan(w) && std::isnan(got) ? 0.0 : inf;
    if (std::isinf(w) || std::isinf(got)) return got == w ? 0.0 : inf;
    int exponent;
    std::frexp(w, &exponent);
    const __float128 off = want - got;
    return static_cast<double>(off < 0 ? -off : off) / std::ldexp(1.0, std::max(exponent - 53, -1074));
}

std::vector<double> apply(const Kernels& kernels, Code code, std::vector<double> a, std::vector<double> b = {}) {
    const std::size_t size = a.size();
    a.resize((size + 7) / 8 * 8, 1.0);
    if (!b.empty()) b.resize(a.size(), 1.0);
    std::vector<double> y(a.size());
    kernels.forward[index_of(code)](
        {y.data(), a.data(), b.data(), 0.0, kernels.width, kernels.width, static_cast<std::ptrdiff_t>(a.size())});
    y.resize(size);
    return y;
}

// Uniform over [low, high], and one half with logarithmic sizes down to e**-40.
std::vector<double> sample(double low, double high, std::mt19937_64& g) {
    std::vector<double> x(points);
    std::uniform_real_distribution<double> flat(low, high), logs(-40.0, std::log(std::max(std::abs(low), high)));
    for (std::size_t k = 0; k < points; ++k) {
        x[k] = flat(g);
        if (k % 2) continue;
        const double size = std::exp(logs(g)), signed_size = low < 0 && k % 4 ? -size : size;
        if (signed_size >= low && signed_size <= high) x[k] = signed_size;
    }
    return x;
}

__float128 sigmoid_q(__float128 x) { return 1 / (1 + expq(-x)); }

struct Function {
    Code code;
    __float128 (*exact)(__float128);
    double low, high;
};
const Function functions[] = {
    {Code::exp, expq, -745.0, 709.7},      {Code::exp, expq, -1.0, 1.0},
    {Code::expm1, expm1q, -40.0, 709.7},   {Code::expm1, expm1q, -2.0, 2.0},
    {Code::log, logq, 0.0, 1e3},           {Code::log, logq, 0.5, 2.0},
    {Code::log1p, log1pq, -1.0, 10.0},     {Code::sin, sinq, -10.0, 10.0},
    {Code::sin, sinq, -1e6, 1e6},          {Code::cos, cosq, -10.0, 10.0},
    {Code::cos, cosq, -1e6, 1e6},          {Code::tanh, tanhq, -22.0, 22.0},
    {Code::tanh, tanhq, -1.0, 1.0},        {Code::sigmoid, sigmoid_q, -700.0, 700.0},
    {Code::sigmoid, sigmoid_q, -5.0, 5.0}, {Code::tan, tanq, -10.0, 10.0},
    {Code::tan, tanq, -1e6, 1e6},          {Code::asin, asinq, -1.0, 1.0},
    {Code::acos, acosq, -1.0, 1.0},        {Code::atan, atanq, -3.0, 3.0},
    {Code::atan, atanq, -1e6, 1e6},        {Code::sinh, sinhq, -710.4, 710.4},
    {Code::sinh, sinhq, -2.0, 2.0},        {Code::cosh, coshq, -710.4, 710.4},
    {Code::cosh, coshq, -2.0, 2.0},        {Code::erf, erfq, -6.0, 6.0},
    {Code::erf, erfq, -0.6, 0.6},          {Code::erfc, erfcq, -6.0, 27.3},
    {Code::erfc, erfcq, -1.0, 1.0},
};

bool same(double got, double want) {
    if (std::isnan(want)) return std::isnan(got);
    if (want == 0.0) return got == 0.0 && std::signbit(got) == std::signbit(want);
    return std::isinf(want) ? got == want : ulps(got, want) <= 2.0;
}

const double special[] = {0.0,
                          -0.0,
                          1,
                          -1,
                          inf,
                          -inf,
                          std::nan(""),
                          5e-324,
                          -5e-324,
                          1e-310,
                          2.2250738585072014e-308,
                          1.7976931348623157e308,
                          -1.7976931348623157e308,
                          0.5,
                          -0.5,
                          2,
                          -2,
                          3,
                          -3,
                          1e300,
                          -1e300,
                          4503599627370497.0,
                          9007199254740993.0,
                          4503599627370495.5,
                          -4503599627370495.5,
                          709.782712893384,
                          709.79,
                          -745.13,
                          -745.2,
                          -708.5,
                          1e6,
                          1e7,
                          1e22,
                          22,
                          -22,
                          37,
                          1e-20,
                          -1e-20,
                          0.9999999999999999,
                          1.0000000000000002,
                          -0.9999999999999999,
                          4.0,
                          1e5,
                          -2.5};

}  // namespace

TEST(within_two_ulps) {
    for (const Function& f : functions) {
        std::mt19937_64 g(1);
        const std::vector<double> x = sample(f.low, f.high, g);
        std::vector<__float128> want;
        for (double v : x) want.push_back(f.exact(v));
        for (const Kernels* kernels : available_kernels()) {
            const std::vector<double> got = apply(*kernels, f.code, x);
            double worst = 0.0;
            for (std::size_t k = 0; k < points; ++k) worst = std::max(worst, ulps(got[k], want[k]));
            std::printf("  %-8s [%g, %g] %-7s %.3f ulp\n", info(f.code).name, f.low, f.high, kernels->name, worst);
            CHECK(worst <= 2.0);
        }
    }
}

TEST(pow_within_two_ulps) {
    std::mt19937_64 g(1);
    const auto uniform = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(g); };
    std::vector<double> a(points), b(points);
    for (std::size_t k = 0; k < points; ++k) {
        a[k] = k % 3 ? std::exp(uniform(-700, 700)) : uniform(0.5, 2);
        b[k] = k % 7 ? uniform(-740, 709) / std::log(a[k]) : uniform(-3, 3);
        if (k % 5 == 0) b[k] = std::round(b[k]);
    }
    std::vector<__float128> want;
    for (std::size_t k = 0; k < points; ++k) want.push_back(powq(a[k], b[k]));
    for (const Kernels* kernels : available_kernels()) {
        const std::vector<double> got = apply(*kernels, Code::pow, a, b);
        double worst = 0.0;
        for (std::size_t k = 0; k < points; ++k) worst = std::max(worst, ulps(got[k], want[k]));
        std::printf("  pow %-7s %.3f ulp\n", kernels->name, worst);
        CHECK(worst <= 2.0);
    }
}

TEST(special_values) {
    double (*const libm[])(double) = {std::exp,  std::expm1, std::log,  std::log1p, std::sin,  std::cos,
                                      std::tanh, std::sqrt,  std::fabs, std::tan,   std::asin, std::acos,
                                      std::atan, std::sinh,  std::cosh, std::erf,   std::erfc};
    const Code codes[] = {Code::exp,  Code::expm1, Code::log,  Code::log1p, Code::sin,  Code::cos,
                          Code::tanh, Code::sqrt,  Code::abs,  Code::tan,   Code::asin, Code::acos,
                          Code::atan, Code::sinh,  Code::cosh, Code::erf,   Code::erfc};
    const std::vector<double> x(std::begin(special), std::end(special));
    for (const Kernels* kernels : available_kernels()) {
        for (std::size_t f = 0; f < std::size(codes); ++f) {
            const std::vector<double> got = apply(*kernels, codes[f], x);
            for (std::size_t k = 0; k < x.size(); ++k) CHECK(same(got[k], libm[f](x[k])));
        }
        std::vector<double> a, b;
        for (double left : x)
            for (double right : x) {
                a.push_back(left);
                b.push_back(right);
            }
        const std::vector<double> got = apply(*kernels, Code::pow, a, b);
        for (std::size_t k = 0; k < a.size(); ++k) CHECK(same(got[k], std::pow(a[k], b[k])));
    }
}

TEST(tails_of_the_error_functions) {
    std::vector<double> x;
    for (double v = -8.0; v < 28.5; v += 1.0 / 1024) x.push_back(v);
    for (const Kernels* kernels : available_kernels()) {
        const std::vector<double> erfc = apply(*kernels, Code::erfc, x), erf = apply(*kernels, Code::erf, x);
        for (std::size_t k = 0; k < x.size(); ++k) {
            CHECK(std::abs(erf[k]) <= 1.0 && erfc[k] >= 0.0 && erfc[k] <= 2.0);
            if (std::abs(x[k]) >= 6.0) CHECK(std::abs(erf[k]) == 1.0);
            if (k > 0 && x[k] >= 1.0) CHECK(erfc[k] <= erfc[k - 1]);
            if (x[k] < 27.2) CHECK(erfc[k] > 0.0);
        }
        CHECK(erfc.back() == 0.0);
    }
}

RUN_TESTS()
