// Lane: KILOGRAD_LANES doubles in one register, with the operators that the op table and the vector math use.
//
// The type is the compiler's own vector (GCC and Clang), that of registers.hpp where the compiler has none, or a plain
// double where KILOGRAD_LANES is 1, so one source serves every instruction set; a few lines of intrinsics stand where
// the compilers' generic code is slow. The header is compiled once per instruction set into different objects of one
// library, hence the unnamed namespace: nothing here may have external linkage, or the linker could pick an AVX-512
// copy for a machine without it.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "../portable.hpp"

#if KILOGRAD_LANES > 1 && !defined(KILOGRAD_VECTOR_TYPES)
#define KILOGRAD_REGISTERS
#include "registers.hpp"
#elif defined(KILOGRAD_SSE2)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace kilograd::lanes {
namespace {

inline constexpr int width = KILOGRAD_LANES;

#if KILOGRAD_LANES == 1
using Raw = double;
using RawBits = std::uint64_t;
#elif !defined(KILOGRAD_REGISTERS)
using Raw = double __attribute__((vector_size(8 * KILOGRAD_LANES)));
using RawBits = std::uint64_t __attribute__((vector_size(8 * KILOGRAD_LANES)));
#endif

#if defined(__AVX512F__) && KILOGRAD_LANES == 8
#define KILOGRAD_MASK_REGISTERS 1
using RawMask = __mmask8;
#else
using RawMask = RawBits;  // all bits of an element set, or none
#endif

struct Mask {
    RawMask m;
};
KILOGRAD_INLINE Mask operator&(Mask a, Mask b) { return {static_cast<RawMask>(a.m & b.m)}; }
KILOGRAD_INLINE Mask operator|(Mask a, Mask b) { return {static_cast<RawMask>(a.m | b.m)}; }
KILOGRAD_INLINE Mask operator~(Mask a) { return {static_cast<RawMask>(~a.m)}; }

// The same bits as integers: exponent arithmetic and sign tricks.
struct Bits {
    RawBits i;
};

struct Lane {
    Raw v;
    Lane() = default;
#if defined(KILOGRAD_REGISTERS)
    KILOGRAD_INLINE explicit Lane(double x) : v(all_equal(x)) {}
    KILOGRAD_INLINE explicit Lane(Raw x) : v(x) {}
    static KILOGRAD_INLINE Lane load(const double* p) { return Lane(raw_at(p)); }
    KILOGRAD_INLINE void store(double* p) const { put_at(p, v); }
#else
#if KILOGRAD_LANES == 1
    KILOGRAD_INLINE explicit Lane(double x) : v(x) {}
#else
    KILOGRAD_INLINE explicit Lane(double x) : v(x - Raw{}) {}
    KILOGRAD_INLINE explicit Lane(Raw x) : v(x) {}
#endif
    static KILOGRAD_INLINE Lane load(const double* p) {
        Lane r;
        std::memcpy(&r.v, p, sizeof r.v);
        return r;
    }
    KILOGRAD_INLINE void store(double* p) const { std::memcpy(p, &v, sizeof v); }
#endif
};

KILOGRAD_INLINE Lane operator+(Lane a, Lane b) { return Lane(a.v + b.v); }
KILOGRAD_INLINE Lane operator-(Lane a, Lane b) { return Lane(a.v - b.v); }
KILOGRAD_INLINE Lane operator*(Lane a, Lane b) { return Lane(a.v * b.v); }
KILOGRAD_INLINE Lane operator/(Lane a, Lane b) { return Lane(a.v / b.v); }
KILOGRAD_INLINE Lane operator-(Lane a) { return Lane(-a.v); }

#if defined(KILOGRAD_REGISTERS)
KILOGRAD_INLINE Bits bits(Lane a) { return {bits_of(a.v)}; }
KILOGRAD_INLINE Lane lane(Bits a) { return Lane(with_bits(a.i)); }
#else
KILOGRAD_INLINE Bits bits(Lane a) {
    Bits r;
    std::memcpy(&r.i, &a.v, sizeof r.i);
    return r;
}
KILOGRAD_INLINE Lane lane(Bits a) {
    Lane r;
    std::memcpy(&r.v, &a.i, sizeof r.v);
    return r;
}
#endif
// Unsigned: shifts are logical (AVX2 has no other of 64 bits), and what NaN makes of the sums wraps around.
KILOGRAD_INLINE Bits operator+(Bits a, std::uint64_t b) { return {a.i + b}; }
KILOGRAD_INLINE Bits operator-(Bits a, std::uint64_t b) { return {a.i - b}; }
KILOGRAD_INLINE Bits operator+(Bits a, Bits b) { return {a.i + b.i}; }
KILOGRAD_INLINE Bits operator-(Bits a, Bits b) { return {a.i - b.i}; }
KILOGRAD_INLINE Bits operator&(Bits a, std::uint64_t b) { return {a.i & b}; }
KILOGRAD_INLINE Bits operator|(Bits a, std::uint64_t b) { return {a.i | b}; }
KILOGRAD_INLINE Bits operator|(Bits a, Bits b) { return {a.i | b.i}; }
KILOGRAD_INLINE Bits operator^(Bits a, Bits b) { return {a.i ^ b.i}; }
KILOGRAD_INLINE Bits operator<<(Bits a, int n) { return {a.i << n}; }
KILOGRAD_INLINE Bits operator>>(Bits a, int n) { return {a.i >> n}; }

inline constexpr std::uint64_t sign_bit = std::uint64_t{1} << 63;

#if defined(KILOGRAD_MASK_REGISTERS)

KILOGRAD_INLINE Mask operator<(Lane a, Lane b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LT_OQ)}; }
KILOGRAD_INLINE Mask operator<=(Lane a, Lane b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LE_OQ)}; }
KILOGRAD_INLINE Mask operator>(Lane a, Lane b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_GT_OQ)}; }
KILOGRAD_INLINE Mask operator>=(Lane a, Lane b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_GE_OQ)}; }
KILOGRAD_INLINE Mask operator==(Lane a, Lane b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_EQ_OQ)}; }
KILOGRAD_INLINE Mask operator!=(Lane a, Lane b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_NEQ_UQ)}; }
KILOGRAD_INLINE Mask has_bits(Bits a, std::uint64_t b) {
    return {_mm512_test_epi64_mask((__m512i)a.i, _mm512_set1_epi64(static_cast<long long>(b)))};
}
KILOGRAD_INLINE Lane select(Mask m, Lane x, Lane y) { return Lane(_mm512_mask_blend_pd(m.m, y.v, x.v)); }
KILOGRAD_INLINE bool any(Mask a) { return a.m != 0; }
KILOGRAD_INLINE Mask no_lane() { return {0}; }

