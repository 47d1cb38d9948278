#include "batch.hpp"

#include <algorithm>
#include <vector>

#include "../watch.hpp"
#include "diagnosis.hpp"
#include "moves.hpp"
#include "scratch.hpp"
#include "threads.hpp"

namespace kilograd::program {

namespace {

constexpr std::size_t block_bytes = 96 * 1024;  // half as much costs 8 % (more calls), 16 KB 40 %

constexpr std::size_t tile_vectors = 4;  // which matrix products take together (block_kernels.hpp)

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

class Batch {
  public:
    Batch(const Graph& graph, const LaneSchedule& schedule, const Request& request, const Kernels& kernels)
        : graph_(graph),
          schedule_(schedule),
          request_(request),
          kernels_(kernels),
          dual_(request.dual()),
          reverse_(request.reverse()),
          width_(static_cast<std::size_t>(kernels.width)),
          factor_(dual_ ? 2 : 1),
          columns_(request.columns(graph)),
          sum_count_(request.dp ? schedule.sums.size() : 0),
          result_size_(sum_count_ + 2 * schedule.outputs.size()),
          seed_scale_(request.reduce == Reduce::Mean ? 1.0 / static_cast<double>(request.rows) : 1.0) {
        const std::size_t row_bytes = std::max<std::size_t>(1, schedule.slot_count) * factor_ * sizeof(double);
        const std::size_t vectors = std::clamp<std::size_t>(block_bytes / row_bytes / width_, 1, 64);
        const std::size_t unit = (vectors < tile_vectors ? 1 : tile_vectors) * width_;
        const std::size_t most = vectors * width_ / unit * unit;
        const std::size_t blocks = std::max<std::size_t>(1, ceil_div(request.rows, most));
        block_rows_ = ceil_div(ceil_div(std::max<std::size_t>(request.rows, 1), blocks), unit) * unit;
        const std::size_t block_count = ceil_div(request.rows, block_rows_);
        shard_blocks_ = std::max<std::size_t>(1, ceil_div(block_count, most_shards));
        shard_count_ = ceil_div(block_count, shard_blocks_);
        for (std::size_t o = 0; o < schedule.outputs.size(); ++o)
            if (!schedule.outputs[o].value.uniform) varying_outputs_.push_back(o);
    }

    void run() {
        const std::size_t padded = ceil_div(schedule_.uniform.size(), 8) * 8;
        const std::size_t adjoint_room = ceil_div(schedule_.uniform.adjoint_room(), 8) * 8;
        const std::size_t spread = schedule_.spread.size() * factor_ * width_;
        const std::size_t packed = schedule_.fills.empty() ? 0 : schedule_.packed.size();
        const Scratch scratch(Scratch::Of::Call, spread + padded + adjoint_room + packed +
                                                     std::max<std::size_t>(1, shard_count_) * result_size_);
        spread_ = scratch.data();
        double* uniforms = spread_ + spread;
        double* adjoints = uniforms + padded;
        double* filled = adjoints + adjoint_room;
        packed_ = packed ? filled : schedule_.packed.data();
        results_ = filled + packed;

        make_uniforms(uniforms);
        if (packed) {
            std::copy(schedule_.packed.begin(), schedule_.packed.end(), filled);
            for (const LaneSchedule::Fill& fill : schedule_.fills) filled[fill.place] = uniforms[fill.position];
        }
        if (shard_count_ == 1)
            run_shard(0);
        else
            parallel(shard_count_, request_.threads, [this](std::size_t shard) { run_shard(shard); });
        add_shards();
        if (request_.values && request_.reduce != Reduce::None)
            for (std::size_t o = 0; o < schedule_.outputs.size(); ++o)
                request_.values[o] = results_[sum_count_ + o] * seed_scale_;
        if (request_.dp) differentiate_uniforms(uniforms, adjoints);
    }

  private:
    // What depends on no row, and its copies that instructions read.
    void make_uniforms(double* uniforms) const {
        const RowSchedule& uniform = schedule_.uniform;
        uniform.load(nullptr, 0, request_.parameters, uniforms);
        if (kernels_.row_forward(uniform.code(), uniforms) && request_.check && request_.rows)
            diagnose(graph_, request_, 0);
        for (std::size_t k = 0; k < schedule_.spread.size(); ++k) {
            double* to = spread_ + k * factor_ * width_;
            std::fill(to, to + width_, uniforms[schedule_.spread[k]]);
            if (dual_) std::fill(to + width_, to + 2 * width_, 0.0);
        }
    }

    // Into the first shard's results.
    void add_shards() {
        if (shard_count_ == 0) std::fill(results_, results_ + result_size_, 0.0);
        for (std::size_t shard = 1; shard < shard_count_; ++shard)
            for (std::size_t k = 0; k < result_size_; ++k) results_[k] += results_[shard * result_size_ + k];
    }

