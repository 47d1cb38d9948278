#include "program.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <new>
#include <utility>

#include "kernels/isa.hpp"
#include "threads.hpp"
#include "watch.hpp"

namespace kilograd::program {

namespace {

// Memory for slots and sums. What was used last a thread keeps for its next call: fresh pages cost more than the work
// of a small call. A call takes it away, so that one from within (watch.hpp) finds none and gets its own.
class Scratch {
  public:
    struct Free {
        void operator()(double* memory) const { ::operator delete(memory, alignment); }
    };
    struct Memory {
        std::unique_ptr<double, Free> data;
        std::size_t capacity = 0;
    };

    Scratch(Memory& kept, std::size_t doubles) : kept_(kept), memory_(std::exchange(kept, {})) {
        if (doubles <= memory_.capacity) return;
        memory_ = {};
        memory_.data.reset(static_cast<double*>(::operator new(doubles * sizeof(double), alignment)));
        memory_.capacity = doubles;
    }
    ~Scratch() {
        if (memory_.capacity <= most_kept && memory_.capacity > kept_.capacity) kept_ = std::move(memory_);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    double* data() const { return memory_.data.get(); }

  private:
    static constexpr std::align_val_t alignment{64};
    static constexpr std::size_t most_kept = std::size_t{1} << 22;  // 32 MB
    Memory& kept_;
    Memory memory_;
};

thread_local Scratch::Memory kept_of_calls, kept_of_shards;

constexpr std::size_t most_shards = 32;
constexpr std::size_t block_bytes = 96 * 1024;  // half as much costs 8 % (more calls), 16 KB 40 %

constexpr std::size_t tile = 64;  // rows whose columns are moved together, so that a cache line is met once

std::size_t ceil_div(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

// Eight sums side by side: one is bound by the latency of its additions.
double sum_of(const double* x, std::size_t count) {
    double part[8] = {};
    std::size_t k = 0;
    for (; k + 8 <= count; k += 8)
        for (std::size_t j = 0; j < 8; ++j) part[j] += x[k + j];
    for (std::size_t j = 0; k < count; ++k, ++j) part[j] += x[k];
    return ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
}

void copy_column(const double* from, std::ptrdiff_t step, std::size_t count, double* to) {
    if (step == 1)
        std::copy_n(from, count, to);
    else
        for (std::size_t r = 0; r < count; ++r, from += step) to[r] = *from;
}

// n columns, side by side in rows that are `step` apart: one store of several numbers costs what one of one costs.
template <std::size_t n>
void interleave(const std::array<const double*, n>& columns, std::size_t count, double* to, std::size_t step) {
    for (std::size_t r = 0; r < count; ++r, to += step) {
        std::array<double, n> row;
        for (std::size_t k = 0; k < n; ++k) row[k] = columns[k][r];
        std::copy_n(row.data(), n, to);
    }
}

std::string describe(Fault fault, const std::string& label, double operand, std::size_t row, bool in_every_row) {
    std::string text = fault == Fault::Domain     ? "outside the domain of "
                       : fault == Fault::Overflow ? "result too large for "
                                                  : "division by zero in ";
    text += "'" + label + "' at " + text_of(operand);
    text += in_every_row ? " (in every row)" : " (row " + std::to_string(row) + ")";
    return text + "; check=False lets infinities and NaN flow";
}

}  // namespace

DomainError::DomainError(Fault fault_, std::string label_, double operand_, std::size_t row_, bool in_every_row_)
    : std::runtime_error(describe(fault_, label_, operand_, row_, in_every_row_)),
      fault(fault_),
      label(std::move(label_)),
      operand(operand_),
      row(row_),
      in_every_row(in_every_row_) {}

Program::Program(Graph graph) : graph_(std::move(graph)) {
    total_ = std::all_of(graph_.nodes.begin(), graph_.nodes.end(),
                         [](const Node& node) { return is_leaf(node.code) || is_total(node.code); });
}

const Kernels& Program::chosen() { return chosen_kernels(); }

const LaneProgram& Program::lanes(Wants wants) const {
    return lanes_[wants.key()].get([&] { return std::make_unique<LaneProgram>(graph_, wants); });
}

const Colouring& Program::colouring(bool promoted) const {
    return colourings_[promoted].get([&] { return std::make_unique<Colouring>(colour_hessian(graph_, promoted)); });
}

const Program::Entries& Program::entries(bool promoted) const {
    return entries_[promoted].get([&] {
        auto made = std::make_unique<Entries>();
        if (std::optional<SecondOrder> found = differentiate_twice(graph_, promoted)) {
            made->program = std::make_unique<const Program>(std::move(found->graph));
            made->at = std::move(found->at);
        }
        return made;
    });
}

const Program::RowSchedule& Program::rows(Wants wants) const {
    return rows_[wants.key()].get([&] {
        const std::size_t size = graph_.nodes.size();
        std::vector<std::uint8_t> wanted(size, 0);
        for (std::size_t n = 0; n < size; ++n) {
            const Node& node = graph_.nodes[n];
            if (is_leaf(node.code))
                wanted[n] = node.code == Code::input ? wants.inputs : node.code == Code::parameter && wants.parameters;
            else
                graph_.for_operands(node, [&](std::uint32_t operand) { wanted[n] |= wanted[operand]; });
        }
        auto made = std::make_unique<RowSchedule>(
            RowSchedule{RowProgram(graph_, std::vector<std::uint8_t>(size, 1), wanted), {}, {}, {}});
        for (std::uint32_t n : graph_.outputs) made->outputs.push_back(made->program.position(n));
        for (std::uint32_t n = 0; n < size; ++n) {
            if (graph_.nodes[n].code == Code::input)
                made->input_gradients.emplace_back(made->program.position(n), graph_.nodes[n].a);
            if (graph_.nodes[n].code == Code::parameter)
                made->parameter_gradients.emplace_back(made->program.position(n), graph_.nodes[n].a);
        }
        return made;
    });
}

void Program::diagnose(const Request& request, std::size_t row) const {
    std::vector<double> v(graph_.nodes.size());
    std::vector<bool> varying(graph_.nodes.size());
    const double* x = request.x + static_cast<std::ptrdiff_t>(row / request.repeat) * request.row_stride;
    for (std::uint32_t n = 0; n < graph_.nodes.size(); ++n) {
        const Node& node = graph_.nodes[n];
        graph_.for_operands(node, [&](std::uint32_t operand) { varying[n] = varying[n] || varying[operand]; });
        if (node.code == Code::constant) {
            v[n] = node.c;
        } else if (node.code == Code::parameter) {
            v[n] = request.parameters[node.a];
        } else if (node.code == Code::input) {
            v[n] = x[node.a * request.column_stride];
            varying[n] = true;
        } else if (node.code == Code::dot) {
            double sum = 0.0;
            for (std::uint32_t t = node.a; t < node.b; ++t) {
                const RowTerm& term = graph_.terms[t];
                sum += term.b == none ? v[term.a] : v[term.a] * v[term.b];
            }
            v[n] = sum;
        } else {
            const double b = info(node.code).arity == Arity::Binary ? v[node.b] : 0.0;
            v[n] = evaluate(node.code, v[node.a], b, node.c);
            const Fault fault = fault_of(node.code, v[node.a], b, node.c, v[n]);
            if (fault != Fault::None)
                throw DomainError(fault, label_of(node), node.code == Code::div ? b : v[node.a],
                                  request.first + row / request.repeat, !varying[n]);
        }
    }
}

void Program::run_row(const Request& request, const Kernels& kernels) const {
    const bool reverse = request.dx || request.dp;
    const RowSchedule& schedule = rows({request.dx != nullptr, request.dp != nullptr, false});
    const std::size_t size = schedule.program.size();
    const Scratch scratch(kept_of_calls, (reverse ? 2 : 1) * size + 2 * 8);
    double* values = scratch.data();
    const RowCode code = schedule.program.code();
    schedule.program.load(request.x, request.column_stride, request.parameters, values);
    if (kernels.row_forward(code, values) && request.check) diagnose(request, 0);
    const double* weights = request.weights;
    if (request.values)
        for (std::size_t o = 0; o < schedule.outputs.size(); ++o) request.values[o] = values[schedule.outputs[o]];
    if (reverse) {
        double* adjoints = values + size + 8;
        std::fill(adjoints, adjoints + size, 0.0);
        for (std::size_t o = 0; o < schedule.outputs.size(); ++o)
            adjoints[schedule.outputs[o]] += weights ? weights[o] : 1.0;
        kernels.row_reverse(code, values, adjoints);
        if (request.dx) {
            std::fill(request.dx, request.dx + n_inputs(), 0.0);
            for (const auto& [position, number] : schedule.input_gradients) request.dx[number] = adjoints[position];
        }
        if (request.dp) {
            std::fill(request.dp, request.dp + n_parameters(), 0.0);
            for (const auto& [position, number] : schedule.parameter_gradients) request.dp[number] = adjoints[position];
        }
    }
}

// One call over a batch.
class Program::BatchRun {
  public:
    BatchRun(const Program& program, const Request& request, const Kernels& kernels)
        : program_(program),
          request_(request),
          kernels_(kernels),
          dual_(request.tangents || request.unit_tangents),
          reverse_(request.dx || request.dx_tangents || request.dp),
          lanes_(program.lanes(
              {request.dx || request.dx_tangents, request.dp || (reverse_ && request.promoted), request.promoted})),
          width_(static_cast<std::size_t>(kernels.width)),
          factor_(dual_ ? 2 : 1),
          columns_(program.n_inputs() + (request.promoted ? program.n_parameters() : 0)) {
        const std::size_t row_bytes = std::max<std::size_t>(1, lanes_.slot_count) * factor_ * sizeof(double);
        const std::size_t most = std::clamp<std::size_t>(block_bytes / row_bytes / width_, 1, 64) * width_;
        const std::size_t blocks = std::max<std::size_t>(1, ceil_div(request.rows, most));
        block_rows_ = ceil_div(ceil_div(std::max<std::size_t>(request.rows, 1), blocks), width_) * width_;
        block_count_ = ceil_div(request.rows, block_rows_);
        shard_blocks_ = std::max<std::size_t>(1, ceil_div(block_count_, most_shards));
        shard_count_ = ceil_div(block_count_, shard_blocks_);
    }

