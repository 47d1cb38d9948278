// Builds graphs as Python's operators would, node by node, in one call from Python.
//
// Idiom: a Term is a number or a node, a Builder combines terms. The structure is the operators': `-a` is `a * -1`, a
// number beside a node becomes a leaf, a number beside a number stays one. A refused operation throws Refused; the
// terms, which own what they hold, then take back all that was built.
// Nodes get no handle, except on top of an operand that carries state of the cyclic collector: there the host
// supplies one, through `bind_operands_of`, and the term owns the handle.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "../engine/graph.hpp"

namespace kilograd::nn {

struct Refused {  // thrown: the engine's fault and its operands
    Fault fault;
    Op op;
    double a, b, c;
};
struct HostFailed {};  // thrown: the host has set its own error

// Bonds a new node to operands that carry state. Where that needs a handle it is stored, and owns the caller's
// reference to the node. False where the host failed; then the reference is gone. Where it throws, nothing has changed.
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
        if (node_ && (!handle_ || hooks.release_handle(handle_))) release(node_);
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

    // start + w[0] * x[0] + w[1] * x[1] + ..., added up from the left.
    Term weighted_sum(Term start, std::span<Node* const> w, const std::vector<Term>& x) const {
        for (std::size_t i = 0; i < w.size(); ++i) start = add(start, mul(Term::share(w[i]), x[i]));
        return start;
    }

    // A neuron of plain weights and inputs, the same nodes in one go: the bias first or last, then `activation`
    // (Op::leaf: none). Plain are numbers, and nodes that carry no state; the data of plain weights are floats.
    // `dialect` is that over all of the operands: who calls has looked at them.
    struct Activation {
        Op op = Op::leaf;
        double constant = 0.0;
    };
    Term plain_neuron(std::span<Node* const> w, const std::vector<Term>& x, Node* bias, bool bias_first,
                      Activation activation, std::uint8_t dialect) const;
    static bool is_plain(const Node* node) { return !node->has(Stateful | Tracked); }
    bool is_recording() const { return recording_; }

  private:
    template <Op op>
    Term commutative(const Term& a, const Term& b) const;
    Term build(Op op, Node* a, Node* b, double c, Kind constant) const;
    Term finish(Op op, double y, Kind kind, Node* a, Node* b, double c, Kind constant) const;

    bool recording_;
};

}  // namespace kilograd::nn
