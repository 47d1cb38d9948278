// The order of what a root reaches: found by a sweep, or kept.
//
// A node's operands never change, so what a root reaches stays the same for as long as the root lives. The topological
// order of a root that is replayed is found once and kept as runs of neighbouring places on the tape: walking them in
// either direction needs no marks. A run begins with the multiply-add pairs of a weighted sum, where there is one: a
// neuron is mostly that, and its running sum and that sum's gradient stay in a register. Kept orders cannot go stale:
// they belong to roots that are marked with References::Replayed, which dies with the node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "graph.hpp"

namespace kilograd {

// Everything that a root reaches: interior nodes from the root down the tape, then leaves in order of discovery.
struct Ancestry {
    std::vector<Node*> interior;
    std::vector<Node*> leaves;
    std::vector<Node*> outside;  // interior nodes at which the caller stopped the search
};
// `stop(node)` is asked of each interior node below the roots; where it says true the search does not enter.
using Stop = std::function<bool(Node* node)>;
Ancestry ancestors(Node* const* roots, std::size_t count, const Stop& stop = {});
inline Ancestry ancestors(Node* root) { return ancestors(&root, 1); }

struct TopologicalOrder {
    // First `pairs` times a product and the sum that adds it to what was before: p0 = x0*y0, s0 = s + p0, p1 = x1*y1,
    // s1 = s0 + p1 ... where no factor is one of these nodes. Then `singles` nodes of any kind.
    struct Run {
        Node* begin;
        std::uint32_t pairs = 0, singles = 0;
        Node* after_pairs() const { return begin + 2 * std::size_t{pairs}; }
        Node* end() const { return after_pairs() + singles; }
    };
    std::vector<Run> runs;  // everything but leaves that the root reaches, oldest first
    std::size_t count = 0;
    Node* fixed = nullptr;  // a node among them whose local gradients cannot be recomputed
    bool custom = false;    // `custom` nodes are among them
    bool fallible = false;  // an operation among them can be refused
};

// The newest first; or the reverse of the order in which a recursive search leaves them, operands first to last or last
// to first.
enum class Order : std::uint8_t { Tape, FirstOperand, LastOperand };

// Everything but leaves that a root reaches, in the second or third of these orders: results first.
std::vector<Node*> depth_first(Node* root, Order order);

// Appends the same as runs, operands first. The last node of each is Marked: the caller's to clear.
void find_postorder(Node* root, Order order, std::vector<TopologicalOrder::Run>& found);
inline void unmark(Node* node) { node->flags &= static_cast<std::uint8_t>(~Marked); }

// The other operand of a sum with this product.
inline Node* other_term(const Node* sum, const Node* product) { return sum->a == product ? sum->b : sum->a; }

// The kept order of a root, or null. Valid while the root lives, or until the next call of keep_order().
const TopologicalOrder* kept_order(const Node* root);

// The order of a root, which is kept from now on.
std::shared_ptr<const TopologicalOrder> keep_order(Node* root);

}  // namespace kilograd
