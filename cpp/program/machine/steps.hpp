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
#include <vector>

namespace kilograd::program::machine {

class Steps {
  public:
    static constexpr std::uint32_t never = 0xffffffffu;

    // Forgets all; `numbers` is one more than the highest name of a number.
    void start(std::size_t numbers);

    // In any order in which a number is made before it is read; `tag` is the caller's.
    void begin(std::uint32_t tag, bool calls) {
        steps_.push_back({tag, static_cast<std::uint32_t>(reads_.size()), never, 0, 0, calls, false});
    }
    void read(std::uint32_t number) {
        reads_.push_back({number, never});
        ++numbers_[number].readers;
        steps_.back().missing += numbers_[number].made;
    }
    // One after the other.
    void make(std::uint32_t number) {
        Step& step = steps_.back();
        if (step.made_count++ == 0) step.next = number;
        numbers_[number].made = true;
    }

    // For so many registers. What is asked of steps is asked afterwards.
    void put_in_order(unsigned registers);

    struct Read {
        std::uint32_t number;
        std::uint32_t next;  // the next step that reads it after this one
    };
    struct Step {
        std::uint32_t tag;
        std::uint32_t first;       // of its reads
        std::uint32_t next;        // the first step that reads the number that it makes; before all are in order, this
        std::uint32_t made_count;  // number and those behind it
        std::uint32_t missing;     // of what it reads is not made yet
        bool calls, done;
    };
    std::size_t count() const { return steps_.size() - 1; }
    const Step& operator[](std::size_t step) const { return steps_[step]; }
    const Read* begin(std::size_t step) const { return reads_.data() + steps_[step].first; }
    const Read* end(std::size_t step) const { return reads_.data() + steps_[step + 1].first; }

  private:
    class Ordering;
    void move_to(const std::vector<std::uint32_t>& order);

    struct Number {
        std::uint32_t readers = 0;
        std::uint32_t first = 0;  // of them, in a list of all; later the next step that reads it,
        std::uint32_t last = 0;   // when it was last read or made; later the step after that
        bool made = false;        // by a step
    };
    std::vector<Step> steps_;  // and a last one without reads
    std::vector<Read> reads_;
    std::vector<Number> numbers_;
};

}  // namespace kilograd::program::machine
