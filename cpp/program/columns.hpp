// Columns: by which numbers a Jacobian or a Hessian is taken.
//
// Inputs have the numbers 0 ... n_inputs - 1, parameters those after them. A choice is a few stretches of them.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "graph.hpp"

namespace kilograd::program {

struct Stretch {
    std::uint32_t first, last;  // one past the last
    auto operator<=>(const Stretch&) const = default;
};

class Columns {
  public:
    // Stretches in ascending order, none empty, that do not overlap.
    explicit Columns(std::vector<Stretch> stretches) : stretches_(std::move(stretches)) {}
    static Columns of(const Graph& graph, bool inputs, bool parameters) {
        std::vector<Stretch> found;
        const std::uint32_t all = graph.n_inputs + graph.n_parameters;
        const Stretch both{inputs ? 0 : graph.n_inputs, parameters ? all : graph.n_inputs};
        if (both.first < both.last) found.push_back(both);
        return Columns(std::move(found));
    }

    bool operator==(const Columns&) const = default;
    const std::vector<Stretch>& stretches() const { return stretches_; }
    std::size_t size() const {
        std::size_t count = 0;
        for (const Stretch& stretch : stretches_) count += stretch.last - stretch.first;
        return count;
    }
    // One past the largest number.
    std::uint32_t end() const { return stretches_.empty() ? 0 : stretches_.back().last; }
    std::vector<std::uint32_t> numbers() const {
        std::vector<std::uint32_t> found;
        for (const Stretch& stretch : stretches_)
            for (std::uint32_t number = stretch.first; number < stretch.last; ++number) found.push_back(number);
        return found;
    }
    // By number, `count` of them: the place among these, or none.
    std::vector<std::uint32_t> places(std::size_t count) const {
        std::vector<std::uint32_t> found(count, none);
        std::uint32_t next = 0;
        for (std::uint32_t number : numbers()) found[number] = next++;
        return found;
    }

  private:
    std::vector<Stretch> stretches_;
};

}  // namespace kilograd::program
