// A snapshot: what pickles and deep copies see of a graph. Nodes in tape order, each at a numbered place.
//
// Places are numbered: externals, then hidden leaves, then interior nodes. A snapshot refers to each of its nodes, and
// is known to its interior ones while it lives, so that they are not taken twice.
#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "handle.hpp"

namespace kilograd {

class Snapshot {
  public:
    using boxed = void;
    PyObject* box = nullptr;

    Snapshot() = default;
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;
    ~Snapshot();

    static std::unique_ptr<Snapshot> of(Node* root);        // a new one, of what no living snapshot holds already
    static Snapshot* find(Node* node, std::size_t* place);  // the living one that holds this interior node

    void hold(std::vector<Node*>& where, Node* node) {
        where.push_back(node);
        ++node->refs;
    }
    Snapshot& brought() {  // the caller's arena has it from now on
        for (const std::vector<Node*>* nodes : {&interior, &leaves, &externals})
            if (!nodes->empty()) bring(nodes->front());
        return *this;
    }
    void publish();  // makes the interior nodes known to find()
    std::size_t first_interior() const { return externals.size() + leaves.size(); }
    static constexpr auto absent = static_cast<std::size_t>(-1);
    std::size_t place_of(const Node* node) const;  // of an interior node of a chunk that it knows; or absent

    std::vector<Node*> externals;  // leaves that others know, and nodes of other snapshots
    std::vector<Node*> leaves;     // leaves that these nodes alone refer to
    std::vector<Node*> interior;   // ascending in tape order, so ascending in address within a chunk

  private:
    std::unordered_map<const Chunk*, std::pair<std::size_t, std::size_t>> ranges_;  // of interior, by chunk
};

}  // namespace kilograd
