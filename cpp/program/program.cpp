#include "program.hpp"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "execution/batch.hpp"
#include "execution/groups.hpp"
#include "execution/single_row.hpp"

namespace kilograd::program {

Program::Kinds::Kinds(const Graph& graph, bool promoted) {
    const std::vector<std::uint8_t> varies = depends_on(graph, true, promoted);
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
        const Node& node = graph.nodes[n];
        if (is_leaf(node.code)) continue;
        if (!varies[n]) {
            ++uniform;
        } else if (node.code != Code::dot) {
            ++varying;
        } else {
            const auto is_square = [&](const Term& term) { return term.b != none && varies[term.a] && varies[term.b]; };
            const bool linear = std::none_of(graph.terms.begin() + node.a, graph.terms.begin() + node.b, is_square);
            (linear ? matrices : varying) += node.b - node.a;
        }
    }
}

// Whether rows go through a graph faster in groups of a vector each than in blocks.
bool Program::Kinds::suit_groups(std::size_t rows, std::size_t width) const {
    constexpr std::size_t large = 1500;
    if (uniform > varying / 4 || matrices > varying) return false;
    return rows <= width || varying >= large;
}

Program::Program(Graph graph) : graph_(std::move(graph)) {}

const LaneSchedule& Program::lanes(Wants wants) const {
    return lanes_[wants.key()].get([&] { return std::make_unique<LaneSchedule>(graph_, wants); });
}

const RowSchedule& Program::row(Wants wants) const {
    return row_[wants.key()].get([&] {
        return std::make_unique<RowSchedule>(graph_, std::vector<std::uint8_t>(graph_.nodes.size(), 1),
                                             depends_on(graph_, wants.inputs, wants.parameters));
    });
}

const Program::Kinds& Program::kinds(bool promoted) const {
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
