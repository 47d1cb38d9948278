// RowTurn: a Program as the turn of a loop over a single row.
//
// The numbers of a turn stand in a *frame*, at their positions in the row schedule: what comes in is written where the
// program reads it, what goes out is read where it was made, and the reverse sweep takes a frame as the forward sweep
// left it.
#pragma once

#include <algorithm>
#include <vector>

#include "../execution/row_engine.hpp"
#include "../program.hpp"
#include "../schedules/row_schedule.hpp"

namespace kilograd::program {

struct LoopShape;

class RowTurn {
  public:
    // `back`: frames are for a reverse sweep too.
    RowTurn(const Program& program, const LoopShape& shape, bool back);

    // Doubles from one frame to the next, so many of which have to be there; and of adjoints.
    std::size_t room() const { return schedule_.size(); }
    std::size_t adjoint_room() const { return schedule_.adjoint_room(); }

    // For so many turns.
    RowEngine engine(const Kernels& kernels, std::size_t turns) const {
        return {kernels, program_.machine(wants_, kernels, false, turns)};
    }

    // What is the same in all turns, `shared` being the inputs of that kind; and the copy of it to another frame. A few
    // number by number, as they are read next: a part of a vector that stands across two cache lines is not read until
    // both are written.
    void begin(const double* shared, double* frame) const;
    void copy_fixed(const double* from, double* frame) const {
        if (fixed_.size() > 16)
            std::copy_n(from, schedule_.leaf_count(), frame);
        else
            for (std::uint32_t position : fixed_) frame[position] = from[position];
    }
    // What a turn has of its own, `place` being its place in the sequences among the inputs of the loop.
    void load(const double* carried, const double* inputs, std::size_t place, const double* constant, double count,
              double* frame) const {
        put(carried_, carried, frame);
        for (const Own& own : own_) frame[own.position] = inputs[own.first + place * own.step];
        put(constant_, constant, frame);
        for (const Leaf& leaf : counted_) frame[leaf.position] = count;
    }
    // Whether an operation may have been refused: see diagnose().
    bool forward(const RowEngine& engine, double* frame) const { return engine.forward(schedule_, frame); }
    // Outputs `first` ... of a frame.
    void take(std::size_t first, std::size_t count, const double* frame, double* to) const {
        for (std::size_t k = 0; k < count; ++k) to[k] = frame[outputs_[first + k]];
    }
    double output(std::size_t number, const double* frame) const { return frame[outputs_[number]]; }
    // Throws a DomainError if an operation was refused.
    void diagnose(const double* frame, std::size_t row) const;

    // The adjoints of all that comes in, in a frame of their own, from those of what goes out.
    void reverse(const RowEngine& engine, const double* frame, const double* weights, double* adjoints) const;
    // The adjoints of what the turn takes, each to the place of its kind where that comes from.
    void carried_adjoints(const double* adjoints, double* to) const {
        for (const Leaf& leaf : carried_) to[leaf.number] = adjoints[leaf.position];
    }
    void own_adjoints(const double* adjoints, std::size_t place, double* inputs) const {
        for (const Own& own : own_) inputs[own.first + place * own.step] = adjoints[own.position];
    }
    void add_shared_adjoints(const double* adjoints, double* to) const {
        for (const Leaf& leaf : shared_) to[leaf.number] += adjoints[leaf.position];
    }

  private:
    using Leaf = RowSchedule::Leaf;
    using Leaves = std::vector<Leaf>;
    static void put(const Leaves& leaves, const double* from, double* frame) {
        for (const Leaf& leaf : leaves) frame[leaf.position] = from[leaf.number];
    }
    struct Own {
        std::uint32_t position;
        std::size_t first, step;  // among the inputs of the loop
    };

    const Program& program_;
    const Wants wants_;
    const RowSchedule& schedule_;
    Leaves carried_, constant_, counted_, shared_;
    std::vector<Own> own_;
    std::vector<std::uint32_t> fixed_, outputs_;  // positions
};

}  // namespace kilograd::program
