// Map: a differentiable function of rows of numbers, the stages that a function with loops is made of.
//
// A Program is one, and so are a sequence of Maps, a loop over a Map, and whatever the host brings. Each has a forward
// sweep and a reverse sweep; with tangents both are over dual numbers, and the reverse sweep gives second derivatives.
// Arrays are (rows, numbers), C-ordered. Immutable once made, so any number of threads may use one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "../kernels/kernels.hpp"
#include "dependence.hpp"

namespace kilograd::program {

struct Rows {
    std::size_t count;
    std::size_t first;  // what an error calls the first
    bool check;
    const Kernels& kernels;
};

// Numbers with their tangents, or with null for none.
struct Input {
    const double* value = nullptr;
    const double* tangent = nullptr;
    bool dual() const { return tangent != nullptr; }
    Input at(std::size_t k) const { return {value + k, tangent ? tangent + k : nullptr}; }
};
struct Output {
    double* value = nullptr;
    double* tangent = nullptr;
    operator Input() const { return {value, tangent}; }
    Output at(std::size_t k) const { return {value + k, tangent ? tangent + k : nullptr}; }
};

// Memory for `count` numbers, with tangents if `dual`. Never null, and for the next use no smaller.
class Buffer {
  public:
    Output take(std::size_t count, bool dual) {
        const std::size_t needed = dual ? 2 * count + 2 : count + 1;
        if (numbers_.size() < needed) numbers_.resize(needed);
        return {numbers_.data(), dual ? numbers_.data() + count + 1 : nullptr};
    }
    Output zeros(std::size_t count, bool dual) {
        const Output room = take(count, dual);
        std::fill_n(room.value, count, 0.0);
        if (dual) std::fill_n(room.tangent, count, 0.0);
        return room;
    }

  private:
    std::vector<double> numbers_;
};

// The same for much that is written before it is read.
class Room {
  public:
    double* take(std::size_t count) {
        if (size_ < count) numbers_.reset(new double[size_ = count]);
        return numbers_.get();
    }

  private:
    std::unique_ptr<double[]> numbers_;
    std::size_t size_ = 0;
};

namespace machine {
class RowMachine;
}

// What a forward sweep leaves to the reverse sweep, and room for both.
struct Kept {
    std::vector<double> numbers;
    Room frames;                                     // loops over a single row: of its turns
    const machine::RowMachine* frames_by = nullptr;  // the machine code that left them so; null: the kernels
    std::vector<std::size_t> turns;                  // while loops: of each row
    std::vector<Kept> parts;
    std::vector<Buffer> buffers;
    bool loaded[2] = {false,
                      false};  // programs: whether constants stand in the buffer of a row, by whether it goes back
};

class Program;

class Map {
  public:
    Map(std::size_t n_inputs, std::size_t n_outputs) : n_inputs_(n_inputs), n_outputs_(n_outputs) {}
    virtual ~Map() = default;
    Map(const Map&) = delete;
    Map& operator=(const Map&) = delete;

    std::size_t n_inputs() const { return n_inputs_; }
    std::size_t n_outputs() const { return n_outputs_; }

    // y of x. Throws a DomainError where an operation is refused. `keep`: a reverse sweep follows.
    virtual void forward(const Rows& rows, Input x, Output y, Kept& kept, bool keep) const = 0;
    // dx = the gradient of the sum of w * y by x, after forward(x) with the same `kept`. Dual with x.
    virtual void reverse(const Rows& rows, Input x, Input w, Output dx, Kept& kept) const = 0;
    // One after the other.
    virtual void both(const Rows& rows, Input x, Output y, Input w, Output dx, Kept& kept) const {
        forward(rows, x, y, kept, true);
        reverse(rows, x, w, dx, kept);
    }
    // The sets y of what outputs depend on, of the sets x of inputs. Where second derivatives are asked for, pairs are
    // noted, of what outputs that are `wanted` depend on alone.
    virtual void depend(Dependence& dependence, const Dependence::Set* x, Dependence::Set* y,
                        const std::uint8_t* wanted) const = 0;
    // x: whether outputs that are wanted depend on an input.
    virtual void need(const std::uint8_t* wanted, std::uint8_t* x) const = 0;
    // Whether reverse() needs what forward() kept.
    virtual bool keeps() const { return true; }
    // How many times it can be differentiated: twice, reverse sweeps over dual numbers, or once.
    virtual int order() const { return 2; }
    // The program that it is, if it is one.
    virtual const Program* program() const { return nullptr; }
    // About how many numbers are kept for a row, and how many ops a row takes.
    virtual std::size_t kept_per_row() const = 0;
    virtual std::size_t cost() const = 0;
    virtual std::size_t bytes() const = 0;

  private:
    const std::size_t n_inputs_, n_outputs_;
};
using MapPointer = std::shared_ptr<const Map>;

// Copies columns [from, from + count) of rows that are `width` apart to columns that begin at `to`.
inline void copy_columns(const Rows& rows, Input x, std::size_t width, Output y, std::size_t y_width,
                         std::size_t count) {
    for (std::size_t r = 0; r < rows.count; ++r) {
        std::copy_n(x.value + r * width, count, y.value + r * y_width);
        if (y.tangent) std::copy_n(x.tangent + r * width, count, y.tangent + r * y_width);
    }
}
inline void add_columns(const Rows& rows, Input x, std::size_t width, Output y, std::size_t y_width,
                        std::size_t count) {
    for (std::size_t r = 0; r < rows.count; ++r)
        for (std::size_t k = 0; k < count; ++k) {
            y.value[r * y_width + k] += x.value[r * width + k];
            if (y.tangent) y.tangent[r * y_width + k] += x.tangent[r * width + k];
        }
}

}  // namespace kilograd::program