    void differentiate_uniforms(const double* uniforms, double* adjoints) const {
        const RowSchedule& uniform = schedule_.uniform;
        const std::size_t outputs = schedule_.outputs.size();
        std::fill(adjoints, adjoints + uniform.size(), 0.0);
        for (std::size_t k = 0; k < sum_count_; ++k)
            if (schedule_.sums[k] != none) adjoints[schedule_.sums[k]] += results_[k];
        for (std::size_t o = 0; o < outputs; ++o) {
            const LaneSchedule::Output& output = schedule_.outputs[o];
            if (output.value.uniform && output.adjoint != none)
                adjoints[schedule_.spread[output.value.index]] += results_[sum_count_ + outputs + o];
        }
        kernels_.row_reverse(uniform.code(), uniforms, adjoints, adjoints + uniform.locals_at());
        std::fill(request_.dp, request_.dp + graph_.n_parameters, 0.0);
        uniform.store_parameters(adjoints, request_.dp);
    }

    double weight(std::size_t row, std::size_t output) const {
        if (request_.unit_weights) return row % request_.repeat == output ? 1.0 : 0.0;
        if (!request_.weights) return seed_scale_;
        return seed_scale_ * request_.weights[static_cast<std::ptrdiff_t>(row) * request_.weight_row_stride +
                                              static_cast<std::ptrdiff_t>(output)];
    }

    void run_shard(std::size_t shard) {
        const std::size_t slots_size = schedule_.slot_count * block_rows_ * factor_;
        const Scratch scratch(Scratch::Of::Shard, slots_size + sum_count_ * width_);
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
        const std::vector<LaneInstruction>& instructions = schedule_.instructions;
        Pace pace;
        for (std::size_t k = 0; k < instructions.size(); ++k) {
            suspects |= forward(block, instructions[k]);
            pace(block.padded * instructions[k].count);
        }
        if (suspects && request_.check)
            for (std::size_t r = 0; r < block.count; ++r) diagnose(graph_, request_, block.first + r);
        store_values(block, result + sum_count_);
        if (!reverse_) return;
        seed(block, result + sum_count_ + schedule_.outputs.size());
        for (std::size_t k = instructions.size(); k-- > 0;) {
            if (instructions[k].reverse) backward(block, instructions[k]);
            pace(block.padded * instructions[k].count);
        }
        store_gradients(block);
    }

    // Rows beyond the batch repeat the last one, so that they meet no error of their own.
    void load(const Block& block) const {
        if (request_.repeat == 1) load_columns(block);
        for (const LaneSchedule::Load& item : schedule_.loads) {
            double* to = block.at(item.slot);
            if (item.number >= graph_.n_inputs) {
                std::fill(to, to + block.padded, request_.parameters[item.number - graph_.n_inputs]);
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
                tangent[r] = request_.unit_tangents ? (moved(row) == item.number ? 1.0 : 0.0)
                                                    : request_.tangents[row * columns_ + item.number];
            }
            std::fill(tangent + block.count, tangent + block.padded, 0.0);
        }
    }

    std::size_t moved(std::size_t row) const {
        const std::size_t k = row % request_.repeat;
        return request_.moved ? request_.moved[k] : k;
    }

    // Rows of x into slots.
    void load_columns(const Block& block) const {
        for (std::size_t first = 0; first < block.count; first += tile) {
            const auto row = static_cast<std::ptrdiff_t>(block.first + first);
            for (const LaneSchedule::Load& item : schedule_.loads)
                if (item.number < graph_.n_inputs)
                    copy_column(request_.x + row * request_.row_stride + item.number * request_.column_stride,
                                request_.row_stride, std::min(tile, block.count - first), block.at(item.slot) + first);
        }
    }

    const double* operand(const Block& block, Ref ref) const {
        return ref.uniform ? spread_ + ref.index * factor_ * width_ : block.at(ref.index);
    }
    std::ptrdiff_t step(Ref ref) const { return ref.uniform ? 0 : static_cast<std::ptrdiff_t>(width_); }

    // Instructions that were joined are one over more rows, but for tangents, which are behind the values of each.
    std::uint32_t calls(const LaneInstruction& i) const { return dual_ ? i.count : 1; }
    ForwardArguments arguments(const Block& block, const LaneInstruction& i, std::uint32_t call) const {
        return {block.at(i.y + call),
                operand(block, {i.a.index + call, i.a.uniform}),
                i.b.index == none ? nullptr : operand(block, i.b),
                i.c,
                step(i.a),
                i.b.index == none ? 0 : step(i.b),
                static_cast<std::ptrdiff_t>(block.padded * (i.count / calls(i)))};
    }

    DotArguments dot_arguments(const Block& block, const LaneInstruction& i) const {
        return {block.slots,
                block.slots,
                spread_,
                block.sums,
                schedule_.terms.data() + i.first,
                i.last - i.first,
                i.y,
                i.dy,
                static_cast<std::ptrdiff_t>(block.padded)};
    }

