// Request: what a call of a program is given and what it is to compute.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../graph.hpp"
#include "../schedules/wants.hpp"

namespace kilograd::program {

enum class Reduce : std::uint8_t { None, Sum, Mean };

// Row r takes x[(r / repeat) * row_stride + k * column_stride] as input k. With `promoted`, parameters follow as
// inputs n_inputs ... of every row. Null outputs are not computed. dx, tangents and dx_tangents are (rows, columns),
// C-ordered, with one column for each input (and promoted parameter).
struct Request {
    const double* x = nullptr;
    std::ptrdiff_t row_stride = 0, column_stride = 1;
    std::size_t rows = 1;
    std::size_t repeat = 1;
    std::size_t first = 0;  // what an error calls the first row
    const double* parameters = nullptr;

    const double* weights = nullptr;          // of the outputs, null: ones
    const double* weight_tangents = nullptr;  // with tangents, null: none; as far apart as the weights
    std::ptrdiff_t weight_row_stride = 0;
    bool unit_weights = false;  // row r differentiates output r % repeat alone
    const double* tangents = nullptr;
    bool unit_tangents = false;            // row r moves input r % repeat alone,
    const std::uint32_t* moved = nullptr;  // or moved[r % repeat]

    Reduce reduce = Reduce::None;
    bool promoted = false;
    unsigned threads = 1;
    bool check = true;
    const Graph* original = nullptr;  // what says whether eager code would raise, where it is not the program's own,
    const Request* asked = nullptr;   // and of which request, where it is not this one

    double* values = nullptr;          // (rows, n_outputs), reduced: (n_outputs)
    double* value_tangents = nullptr;  // (rows, n_outputs), never reduced
    double* dx = nullptr;
    std::size_t dx_step = 0;  // from one column of dx to the next, where that is not 1: its rows are side by side then
    double* dx_tangents = nullptr;
    double* dp = nullptr;  // (n_parameters)

    bool dual() const { return tangents || unit_tangents; }
    bool reverse() const { return dx || dx_tangents || dp; }
    Wants wants() const { return {dx || dx_tangents, dp || (reverse() && promoted), promoted}; }
    // Of dx and of tangents.
    std::size_t columns(const Graph& graph) const { return graph.n_inputs + (promoted ? graph.n_parameters : 0); }
};

}  // namespace kilograd::program
