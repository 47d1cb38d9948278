// Code: the operations of a program: leaves, every row of ops.def, every row of reduced_ops.def, and `dot`.
//
// A row of ops.def has the same number as Op and as Code. Rule<code> is the row as templates over the number type,
// from which kernels, constant folding and error diagnosis come. Everything here must be constexpr or a template:
// the kernels include it under other compiler flags than the rest of the library (see lane.hpp).
#pragma once

#include <cmath>

#include "../ops.hpp"

namespace kilograd::program {

enum class Code : std::uint8_t {
    constant,
    parameter,
    input,
#define KILOGRAD_OP(name, label, arity, edge, value, da, db, doc) name,
#include "../ops.def"
#include "reduced_ops.def"
#undef KILOGRAD_OP
    dot,  // the sum of products of pairs; a pair without its second half counts once
    count_
};
static_assert(static_cast<std::size_t>(Code::add) == first_row);

inline constexpr std::size_t code_count = static_cast<std::size_t>(Code::count_);

constexpr std::size_t index_of(Code code) { return static_cast<std::size_t>(code); }
constexpr bool is_leaf(Code code) { return code <= Code::input; }
// A few instructions of the processor: what row kernels run as loops over numbers, so that a node may follow its own
// operand in a run, and machine code has in line; the others are functions.
constexpr bool is_arithmetic(Code code) {
    switch (code) {
        case Code::add:
        case Code::sub:
        case Code::mul:
        case Code::scale:
        case Code::offset:
        case Code::relu:
        case Code::square:
        case Code::div:
        case Code::reciprocal:
        case Code::dot:
            return true;
        default:
            return false;
    }
}
// Constant but for jumps: no derivative goes through it, not even a NaN.
constexpr bool is_step(Code code) {
    return code == Code::less || code == Code::less_equal || code == Code::equal || code == Code::floor ||
           code == Code::rint || code == Code::sign || code == Code::floor_divide;
}
// Between numbers, by another: a mask.
constexpr bool is_choice(Code code) { return code == Code::gate || code == Code::enter; }
// Whose local derivatives are functions, too.
constexpr bool has_locals(Code code) {
    return !is_leaf(code) && !is_arithmetic(code) && !is_step(code) && !is_choice(code);
}
// A rounding of an operand may change the result by more than a rounding.
constexpr bool jumps(Code code) {
    return is_step(code) || code == Code::modulo || code == Code::atan2 || code == Code::copysign;
}

inline constexpr OpInfo code_infos[code_count] = {
    {"constant", "", Arity::None, Edge::Total, ""},
    {"parameter", "", Arity::None, Edge::Total, ""},
    {"input", "", Arity::None, Edge::Total, ""},
#define KILOGRAD_OP(name, label, arity, edge, value, da, db, doc) {#name, label, Arity::arity, Edge::edge, doc},
#include "../ops.def"
#include "reduced_ops.def"
#undef KILOGRAD_OP
    {"dot", "+", Arity::None, Edge::Total, "Sum of products."},
};

constexpr const OpInfo& info(Code code) { return code_infos[index_of(code)]; }

constexpr bool is_total(Code code) { return is_total(info(code)); }
// A leaf has no derivatives. Bounded ones make no NaN of an adjoint or a tangent of 0.
constexpr bool has_bounded_derivatives(Code code) { return is_leaf(code) || info(code).edge == Edge::Bounded; }

inline constexpr std::uint32_t none = 0xffffffffu;  // where a number of a node, a slot or a position could stand

// A term of a dot: the product of a and b, or a alone where b is none.
struct Term {
    std::uint32_t a, b;
};

template <Code>
struct Rule;

#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc) \
    template <>                                                      \
    struct Rule<Code::name> : Row<Op::name> {};
#include "../ops.def"
#undef KILOGRAD_OP

namespace {
[[maybe_unused]] inline bool any(bool mask) { return mask; }

// a**n by repeated squaring.
template <class T>
constexpr T squared_up(T a, int n) {
    T result(1.0);
    for (; n > 0; n >>= 1, a = a * a)
        if (n & 1) result = result * a;
    return result;
}

// a to a small whole number. Where |a|**n overflows, or is less than the normal numbers, 1 / |a|**n may still be a
// number: the product of the reciprocals of two powers is.
template <class T>
constexpr T whole_power_of(T a, int exponent) {
    using namespace scalar;
    if (exponent >= 0) return squared_up(a, exponent);
    const int n = -exponent, half = n / 2;
    const T y = T(1.0) / squared_up(a, n), size = abs(y);
    const auto beyond = (size == T(0.0)) | (size >= T(0x1p1022));
    return any(beyond) ? select(beyond, T(1.0) / squared_up(a, half) * (T(1.0) / squared_up(a, n - half)), y) : y;
}

[[maybe_unused]] inline double whole_power(double a, double exponent) {
    return whole_power_of(a, static_cast<int>(exponent));
}
}  // namespace

#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc) \
    template <>                                                      \
    struct Rule<Code::name> {                                        \
        KILOGRAD_FORMULAS(value_, da_, db_)                          \
    };
#include "reduced_ops.def"
#undef KILOGRAD_OP

}  // namespace kilograd::program
