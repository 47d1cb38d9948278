// What compilers spell differently or do not have. Vectors, which not all have, are in math/lane.hpp.
#pragma once

#if defined(__GNUC__) || defined(__clang__)  // Clang for Windows says that it is Microsoft's compiler
#define KILOGRAD_GNU
#define KILOGRAD_INLINE inline __attribute__((always_inline))
#define KILOGRAD_NOINLINE __attribute__((noinline))
#define KILOGRAD_UNROLL _Pragma("GCC unroll 32")  // the loop that follows, of up to 32 turns
#ifndef KILOGRAD_NO_VECTOR_TYPES                  // to test here what stands in their place elsewhere
#define KILOGRAD_VECTOR_TYPES
#endif
#if defined(__SSE2__)
#define KILOGRAD_SSE2
#endif
#if defined(__FMA__)
#define KILOGRAD_FMA
#endif
#else  // Microsoft's
#define KILOGRAD_INLINE __forceinline
#define KILOGRAD_NOINLINE __declspec(noinline)
#define KILOGRAD_UNROLL
#pragma fp_contract(off)
#if defined(_M_X64)
#define KILOGRAD_SSE2
#endif
#if defined(__AVX2__)  // nor does it say that it has fused multiply-adds, which come with it
#define KILOGRAD_FMA
#endif
#endif

namespace kilograd {

// Asks for memory before it is written, or read. An address that is not there does no harm; a compiler that cannot ask
// does not.
template <bool to_write = true>
inline void prefetch([[maybe_unused]] const void* address) {
#ifdef KILOGRAD_GNU
    __builtin_prefetch(address, to_write);
#endif
}

}  // namespace kilograd
