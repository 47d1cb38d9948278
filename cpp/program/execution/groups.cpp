#include "groups.hpp"

#include <algorithm>
#include <vector>

#include "../watch.hpp"
#include "diagnosis.hpp"
#include "scratch.hpp"
#include "threads.hpp"

namespace kilograd::program {

namespace {

class GroupedRows {
  public:
    GroupedRows(const Graph& graph, const RowSchedule& schedule, const Request& request, const RowEngine& engine)
        : graph_(graph),
          schedule_(schedule),
          request_(request),
          engine_(engine),
          width_(engine.width()),
          outputs_(graph.outputs.size()),
          columns_(request.columns(graph)),
          sums_(request.reduce == Reduce::None ? 0 : outputs_),
          result_size_(sums_ + (request.dp ? graph.n_parameters : 0)),
          scale_(request.reduce == Reduce::Mean ? 1.0 / static_cast<double>(request.rows) : 1.0) {
        const std::size_t groups = (request.rows + width_ - 1) / width_;
        shard_rows_ = std::max<std::size_t>(1, (groups + most_shards - 1) / most_shards) * width_;
        shards_ = (request.rows + shard_rows_ - 1) / shard_rows_;
        results_.assign(std::max<std::size_t>(1, shards_) * result_size_, 0.0);
        for (std::size_t o = 0; o < outputs_; ++o)
            outputs_at_.push_back({schedule.position(graph.outputs[o]), static_cast<std::uint32_t>(o)});
        list_columns();
    }

    void run() {
        if (shards_ == 1)
            run_shard(0);
        else
            parallel(shards_, request_.threads, [this](std::size_t shard) {
                if (shard) look_up();
                run_shard(shard);
            });
        for (std::size_t shard = 1; shard < shards_; ++shard)
            for (std::size_t k = 0; k < result_size_; ++k) results_[k] += results_[shard * result_size_ + k];
        if (request_.values)
            for (std::size_t o = 0; o < sums_; ++o) request_.values[o] = results_[o] * scale_;
        if (request_.dp) std::copy_n(results_.data() + sums_, graph_.n_parameters, request_.dp);
    }

  private:
    void run_shard(std::size_t shard) {
        const std::size_t size = schedule_.size() * width_ * (request_.reverse() ? 2 : 1);
        const Scratch scratch(Scratch::Of::Shard, size + result_size_ * width_);
        double *values = scratch.data(), *lanes = values + size, *result = results_.data() + shard * result_size_;
        std::size_t first = shard * shard_rows_;
        const std::size_t last = std::min(request_.rows, first + shard_rows_);
        schedule_.load_constants(width_, values);
        schedule_.load_parameters(request_.parameters, width_, values);
        Pace pace;
        if (last - first >= width_) {
            std::fill_n(lanes, result_size_ * width_, 0.0);
            for (; last - first >= width_; first += width_) {
                pace(schedule_.size() * width_);
                run_group({first, width_}, values, lanes);
            }
            engine_.kernels.sum_lanes(lanes, result_size_, result);
        }
        if (first != last) run_group({first, last - first}, values, result);
    }

    struct Group {
        std::size_t first, count;  // rows
    };

    // `sums` are vectors for a whole group, and numbers for what is left of one.
    void run_group(Group group, double* values, double* sums) const {
        load(group, values);
        if (engine_.forward(schedule_, values) && request_.check)
            for (std::size_t r = 0; r < group.count; ++r) diagnose(graph_, request_, group.first + r);
        if (request_.values) store_values(group, values, sums);
        if (!request_.reverse()) return;
        double* adjoints = values + schedule_.size() * width_;
        engine_.clear(schedule_, graph_, adjoints);
        for (std::size_t o = 0; o < outputs_; ++o) {
            double* to = adjoints + schedule_.position(graph_.outputs[o]) * width_;
            for (std::size_t r = 0; r < width_; ++r) to[r] += weight(group.first + std::min(r, group.count - 1), o);
        }
        engine_.reverse(schedule_, values, adjoints);
        if (request_.dx) store_gradients(group, adjoints);
        if (request_.dp)
            add_up(schedule_.parameters(), group, adjoints, sums + sums_ * (group.count == width_ ? width_ : 1));
    }

