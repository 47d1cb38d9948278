#include "sparsity.hpp"

#include <bit>

#include "../watch.hpp"

namespace kilograd::program {

namespace {

// Sets of columns, side by side.
class Sets {
  public:
    Sets(std::size_t count, std::size_t columns) : words_((columns + 63) / 64), bits_(count * words_) {}
    void add(std::size_t set, std::size_t column) {
        bits_[set * words_ + column / 64] |= std::uint64_t{1} << column % 64;
    }
    void unite(std::size_t set, const Sets& other, std::size_t with) {
        for (std::size_t w = 0; w < words_; ++w) bits_[set * words_ + w] |= other.bits_[with * words_ + w];
    }
    std::size_t words() const { return words_; }  // the price of an operation
    template <class F>
    void each(std::size_t set, F&& f) const {
        for (std::size_t w = 0; w < words_; ++w)
            for (std::uint64_t rest = bits_[set * words_ + w]; rest; rest &= rest - 1)
                f(w * 64 + static_cast<std::size_t>(std::countr_zero(rest)));
    }

  private:
    std::size_t words_;
    std::vector<std::uint64_t> bits_;
};

bool is_linear(Code code) {
    return code == Code::add || code == Code::sub || code == Code::scale || code == Code::offset;
}
// Linear wherever it has a derivative.
bool is_piecewise_linear(Code code) {
    return code == Code::relu || code == Code::leaky_relu || code == Code::abs || code == Code::maximum ||
           code == Code::minimum || code == Code::fmax || code == Code::fmin || code == Code::modulo ||
           code == Code::copysign || is_step(code) || code == Code::gate || code == Code::enter;
}

}  // namespace

Colouring colour_hessian(const Graph& graph, bool promoted) {
    constexpr std::size_t fewest = 16, most_bits = std::size_t{1} << 30;
    const std::size_t columns = graph.n_inputs + (promoted ? graph.n_parameters : 0);
    Colouring result;
    if (columns < fewest || (graph.nodes.size() + columns) > most_bits / columns) return result;

    Sets depends(graph.nodes.size(), columns), hessian(columns, columns);
    Pace pace;
    const auto cross_one_way = [&](std::size_t a, std::size_t b) {
        depends.each(a, [&](std::size_t column) {
            pace(depends.words());
            hessian.unite(column, depends, b);
        });
    };
    const auto cross = [&](std::size_t a, std::size_t b) {
        cross_one_way(a, b);
        if (a != b) cross_one_way(b, a);
    };
    for (std::uint32_t n = 0; n < graph.nodes.size(); ++n) {
        const Node& node = graph.nodes[n];
        if (node.code == Code::input) depends.add(n, node.a);
        if (node.code == Code::parameter && promoted) depends.add(n, graph.n_inputs + node.a);
        graph.for_operands(node, [&](std::uint32_t operand) {
            pace(depends.words());
            depends.unite(n, depends, operand);
        });
        if (is_leaf(node.code) || is_linear(node.code) || is_piecewise_linear(node.code)) continue;
        if (node.code == Code::mul) {
            cross(node.a, node.b);
        } else if (node.code == Code::dot) {
            for (std::uint32_t t = node.a; t < node.b; ++t)
                if (graph.terms[t].b != none) cross(graph.terms[t].a, graph.terms[t].b);
        } else {
            cross(n, n);
        }
    }

    // Greedily, each column gets the first colour that no column with a common row has.
    std::vector<std::uint32_t> taken_by(columns, none);  // colour: last column that must not share it
    result.colours.assign(columns, none);
    for (std::uint32_t column = 0; column < columns; ++column) {
        hessian.each(column, [&](std::size_t row) {
            pace(hessian.words());
            result.at.emplace_back(static_cast<std::uint32_t>(row), column);
            hessian.each(row, [&](std::size_t neighbour) {
                if (neighbour < column) taken_by[result.colours[neighbour]] = column;
            });
        });
        std::uint32_t colour = 0;
        while (taken_by[colour] == column) ++colour;
        result.colours[column] = colour;
        result.colour_count = std::max(result.colour_count, colour + 1);
        if (result.colour_count > columns / 2) return {};
    }
    return result;
}

}  // namespace kilograd::program