#else

#if KILOGRAD_LANES == 1
#define KILOGRAD_COMPARE(op) \
    KILOGRAD_INLINE Mask operator op(Lane a, Lane b) { return {RawBits{0} - RawBits{a.v op b.v}}; }
#else
#define KILOGRAD_COMPARE(op) \
    KILOGRAD_INLINE Mask operator op(Lane a, Lane b) { return {(RawBits)(a.v op b.v)}; }
#endif
KILOGRAD_COMPARE(<)
KILOGRAD_COMPARE(<=)
KILOGRAD_COMPARE(>)
KILOGRAD_COMPARE(>=)
KILOGRAD_COMPARE(==)
KILOGRAD_COMPARE(!=)
#undef KILOGRAD_COMPARE

KILOGRAD_INLINE Mask has_bits(Bits a, std::uint64_t b) {
#if KILOGRAD_LANES == 1
    return {RawBits{0} - RawBits{(a.i & b) != 0}};
#else
    return {(RawBits)((a.i & b) != 0)};
#endif
}
// Bitwise, not `?:`: before SSE4.1 and in Clang's generic vectors that is also what it becomes.
KILOGRAD_INLINE Lane select(Mask m, Lane x, Lane y) {
#if defined(__AVX2__) && KILOGRAD_LANES == 4
    return Lane(_mm256_blendv_pd(y.v, x.v, (__m256d)m.m));
#else
    return lane(Bits{(bits(x).i & m.m) | (bits(y).i & ~m.m)});
#endif
}
KILOGRAD_INLINE bool any(Mask a) {
#if defined(__AVX2__) && KILOGRAD_LANES == 4
    return _mm256_movemask_pd((__m256d)a.m) != 0;
#elif defined(KILOGRAD_SSE2) && KILOGRAD_LANES == 2
    return _mm_movemask_pd((__m128d)a.m) != 0;
#elif KILOGRAD_LANES == 1
    return a.m != 0;
#else
    std::uint64_t r = 0;
    for (int k = 0; k < width; ++k) r |= a.m[k];
    return r != 0;
#endif
}
KILOGRAD_INLINE Mask no_lane() { return {RawMask{}}; }

#endif

KILOGRAD_INLINE double get(Lane a, int k) {
#if KILOGRAD_LANES == 1
    (void)k;
    return a.v;
#else
    return a.v[k];
#endif
}

