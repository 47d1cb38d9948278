// The nodes of a graph, numbered: to write it down as arrays.
//
// While a Numbering lives, the gradients of its nodes hold their numbers: a hash table takes three times as long as all
// the rest. So nothing may run Python or compute meanwhile; where the numbers are used nothing allocates objects.
#pragma once

#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "../engine/order.hpp"

namespace kilograd {

class Numbering {
  public:
    explicit Numbering(std::vector<Node*> nodes) : nodes_(std::move(nodes)) {
        grads_.reserve(nodes_.size());
        for (Node* node : nodes_) {
            const std::uint64_t number = grads_.size();
            grads_.push_back(node->grad);
            node->grad = std::bit_cast<double>(number);
        }
    }
    // Leaves, nodes at which the search was stopped, then the others in tape order.
    explicit Numbering(const Ancestry& graph) : Numbering(in_order(graph)) {}
    Numbering(const Numbering&) = delete;
    Numbering& operator=(const Numbering&) = delete;
    ~Numbering() {
        for (std::size_t k = nodes_.size(); k-- > 0;) nodes_[k]->grad = grads_[k];  // last first: one may occur twice
    }

    std::uint32_t operator[](const Node* node) const {
        return static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(node->grad));
    }
    double grad(const Node* node) const { return grads_[(*this)[node]]; }
    const std::vector<Node*>& nodes() const { return nodes_; }

  private:
    static std::vector<Node*> in_order(const Ancestry& graph) {
        std::vector<Node*> nodes;
        nodes.reserve(graph.interior.size() + graph.leaves.size() + graph.outside.size());
        nodes.insert(nodes.end(), graph.leaves.begin(), graph.leaves.end());
        nodes.insert(nodes.end(), graph.outside.begin(), graph.outside.end());
        nodes.insert(nodes.end(), graph.interior.rbegin(), graph.interior.rend());
        return nodes;
    }

    std::vector<Node*> nodes_;
    std::vector<double> grads_;
};

}  // namespace kilograd
