// Steps: what a sweep does to make its numbers, each step from numbers of earlier ones, in an order that suits
// registers.
//
// A step makes one number, which its code leaves in a register, or several in memory. Any order that respects what is
// read gives the same results. Here a step follows the one that made the last of its operands, where their registers
// are still theirs: operations of which few follow each other directly are otherwise bound by loads and stores. Calls
// come last, since they take registers away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "../../portable.hpp"

namespace kilograd::program::machine {

class Steps {
  public:
    static constexpr std::uint32_t never = 0xffffffffu;

    // Numbers have names below `numbers`; so many reads are expected.
    Steps(std::size_t numbers, std::size_t reads);

    // In any order in which a number is made before it is read; `tag` is the caller's.
    void begin(std::uint32_t tag, bool calls) {
        steps_.push_back({tag, static_cast<std::uint32_t>(reads_.size()), never, 0, calls});
        missing_.push_back(calls);
    }
    void read(std::uint32_t number) {
        reads_.push_back({number, never});
        readers_[number] += made_[number];
        missing_.back() += 2u * made_[number];
    }
    // One after the other.
    void make(std::uint32_t number) {
        Step& step = steps_.back();
        if (step.made_count++ == 0) step.next = number;
        made_[number] = 1;
    }

    // For so many registers. What is asked of steps is asked afterwards.
    void put_in_order(unsigned registers);

    struct Read {
        std::uint32_t number;
        std::uint32_t next;  // the next step that reads it after this one
    };
    struct Step {
        std::uint32_t tag;
        std::uint32_t first;  // of its reads
        std::uint32_t next;   // the first step that reads the number that it makes; before all are in order, this
        std::uint32_t made_count : 31;  // number and those behind it
        std::uint32_t calls : 1;
    };
    std::size_t count() const { return order_.size(); }
    const Step& operator[](std::size_t step) const { return steps_[order_[step]]; }
    std::span<const Read> reads(std::size_t step) const { return reads_of(order_[step]); }
    // Into the cache, before their turn: steps ahead, what they read, and `each` number of these.
    template <class T>
    void fetch_ahead_of(std::size_t step, const T* each) const {
        if (step + 12 >= order_.size()) return;
        prefetch<false>(&steps_[order_[step + 12]]);
        prefetch<false>(reads_.data() + steps_[order_[step + 8]].first);
        const Read* const soon = reads_.data() + steps_[order_[step + 4]].first;
        for (std::size_t k = 0; k < 3; ++k) prefetch<false>(each + soon[k].number);
    }

  private:
    class Ordering;
    std::span<const Read> reads_of(std::uint32_t step) const {
        return {reads_.data() + steps_[step].first, reads_.data() + steps_[step + 1].first};
    }
    void list_next();

    std::vector<Step> steps_;  // as they were told, and a last one without reads
    std::vector<Read> reads_;
    std::vector<std::uint32_t> order_;
    // While they are put in order. By step, twice how much of what it reads is not made yet, and 1 more for a call; by
    // number, whether a step makes it, and how many read it then.
    std::vector<std::uint32_t> missing_, readers_;
    std::vector<std::uint8_t> made_;
};

}  // namespace kilograd::program::machine
