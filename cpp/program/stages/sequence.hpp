// Sequence: Maps one after the other, each of numbers that are there before it.
//
// What there is stands in one row of *places*: the inputs, then what each step computes. A step takes its inputs from
// any places.
#pragma once

#include <cstdint>
#include <vector>

#include "map.hpp"

namespace kilograd::program {

// Places in a row, in an order of their own, as runs of neighbours.
class Places {
  public:
    explicit Places(const std::vector<std::uint32_t>& places);

    std::size_t size() const { return size_; }
    std::size_t bytes() const { return runs_.size() * sizeof(Run); }
    std::size_t end() const;  // one past the highest

    // The numbers at these places: in `to`, or where they are if that is the same.
    Input gather(const Rows& rows, Input from, std::size_t width, Output to) const;
    template <class F>
    void each(F&& f) const {
        for (const Run& run : runs_)
            for (std::uint32_t k = 0; k < run.count; ++k) f(run.from + k);
    }
    void scatter_add(const Rows& rows, Input from, Output to, std::size_t width) const;

  private:
    struct Run {
        std::uint32_t from, count;
    };
    std::vector<Run> runs_;
    std::size_t size_ = 0;
};

class Sequence final : public Map {
  public:
    struct Step {
        MapPointer map;
        Places inputs;
        std::size_t first;  // place of its outputs
    };
    Sequence(std::size_t n_inputs, std::vector<Step> steps, Places outputs);

    void forward(const Rows& rows, Input x, Output y, Kept& kept, bool keep) const override;
    void reverse(const Rows& rows, Input x, Input w, Output dx, Kept& kept) const override;
    void depend(Dependence& dependence, const Dependence::Set* x, Dependence::Set* y,
                const std::uint8_t* wanted) const override;
    void need(const std::uint8_t* wanted, std::uint8_t* x) const override;
    int order() const override;
    std::size_t kept_per_row() const override;
    std::size_t cost() const override;
    std::size_t bytes() const override;

  private:
    enum { Values, Adjoints, In, Out, buffer_count };
    void prepare(Kept& kept) const;
    Dependence::Mask needed(const std::uint8_t* wanted) const;  // by place

    std::vector<Step> steps_;
    Places outputs_;
    std::size_t width_, widest_in_ = 0, widest_out_ = 0;
};

}  // namespace kilograd::program
