#include "entries.hpp"

#include <algorithm>

#include "../watch.hpp"
#include "expand.hpp"
#include "lower.hpp"
#include "sparsity.hpp"
#include "symbol.hpp"

namespace kilograd::program {

namespace {

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

// By how much a kink lets a tangent through: not at all where it does not, and no NaN either.
Symbol through_kink(Symbol local, Symbol tangent) {
    if (tangent.is_constant() || local.is_constant()) return local * tangent;
    return Symbol::make(Code::gate, local, local * tangent);
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
    Differentiator(const Graph& graph, const Columns& columns, std::size_t most)
        : graph_(graph),
          limit_(most),
          place_(columns.places(graph.n_inputs + graph.n_parameters)),
          count_(columns.size()),
          in_(2 * graph.nodes.size()) {}

    std::optional<Entries> jacobian(bool by_columns) {
        copy();
        Entries result;
        if (!(by_columns ? forward_from_outputs(result) : reverse_from_each_output(result))) return std::nullopt;
        return finished(std::move(result), 0);
    }

    // The outputs, and after them the gradient of their sum by column.
    Graph with_gradient() {
        copy();
        reverse(false);
        Graph result;
        result.n_inputs = graph_.n_inputs;
        result.n_parameters = graph_.n_parameters;
        result.recorded.assign(op_count, 0);
        std::vector<std::uint32_t> outputs;
        for (std::uint32_t n : graph_.outputs) outputs.push_back(value_[n].number(in_));
        for (Symbol g : gradient_) outputs.push_back(g.number(in_));
        lower_with_errors(outputs, result);
        return result;
    }

    Graph sweep(Sweep kind) {
        is_sweep_ = true;
        copy();
        Graph result;
        std::vector<std::uint32_t> outputs;
        const auto all = static_cast<std::uint32_t>(place_.size()),
                   rows = static_cast<std::uint32_t>(graph_.outputs.size());
        result.n_inputs = kind == Sweep::Reverse ? rows : count_;
        result.n_parameters = all + (kind == Sweep::Second ? rows : 0);
        result.recorded.assign(op_count, 0);
        if (kind == Sweep::Forward) {
            std::vector<Symbol> roots;
            for (std::uint32_t n : graph_.outputs) roots.push_back(value_[n]);
            forward_along(roots);
            for (Symbol root : roots) outputs.push_back(tangent_of(root).number(in_));
        } else {
            reverse_is_along_ = kind == Sweep::Reverse;
            reverse(true);
            if (kind == Sweep::Second) forward_along(gradient_);
            for (Symbol g : gradient_) outputs.push_back((kind == Sweep::Second ? tangent_of(g) : g).number(in_));
        }
        lower_with_errors(outputs, result);
        return result;
    }

    std::optional<Entries> hessian(bool weighted) {
        copy();
        if (!reverse(weighted) || products() > 2 * limit_ || !forward(gradient_)) return std::nullopt;
        Entries result;
        for (std::uint32_t row = 0; row < count_; ++row) list(gradient_[row], row, row, result);
        return finished(std::move(result), weighted ? static_cast<std::uint32_t>(graph_.outputs.size()) : 0);
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

    void keep(Entries& result, std::uint32_t row, std::uint32_t column, Symbol entry) {
        if (entry.is_constant(0.0)) return;
        result.at.push_back({row, column});
        entries_.push_back(entry.number(in_));
    }

    // The tangents of a symbol, up to a column, as entries of a row.
    void list(Symbol of, std::uint32_t row, std::uint32_t last, Entries& result) {
        if (of.is_constant()) return;
        const Range range = ranges_[of.number(in_)];
        for (std::uint32_t k = range.begin; k < range.end && tangents_[k].column <= last; ++k)
            keep(result, row, tangents_[k].column, tangents_[k].value);
    }

    // Of the chain rule for the tangents of the gradient: too many are told before they are written down.
    std::size_t products() {
        Graph copy;
        copy.nodes = in_.nodes;
        std::vector<std::uint32_t> column;
        for (const Node& node : copy.nodes) column.push_back(is_leaf(node.code) ? column_in(node) : none);
        return count_products(copy, column, live_for(gradient_), static_cast<std::size_t>(2 * limit_));
    }

    // What may be refused is computed, too.
    void lower_with_errors(const std::vector<std::uint32_t>& outputs, Graph& graph) {
        std::vector<std::uint32_t> all = outputs;
        for (std::size_t n = 0; n < graph_.nodes.size(); ++n)
            if (!is_total(graph_.nodes[n].code)) all.push_back(value_[n].number(in_));
        lower(in_.nodes, all, graph);
        graph.outputs.resize(outputs.size());
    }

    std::optional<Entries> finished(Entries result, std::uint32_t further_inputs) {
        result.graph.n_inputs = graph_.n_inputs + further_inputs;
        result.graph.n_parameters = graph_.n_parameters;
        result.graph.recorded.assign(op_count, 0);
        lower_with_errors(entries_, result.graph);
        if (work_of(result.graph) > limit_) return std::nullopt;
        return result;
    }

    // The graph's nodes as they are; for a sweep, their leaves are parameters.
    void copy() {
        const auto leaf = [&](const Node& node) {
            return is_sweep_ ? in_.leaf(Code::parameter, number_of(node)) : in_.leaf(node.code, node.a);
        };
        for (std::uint32_t number : expand(graph_, in_, leaf)) value_.push_back(at(number));
    }

    std::uint32_t number_of(const Node& leaf) const {
        return leaf.code == Code::parameter ? graph_.n_inputs + leaf.a : leaf.a;
    }

    // Column of a leaf that derivatives are taken by, else none.
    std::uint32_t column_of(const Node& leaf) const {
        if (leaf.code == Code::constant || !is_leaf(leaf.code)) return none;
        return place_[number_of(leaf)];
    }
    // The same of a leaf of the copy, which has weights beside.
    std::uint32_t column_in(const Node& leaf) const {
        if (!is_sweep_) return leaf.code == Code::input && leaf.a >= graph_.n_inputs ? none : column_of(leaf);
        return leaf.code == Code::parameter && leaf.a < place_.size() ? place_[leaf.a] : none;
    }

    void mark_wanted() {
        wanted_.assign(graph_.nodes.size(), 0);
        for (std::size_t n = 0; n < wanted_.size(); ++n) {
            wanted_[n] = column_of(graph_.nodes[n]) != none;
            graph_.for_operands(graph_.nodes[n], [&](std::uint32_t operand) { wanted_[n] |= wanted_[operand]; });
        }
        adjoint_.assign(graph_.nodes.size(), Symbol());
    }

    Symbol weight_of(std::uint32_t output) {
        const auto all = static_cast<std::uint32_t>(place_.size());
        if (reverse_is_along_) return at(in_.leaf(Code::input, output));
        return at(is_sweep_ ? in_.leaf(Code::parameter, all + output)
                            : in_.leaf(Code::input, graph_.n_inputs + output));
    }

    // The gradient of the sum of the outputs, by column.
    bool reverse(bool weighted) {
        mark_wanted();
        gradient_.assign(count_, Symbol());
        for (std::uint32_t k = 0; k < graph_.outputs.size(); ++k) {
            adjoint_[graph_.outputs[k]] = adjoint_[graph_.outputs[k]] + (weighted ? weight_of(k) : Symbol(1.0));
        }
        for (auto n = static_cast<std::uint32_t>(graph_.nodes.size()); n-- > 0;) {
            if (!wanted_[n] || adjoint_[n].is_constant(0.0)) continue;
            if (is_leaf(graph_.nodes[n].code)) {
                Symbol& sum = gradient_[column_of(graph_.nodes[n])];  // a file may have an input in several nodes
                sum = sum + adjoint_[n];
            } else {
                reverse(n);
            }
            if (too_much()) return false;
        }
        return true;
    }

    // Row by row, each a sweep over what the output depends on.
    bool reverse_from_each_output(Entries& result) {
        mark_wanted();
        std::vector<std::uint32_t> reached, stack;
        std::vector<Tangent> row;
        std::vector<std::uint32_t> met_for(graph_.nodes.size(), none);
        for (std::uint32_t k = 0; k < graph_.outputs.size(); ++k) {
            const auto meet = [&](std::uint32_t n) {
                if (!wanted_[n] || met_for[n] == k) return;
                met_for[n] = k;
                stack.push_back(n);
            };
            reached.clear();
            meet(graph_.outputs[k]);
            while (!stack.empty()) {
                const std::uint32_t n = stack.back();
                stack.pop_back();
                reached.push_back(n);
                adjoint_[n] = Symbol();
                graph_.for_operands(graph_.nodes[n], meet);
            }
            std::sort(reached.rbegin(), reached.rend());
            adjoint_[graph_.outputs[k]] = Symbol(1.0);
            row.clear();
            for (std::uint32_t n : reached) {
                if (adjoint_[n].is_constant(0.0)) continue;
                if (is_leaf(graph_.nodes[n].code))
                    row.push_back({column_of(graph_.nodes[n]), adjoint_[n]});
                else
                    reverse(n);
            }
            std::sort(row.begin(), row.end(), [](const Tangent& l, const Tangent& r) { return l.column < r.column; });
            for (auto entry = row.begin(); entry != row.end();) {
                const std::uint32_t column = entry->column;
                Symbol sum;
                for (; entry != row.end() && entry->column == column; ++entry) sum = sum + entry->value;
                keep(result, k, column, sum);
            }
            if (too_much()) return false;
        }
        return true;
    }

    // Adds what a node contributes to the adjoints of its operands.
    void reverse(std::uint32_t n) {
        const Node& node = graph_.nodes[n];
        const Symbol dy = adjoint_[n];
        pace_();
        const auto add = [&](std::uint32_t operand, Symbol local) {
            if (wanted_[operand]) adjoint_[operand] = adjoint_[operand] + local * dy;
        };
        if (node.code == Code::gate || node.code == Code::enter) {
            if (wanted_[node.b]) adjoint_[node.b] = adjoint_[node.b] + through_gate(value_[node.a], dy);
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
    }

    bool forward_from_outputs(Entries& result) {
        std::vector<Symbol> outputs;
        for (std::uint32_t n : graph_.outputs) outputs.push_back(value_[n]);
        if (!forward(outputs)) return false;
        for (std::uint32_t k = 0; k < outputs.size(); ++k) list(outputs[k], k, none, result);
        return true;
    }

    // What these are made of.
    std::vector<std::uint8_t> live_for(const std::vector<Symbol>& roots) {
        std::vector<std::uint8_t> live(in_.nodes.size(), 0);
        for (Symbol root : roots)
            if (!root.is_constant()) live[root.number(in_)] = 1;
        for (std::size_t n = live.size(); n-- > 0;)
            if (live[n]) graph_.for_operands(in_.nodes[n], [&](std::uint32_t operand) { live[operand] = 1; });
        return live;
    }

    // The tangents of all nodes that these are made of, in order of columns.
    bool forward(const std::vector<Symbol>& roots) {
        const std::vector<std::uint8_t> live = live_for(roots);
        const auto size = static_cast<std::uint32_t>(live.size());
        ranges_.assign(size, {});
        for (std::uint32_t n = 0; n < size; ++n) {
            pace_();
            const Node node = in_.nodes[n];
            ranges_[n].begin = static_cast<std::uint32_t>(tangents_.size());
            if (live[n] && is_leaf(node.code)) {
                if (column_in(node) != none) tangents_.push_back({column_in(node), Symbol(1.0)});
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

    // A tangent along the direction of a sweep: a factor, made once for all sweeps, of a tangent of before.
    struct Along {
        Symbol factor, base;
        bool is_zero() const { return base.is_constant(0.0); }
        Symbol product() const { return along(factor, base); }
    };

    // The tangents of all nodes that these are made of, along one direction, which inputs are. Factors are collected
    // where functions follow each other, and multiplied out where a sum of multiples begins, of which each is needed.
    void forward_along(const std::vector<Symbol>& roots) {
        const std::vector<std::uint8_t> live = live_for(roots);
        along_.assign(live.size(), Along());
        for (std::uint32_t n = 0; n < live.size(); ++n) {
            pace_();
            const Node node = in_.nodes[n];
            if (!live[n]) continue;
            if (!is_leaf(node.code))
                along_[n] = through(n, node);
            else if (column_in(node) != none)
                along_[n] = {Symbol(1.0), at(in_.leaf(Code::input, column_in(node)))};
        }
    }

    Along through(std::uint32_t n, const Node& node) {
        const bool binary = info(node.code).arity == Arity::Binary;
        Along zero;
        Along &a = along_[node.a], &b = binary ? along_[node.b] : zero;
        if (a.is_zero() && b.is_zero()) return zero;
        const bool multiplies = node.code == Code::mul && a.is_zero() != b.is_zero();
        if (multiplies || node.code == Code::scale) {
            Along& only = a.is_zero() ? b : a;
            if (!only.factor.is_constant()) only = {Symbol(1.0), only.product()};
        }
        const Symbol x = at(node.a), z = binary ? at(node.b) : Symbol(), y = at(n);
        const Locals local = locals_of(node.code, x, z, Symbol(node.c), y);
        const auto combined = [&](Symbol da, Symbol db) { return combine(node, local, x, z, y, da, db); };
        if (!multiplies && (a.is_zero() || b.is_zero() || a.base.is_same(b.base))) {
            const Along found{combined(a.is_zero() ? Symbol() : a.factor, b.is_zero() ? Symbol() : b.factor),
                              a.is_zero() ? b.base : a.base};
            return found.factor.is_constant(0.0) ? zero : found;
        }
        const Symbol tangent = combined(a.product(), b.product());
        return tangent.is_constant(0.0) ? zero : Along{Symbol(1.0), tangent};
    }
    Symbol tangent_of(Symbol root) {
        if (root.is_constant()) return Symbol();
        const Along& tangent = along_[root.number(in_)];
        return tangent.is_zero() ? Symbol() : tangent.product();
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
                return through_gate(local.a, da);
            case Code::leaky_relu:
                return either(a > Symbol(0.0), da, Symbol(node.c) * da);
            case Code::maximum:
            case Code::minimum:
                return through_kink(local.a, da) + through_kink(local.b, db);
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
    const std::uint64_t limit_;               // sums with it hold where a size has 32 bits
    const std::vector<std::uint32_t> place_;  // by number: column
    const std::size_t count_;                 // of columns
    bool is_sweep_ = false, reverse_is_along_ = false;
    Simplifier in_;
    Pace pace_;
    std::vector<Along> along_;             // a sweep's tangents of nodes in in_
    std::vector<Symbol> value_, adjoint_;  // of the graph's nodes
    std::vector<std::uint8_t> wanted_;
    std::vector<Symbol> gradient_;  // by column
    std::vector<Tangent> tangents_;
    std::vector<Range> ranges_;           // of the tangents of each node in in_
    std::vector<std::uint32_t> entries_;  // nodes in in_
};

}  // namespace

std::size_t work_of(const Graph& graph) {
    std::size_t ops = graph.terms.size();
    for (const Node& node : graph.nodes) ops += !is_leaf(node.code) && node.code != Code::dot;
    return ops;
}

std::optional<Entries> differentiate(const Graph& graph, const Columns& columns, std::size_t most) {
    const ChainRule products = count_products(graph, columns, most);
    if (std::min(products.by_columns, products.by_outputs) > most) return std::nullopt;
    return Differentiator(graph, columns, most).jacobian(products.by_columns <= products.by_outputs);
}

std::optional<Entries> differentiate_twice(const Graph& graph, const Columns& columns, bool weighted,
                                           std::size_t most) {
    return Differentiator(graph, columns, most).hessian(weighted);
}

Graph with_gradient(const Graph& graph, const Columns& columns) {
    return Differentiator(graph, columns, none).with_gradient();
}

Graph sweep(const Graph& graph, const Columns& columns, Sweep kind) {
    return Differentiator(graph, columns, none).sweep(kind);
}

}  // namespace kilograd::program
