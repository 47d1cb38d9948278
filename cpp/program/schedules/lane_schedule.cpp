#include "lane_schedule.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>

#include "../watch.hpp"

namespace kilograd::program {

namespace {

// Dependence analysis by overloading: stands in for a number to find which of a, b and y a derivative reads.
struct Probe {
    unsigned reads = 0;
    Probe() = default;
    explicit Probe(double) {}
    explicit Probe(unsigned mask) : reads(mask) {}
};
constexpr unsigned reads_a = 1, reads_b = 2, reads_y = 4;
[[maybe_unused]] Probe operator|(Probe a, Probe b) { return Probe(a.reads | b.reads); }
[[maybe_unused]] Probe operator&(Probe a, Probe b) { return a | b; }
[[maybe_unused]] Probe operator+(Probe a, Probe b) { return a | b; }
[[maybe_unused]] Probe operator-(Probe a, Probe b) { return a | b; }
[[maybe_unused]] Probe operator*(Probe a, Probe b) { return a | b; }
[[maybe_unused]] Probe operator/(Probe a, Probe b) { return a | b; }
[[maybe_unused]] Probe operator-(Probe a) { return a; }
[[maybe_unused]] Probe operator<(Probe a, Probe b) { return a | b; }
[[maybe_unused]] Probe operator<=(Probe a, Probe b) { return a | b; }
[[maybe_unused]] Probe operator>(Probe a, Probe b) { return a | b; }
[[maybe_unused]] Probe operator>=(Probe a, Probe b) { return a | b; }
[[maybe_unused]] Probe operator==(Probe a, Probe b) { return a | b; }
[[maybe_unused]] Probe operator!=(Probe a, Probe b) { return a | b; }
[[maybe_unused]] Probe select(Probe m, Probe x, Probe y) { return m | x | y; }
#define KILOGRAD_BINARY(name) \
    [[maybe_unused]] Probe name(Probe a, Probe b) { return a | b; }
KILOGRAD_BINARY_FUNCTIONS(KILOGRAD_BINARY)
#undef KILOGRAD_BINARY
#define KILOGRAD_OF_ORDER(name) \
    [[maybe_unused]] Probe name(Probe a, Probe) { return a; }
KILOGRAD_FUNCTIONS_OF_ORDERS(KILOGRAD_OF_ORDER)
#undef KILOGRAD_OF_ORDER
[[maybe_unused]] Probe whole_power(Probe a, Probe b) { return a | b; }
#define KILOGRAD_UNARY(name) \
    [[maybe_unused]] Probe name(Probe a) { return a; }
#include "../../unary_functions.def"
#undef KILOGRAD_UNARY
[[maybe_unused]] Probe logistic(Probe a) { return a; }

struct Reads {
    unsigned da = 0, db = 0;
};

// Made while the library is loaded: a process may be forked in the middle of a function's first call.
const std::array<Reads, code_count> derivative_reads = [] {
    std::array<Reads, code_count> t{};
    const Probe a(reads_a), b(reads_b), c, y(reads_y);
#define KILOGRAD_OP(name, label, arity, edge, value, da_, db_, doc)           \
    t[index_of(Code::name)] = {Rule<Code::name>::da<Probe>(a, b, c, y).reads, \
                               Rule<Code::name>::db<Probe>(a, b, c, y).reads};
#include "../../ops.def"
#include "../reduced_ops.def"
#undef KILOGRAD_OP
    return t;
}();

}  // namespace

// The linear form of a dot of a varying value: uniform multiples of varying values, and at most one uniform value.
struct Linear {
    std::vector<Term> terms;  // varying operand and coefficient (none: one), by operand
    std::uint32_t bias = none;
};

namespace {

bool linear_form(const Graph& graph, const std::vector<std::uint8_t>& varying, const Node& node, Linear& form) {
    form = {};
    for (std::uint32_t t = node.a; t < node.b; ++t) {
        Term term = graph.terms[t];
        if (term.b != none && varying[term.b]) std::swap(term.a, term.b);
        if (!varying[term.a]) {
            if (term.b != none || form.bias != none) return false;
            form.bias = term.a;
        } else if (term.b != none && varying[term.b]) {
            return false;
        } else {
            form.terms.push_back(term);
        }
    }
    std::stable_sort(form.terms.begin(), form.terms.end(), [](auto& l, auto& r) { return l.a < r.a; });
    return true;
}

// The uniform nodes, without constants that are coefficients and nothing else.
std::vector<std::uint8_t> uniform_nodes(const Graph& graph, const std::vector<std::uint8_t>& varying) {
    std::vector<std::uint8_t> marks(graph.nodes.size());
    for (std::size_t n = 0; n < marks.size(); ++n) marks[n] = !varying[n] && graph.nodes[n].code != Code::constant;
    const auto read = [&](std::uint32_t n) { marks[n] |= !varying[n]; };
    for (std::uint32_t n : graph.outputs) read(n);
    Linear form;
    for (std::size_t n = 0; n < marks.size(); ++n) {
        const Node& node = graph.nodes[n];
        if (varying[n] && node.code == Code::dot && linear_form(graph, varying, node, form)) continue;
        graph.for_operands(node, read);
    }
    return marks;
}

}  // namespace

// Slots are handed out along the timeline: instruction t of `count` runs at time t and backwards at 2 count - t.
class LaneSchedule::Builder {
  public:
    Builder(LaneSchedule& schedule, const Graph& graph, Wants wants, const std::vector<std::uint8_t>& varying,
            const std::vector<std::uint8_t>& wanted)
        : p_(schedule), graph_(graph), wants_(wants), varying_(varying), wanted_(wanted) {}

