// Functions of a Lane by a function of doubles, lane by lane.
#pragma once

#include "lane.hpp"

namespace kilograd::lanes {
namespace {

// What sanitizers add asks their libraries, wherever it stands.
#if defined(KILOGRAD_KEEP_HIGH_REGISTERS) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define KILOGRAD_HIGH_REGISTERS \
    KILOGRAD_REGISTER(16, 0)    \
    KILOGRAD_REGISTER(17, 64)   \
    KILOGRAD_REGISTER(18, 128)  \
    KILOGRAD_REGISTER(19, 192)  \
    KILOGRAD_REGISTER(20, 256)  \
    KILOGRAD_REGISTER(21, 320)  \
    KILOGRAD_REGISTER(22, 384)  \
    KILOGRAD_REGISTER(23, 448)  \
    KILOGRAD_REGISTER(24, 512)  \
    KILOGRAD_REGISTER(25, 576)  \
    KILOGRAD_REGISTER(26, 640)  \
    KILOGRAD_REGISTER(27, 704)  \
    KILOGRAD_REGISTER(28, 768)  \
    KILOGRAD_REGISTER(29, 832)  \
    KILOGRAD_REGISTER(30, 896)  \
    KILOGRAD_REGISTER(31, 960)
// This unit is compiled to leave registers 16 to 31 alone; the C library is not.
constexpr bool keeps_high_registers = true;
class Kept {
  public:
    Kept() {
        asm volatile(
#define KILOGRAD_REGISTER(n, at) "vmovupd %%zmm" #n ", " #at "(%0)\n\t"
            KILOGRAD_HIGH_REGISTERS
#undef KILOGRAD_REGISTER
            ::"r"(space_)
            : "memory");
    }
    ~Kept() {
        asm volatile(
#define KILOGRAD_REGISTER(n, at) "vmovupd " #at "(%0), %%zmm" #n "\n\t"
            KILOGRAD_HIGH_REGISTERS
#undef KILOGRAD_REGISTER
            ::"r"(space_)
            : "memory");
    }
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;

  private:
    double space_[16 * 8];
};
#else
constexpr bool keeps_high_registers = false;
struct Kept {
    Kept() {}
};
#endif

template <class F>
Lane each(F f, Lane a) {
    const Kept kept;
    double x[width];
    a.store(x);
    for (int k = 0; k < width; ++k) x[k] = f(x[k]);
    return Lane::load(x);
}
template <class F>
Lane each(F f, Lane a, Lane b) {
    const Kept kept;
    double x[width], y[width];
    a.store(x);
    b.store(y);
    for (int k = 0; k < width; ++k) x[k] = f(x[k], y[k]);
    return Lane::load(x);
}

}  // namespace
}  // namespace kilograd::lanes
