// What compilers spell differently or do not have. Vectors, which not all have, are in math/lane.hpp.
#pragma once

#if defined(__GNUC__)  // Clang, too
#define KILOGRAD_INLINE inline __attribute__((always_inline))
#define KILOGRAD_NOINLINE __attribute__((noinline))
#define KILOGRAD_UNROLL _Pragma("GCC unroll 32")  // the loop that follows, of up to 32 turns
#else
#define KILOGRAD_INLINE inline
#define KILOGRAD_NOINLINE
#define KILOGRAD_UNROLL
#endif

namespace kilograd {

// Asks for memory before it is read. An address that is not there does no harm; a compiler that cannot ask does not.
inline void prefetch([[maybe_unused]] const void* address) {
#if defined(__GNUC__)
    __builtin_prefetch(address, 1);
#endif
}

}  // namespace kilograd
