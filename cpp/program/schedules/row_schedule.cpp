#include "row_schedule.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <type_traits>
#include <utility>

#include "../watch.hpp"

namespace kilograd::program {

namespace {

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
constexpr std::uint32_t most_copies = 8;

}  // namespace

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
        std::size_t best = 0;
        std::uint64_t best_score = 0;
        for (std::size_t key : active_) {
            const std::size_t length = queues_[key].size();
            const bool preferred = is_arithmetic(code_of(key)) || length >= 8;
            const std::uint64_t score = length + (preferred ? std::uint64_t{1} << 40 : 0);
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

class RowSchedule::Builder {
  public:
    Builder(RowSchedule& schedule, const Graph& graph, const std::vector<std::uint8_t>& include,
            const std::vector<std::uint8_t>& wanted)
        : s_(schedule),
          graph_(graph),
          include_(include),
          wanted_(wanted),
          count_(static_cast<std::uint32_t>(graph.nodes.size())) {}

    void run() {
        s_.position_.assign(count_, none);
        list_consumers();
        place_leaves();
        announce_first();
        while (!ready_.empty()) schedule_runs(ready_.choose());
        list_alike();
    }

  private:
    bool is_op(std::uint32_t n) const { return include_[n] && !is_leaf(graph_.nodes[n].code); }

    void list_consumers() {
        first_.assign(count_ + 1, 0);
        missing_.assign(count_, 0);
        for (std::uint32_t n = 0; n < count_; ++n) {
            if (!include_[n]) continue;
            pace_();
            graph_.for_operands(graph_.nodes[n], [&](std::uint32_t operand) {
                ++first_[operand + 1];
                if (!is_leaf(graph_.nodes[operand].code)) ++missing_[n];
            });
        }
        copies_.assign(first_.begin() + 1, first_.end());
        for (std::uint32_t n = 0; n < count_; ++n) first_[n + 1] += first_[n];
        consumers_.resize(first_[count_]);
        std::vector<std::uint32_t> fill(first_.begin(), first_.end() - 1);
        for (std::uint32_t n = 0; n < count_; ++n, pace_())
            if (include_[n])
                graph_.for_operands(graph_.nodes[n], [&](std::uint32_t operand) { consumers_[fill[operand]++] = n; });
    }

    void place_leaves() {
        for (std::uint32_t n = 0; n < count_; ++n) {
            if (!include_[n] || graph_.nodes[n].code != Code::constant) continue;
            s_.position_[n] = static_cast<std::uint32_t>(s_.constants_.size());
            copies_[n] = std::clamp<std::uint32_t>(copies_[n], 1, most_copies);
            s_.constants_.insert(s_.constants_.end(), copies_[n], graph_.nodes[n].c);
        }
        next_ = static_cast<std::uint32_t>(s_.constants_.size());
        next_copy_.assign(count_, 0);
        for (std::uint32_t n = 0; n < count_; ++n) {
            const Code code = graph_.nodes[n].code;
            if (!include_[n] || !is_leaf(code) || code == Code::constant) continue;
            s_.position_[n] = next_++;
            (code == Code::input ? s_.inputs_ : s_.parameters_).push_back({s_.position_[n], graph_.nodes[n].a});
        }
    }

    void announce(std::uint32_t n) {
        ready_.push(Ready::key(graph_.nodes[n].code, fused_form(graph_, graph_.nodes[n]).kind, wanted_[n]), n);
    }

    void announce_first() {
        std::uint32_t ops = 0;
        for (std::uint32_t n = 0; n < count_; ++n) {
            if (!is_op(n)) continue;
            pace_();
            ++ops;
            if (missing_[n] == 0) announce(n);
        }
        s_.size_ = next_ + ops;
        s_.a_.assign(s_.size_, 0);
        s_.b_.assign(s_.size_, 0);
        s_.d_.assign(s_.size_, 0);
        s_.c_.assign(s_.size_, 0.0);
    }

    // All nodes of a queue, those that become ready meanwhile included where the code is scalar.
    void schedule_runs(std::size_t key) {
        const Run empty{Ready::code_of(key), Ready::fused_of(key), Ready::wanted_of(key), next_, 0};
        const bool scalar = is_arithmetic(empty.code);
        std::vector<std::uint32_t>& queue = ready_.queue(key);
        s_.runs_.push_back(empty);
        const std::size_t limit = queue.size();
        std::size_t at = 0;
        for (; at < (scalar ? queue.size() : limit); ++at) {
            pace_();
            const std::uint32_t n = queue[at];
            // The vector kernels take one constant for all of a run.
            if (!scalar && s_.runs_.back().count && s_.c_[s_.runs_.back().begin] != graph_.nodes[n].c) {
                s_.runs_.push_back(empty);
                s_.runs_.back().begin = next_;
            }
            ++s_.runs_.back().count;
            schedule(n, empty.fused);
            for (std::uint32_t k = first_[n]; k < first_[n + 1]; ++k)
                if (--missing_[consumers_[k]] == 0) announce(consumers_[k]);
        }
        queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(at));
        if (queue.empty()) ready_.retire(key);
    }

    void schedule(std::uint32_t n, Fused fused) {
        const Node& node = graph_.nodes[n];
        const std::uint32_t here = s_.position_[n] = next_++;
        s_.c_[here] = node.c;
        if (fused != Fused::No) {
            const FusedForm form = fused_form(graph_, node);
            s_.a_[here] = place(form.product.a);
            s_.b_[here] = place(form.product.b);
            s_.d_[here] = place(form.addend);
        } else if (node.code == Code::dot) {
            s_.a_[here] = static_cast<std::uint32_t>(s_.terms_.size());
            for (std::uint32_t t = node.a; t < node.b; ++t) {
                const Term& term = graph_.terms[t];
                s_.terms_.push_back({place(term.a), term.b == none ? none : place(term.b)});
            }
            s_.b_[here] = static_cast<std::uint32_t>(s_.terms_.size());
        } else {
            s_.a_[here] = place(node.a);
            if (info(node.code).arity == Arity::Binary) s_.b_[here] = place(node.b);
        }
    }

    void list_alike() {
        std::map<std::pair<Code, std::uint64_t>, std::vector<Run*>> found;  // by code and the bits of the constant
        for (Run& run : s_.runs_)
            if (run.reverse && has_locals(run.code))
                found[{run.code, std::bit_cast<std::uint64_t>(s_.c_[run.begin])}].push_back(&run);
        for (const auto& [kind, runs] : found) {
            Alike alike{kind.first, std::bit_cast<double>(kind.second), static_cast<std::uint32_t>(s_.locals_.size()),
                        0, s_.local_count_};
            for (Run* run : runs) {
                run->local = alike.local + alike.count;
                alike.count += run->count;
                for (std::uint32_t k = 0; k < run->count; ++k) s_.locals_.push_back(run->begin + k);
            }
            s_.local_count_ += alike.padded();
            if (info(alike.code).arity == Arity::Binary) {
                for (Run* run : runs) run->local_b = run->local + alike.padded();
                s_.local_count_ += alike.padded();
            }
            s_.alike_.push_back(alike);
        }
    }

    // Where an operand is read from.
    std::uint32_t place(std::uint32_t operand) {
        if (graph_.nodes[operand].code != Code::constant) return s_.position_[operand];
        return s_.position_[operand] + next_copy_[operand]++ % copies_[operand];
    }

    RowSchedule& s_;
    const Graph& graph_;
    const std::vector<std::uint8_t>&include_, &wanted_;
    const std::uint32_t count_;
    Pace pace_;
    Ready ready_;
    std::uint32_t next_ = 0;                         // position
    std::vector<std::uint32_t> first_, consumers_;   // of node n: first_[n] to first_[n + 1]
    std::vector<std::uint32_t> missing_;             // operands that have no position yet
    std::vector<std::uint32_t> copies_, next_copy_;  // of constants
};

RowSchedule::RowSchedule(const Graph& graph, const std::vector<std::uint8_t>& include,
                         const std::vector<std::uint8_t>& wanted) {
    Builder(*this, graph, include, wanted).run();
}

void RowSchedule::load_constants(std::size_t width, double* values) const {
    if (width == 1)
        std::copy(constants_.begin(), constants_.end(), values);
    else
        for (double constant : constants_) values = std::fill_n(values, width, constant);
}

void RowSchedule::load_parameters(const double* parameters, std::size_t width, double* values) const {
    const auto load = [&](auto copies) {
        for (const Leaf& leaf : parameters_)
            std::fill_n(values + leaf.position * copies, std::size_t{copies}, parameters[leaf.number]);
    };
    if (width == 8)  // known to the compiler, they are stored by vectors
        load(std::integral_constant<std::size_t, 8>());
    else
        load(width);
}

std::size_t RowSchedule::bytes() const {
    return position_.size() * 4 + (a_.size() + b_.size() + d_.size()) * 4 + c_.size() * 8 +
           terms_.size() * sizeof(Term) + runs_.size() * sizeof(Run) + constants_.size() * 8 +
           alike_.size() * sizeof(Alike) + locals_.size() * 4;
}

}  // namespace kilograd::program