    void run() {
        const std::size_t size = graph_.nodes.size();
        list_instructions();
        find_last_reads();
        slot_.assign(size, none);
        released_.assign(size, 0);
        adjoint_.assign(size, none);
        spread_.assign(size, none);
        for (std::uint32_t n = 0; n < size; ++n) {
            if (!varying_[n] || !is_leaf(graph_.nodes[n].code)) continue;
            const Node& leaf = graph_.nodes[n];
            slot_[n] = take();
            p_.loads.push_back({slot_[n], leaf.a + (leaf.code == Code::parameter ? graph_.n_inputs : 0)});
        }
        for (std::uint32_t t = 0; t < steps_.size(); ++t) forward(t);
        finish_forward();
        if (wants_.any())
            for (std::size_t t = steps_.size(); t-- > 0;) backward(static_cast<std::uint32_t>(t));
        finish();
    }

  private:
    struct Step {
        LaneInstruction::Kind kind;
        std::uint32_t node;                  // Linear: the group's first
        std::vector<std::uint32_t> members;  // Linear
    };
    std::uint32_t time_back(std::uint32_t t) const { return 2 * static_cast<std::uint32_t>(steps_.size()) - t; }

    void list_instructions() {
        std::map<std::vector<std::uint32_t>, std::uint32_t> group_of;
        const std::vector<std::uint8_t> live = needed(graph_);
        Linear form;
        for (std::uint32_t n = 0; n < graph_.nodes.size(); ++n) {
            const Node& node = graph_.nodes[n];
            if (!varying_[n] || is_leaf(node.code)) continue;
            pace_(node.code == Code::dot ? node.b - node.a : 1);
            if (node.code != Code::dot) {
                steps_.push_back({LaneInstruction::Kind::Elementwise, n, {}});
            } else if (!linear_form(graph_, varying_, node, form)) {
                steps_.push_back({LaneInstruction::Kind::Dot, n, {}});
            } else {
                std::vector<std::uint32_t> operands;
                operands.reserve(form.terms.size());
                for (const Term& term : form.terms) operands.push_back(term.a);
                if (!live[n]) operands.push_back(none);  // no reverse sweep goes through it
                const auto [found, is_new] =
                    group_of.emplace(std::move(operands), static_cast<std::uint32_t>(steps_.size()));
                if (is_new) steps_.push_back({LaneInstruction::Kind::Linear, n, {}});
                steps_[found->second].members.push_back(n);
                forms_.emplace(n, form);
            }
        }
    }

    void read(std::uint32_t node, std::uint32_t time) {
        if (varying_[node]) last_read_[node] = std::max(last_read_[node], time);
    }

