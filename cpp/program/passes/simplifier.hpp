// Simplifier: nodes made through make() are simplified, constants folded, and equal nodes are one.
//
// The first pass over a recording, and where derivatives are written down as expressions (symbol.hpp). Operands are
// numbers of nodes made before.
#pragma once

#include <bit>
#include <cmath>
#include <vector>

#include "../graph.hpp"

namespace kilograd::program {

class Simplifier {
  public:
    std::vector<Node> nodes;

    explicit Simplifier(std::size_t expected) : table_(std::bit_ceil(2 * expected + 16), none) {
        nodes.reserve(expected);
    }

    std::uint32_t constant(double c) { return find({c, 0, 0, Code::constant}); }

    std::uint32_t leaf(Code code, std::uint32_t number) { return find({0.0, number, 0, code}); }

    std::uint32_t make(Code code, std::uint32_t a, std::uint32_t b, double c) {
        const bool binary = info(code).arity == Arity::Binary;
        if (!binary) b = 0;
        if (info(code).arity != Arity::Param) c = 0.0;
        if (is_constant(a) && (!binary || is_constant(b))) {
            const double y = evaluate(code, nodes[a].c, nodes[b].c, c);
            if (fault_of(code, nodes[a].c, nodes[b].c, c, y) == Fault::None) return constant(y);
        }
        switch (code) {
            case Code::add:
                if (is_constant(a)) return make(Code::offset, b, 0, nodes[a].c);
                if (is_constant(b)) return make(Code::offset, a, 0, nodes[b].c);
                if (is_negated(b)) return make(Code::sub, a, nodes[b].a, 0.0);
                if (is_negated(a)) return make(Code::sub, b, nodes[a].a, 0.0);
                if (a > b) std::swap(a, b);
                break;
            case Code::mul:
                if (is_constant(a)) return make(Code::scale, b, 0, nodes[a].c);
                if (is_constant(b)) return make(Code::scale, a, 0, nodes[b].c);
                if (a == b && has_kink(a)) return square(a, code, 0.0);
                if (a > b) std::swap(a, b);
                break;
            case Code::sub:
                if (is_constant(b)) return make(Code::offset, a, 0, -nodes[b].c);
                break;
            case Code::scale:
                if (c == 1.0) return a;
                if (nodes[a].code == Code::scale && (c == -1.0 || nodes[a].c == -1.0))
                    return make(Code::scale, nodes[a].a, 0, c * nodes[a].c);
                break;
            case Code::offset:
                if (c == 0.0) return a;
                break;
            case Code::gate:
                if (is_constant(a)) return nodes[a].c == 0.0 ? constant(-0.0) : b;
                break;
            case Code::pow:
                if (is_constant(b)) return make(Code::powc, a, 0, nodes[b].c);
                break;
            case Code::powc:
                if (c == 0.0) return constant(1.0);
                if (c == 1.0) return a;
                if (c == 2.0 && has_kink(a)) return square(a, code, c);
                if (c == 2.0) return make(Code::square, a, 0, 0.0);
                if (c == -1.0) return make(Code::reciprocal, a, 0, 0.0);
                if (c == 0.5) return make(Code::half_power, a, 0, 0.0);
                if (std::abs(c) <= 8.0 && c == std::floor(c)) return make(Code::whole_power, a, 0, c);
                break;
            default:
                break;
        }
        return find({c, a, b, code});
    }

  private:
    bool is_constant(std::uint32_t n) const { return nodes[n].code == Code::constant; }
    // abs and hypot have a kink at 0, where their squares have second derivatives.
    bool has_kink(std::uint32_t n) const { return nodes[n].code == Code::abs || nodes[n].code == Code::hypot; }

    // Of such a node, as squares of its operands: products or powers, with the errors of these.
    std::uint32_t square(std::uint32_t n, Code code, double c) {
        const Node size = nodes[n];
        const std::uint32_t first = make(code, size.a, size.a, c);
        return size.code == Code::abs ? first : make(Code::add, first, make(code, size.b, size.b, c), 0.0);
    }

    bool is_negated(std::uint32_t n) const { return nodes[n].code == Code::scale && nodes[n].c == -1.0; }

    std::uint32_t find(const Node& node) {
        const std::uint64_t c = std::bit_cast<std::uint64_t>(node.c);
        std::uint64_t h = (static_cast<std::uint64_t>(node.a) << 32 | node.b) * 0x9e3779b97f4a7c15u;
        h = (h ^ (h >> 29) ^ c ^ static_cast<std::uint64_t>(node.code) << 56) * 0xbf58476d1ce4e5b9u;
        if (2 * nodes.size() >= table_.size()) grow();
        for (std::size_t at = h >> shift();; ++at) {
            std::uint32_t& entry = table_[at & (table_.size() - 1)];
            if (entry == none) {
                entry = static_cast<std::uint32_t>(nodes.size());
                nodes.push_back(node);
                hashes_.push_back(h);
                return entry;
            }
            const Node& other = nodes[entry];
            if (other.a == node.a && other.b == node.b && other.code == node.code &&
                std::bit_cast<std::uint64_t>(other.c) == c)
                return entry;
        }
    }

    int shift() const { return 64 - std::countr_zero(table_.size()); }

    void grow() {
        table_.assign(2 * table_.size(), none);
        for (std::uint32_t n = 0; n < nodes.size(); ++n) {
            std::size_t at = hashes_[n] >> shift();
            while (table_[at & (table_.size() - 1)] != none) ++at;
            table_[at & (table_.size() - 1)] = n;
        }
    }

    std::vector<std::uint32_t> table_;
    std::vector<std::uint64_t> hashes_;
};

}  // namespace kilograd::program
