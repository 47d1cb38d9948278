// Builds graphs as Python's operators would, node by node, in one call from Python.
//
// Idiom: a Term is a number or a node, a Builder combines terms. The structure is the operators': `-a` is `a * -1`, a
// number beside a node becomes a leaf, a number beside a number stays one. A refused operation throws Refused; the
// terms, which own what they hold, then take back all that was built.
// Nodes get no handle, except on top of an operand that carries state of the cyclic collector: there the host
// supplies one, through `bind_operands_of`, and the term owns the handle.
#pragma once

#include <cstddef>
#include <utility>

#include "../engine/graph.hpp"

namespace kilograd::nn {

struct Refused {  // thrown: the engine's fault and its operands
    Fault fault;
    Op op;
    double a, b, c;
};
struct HostFailed {};  // thrown: the host has set its own error

// Bonds a new node to operands that carry state. Where that needs a handle it is stored, and owns the caller's
// reference to the node. False where the host failed; then the reference is gone.
extern bool (*bind_operands_of)(Node* node, void*& handle);

class Term {
  public:
    Term(double value, Kind kind) : value_(value), kind_(kind) {}
    static Term own(Node* node, void* handle = nullptr) { return Term(node, handle); }
    static Term share(Node* node) {
        ++node->refs;
        return Term(node, nullptr);
    }
    Term(Term&& other) noexcept
        : node_(std::exchange(other.node_, nullptr)),
          handle_(other.handle_),
          value_(other.value_),
          kind_(other.kind_) {}
    Term& operator=(Term&& other) noexcept {
        std::swap(node_, other.node_);
        std::swap(handle_, other.handle_);
        value_ = other.value_;
        kind_ = other.kind_;
        return *this;
    }
    ~Term() {
        if (!node_) return;
        if (handle_) {
            hooks.release_handle(handle_);
        } else {
            release(node_);
        }
    }

    bool is_number() const { return !node_; }
    Node* node() const { return node_; }
    double data() const { return node_ ? node_->data : value_; }
    Kind kind() const { return node_ ? static_cast<Kind>(node_->kinds.data) : kind_; }
    Term again() const { return node_ ? share(node_) : Term(value_, kind_); }  // the same, for one more use

    // The handle that the term owns, or null; gives up the node, whose reference the caller then owns.
    std::pair<Node*, void*> leave() { return {std::exchange(node_, nullptr), handle_}; }

  private:
    Term(Node* node, void* handle) : node_(node), handle_(handle) {}

    Node* node_ = nullptr;
    void* handle_ = nullptr;
    double value_ = 0.0;
    Kind kind_ = FloatKind;
};

class Builder {
  public:
    explicit Builder(bool recording) : recording_(recording) {}  // without recording, every result is a leaf

    Term add(const Term& a, const Term& b) const { return commutative<Op::add>(a, b); }
    Term mul(const Term& a, const Term& b) const { return commutative<Op::mul>(a, b); }
    Term negate(const Term& a) const;
    Term subtract(const Term& a, const Term& b) const;
    Term power(const Term& a, double exponent, Kind kind) const { return apply(Op::powc, a, exponent, kind); }
    Term apply(Op op, const Term& a, double c = 0.0, Kind constant = FloatKind) const;  // ops of one operand
    Term apply(Op op, const Term& a, const Term& b) const;                              // maximum, logaddexp, ...
    Term leaf(const Term& number, const Node* like) const;

    // start + w[0] * x[0] + w[1] * x[1] + ..., added up from the left. weight(i) is a node, input(i) a const Term&.
    template <class Weight, class Input>
    Term weighted_sum(Term start, std::size_t count, Weight&& weight, Input&& input) const {
        for (std::size_t i = 0; i < count;) {
            i = extend(start, i, count, weight, input);
            if (i == count) break;
            start = add(start, mul(Term::share(weight(i)), input(i)));
            ++i;
        }
        return start;
    }

  private:
    // The stretch of a weighted sum in which nothing is out of the ordinary, so that all results are floats and each
    // node takes over the reference to the one before; where it ends is returned.
    template <class Weight, class Input>
    std::size_t extend(Term& start, std::size_t i, std::size_t count, Weight&& weight, Input&& input) const {
        if (!recording_ || i == count) return i;
        constexpr std::uint8_t unusual = Stateful | Tainted;
        auto leaf_for = [](const Term& number, const Node* like) {
            return new_leaf(number.data(), number.kind(), like->family, like->flags & ExactInts);
        };
        Node* sum = start.node();
        if (sum) {
            if (sum->has(unusual)) return i;
            start.leave();
        }
        for (; i < count; ++i) {
            Node* w = weight(i);
            const Term& x = input(i);
            Node* factor = x.node();
            if (((w->flags | (factor ? factor->flags : 0)) & unusual) || (w->kinds.data & IntKind)) [[unlikely]]
                break;
            if (!factor) factor = leaf_for(x, w);
            Node* product = record(Op::mul, w->data * factor->data, FloatKind, w, factor, 0.0, FloatKind, w);
            if (!x.node()) --factor->refs;
            if (sum) [[likely]] {
                Node* longer = record(Op::add, sum->data + product->data, FloatKind, sum, product, 0.0, FloatKind, sum);
                --sum->refs;
                --product->refs;
                sum = longer;
            } else {  // a number to begin with becomes the second operand
                Node* number = leaf_for(start, w);
                sum =
                    record(Op::add, product->data + number->data, FloatKind, product, number, 0.0, FloatKind, product);
                --product->refs;
                --number->refs;
            }
        }
        if (sum) start = Term::own(sum);
        return i;
    }

    template <Op op>
    Term commutative(const Term& a, const Term& b) const;
    Term build(Op op, Node* a, Node* b, double c, Kind constant) const;
    Term finish(Op op, double y, Kind kind, Node* a, Node* b, double c, Kind constant) const;

    bool recording_;
};

}  // namespace kilograd::nn