    void find_last_reads() {
        last_read_.assign(graph_.nodes.size(), 0);
        const auto turn = static_cast<std::uint32_t>(steps_.size());
        for (std::uint32_t n : graph_.outputs) read(n, turn);
        for (std::uint32_t t = 0; t < steps_.size(); ++t) {
            pace_();
            const Step& step = steps_[t];
            const Node& node = graph_.nodes[step.node];
            graph_.for_operands(node, [&](std::uint32_t operand) { read(operand, t); });
            if (!wants_.any()) continue;
            const std::uint32_t back = time_back(t);
            if (step.kind == LaneInstruction::Kind::Elementwise) {
                if (!wanted_[step.node]) continue;
                unsigned reads = wanted_[node.a] ? derivative_reads[index_of(node.code)].da : 0;
                if (info(node.code).arity == Arity::Binary) {
                    if (wanted_[node.b]) reads |= derivative_reads[index_of(node.code)].db;
                    if (reads & reads_b) read(node.b, back);
                }
                if (reads & reads_a) read(node.a, back);
                if (reads & reads_y) read(step.node, back);
            } else if (step.kind == LaneInstruction::Kind::Dot) {
                for (std::uint32_t k = node.a; k < node.b; ++k) {
                    const Term& term = graph_.terms[k];
                    if (term.b == none) continue;
                    if (wanted_[term.a]) read(term.b, back);
                    if (wanted_[term.b]) read(term.a, back);
                }
            } else if (sums_wanted(step)) {
                for (const Term& term : forms_[step.node].terms) read(term.a, back);
            }
        }
    }

    bool sums_wanted(const Step& step) {
        for (std::uint32_t member : step.members) {
            const Linear& form = forms_[member];
            if (form.bias != none && wanted_[form.bias]) return true;
            for (const Term& term : form.terms)
                if (term.b != none && wanted_[term.b]) return true;
        }
        return false;
    }

    std::uint32_t take() {
        if (free_.empty()) return p_.slot_count++;
        const std::uint32_t slot = free_.back();
        free_.pop_back();
        return slot;
    }
    // Gives back the slots of values that are read for the last time now.
    void release(std::uint32_t node, std::uint32_t time) {
        if (!varying_[node] || released_[node] || last_read_[node] > time) return;
        free_.push_back(slot_[node]);
        released_[node] = 1;
    }

    Ref ref(std::uint32_t node) {
        if (varying_[node]) return {slot_[node], false};
        if (spread_[node] == none) {
            spread_[node] = static_cast<std::uint32_t>(p_.spread.size());
            p_.spread.push_back(p_.uniform.position(node));
            p_.sums.push_back(wanted_[node] ? p_.uniform.position(node) : none);
        }
        return {spread_[node], true};
    }

    // A coefficient, or what stands for none.
    void pack(std::uint32_t node, double otherwise) {
        const auto place = static_cast<std::uint32_t>(p_.packed.size());
        const bool is_made = node != none && graph_.nodes[node].code != Code::constant;
        if (is_made) p_.fills.push_back({place, p_.uniform.position(node)});
        p_.packed.push_back(node == none || is_made ? otherwise : graph_.nodes[node].c);
    }

    void forward(std::uint32_t t) {
        pace_();
        const Step& step = steps_[t];
        const Node& node = graph_.nodes[step.node];
        LaneInstruction instruction{step.kind, node.code};
        const auto release_operands = [&] {
            graph_.for_operands(node, [&](std::uint32_t operand) { release(operand, t); });
        };
        if (step.kind == LaneInstruction::Kind::Elementwise) {
            instruction.a = ref(node.a);
            if (info(node.code).arity == Arity::Binary) instruction.b = ref(node.b);
            instruction.c = node.c;
            release_operands();  // before take(): an elementwise kernel may write where it read
            instruction.y = slot_[step.node] = take();
        } else if (step.kind == LaneInstruction::Kind::Dot) {
            instruction.y = slot_[step.node] = take();
            instruction.first = static_cast<std::uint32_t>(p_.terms.size());
            for (std::uint32_t k = node.a; k < node.b; ++k) {
                const Term& term = graph_.terms[k];
                p_.terms.push_back(
                    {ref(term.a), term.b == none ? Ref{none, false} : ref(term.b), none, none, false, false});
            }
            instruction.last = static_cast<std::uint32_t>(p_.terms.size());
            release_operands();
        } else {
            LinearGroup group;
            const std::vector<Term>& operands = forms_[step.node].terms;
            for (const Term& term : operands) group.x.push_back(slot_[term.a]);
            for (std::uint32_t member : step.members) group.y.push_back(slot_[member] = take());
            group.coefficients = static_cast<std::uint32_t>(p_.packed.size());
            for (std::uint32_t member : step.members)
                for (const Term& term : forms_[member].terms) pack(term.b, 1.0);
            for (std::uint32_t member : step.members) {
                const std::uint32_t bias = forms_[member].bias;
                group.has_bias = group.has_bias || bias != none;
                pack(bias, 0.0);
            }
            instruction.first = static_cast<std::uint32_t>(p_.groups.size());
            p_.groups.push_back(std::move(group));
            release_operands();
        }
        p_.instructions.push_back(instruction);
    }

