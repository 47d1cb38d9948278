#include "derivatives.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "execution/parts.hpp"
#include "passes/entries.hpp"
#include "program.hpp"
#include "watch.hpp"

namespace kilograd::program {

namespace {

using Of = Derivatives::Of;

// The columns of a choice, out of those that a sweep gives.
class Choice {
  public:
    Choice(const Columns& columns, std::size_t all) : columns_(columns), all_(all), size_(columns.size()) {}
    bool is_all() const { return size_ == all_; }
    void copy(const double* from, std::size_t rows, double* to) const {
        Pace pace;
        for (std::size_t r = 0; r < rows; ++r, from += all_) {
            pace(size_);
            for (const Stretch& stretch : columns_.stretches())
                to = std::copy(from + stretch.first, from + stretch.last, to);
        }
    }

  private:
    const Columns& columns_;
    const std::size_t all_, size_;
};

Pattern pattern_of(std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>>& at, std::size_t height,
                   std::size_t width, std::vector<std::uint32_t>& source) {
    std::sort(at.begin(), at.end());
    Pattern pattern;
    pattern.width = width;
    pattern.starts.assign(height + 1, 0);
    for (const auto& [row, column, number] : at) {
        ++pattern.starts[row + 1];
        pattern.columns.push_back(column);
        source.push_back(number);
    }
    for (std::size_t row = 0; row < height; ++row) pattern.starts[row + 1] += pattern.starts[row];
    return pattern;
}

// How many ops a program of entries may have. Sweeps go over all ops once for each row or column, and are vectors; what
// is sparse may be too large for them.
std::size_t allowed_work(const Graph& graph, const Derivatives::Key& key) {
    constexpr std::size_t least = 64, small = std::size_t{1} << 17, sparse = std::size_t{1} << 25;
    const std::size_t work = work_of(graph), columns = key.columns.size();
    if (key.sparse) return sparse;
    const std::size_t sweeps = key.of == Of::Jacobian ? std::min(columns, graph.outputs.size()) : columns;
    return std::max(8 * work, std::min(sweeps * work, small)) + least;
}

const Colouring no_colouring;

}  // namespace

// A matrix as a program of the entries that may differ from zero for some x; without one where sweeps are better.
class Derivatives::Made {
  public:
    std::unique_ptr<const Program> program;
    Pattern pattern;

    Made(const Program& of, const Key& key) {
        const Graph& graph = of.graph();
        const std::size_t width = key.columns.size();
        const std::size_t height = key.of == Of::Jacobian ? graph.outputs.size() : width;
        std::optional<Entries> found =
            key.of == Of::Jacobian ? differentiate(graph, key.columns, allowed_work(graph, key))
                                   : differentiate_twice(graph, key.columns, key.weighted, allowed_work(graph, key));
        if (!found) {
            if (key.sparse) pattern = full_pattern(height, width);
            return;
        }
        std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> at;
        std::uint32_t number = 0;
        for (const Place& place : found->at) {
            at.emplace_back(place.row, place.column, number);
            if (key.of == Of::Hessian && place.row != place.column) at.emplace_back(place.column, place.row, number);
            ++number;
        }
        pattern = pattern_of(at, height, width, source_);
        if (2 * pattern.size() >= pattern.area()) make_whole(found->graph);
        in_order_ = std::is_sorted(source_.begin(), source_.end()) && source_.size() == found->graph.outputs.size();
        program = std::make_unique<const Program>(std::move(found->graph), of.machine_allowed());
    }

    // Whether the outputs of the program are the matrix, or the entries, as they stand.
    bool is_whole() const { return is_whole_; }
    bool is_in_order() const { return in_order_; }

    void spread(const double* found, double* matrix) const {
        std::fill(matrix, matrix + pattern.area(), 0.0);
        const std::uint32_t *source = source_.data(), *column = pattern.columns.data();
        for (std::size_t row = 0; row < pattern.height(); ++row, matrix += pattern.width)
            for (std::size_t k = pattern.starts[row]; k < pattern.starts[row + 1]; ++k)
                matrix[*column++] = found[*source++];
    }
    void list(const double* found, double* entries) const {
        for (std::uint32_t source : source_) *entries++ = found[source];
    }

