#include "hessian.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "passes/second_order.hpp"
#include "program.hpp"
#include "watch.hpp"

namespace kilograd::program {

namespace {

// Fills square matrices, row after row of a batch: f(square) sets what is not zero.
template <class F>
void fill_squares(double* to, std::size_t rows, std::size_t size, F&& f) {
    const std::size_t area = size * size, stretch = std::max<std::size_t>(1, 4096 / std::max<std::size_t>(1, area));
    Pace pace;
    for (std::size_t first = 0; first < rows; first += stretch) {
        const std::size_t count = std::min(stretch, rows - first);
        pace(count * area);
        std::fill(to, to + count * area, 0.0);
        for (std::size_t r = 0; r < count; ++r, to += area) f(to);
    }
}

// Calls f(rows, first) with the request for a few rows after the other, so many that what is kept for them on the way,
// `doubles` a row, stays small.
template <class F>
void in_parts(const Request& given, std::size_t doubles, F&& f) {
    constexpr std::size_t most = std::size_t{1} << 21;  // 16 MB: blocks enough for all threads
    const std::size_t rows = std::max<std::size_t>(1, most / std::max<std::size_t>(1, doubles));
    for (std::size_t first = 0; first < given.rows; first += rows) {
        look_up();
        Request part = given;
        part.rows = std::min(rows, given.rows - first);
        part.first += first;
        if (part.x) part.x += static_cast<std::ptrdiff_t>(first) * given.row_stride;
        if (part.weights) part.weights += static_cast<std::ptrdiff_t>(first) * given.weight_row_stride;
        f(part, first);
    }
}

}  // namespace

// What may differ from zero for some x; `program` is null where sweeps are better.
struct Hessians::Entries {
    std::unique_ptr<const Program> program;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> at;  // of each output: row, column of the lower triangle
    bool total;                                               // no op of the original is ever refused
};

Hessians::Hessians() = default;
Hessians::~Hessians() = default;

const Colouring& Hessians::colouring(const Graph& graph, bool promoted) const {
    return colourings_[promoted].get([&] { return std::make_unique<Colouring>(colour_hessian(graph, promoted)); });
}

const Hessians::Entries& Hessians::entries(const Graph& graph, bool promoted) const {
    return entries_[promoted].get([&] {
        auto made = std::make_unique<Entries>();
        made->total =
            std::all_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) { return is_total(node.code); });
        if (std::optional<SecondOrder> found = differentiate_twice(graph, promoted)) {
            made->program = std::make_unique<const Program>(std::move(found->graph));
            made->at = std::move(found->at);
        }
        return made;
    });
}

void Hessians::run(const Program& program, const Request& given, double* to, const Kernels& kernels) const {
    const Graph& graph = program.graph();
    if (given.weights || !entries(graph, given.promoted).program) return run_by_sweeps(program, given, to, kernels);
    const Entries& entries = this->entries(graph, given.promoted);
    const std::size_t size = given.columns(graph), count = entries.at.size(), outputs = graph.outputs.size();
    // Derivatives are not checked, and need not hold all operations that are.
    const bool checked = given.check && !entries.total;
    std::vector<double> values, found;
    in_parts(given, count + (checked ? outputs : 0) + size, [&](Request& request, std::size_t first) {
        request.promoted = false;
        if (checked) {
            values.resize(request.rows * outputs);
            request.values = values.data();
            program.run(request, kernels);
        }
        request.check = false;
        found.resize(request.rows * count);
        request.values = found.data();
        entries.program->run(request, kernels);
        fill_squares(to + first * size * size, request.rows, size, [&, from = found.data()](double* square) mutable {
            for (const auto& [row, column] : entries.at)
                square[row * size + column] = square[column * size + row] = *from++;
        });
    });
}

void Hessians::run_by_sweeps(const Program& program, const Request& given, double* to, const Kernels& kernels) const {
    const Graph& graph = program.graph();
    const Colouring& colouring = this->colouring(graph, given.promoted);
    const std::size_t size = given.columns(graph), outputs = graph.outputs.size();
    const bool coloured = colouring.colour_count != 0;
    const std::size_t sweeps = coloured ? colouring.colour_count : size;
    std::vector<double> weights, tangents, compressed;
    in_parts(given, sweeps * (coloured ? 2 * size : 1), [&](Request& request, std::size_t first) {
        const std::size_t rows = request.rows;
        request.repeat = std::max<std::size_t>(sweeps, 1);
        request.rows = rows * sweeps;
        if (given.weight_row_stride != 0) {
            const double* from = request.weights;
            weights.clear();
            weights.reserve(request.rows * outputs);
            for (std::size_t r = 0; r < rows; ++r, from += given.weight_row_stride)
                for (std::size_t k = 0; k < sweeps; ++k) weights.insert(weights.end(), from, from + outputs);
            request.weights = weights.data();
            request.weight_row_stride = outputs;
        }
        double* square = to + first * size * size;
        if (!coloured) {
            request.unit_tangents = true;
            request.dx_tangents = square;
            return program.run(request, kernels);
        }
        tangents.assign(request.rows * size + 1, 0.0);
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t column = 0; column < size; ++column)
                tangents[(r * sweeps + colouring.colours[column]) * size + column] = 1.0;
        compressed.resize(request.rows * size + 1);
        request.tangents = tangents.data();
        request.dx_tangents = compressed.data();
        program.run(request, kernels);
        fill_squares(square, rows, size, [&, from = compressed.data()](double* of_row) mutable {
            for (const auto& [row, column] : colouring.at)
                of_row[row * size + column] = from[colouring.colours[column] * size + row];
            from += sweeps * size;
        });
    });
}

std::size_t Hessians::bytes() const {
    std::size_t total = 0;
    for (const auto& colouring : colourings_)
        if (colouring.get()) total += colouring.get()->colours.size() * 4 + colouring.get()->at.size() * 8;
    for (const auto& entries : entries_)
        if (entries.get() && entries.get()->program)
            total += entries.get()->program->bytes() + entries.get()->at.size() * 8;
    return total;
}

}  // namespace kilograd::program
