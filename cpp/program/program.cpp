#include "program.hpp"

#include <algorithm>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "execution/batch.hpp"
#include "execution/groups.hpp"
#include "execution/single_row.hpp"

namespace kilograd::program {

namespace {

// Whether making machine code has cost less than it saves after so many passes over one row, or over a vector of rows:
// some 400 ns for each node and term and 20 us, against 1 and 4 ns for each in a pass.
bool pays(std::uint64_t passes, const Graph& graph, bool several) {
    const std::uint64_t work = graph.nodes.size() + graph.terms.size();
    return passes >= (several ? 96 : 384) && passes * work >= std::uint64_t{several ? 1u : 4u} << 13;
}

}  // namespace

Program::Program(Graph graph, bool machine_allowed) : graph_(std::move(graph)), machine_allowed_(machine_allowed) {}

const LaneSchedule& Program::lanes(Wants wants) const {
    return lanes_[wants.key()].get([&] { return std::make_unique<LaneSchedule>(graph_, wants); });
}

const RowSchedule& Program::row(Wants wants) const {
    return row_[wants.key()].get([&] {
        return std::make_unique<RowSchedule>(graph_, std::vector<std::uint8_t>(graph_.nodes.size(), 1),
                                             swept_back(graph_, wants.inputs, wants.parameters));
    });
}

const machine::RowMachine* Program::machine(Wants wants, const Kernels& kernels, bool several,
                                            std::size_t passes) const {
    const machine::When when = machine::when();
    if (!machine_allowed_ || when == machine::When::Never) return nullptr;
    Emitted& emitted = emitted_[wants.key()][several];
    const machine::RowMachine* made = emitted.machine.get();
    if (!made) {
        const std::uint64_t so_far = emitted.passes.fetch_add(passes, std::memory_order_relaxed) + passes;
        if ((when == machine::When::ItPays && !pays(so_far, graph_, several)) || emitted.no_memory ||
            !machine::RowMachine::suits(row(wants), kernels, several))
            return nullptr;
        try {
            made = &emitted.machine.get(
                [&] { return std::make_unique<machine::RowMachine>(graph_, row(wants), wants, kernels, several); });
        } catch (const std::bad_alloc&) {
            emitted.no_memory = true;  // the kernels need no more than they have
            return nullptr;
        }
    }
    return made->usable() && &made->kernels() == &kernels ? made : nullptr;
}

std::string Program::machine_state(const Kernels& kernels) const {
    if (!machine_allowed_) return "interpreted: code=False";
    if (machine::when() == machine::When::Never) return "interpreted: KILOGRAD_CODE is 0";
    if (!machine::RowMachine::suits(kernels))
        return std::string("interpreted: there is no machine code beside the kernels for ") + kernels.name;
    std::size_t bytes[2] = {0, 0};
    bool refused = false, too_long = false, no_memory = false;
    const Kernels* others = nullptr;
    for (unsigned key = 0; key < Wants::key_count; ++key)
        for (bool several : {false, true}) {
            const Emitted& emitted = emitted_[key][several];
            no_memory |= emitted.no_memory;
            if (const machine::RowMachine* made = emitted.machine.get()) {
                if (!made->usable())
                    refused = true;
                else if (&made->kernels() == &kernels)
                    bytes[several] += made->bytes();
                else
                    others = &made->kernels();
            } else if (const RowSchedule* schedule = row_[key].get(); schedule && emitted.passes != 0) {
                too_long |= !machine::RowMachine::suits(*schedule, kernels, several);
            }
        }
    std::string found;
    if (bytes[0]) found = std::to_string(bytes[0]) + " bytes for one row";
    if (bytes[1])
        found += (found.empty() ? "" : ", ") + std::to_string(bytes[1]) + " bytes for " +
                 std::to_string(kernels.width) + " rows at a time";
    if (!found.empty()) return "machine code: " + found;
    if (others) return std::string("interpreted: the machine code made before is for ") + others->name;
    return refused     ? "interpreted: the system does not execute memory that was written"
           : no_memory ? "interpreted: there was no memory for machine code"
           : too_long  ? "interpreted: too long to gain by machine code"
                       : "interpreted: not called often enough to gain by machine code";
}

const Kinds& Program::kinds(bool promoted) const {
    return kinds_[promoted].get([&] { return std::make_unique<Kinds>(graph_, promoted); });
}

void Program::run(const Request& request, const Kernels& kernels) const {
    if (request.rows == 1 && !request.dual() && !request.promoted && !request.unit_weights)
        run_row(graph_, row(request.wants()), request, {kernels, machine(request.wants(), kernels, false, 1)});
    else if (can_run_groups(request) && kinds(request.promoted).suit_groups(request.rows, kernels))
        run_groups(graph_, row(request.wants()), request,
                   {kernels,
                    machine(request.wants(), kernels, true,
                            (request.rows + static_cast<std::size_t>(kernels.width) - 1) /
                                static_cast<std::size_t>(kernels.width)),
                    true});
    else
        run_batch(graph_, lanes(request.wants()), request, kernels);
}

std::size_t Program::bytes() const {
    std::size_t total = graph_.nodes.size() * sizeof(Node) + graph_.terms.size() * sizeof(Term) +
                        (graph_.outputs.size() + graph_.recorded.size()) * 4 + derivatives_.bytes();
    for (const auto& schedule : lanes_)
        if (schedule.get()) total += schedule.get()->bytes();
    for (const auto& schedule : row_)
        if (schedule.get()) total += schedule.get()->bytes();
    for (const auto& pair : emitted_)
        for (const Emitted& emitted : pair)
            if (const machine::RowMachine* made = emitted.machine.get()) total += made->bytes();
    return total;
}

}  // namespace kilograd::program
