#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

#include "../watch.hpp"
#include "branches.hpp"
#include "simplifier.hpp"

namespace kilograd::program {

double evaluate(Code code, double a, double b, double c) {
    switch (code) {
#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc) \
    case Code::name:                                                 \
        return Rule<Code::name>::value<double>(a, b, c);
#include "../../ops.def"
#include "../reduced_ops.def"
#undef KILOGRAD_OP
        default:
            return c;
    }
}

Fault fault_of(Code code, double a, double b, double c, double y) {
    if (code == Code::div) return fault_of(info(Code::reciprocal), b, 0.0, 1.0 / b);
    return fault_of(info(code), a, info(code).arity == Arity::Param ? c : b, y);
}

std::string text_of(double number) {
    char text[32];
    return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

std::string label_of(const Node& node) {
    if (node.code != Code::powc && node.code != Code::whole_power) return info(node.code).label;
    return "**" + text_of(node.c);
}

namespace {

// Second pass: `x * y**-1` to quotients and trees of sums to dots, copied into the graph without dead nodes.
class Emitter {
  public:
    Emitter(std::vector<Node>& nodes, const std::vector<std::uint32_t>& outputs, Graph& graph)
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
            if (uses_[n] && !inside_[n]) number_[n] = emit(n);
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

    // A reciprocal that several products share stays: one division and cheap products.
    void make_quotients() {
        const auto lone_reciprocal = [&](std::uint32_t n) {
            return nodes_[n].code == Code::reciprocal && uses_[n] == 1;
        };
        for (std::uint32_t n = 0; n < nodes_.size(); ++n) {
            pace_();
            Node& node = nodes_[n];
            if (!uses_[n] || node.code != Code::mul || node.a == node.b) continue;
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

    std::uint32_t emit(std::uint32_t n) {
        Node node = nodes_[n];
        if (node.code == Code::constant) return constant(node.c);
        if (is_leaf(node.code)) return push(node, node.code == Code::input);
        if (is_sum(n)) return emit_sum(n);
        node.a = number_[node.a];
        bool varying = varying_out_[node.a];
        if (info(node.code).arity == Arity::Binary) {
            node.b = number_[node.b];
            varying = varying || varying_out_[node.b];
        }
        return push(node, varying);
    }

    std::uint32_t emit_sum(std::uint32_t root) {
        // Terms by kind: of uniform values only, one uniform and one varying factor or a varying one alone, two
        // varying.
        std::vector<RowTerm>&uniform = buffers_[0], &linear = buffers_[1], &square = buffers_[2];
        for (auto& buffer : buffers_) buffer.clear();
        std::size_t products = 0;
        const auto add_term = [&](std::uint32_t a, std::uint32_t b) {
            const bool va = varying_out_[a], vb = b != none && varying_out_[b];
            if (vb && !va) std::swap(a, b);  // the varying factor first
            (va && vb ? square : va || vb ? linear : uniform).push_back({a, b});
            products += b != none && (va != vb);
        };
        double sum_of_constants = 0.0;
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
            const RowTerm sum{push_sum(uniform, false), none};
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

    std::uint32_t push_sum(const std::vector<RowTerm>& terms, bool varying) {
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
    std::vector<RowTerm> buffers_[3];
    std::vector<std::pair<std::uint64_t, std::uint32_t>> constants_;
};

}  // namespace

void emit(std::vector<Node>& nodes, const std::vector<std::uint32_t>& outputs, Graph& graph) {
    Emitter(nodes, outputs, graph).run();
}

namespace {

bool is_comparison(Op op) { return op == Op::less || op == Op::less_equal || op == Op::equal; }

}  // namespace

Graph optimise(const Recording& recording) {
    const std::size_t size = recording.size();
    Graph graph;
    graph.n_inputs = static_cast<std::uint32_t>(recording.inputs.size());
    graph.n_parameters = static_cast<std::uint32_t>(recording.parameters.size());
    graph.recorded.assign(op_count, 0);

    Pace pace;
    enum : std::uint8_t { Live = 1, Decides = 2 };  // a comparison depends on it
    std::vector<std::uint8_t> use(size, 0);
    for (std::uint32_t n : recording.outputs) use[n] = Live;
    for (std::size_t n = size; n-- > 0;) {
        pace();
        ++graph.recorded[static_cast<std::size_t>(recording.op[n])];
        if (!use[n]) continue;
        const Arity arity = info(recording.op[n]).arity;
        const std::uint8_t passed_on = is_comparison(recording.op[n]) ? Live | Decides : use[n];
        if (arity != Arity::None) use[recording.a[n]] |= passed_on;
        if (arity == Arity::Binary) use[recording.b[n]] |= passed_on;
    }

    Simplifier simplifier(size);
    std::vector<std::uint32_t> number(size, none);
    for (std::uint32_t k = 0; k < graph.n_inputs; ++k) number[recording.inputs[k]] = simplifier.leaf(Code::input, k);
    for (std::uint32_t k = 0; k < graph.n_parameters; ++k)
        if (number[recording.parameters[k]] == none)
            number[recording.parameters[k]] = simplifier.leaf(Code::parameter, k);
    for (std::uint32_t n = 0; n < size; ++n) {
        if (!use[n] || number[n] != none) continue;
        pace();
        const Op op = recording.op[n];
        if (op == Op::leaf) {
            number[n] = simplifier.constant(recording.c[n]);
        } else if (info(op).arity == Arity::None) {
            throw NotRecordable(n, "an op without a rule cannot be recorded");
        } else if (op == Op::mul && recording.c[n] == 1.0 && use[n] & Decides) {
            number[n] = simplifier.make(Code::div, number[recording.a[n]], number[recording.a[recording.b[n]]], 0.0);
        } else {
            const std::uint32_t b = info(op).arity == Arity::Binary ? number[recording.b[n]] : 0;
            number[n] = simplifier.make(static_cast<Code>(op), number[recording.a[n]], b, recording.c[n]);
        }
    }
    std::vector<std::uint32_t> outputs;
    outputs.reserve(recording.outputs.size());
    for (std::uint32_t n : recording.outputs) outputs.push_back(number[n]);
    if (graph.recorded[static_cast<std::size_t>(Op::gate)]) simplifier = enter_branches(simplifier, outputs);
    emit(simplifier.nodes, outputs, graph);
    return graph;
}

void validate(const Graph& graph) {
    constexpr std::uint32_t max_leaves = 1u << 30;
    const auto refuse = [](const char* what) { throw std::invalid_argument(what); };
    if (graph.nodes.size() >= none || graph.terms.size() >= none) refuse("too many nodes");
    if (graph.n_inputs > max_leaves || graph.n_parameters > max_leaves) refuse("too many inputs or parameters");
    std::vector<std::uint8_t> used(graph.nodes.size(), 0);
    std::uint32_t terms = 0;  // sums share none: schedules are as long as the terms of all sums together
    for (std::uint32_t n = 0; n < graph.nodes.size(); ++n) {
        const Node& node = graph.nodes[n];
        if (index_of(node.code) >= code_count) refuse("unknown operation");
        if (node.code == Code::input && node.a >= graph.n_inputs) refuse("input out of range");
        if (node.code == Code::parameter && node.a >= graph.n_parameters) refuse("parameter out of range");
        if (node.code == Code::dot) {
            if (node.a != terms || node.a >= node.b || node.b > graph.terms.size()) refuse("terms out of order");
            terms = node.b;
        }
        if (node.code == Code::whole_power && !(std::abs(node.c) <= 8.0 && node.c == std::floor(node.c)))
            refuse("exponent out of range");
        graph.for_operands(node, [&](std::uint32_t operand) {
            if (operand >= n) refuse("operand out of order");
            used[operand] = 1;
        });
    }
    if (terms != graph.terms.size()) refuse("terms left over");
    for (std::uint32_t n : graph.outputs) {
        if (n >= graph.nodes.size()) refuse("output out of range");
        used[n] = 1;
    }
    // The schedules count on it: whatever is wanted receives an adjoint.
    if (std::find(used.begin(), used.end(), 0) != used.end()) refuse("node without use");
}

}  // namespace kilograd::program
