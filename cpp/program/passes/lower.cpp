#include "lower.hpp"

#include <algorithm>
#include <bit>

#include "../watch.hpp"

namespace kilograd::program {

namespace {

class Lowering {
  public:
    Lowering(std::vector<Node>& nodes, const std::vector<std::uint32_t>& outputs, Graph& graph)
        : nodes_(nodes), outputs_(outputs), graph_(graph) {}

    void run() {
        count_uses();
        make_quotients();
        // An add with one use, and that a sum, is part of that sum.
        inside_.assign(nodes_.size(), false);
        for (std::uint32_t n = 0; n < nodes_.size(); ++n) {
            pace_();
            if (!uses_[n] || !is_sum(n)) continue;
            absorb(nodes_[n].a);
            if (nodes_[n].code == Code::add) absorb(nodes_[n].b);
        }
        number_.assign(nodes_.size(), none);
        varying_.assign(nodes_.size(), false);
        graph_.nodes.reserve(nodes_.size());
        for (std::uint32_t n = 0; n < nodes_.size(); ++n) {
            pace_();
            if (uses_[n] && !inside_[n]) number_[n] = lower(n);
        }
        for (std::uint32_t n : outputs_) graph_.outputs.push_back(number_[n]);
    }

  private:
    bool is_product(std::uint32_t n) const { return nodes_[n].code == Code::mul || nodes_[n].code == Code::scale; }
    // Differences count where they begin with a product: one multiplication and subtraction in a kernel.
    bool is_sum(std::uint32_t n) const {
        const Node& node = nodes_[n];
        return node.code == Code::add || node.code == Code::offset ||
               (node.code == Code::sub && uses_[node.a] == 1 && is_product(node.a));
    }

    void absorb(std::uint32_t operand) {
        if (uses_[operand] == 1 && (is_sum(operand) || is_product(operand))) inside_[operand] = true;
    }

    void count_uses() {
        uses_.assign(nodes_.size(), 0);
        for (std::uint32_t n : outputs_) ++uses_[n];
        for (std::size_t n = nodes_.size(); n-- > 0; pace_())
            if (uses_[n]) graph_.for_operands(nodes_[n], [&](std::uint32_t operand) { ++uses_[operand]; });
    }

    // What a comparison or another jump depends on is computed as it was written, to the last bit.
    std::vector<bool> deciding() const {
        std::vector<bool> decides(nodes_.size());
        for (std::size_t n = nodes_.size(); n-- > 0;) {
            if (!uses_[n]) continue;
            if (!decides[n] && !jumps(nodes_[n].code)) continue;
            graph_.for_operands(nodes_[n], [&](std::uint32_t operand) { decides[operand] = true; });
        }
        return decides;
    }

    // A reciprocal that several products share stays: one division and cheap products.
    void make_quotients() {
        const auto lone_reciprocal = [&](std::uint32_t n) {
            return nodes_[n].code == Code::reciprocal && uses_[n] == 1;
        };
        const std::vector<bool> decides = deciding();
        for (std::uint32_t n = 0; n < nodes_.size(); ++n) {
            pace_();
            Node& node = nodes_[n];
            if (!uses_[n] || node.code != Code::mul || node.a == node.b || decides[n]) continue;
            if (!lone_reciprocal(node.b)) {
                if (!lone_reciprocal(node.a)) continue;
                std::swap(node.a, node.b);
            }
            uses_[node.b] = 0;
            node.b = nodes_[node.b].a;
            node.code = Code::div;
        }
    }

    std::uint32_t push(const Node& node, bool varying) {
        graph_.nodes.push_back(node);
        varying_out_.push_back(varying);
        return static_cast<std::uint32_t>(graph_.nodes.size() - 1);
    }

    std::uint32_t constant(double c) {
        const auto bits = std::bit_cast<std::uint64_t>(c);
        const auto found = std::find_if(constants_.begin(), constants_.end(), [&](auto& p) { return p.first == bits; });
        if (found != constants_.end()) return found->second;
        const std::uint32_t n = push({c, 0, 0, Code::constant}, false);
        if (constants_.size() < 64) constants_.emplace_back(bits, n);
        return n;
    }