    void run() {
        const RowProgram& uniform = lanes_.uniform;
        const std::size_t outputs = lanes_.outputs.size(), padded = ceil_div(uniform.size() + width_, 8) * 8;
        const std::size_t spread = lanes_.spread.size() * factor_ * width_;
        sum_count_ = request_.dp ? lanes_.sums.size() : 0;
        result_size_ = sum_count_ + 2 * outputs;  // per shard: sums of gradients, values, weights
        const Scratch scratch(kept_of_calls, spread + 2 * padded + lanes_.packed.size() +
                                                 std::max<std::size_t>(1, shard_count_) * result_size_);
        spread_ = scratch.data();
        double* values = spread_ + spread;
        double* adjoints = values + padded;
        packed_ = adjoints + padded;
        results_ = packed_ + lanes_.packed.size();

        uniform.load(nullptr, 0, request_.parameters, values);
        if (kernels_.row_forward(uniform.code(), values) && request_.check && request_.rows)
            program_.diagnose(request_, 0);
        for (std::size_t k = 0; k < lanes_.spread.size(); ++k) {
            double* to = spread_ + k * factor_ * width_;
            std::fill(to, to + width_, values[lanes_.spread[k]]);
            if (dual_) std::fill(to + width_, to + 2 * width_, 0.0);
        }
        for (std::size_t k = 0; k < lanes_.packed.size(); ++k) {
            const std::uint32_t position = lanes_.packed[k];
            packed_[k] = position == none ? 0.0 : position == LaneProgram::one ? 1.0 : values[position];
        }
        seed_scale_ = request_.reduce == Reduce::Mean ? 1.0 / static_cast<double>(request_.rows) : 1.0;
        if (shard_count_ == 1)
            run_shard(0);
        else
            parallel(shard_count_, request_.threads, [this](std::size_t shard) { run_shard(shard); });

        double* total = results_;  // the first shard's, to which the others are added
        if (shard_count_ == 0) std::fill(total, total + result_size_, 0.0);
        for (std::size_t shard = 1; shard < shard_count_; ++shard)
            for (std::size_t k = 0; k < result_size_; ++k) total[k] += results_[shard * result_size_ + k];
        if (request_.values && request_.reduce != Reduce::None)
            for (std::size_t o = 0; o < outputs; ++o) request_.values[o] = total[sum_count_ + o] * seed_scale_;
        if (request_.dp) {
            std::fill(adjoints, adjoints + uniform.size(), 0.0);
            for (std::size_t k = 0; k < sum_count_; ++k)
                if (lanes_.sums[k] != none) adjoints[lanes_.sums[k]] += total[k];
            for (std::size_t o = 0; o < outputs; ++o)
                if (lanes_.outputs[o].value.uniform && lanes_.outputs[o].adjoint != none)
                    adjoints[lanes_.spread[lanes_.outputs[o].value.index]] += total[sum_count_ + outputs + o];
            kernels_.row_reverse(uniform.code(), values, adjoints);
            std::fill(request_.dp, request_.dp + program_.n_parameters(), 0.0);
            for (const auto& gradient : lanes_.parameter_gradients)
                request_.dp[gradient.number] = adjoints[gradient.position];
        }
    }

