// Symbol: a number type whose operations are written down in a Simplifier instead of being computed.
//
// The rows of ops.def are templates over the number type, so that with this one they give derivatives as expressions.
// What the Simplifier may not do to a recording, so that its numbers stay those of eager code, is done here: zeros and
// ones disappear, factors that are constant are collected. A NaN may become a number by that, never the reverse.
#pragma once

#include <algorithm>

#include "simplifier.hpp"

namespace kilograd::program {

class Symbol {
  public:
    Symbol() : Symbol(0.0) {}
    explicit Symbol(double constant) : constant_(constant) {}
    Symbol(Simplifier& in, std::uint32_t node) {
        if (in.nodes[node].code == Code::constant)
            constant_ = in.nodes[node].c;
        else
            in_ = &in, node_ = node;
    }

    bool is_constant() const { return !in_; }
    bool is_constant(double c) const { return !in_ && constant_ == c; }
    double constant() const { return constant_; }
    bool is_same(const Symbol& other) const {
        return in_ == other.in_ && node_ == other.node_ && constant_ == other.constant_;
    }
    std::uint32_t number(Simplifier& in) const { return in_ ? node_ : in.constant(constant_); }

    static Symbol make(Code code, Symbol a, Symbol b = Symbol(), double c = 0.0) {
        const bool binary = info(code).arity == Arity::Binary;
        Simplifier* in = a.in_ ? a.in_ : binary ? b.in_ : nullptr;
        if (!in) return Symbol(evaluate(code, a.constant_, b.constant_, c));
        return {*in, in->make(code, a.number(*in), binary ? b.number(*in) : 0, c)};
    }

    friend Symbol operator+(Symbol a, Symbol b) {
        if (a.is_constant()) std::swap(a, b);
        if (b.is_constant(0.0)) return a;
        if (b.is_constant()) {
            if (!a.is(Code::offset)) return make(Code::add, a, b);
            return make(Code::offset, a.operand(), Symbol(), a.c() + b.constant_);
        }
        const Symbol base = a.base();
        if (base.node_ == b.base().node_) return Symbol(a.factor() + b.factor()) * base;
        return make(Code::add, a, b);
    }
    friend Symbol operator-(Symbol a) { return Symbol(-1.0) * a; }
    friend Symbol operator-(Symbol a, Symbol b) { return a + -b; }
    friend Symbol operator*(Symbol a, Symbol b) {
        const double factor = a.factor() * b.factor();
        a = a.base();
        b = b.base();
        if (factor == 0.0) return Symbol(0.0);
        if (a.is_constant() && b.is_constant()) return Symbol(factor);
        const Symbol product = a.is_constant() ? b : b.is_constant() ? a : make(Code::mul, a, b);
        if (factor == 1.0) return product;
        return make(Code::scale, product.base(), Symbol(), factor * product.factor());
    }
    friend Symbol operator/(Symbol a, Symbol b) {
        if (a.is_constant(0.0)) return a;
        if (a.is_constant()) return a * make(Code::reciprocal, b);
        return make(Code::div, a, b);
    }

  private:
    bool is(Code code) const { return in_ && in_->nodes[node_].code == code; }
    double c() const { return in_->nodes[node_].c; }
    Symbol operand() const { return {*in_, in_->nodes[node_].a}; }
    // This is factor() * base(); a constant's base is 1.
    double factor() const { return !in_ ? constant_ : is(Code::scale) ? c() : 1.0; }
    Symbol base() const { return !in_ ? Symbol(1.0) : is(Code::scale) ? operand() : *this; }

    Simplifier* in_ = nullptr;
    std::uint32_t node_ = none;
    double constant_ = 0.0;
};

// A comparison: its mask, 0 or 1.
struct SymbolMask {
    Symbol mask;
};
inline SymbolMask operator<(Symbol a, Symbol b) { return {Symbol::make(Code::less, a, b)}; }
inline SymbolMask operator>(Symbol a, Symbol b) { return b < a; }
inline SymbolMask operator<=(Symbol a, Symbol b) { return {Symbol::make(Code::less_equal, a, b)}; }
inline SymbolMask operator>=(Symbol a, Symbol b) { return b <= a; }
inline SymbolMask operator==(Symbol a, Symbol b) { return {Symbol::make(Code::equal, a, b)}; }
inline SymbolMask operator&(SymbolMask a, SymbolMask b) { return {a.mask * b.mask}; }

inline Symbol gate(Symbol mask, Symbol x) {
    if (mask.is_constant()) return mask.is_constant(0.0) ? Symbol(0.0) : x;
    return x.is_constant() ? x * mask : Symbol::make(Code::gate, mask, x);
}
inline Symbol select(SymbolMask m, Symbol x, Symbol y) { return gate(m.mask, x) + gate(Symbol(1.0) - m.mask, y); }

#define KILOGRAD_UNARY(name) \
    inline Symbol name(Symbol a) { return Symbol::make(Code::name, a); }
#include "../../unary_functions.def"
#undef KILOGRAD_UNARY
inline Symbol logistic(Symbol a) { return sigmoid(a); }
#define KILOGRAD_BINARY(name) \
    inline Symbol name(Symbol a, Symbol b) { return Symbol::make(Code::name, a, b); }
KILOGRAD_BINARY_FUNCTIONS(KILOGRAD_BINARY)
#undef KILOGRAD_BINARY
#define KILOGRAD_OF_ORDER(name) \
    inline Symbol name(Symbol a, Symbol order) { return Symbol::make(Code::name, a, Symbol(), order.constant()); }
KILOGRAD_FUNCTIONS_OF_ORDERS(KILOGRAD_OF_ORDER)
#undef KILOGRAD_OF_ORDER
inline Symbol whole_power(Symbol a, Symbol exponent) {
    return Symbol::make(Code::powc, a, Symbol(), exponent.constant());
}

}  // namespace kilograd::program
