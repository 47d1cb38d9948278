// Placement: where the numbers of a row stand while its code is written: in registers, and in memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../codes.hpp"

namespace kilograd::program::machine {

inline constexpr std::uint8_t free_registers = 15;  // those before the one that is zero

// Which numbers the registers hold, of values and of adjoints by their positions.
class Registers {
  public:
    enum class Of : std::uint8_t { Values, Adjoints };

    explicit Registers(std::size_t size)
        : where_{std::vector<std::uint8_t>(size, nowhere), std::vector<std::uint8_t>(size, nowhere)} {}

    // A register to write; what it held is forgotten. Not one in use.
    std::uint8_t next() {
        do last_ = static_cast<std::uint8_t>((last_ + 1) % free_registers);
        while (in_use_ >> last_ & 1);
        forget(last_);
        return use(last_);
    }
    std::uint8_t use(std::uint8_t r) {
        in_use_ |= 1u << r;
        return r;
    }
    void release() { in_use_ = 0; }

    // `nowhere`, or the register that holds it, which is in use from now on.
    std::uint8_t find(Of of, std::uint32_t position) {
        const std::uint8_t r = where_[static_cast<unsigned>(of)][position];
        return r == nowhere ? r : use(r);
    }
    void hold(std::uint8_t r, Of of, std::uint32_t position) {
        if (const std::uint8_t before = where_[static_cast<unsigned>(of)][position]; before != nowhere) forget(before);
        held_[r] = {of, position};
        where_[static_cast<unsigned>(of)][position] = r;
    }
    void forget_all() {
        for (std::uint8_t r = 0; r < free_registers; ++r) forget(r);
    }

    static constexpr std::uint8_t nowhere = 0xFF;

  private:
    struct Held {
        Of of;
        std::uint32_t position = none;
    };
    void forget(std::uint8_t r) {
        if (held_[r].position == none) return;
        where_[static_cast<unsigned>(held_[r].of)][held_[r].position] = nowhere;
        held_[r].position = none;
    }

    std::vector<std::uint8_t> where_[2];
    std::array<Held, free_registers> held_{};
    std::uint8_t last_ = 0;
    unsigned in_use_ = 0;
};

// Where numbers stand in memory: each at its own position, or where one stood that nobody reads any more. So what is
// touched stays small.
class Places {
  public:
    explicit Places(std::size_t size) : place_(size), readers_(size, 0) {
        for (std::uint32_t p = 0; p < size; ++p) place_[p] = p;
    }

    std::uint32_t operator[](std::uint32_t position) const { return place_[position]; }
    void expect_reader(std::uint32_t position) { ++readers_[position]; }
    void keep(std::uint32_t position) { readers_[position] = forever; }

    void settle(std::uint32_t position) {
        if (readers_[position] >= forever || free_.empty()) return;
        const std::uint32_t place = free_.back();
        free_.pop_back();
        readers_[place] = readers_[position];
        place_[position] = place;
    }
    // The number at `position` is the one at `other`, one of whose readers this was.
    void share(std::uint32_t position, std::uint32_t other) {
        const std::uint32_t place = place_[position] = place_[other];
        if (readers_[place] >= forever) return;
        readers_[place] += readers_[position];
        done_with(place);
    }
    void read(std::uint32_t position) {
        const std::uint32_t place = place_[position];
        if (readers_[place] < forever) done_with(place);
    }

  private:
    void done_with(std::uint32_t place) {
        if (--readers_[place] == 0) free_.push_back(place);
    }

    static constexpr std::uint32_t forever = 1u << 31;
    std::vector<std::uint32_t> place_, readers_, free_;
};

}  // namespace kilograd::program::machine
