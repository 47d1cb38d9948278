#include "sparsity.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>

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

// Unions of small sets of numbers, each kept once while it is only passed on.
class Unions {
  public:
    explicit Unions(std::size_t nodes) : of_(nodes, 0), sets_(1) {}

    void begin() { parts_.clear(); }
    // Gives the size of the set of a node that becomes a part of the union.
    std::size_t add(std::uint32_t node) {
        if (of_[node]) parts_.push_back(of_[node]);
        return sets_[of_[node]].size();
    }
    void add_alone(std::uint32_t number) {
        parts_.push_back(static_cast<std::uint32_t>(sets_.size()));
        sets_.push_back({number});
    }
    void end(std::uint32_t node) {
        std::sort(parts_.begin(), parts_.end());
        parts_.erase(std::unique(parts_.begin(), parts_.end()), parts_.end());
        if (parts_.size() < 2) {
            of_[node] = parts_.empty() ? 0 : parts_[0];
            return;
        }
        std::vector<std::uint32_t> all;
        for (std::uint32_t part : parts_) all.insert(all.end(), sets_[part].begin(), sets_[part].end());
        std::sort(all.begin(), all.end());
        all.erase(std::unique(all.begin(), all.end()), all.end());
        of_[node] = static_cast<std::uint32_t>(sets_.size());
        sets_.push_back(std::move(all));
    }

  private:
    std::vector<std::uint32_t> of_;  // by node: its set
    std::vector<std::vector<std::uint32_t>> sets_;
    std::vector<std::uint32_t> parts_;
};

// Greedily, each column gets the first colour that no column has with which it shares a row; rows and, where the
// pattern is symmetric, columns of more than `most` entries aside. Gives up where more than `enough` are needed.
std::optional<Groups> grouped(const Pattern& pattern, const Pattern& by_column, const std::vector<std::uint32_t>& sizes,
                              std::size_t most, bool symmetric, std::size_t enough) {
    Groups result;
    for (std::uint32_t row = 0; row < sizes.size(); ++row)
        if (sizes[row] > most) result.alone.push_back(row);
    result.colours.assign(pattern.width, none);
    std::vector<std::uint32_t> taken_by(pattern.width + 1, none);  // colour: last column that must not share it
    Pace pace;
    for (std::uint32_t column = 0; column < pattern.width; ++column) {
        if (symmetric && sizes[column] > most) continue;
        for (std::uint32_t k = by_column.starts[column]; k < by_column.starts[column + 1]; ++k) {
            const std::uint32_t row = by_column.columns[k];
            if (sizes[row] > most) continue;
            pace(sizes[row]);
            for (std::uint32_t j = pattern.starts[row]; j < pattern.starts[row + 1]; ++j)
                if (pattern.columns[j] < column && result.colours[pattern.columns[j]] != none)
                    taken_by[result.colours[pattern.columns[j]]] = column;
        }
        std::uint32_t colour = 0;
        while (taken_by[colour] == column) ++colour;
        result.colours[column] = colour;
        result.colour_count = std::max(result.colour_count, colour + 1);
        if (result.sweeps() > enough) return std::nullopt;
    }
    return result;
}

}  // namespace

Pattern full_pattern(std::size_t height, std::size_t width) {
    if (height * width > 0x7fffffff)
        throw std::length_error("a matrix of " + std::to_string(height) + " x " + std::to_string(width) +
                                " entries, of which few are known to be zero, is too large");
    Pattern pattern;
    pattern.width = width;
    for (std::size_t row = 0; row <= height; ++row) pattern.starts.push_back(static_cast<std::uint32_t>(row * width));
    for (std::size_t row = 0; row < height; ++row)
        for (std::uint32_t column = 0; column < width; ++column) pattern.columns.push_back(column);
    return pattern;
}

Pattern transposed(const Pattern& pattern) {
    Pattern result;
    result.width = pattern.height();
    result.starts.assign(pattern.width + 1, 0);
    for (std::uint32_t column : pattern.columns) ++result.starts[column + 1];
    std::partial_sum(result.starts.begin(), result.starts.end(), result.starts.begin());
    result.columns.resize(pattern.size());
    std::vector<std::uint32_t> next(result.starts.begin(), result.starts.end() - 1);
    for (std::uint32_t row = 0; row < pattern.height(); ++row)
        for (std::uint32_t k = pattern.starts[row]; k < pattern.starts[row + 1]; ++k)
            result.columns[next[pattern.columns[k]]++] = row;
    return result;
}

