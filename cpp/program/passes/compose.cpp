#include "compose.hpp"

#include <stdexcept>

#include "expand.hpp"
#include "lower.hpp"
#include "simplifier.hpp"

namespace kilograd::program {

Graph compose(std::uint32_t n_inputs, const std::vector<Part>& parts, const std::vector<std::uint32_t>& outputs) {
    std::size_t size = n_inputs;
    for (const Part& part : parts) size += part.graph->nodes.size();
    Simplifier in(size);
    std::vector<std::uint32_t> places, refusable;
    for (std::uint32_t k = 0; k < n_inputs; ++k) places.push_back(in.leaf(Code::input, k));
    for (const Part& part : parts) {
        const Graph& graph = *part.graph;
        const std::vector<std::uint32_t> number = expand(graph, in, [&](const Node& node) {
            if (node.code != Code::input) throw std::invalid_argument("a part has no parameters");
            return places.at(part.inputs.at(node.a));
        });
        for (std::uint32_t output : graph.outputs) places.push_back(number[output]);
        for (std::size_t n = 0; n < graph.nodes.size(); ++n)
            if (!is_total(graph.nodes[n].code)) refusable.push_back(number[n]);
    }
    Graph whole;
    whole.n_inputs = n_inputs;
    whole.recorded.assign(op_count, 0);
    std::vector<std::uint32_t> live;
    for (std::uint32_t place : outputs) live.push_back(places.at(place));
    live.insert(live.end(), refusable.begin(), refusable.end());
    lower(in.nodes, live, whole);
    whole.outputs.resize(outputs.size());
    return whole;
}

}  // namespace kilograd::program
