#include "order.hpp"

#include <algorithm>
#include <array>

#include "sweep.hpp"

namespace kilograd {

namespace {

// Nodes in order of discovery, each once: what was seen is flagged as long as this lives.
class SeenOnce {
  public:
    explicit SeenOnce(std::vector<Node*>& nodes) : nodes_(nodes) {}
    SeenOnce(const SeenOnce&) = delete;
    SeenOnce& operator=(const SeenOnce&) = delete;
    ~SeenOnce() {
        for (Node* node : nodes_) node->flags &= static_cast<std::uint8_t>(~Seen);
    }
    void add(Node* node) {
        if (node->has(Seen)) return;
        nodes_.push_back(node);
        node->flags |= Seen;
    }

  private:
    std::vector<Node*>& nodes_;
};

void find_ancestors(Node* const* roots, std::size_t count, const Stop& stop, Ancestry& found) {
    SeenOnce leaves(found.leaves), outside(found.outside);
    Sweep sweep;
    auto reach = [&](Node* node) {
        if (node->is_leaf()) {
            leaves.add(node);
        } else {
            sweep.mark(node);
        }
    };
    for (std::size_t i = 0; i < count; ++i) reach(roots[i]);
    bool single = count == 1 && !roots[0]->is_leaf();
    sweep.run(single ? roots[0] : nullptr, [&](Node* node) {
        found.interior.push_back(node);
        for_each_operand(node, [&](Node* operand) {
            if (stop && !operand->is_leaf() && stop(operand)) {
                outside.add(operand);
            } else {
                reach(operand);
            }
        });
    });
}

}  // namespace

Ancestry ancestors(Node* const* roots, std::size_t count, const Stop& stop) {
    Ancestry found;
    find_ancestors(roots, count, stop, found);
    return found;
}

namespace {

// A few, so that a training and a validation loss can take turns.
constexpr std::size_t kept = 4;
struct Entry {
    Node* root = nullptr;
    std::shared_ptr<const TopologicalOrder> order;
};
std::array<Entry, kept> entries;
std::size_t next_entry = 0;

Entry* find(const Node* root) {
    if (root->refs.has(References::Replayed))
        for (Entry& entry : entries)
            if (entry.root == root) return &entry;
    return nullptr;
}

// Adds a node, which stands above all that were added before.
void append(std::vector<TopologicalOrder::Run>& runs, Node* node) {
    constexpr std::uint32_t most = 1u << 30;
    TopologicalOrder::Run* last = runs.empty() ? nullptr : &runs.back();
    if (!last || last->end() != node || last->singles == most) {
        runs.push_back({node, 0, 1});
        return;
    }
    Node* const product = node - 1;
    Node* const before = node->op == Op::add ? other_term(node, product) : nullptr;
    const bool is_pair = last->singles > 0 && product->op == Op::mul && before && before != product &&
                         (node->a == product || node->b == product);
    if (!is_pair) {
        ++last->singles;
        return;
    }
    auto inside = [&](const Node* operand) { return operand >= last->begin && operand < product; };
    if (last->singles == 1 && last->pairs > 0 && last->pairs < most && before == product - 1 && !inside(product->a) &&
        !inside(product->b)) {
        ++last->pairs;
        last->singles = 0;
        return;
    }
    if (--last->singles == 0 && last->pairs == 0) runs.pop_back();
    runs.push_back({product, 1, 0});
}

}  // namespace

const TopologicalOrder* kept_order(const Node* root) {
    Entry* entry = find(root);
    return entry ? entry->order.get() : nullptr;
}

std::shared_ptr<const TopologicalOrder> keep_order(Node* root) {
    if (Entry* known = find(root)) return known->order;
    auto order = std::make_shared<TopologicalOrder>();
    std::vector<Node*> interior = ancestors(root).interior;
    for (auto node = interior.rbegin(); node != interior.rend(); ++node) {
        append(order->runs, *node);
        ++order->count;
        order->custom |= (*node)->op == Op::custom;
        order->fallible |= !is_total(info((*node)->op));
        if ((*node)->op == Op::linear && !order->fixed) order->fixed = *node;
    }
    // An entry whose root died keeps its address, which another node may have now: a root has one entry.
    auto entry = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.root == root; });
    if (entry == entries.end()) {
        entry = entries.begin() + static_cast<std::ptrdiff_t>(next_entry);
        next_entry = (next_entry + 1) % kept;
    }
    *entry = Entry{root, order};
    root->refs.set(References::Replayed, true);
    return order;
}

}  // namespace kilograd
