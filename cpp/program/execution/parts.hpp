// Calls in parts: a few rows after the other, where what is kept of each on the way is large.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "../watch.hpp"
#include "request.hpp"

namespace kilograd::program {

// Calls f(part, first) with the request for a few rows after the other, so many that what is kept for them, `doubles` a
// row, stays small. Tangents that the request has are the caller's to move on.
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

// Results that f(part, first, results) gives for a few rows after the other, `area` numbers a row, reduced to one.
template <class F>
void add_up(const Request& given, std::size_t area, double* to, F&& f) {
    std::fill(to, to + area, 0.0);
    std::vector<double> results;
    in_parts(given, area, [&](Request& part, std::size_t first) {
        part.reduce = Reduce::None;
        results.resize(part.rows * area);
        f(part, first, results.data());
        Pace pace;
        for (auto from = results.begin(); from != results.end(); pace(area))
            for (std::size_t k = 0; k < area; ++k) to[k] += *from++;
    });
    if (given.reduce == Reduce::Mean)
        for (std::size_t k = 0; k < area; ++k) to[k] /= static_cast<double>(given.rows);
}

}  // namespace kilograd::program
