// The table of single nodes: CMake compiles this file for Lanes of one number, with and without fused multiply-adds,
// and KILOGRAD_ONES as the name of the table. All but the table has internal linkage.
#include "evaluation.hpp"
#include "kernels.hpp"

namespace kilograd::program {
namespace {

template <Code code>
bool forward_one(const RowCode& s, std::uint32_t i, double* v) {
    const Lane a(v[s.a[i]]), b(info(code).arity == Arity::Binary ? v[s.b[i]] : 0.0);
    const Lane y = value_at<code>(a, b, Lane(s.c[i]));
    v[i] = get(y, 0);
    if constexpr (is_total(code))
        return false;
    else
        return any(suspicious<code>(a, b, y));
}
template <Code code>
void reverse_one(const RowCode& s, std::uint32_t i, const double* v, double* d) {
    constexpr bool binary = info(code).arity == Arity::Binary;
    const double dy = d[i];
    if constexpr (is_step(code)) return;
    if constexpr (code == Code::gate || code == Code::enter) {
        d[s.b[i]] += v[s.a[i]] == 0.0 ? 0.0 : dy;
        return;
    }
    const Lane a(v[s.a[i]]), b(binary ? v[s.b[i]] : 0.0), c(s.c[i]), y(v[i]);
    d[s.a[i]] += get(Rule<code>::template da<Lane>(a, b, c, y), 0) * dy;
    if constexpr (binary) d[s.b[i]] += get(Rule<code>::template db<Lane>(a, b, c, y), 0) * dy;
}

}  // namespace

#define KILOGRAD_JOIN_OF(a, b) a##b
#define KILOGRAD_JOIN(a, b) KILOGRAD_JOIN_OF(a, b)
extern const Ones KILOGRAD_JOIN(ones_, KILOGRAD_ONES);
const Ones KILOGRAD_JOIN(ones_, KILOGRAD_ONES) = {{nullptr, nullptr, nullptr,
#define KILOGRAD_OP(name, label, arity, edge, value, da, db, doc) forward_one<Code::name>,
#include "../../ops.def"
#include "../reduced_ops.def"
#undef KILOGRAD_OP
                                                   nullptr},
                                                  {nullptr, nullptr, nullptr,
#define KILOGRAD_OP(name, label, arity, edge, value, da, db, doc) reverse_one<Code::name>,
#include "../../ops.def"
#include "../reduced_ops.def"
#undef KILOGRAD_OP
                                                   nullptr}};

}  // namespace kilograd::program