    // Calls f(outputs, rows, first) for a few rows after the other, or once for all where they are reduced.
    template <class F>
    void run(const Graph& original, const Request& given, const Kernels& kernels, F&& f) const {
        const std::size_t count = program->n_outputs();
        std::vector<double> found;
        if (given.reduce != Reduce::None) {
            std::vector<double> sum(count, 0.0);
            found.resize(count);
            in_parts(given, given.weights ? original.n_inputs + original.outputs.size() : 0, [&](Request& part, auto) {
                part.reduce = Reduce::Sum;
                run(original, part, found.data(), kernels);
                for (std::size_t k = 0; k < count; ++k) sum[k] += found[k];
            });
            if (given.reduce == Reduce::Mean)
                for (double& entry : sum) entry /= static_cast<double>(given.rows);
            return f(sum.data(), std::size_t{1}, std::size_t{0});
        }
        in_parts(given, count + given.columns(original), [&](Request& part, std::size_t first) {
            found.resize(part.rows * count);
            run(original, part, found.data(), kernels);
            f(found.data(), part.rows, first);
        });
    }

    void run(const Graph& original, Request request, double* to, const Kernels& kernels) const {
        const std::size_t inputs = original.n_inputs, outputs = original.outputs.size();
        std::vector<double> x;
        if (request.weights) {  // they are inputs here
            x.resize(request.rows * (inputs + outputs) + 1);
            double* next = x.data();
            for (std::size_t r = 0; r < request.rows; ++r) {
                const double* row = request.x + static_cast<std::ptrdiff_t>(r) * request.row_stride;
                for (std::size_t k = 0; k < inputs; ++k, row += request.column_stride) *next++ = *row;
                next = std::copy_n(request.weights + static_cast<std::ptrdiff_t>(r) * request.weight_row_stride,
                                   outputs, next);
            }
            request.x = x.data();
            request.column_stride = 1;
            request.row_stride = static_cast<std::ptrdiff_t>(inputs + outputs);
            request.weights = nullptr;
        }
        request.promoted = false;
        request.original = &original;
        request.values = to;
        program->run(request, kernels);
    }

    std::size_t bytes() const {
        return (pattern.starts.size() + pattern.columns.size() + source_.size()) * 4 + (program ? program->bytes() : 0);
    }

  private:
    // Outputs the matrix as it stands: cheaper than to spread its entries, where most are none that are zero.
    void make_whole(Graph& graph) {
        const auto zero = static_cast<std::uint32_t>(graph.nodes.size());
        std::vector<std::uint32_t> outputs(pattern.area(), zero);
        for (std::size_t row = 0; row < pattern.height(); ++row)
            for (std::size_t k = pattern.starts[row]; k < pattern.starts[row + 1]; ++k) {
                const std::size_t place = row * pattern.width + pattern.columns[k];
                outputs[place] = graph.outputs[source_[k]];
                source_[k] = static_cast<std::uint32_t>(place);
            }
        if (pattern.size() < pattern.area()) graph.nodes.push_back({0.0, 0, 0, Code::constant});
        graph.outputs = std::move(outputs);
        is_whole_ = true;
    }

    std::vector<std::uint32_t> source_;  // of each entry of the pattern: an output
    bool in_order_ = false, is_whole_ = false;
};

// All sweeps for a matrix of a single row as one program over directions; without one where there is a cheaper way.
class Derivatives::Swept {
  public:
    std::unique_ptr<const Program> program;

    Swept(const Program& of, const Key& key, const Made& entries) : columns_(key.columns.size()) {
        const Graph& graph = of.graph();
        const std::size_t outputs = graph.outputs.size(), work = work_of(graph);
        const double others = entries.program ? 0.8 * static_cast<double>(work_of(entries.program->graph()))
                                              : static_cast<double>(columns_ * work) + 1.0;
        if (entries.program && others < 4.0 * static_cast<double>(work)) return;
        if (key.of == Of::Hessian) {
            consider(sweep(graph, key.columns, Sweep::Second), others, of);
        } else {
            kind_ = outputs <= columns_ ? Sweep::Reverse : Sweep::Forward;
            consider(sweep(graph, key.columns, kind_), others, of);
        }
    }