    std::uint32_t lower(std::uint32_t n) {
        Node node = nodes_[n];
        if (node.code == Code::constant) return constant(node.c);
        if (is_leaf(node.code)) return push(node, node.code == Code::input);
        if (is_sum(n)) return lower_sum(n);
        node.a = number_[node.a];
        bool varying = varying_out_[node.a];
        if (info(node.code).arity == Arity::Binary) {
            node.b = number_[node.b];
            varying = varying || varying_out_[node.b];
        }
        return push(node, varying);
    }

    std::uint32_t lower_sum(std::uint32_t root) {
        // Terms by kind: of uniform values only, one uniform and one varying factor or a varying one alone, two
        // varying.
        std::vector<Term>&uniform = buffers_[0], &linear = buffers_[1], &square = buffers_[2];
        for (auto& buffer : buffers_) buffer.clear();
        std::size_t products = 0;
        const auto add_term = [&](std::uint32_t a, std::uint32_t b) {
            const bool va = varying_out_[a], vb = b != none && varying_out_[b];
            if (vb && !va) std::swap(a, b);  // the varying factor first
            (va && vb ? square : va || vb ? linear : uniform).push_back({a, b});
            products += b != none && (va != vb);
        };
        double sum_of_constants = -0.0;  // which added to anything leaves it as it is
        bool any_constant = false;
        stack_.assign(1, root);
        while (!stack_.empty()) {
            const std::uint32_t n = stack_.back();
            stack_.pop_back();
            const Node& node = nodes_[n];
            if (n != root && !inside_[n]) {
                add_term(number_[n], none);
            } else if (node.code == Code::add) {
                stack_.push_back(node.b);
                stack_.push_back(node.a);
            } else if (node.code == Code::sub) {
                add_term(constant(-1.0), number_[node.b]);
                stack_.push_back(node.a);
            } else if (node.code == Code::offset) {
                sum_of_constants += node.c;
                any_constant = true;
                stack_.push_back(node.a);
            } else if (node.code == Code::mul) {
                add_term(number_[node.a], number_[node.b]);
            } else {
                add_term(constant(node.c), number_[node.a]);
            }
        }
        const std::size_t count = uniform.size() + linear.size() + square.size();
        if (count == 1 && any_constant) {
            for (auto& buffer : buffers_)
                if (!buffer.empty() && buffer[0].b == none)
                    return push({sum_of_constants, buffer[0].a, 0, Code::offset}, varying_out_[buffer[0].a]);
        }
        if (any_constant) uniform.push_back({constant(sum_of_constants), none});
        // Sums that do not depend on the row are made once per call; products of two varying values stand apart
        // from a matrix row, so that rows over the same operands can be grouped.
        if (uniform.size() > 1 && linear.size() + square.size() > 0) {
            const Term sum{push_sum(uniform, false), none};
            uniform.assign(1, sum);
        }
        if (products >= 2 && !square.empty()) {
            linear.push_back({push_sum(square, true), none});
            square.clear();
        }
        uniform.insert(uniform.end(), linear.begin(), linear.end());
        uniform.insert(uniform.end(), square.begin(), square.end());
        return push_sum(uniform, !linear.empty() || !square.empty());
    }

    std::uint32_t push_sum(const std::vector<Term>& terms, bool varying) {
        if (terms.size() == 1) {
            if (terms[0].b == none) return terms[0].a;
            return push({0.0, terms[0].a, terms[0].b, Code::mul}, varying);
        }
        if (terms.size() == 2 && terms[0].b == none && terms[1].b == none)
            return push({0.0, terms[0].a, terms[1].a, Code::add}, varying);
        const auto first = static_cast<std::uint32_t>(graph_.terms.size());
        graph_.terms.insert(graph_.terms.end(), terms.begin(), terms.end());
        return push({0.0, first, static_cast<std::uint32_t>(graph_.terms.size()), Code::dot}, varying);
    }

    std::vector<Node>& nodes_;
    const std::vector<std::uint32_t>& outputs_;
    Graph& graph_;
    Pace pace_;
    std::vector<std::uint32_t> uses_, number_, stack_;
    std::vector<bool> inside_, varying_, varying_out_;
    std::vector<Term> buffers_[3];
    std::vector<std::pair<std::uint64_t, std::uint32_t>> constants_;
};

}  // namespace

void lower(std::vector<Node>& nodes, const std::vector<std::uint32_t>& outputs, Graph& graph) {
    Lowering(nodes, outputs, graph).run();
}

}  // namespace kilograd::program
