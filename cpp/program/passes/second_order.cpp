#include "second_order.hpp"

#include "../watch.hpp"
#include "lower.hpp"
#include "symbol.hpp"

namespace kilograd::program {

namespace {

// Below it nothing is too much.
constexpr std::size_t least_limit = 64;

// Ops, those of a sum being its terms.
std::size_t work_of(const Graph& graph) {
    std::size_t ops = graph.terms.size();
    for (const Node& node : graph.nodes) ops += !is_leaf(node.code) && node.code != Code::dot;
    return ops;
}

// The derivatives of an op by its operands.
struct Locals {
    Symbol a, b;
};
Locals locals_of(Code code, Symbol a, Symbol b, Symbol c, Symbol y) {
    switch (code) {
#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc) \
    case Code::name:                                                 \
        return {Rule<Code::name>::da<Symbol>(a, b, c, y), Rule<Code::name>::db<Symbol>(a, b, c, y)};
#include "../../ops.def"
#include "../reduced_ops.def"
#undef KILOGRAD_OP
        default:
            return {Symbol(), Symbol()};
    }
}

Symbol along(Symbol derivative, Symbol tangent) {
    if (tangent.is_constant() || derivative.is_constant()) return derivative * tangent;
    return Symbol::make(Code::directional, derivative, tangent);
}

// A true choice: what does not go through is not multiplied by 0, which would keep its NaN.
Symbol through_gate(Symbol mask, Symbol derivative) {
    return derivative.is_constant(0.0) ? derivative : Symbol::make(Code::gate, mask, derivative);
}

Symbol either(SymbolMask condition, Symbol da, Symbol db) {
    return through_gate(condition.mask, da) + through_gate(Symbol(1.0) - condition.mask, db);
}

class Differentiator {
  public:
    Differentiator(const Graph& graph, bool promoted, std::size_t most_work)
        : graph_(graph),
          promoted_(promoted),
          columns_(graph.n_inputs + (promoted ? graph.n_parameters : 0)),
          limit_(most_work * work_of(graph) + least_limit),
          in_(2 * graph.nodes.size()) {}

    std::optional<SecondOrder> run() {
        copy();
        if (!reverse() || !forward()) return std::nullopt;
        SecondOrder result;
        result.graph.n_inputs = graph_.n_inputs;
        result.graph.n_parameters = graph_.n_parameters;
        result.graph.recorded.assign(op_count, 0);
        std::vector<std::uint32_t> outputs;
        for (std::uint32_t row = 0; row < columns_; ++row) {
            if (gradient_[row].is_constant()) continue;
            const Range range = ranges_[gradient_[row].number(in_)];
            for (std::uint32_t k = range.begin; k < range.end && tangents_[k].column <= row; ++k) {
                result.at.emplace_back(row, tangents_[k].column);
                outputs.push_back(tangents_[k].value.number(in_));
            }
        }
        lower(in_.nodes, outputs, result.graph);
        if (work_of(result.graph) > limit_) return std::nullopt;
        return result;
    }

  private:
    struct Tangent {
        std::uint32_t column;
        Symbol value;
    };
    struct Range {
        std::uint32_t begin = 0, end = 0;
    };

    bool too_much() const { return in_.nodes.size() > limit_ + graph_.nodes.size() || tangents_.size() > limit_; }
    Symbol at(std::uint32_t node) { return {in_, node}; }

    // The graph's nodes as they are, sums op by op.
    void copy() {
        for (const Node& node : graph_.nodes) {
            pace_();
            if (node.code == Code::constant) {
                value_.emplace_back(node.c);
            } else if (is_leaf(node.code)) {
                value_.push_back(at(in_.leaf(node.code, node.a)));
            } else if (node.code == Code::dot) {
                const auto product = [&](const Term& term) {
                    return term.b == none ? value_[term.a] : Symbol::make(Code::mul, value_[term.a], value_[term.b]);
                };
                Symbol sum = product(graph_.terms[node.a]);
                for (std::uint32_t t = node.a + 1; t < node.b; ++t)
                    sum = Symbol::make(Code::add, sum, product(graph_.terms[t]));
                value_.push_back(sum);
            } else {
                const bool binary = info(node.code).arity == Arity::Binary;
                value_.push_back(Symbol::make(node.code, value_[node.a], binary ? value_[node.b] : Symbol(), node.c));
            }
        }
    }

    // Column of a leaf that derivatives are taken by, else none.
    std::uint32_t column_of(const Node& node) const {
        if (node.code == Code::input) return node.a;
        return node.code == Code::parameter && promoted_ ? graph_.n_inputs + node.a : none;
    }