    void finish_forward() {
        const auto turn = static_cast<std::uint32_t>(steps_.size());
        for (std::uint32_t n : graph_.outputs) {
            Output output{ref(n), none, false};
            if (wants_.any() && wanted_[n]) {
                if (varying_[n]) {
                    output.fresh = adjoint_[n] == none;
                    if (output.fresh) adjoint_[n] = take();
                    output.adjoint = adjoint_[n];
                } else {
                    output.adjoint = output.value.index;
                }
            }
            p_.outputs.push_back(output);
        }
        for (std::uint32_t n : graph_.outputs) release(n, turn);
    }

    // The adjoint slot of a wanted operand, and whether this is the first contribution to it.
    std::uint32_t adjoint_of(std::uint32_t node, bool& fresh) {
        fresh = false;
        if (!wanted_[node]) return none;
        if (!varying_[node]) return ref(node).index;
        if (adjoint_[node] == none) {
            fresh = true;
            adjoint_[node] = take();
        }
        return adjoint_[node];
    }

    // An operand that the derivative does not read may have left its slot by now; the kernel then reads whatever is
    // there and does not use it.
    void backward(std::uint32_t t) {
        pace_();
        const Step& step = steps_[t];
        const Node& node = graph_.nodes[step.node];
        LaneInstruction& instruction = p_.instructions[t];
        const std::uint32_t time = time_back(t);
        const auto release_values = [&] {
            graph_.for_operands(node, [&](std::uint32_t operand) { release(operand, time); });
            for (std::uint32_t member : step.members) release(member, time);
            release(step.node, time);
        };
        if (step.kind == LaneInstruction::Kind::Linear) {
            backward_linear(step, instruction);
            release_values();
            return;
        }
        instruction.reverse = wanted_[step.node];
        if (!instruction.reverse) return release_values();
        instruction.dy = adjoint_[step.node];
        if (step.kind == LaneInstruction::Kind::Elementwise) {
            release_values();
            free_.push_back(instruction.dy);
            instruction.da = adjoint_of(node.a, instruction.fresh_a);
            if (info(node.code).arity == Arity::Binary) instruction.db = adjoint_of(node.b, instruction.fresh_b);
        } else {
            for (std::uint32_t k = node.a; k < node.b; ++k) {
                const Term& term = graph_.terms[k];
                DotTerm& out = p_.terms[instruction.first + (k - node.a)];
                out.da = adjoint_of(term.a, out.fresh_a);
                if (term.b != none) out.db = adjoint_of(term.b, out.fresh_b);
            }
            release_values();
            free_.push_back(instruction.dy);
        }
    }

