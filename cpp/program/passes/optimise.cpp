#include "optimise.hpp"

#include "../watch.hpp"
#include "branches.hpp"
#include "lower.hpp"
#include "simplifier.hpp"

namespace kilograd::program {

Graph optimise(const Recording& recording) {
    const std::size_t size = recording.size();
    Graph graph;
    graph.n_inputs = static_cast<std::uint32_t>(recording.inputs.size());
    graph.n_parameters = static_cast<std::uint32_t>(recording.parameters.size());
    graph.recorded.assign(op_count, 0);

    Pace pace;
    enum : std::uint8_t { Live = 1, Decides = 2 };  // a jump depends on it
    std::vector<std::uint8_t> use(size, 0);
    for (std::uint32_t n : recording.outputs) use[n] = Live;
    for (std::size_t n = size; n-- > 0;) {
        pace();
        ++graph.recorded[static_cast<std::size_t>(recording.op[n])];
        if (!use[n]) continue;
        const Arity arity = info(recording.op[n]).arity;
        const std::uint8_t passed_on = jumps(static_cast<Code>(recording.op[n])) ? Live | Decides : use[n];
        if (arity != Arity::None) use[recording.a[n]] |= passed_on;
        if (arity == Arity::Binary) use[recording.b[n]] |= passed_on;
    }

    Simplifier simplifier(size);
    std::vector<std::uint32_t> number(size, none);
    for (std::uint32_t k = 0; k < graph.n_inputs; ++k) number[recording.inputs[k]] = simplifier.leaf(Code::input, k);
    for (std::uint32_t k = 0; k < graph.n_parameters; ++k)
        if (number[recording.parameters[k]] == none)
            number[recording.parameters[k]] = simplifier.leaf(Code::parameter, k);
    for (std::uint32_t n = 0; n < size; ++n) {
        if (!use[n] || number[n] != none) continue;
        pace();
        const Op op = recording.op[n];
        if (op == Op::leaf) {
            number[n] = simplifier.constant(recording.c[n]);
        } else if (info(op).arity == Arity::None) {
            throw NotRecordable(n, "an op without a rule cannot be recorded");
        } else if (op == Op::mul && recording.c[n] == 1.0 && use[n] & Decides) {
            number[n] = simplifier.make(Code::div, number[recording.a[n]], number[recording.a[recording.b[n]]], 0.0);
        } else {
            const std::uint32_t b = info(op).arity == Arity::Binary ? number[recording.b[n]] : 0;
            number[n] = simplifier.make(static_cast<Code>(op), number[recording.a[n]], b, recording.c[n]);
        }
    }
    std::vector<std::uint32_t> outputs;
    outputs.reserve(recording.outputs.size());
    for (std::uint32_t n : recording.outputs) outputs.push_back(number[n]);
    if (graph.recorded[static_cast<std::size_t>(Op::gate)]) simplifier = enter_branches(simplifier, outputs);
    lower(simplifier.nodes, outputs, graph);
    return graph;
}

}  // namespace kilograd::program
