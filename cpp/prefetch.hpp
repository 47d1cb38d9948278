// Asking for memory before it is read. An address that is not there does no harm; a compiler that cannot ask does not.
#pragma once

namespace kilograd {

inline void prefetch([[maybe_unused]] const void* address) {
#if defined(__GNUC__) || defined(__clang__)
    __builtin_prefetch(address, 1);
#endif
}

}  // namespace kilograd
