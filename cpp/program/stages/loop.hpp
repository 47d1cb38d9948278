// Loop: a Map made many times over, of what it gave the turn before.
//
// A *turn* takes what is carried, its own numbers of each sequence, its own row of a table of constants, its count, and
// what is the same in all turns. The inputs of the loop are what is carried, one sequence after the other, and what is
// the same. A turn gives what is carried on and one more row of results. There are as many turns as
// told, or as a condition wants of what is carried and shared (`while`), counted for each row.
//
// The reverse sweep takes what was carried into each turn: kept in the forward sweep, or, with checkpoints, of every
// sqrt(n)-th turn, and made once more for the turns between.
//
// Where turn and condition are programs, a single row without tangents goes through frames (turn.hpp), and the reverse
// sweep finds the frames of all turns, unless they are too many.
#pragma once

#include <numeric>
#include <vector>

#include "../lazy.hpp"
#include "map.hpp"
#include "turn.hpp"

namespace kilograd::program {

struct LoopShape {
    std::size_t carried = 0;           // numbers
    std::vector<std::size_t> varying;  // inputs of a turn of its own: numbers of each sequence
    std::size_t constant = 0;          // constants of a turn
    bool counted = false;              // the turn's number is an input, counted from `first_count`
    double first_count = 0.0;
    std::size_t shared = 0;   // inputs of all turns
    std::size_t results = 0;  // outputs of a turn
    std::size_t turns = 0;
    bool backwards = false;  // from the last turn's own inputs to the first's
    bool checkpoints = false;

    std::size_t own() const { return std::accumulate(varying.begin(), varying.end(), std::size_t{0}); }
    std::size_t turn_inputs() const { return carried + own() + constant + counted + shared; }
    std::size_t turn_outputs() const { return carried + results; }
    std::size_t inputs() const { return carried + turns * own() + shared; }
    std::size_t outputs() const { return carried + turns * results; }
};

class Loop final : public Map {
  public:
    // `constants` is (turns, constant). With a condition, of carried and shared numbers, turns have nothing of their
    // own.
    Loop(MapPointer body, MapPointer condition, const LoopShape& shape, std::vector<double> constants);

    void forward(const Rows& rows, Input x, Output y, Kept& kept, bool keep) const override;
    void reverse(const Rows& rows, Input x, Input w, Output dx, Kept& kept) const override;
    void depend(Dependence& dependence, const Dependence::Set* x, Dependence::Set* y,
                const std::uint8_t* wanted) const override;
    void need(const std::uint8_t* wanted, std::uint8_t* x) const override;
    int order() const override { return body_->order(); }
    std::size_t kept_per_row() const override;
    std::size_t cost() const override { return 64 * shape_.turns + body_->cost(); }
    std::size_t bytes() const override;

  private:
    enum { In, Out, Carried, Gradient, Weights, Condition, buffer_count };
    enum { Body, Test, Again, part_count };

    std::size_t stride() const;  // turns from one that is kept to the next
    // Calls f(first number in a turn, first input of the loop, count) for what a turn has of each sequence.
    template <class F>
    void for_own(std::size_t turn, F&& f) const {
        std::size_t first = 0;
        for (std::size_t count : shape_.varying) {
            f(shape_.carried + first, shape_.carried + first * shape_.turns + place(turn) * count, count);
            first += count;
        }
    }
    std::size_t place(std::size_t turn) const { return shape_.backwards ? shape_.turns - 1 - turn : turn; }
    void run(const Rows& rows, Input x, Output y, Kept& kept, bool keep) const;
    void run_back(const Rows& rows, Input x, Input w, Output dx, Kept& kept, std::size_t turns, std::size_t at) const;
    void begin(const Rows& rows, Input x, Output in) const;
    void load(const Rows& rows, Input x, std::size_t turn, Output in) const;
    void turn(const Rows& rows, std::size_t number, Input in, Output out, Kept& kept, bool keep) const;
    bool goes_on(const Rows& rows, std::size_t turn, Input in, Kept& kept) const;

    // Calls f(turn, what is wanted of its outputs, whether a wanted output depends on an input of it) from the last
    // turn to the first; of a loop with a condition once, with what holds for any number of turns.
    template <class F>
    void for_needs(const std::uint8_t* wanted, F&& f) const;

    // A single row, in frames.
    bool in_frames(const Rows& rows, Input x) const;
    bool keeps_frames(const RowTurn& turn) const;
    const RowTurn& row_turn(bool back) const;
    void run_frames(const Rows& rows, Input x, Output y, Kept& kept, bool keep) const;
    void run_frames_back(const Rows& rows, Input x, Input w, Output dx, Kept& kept, std::size_t turns,
                         std::size_t at) const;
    bool fill_frame(const RowTurn& turn, const RowEngine& engine, Input x, std::size_t number, const double* carried,
                    double* frame) const;
    bool goes_on(const Rows& rows, const RowTurn& test, const RowEngine& engine, std::size_t number,
                 const double* carried, double* frame) const;

    const MapPointer body_, condition_;
    const LoopShape shape_;
    const std::vector<double> constants_;
    Lazy<RowTurn> turns_[2], test_;  // by whether they go back
};

}  // namespace kilograd::program
