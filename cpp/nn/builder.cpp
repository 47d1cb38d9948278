#include "builder.hpp"

namespace kilograd::nn {

bool (*bind_operands_of)(Node* node, void*& handle) = nullptr;

Term Builder::leaf(const Term& number, const Node* like) const {
    return Term::own(new_leaf(number.data(), number.kind(), like->family, like->flags & ExactInts));
}

Term Builder::finish(Op op, double y, Kind kind, Node* a, Node* b, double c, Kind constant) const {
    if (!recording_) return Term::own(new_leaf(y, kind, a->family, a->flags & ExactInts));
    if (!((a->flags | (b ? b->flags : 0)) & (Stateful | Tracked))) [[likely]]
        return Term::own(record(op, y, kind, a, b, c, constant, a));
    Held node(record(op, y, kind, a, b, c, constant, a));
    void* handle = nullptr;
    if (!bind_operands_of(node.get(), handle)) {
        node.leave();
        throw HostFailed{};
    }
    return Term::own(node.leave(), handle);
}

Term Builder::build(Op op, Node* a, Node* b, double c, Kind constant) const {
    Fault fault;
    double second = b ? b->data : 0.0;
    double y = evaluate(op, a->data, second, c, fault);
    if (fault != Fault::None) throw Refused{fault, op, a->data, second, c};
    Kind kind = kind_of_result(op, y, a, b, c, constant);
    return finish(op, y, kind, a, b, c, constant);
}

// Sum and product: nothing to refuse. A number beside a node is its second operand, on whichever side it stood.
template <Op op>
Term Builder::commutative(const Term& a, const Term& b) const {
    double y = Row<op>::value(a.data(), b.data(), 0.0);
    Kind kind = (a.kind() & b.kind() & IntKind) && is_exact<op>(a.data(), b.data(), y) ? IntKind : FloatKind;
    if (kind == IntKind) y += 0.0;  // an int has no negative zero
    if (!a.is_number() && !b.is_number()) return finish(op, y, kind, a.node(), b.node(), 0.0, FloatKind);
    if (a.is_number() && b.is_number()) return Term(y, kind);
    const Term& node = a.is_number() ? b : a;
    Term other = leaf(a.is_number() ? a : b, node.node());
    return finish(op, y, kind, node.node(), other.node(), 0.0, FloatKind);
}
template Term Builder::commutative<Op::add>(const Term&, const Term&) const;
template Term Builder::commutative<Op::mul>(const Term&, const Term&) const;

Term Builder::negate(const Term& a) const {
    if (!a.is_number()) return mul(a, Term(-1.0, IntKind));
    if (a.kind() == FloatKind) return Term(-a.data(), FloatKind);
    return Term(0.0 - a.data(), IntKind);
}

Term Builder::subtract(const Term& a, const Term& b) const {
    if (a.is_number() && !b.is_number()) return add(negate(b), a);
    return add(a, negate(b));
}

Term Builder::apply(Op op, const Term& a, double c, Kind constant) const {
    if (!a.is_number()) return build(op, a.node(), nullptr, c, constant);
    Fault fault;
    double y = evaluate(op, a.data(), 0.0, c, fault);
    if (fault != Fault::None) throw Refused{fault, op, a.data(), 0.0, c};
    return Term(y, FloatKind);
}

Term Builder::apply(Op op, const Term& a, const Term& b) const {
    if (!a.is_number() && !b.is_number()) return build(op, a.node(), b.node(), 0.0, FloatKind);
    if (!a.is_number()) return build(op, a.node(), leaf(b, a.node()).node(), 0.0, FloatKind);
    if (!b.is_number()) return build(op, leaf(a, b.node()).node(), b.node(), 0.0, FloatKind);
    Fault fault;
    double y = evaluate(op, a.data(), b.data(), 0.0, fault);
    if (fault != Fault::None) throw Refused{fault, op, a.data(), b.data(), 0.0};
    return Term(y, FloatKind);
}

Term Builder::plain_neuron(std::span<Node* const> w, const std::vector<Term>& x, Node* bias, bool bias_first,
                           Activation activation, std::uint8_t dialect) const {
    arena().reserve(2 * w.size() + 2, w.size() + 1);  // so that nothing fails half-way
    // All results are floats, and each takes over the reference to the one before.
    const Tag product_tag = new_tag(Op::mul, FloatKind, FloatKind, bias, dialect);
    const Tag sum_tag = new_tag(Op::add, FloatKind, FloatKind, bias, dialect);
    const auto new_number = [bias](double data, Kind kind) {
        return new_leaf(data, kind, bias->family, bias->flags & ExactInts);
    };
    const auto share = [](Node* node) {
        ++node->refs;
        return node;
    };
    Node* sum = bias_first ? share(bias) : nullptr;
    for (std::size_t i = 0; i < w.size(); ++i) {
        Node* const factor = x[i].is_number() ? new_number(x[i].data(), x[i].kind()) : share(x[i].node());
        Node* const product = adopt(product_tag, w[i]->data * factor->data, share(w[i]), factor);
        if (sum) [[likely]] {
            sum = adopt(sum_tag, sum->data + product->data, sum, product);
        } else {  // sum() begins with the number 0, which becomes the second operand
            sum = adopt(sum_tag, product->data + 0.0, product, new_number(0.0, IntKind));
        }
    }
    if (!bias_first) sum = adopt(sum_tag, sum->data + bias->data, sum, share(bias));
    if (activation.op == Op::leaf) return Term::own(sum);
    Fault fault;
    double y = evaluate(activation.op, sum->data, 0.0, activation.constant, fault);
    if (fault != Fault::None) {
        const Refused refused{fault, activation.op, sum->data, 0.0, activation.constant};
        release(sum);
        throw refused;
    }
    const Kind kind = kind_of_result(activation.op, y, sum, nullptr, activation.constant, FloatKind);
    const Tag tag = new_tag(activation.op, kind, FloatKind, bias, dialect);
    return Term::own(adopt(tag, y, sum, nullptr, activation.constant));
}

}  // namespace kilograd::nn