  private:
    double weight(std::size_t row, std::size_t output) const {
        if (request_.unit_weights) return row % request_.repeat == output ? 1.0 : 0.0;
        if (!request_.weights) return seed_scale_;
        return seed_scale_ * request_.weights[static_cast<std::ptrdiff_t>(row) * request_.weight_row_stride +
                                              static_cast<std::ptrdiff_t>(output)];
    }

    void run_shard(std::size_t shard) {
        const std::size_t slots_size = lanes_.slot_count * block_rows_ * factor_;
        const Scratch scratch(kept_of_shards, slots_size + sum_count_ * width_);
        double* slots = scratch.data();
        double* sums = slots + slots_size;
        double* result = results_ + shard * result_size_;
        const std::size_t first = shard * shard_blocks_ * block_rows_;
        const std::size_t last = std::min(request_.rows, first + shard_blocks_ * block_rows_);
        run_blocks({slots, sums, first, last}, result);
        kernels_.sum_lanes(sums, sum_count_, result);
        if ((last - first) % width_ != 0 && std::any_of(result, result + sum_count_, [](double x) { return x != x; })) {
            // An infinite derivative times the zero weight of a row of padding may have made this NaN. Once more, the
            // rows of the last, incomplete vector each by itself, in all lanes, of which one counts.
            const std::size_t whole = last - (last - first) % width_;
            run_blocks({slots, sums, first, whole}, result);
            kernels_.sum_lanes(sums, sum_count_, result);
            for (std::size_t row = whole; row < last; ++row) {
                std::fill(sums, sums + sum_count_ * width_, 0.0);
                run_block({slots, sums, row, 1, true}, result);
                for (std::size_t k = 0; k < sum_count_; ++k) result[k] += sums[k * width_];
            }
        }
    }

