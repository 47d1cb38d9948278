// RowSchedule: (part of) a graph scheduled for one row at a time, equal ops together in runs.
//
// Used for a single row of a program without a batch, and for what does not depend on the row in a batch. Values
// stand in order of execution, so that a run writes one stretch of memory and needs no index for its results.
#pragma once

#include <vector>

#include "../graph.hpp"
#include "../kernels/kernels.hpp"

namespace kilograd::program {

class RowSchedule {
  public:
    // Schedules the nodes with include[n] (closed under operands). wanted[n]: the gradient must reach n.
    RowSchedule(const Graph& graph, const std::vector<std::uint8_t>& include, const std::vector<std::uint8_t>& wanted);

    std::size_t size() const { return size_; }
    // Leaves stand first, and of these constants.
    std::size_t constant_count() const { return constants_.size(); }
    std::size_t leaf_count() const { return constants_.size() + inputs_.size() + parameters_.size(); }
    // Of the sums of products, but for those of the fused forms.
    std::size_t term_count() const { return terms_.size(); }
    // Where the value of a node stands; none if it was not included.
    std::uint32_t position(std::uint32_t node) const { return position_[node]; }
    RowCode code() const {
        return {runs_.data(), runs_.size(),  a_.data(),     b_.data(),     d_.data(),
                c_.data(),    terms_.data(), alike_.data(), alike_.size(), locals_.data()};
    }
    // The adjoints of one row have the local derivatives of functions behind them.
    std::size_t locals_at() const { return size_; }
    std::size_t adjoint_room() const { return size_ + local_count_; }
    // Fills the leaves' values. inputs may be null when no input is included.
    void load(const double* inputs, std::ptrdiff_t input_stride, const double* parameters, double* values) const {
        load_constants(1, values);
        load_inputs(inputs, input_stride, 1, values);
        load_parameters(parameters, 1, values);
    }
    // `width` copies of each, side by side.
    void load_constants(std::size_t width, double* values) const;
    void load_parameters(const double* parameters, std::size_t width, double* values) const;
    // Each `width` after the one before.
    void load_inputs(const double* inputs, std::ptrdiff_t input_stride, std::size_t width, double* values) const {
        for (const Leaf& leaf : inputs_) values[leaf.position * width] = inputs[leaf.number * input_stride];
    }
    // The adjoints of the leaves that are included, by their numbers.
    void store_inputs(const double* adjoints, double* to) const { store(inputs_, adjoints, to); }
    void store_parameters(const double* adjoints, double* to) const { store(parameters_, adjoints, to); }

    using Leaf = program::Leaf;
    const std::vector<Leaf>& inputs() const { return inputs_; }
    const std::vector<Leaf>& parameters() const { return parameters_; }

    std::size_t bytes() const;

  private:
    class Builder;
    static void store(const std::vector<Leaf>& leaves, const double* adjoints, double* to) {
        for (const Leaf& leaf : leaves) to[leaf.number] = adjoints[leaf.position];
    }

    std::size_t size_ = 0;
    std::vector<std::uint32_t> position_;
    std::vector<Leaf> inputs_, parameters_;
    std::vector<double> constants_;  // at positions 0, 1, ...
    std::vector<Run> runs_;
    std::vector<std::uint32_t> a_, b_, d_;
    std::vector<double> c_;
    std::vector<Term> terms_;
    std::vector<Alike> alike_;
    std::vector<std::uint32_t> locals_;  // positions
    std::uint32_t local_count_ = 0;
};

}  // namespace kilograd::program
