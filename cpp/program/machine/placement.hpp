// Placement: where numbers stand while code is written: in registers, and in memory.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../codes.hpp"
#include "steps.hpp"

namespace kilograd::program::machine {

inline constexpr std::uint8_t nowhere = 32;  // in no register

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
        keys_.fill(0);
    }

    // The register to write next: one that is free, else that of the number to leave. Not one in use. `among` some.
    std::uint8_t choose(Set among) const {
        const Set possible = available_ & ~in_use_ & among;
        if (const Set empty = possible & ~occupied_)
            return static_cast<std::uint8_t>(first_ones_ ? std::countr_zero(empty) : 31 - std::countl_zero(empty));
        std::int32_t farthest = 0;  // mostly possible, and found by vectors
        for (std::size_t r = 0; r < 32; ++r) farthest = std::max(farthest, keys_[r]);
        if (possible >> (farthest & 31) & 1) return farthest & 31;
        farthest = 0;
        for (Set rest = possible; rest; rest &= rest - 1)
            farthest = std::max(farthest, keys_[static_cast<std::size_t>(std::countr_zero(rest))]);
        return farthest & 31;
    }

    // A register in use stays what it is until release().
    void use(std::uint8_t r) { in_use_ |= Set{1} << r; }
    void drop(std::uint8_t r) { in_use_ &= ~(Set{1} << r); }
    void release() { in_use_ = 0; }

    std::uint32_t held(std::uint8_t r) const { return held_[r]; }
    std::uint32_t next(std::uint8_t r) const { return static_cast<std::uint32_t>(keys_[r]) >> 5; }
    Set occupied() const { return occupied_; }

    void hold(std::uint8_t r, std::uint32_t number, std::uint32_t next) {
        if (const std::uint8_t before = numbers_[number].where; before != nowhere) empty(before);
        empty(r);
        held_[r] = number;
        expect(r, next);
        numbers_[number].where = r;
        occupied_ |= Set{1} << r;
    }
    // Nowhere, too.
    void expect(std::uint8_t r, std::uint32_t next) { keys_[r] = static_cast<std::int32_t>(next << 5 | (r & 31)); }
    // A number that was read: the step that reads it next, or never. No branch is taken on it, nor on where it is.
    void expect_of(std::uint32_t number, std::uint32_t next) {
        const std::uint8_t r = numbers_[number].where;
        const std::uint32_t dies = next == Steps::never, all_if_it_dies = 0 - dies;
        expect(r, next & ~all_if_it_dies);
        held_[r] |= all_if_it_dies;  // none
        numbers_[number].where = static_cast<std::uint8_t>(r ^ ((r ^ nowhere) & all_if_it_dies));
        occupied_ &= ~static_cast<Set>(std::uint64_t{dies} << r);
    }
    void empty(std::uint8_t r) {
        if (held_[r] == none) return;
        numbers_[held_[r]].where = nowhere;
        held_[r] = none;
        keys_[r] = 0;
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
    std::array<std::uint32_t, 33> held_;  // the last one: nowhere
    std::array<std::int32_t, 33> keys_;   // the step that reads what each holds next, and the register
    Set occupied_ = 0, in_use_ = 0;
};

// The memory of values, or of adjoints: as many places as there are of them. Some numbers stand at their own positions,
// for others to find; the rest where there is room, or where one stood that nobody reads any more. So what is touched
// stays small.
class Room {
  public:
    explicit Room(const Whereabouts* numbers) : numbers_(numbers) {}

    std::uint32_t take() {
        if (free_count_) return free_[--free_count_];
        while (numbers_[next_].own) ++next_;
        return next_++;
    }
    // If so, without a branch.
    void give_back(std::uint32_t place, bool really) {
        if (free_count_ == free_.size()) free_.resize(2 * free_count_ + 64);
        free_[free_count_] = place;
        free_count_ += really;
    }

  private:
    const Whereabouts* const numbers_;  // by position
    std::vector<std::uint32_t> free_;
    std::size_t free_count_ = 0;
    std::uint32_t next_ = 0;
};

}  // namespace kilograd::program::machine