    struct Stretch {
        double* slots;
        double* sums;
        std::size_t first, last;  // rows
    };
    void run_blocks(const Stretch& stretch, double* result) const {
        std::fill(stretch.sums, stretch.sums + sum_count_ * width_, 0.0);
        std::fill(result, result + result_size_, 0.0);
        for (std::size_t row = stretch.first; row < stretch.last; row += block_rows_) {
            if (row != stretch.first) look_up();
            run_block({stretch.slots, stretch.sums, row, std::min(block_rows_, stretch.last - row)}, result);
        }
    }

    struct Block {
        double* slots;
        double* sums;
        std::size_t first, count;          // rows
        bool mirrored = false;             // padding repeats the last row's weight too
        std::size_t padded = 0, slot = 0;  // rows with padding; doubles of a slot
        double* at(std::uint32_t index) const { return slots + index * slot; }
    };

    void run_block(Block block, double* result) const {
        block.padded = ceil_div(block.count, width_) * width_;
        block.slot = block.padded * factor_;
        load(block);
        bool suspects = false;
        const std::vector<LaneInstruction>& instructions = lanes_.instructions;
        Pace pace;
        for (std::size_t k = 0; k < instructions.size(); ++k) {
            suspects |= forward(block, instructions[k]);
            pace(block.padded);
        }
        if (suspects && request_.check)
            for (std::size_t r = 0; r < block.count; ++r) program_.diagnose(request_, block.first + r);
        store_values(block, result + sum_count_);
        if (!reverse_) return;
        seed(block, result + sum_count_ + lanes_.outputs.size());
        for (std::size_t k = instructions.size(); k-- > 0;) {
            if (instructions[k].reverse) backward(block, instructions[k]);
            pace(block.padded);
        }
        store_gradients(block);
    }

