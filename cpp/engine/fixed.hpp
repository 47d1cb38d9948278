// Nodes whose local gradients are those of the moment they were made (References::Fixed), and need no fan for them.
//
// Of a sum they are the floats 1.0, of an op of one operand the number in `constant` (its kind is kinds.constant). Of a
// product they are the operands' data: it is read when gradients flow, and whoever overwrites data of a node calls
// before_write() first. Leaves that are overwritten one after the other, as parameters are, keep what they had until
// anything is made of them or differentiated; settle() then gives a fan to the living products that were made before,
// each of them once at most. Most have died by then: a step of training ends with its graph.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "graph.hpp"

namespace kilograd {

class OverwrittenData {
  public:
    // To be called before the data of a node changes, where a product with fixed local gradients may read it.
    void before_write(Node* node) {
        if (node->refs > 1) note(node);
    }

    // From here on every fixed product finds its local gradients in its operands' data, until the next write.
    void settle() {
        if (!saved_.empty()) [[unlikely]]
            give_fans();
    }

  private:
    struct Data {
        double value;
        std::uint8_t kind;
    };

    void note(Node* node);
    void give_fans();
    // The data of a leaf before it was overwritten, or null.
    const Data* saved(const Node* node) const {
        const std::uint64_t at =
            node->is_leaf() ? std::bit_cast<std::uint64_t>(node->constant) - first_ : saved_.size();
        return at < saved_.size() ? &saved_[at] : nullptr;
    }

    // A leaf has its number among `saved_` in its constant, counted over all that were ever saved: older ones are void.
    std::vector<Data> saved_;
    std::uint64_t first_ = 1;
    std::size_t written_ = 0;  // the place of the tape at which the leaves were overwritten
    std::size_t settled_ = 0;  // before this place, every fixed product has a fan
};

extern OverwrittenData overwritten;

// Turns a fixed node into a `linear` one, which is the same and can be given other local gradients.
void give_fan(Node* node);

}  // namespace kilograd
