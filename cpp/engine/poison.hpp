// What AddressSanitizer is told of memory that is recycled here without free(): a use after that is then found.
//
// In any other build `sanitized` is false and the functions are empty.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define KILOGRAD_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KILOGRAD_ASAN
#endif
#endif

#ifdef KILOGRAD_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace kilograd {

#ifdef KILOGRAD_ASAN
inline constexpr bool sanitized = true;
inline void poison(const void* start, std::size_t size) { __asan_poison_memory_region(start, size); }
inline void unpoison(const void* start, std::size_t size) { __asan_unpoison_memory_region(start, size); }
#else
inline constexpr bool sanitized = false;
inline void poison(const void*, std::size_t) {}
inline void unpoison(const void*, std::size_t) {}
#endif

}  // namespace kilograd