    void run(const Graph& original, const Request& given, double* to, const Kernels& kernels) const {
        const std::size_t n = original.n_inputs, outputs = original.outputs.size(), size = program->n_inputs();
        std::vector<double> parameters(n);
        for (std::size_t k = 0; k < n; ++k)
            parameters[k] = given.x[static_cast<std::ptrdiff_t>(k) * given.column_stride];
        parameters.insert(parameters.end(), given.parameters, given.parameters + original.n_parameters);
        if (given.weights)
            parameters.insert(parameters.end(), given.weights, given.weights + outputs);
        else
            parameters.insert(parameters.end(), outputs, 1.0);
        constexpr std::size_t most = 256;  // directions at a time
        const std::size_t count = std::min(size, most);
        std::vector<double> directions(count * size, 0.0), found;
        Request request;
        request.parameters = parameters.data();
        request.threads = given.threads;
        request.check = given.check;
        request.original = &original;
        request.asked = &given;
        request.x = directions.data();
        request.row_stride = static_cast<std::ptrdiff_t>(size);
        for (std::size_t first = 0; first < size; first += count) {
            request.rows = std::min(count, size - first);
            for (std::size_t r = 0; r < request.rows; ++r) directions[r * size + first + r] = 1.0;
            if (kind_ == Sweep::Forward) {
                found.resize(request.rows * outputs);
                request.values = found.data();
            } else {
                request.values = to + first * program->n_outputs();
            }
            program->run(request, kernels);
            for (std::size_t r = 0; r < request.rows; ++r) {
                directions[r * size + first + r] = 0.0;
                for (std::size_t o = 0; kind_ == Sweep::Forward && o < outputs; ++o)
                    to[o * size + first + r] = found[r * outputs + o];
            }
        }
    }

    std::size_t bytes() const { return program ? program->bytes() : 0; }

  private:
    void consider(Graph graph, double others, const Program& of) {
        const std::size_t sweeps = graph.n_inputs;
        constexpr double overhead = 1000.0;
        if (Kinds(graph).price(sweeps) + overhead < others)
            program = std::make_unique<const Program>(std::move(graph), of.machine_allowed());
    }

