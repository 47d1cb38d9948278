// Numbers from columns into rows and back.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

namespace kilograd::program {

inline constexpr std::size_t tile = 64;  // rows whose columns are moved together, so that a cache line is met once

inline void copy_column(const double* from, std::ptrdiff_t step, std::size_t count, double* to) {
    if (step == 1)
        std::copy_n(from, count, to);
    else
        for (std::size_t r = 0; r < count; ++r, from += step) to[r] = *from;
}

// n columns, side by side in rows that are `step` apart: one store of several numbers costs what one of one costs.
template <std::size_t n>
void interleave(const std::array<const double*, n>& columns, std::size_t count, double* to, std::size_t step) {
    for (std::size_t r = 0; r < count; ++r, to += step) {
        std::array<double, n> row;
        for (std::size_t k = 0; k < n; ++k) row[k] = columns[k][r];
        std::copy_n(row.data(), n, to);
    }
}

// `count` numbers from each of several places into columns of rows.
template <class Column, class From>
void store_rows(std::size_t count, std::size_t places, Column&& column, From&& from, double* rows, std::size_t width) {
    for (std::size_t first = 0; first < count; first += tile) {
        const std::size_t part = std::min(tile, count - first);
        const auto at = [&](std::size_t k) { return from(k) + first; };
        for (std::size_t k = 0; k < places;) {
            double* to = rows + first * width + column(k);
            const auto side_by_side = [&](std::size_t n) {
                return k + n <= places && column(k + n - 1) == column(k) + n - 1;
            };
            if (side_by_side(4)) {
                interleave<4>({at(k), at(k + 1), at(k + 2), at(k + 3)}, part, to, width);
                k += 4;
            } else if (side_by_side(2)) {
                interleave<2>({at(k), at(k + 1)}, part, to, width);
                k += 2;
            } else {
                interleave<1>({at(k)}, part, to, width);
                k += 1;
            }
        }
    }
}

}  // namespace kilograd::program
