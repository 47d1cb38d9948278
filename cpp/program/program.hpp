// Program: a recorded graph that runs over rows of inputs, with gradients, tangents and second derivatives.
//
// Immutable once made, so any number of threads may run it. Schedules are made when first asked for, one for each
// combination of wanted gradients, and kept. A caller's Watch (watch.hpp) may end a run; what has a result by then is
// written.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "derivatives.hpp"
#include "execution/diagnosis.hpp"
#include "execution/request.hpp"
#include "graph.hpp"
#include "kernels/isa.hpp"
#include "kinds.hpp"
#include "lazy.hpp"
#include "machine/row_machine.hpp"
#include "passes/optimise.hpp"
#include "schedules/lane_schedule.hpp"
#include "schedules/row_schedule.hpp"

namespace kilograd::program {

class Program {
  public:
    explicit Program(Graph graph, bool machine_allowed = true);
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
    const RowSchedule& row(Wants wants) const;

    // Machine code for one row, or with `several` for a vector of rows: null until so many passes have paid for it, and
    // where there is none. Results are the same to the last bit.
    const machine::RowMachine* machine(Wants wants, const Kernels& kernels, bool several, std::size_t passes) const;
    // Programs made from this one follow.
    void allow_machine(bool allowed) { machine_allowed_ = allowed; }
    bool machine_allowed() const { return machine_allowed_; }
    // What runs, and why, for a person.
    std::string machine_state(const Kernels& kernels) const;

  private:
    const LaneSchedule& lanes(Wants wants) const;

    const Kinds& kinds(bool promoted) const;

    Graph graph_;
    Lazy<LaneSchedule> lanes_[Wants::key_count];
    Lazy<RowSchedule> row_[Wants::key_count];
    struct Emitted {
        std::atomic<std::uint64_t> passes{0};
        std::atomic<bool> no_memory{false};  // there was none to make it: it is not tried again
        Lazy<machine::RowMachine> machine;
    };
    mutable Emitted emitted_[Wants::key_count][2];  // for one row, for several
    bool machine_allowed_;
    Lazy<Kinds> kinds_[2];  // by promoted
    Derivatives derivatives_;
};

}  // namespace kilograd::program
