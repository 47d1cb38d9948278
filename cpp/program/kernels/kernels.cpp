// The table of kernels, once per instruction set: CMake compiles this file several times, with the flags of the set,
// KILOGRAD_ISA (the name of the table), KILOGRAD_LANES (doubles in a vector), KILOGRAD_ONES (the table of functions of
// one number, see functions.cpp) and KILOGRAD_HAS_VECTORS (where there is one of vectors). All but the table has
// internal linkage.
#include "kernels.hpp"

#include <utility>

#define KILOGRAD_STRING_OF(x) #x
#define KILOGRAD_STRING(x) KILOGRAD_STRING_OF(x)
#define KILOGRAD_JOIN_OF(a, b) a##b
#define KILOGRAD_JOIN(a, b) KILOGRAD_JOIN_OF(a, b)

namespace kilograd::program {
extern const Functions KILOGRAD_JOIN(functions_, KILOGRAD_ONES);
#ifdef KILOGRAD_HAS_VECTORS
extern const VectorFunctions KILOGRAD_JOIN(functions_, KILOGRAD_ISA);
#endif
namespace {
constexpr const Functions& ones = KILOGRAD_JOIN(functions_, KILOGRAD_ONES);
#ifdef KILOGRAD_HAS_VECTORS
constexpr const VectorFunctions* vectors = &KILOGRAD_JOIN(functions_, KILOGRAD_ISA);
#else
constexpr const VectorFunctions* vectors = nullptr;
#endif
}  // namespace
}  // namespace kilograd::program

#include "block_kernels.hpp"
#include "row_kernels.hpp"
#include "rows_kernels.hpp"

namespace kilograd::program {
namespace {

template <std::size_t... k>
constexpr Kernels make_table(std::index_sequence<k...>) {
    return {KILOGRAD_STRING(KILOGRAD_ISA),
            width,
            {forward_table<Lane>[k]...},
            {forward_table<Dual>[k]...},
            {reverse_table<Lane>[k]...},
            {reverse_table<Dual>[k]...},
            dot<Lane>,
            dot<Dual>,
            dot_reverse<Lane>,
            dot_reverse<Dual>,
            linear,
            outer,
            sum_lanes,
            row_forward,
            row_reverse,
            rows_forward,
            rows_reverse,
            rows_load,
            rows_store,
            rows_add,
            row_locals,
            row_functions,
            &ones,
            vectors};
}

}  // namespace

extern const Kernels KILOGRAD_JOIN(kernels_, KILOGRAD_ISA);
const Kernels KILOGRAD_JOIN(kernels_, KILOGRAD_ISA) = make_table(std::make_index_sequence<code_count>{});

}  // namespace kilograd::program
