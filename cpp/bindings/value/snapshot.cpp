#include "snapshot.hpp"

#include <algorithm>

#include "../../engine/fixed.hpp"
#include "../../engine/order.hpp"

namespace kilograd {

// The living snapshots that hold nodes of a chunk.
static std::unordered_map<const Chunk*, std::vector<Snapshot*>> published;
static Door snapshot_door;  // to it; what it has for a chunk belongs to the arena

Snapshot::~Snapshot() {
    [[maybe_unused]] const Section section = enter();
    brought();
    for (Node* node : interior) node->flags &= static_cast<std::uint8_t>(~InSnapshot);
    for (auto& [chunk, range] : ranges_) {
        const Alone alone(snapshot_door);
        auto found = published.find(chunk);
        if (found == published.end()) continue;  // it had no memory to be published
        std::erase(found->second, this);
        if (found->second.empty()) published.erase(found);
    }
    for (std::vector<Node*>* nodes : {&interior, &leaves, &externals})
        for (auto node = nodes->rbegin(); node != nodes->rend(); ++node) release(*node);
    release_pending();
}

void Snapshot::publish() {
    for (std::size_t i = 0; i < interior.size(); ++i) {
        interior[i]->flags |= InSnapshot;
        auto [range, fresh] = ranges_.try_emplace(Chunk::of(interior[i]), i, i + 1);
        if (!fresh) {
            range->second.second = i + 1;
        } else {
            const Alone alone(snapshot_door);
            published[range->first].push_back(this);
        }
    }
}

std::size_t Snapshot::place_of(const Node* node) const {
    auto [begin, end] = ranges_.at(Chunk::of(node));
    auto first = interior.begin() + static_cast<std::ptrdiff_t>(begin);
    auto last = interior.begin() + static_cast<std::ptrdiff_t>(end);
    auto at = std::lower_bound(first, last, node);
    if (at == last || *at != node) return absent;
    return first_interior() + static_cast<std::size_t>(at - interior.begin());
}

Snapshot* Snapshot::find(Node* node, std::size_t* place) {
    if (!node->has(InSnapshot)) return nullptr;
    const std::vector<Snapshot*>& known = [&]() -> const std::vector<Snapshot*>& {
        const Alone alone(snapshot_door);
        return published.find(Chunk::of(node))->second;
    }();
    // The newest first: a list of all values of a chain is pickled as one snapshot for each.
    for (auto newest = known.rbegin(); newest != known.rend(); ++newest) {
        const std::size_t at = (*newest)->place_of(node);
        if (at == absent) continue;
        if (place) *place = at;
        return *newest;
    }
    return nullptr;
}

std::unique_ptr<Snapshot> Snapshot::of(Node* root) {
    auto snapshot = std::make_unique<Snapshot>();
    Ancestry found = ancestors(&root, 1, [](Node* node) { return find(node, nullptr) != nullptr; });
    for (Node* node : found.outside) snapshot->hold(snapshot->externals, node);
    // Without the references that its own nodes hold, a leaf is known to others or it is not.
    auto each_edge_to_leaf = [&](auto&& fn) {
        for (Node* node : found.interior)
            for_each_operand(node, [&](Node* operand) { operand->is_leaf() ? fn(operand) : void(); });
    };
    for (std::vector<Node*>* where : {&snapshot->externals, &snapshot->leaves})
        where->reserve(where->size() + found.leaves.size());  // nothing fails in between
    each_edge_to_leaf([](Node* leaf) { --leaf->refs; });
    for (Node* leaf : found.leaves)
        snapshot->hold(leaf->handle || leaf->refs > 0 ? snapshot->externals : snapshot->leaves, leaf);
    each_edge_to_leaf([](Node* leaf) { ++leaf->refs; });
    for (auto node = found.interior.rbegin(); node != found.interior.rend(); ++node) {
        give_fan(*node);
        snapshot->hold(snapshot->interior, *node);
    }
    snapshot->publish();
    return snapshot;
}

}  // namespace kilograd
