#include "fixed.hpp"

namespace kilograd {

OverwrittenData overwritten;

namespace {

void become_linear(Node* node, Fan::Edge first, Fan::Edge second) {
    Fan* fan = new_fan(node->b ? 2 : 1);
    fan->tag = static_cast<std::uint32_t>(node->op);
    fan->begin()[0] = first;
    if (node->b) fan->begin()[1] = second;
    node->op = Op::linear;
    node->refs.set(References::Fixed, false);
    node->kinds.constant = FloatKind;
    node->a = node->b = nullptr;
    node->fan = fan;
}

}  // namespace

void give_fan(Node* node) {
    if (!node->is_fixed()) return;
    Node *const a = node->a, *const b = node->b;
    if (node->op == Op::mul) {
        overwritten.settle();  // which may have given it one
        if (node->is_fixed()) become_linear(node, {a, b->data, b->kinds.data}, {b, a->data, a->kinds.data});
    } else if (node->op == Op::add) {
        become_linear(node, {a, 1.0, FloatKind}, {b, 1.0, FloatKind});
    } else {
        become_linear(node, {a, node->constant, node->kinds.constant}, {});
    }
}

void OverwrittenData::note(Node* node) {
    const std::size_t now = arena().place();
    if (now != written_) {
        settle();
        written_ = now;
    }
    if (!node->is_leaf()) {  // it has no room for what it had
        give_fans();
        return;
    }
    if (saved(node)) return;
    saved_.push_back({node->data, node->kinds.data});
    node->constant = std::bit_cast<double>(first_ + saved_.size() - 1);
}

void OverwrittenData::give_fans() {
    const auto data_of = [this](const Node* operand) {
        const Data* old = saved(operand);
        return old ? *old : Data{operand->data, operand->kinds.data};
    };
    arena().for_each_node_between(settled_, written_, [&](Node* node) {
        if (node->op != Op::mul || !node->is_fixed()) return;
        const Data a = data_of(node->a), b = data_of(node->b);
        become_linear(node, {node->a, b.value, b.kind}, {node->b, a.value, a.kind});
    });
    settled_ = written_;
    first_ += saved_.size();
    saved_.clear();
}

}  // namespace kilograd
