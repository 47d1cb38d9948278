#include "isa.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "../../portable.hpp"

#if defined(KILOGRAD_X86_KERNELS) && !defined(KILOGRAD_GNU)
#include <intrin.h>
#endif

namespace kilograd::program {

// Defined by kernels.cpp, compiled once for each.
#if defined(KILOGRAD_X86_KERNELS)
extern const Kernels kernels_avx512, kernels_avx2, kernels_sse2;
#elif defined(KILOGRAD_ARM_KERNELS)
extern const Kernels kernels_neon;
#endif
#ifdef KILOGRAD_SCALAR_KERNELS
extern const Kernels kernels_scalar;
#endif

#if defined(KILOGRAD_X86_KERNELS)
namespace {

// The processor itself is asked. __builtin_cpu_supports() needs a library that Clang for Windows does not link, and by
// Zig's no processor has anything. Bits and leaves: Intel's Software Developer's Manual, volume 2, CPUID, and volume
// 1, 13.
struct Answer {
    std::uint32_t a, b, c, d;
};

Answer cpuid(std::uint32_t leaf) {
    Answer answer;
#ifdef KILOGRAD_GNU
    asm volatile("cpuid" : "=a"(answer.a), "=b"(answer.b), "=c"(answer.c), "=d"(answer.d) : "a"(leaf), "c"(0));
#else
    int words[4];
    __cpuidex(words, static_cast<int>(leaf), 0);
    std::memcpy(&answer, words, sizeof answer);
#endif
    return answer;
}

// Which registers the system keeps for each thread.
std::uint32_t kept_registers() {
#ifdef KILOGRAD_GNU
    std::uint32_t low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
#else
    return static_cast<std::uint32_t>(_xgetbv(0));
#endif
}

constexpr bool has(std::uint32_t word, auto... bits) {
    const std::uint32_t wanted = (... | (std::uint32_t{1} << bits));
    return (word & wanted) == wanted;
}

struct Vectors {
    bool avx2 = false, avx512 = false;
};

Vectors vectors_of_the_processor() {
    constexpr int fma = 12, osxsave = 27, avx = 28;                                     // leaf 1
    constexpr int avx2 = 5, avx512f = 16, avx512dq = 17, avx512bw = 30, avx512vl = 31;  // leaf 7
    constexpr int xmm = 1, ymm = 2, masks = 5, zmm = 6, further_zmm = 7;                // what is kept
    Vectors found;
    if (cpuid(0).a < 7 || !has(cpuid(1).c, osxsave, avx)) return found;
    const std::uint32_t kept = kept_registers(), leaf_7 = cpuid(7).b;
    if (!has(kept, xmm, ymm)) return found;
    found.avx2 = has(leaf_7, avx2) && has(cpuid(1).c, fma);
#ifdef __APPLE__
    constexpr bool late = true;  // it begins to keep them when a thread first uses them
#else
    constexpr bool late = false;
#endif
    const bool keeps_all = late || has(kept, masks, zmm, further_zmm);
    found.avx512 = found.avx2 && keeps_all && has(leaf_7, avx512f, avx512dq, avx512bw, avx512vl);
    return found;
}

}  // namespace
#endif

const std::vector<const Kernels*>& available_kernels() {
    static const std::vector<const Kernels*> tables = [] {
        std::vector<const Kernels*> t;
#if defined(KILOGRAD_X86_KERNELS)
        const Vectors vectors = vectors_of_the_processor();
        if (vectors.avx512) t.push_back(&kernels_avx512);
        if (vectors.avx2) t.push_back(&kernels_avx2);
        t.push_back(&kernels_sse2);
#elif defined(KILOGRAD_ARM_KERNELS)
        t.push_back(&kernels_neon);
#endif
#ifdef KILOGRAD_SCALAR_KERNELS
        t.push_back(&kernels_scalar);
#endif
        return t;
    }();
    return tables;
}

const Kernels& kernels_named(const std::string& name) {
    std::string choices;
    for (const Kernels* table : available_kernels()) {
        if (name == table->name) return *table;
        choices += (choices.empty() ? "" : ", ") + std::string(table->name);
    }
    throw std::invalid_argument("KILOGRAD_ISA is '" + name + "'; this machine has " + choices);
}

const Kernels& chosen_kernels() {
    const char* name = std::getenv("KILOGRAD_ISA");
    return name && *name ? kernels_named(name) : *available_kernels().front();
}

}  // namespace kilograd::program
