// What the assemblers of all processors have in common: where the numbers stand that an instruction reads and writes.
#pragma once

#include <cstdint>

namespace kilograd::program::machine {

// The numbers in a vector register.
enum class Shape : std::uint8_t { One = 1, Two = 2, Four = 4, Eight = 8 };

// What a place in memory counts from. Each is in a register as long as the code runs.
enum class Base : std::uint8_t { Values, Adjoints, Constants };

struct Memory {
    Base base;
    std::int32_t offset;  // in bytes
};

// Numbers that stand behind the code, each as often as a register has lanes.
enum class Number : std::uint8_t { One, Infinity, Tiny, SizeMask };  // Tiny: 1 / it is infinite
inline constexpr std::uint64_t bits_of_numbers[] = {0x3FF0000000000000, 0x7FF0000000000000, 0x0004000000000000,
                                                    0x7FFFFFFFFFFFFFFF};

enum class Comparison : std::uint8_t { Equal, LessEqual };

// The second source of an instruction.
class Operand {
  public:
    enum class Kind : std::uint8_t { Vector, Memory, Spread, Pool };

    Operand(std::uint8_t vector) : kind(Kind::Vector), vector(vector) {}
    Operand(Memory where) : kind(Kind::Memory), memory(where) {}
    Operand(Number number) : kind(Kind::Pool), number(number) {}
    // One number in memory, for all lanes: where Assembler::spreads().
    static Operand spread(Memory where) {
        Operand operand(where);
        operand.kind = Kind::Spread;
        return operand;
    }

    bool is_vector() const { return kind == Kind::Vector; }

    Kind kind;
    std::uint8_t vector = 0;
    Number number = Number::One;
    Memory memory{Base::Values, 0};
};

// A function of (values) that returns whether anything was noted, or one of (values, adjoints).
enum class Direction : std::uint8_t { Forward, Reverse };

}  // namespace kilograd::program::machine
