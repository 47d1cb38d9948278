// The op table as C++: the enum, its facts, and per op a Row<Op> with templates for value and local derivatives.
//
// A Row is generic over the number type T, so eager double arithmetic, the program's vectors and dual numbers
// all come from one expression in ops.def. The functions for double stand here; the other types bring theirs,
// found by argument-dependent lookup.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "special.hpp"

// What is compiled for several instruction sets has a namespace for each: of functions of one name the linker keeps
// one, which might be made of instructions that the processor lacks.
#ifndef KILOGRAD_UNIT
#define KILOGRAD_UNIT portable
#endif

namespace kilograd {

enum class Op : std::uint8_t {
    leaf,    // no operands
    custom,  // operands, and no rule of its own: the gradient stops unless Python supplies one
    linear,  // operands with local gradients fixed at construction
#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc) name,
#include "ops.def"
#undef KILOGRAD_OP
    count_
};

inline constexpr std::size_t op_count = static_cast<std::size_t>(Op::count_);
inline constexpr std::size_t first_row = 3;  // rows of ops.def follow leaf, custom, linear
inline constexpr std::size_t method_end = static_cast<std::size_t>(Op::less);  // rows before it are methods of Value

enum class Arity : std::uint8_t { None, Unary, Param, Binary };
enum class Edge : std::uint8_t { Bounded, Total, Flows, Overflows, Pole, Poles, Power, Divides };

struct OpInfo {
    const char* name;
    const char* label;
    Arity arity;
    Edge edge;
    const char* doc;
};

inline constexpr OpInfo op_infos[op_count] = {
    {"leaf", "", Arity::None, Edge::Total, ""},
    {"custom", "", Arity::None, Edge::Total, ""},
    {"linear", "", Arity::None, Edge::Total, ""},
#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc) {#name, label, Arity::arity, Edge::edge, doc},
#include "ops.def"
#undef KILOGRAD_OP
};

constexpr const OpInfo& info(Op op) { return op_infos[static_cast<std::size_t>(op)]; }

constexpr bool is_total(const OpInfo& row) { return row.edge <= Edge::Total; }

// Why a result is refused, or None where it flows.
enum class Fault : std::uint8_t { None, Domain, Overflow, ZeroDivision };

inline namespace KILOGRAD_UNIT {

// Of the result y of a row at a, and at `second`: b, or the constant.
inline Fault fault_of(const OpInfo& row, double a, double second, double y) {
    if (row.edge == Edge::Divides) return second == 0.0 ? Fault::ZeroDivision : Fault::None;
    const bool finite = std::isfinite(a) && (row.arity == Arity::Unary || std::isfinite(second));
    if (!finite || std::isfinite(y) || is_total(row)) return Fault::None;
    if (std::isnan(y)) return Fault::Domain;
    switch (row.edge) {
        case Edge::Overflows:
            return Fault::Overflow;
        case Edge::Pole:
            return Fault::Domain;
        case Edge::Poles:
            return a <= 0.0 && a == std::floor(a) ? Fault::Domain : Fault::Overflow;
        case Edge::Power:
            return a == 0.0 ? Fault::ZeroDivision : Fault::Overflow;
        default:
            return Fault::None;
    }
}

}  // namespace KILOGRAD_UNIT

namespace scalar {
using std::abs, std::sqrt, std::pow, std::exp, std::expm1, std::log, std::log1p;
using std::floor, std::rint, std::cbrt, std::exp2, std::log2, std::log10, std::hypot, std::atan2, std::copysign;
using std::sin, std::cos, std::tan, std::asin, std::acos, std::atan;
using std::sinh, std::cosh, std::tanh, std::asinh, std::acosh, std::atanh, std::erf, std::erfc;
inline namespace KILOGRAD_UNIT {
inline double select(bool mask, double x, double y) { return mask ? x : y; }
inline double logistic(double x) {
    const double e = exp(-abs(x));  // never overflows
    return select(x < 0.0, e, 1.0) / (1.0 + e);
}
// Near 0 by cosh(x) - 1 = (1 - e**-a)**2 / (2 e**-a), which loses nothing; beyond, no exponential overflows.
inline double log_cosh(double x) {
    const double a = abs(x), m = expm1(-a), e = 1.0 + m;
    return a < 1.0 ? log1p(m * m / (2.0 * e)) : (a - 0.69314718055994530942) + log1p(e * e);
}
}  // namespace KILOGRAD_UNIT
}  // namespace scalar

// The functions of two operands that the table uses.
#define KILOGRAD_BINARY_FUNCTIONS(F) \
    F(pow) F(hypot) F(atan2) F(modulo) F(floor_divide) F(copysign) F(log_beta) F(digamma_gap) F(trigamma_gap)
// Those of an operand and an order: a whole number, the constant of the operation.
#define KILOGRAD_FUNCTIONS_OF_ORDERS(F) F(polygamma) F(erfcx) F(bessel_i) F(bessel_ie) F(bessel_fall)

// The formulas of a row as templates over the number type.
#define KILOGRAD_FORMULAS(value_, da_, db_)                                                               \
    template <class T>                                                                                    \
    static T value([[maybe_unused]] T a, [[maybe_unused]] T b, [[maybe_unused]] T c) {                    \
        using namespace scalar;                                                                           \
        return value_;                                                                                    \
    }                                                                                                     \
    template <class T>                                                                                    \
    static T da([[maybe_unused]] T a, [[maybe_unused]] T b, [[maybe_unused]] T c, [[maybe_unused]] T y) { \
        using namespace scalar;                                                                           \
        return da_;                                                                                       \
    }                                                                                                     \
    template <class T>                                                                                    \
    static T db([[maybe_unused]] T a, [[maybe_unused]] T b, [[maybe_unused]] T c, [[maybe_unused]] T y) { \
        using namespace scalar;                                                                           \
        return db_;                                                                                       \
    }

inline namespace KILOGRAD_UNIT {

template <Op>
struct Row;

#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc) \
    template <>                                                      \
    struct Row<Op::name> {                                           \
        KILOGRAD_FORMULAS(value_, da_, db_)                          \
    };
#include "ops.def"
#undef KILOGRAD_OP

}  // namespace KILOGRAD_UNIT
}  // namespace kilograd
