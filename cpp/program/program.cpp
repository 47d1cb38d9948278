#include "program.hpp"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "execution/batch.hpp"
#include "execution/groups.hpp"
#include "execution/single_row.hpp"

namespace kilograd::program {

Program::Program(Graph graph) : graph_(std::move(graph)) {}

const LaneSchedule& Program::lanes(Wants wants) const {
    return lanes_[wants.key()].get([&] { return std::make_unique<LaneSchedule>(graph_, wants); });
}

const RowSchedule& Program::row(Wants wants) const {
    return row_[wants.key()].get([&] {
        return std::make_unique<RowSchedule>(graph_, std::vector<std::uint8_t>(graph_.nodes.size(), 1),
                                             swept_back(graph_, wants.inputs, wants.parameters));
    });
}

const Kinds& Program::kinds(bool promoted) const {
    return kinds_[promoted].get([&] { return std::make_unique<Kinds>(graph_, promoted); });
}

void Program::run(const Request& request, const Kernels& kernels) const {
    if (request.rows == 1 && !request.dual() && !request.promoted && !request.unit_weights)
        run_row(graph_, row(request.wants()), request, kernels);
    else if (can_run_groups(request) &&
             kinds(request.promoted).suit_groups(request.rows, static_cast<std::size_t>(kernels.width)))
        run_groups(graph_, row(request.wants()), request, kernels);
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
    return total;
}

}  // namespace kilograd::program