    bool reverse() {
        const std::size_t size = graph_.nodes.size();
        std::vector<std::uint8_t> wanted(size, 0);
        for (std::size_t n = 0; n < size; ++n) {
            wanted[n] = column_of(graph_.nodes[n]) != none;
            graph_.for_operands(graph_.nodes[n], [&](std::uint32_t operand) { wanted[n] |= wanted[operand]; });
        }
        std::vector<Symbol> adjoint(size);
        gradient_.assign(columns_, Symbol());
        for (std::uint32_t n : graph_.outputs) adjoint[n] = adjoint[n] + Symbol(1.0);
        for (std::size_t n = size; n-- > 0;) {
            const Node& node = graph_.nodes[n];
            const Symbol dy = adjoint[n];
            if (!wanted[n] || dy.is_constant(0.0)) continue;
            pace_();
            const auto add = [&](std::uint32_t operand, Symbol local) {
                if (wanted[operand]) adjoint[operand] = adjoint[operand] + local * dy;
            };
            if (is_leaf(node.code)) {
                gradient_[column_of(node)] = dy;
            } else if (node.code == Code::gate || node.code == Code::enter) {
                if (wanted[node.b]) adjoint[node.b] = adjoint[node.b] + through_gate(value_[node.a], dy);
            } else if (node.code == Code::dot) {
                for (std::uint32_t t = node.a; t < node.b; ++t) {
                    const Term& term = graph_.terms[t];
                    add(term.a, term.b == none ? Symbol(1.0) : value_[term.b]);
                    if (term.b != none) add(term.b, value_[term.a]);
                }
            } else {
                const bool binary = info(node.code).arity == Arity::Binary;
                const Locals local =
                    locals_of(node.code, value_[node.a], binary ? value_[node.b] : Symbol(), Symbol(node.c), value_[n]);
                add(node.a, local.a);
                if (binary) add(node.b, local.b);
            }
            if (too_much()) return false;
        }
        return true;
    }

    // The tangents of all nodes that the gradient is made of, in order of columns.
    bool forward() {
        const auto size = static_cast<std::uint32_t>(in_.nodes.size());
        std::vector<std::uint8_t> live(size, 0);
        for (Symbol g : gradient_)
            if (!g.is_constant()) live[g.number(in_)] = 1;
        for (std::uint32_t n = size; n-- > 0;)
            if (live[n]) graph_.for_operands(in_.nodes[n], [&](std::uint32_t operand) { live[operand] = 1; });
        ranges_.assign(size, {});
        for (std::uint32_t n = 0; n < size; ++n) {
            pace_();
            const Node node = in_.nodes[n];
            ranges_[n].begin = static_cast<std::uint32_t>(tangents_.size());
            if (live[n] && is_leaf(node.code)) {
                if (column_of(node) != none) tangents_.push_back({column_of(node), Symbol(1.0)});
            } else if (live[n]) {
                forward(n, node);
            }
            ranges_[n].end = static_cast<std::uint32_t>(tangents_.size());
            if (too_much()) return false;
        }
        return true;
    }

    void forward(std::uint32_t n, const Node& node) {
        const bool binary = info(node.code).arity == Arity::Binary;
        Range a = ranges_[node.a], b = binary ? ranges_[node.b] : Range{};
        if (a.begin == a.end && b.begin == b.end) return;
        const Symbol x = at(node.a), z = binary ? at(node.b) : Symbol(), y = at(n);
        const Locals local = locals_of(node.code, x, z, Symbol(node.c), y);
        while (a.begin != a.end || b.begin != b.end) {
            const std::uint32_t left = a.begin != a.end ? tangents_[a.begin].column : none;
            const std::uint32_t right = b.begin != b.end ? tangents_[b.begin].column : none;
            const Symbol da = left <= right ? tangents_[a.begin++].value : Symbol();
            const Symbol db = right <= left ? tangents_[b.begin++].value : Symbol();
            pace_();
            const Symbol tangent = combine(node, local, x, z, y, da, db);
            if (!tangent.is_constant(0.0)) tangents_.push_back({std::min(left, right), tangent});
        }
    }

    static Symbol combine(const Node& node, Locals local, Symbol a, Symbol b, Symbol y, Symbol da, Symbol db) {
        switch (node.code) {
            case Code::mul:
            case Code::square:
                return local.a * da + local.b * db;
            case Code::div:
                return (da - y * db) / b;
            case Code::reciprocal:  // y * y may be infinite where this is not
                return -(y * (y * da));
            case Code::relu:
                return through_gate(Symbol(1.0) - (a < Symbol(0.0)).mask, da);
            case Code::leaky_relu:
                return either(a < Symbol(0.0), Symbol(node.c) * da, da);
            case Code::maximum:
                return either(a > b, da, db);
            case Code::minimum:
                return either(a < b, da, db);
            case Code::gate:
                return through_gate(a, db);
            case Code::enter:
                return db;
            default:
                if (has_bounded_derivatives(node.code)) return local.a * da + local.b * db;
                return along(local.a, da) + along(local.b, db);
        }
    }

    const Graph& graph_;
    const bool promoted_;
    const std::uint32_t columns_;
    const std::size_t limit_;
    Simplifier in_;
    Pace pace_;
    std::vector<Symbol> value_;     // of the graph's nodes
    std::vector<Symbol> gradient_;  // by column
    std::vector<Tangent> tangents_;
    std::vector<Range> ranges_;  // of the tangents of each node in in_
};

}  // namespace

std::optional<SecondOrder> differentiate_twice(const Graph& graph, bool promoted, std::size_t most_work) {
    return Differentiator(graph, promoted, most_work).run();
}

}  // namespace kilograd::program
