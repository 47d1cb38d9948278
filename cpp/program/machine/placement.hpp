// Placement: where numbers stand while code is written: in registers, and in memory.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../codes.hpp"
#include "steps.hpp"

namespace kilograd::program::machine {

inline constexpr std::uint8_t nowhere = 0xFF;  // in no register

struct Whereabouts {
    std::uint32_t after = Steps::never;  // the step that reads it next, but for the one that is being written
    std::uint32_t place = none;          // in memory
    std::uint8_t where = nowhere;        // the register
    bool own = false;                    // its place is the one that its position names
    bool stays = false;                  // its place is never given to another
    bool written = false;
};

// Which numbers the registers hold. The one whose next reader is farthest has to leave first.
class Registers {
  public:
    using Set = std::uint32_t;

    // The first ones first, which have shorter instructions, or the last, which some calls leave as they are.
    Registers(std::vector<Whereabouts>& numbers, Set available, bool first_ones)
        : numbers_(numbers), available_(available), first_ones_(first_ones) {
        held_.fill(none);
        next_.fill(Steps::never);
    }

    // The register to write next: one that is free, else that of the number to leave. Not one in use. `among` some.
    std::uint8_t choose(Set among) const {
        const Set possible = available_ & ~in_use_ & among;
        if (const Set empty = possible & ~occupied_)
            return static_cast<std::uint8_t>(first_ones_ ? std::countr_zero(empty) : 31 - std::countl_zero(empty));
        std::uint64_t farthest = 0;  // the reader, and the register
        for (Set rest = possible; rest; rest &= rest - 1) {
            const auto r = static_cast<unsigned>(std::countr_zero(rest));
            const std::uint64_t found = std::uint64_t{next_[r]} << 8 | r;
            farthest = found > farthest ? found : farthest;
        }
        return static_cast<std::uint8_t>(farthest);
    }

    // A register in use stays what it is until release().
    void use(std::uint8_t r) { in_use_ |= Set{1} << r; }
    void drop(std::uint8_t r) { in_use_ &= ~(Set{1} << r); }
    void release() { in_use_ = 0; }

    std::uint32_t held(std::uint8_t r) const { return held_[r]; }
    std::uint32_t next(std::uint8_t r) const { return next_[r]; }
    Set occupied() const { return occupied_; }

    void hold(std::uint8_t r, std::uint32_t number, std::uint32_t next) {
        if (const std::uint8_t before = numbers_[number].where; before != nowhere) empty(before);
        empty(r);
        held_[r] = number;
        next_[r] = next;
        numbers_[number].where = r;
        occupied_ |= Set{1} << r;
    }
    void expect(std::uint8_t r, std::uint32_t next) { next_[r] = next; }
    void empty(std::uint8_t r) {
        if (held_[r] == none) return;
        numbers_[held_[r]].where = nowhere;
        held_[r] = none;
        occupied_ &= ~(Set{1} << r);
    }
    void empty_all(Set set) {
        for (Set rest = set & occupied_; rest; rest &= rest - 1)
            empty(static_cast<std::uint8_t>(std::countr_zero(rest)));
    }

  private:
    std::vector<Whereabouts>& numbers_;
    const Set available_;
    const bool first_ones_;
    std::array<std::uint32_t, 32> held_, next_;
    Set occupied_ = 0, in_use_ = 0;
};

// The memory of values, or of adjoints: as many places as there are of them. Some numbers stand at their own positions,
// for others to find; the rest where there is room, or where one stood that nobody reads any more. So what is touched
// stays small.
class Room {
  public:
    explicit Room(const Whereabouts* numbers) : numbers_(numbers) {}

    std::uint32_t take() {
        if (!free_.empty()) {
            const std::uint32_t place = free_.back();
            free_.pop_back();
            return place;
        }
        while (numbers_[next_].own) ++next_;
        return next_++;
    }
    void give_back(std::uint32_t place) { free_.push_back(place); }

  private:
    const Whereabouts* const numbers_;  // by position
    std::vector<std::uint32_t> free_;
    std::uint32_t next_ = 0;
};

}  // namespace kilograd::program::machine
