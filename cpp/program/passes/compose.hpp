// compose(): graphs that feed one another as one graph, simplified once more as a whole.
#pragma once

#include <cstdint>
#include <vector>

#include "../graph.hpp"

namespace kilograd::program {

// A graph without parameters, and at which places its inputs stand: the inputs of the whole are places 0 ...
// n_inputs - 1, and behind them come the outputs of each part in turn.
struct Part {
    const Graph* graph;
    std::vector<std::uint32_t> inputs;
};
Graph compose(std::uint32_t n_inputs, const std::vector<Part>& parts, const std::vector<std::uint32_t>& outputs);

}  // namespace kilograd::program