    const std::size_t columns_;
    Sweep kind_ = Sweep::Second;
};

Derivatives::Derivatives() = default;
Derivatives::~Derivatives() = default;

const Derivatives::Made& Derivatives::made(const Program& program, const Key& key) const {
    if (key.sparse) {
        const Made& dense = made(program, {key.of, key.weighted, false, key.columns});
        if (dense.program) return dense;
    }
    return made_.get(key, [&] { return std::make_unique<const Made>(program, key); });
}

const Derivatives::Swept& Derivatives::swept(const Program& program, const Key& key) const {
    return swept_.get(key, [&] { return std::make_unique<const Swept>(program, key, made(program, key)); });
}

const Colouring& Derivatives::colouring(const Graph& graph, bool promoted) const {
    return colourings_[promoted].get([&] { return std::make_unique<Colouring>(colour_hessian(graph, promoted)); });
}

const Pattern& Derivatives::pattern(Of of, const Program& program, const Columns& columns, bool weighted) const {
    return made(program, {of, of == Of::Hessian && weighted, true, columns}).pattern;
}

void Derivatives::whole(Of of, const Program& program, const Request& given, const Columns& columns, double* to,
                        const Kernels& kernels) const {
    const Key key{of, given.weights != nullptr, false, columns};
    if (given.rows == 1) {
        const Swept& swept = this->swept(program, key);
        if (swept.program) return swept.run(program.graph(), given, to, kernels);
    }
    const Made& made = this->made(program, key);
    if (!made.program) return by_sweeps(of, program, given, columns, to, kernels);
    if (made.is_whole() && given.reduce == Reduce::None) return made.run(program.graph(), given, to, kernels);
    const std::size_t area = made.pattern.area();
    made.run(program.graph(), given, kernels, [&](const double* found, std::size_t rows, std::size_t first) {
        Pace pace;
        for (std::size_t r = 0; r < rows; ++r, found += made.program->n_outputs()) {
            pace(area);
            made.spread(found, to + (first + r) * area);
        }
    });
}

void Derivatives::entries(Of of, const Program& program, const Request& given, const Columns& columns, double* to,
                          const Kernels& kernels) const {
    const Made& made = this->made(program, {of, given.weights != nullptr, true, columns});
    if (!made.program) return by_sweeps(of, program, given, columns, to, kernels);
    if (made.is_in_order() && given.reduce == Reduce::None) return made.run(program.graph(), given, to, kernels);
    const std::size_t size = made.pattern.size();
    made.run(program.graph(), given, kernels, [&](const double* found, std::size_t rows, std::size_t first) {
        Pace pace;
        for (std::size_t r = 0; r < rows; ++r, found += made.program->n_outputs()) {
            pace(size);
            made.list(found, to + (first + r) * size);
        }
    });
}

void Derivatives::by_sweeps(Of of, const Program& program, const Request& given, const Columns& columns, double* to,
                            const Kernels& kernels) const {
    const std::size_t height = of == Of::Jacobian ? program.n_outputs() : columns.size();
    if (given.reduce != Reduce::None)
        return add_up(given, height * columns.size(), to, [&](const Request& part, std::size_t, double* matrices) {
            by_sweeps(of, program, part, columns, matrices, kernels);
        });
    Request request = given;
    request.promoted = columns.end() > program.n_inputs();
    if (of == Of::Hessian)
        hessian_by_sweeps(program, request, columns, to, kernels);
    else
        jacobian_by_sweeps(program, request, columns, to, kernels);
}

// A column of the Jacobian costs a forward sweep over dual numbers, a row of it a reverse sweep: whichever are fewer.
void Derivatives::jacobian_by_sweeps(const Program& program, const Request& given, const Columns& columns, double* to,
                                     const Kernels& kernels) const {
    const std::size_t outputs = program.n_outputs(), all = given.columns(program.graph()), size = columns.size();
    const Choice choice(columns, all);
    const bool by_rows = outputs <= size;
    const std::vector<std::uint32_t> moved = columns.numbers();
    std::vector<double> swept;
    in_parts(given, outputs * (by_rows ? all : size), [&](Request& part, std::size_t first) {
        const std::size_t rows = part.rows, sweeps = by_rows ? outputs : size;
        double* next = to + first * outputs * size;
        part.repeat = std::max<std::size_t>(sweeps, 1);
        part.rows = rows * sweeps;
        if (by_rows) {
            part.unit_weights = true;
            if (choice.is_all()) {
                part.dx = next;
                return program.run(part, kernels);
            }
            swept.resize(part.rows * all + 1);
            part.dx = swept.data();
            program.run(part, kernels);
            return choice.copy(swept.data(), part.rows, next);
        }
        part.unit_tangents = true;
        part.moved = moved.data();
        swept.resize(part.rows * outputs + 1);
        part.value_tangents = swept.data();
        program.run(part, kernels);
        Pace pace;
        for (std::size_t r = 0; r < rows; ++r) {
            pace(outputs * size);
            for (std::size_t o = 0; o < outputs; ++o)
                for (std::size_t k = 0; k < size; ++k) *next++ = swept[(r * size + k) * outputs + o];
        }
    });
}

void Derivatives::hessian_by_sweeps(const Program& program, const Request& given, const Columns& columns, double* to,
                                    const Kernels& kernels) const {
    const std::size_t outputs = program.n_outputs(), all = given.columns(program.graph()), size = columns.size();
    const Choice choice(columns, all);
    const Colouring& colouring = choice.is_all() ? this->colouring(program.graph(), given.promoted) : no_colouring;
    const bool coloured = colouring.colour_count != 0;
    const std::size_t sweeps = coloured ? colouring.colour_count : size;
    const std::vector<std::uint32_t> moved = columns.numbers();
    std::vector<double> weights, tangents, swept;
    in_parts(given, sweeps * (coloured ? 2 : 1) * all, [&](Request& request, std::size_t first) {
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
            request.weight_row_stride = static_cast<std::ptrdiff_t>(outputs);
        }
        double* square = to + first * size * size;
        if (coloured) {
            tangents.assign(request.rows * all + 1, 0.0);
            for (std::size_t r = 0; r < rows; ++r)
                for (std::size_t column = 0; column < all; ++column)
                    tangents[(r * sweeps + colouring.colours[column]) * all + column] = 1.0;
            request.tangents = tangents.data();
        } else {
            request.unit_tangents = true;
            request.moved = moved.data();
        }
        if (!coloured && choice.is_all()) {
            request.dx_tangents = square;
            return program.run(request, kernels);
        }
        swept.resize(request.rows * all + 1);
        request.dx_tangents = swept.data();
        program.run(request, kernels);
        if (!coloured) return choice.copy(swept.data(), request.rows, square);
        Pace pace;
        const double* from = swept.data();
        for (std::size_t r = 0; r < rows; ++r, square += size * size, from += sweeps * size) {
            pace(size * size);
            std::fill(square, square + size * size, 0.0);
            for (const auto& [row, column] : colouring.at)
                square[row * size + column] = from[colouring.colours[column] * size + row];
        }
    });
}

std::size_t Derivatives::bytes() const {
    std::size_t total = 0;
    for (const auto& colouring : colourings_)
        if (colouring.get()) total += colouring.get()->colours.size() * 4 + colouring.get()->at.size() * 8;
    made_.each([&](const Made& made) { total += made.bytes(); });
    swept_.each([&](const Swept& swept) { total += swept.bytes(); });
    return total;
}

}  // namespace kilograd::program