// A row with many entries needs as many colours: it is tried which of the longest rows are better left aside.
Groups group_columns(const Pattern& pattern, bool symmetric) {
    const Pattern by_column = transposed(pattern);
    std::vector<std::uint32_t> sizes;
    for (std::uint32_t row = 0; row < pattern.height(); ++row)
        sizes.push_back(pattern.starts[row + 1] - pattern.starts[row]);
    std::vector<std::uint32_t> sorted = sizes;
    std::sort(sorted.rbegin(), sorted.rend());
    struct Try {
        std::size_t least, longest;  // sweeps; the longest row that is not aside
        auto operator<=>(const Try&) const = default;
    };
    constexpr std::size_t most_tries = 8, most_work = std::size_t{1} << 26;
    std::vector<Try> tries;
    std::size_t work = 0;
    for (std::size_t first = sorted.size() + 1; first-- > 0;) {
        const std::size_t longest = first < sorted.size() ? sorted[first] : 0;
        if ((work += longest * longest) > most_work) break;
        if (first && sorted[first - 1] == longest) continue;  // as long as one that is aside
        tries.push_back({first + longest, longest});
    }
    std::sort(tries.begin(), tries.end());
    Groups best;  // each column for itself
    best.colour_count = static_cast<std::uint32_t>(pattern.width);
    best.colours.resize(pattern.width);
    std::iota(best.colours.begin(), best.colours.end(), 0u);
    for (std::size_t k = 0; k < std::min(tries.size(), most_tries) && tries[k].least < best.sweeps(); ++k)
        if (auto found = grouped(pattern, by_column, sizes, tries[k].longest, symmetric, best.sweeps() - 1))
            best = std::move(*found);
    return best;
}

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
        for_varying_operands(graph, node, [&](std::uint32_t operand) {
            pace(depends.words());
            depends.unite(n, depends, operand);
        });
        for_crossings(graph, n, cross);
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

std::size_t count_products(const Graph& graph, const std::vector<std::uint32_t>& column,
                           const std::vector<std::uint8_t>& live, std::size_t most) {
    const auto size = static_cast<std::uint32_t>(graph.nodes.size());
    std::size_t count = 0;
    Pace pace;
    Unions depends(size);
    for (std::uint32_t n = 0; n < size && count <= most; ++n) {
        if (!live[n]) continue;
        const std::size_t before = count;
        depends.begin();
        if (column[n] != none) depends.add_alone(column[n]);
        graph.for_operands(graph.nodes[n], [&](std::uint32_t operand) { count += depends.add(operand); });
        depends.end(n);
        pace(count - before + 1);
    }
    return count;
}

ChainRule count_products(const Graph& graph, const Columns& columns, std::size_t most) {
    const auto size = static_cast<std::uint32_t>(graph.nodes.size());
    const std::vector<std::uint32_t> places = columns.places(graph.n_inputs + graph.n_parameters);
    std::vector<std::uint32_t> column(size, none);
    std::vector<std::uint8_t> varies(size, 0);
    for (std::uint32_t n = 0; n < size; ++n) {
        const Node& node = graph.nodes[n];
        if (node.code == Code::input) column[n] = places[node.a];
        if (node.code == Code::parameter) column[n] = places[graph.n_inputs + node.a];
        varies[n] = column[n] != none;
        graph.for_operands(node, [&](std::uint32_t operand) { varies[n] |= varies[operand]; });
    }
    ChainRule result{count_products(graph, column, std::vector<std::uint8_t>(size, 1), most), 0};
    Pace pace;

    std::vector<std::uint32_t> first(size + 1, 0), consumers;
    const auto each_consumer = [&](auto&& f) {
        for (std::uint32_t n = 0; n < size; ++n)
            if (varies[n]) graph.for_operands(graph.nodes[n], [&](std::uint32_t operand) { f(operand, n); });
    };
    each_consumer([&](std::uint32_t operand, std::uint32_t) { ++first[operand + 1]; });
    for (std::uint32_t n = 0; n < size; ++n) first[n + 1] += first[n];
    consumers.resize(first[size]);
    std::vector<std::uint32_t> next(first.begin(), first.end() - 1);
    each_consumer([&](std::uint32_t operand, std::uint32_t consumer) { consumers[next[operand]++] = consumer; });
    std::vector<std::vector<std::uint32_t>> rows(size);
    for (std::uint32_t k = 0; k < graph.outputs.size(); ++k) rows[graph.outputs[k]].push_back(k);
    Unions reaches(size);
    for (std::uint32_t n = size; n-- > 0 && result.by_outputs <= most;) {
        if (!varies[n]) continue;
        std::size_t products = 0;
        reaches.begin();
        for (std::uint32_t row : rows[n]) reaches.add_alone(row);
        for (std::uint32_t k = first[n]; k < first[n + 1]; ++k) products += reaches.add(consumers[k]);
        pace(products + 1);
        result.by_outputs += products;
        reaches.end(n);
    }
    return result;
}

}  // namespace kilograd::program
