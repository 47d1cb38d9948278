// Functions of the op table that take and give a number, or a vector, in registers: CMake compiles this file for Lanes
// of one number, with and without fused multiply-adds, and for the vectors for which there is machine code, with
// KILOGRAD_FUNCTIONS as the name of the table. All but the table has internal linkage.
#include <utility>

#include "evaluation.hpp"
#include "kernels.hpp"

namespace kilograd::program {
namespace {

constexpr bool takes(Code code, Arity arity) { return info(code).arity == arity; }

template <Code code>
KILOGRAD_SYSTEM_V Raw value(Raw a, Raw b, Raw, const double* c, unsigned* suspects) {
    const Lane first(a), second = takes(code, Arity::Binary) ? Lane(b) : Lane(0.0);
    const Lane y = value_at<code>(first, second, takes(code, Arity::Param) ? Lane(*c) : Lane(0.0));
    if constexpr (!is_total(code))
        if (any(suspicious<code>(first, second, y))) *suspects = 1;
    return y.v;
}

template <std::size_t k>
constexpr auto value_of() {
    constexpr Code code = static_cast<Code>(k);
    if constexpr (is_leaf(code) || is_arithmetic(code))
        return nullptr;
    else
        return value<code>;
}

#define KILOGRAD_JOIN_OF(a, b) a##b
#define KILOGRAD_JOIN(a, b) KILOGRAD_JOIN_OF(a, b)
#define KILOGRAD_TABLE KILOGRAD_JOIN(functions_, KILOGRAD_FUNCTIONS)

#if KILOGRAD_LANES == 1

template <std::size_t... k>
constexpr Functions make_table(std::index_sequence<k...>) {
    return {{value_of<k>()...}};
}

}  // namespace

extern const Functions KILOGRAD_TABLE;
const Functions KILOGRAD_TABLE = make_table(std::make_index_sequence<code_count>{});

#else

template <Code code, bool second>
KILOGRAD_SYSTEM_V Raw local(Raw a, Raw b, Raw y, const double* c, unsigned*) {
    const Lane third = takes(code, Arity::Param) ? Lane(*c) : Lane(0.0);
    if constexpr (second)
        return Rule<code>::template db<Lane>(Lane(a), Lane(b), third, Lane(y)).v;
    else
        return Rule<code>::template da<Lane>(Lane(a), Lane(b), third, Lane(y)).v;
}

template <std::size_t k, bool second>
constexpr auto local_of() {
    constexpr Code code = static_cast<Code>(k);
    if constexpr (!has_locals(code) || (second && !takes(code, Arity::Binary)))
        return nullptr;
    else
        return local<code, second>;
}

VectorFunctions::Any any_of(std::nullptr_t) { return nullptr; }
template <class Function>
VectorFunctions::Any any_of(Function* function) {
    return reinterpret_cast<VectorFunctions::Any>(function);
}

template <std::size_t... k>
VectorFunctions make_table(std::index_sequence<k...>) {
    return {{any_of(value_of<k>())...},
            {any_of(local_of<k, false>())...},
            {any_of(local_of<k, true>())...},
            keeps_high_registers};
}

}  // namespace

extern const VectorFunctions KILOGRAD_TABLE;
const VectorFunctions KILOGRAD_TABLE = make_table(std::make_index_sequence<code_count>{});

#endif

}  // namespace kilograd::program