    // Rows beyond the batch repeat the last one, so that they meet no error of their own.
    void load(const Block& block) const {
        if (request_.repeat == 1) load_columns(block);
        for (const LaneProgram::Load& item : lanes_.loads) {
            double* to = block.at(item.slot);
            if (item.number >= program_.n_inputs()) {
                std::fill(to, to + block.padded, request_.parameters[item.number - program_.n_inputs()]);
            } else {
                if (request_.repeat != 1) {
                    const double* from = request_.x + item.number * request_.column_stride;
                    for (std::size_t r = 0; r < block.count; ++r)
                        to[r] = from[static_cast<std::ptrdiff_t>((block.first + r) / request_.repeat) *
                                     request_.row_stride];
                }
                std::fill(to + block.count, to + block.padded, to[block.count - 1]);
            }
            if (!dual_) continue;
            double* tangent = to + block.padded;
            for (std::size_t r = 0; r < block.count; ++r) {
                const std::size_t row = block.first + r;
                tangent[r] = request_.unit_tangents ? (row % request_.repeat == item.number ? 1.0 : 0.0)
                                                    : request_.tangents[row * columns_ + item.number];
            }
            std::fill(tangent + block.count, tangent + block.padded, 0.0);
        }
    }

    // Rows of x into slots.
    void load_columns(const Block& block) const {
        for (std::size_t first = 0; first < block.count; first += tile) {
            const auto row = static_cast<std::ptrdiff_t>(block.first + first);
            for (const LaneProgram::Load& item : lanes_.loads)
                if (item.number < program_.n_inputs())
                    copy_column(request_.x + row * request_.row_stride + item.number * request_.column_stride,
                                request_.row_stride, std::min(tile, block.count - first), block.at(item.slot) + first);
        }
    }

    const double* operand(const Block& block, Ref ref) const {
        return ref.uniform ? spread_ + ref.index * factor_ * width_ : block.at(ref.index);
    }
    std::ptrdiff_t step(Ref ref) const { return ref.uniform ? 0 : static_cast<std::ptrdiff_t>(width_); }

    ForwardArguments arguments(const Block& block, const LaneInstruction& i) const {
        return {block.at(i.y),
                operand(block, i.a),
                i.b.index == none ? nullptr : operand(block, i.b),
                i.c,
                step(i.a),
                i.b.index == none ? 0 : step(i.b),
                static_cast<std::ptrdiff_t>(block.padded)};
    }

    DotArguments dot_arguments(const Block& block, const LaneInstruction& i) const {
        return {block.slots,
                block.slots,
                spread_,
                block.sums,
                lanes_.terms.data() + i.first,
                i.last - i.first,
                i.y,
                i.dy,
                static_cast<std::ptrdiff_t>(block.padded)};
    }

