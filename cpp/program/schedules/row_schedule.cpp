#include "row_schedule.hpp"

#include <algorithm>

#include "../watch.hpp"

namespace kilograd::program {

namespace {

// Codes that the row kernels run as scalar loops, so that a node may follow its own operand in a run.
bool is_scalar(Code code) {
    switch (code) {
        case Code::add:
        case Code::sub:
        case Code::mul:
        case Code::scale:
        case Code::offset:
        case Code::relu:
        case Code::square:
        case Code::div:
        case Code::reciprocal:
        case Code::dot:
            return true;
        default:
            return false;
    }
}

// The product and the addend of a dot that is a * b + d or a * b - d.
struct FusedForm {
    Fused kind = Fused::No;
    Term product{};
    std::uint32_t addend = none;
};
FusedForm fused_form(const Graph& graph, const Node& node) {
    if (node.code != Code::dot || node.b - node.a != 2) return {};
    const Term &first = graph.terms[node.a], &second = graph.terms[node.a + 1];
    if ((first.b == none) != (second.b == none))
        return first.b == none ? FusedForm{Fused::Add, second, first.a} : FusedForm{Fused::Add, first, second.a};
    const auto negated = [&](const Term& term) {
        const auto is_minus_one = [&](std::uint32_t n) {
            return n != none && graph.nodes[n].code == Code::constant && graph.nodes[n].c == -1.0;
        };
        return is_minus_one(term.b) ? term.a : is_minus_one(term.a) ? term.b : none;
    };
    if (negated(second) != none) return {Fused::Subtract, first, negated(second)};
    if (negated(first) != none) return {Fused::Subtract, second, negated(first)};
    return {};
}

// Adding into a constant's adjoint is wasted, and a chain of such additions waits for the one before: each use
// takes the next of a few copies.
constexpr std::uint32_t copies = 8;

// Nodes that are ready, by code and by whether the reverse sweep needs them.
class Ready {
  public:
    static std::size_t key(Code code, Fused fused, bool wanted) {
        return index_of(code) * 8 + static_cast<std::size_t>(fused) * 2 + wanted;
    }
    static Code code_of(std::size_t key) { return static_cast<Code>(key / 8); }
    static Fused fused_of(std::size_t key) { return static_cast<Fused>(key / 2 % 4); }
    static bool wanted_of(std::size_t key) { return key % 2; }

    void push(std::size_t key, std::uint32_t node) {
        if (queues_[key].empty()) active_.push_back(key);
        queues_[key].push_back(node);
    }
    bool empty() const { return active_.empty(); }

    // The longest queue of scalar codes; a queue of vector codes where it fills a vector or nothing else is left.
    std::size_t choose() const {
        std::size_t best = 0, best_score = 0;
        for (std::size_t key : active_) {
            const std::size_t length = queues_[key].size();
            const bool preferred = is_scalar(code_of(key)) || length >= 8;
            const std::size_t score = length + (preferred ? std::size_t{1} << 40 : 0);
            if (score > best_score) {
                best_score = score;
                best = key;
            }
        }
        return best;
    }
    std::vector<std::uint32_t>& queue(std::size_t key) { return queues_[key]; }
    void retire(std::size_t key) { active_.erase(std::find(active_.begin(), active_.end(), key)); }