    bool forward(const Block& block, const LaneInstruction& i) const {
        switch (i.kind) {
            case LaneInstruction::Kind::Elementwise: {
                bool suspects = false;
                for (std::uint32_t call = 0; call < calls(i); ++call)
                    suspects |=
                        (dual_ ? kernels_.forward_dual : kernels_.forward)[index_of(i.code)](arguments(block, i, call));
                return suspects;
            }
            case LaneInstruction::Kind::Dot:
                (dual_ ? kernels_.dot_dual : kernels_.dot)(dot_arguments(block, i));
                return false;
            case LaneInstruction::Kind::Linear: {
                const LinearGroup& g = schedule_.groups[i.first];
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
                for (std::uint32_t call = 0; call < calls(i); ++call) {
                    const std::uint32_t da = i.da == none ? none : i.da + call;
                    (dual_ ? kernels_.reverse_dual : kernels_.reverse)[index_of(i.code)]({{arguments(block, i, call)},
                                                                                          block.at(i.dy + call),
                                                                                          target(da, i.a),
                                                                                          target(i.db, i.b),
                                                                                          i.fresh_a,
                                                                                          i.fresh_b});
                }
                return;
            }
            case LaneInstruction::Kind::Dot:
                (dual_ ? kernels_.dot_reverse_dual : kernels_.dot_reverse)(dot_arguments(block, i));
                return;
            case LaneInstruction::Kind::Linear:
                backward_linear(block, schedule_.groups[i.first]);
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
        const std::size_t outputs = schedule_.outputs.size();
        for (std::size_t o = 0; o < outputs; ++o) {
            const Ref ref = schedule_.outputs[o].value;
            const double* from = operand(block, ref);
            if (request_.values && request_.reduce != Reduce::None)
                totals[o] += ref.uniform ? *from * static_cast<double>(block.count) : sum_of(from, block.count);
            for (std::size_t r = 0; ref.uniform && r < block.count; ++r) {
                const std::size_t at = (block.first + r) * outputs + o;
                if (request_.values && request_.reduce == Reduce::None) request_.values[at] = *from;
                if (request_.value_tangents) request_.value_tangents[at] = 0.0;
            }
        }
        if (request_.values && request_.reduce == Reduce::None) store_outputs(block, 0, request_.values);
        if (request_.value_tangents) store_outputs(block, block.padded, request_.value_tangents);
    }

    void store_outputs(const Block& block, std::size_t offset, double* rows) const {
        const std::size_t outputs = schedule_.outputs.size();
        store_rows(
            block.count, varying_outputs_.size(), [&](std::size_t k) { return varying_outputs_[k]; },
            [&](std::size_t k) { return block.at(schedule_.outputs[varying_outputs_[k]].value.index) + offset; },
            rows + block.first * outputs, outputs);
    }

    void seed(const Block& block, double* uniform_weights) const {
        for (std::size_t o = 0; o < schedule_.outputs.size(); ++o) {
            const LaneSchedule::Output& output = schedule_.outputs[o];
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
            if (!request_.weight_tangents) continue;
            for (std::size_t r = 0; r < block.count; ++r)
                to[block.padded + r] +=
                    request_.weight_tangents[static_cast<std::ptrdiff_t>(block.first + r) * request_.weight_row_stride +
                                             static_cast<std::ptrdiff_t>(o)];
        }
    }

    void store_gradients(const Block& block) const {
        if (request_.dx && request_.dx_step) store_side_by_side(block);
        if (request_.dx && !request_.dx_step) store_columns(block, 0, request_.dx);
        if (request_.dx_tangents) store_columns(block, block.padded, request_.dx_tangents);
    }

    // Slots as they are, a column after the other.
    void store_side_by_side(const Block& block) const {
        auto next = schedule_.gradients.begin();
        for (std::size_t column = 0; column < columns_; ++column) {
            double* to = request_.dx + column * request_.dx_step + block.first;
            if (next == schedule_.gradients.end() || next->number != column)
                std::fill_n(to, block.count, 0.0);
            else
                std::copy_n(block.at(next++->slot), block.count, to);
        }
    }

    // Slots into rows.
    void store_columns(const Block& block, std::size_t offset, double* rows) const {
        const std::vector<LaneSchedule::Load>& columns = schedule_.gradients;
        rows += block.first * columns_;
        if (columns.size() < columns_) std::fill_n(rows, block.count * columns_, 0.0);
        store_rows(
            block.count, columns.size(), [&](std::size_t k) { return columns[k].number; },
            [&](std::size_t k) { return block.at(columns[k].slot) + offset; }, rows, columns_);
    }

    const Graph& graph_;
    const LaneSchedule& schedule_;
    const Request& request_;
    const Kernels& kernels_;
    const bool dual_, reverse_;
    const std::size_t width_, factor_, columns_;
    const std::size_t sum_count_, result_size_;  // per shard: sums of gradients; these, then values and weights
    const double seed_scale_;
    std::vector<std::size_t> varying_outputs_;
    std::size_t block_rows_ = 0, shard_blocks_ = 0, shard_count_ = 0;
    double *spread_ = nullptr, *results_ = nullptr;
    const double* packed_ = nullptr;
};

}  // namespace

void run_batch(const Graph& graph, const LaneSchedule& schedule, const Request& request, const Kernels& kernels) {
    Batch(graph, schedule, request, kernels).run();
}

}  // namespace kilograd::program