    bool forward(const Block& block, const LaneInstruction& i) const {
        switch (i.kind) {
            case LaneInstruction::Kind::Elementwise:
                return (dual_ ? kernels_.forward_dual : kernels_.forward)[index_of(i.code)](arguments(block, i));
            case LaneInstruction::Kind::Dot:
                (dual_ ? kernels_.dot_dual : kernels_.dot)(dot_arguments(block, i));
                return false;
            case LaneInstruction::Kind::Linear: {
                const LinearGroup& g = lanes_.groups[i.first];
                const double* coefficients = packed_ + g.coefficients;
                LinearArguments a{coefficients,
                                  static_cast<std::ptrdiff_t>(g.x.size()),
                                  1,
                                  g.has_bias ? coefficients + g.x.size() * g.y.size() : nullptr,
                                  block.slots,
                                  g.x.data(),
                                  g.x.size(),
                                  block.slots,
                                  g.y.data(),
                                  nullptr,
                                  g.y.size(),
                                  static_cast<std::ptrdiff_t>(block.padded),
                                  static_cast<std::ptrdiff_t>(block.slot)};
                kernels_.linear(a);
                if (dual_) {  // coefficients and biases have no tangent
                    a.bias = nullptr;
                    a.x_base = a.y_base = block.slots + block.padded;
                    kernels_.linear(a);
                }
                return false;
            }
        }
        return false;
    }

    void backward(const Block& block, const LaneInstruction& i) const {
        switch (i.kind) {
            case LaneInstruction::Kind::Elementwise: {
                const auto target = [&](std::uint32_t index, Ref ref) -> double* {
                    if (index == none) return nullptr;
                    return ref.uniform ? block.sums + index * width_ : block.at(index);
                };
                const ReverseArguments a{{arguments(block, i)}, block.at(i.dy), target(i.da, i.a),
                                         target(i.db, i.b),     i.fresh_a,      i.fresh_b};
                (dual_ ? kernels_.reverse_dual : kernels_.reverse)[index_of(i.code)](a);
                return;
            }
            case LaneInstruction::Kind::Dot:
                (dual_ ? kernels_.dot_reverse_dual : kernels_.dot_reverse)(dot_arguments(block, i));
                return;
            case LaneInstruction::Kind::Linear:
                backward_linear(block, lanes_.groups[i.first]);
        }
    }

    void backward_linear(const Block& block, const LinearGroup& g) const {
        const auto rows = static_cast<std::ptrdiff_t>(block.padded), slot = static_cast<std::ptrdiff_t>(block.slot);
        if (!g.dx.empty()) {
            LinearArguments a{packed_ + g.coefficients,
                              1,
                              static_cast<std::ptrdiff_t>(g.x.size()),
                              nullptr,
                              block.slots,
                              g.dy.data(),
                              g.dy.size(),
                              block.slots,
                              g.dx.data(),
                              g.accumulate.data(),
                              g.dx.size(),
                              rows,
                              slot};
            kernels_.linear(a);
            if (dual_) {
                a.x_base = a.y_base = block.slots + block.padded;
                kernels_.linear(a);
            }
        }
        if (g.sums) {
            double* sums = block.sums + g.sum * width_;
            kernels_.outer({block.slots, g.dy.data(), g.dy.size(), block.slots, g.x.data(), g.x.size(), sums,
                            g.has_bias ? sums + g.dy.size() * g.x.size() * width_ : nullptr, rows, slot});
        }
    }

    void store_values(const Block& block, double* totals) const {
        const std::size_t outputs = lanes_.outputs.size();
        for (std::size_t o = 0; o < outputs; ++o) {
            const Ref ref = lanes_.outputs[o].value;
            const double* from = operand(block, ref);
            if (request_.values && request_.reduce != Reduce::None) {
                totals[o] += ref.uniform ? *from * static_cast<double>(block.count) : sum_of(from, block.count);
            } else if (request_.values) {
                double* to = request_.values + block.first * outputs + o;
                for (std::size_t r = 0; r < block.count; ++r) to[r * outputs] = from[ref.uniform ? 0 : r];
            }
            if (request_.value_tangents) {
                double* to = request_.value_tangents + block.first * outputs + o;
                for (std::size_t r = 0; r < block.count; ++r)
                    to[r * outputs] = ref.uniform ? 0.0 : from[block.padded + r];
            }
        }
    }