// Whether there is a transpose() that is better than numbers one by one.
#if (defined(__AVX512F__) && KILOGRAD_LANES == 8) || (defined(__AVX2__) && KILOGRAD_LANES == 4)
inline constexpr bool transposes = true;
#else
inline constexpr bool transposes = false;
#endif
// Lane j of x[i] becomes lane i of x[j].
KILOGRAD_INLINE void transpose([[maybe_unused]] Lane (&x)[width]) {
#if defined(__AVX512F__) && KILOGRAD_LANES == 8
    __m512d pairs[8], fours[8];
    for (int i = 0; i < 8; i += 2) {
        pairs[i] = _mm512_unpacklo_pd(x[i].v, x[i + 1].v);
        pairs[i + 1] = _mm512_unpackhi_pd(x[i].v, x[i + 1].v);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; ++j) {
            fours[i + j] = _mm512_shuffle_f64x2(pairs[i + j], pairs[i + j + 2], 0x88);
            fours[i + j + 2] = _mm512_shuffle_f64x2(pairs[i + j], pairs[i + j + 2], 0xDD);
        }
    for (int j = 0; j < 4; ++j) {
        x[j].v = _mm512_shuffle_f64x2(fours[j], fours[j + 4], 0x88);
        x[j + 4].v = _mm512_shuffle_f64x2(fours[j], fours[j + 4], 0xDD);
    }
#elif defined(__AVX2__) && KILOGRAD_LANES == 4
    const __m256d a = _mm256_unpacklo_pd(x[0].v, x[1].v), b = _mm256_unpackhi_pd(x[0].v, x[1].v);
    const __m256d c = _mm256_unpacklo_pd(x[2].v, x[3].v), d = _mm256_unpackhi_pd(x[2].v, x[3].v);
    x[0].v = _mm256_permute2f128_pd(a, c, 0x20);
    x[1].v = _mm256_permute2f128_pd(b, d, 0x20);
    x[2].v = _mm256_permute2f128_pd(a, c, 0x31);
    x[3].v = _mm256_permute2f128_pd(b, d, 0x31);
#endif
}

// table[index % 16] in each lane.
KILOGRAD_INLINE Lane lookup(const double (&table)[16], Bits index) {
#if defined(__AVX512F__) && KILOGRAD_LANES == 8
    return Lane(_mm512_permutex2var_pd(_mm512_loadu_pd(table), (__m512i)index.i, _mm512_loadu_pd(table + 8)));
#elif KILOGRAD_LANES == 1
    return Lane(table[index.i & 15]);
#else
    const RawBits at = index.i & 15;
#if defined(KILOGRAD_REGISTERS)
    double r[width];
    for (int k = 0; k < width; ++k) r[k] = table[at[k]];
    return Lane::load(r);
#else
    Raw r;
    for (int k = 0; k < width; ++k) r[k] = table[at[k]];
    return Lane(r);
#endif
#endif
}

KILOGRAD_INLINE Lane abs(Lane a) { return lane(bits(a) & ~sign_bit); }
KILOGRAD_INLINE Lane copy_sign(Lane magnitude, Lane sign) {
    return lane((bits(magnitude) & ~sign_bit) | (bits(sign) & sign_bit));
}

// The lesser and the greater of two, b where one of them is NaN.
KILOGRAD_INLINE Lane least(Lane a, Lane b) {
#if defined(__AVX512F__) && KILOGRAD_LANES == 8
    return Lane(_mm512_min_pd(a.v, b.v));
#elif defined(__AVX2__) && KILOGRAD_LANES == 4
    return Lane(_mm256_min_pd(a.v, b.v));
#elif defined(KILOGRAD_SSE2) && KILOGRAD_LANES == 2
    return Lane((Raw)_mm_min_pd((__m128d)a.v, (__m128d)b.v));
#else
    return select(a < b, a, b);
#endif
}
KILOGRAD_INLINE Lane greatest(Lane a, Lane b) {
#if defined(__AVX512F__) && KILOGRAD_LANES == 8
    return Lane(_mm512_max_pd(a.v, b.v));
#elif defined(__AVX2__) && KILOGRAD_LANES == 4
    return Lane(_mm256_max_pd(a.v, b.v));
#elif defined(KILOGRAD_SSE2) && KILOGRAD_LANES == 2
    return Lane((Raw)_mm_max_pd((__m128d)a.v, (__m128d)b.v));
#else
    return select(a > b, a, b);
#endif
}

