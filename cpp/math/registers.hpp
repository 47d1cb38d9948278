// Raw and RawBits, vectors of x86-64 by intrinsics, for a compiler that has no vector types: Microsoft's. They have the
// operators that lane.hpp takes from the types of others, with the same bits. Internal linkage, as there.
#pragma once

#include <immintrin.h>
#include <cstdint>
#include <cstring>

namespace kilograd::lanes {
namespace {

#if KILOGRAD_LANES == 8
#define KILOGRAD_MM(name) _mm512_##name
#define KILOGRAD_SI(name) _mm512_##name##si512
using Doubles = __m512d;
using Integers = __m512i;
KILOGRAD_INLINE Integers same_integers(std::uint64_t x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
KILOGRAD_INLINE Doubles with_bits(Integers x) { return _mm512_castsi512_pd(x); }
KILOGRAD_INLINE Doubles in_order(double a, double b, double c, double d, double e, double f, double g, double h) {
    return _mm512_setr_pd(a, b, c, d, e, f, g, h);
}
#elif KILOGRAD_LANES == 4
#define KILOGRAD_MM(name) _mm256_##name
#define KILOGRAD_SI(name) _mm256_##name##si256
using Doubles = __m256d;
using Integers = __m256i;
KILOGRAD_INLINE Integers same_integers(std::uint64_t x) { return _mm256_set1_epi64x(static_cast<long long>(x)); }
KILOGRAD_INLINE Doubles with_bits(Integers x) { return _mm256_castsi256_pd(x); }
KILOGRAD_INLINE Doubles in_order(double a, double b, double c, double d) { return _mm256_setr_pd(a, b, c, d); }
#else
#define KILOGRAD_MM(name) _mm_##name
#define KILOGRAD_SI(name) _mm_##name##si128
using Doubles = __m128d;
using Integers = __m128i;
KILOGRAD_INLINE Integers same_integers(std::uint64_t x) { return _mm_set1_epi64x(static_cast<long long>(x)); }
KILOGRAD_INLINE Doubles with_bits(Integers x) { return _mm_castsi128_pd(x); }
KILOGRAD_INLINE Doubles in_order(double a, double b) { return _mm_setr_pd(a, b); }
#endif

struct RawBits {
    Integers i;
    RawBits() = default;
    KILOGRAD_INLINE RawBits(Integers x) : i(x) {}
    KILOGRAD_INLINE RawBits(std::uint64_t x) : i(same_integers(x)) {}
    KILOGRAD_INLINE operator Integers() const { return i; }
    KILOGRAD_INLINE explicit operator Doubles() const { return with_bits(i); }
    KILOGRAD_INLINE std::uint64_t operator[](int k) const {
        std::uint64_t all[KILOGRAD_LANES];
        std::memcpy(all, &i, sizeof all);
        return all[k];
    }
};
#define KILOGRAD_OPERATOR(type, op, ...) \
    KILOGRAD_INLINE type operator op(type a, type b) { return __VA_ARGS__; }
KILOGRAD_OPERATOR(RawBits, +, KILOGRAD_MM(add_epi64)(a, b))
KILOGRAD_OPERATOR(RawBits, -, KILOGRAD_MM(sub_epi64)(a, b))
KILOGRAD_OPERATOR(RawBits, &, KILOGRAD_SI(and_)(a, b))
KILOGRAD_OPERATOR(RawBits, |, KILOGRAD_SI(or_)(a, b))
KILOGRAD_OPERATOR(RawBits, ^, KILOGRAD_SI(xor_)(a, b))
KILOGRAD_INLINE RawBits operator~(RawBits a) { return a ^ ~std::uint64_t{0}; }
KILOGRAD_INLINE RawBits operator<<(RawBits a, int n) { return KILOGRAD_MM(slli_epi64)(a, n); }
KILOGRAD_INLINE RawBits operator>>(RawBits a, int n) { return KILOGRAD_MM(srli_epi64)(a, n); }
#if KILOGRAD_LANES == 4
KILOGRAD_OPERATOR(RawBits, !=, ~RawBits(_mm256_cmpeq_epi64(a, b)))
#elif KILOGRAD_LANES == 2
// SSE2 compares halves of them.
KILOGRAD_INLINE RawBits operator!=(RawBits a, RawBits b) {
    const __m128i halves = _mm_cmpeq_epi32(a, b);
    return ~RawBits(_mm_and_si128(halves, _mm_shuffle_epi32(halves, _MM_SHUFFLE(2, 3, 0, 1))));
}
#endif

struct Raw {
    Doubles v;
    Raw() = default;
    KILOGRAD_INLINE Raw(Doubles x) : v(x) {}
    template <class... Double>
    KILOGRAD_INLINE Raw(double x, double y, Double... more) : v(in_order(x, y, more...)) {}
    KILOGRAD_INLINE operator Doubles() const { return v; }
    KILOGRAD_INLINE double operator[](int k) const {
        double all[KILOGRAD_LANES];
        KILOGRAD_MM(storeu_pd)(all, v);
        return all[k];
    }
};
KILOGRAD_OPERATOR(Raw, +, KILOGRAD_MM(add_pd)(a, b))
KILOGRAD_OPERATOR(Raw, -, KILOGRAD_MM(sub_pd)(a, b))
KILOGRAD_OPERATOR(Raw, *, KILOGRAD_MM(mul_pd)(a, b))
KILOGRAD_OPERATOR(Raw, /, KILOGRAD_MM(div_pd)(a, b))
KILOGRAD_INLINE Raw all_equal(double x) { return KILOGRAD_MM(set1_pd)(x); }
KILOGRAD_INLINE Raw raw_at(const double* p) { return KILOGRAD_MM(loadu_pd)(p); }
KILOGRAD_INLINE void put_at(double* p, Raw a) { KILOGRAD_MM(storeu_pd)(p, a); }
KILOGRAD_INLINE RawBits bits_of(Raw a) { return KILOGRAD_SI(castpd_)(a); }
KILOGRAD_INLINE Raw operator-(Raw a) { return with_bits(bits_of(a) ^ (std::uint64_t{1} << 63)); }
#undef KILOGRAD_OPERATOR

#if KILOGRAD_LANES == 4
#define KILOGRAD_COMPARE(op, name, predicate) \
    KILOGRAD_INLINE RawBits operator op(Raw a, Raw b) { return bits_of(_mm256_cmp_pd(a, b, predicate)); }
#elif KILOGRAD_LANES == 2
#define KILOGRAD_COMPARE(op, name, predicate) \
    KILOGRAD_INLINE RawBits operator op(Raw a, Raw b) { return bits_of(_mm_cmp##name##_pd(a, b)); }
#else
#define KILOGRAD_COMPARE(op, name, predicate)  // lane.hpp compares into mask registers
#endif
KILOGRAD_COMPARE(<, lt, _CMP_LT_OQ)
KILOGRAD_COMPARE(<=, le, _CMP_LE_OQ)
KILOGRAD_COMPARE(>, gt, _CMP_GT_OQ)
KILOGRAD_COMPARE(>=, ge, _CMP_GE_OQ)
KILOGRAD_COMPARE(==, eq, _CMP_EQ_OQ)
KILOGRAD_COMPARE(!=, neq, _CMP_NEQ_UQ)
#undef KILOGRAD_COMPARE
#undef KILOGRAD_MM
#undef KILOGRAD_SI

}  // namespace
}  // namespace kilograd::lanes