    void backward_linear(const Step& step, LaneInstruction& instruction) {
        LinearGroup& group = p_.groups[instruction.first];
        const std::vector<Term>& operands = forms_[step.node].terms;
        for (std::uint32_t member : step.members)
            if (wanted_[member]) group.dy.push_back(adjoint_[member]);
        instruction.reverse = !group.dy.empty();
        group.sums = instruction.reverse && sums_wanted(step);
        // One wanted operand makes every member wanted, so that rows of dy and of the coefficients agree.
        bool any_operand = false;
        for (const Term& term : operands) any_operand = any_operand || (instruction.reverse && wanted_[term.a]);
        if (any_operand) {
            for (const Term& term : operands) {
                bool fresh = false;
                group.dx.push_back(adjoint_of(term.a, fresh));
                group.accumulate.push_back(!fresh);
            }
        }
        if (group.sums) {
            group.sum = static_cast<std::uint32_t>(p_.sums.size());
            const auto target = [&](std::uint32_t node) {
                p_.sums.push_back(node != none && wanted_[node] ? p_.uniform.position(node) : none);
            };
            for (std::uint32_t member : step.members)
                if (wanted_[member])
                    for (const Term& term : forms_[member].terms) target(term.b);
            if (group.has_bias)
                for (std::uint32_t member : step.members)
                    if (wanted_[member]) target(forms_[member].bias);
        }
        for (std::uint32_t slot : group.dy) free_.push_back(slot);
    }

    void finish() {
        for (std::uint32_t n = 0; n < graph_.nodes.size(); ++n) {
            const Node& leaf = graph_.nodes[n];
            if (is_leaf(leaf.code) && adjoint_[n] != none)
                p_.gradients.push_back({adjoint_[n], leaf.a + (leaf.code == Code::parameter ? graph_.n_inputs : 0)});
        }
        std::sort(p_.gradients.begin(), p_.gradients.end(),
                  [](const Load& l, const Load& r) { return l.number < r.number; });
        join();
    }

    // Functions of one operand that are alike, as of the neurons of a layer, become one instruction where slot follows
    // slot: a call less each.
    void join() {
        std::vector<LaneInstruction> joined;
        for (const LaneInstruction& next : p_.instructions)
            if (!joined.empty() && continues(joined.back(), next))
                ++joined.back().count;
            else
                joined.push_back(next);
        p_.instructions = std::move(joined);
    }

    // In reverse the last one was first: then none may write what another reads.
    static bool continues(const LaneInstruction& i, const LaneInstruction& next) {
        const auto is_unary = [](const LaneInstruction& of) {
            return of.kind == LaneInstruction::Kind::Elementwise && of.b.index == none && !of.a.uniform;
        };
        const auto follows = [&](std::uint32_t slot, std::uint32_t other) {
            return slot == none ? other == none : other == slot + i.count;
        };
        const auto apart = [&](std::uint32_t read) {
            return i.da == none || i.da == read || i.da + i.count < read || read + i.count < i.da;
        };
        return is_unary(i) && is_unary(next) && i.code == next.code && i.c == next.c && i.reverse == next.reverse &&
               i.fresh_a == next.fresh_a && follows(i.y, next.y) && follows(i.a.index, next.a.index) &&
               follows(i.dy, next.dy) && follows(i.da, next.da) && apart(i.y) && apart(i.a.index) && apart(i.dy);
    }

    LaneSchedule& p_;
    const Graph& graph_;
    const Wants wants_;
    const std::vector<std::uint8_t>&varying_, &wanted_;
    Pace pace_;
    std::vector<Step> steps_;
    std::unordered_map<std::uint32_t, Linear> forms_;
    std::vector<std::uint32_t> last_read_, slot_, adjoint_, spread_, free_;
    std::vector<std::uint8_t> released_;
};

LaneSchedule::LaneSchedule(const Graph& graph, Wants wants)
    : LaneSchedule(graph, wants, depends_on(graph, true, wants.promoted),
                   swept_back(graph, wants.inputs, wants.parameters)) {}

LaneSchedule::LaneSchedule(const Graph& graph, Wants wants, const std::vector<std::uint8_t>& varying,
                           const std::vector<std::uint8_t>& wanted)
    : uniform(graph, uniform_nodes(graph, varying), wanted) {
    Builder(*this, graph, wants, varying, wanted).run();
}

std::size_t LaneSchedule::bytes() const {
    std::size_t total = uniform.bytes() + instructions.size() * sizeof(LaneInstruction) +
                        terms.size() * sizeof(DotTerm) + (spread.size() + sums.size()) * 4 +
                        (packed.size() + fills.size()) * 8;
    for (const LinearGroup& group : groups)
        total += sizeof group + (group.x.size() + group.y.size() + group.dx.size() + group.dy.size()) * 4;
    return total;
}

}  // namespace kilograd::program
