#include "kinds.hpp"

#include <algorithm>
#include <vector>

namespace kilograd::program {

Kinds::Kinds(const Graph& graph, bool promoted) {
    const std::vector<std::uint8_t> varies = depends_on(graph, true, promoted);
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
        const Node& node = graph.nodes[n];
        if (is_leaf(node.code)) continue;
        const std::size_t size = node.code == Code::dot ? node.b - node.a : 1;
        if (!varies[n]) {
            uniform += size;
        } else if (node.code != Code::dot) {
            (is_arithmetic(node.code) ? arithmetic : functions) += size;
        } else {
            const auto is_square = [&](const Term& term) { return term.b != none && varies[term.a] && varies[term.b]; };
            const bool linear = std::none_of(graph.terms.begin() + node.a, graph.terms.begin() + node.b, is_square);
            (linear ? matrices : arithmetic) += size;
        }
    }
}

}  // namespace kilograd::program
