#include "isa.hpp"

#include <cstdlib>
#include <stdexcept>

namespace kilograd::program {

// Defined by kernels.cpp, compiled once for each.
#if defined(KILOGRAD_X86_KERNELS)
extern const Kernels kernels_avx512, kernels_avx2, kernels_sse2;
#elif defined(KILOGRAD_ARM_KERNELS)
extern const Kernels kernels_neon;
#endif
extern const Kernels kernels_scalar;

const std::vector<const Kernels*>& available_kernels() {
    static const std::vector<const Kernels*> tables = [] {
        std::vector<const Kernels*> t;
#if defined(KILOGRAD_X86_KERNELS)
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
            t.push_back(&kernels_avx512);
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) t.push_back(&kernels_avx2);
        t.push_back(&kernels_sse2);
#elif defined(KILOGRAD_ARM_KERNELS)
        t.push_back(&kernels_neon);
#endif
        t.push_back(&kernels_scalar);
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