  private:
    std::vector<std::uint32_t> queues_[code_count * 8];
    std::vector<std::size_t> active_;
};

}  // namespace

RowSchedule::RowSchedule(const Graph& graph, const std::vector<std::uint8_t>& include,
                         const std::vector<std::uint8_t>& wanted) {
    const auto node_count = static_cast<std::uint32_t>(graph.nodes.size());
    position_.assign(node_count, none);

    // Consumers of each node, as one array with offsets.
    Pace pace;
    std::vector<std::uint32_t> first(node_count + 1, 0), missing(node_count, 0);
    for (std::uint32_t n = 0; n < node_count; ++n) {
        if (!include[n]) continue;
        pace();
        graph.for_operands(graph.nodes[n], [&](std::uint32_t operand) {
            ++first[operand + 1];
            if (!is_leaf(graph.nodes[operand].code)) ++missing[n];
        });
    }
    std::vector<std::uint32_t> next_copy(node_count, 0), uses(first.begin() + 1, first.end());
    for (std::uint32_t n = 0; n < node_count; ++n) first[n + 1] += first[n];
    std::vector<std::uint32_t> consumers(first[node_count]), fill(first.begin(), first.end() - 1);
    for (std::uint32_t n = 0; n < node_count; ++n, pace())
        if (include[n])
            graph.for_operands(graph.nodes[n], [&](std::uint32_t operand) { consumers[fill[operand]++] = n; });

    for (std::uint32_t n = 0; n < node_count; ++n) {
        if (!include[n] || graph.nodes[n].code != Code::constant) continue;
        position_[n] = static_cast<std::uint32_t>(constants_.size());
        uses[n] = std::clamp<std::uint32_t>(uses[n], 1, copies);
        constants_.insert(constants_.end(), uses[n], graph.nodes[n].c);
    }
    auto next = static_cast<std::uint32_t>(constants_.size());
    for (std::uint32_t n = 0; n < node_count; ++n) {
        const Code code = graph.nodes[n].code;
        if (!include[n] || !is_leaf(code) || code == Code::constant) continue;
        position_[n] = next++;
        (code == Code::input ? inputs_ : parameters_).push_back({position_[n], graph.nodes[n].a});
    }

    std::uint32_t op_total = 0;
    Ready ready;
    const auto announce = [&](std::uint32_t n) {
        ready.push(Ready::key(graph.nodes[n].code, fused_form(graph, graph.nodes[n]).kind, wanted[n]), n);
    };
    for (std::uint32_t n = 0; n < node_count; ++n) {
        if (!include[n] || is_leaf(graph.nodes[n].code)) continue;
        pace();
        ++op_total;
        if (missing[n] == 0) announce(n);
    }
    size_ = next + op_total;
    a_.assign(size_, 0);
    b_.assign(size_, 0);
    d_.assign(size_, 0);
    c_.assign(size_, 0.0);

    const auto place = [&](std::uint32_t operand) {
        if (graph.nodes[operand].code != Code::constant) return position_[operand];
        return position_[operand] + next_copy[operand]++ % uses[operand];
    };
    while (!ready.empty()) {
        const std::size_t key = ready.choose();
        const Code code = Ready::code_of(key);
        const Fused fused = Ready::fused_of(key);
        const bool reverse = Ready::wanted_of(key), scalar = is_scalar(code);
        std::vector<std::uint32_t>& queue = ready.queue(key);
        runs_.push_back({code, fused, reverse, next, 0});
        std::size_t limit = queue.size(), at = 0;
        for (; at < (scalar ? queue.size() : limit); ++at) {
            pace();
            const std::uint32_t n = queue[at];
            const Node& node = graph.nodes[n];
            // The vector kernels take one constant for all of a run.
            if (!scalar && runs_.back().count && c_[runs_.back().begin] != node.c)
                runs_.push_back({code, fused, reverse, next, 0});
            const std::uint32_t here = next++;
            position_[n] = here;
            ++runs_.back().count;
            c_[here] = node.c;
            if (fused != Fused::No) {
                const FusedForm form = fused_form(graph, node);
                a_[here] = place(form.product.a);
                b_[here] = place(form.product.b);
                d_[here] = place(form.addend);
            } else if (code == Code::dot) {
                a_[here] = static_cast<std::uint32_t>(terms_.size());
                for (std::uint32_t t = node.a; t < node.b; ++t)
                    terms_.push_back(
                        {place(graph.terms[t].a), graph.terms[t].b == none ? none : place(graph.terms[t].b)});
                b_[here] = static_cast<std::uint32_t>(terms_.size());
            } else {
                a_[here] = place(node.a);
                if (info(code).arity == Arity::Binary) b_[here] = place(node.b);
            }
            for (std::uint32_t k = first[n]; k < first[n + 1]; ++k)
                if (--missing[consumers[k]] == 0) announce(consumers[k]);
        }
        queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(at));
        if (queue.empty()) ready.retire(key);
    }
}

void RowSchedule::load(const double* inputs, std::ptrdiff_t input_stride, const double* parameters,
                       double* values) const {
    std::copy(constants_.begin(), constants_.end(), values);
    for (const Leaf& leaf : inputs_) values[leaf.position] = inputs[leaf.number * input_stride];
    for (const Leaf& leaf : parameters_) values[leaf.position] = parameters[leaf.number];
}

std::size_t RowSchedule::bytes() const {
    return position_.size() * 4 + (a_.size() + b_.size() + d_.size()) * 4 + c_.size() * 8 +
           terms_.size() * sizeof(Term) + runs_.size() * sizeof(Run) + constants_.size() * 8;
}

}  // namespace kilograd::program
