#include "branches.hpp"

namespace kilograd::program {

namespace {

// A branch is named by its gate. Branches are nested: each is inside the one that its gate belongs to; `none` is the
// whole program.
class Borders {
  public:
    Borders(const Simplifier& from, std::vector<std::uint32_t>& outputs)
        : nodes_(from.nodes), outputs_(outputs), to_(from.nodes.size()) {}

    Simplifier run() {
        find_branches();
        number_.assign(nodes_.size(), none);
        for (std::uint32_t& output : outputs_) {
            copy(output);
            output = number_[output];
        }
        return std::move(to_);
    }

  private:
    bool is_binary(std::uint32_t n) const { return info(nodes_[n].code).arity == Arity::Binary; }

    // The branch of every node is the innermost one that holds all its uses.
    void find_branches() {
        const std::size_t size = nodes_.size();
        branch_.assign(size, none);
        depth_.assign(size, 0);
        risky_.assign(size, 0);
        std::vector<std::uint8_t> used(size, 0);
        for (std::uint32_t n : outputs_) used[n] = 1;
        const auto use = [&](std::uint32_t n, std::uint32_t branch) {
            if (is_leaf(nodes_[n].code)) return;  // in no branch: its gradient is wanted
            branch_[n] = used[n] ? common(branch_[n], branch) : branch;
            used[n] = 1;
        };
        for (std::uint32_t n = static_cast<std::uint32_t>(size); n-- > 0;) {
            if (!used[n] || is_leaf(nodes_[n].code)) continue;
            const std::uint32_t here = branch_[n];
            depth_[n] = here == none ? 1 : depth_[here] + 1;
            if (here != none && !has_bounded_derivatives(nodes_[n].code)) risky_[here] = 1;
            use(nodes_[n].a, here);
            if (is_binary(n)) use(nodes_[n].b, nodes_[n].code == Code::gate ? n : here);
        }
        // Inside a branch that is not chosen another may be, and lets a NaN out.
        for (std::uint32_t n = 0; n < size; ++n)
            if (risky_[n] && branch_[n] != none) risky_[branch_[n]] = 1;
    }

    std::size_t depth(std::uint32_t branch) const { return branch == none ? 0 : depth_[branch]; }
    std::uint32_t common(std::uint32_t a, std::uint32_t b) const {
        while (a != b) (depth(a) >= depth(b) ? a : b) = branch_[depth(a) >= depth(b) ? a : b];
        return a;
    }

    // Calls f(gate) for the borders between a node and its use in a branch, the innermost first.
    template <class F>
    void for_borders(std::uint32_t use, std::uint32_t operand, F&& f) const {
        if (branch_[operand] == use) return;  // from the branch into its gate
        for (std::uint32_t branch = branch_[use]; branch != branch_[operand]; branch = branch_[branch])
            if (risky_[branch]) f(branch);
    }

    void copy(std::uint32_t root) {
        stack_.assign(1, root);
        while (!stack_.empty()) {
            const std::uint32_t n = stack_.back();
            if (number_[n] != none) {
                stack_.pop_back();
                continue;
            }
            const Node& node = nodes_[n];
            const std::size_t before = stack_.size();
            const auto need = [&](std::uint32_t other) {
                if (number_[other] == none) stack_.push_back(other);
            };
            const bool binary = is_binary(n);
            if (!is_leaf(node.code)) {
                need(node.a);
                for_borders(n, node.a, [&](std::uint32_t gate) { need(nodes_[gate].a); });
                if (binary) need(node.b);
                if (binary) for_borders(n, node.b, [&](std::uint32_t gate) { need(nodes_[gate].a); });
            }
            if (stack_.size() != before) continue;
            stack_.pop_back();
            if (node.code == Code::constant)
                number_[n] = to_.constant(node.c);
            else if (is_leaf(node.code))
                number_[n] = to_.leaf(node.code, node.a);
            else
                number_[n] = to_.make(node.code, entered(n, node.a), binary ? entered(n, node.b) : 0, node.c);
        }
    }

    // The operand as its use sees it.
    std::uint32_t entered(std::uint32_t use, std::uint32_t operand) {
        std::uint32_t number = number_[operand];
        if (nodes_[operand].code == Code::constant) return number;
        gates_.clear();
        for_borders(use, operand, [&](std::uint32_t gate) { gates_.push_back(gate); });
        for (; !gates_.empty(); gates_.pop_back())
            number = to_.make(Code::enter, number_[nodes_[gates_.back()].a], number, 0.0);
        return number;
    }

    const std::vector<Node>& nodes_;
    std::vector<std::uint32_t>& outputs_;
    Simplifier to_;
    std::vector<std::uint32_t> branch_, depth_, number_, stack_, gates_;
    std::vector<std::uint8_t> risky_;
};

}  // namespace

Simplifier enter_branches(const Simplifier& from, std::vector<std::uint32_t>& outputs) {
    return Borders(from, outputs).run();
}

}  // namespace kilograd::program