    void seed(const Block& block, double* uniform_weights) const {
        for (std::size_t o = 0; o < lanes_.outputs.size(); ++o) {
            const LaneProgram::Output& output = lanes_.outputs[o];
            if (output.adjoint == none) continue;
            if (output.value.uniform) {
                for (std::size_t r = 0; r < block.count; ++r) uniform_weights[o] += weight(block.first + r, o);
                continue;
            }
            double* to = block.at(output.adjoint);
            if (output.fresh) std::fill(to, to + block.slot, 0.0);
            if (!request_.weights && !request_.unit_weights)
                for (std::size_t r = 0; r < block.count; ++r) to[r] += seed_scale_;
            else
                for (std::size_t r = 0; r < block.count; ++r) to[r] += weight(block.first + r, o);
            if (block.mirrored) std::fill(to + block.count, to + block.padded, to[block.count - 1]);
        }
    }

    void store_gradients(const Block& block) const {
        if (request_.dx) store_columns(block, 0, request_.dx);
        if (request_.dx_tangents) store_columns(block, block.padded, request_.dx_tangents);
    }

    // Slots into rows.
    void store_columns(const Block& block, std::size_t offset, double* rows) const {
        const std::vector<LaneProgram::Load>& columns = lanes_.gradients;
        rows += block.first * columns_;
        if (columns.size() < columns_) std::fill_n(rows, block.count * columns_, 0.0);
        for (std::size_t first = 0; first < block.count; first += tile) {
            const std::size_t count = std::min(tile, block.count - first);
            const auto from = [&](std::size_t k) { return block.at(columns[k].slot) + offset + first; };
            for (std::size_t k = 0; k < columns.size();) {
                double* to = rows + first * columns_ + columns[k].number;
                const auto side_by_side = [&](std::size_t n) {
                    return k + n <= columns.size() && columns[k + n - 1].number == columns[k].number + n - 1;
                };
                if (side_by_side(4)) {
                    interleave<4>({from(k), from(k + 1), from(k + 2), from(k + 3)}, count, to, columns_);
                    k += 4;
                } else if (side_by_side(2)) {
                    interleave<2>({from(k), from(k + 1)}, count, to, columns_);
                    k += 2;
                } else {
                    interleave<1>({from(k)}, count, to, columns_);
                    k += 1;
                }
            }
        }
    }

