// Dependence: which columns the numbers of a Map depend on, and which pairs of columns have second derivatives.
//
// A Map is gone through as in a forward sweep, with a *set* of columns for each number in its place. Loops are gone
// through turn by turn, so that each result has what it depends on and no more; where the number of turns is that of a
// call, until nothing changes.
//
// Sets are numbers, equal for equal sets where these are small. What is small is kept as a list of columns; a larger
// set refers to others, as a sum over a long sequence would else be a list for each of its partial sums.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../passes/sparsity.hpp"
#include "../watch.hpp"

namespace kilograd::program {

class Map;

class Dependence {
  public:
    using Set = std::uint32_t;
    static constexpr Set nothing = 0;
    using Mask = std::vector<std::uint8_t>;

    struct TooMuch : std::exception {
        const char* what() const noexcept override { return "too much to tell what depends on what"; }
    };

    // `second`: pairs are noted.
    explicit Dependence(bool second);

    bool second() const { return second_; }
    Set column(std::uint32_t number);
    // The union of sets, whose list it takes as room.
    Set unite(std::vector<Set>& parts);
    void cross(Set a, Set b);

    // The columns of a set, in ascending order, in the room of the next call.
    const std::vector<std::uint32_t>& columns(Set set);
    // For each of so many columns those with which it has second derivatives.
    Pattern crossings(std::size_t width);

    void spend(std::size_t work);

  private:
    struct Span {
        std::uint32_t first, count;
        bool is_list;  // of columns, else of sets
    };
    const std::uint32_t* begin(Set set) const { return numbers_.data() + spans_[set].first; }
    const std::uint32_t* end(Set set) const { return begin(set) + spans_[set].count; }
    Set kept(const std::vector<std::uint32_t>& numbers, bool is_list);
    void start();
    void collect(Set set);

    const bool second_;
    std::size_t work_ = 0;
    Pace pace_;
    std::vector<Span> spans_;
    std::vector<std::uint32_t> numbers_;
    std::unordered_multimap<std::uint64_t, Set> known_;
    std::unordered_map<std::uint64_t, std::pair<Set, Set>> crossed_;
    std::vector<std::uint32_t> merged_, sets_, found_, stack_;
    // By set and by column: in which collection it was met.
    std::vector<std::uint32_t> met_sets_, met_columns_;
    std::uint32_t collection_ = 0;
};

// Of the Jacobian of a map or, if `second`, of the Hessian of any weighted sum of its outputs. Where it would be too
// much to tell, all entries.
Pattern pattern_of(const Map& map, bool second, const Columns& columns);

}  // namespace kilograd::program
