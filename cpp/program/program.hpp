// Program: a recorded graph that runs over rows of inputs, with gradients, tangents and second derivatives.
//
// Immutable once made, so any number of threads may run it. Schedules are made when first asked for, one for each
// combination of wanted gradients, and kept. A caller's Watch (watch.hpp) may end a run; what has a result by then is
// written.
#pragma once

#include <cstddef>
#include <cstdint>

#include "derivatives.hpp"
#include "execution/diagnosis.hpp"
#include "execution/request.hpp"
#include "graph.hpp"
#include "kernels/isa.hpp"
#include "lazy.hpp"
#include "passes/optimise.hpp"
#include "schedules/lane_schedule.hpp"
#include "schedules/row_schedule.hpp"

namespace kilograd::program {

class Program {
  public:
    explicit Program(Graph graph);
    explicit Program(const Recording& recording) : Program(optimise(recording)) {}

    const Graph& graph() const { return graph_; }
    std::uint32_t n_inputs() const { return graph_.n_inputs; }
    std::uint32_t n_outputs() const { return static_cast<std::uint32_t>(graph_.outputs.size()); }
    std::uint32_t n_parameters() const { return graph_.n_parameters; }
    std::size_t bytes() const;

    // Throws a DomainError where an operation is refused.
    void run(const Request& request) const { run(request, chosen_kernels()); }
    void run(const Request& request, const Kernels& kernels) const;

    const Derivatives& derivatives() const { return derivatives_; }

  private:
    const LaneSchedule& lanes(Wants wants) const;
    const RowSchedule& row(Wants wants) const;

    // What the graph is made of, as far as the price of rows depends on it.
    struct Kinds {
        std::size_t varying = 0;   // ops that cost a block a dispatch each
        std::size_t matrices = 0;  // terms of sums of uniform multiples, for which blocks have small matrix products
        std::size_t uniform = 0;   // ops that depend on no row
        Kinds(const Graph& graph, bool promoted);
        bool suit_groups(std::size_t rows, std::size_t width) const;
    };
    const Kinds& kinds(bool promoted) const;

    Graph graph_;
    Lazy<LaneSchedule> lanes_[Wants::key_count];
    Lazy<RowSchedule> row_[Wants::key_count];
    Lazy<Kinds> kinds_[2];  // by promoted
    Derivatives derivatives_;
};

}  // namespace kilograd::program