    const Program& program_;
    const Request& request_;
    const Kernels& kernels_;
    const bool dual_, reverse_;
    const LaneProgram& lanes_;
    const std::size_t width_, factor_, columns_;
    std::size_t block_rows_ = 0, block_count_ = 0, shard_blocks_ = 0, shard_count_ = 0;
    std::size_t sum_count_ = 0, result_size_ = 0;
    double seed_scale_ = 1.0;
    double *spread_ = nullptr, *packed_ = nullptr, *results_ = nullptr;
};

void Program::run(const Request& request, const Kernels& kernels) const {
    const bool dual = request.tangents || request.unit_tangents;
    if (request.rows == 1 && !dual && !request.promoted && !request.unit_weights)
        run_row(request, kernels);
    else
        BatchRun(*this, request, kernels).run();
}

// Fills square matrices, row after row of a batch: f(square) sets what is not zero.
template <class F>
static void fill_squares(double* to, std::size_t rows, std::size_t size, F&& f) {
    const std::size_t area = size * size, stretch = std::max<std::size_t>(1, 4096 / std::max<std::size_t>(1, area));
    Pace pace;
    for (std::size_t first = 0; first < rows; first += stretch) {
        const std::size_t count = std::min(stretch, rows - first);
        pace(count * area);
        std::fill(to, to + count * area, 0.0);
        for (std::size_t r = 0; r < count; ++r, to += area) f(to);
    }
}

// Calls f(rows, first) with the request for a few rows after the other, so many that what is kept for them on the way,
// `doubles` a row, stays small.
template <class F>
void Program::in_parts(const Request& given, std::size_t doubles, F&& f) const {
    constexpr std::size_t most = std::size_t{1} << 21;  // 16 MB: blocks enough for all threads
    const std::size_t rows = std::max<std::size_t>(1, most / std::max<std::size_t>(1, doubles));
    for (std::size_t first = 0; first < given.rows; first += rows) {
        look_up();
        Request part = given;
        part.rows = std::min(rows, given.rows - first);
        part.first += first;
        if (part.x) part.x += static_cast<std::ptrdiff_t>(first) * given.row_stride;
        if (part.weights) part.weights += static_cast<std::ptrdiff_t>(first) * given.weight_row_stride;
        f(part, first);
    }
}

void Program::hessian(const Request& given, double* to, const Kernels& kernels) const {
    if (given.weights || !entries(given.promoted).program) return hessian_by_sweeps(given, to, kernels);
    const Entries& entries = this->entries(given.promoted);
    const std::size_t size = columns(given.promoted), count = entries.at.size();
    // Derivatives are not checked, and need not hold all operations that are.
    const bool checked = given.check && !total_;
    std::vector<double> values, found;
    in_parts(given, count + (checked ? n_outputs() : 0) + size, [&](Request& request, std::size_t first) {
        request.promoted = false;
        if (checked) {
            values.resize(request.rows * n_outputs());
            request.values = values.data();
            run(request, kernels);
        }
        request.check = false;
        found.resize(request.rows * count);
        request.values = found.data();
        entries.program->run(request, kernels);
        fill_squares(to + first * size * size, request.rows, size, [&, from = found.data()](double* square) mutable {
            for (const auto& [row, column] : entries.at)
                square[row * size + column] = square[column * size + row] = *from++;
        });
    });
}

void Program::hessian_by_sweeps(const Request& given, double* to, const Kernels& kernels) const {
    const Colouring& colouring = this->colouring(given.promoted);
    const std::size_t size = columns(given.promoted);
    const bool coloured = colouring.colour_count != 0;
    const std::size_t sweeps = coloured ? colouring.colour_count : size;
    std::vector<double> weights, tangents, compressed;
    in_parts(given, sweeps * (coloured ? 2 * size : 1), [&](Request& request, std::size_t first) {
        const std::size_t rows = request.rows;
        request.repeat = std::max<std::size_t>(sweeps, 1);
        request.rows = rows * sweeps;
        if (given.weight_row_stride != 0) {
            const double* from = request.weights;
            weights.clear();
            weights.reserve(request.rows * n_outputs());
            for (std::size_t r = 0; r < rows; ++r, from += given.weight_row_stride)
                for (std::size_t k = 0; k < sweeps; ++k) weights.insert(weights.end(), from, from + n_outputs());
            request.weights = weights.data();
            request.weight_row_stride = n_outputs();
        }
        double* square = to + first * size * size;
        if (!coloured) {
            request.unit_tangents = true;
            request.dx_tangents = square;
            return run(request, kernels);
        }
        tangents.assign(request.rows * size + 1, 0.0);
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t column = 0; column < size; ++column)
                tangents[(r * sweeps + colouring.colours[column]) * size + column] = 1.0;
        compressed.resize(request.rows * size + 1);
        request.tangents = tangents.data();
        request.dx_tangents = compressed.data();
        run(request, kernels);
        fill_squares(square, rows, size, [&, from = compressed.data()](double* of_row) mutable {
            for (const auto& [row, column] : colouring.at)
                of_row[row * size + column] = from[colouring.colours[column] * size + row];
            from += sweeps * size;
        });
    });
}

std::size_t Program::bytes() const {
    std::size_t total = graph_.nodes.size() * sizeof(Node) + graph_.terms.size() * sizeof(RowTerm) +
                        (graph_.outputs.size() + graph_.recorded.size()) * 4;
    for (const auto& lanes : lanes_)
        if (lanes.get()) total += lanes.get()->bytes();
    for (const auto& rows : rows_)
        if (rows.get()) total += rows.get()->program.bytes();
    for (const auto& colouring : colourings_)
        if (colouring.get()) total += colouring.get()->colours.size() * 4 + colouring.get()->at.size() * 8;
    for (const auto& entries : entries_)
        if (entries.get() && entries.get()->program)
            total += entries.get()->program->bytes() + entries.get()->at.size() * 8;
    return total;
}

}  // namespace kilograd::program
