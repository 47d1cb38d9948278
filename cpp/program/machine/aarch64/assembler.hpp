// Assembler: the few instructions of AArch64 that programs are made of, as words.
//
// Arithmetic is on doubles, one or two in a register. There are sixteen registers, v16 to v31, which calls overwrite;
// v0 and v1 hold what an instruction reads from memory. x19 to x22, which calls preserve, are the places of values,
// adjoints, constants and of the numbers behind the code; d8, which they preserve too, collects what was noted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "../operand.hpp"
#include "../pages.hpp"

namespace kilograd::program::machine::aarch64 {

// The words for one number and for two, without registers.
struct Instruction {
    std::uint32_t one, two;
    enum class Form : std::uint8_t { Plain, Accumulates, Maximum, TimesPlus, TimesMinus } form = Form::Plain;
};

namespace instructions {
using enum Instruction::Form;
inline constexpr Instruction add{0x1E602800, 0x4E60D400};
inline constexpr Instruction subtract{0x1E603800, 0x4EE0D400};
inline constexpr Instruction multiply{0x1E600800, 0x6E60DC00};
inline constexpr Instruction divide{0x1E601800, 0x6E60FC00};
inline constexpr Instruction bit_and{0x0E201C00, 0x4E201C00};
// The second source where either is NaN, and of two zeros.
inline constexpr Instruction maximum{0x7EE0E400, 0x6EE0E400, Maximum};
// to += a * b, to -= a * b, to = a * to + b, to = a * to - b
inline constexpr Instruction add_product{0x1F400000, 0x4E60CC00, Accumulates};
inline constexpr Instruction subtract_product{0x1F408000, 0x4EE0CC00, Accumulates};
inline constexpr Instruction times_plus{0x1F400000, 0x4E60CC00, TimesPlus};
inline constexpr Instruction times_minus{0x1F608000, 0x4E60CC00, TimesMinus};
}  // namespace instructions

class Assembler {
  public:
    explicit Assembler(Shape shape, bool, std::size_t expected = 0) : shape_(shape) { words_.reserve(expected / 4); }

    bool spreads() const { return true; }
    std::uint8_t registers() const { return 16; }
    std::size_t size() const { return words_.size() * 4; }

    // to = a (instruction) b
    void operator()(const Instruction& instruction, std::uint8_t to, std::uint8_t a, const Operand& b);
    void load(std::uint8_t to, const Operand& from);
    void store(Memory to, std::uint8_t from) {
        access(shape_ == Shape::Two ? store_two : store_one, at(from), of(to.base), to.offset);
    }
    void spread(std::uint8_t to, Memory from) { load(to, Operand::spread(from)); }
    void copy(std::uint8_t to, std::uint8_t from) { put(0x4EA01C00, at(to), at(from), at(from)); }
    void zero(std::uint8_t to) { put(0x6F00E400, at(to)); }
    // Notes the lanes in which a (comparison) b.
    void note(Comparison comparison, std::uint8_t a, const Operand& b, std::uint8_t spare);
    // to = 1.0 in the lanes in which a > b, else 0.0.
    void ones_where_greater(std::uint8_t to, std::uint8_t a, std::uint8_t b);
    // to = from in the lanes in which a and b differ or one is NaN, else 0.0. Not from itself.
    void keep_where_not_equal(std::uint8_t to, std::uint8_t from, std::uint8_t a, std::uint8_t b);

    void enter(Direction direction, const double* constants);
    void leave(Direction direction);

    // The arguments of a call, by number, before it is made.
    void argument(unsigned number, std::uint64_t value) { number_into(number, value); }
    void argument(unsigned number, Base base) { move(number, of(base)); }
    void argument(unsigned number, Memory address_of);
    void call(std::uint64_t function);
    // Notes whether the function returned true.
    void note_result();
    // A function of so many vectors (kernels.hpp), in registers 0, 1 and 2, which leaves the result in 0; of a null
    // constant it has none. It notes what there is to note itself.
    void call_function(std::uint64_t function, unsigned operands, const Memory* constant, bool notes);

    // The code, and the numbers behind it. Nothing is written after that.
    std::span<const std::uint8_t> finish();
    // Memory in which it stands.
    Pages pages() const;

  private:
    struct Access {
        std::uint32_t by_number, by_register;
        unsigned shift;  // offsets are counted in 1 << shift bytes
    };
    static constexpr Access load_one{0xFD400000, 0xFC606800, 3}, store_one{0xFD000000, 0xFC206800, 3};
    static constexpr Access load_two{0x3DC00000, 0x3CE06800, 4}, store_two{0x3D800000, 0x3CA06800, 4};
    static constexpr unsigned read = 0, made = 1, noted = 8;  // vector registers
    static constexpr unsigned scratch = 16;                   // of the others

    static unsigned at(std::uint8_t vector) { return vector + 16u; }
    static unsigned of(Base base) { return 19 + static_cast<unsigned>(base); }
    static constexpr unsigned pool = 22;

    void put(std::uint32_t word) { words_.push_back(word); }
    void put(std::uint32_t word, unsigned to, unsigned a = 0, unsigned b = 0) { put(word | to | a << 5 | b << 16); }
    void access(const Access& how, unsigned vector, unsigned base, std::int32_t offset);
    unsigned in_register(const Operand& operand, unsigned or_else);
    void number_into(unsigned to, std::uint64_t value);
    void move(unsigned to, unsigned from) { put(0xAA0003E0 | to | from << 16); }

    const Shape shape_;
    std::vector<std::uint32_t> words_;
    std::vector<std::size_t> pools_;  // where the address of the pool is made
};

}  // namespace kilograd::program::machine::aarch64
