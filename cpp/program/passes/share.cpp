#include "share.hpp"

#include "expand.hpp"
#include "lower.hpp"

namespace kilograd::program {

Graph share(const Graph& graph, const Columns& inputs) {
    const std::vector<std::uint32_t> places = inputs.places(graph.n_inputs);
    std::vector<std::uint32_t> kept(graph.n_inputs);
    Graph shared;
    for (std::uint32_t k = 0; k < graph.n_inputs; ++k)
        if (places[k] == none) kept[k] = shared.n_inputs++;
    shared.n_parameters = graph.n_parameters + static_cast<std::uint32_t>(inputs.size());
    shared.recorded = graph.recorded;
    Simplifier in(graph.nodes.size());
    const std::vector<std::uint32_t> number = expand(graph, in, [&](const Node& leaf) {
        if (leaf.code == Code::parameter) return in.leaf(Code::parameter, leaf.a);
        if (places[leaf.a] == none) return in.leaf(Code::input, kept[leaf.a]);
        return in.leaf(Code::parameter, graph.n_parameters + places[leaf.a]);
    });
    std::vector<std::uint32_t> outputs;
    for (std::uint32_t n : graph.outputs) outputs.push_back(number[n]);
    lower(in.nodes, outputs, shared);
    return shared;
}

}  // namespace kilograd::program
