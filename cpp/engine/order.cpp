#include "order.hpp"

#include <algorithm>
#include <array>

#include "../portable.hpp"
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

// Whether a sum is one of a weighted sum, as authors add it up: its product stands just below, is asked after what was
// before, and is nobody else's.
template <bool LastFirst>
bool is_link(const Node* sum) {
    const Node* const product = sum - 1;
    return sum->op == Op::add && (LastFirst ? sum->a : sum->b) == product && product->op == Op::mul &&
           product->refs == 1 && sum->a != sum->b;
}

template <bool LastFirst>
class Search {
    using Run = TopologicalOrder::Run;

    // A node whose operands are being asked, how many have been; or of a weighted sum the last of `pairs` sums, what
    // was before the first of them counting as one.
    struct Frame {
        Node* node;
        std::uint32_t asked, pairs;
    };

  public:
    explicit Search(std::vector<Run>& found) : found_(found) {}
    Search(const Search&) = delete;
    Search& operator=(const Search&) = delete;
    ~Search() {  // empty, but where there was no memory
        for (Frame& frame : stack_) unmark(frame.node);
    }

    void from(Node* root) {
        reach(root);
        while (!stack_.empty()) {
            Frame& frame = stack_.back();
            if (!(frame.pairs ? ask_pairs(frame) : frame.node->has_fan() ? ask_fan(frame) : ask_two(frame))) continue;
            stack_.pop_back();
        }
    }

  private:
    static Node* first(const Node* node) { return LastFirst && node->b ? node->b : node->a; }
    static Node* second(const Node* node) { return LastFirst && node->b ? node->a : node->b; }

    // The nodes of a training step that are found next stand above: asking for them takes a search of 66,000 nodes from
    // 10 ns a node to 7.
    void leave(Run run) {
        prefetch(run.begin + 96);
        found_.push_back(run);
    }

    // These leave what the frame stands for, or are false with an operand on the stack.
    bool ask_two(Frame& frame) {
        Node* const node = frame.node;
        if (frame.asked == 0) {
            frame.asked = 1;
            if (!reach(first(node))) return false;
            stack_.back().asked = 2;
            if (node->b && !reach(second(node))) return false;
        } else if (frame.asked == 1) {
            frame.asked = 2;
            if (node->b && !reach(second(node))) return false;
        }
        leave({node, 0, 1});
        return true;
    }

    bool ask_fan(Frame& frame) {
        Node* const node = frame.node;
        const Fan& fan = *node->fan;
        while (frame.asked < fan.count) {
            const std::uint32_t i = frame.asked++;
            if (!reach(fan.begin()[LastFirst ? fan.count - 1 - i : i].operand)) return false;
        }
        leave({node, 0, 1});
        return true;
    }

    bool ask_pairs(Frame& frame) {
        const std::uint32_t pairs = frame.pairs;
        Node* const bottom = frame.node - 2 * std::size_t{pairs} + 1;  // the first product
        if (frame.asked == 0) {
            frame.asked = 1;
            if (!reach(first(bottom + 1))) return false;
        }
        std::uint32_t begin = stack_.back().asked - 1;
        for (std::uint32_t i = begin; i < pairs; ++i) {
            Node* const product = bottom + 2 * std::size_t{i};
            if (product->a->has(Marked) && product->b->has(Marked)) continue;
            if (i != begin) leave({bottom + 2 * std::size_t{begin}, i - begin, 0});
            begin = i;
            stack_.back().asked = i + 1;
            if (!reach(first(product)) || !reach(second(product))) return false;
        }
        leave({bottom + 2 * std::size_t{begin}, pairs - begin, 0});
        return true;
    }

    // True where the node is a leaf or has been left, now if need be.
    bool reach(Node* node) {
        if (node->has(Marked)) return true;
        std::uint32_t pairs = 0;
        if (is_link<LastFirst>(node)) {
            pairs = 1;
            for (Node* sum = node; first(sum) == sum - 2 && sum[-2].refs == 1 && is_link<LastFirst>(sum - 2); sum -= 2)
                ++pairs;
        } else if (!node->has_fan() && node->a->has(Marked) && (!node->b || node->b->has(Marked))) {
            leave({node, 0, 1});
            node->flags |= Marked;
            return true;
        }
        stack_.push_back({node, 0, pairs});
        node->flags |= Marked;
        return false;
    }

    std::vector<Run>& found_;
    std::vector<Frame> stack_;
};

}  // namespace

void find_postorder(Node* root, Order order, std::vector<TopologicalOrder::Run>& found) {
    try {
        order == Order::LastOperand ? Search<true>(found).from(root) : Search<false>(found).from(root);
    } catch (...) {
        for (auto& run : found) unmark(run.end() - 1);
        throw;
    }
}

std::vector<Node*> depth_first(Node* root, Order order) {
    std::vector<TopologicalOrder::Run> found;
    find_postorder(root, order, found);
    std::vector<Node*> nodes;
    for (auto& run : found) unmark(run.end() - 1);
    for (auto run = found.rbegin(); run != found.rend(); ++run)
        for (Node* node = run->end(); node != run->begin;) nodes.push_back(--node);
    return nodes;
}

namespace {

using Entry = KeptOrders::Entry;

Entry* find(const Node* root) {
    if (root->refs.has(References::Replayed))
        for (Entry& entry : arena().orders.entries)
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
        if (((*node)->op == Op::linear || (*node)->is_fixed()) && !order->fixed) order->fixed = *node;
    }
    // An entry whose root died keeps its address, which another node may have now: a root has one entry.
    auto& [entries, next] = arena().orders;
    auto entry = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.root == root; });
    if (entry == entries.end()) {
        entry = entries.begin() + static_cast<std::ptrdiff_t>(next);
        next = (next + 1) % entries.size();
    }
    *entry = Entry{root, order};
    root->refs.set(References::Replayed, true);
    return order;
}

}  // namespace kilograd