KILOGRAD_INLINE Lane sqrt(Lane a) {
#if defined(__AVX512F__) && KILOGRAD_LANES == 8
    return Lane(_mm512_sqrt_pd(a.v));
#elif defined(__AVX2__) && KILOGRAD_LANES == 4
    return Lane(_mm256_sqrt_pd(a.v));
#elif defined(KILOGRAD_SSE2) && KILOGRAD_LANES == 2
    return Lane(_mm_sqrt_pd(a.v));
#elif defined(__aarch64__) && KILOGRAD_LANES == 2
    return Lane((Raw)vsqrtq_f64((float64x2_t)a.v));
#else
    Lane r;
    for (int k = 0; k < width; ++k) reinterpret_cast<double*>(&r.v)[k] = std::sqrt(get(a, k));
    return r;
#endif
}

#if (defined(__AVX512F__) && KILOGRAD_LANES == 8) || (defined(KILOGRAD_FMA) && KILOGRAD_LANES == 4) || \
    (defined(__aarch64__) && KILOGRAD_LANES <= 2) || (defined(KILOGRAD_FMA) && KILOGRAD_LANES == 1)
#define KILOGRAD_HAS_FMA 1
#else
#define KILOGRAD_HAS_FMA 0
#endif

// a * b + c: with one rounding where the instruction set has that, else with two.
KILOGRAD_INLINE double mul_add(double a, double b, double c) {
#if defined(KILOGRAD_FMA) && !defined(KILOGRAD_VECTOR_TYPES)  // there std::fma may be a call
    return _mm_cvtsd_f64(_mm_fmadd_sd(_mm_set_sd(a), _mm_set_sd(b), _mm_set_sd(c)));
#elif defined(KILOGRAD_FMA) || defined(__aarch64__)
    return std::fma(a, b, c);
#else
    return a * b + c;
#endif
}
KILOGRAD_INLINE Lane mul_add(Lane a, Lane b, Lane c) {
#if defined(__AVX512F__) && KILOGRAD_LANES == 8
    return Lane(_mm512_fmadd_pd(a.v, b.v, c.v));
#elif defined(KILOGRAD_FMA) && KILOGRAD_LANES == 4
    return Lane(_mm256_fmadd_pd(a.v, b.v, c.v));
#elif defined(__aarch64__) && KILOGRAD_LANES == 2
    return Lane((Raw)vfmaq_f64((float64x2_t)c.v, (float64x2_t)a.v, (float64x2_t)b.v));
#elif KILOGRAD_HAS_FMA
    return Lane(mul_add(a.v, b.v, c.v));
#else
    return Lane(a.v * b.v + c.v);
#endif
}

// The rounding error of the product p = a * b, exactly.
KILOGRAD_INLINE Lane product_error(Lane a, Lane b, Lane p) {
#if KILOGRAD_HAS_FMA
    return mul_add(a, b, -p);
#else
    const Lane split(134217729.0);  // 2**27 + 1, Dekker
    const Lane ta = split * a, tb = split * b;
    const Lane ah = ta - (ta - a), al = a - ah, bh = tb - (tb - b), bl = b - bh;
    return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
#endif
}

// Nearest whole number of |a| < 2**51; `whole` holds the same as an integer in its low bits.
KILOGRAD_INLINE Lane round_near(Lane a, Bits& whole) {
    const Lane magic(6755399441055744.0);  // 1.5 * 2**52
    const Lane shifted = a + magic;
    whole = bits(shifted) - bits(magic);
    return shifted - magic;
}

// a * 2**n for a in [1/2, 2] and n in [-1076, 1025].
KILOGRAD_INLINE Lane scale(Lane a, Lane n, [[maybe_unused]] Bits whole) {
#if defined(__AVX512F__) && KILOGRAD_LANES == 8
    return Lane(_mm512_scalef_pd(a.v, n.v));
#else
    // In two steps, since 2**n alone may leave the exponent's range.
    const Lane half = round_near(n * Lane(0.5), whole);
    const Bits first = whole;
    Bits second;
    round_near(n - half, second);
    return a * lane((first + 1023) << 52) * lane((second + 1023) << 52);
#endif
}

KILOGRAD_INLINE double sum_of(Lane a) {
#if defined(__AVX512F__) && KILOGRAD_LANES == 8
    return _mm512_reduce_add_pd(a.v);
#else
    double r = get(a, 0);
    for (int k = 1; k < width; ++k) r += get(a, k);
    return r;
#endif
}

}  // namespace
}  // namespace kilograd::lanes