    void load(Group group, double* values) const {
        const std::vector<Leaf>& inputs = schedule_.inputs();
        if (inputs.empty()) return;
        if (request_.repeat == 1 && group.count == width_) {
            const double* x = request_.x + static_cast<std::ptrdiff_t>(group.first) * request_.row_stride;
            engine_.kernels.rows_load(inputs.data(), inputs.size(), x, request_.row_stride, request_.column_stride,
                                      values);
            return;
        }
        for (std::size_t r = 0; r < width_; ++r) {  // lanes beyond repeat the last row
            const std::size_t row = group.first + std::min(r, group.count - 1);
            schedule_.load_inputs(request_.x + static_cast<std::ptrdiff_t>(row / request_.repeat) * request_.row_stride,
                                  request_.column_stride, width_, values + r);
        }
    }

    double weight(std::size_t row, std::size_t output) const {
        if (request_.unit_weights) return row % request_.repeat == output ? 1.0 : 0.0;
        if (!request_.weights) return scale_;
        return scale_ * request_.weights[static_cast<std::ptrdiff_t>(row) * request_.weight_row_stride +
                                         static_cast<std::ptrdiff_t>(output)];
    }

    // What stands at `leaves`, to columns of the table at `to`.
    void store(const std::vector<Leaf>& leaves, Group group, const double* from, double* to, std::size_t row_step,
               std::size_t column_step) const {
        if (group.count == width_) {
            engine_.kernels.rows_store(leaves.data(), leaves.size(), from, to, static_cast<std::ptrdiff_t>(row_step),
                                       static_cast<std::ptrdiff_t>(column_step));
            return;
        }
        for (const Leaf& leaf : leaves)
            for (std::size_t r = 0; r < group.count; ++r)
                to[r * row_step + leaf.number * column_step] = from[leaf.position * width_ + r];
    }

    // What stands at `leaves`, to sums over rows.
    void add_up(const std::vector<Leaf>& leaves, Group group, const double* from, double* sums) const {
        if (group.count == width_) return engine_.kernels.rows_add(leaves.data(), leaves.size(), from, sums);
        for (const Leaf& leaf : leaves) {
            double sum = sums[leaf.number];
            for (std::size_t r = 0; r < group.count; ++r) sum += from[leaf.position * width_ + r];
            sums[leaf.number] = sum;
        }
    }

    void store_values(Group group, const double* values, double* sums) const {
        if (!sums_) return store(outputs_at_, group, values, request_.values + group.first * outputs_, outputs_, 1);
        add_up(outputs_at_, group, values, sums);
    }

    void store_gradients(Group group, const double* adjoints) const {
        const std::size_t row_step = request_.dx_step ? 1 : columns_, step = request_.dx_step ? request_.dx_step : 1;
        double* rows = request_.dx + group.first * row_step;
        for (std::size_t column : empty_columns_)
            for (std::size_t r = 0; r < group.count; ++r) rows[r * row_step + column * step] = 0.0;
        store(schedule_.inputs(), group, adjoints, rows, row_step, step);
        if (request_.promoted)
            store(schedule_.parameters(), group, adjoints, rows + graph_.n_inputs * step, row_step, step);
    }

    // Of dx: those of what the program does not read.
    void list_columns() {
        std::vector<std::uint8_t> read(columns_, 0);
        for (const Leaf& leaf : schedule_.inputs()) read[leaf.number] = 1;
        if (request_.promoted)
            for (const Leaf& leaf : schedule_.parameters()) read[graph_.n_inputs + leaf.number] = 1;
        for (std::size_t column = 0; column < columns_; ++column)
            if (!read[column]) empty_columns_.push_back(column);
    }

    const Graph& graph_;
    const RowSchedule& schedule_;
    const Request& request_;
    const RowEngine engine_;
    const std::size_t width_, outputs_, columns_;
    const std::size_t sums_, result_size_;  // of values in a shard's results; of these with gradients of parameters
    const double scale_;
    std::size_t shard_rows_ = 0, shards_ = 0;
    std::vector<double> results_;
    std::vector<Leaf> outputs_at_;
    std::vector<std::size_t> empty_columns_;
};

}  // namespace

bool can_run_groups(const Request& request) { return !request.dual(); }

void run_groups(const Graph& graph, const RowSchedule& schedule, const Request& request, const RowEngine& engine) {
    GroupedRows(graph, schedule, request, engine).run();
}

}  // namespace kilograd::program
