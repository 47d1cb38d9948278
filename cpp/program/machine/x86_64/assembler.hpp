// Assembler: the few instructions of x86-64 that programs are made of, as bytes.
//
// Arithmetic is on doubles, by AVX and FMA on one number (xmm) or four (ymm), by AVX-512 on eight (zmm), or on one in
// one of 32 registers. The first source is a register, the second a register or memory.
//
// Of the registers that calls preserve, rbx is the place of values, r15 that of constants, and rbp that of adjoints in
// reverse; in forward sweeps it collects what was noted, and so does the end of the stack, for functions.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "../operand.hpp"
#include "../pages.hpp"

namespace kilograd::program::machine::x86_64 {

enum class Prefix : std::uint8_t { P66 = 1, PF2 = 3 };
enum class Map : std::uint8_t { M0F = 1, M0F38 = 2 };

// Opcode, and for one number another prefix or opcode where there is an instruction for one number.
struct Instruction {
    Map map;
    bool wide;  // VEX.W; EVEX.W is set for all doubles
    std::uint8_t opcode;
    Prefix prefix_of_one;
    std::uint8_t opcode_of_one;
    bool reads_one = false;  // memory with any number of lanes
};

namespace instructions {
inline constexpr Instruction load{Map::M0F, false, 0x10, Prefix::PF2, 0x10};
inline constexpr Instruction store{Map::M0F, false, 0x11, Prefix::PF2, 0x11};
inline constexpr Instruction copy{Map::M0F, false, 0x28, Prefix::P66, 0x28};
inline constexpr Instruction add{Map::M0F, false, 0x58, Prefix::PF2, 0x58};
inline constexpr Instruction multiply{Map::M0F, false, 0x59, Prefix::PF2, 0x59};
inline constexpr Instruction subtract{Map::M0F, false, 0x5C, Prefix::PF2, 0x5C};
inline constexpr Instruction divide{Map::M0F, false, 0x5E, Prefix::PF2, 0x5E};
inline constexpr Instruction maximum{Map::M0F, false, 0x5F, Prefix::PF2,
                                     0x5F};  // the second source where either is NaN
inline constexpr Instruction bit_and{Map::M0F, false, 0x54, Prefix::P66, 0x54};
inline constexpr Instruction bit_xor{Map::M0F, false, 0x57, Prefix::P66, 0x57};
inline constexpr Instruction compare{Map::M0F, false, 0xC2, Prefix::PF2, 0xC2};
inline constexpr Instruction spread{Map::M0F38, false, 0x19, Prefix::P66, 0x19, true};
// to += a * b, to -= a * b, to = a * to + b, to = a * to - b
inline constexpr Instruction add_product{Map::M0F38, true, 0xB8, Prefix::P66, 0xB9};
inline constexpr Instruction subtract_product{Map::M0F38, true, 0xBC, Prefix::P66, 0xBD};
inline constexpr Instruction times_plus{Map::M0F38, true, 0xA8, Prefix::P66, 0xA9};
inline constexpr Instruction times_minus{Map::M0F38, true, 0xAA, Prefix::P66, 0xAB};
}  // namespace instructions

class Assembler {
  public:
    // With `many`, of AVX-512 on one number too: as Shape::Eight has them, 32 registers. Code of more bytes than are
    // expected costs a copy.
    explicit Assembler(Shape shape, bool many, std::size_t expected = 1 << 12);

    bool spreads() const { return shape_ == Shape::Eight; }
    std::uint8_t registers() const { return many_ ? 32 : 16; }
    std::size_t size() const { return static_cast<std::size_t>(at_ - pages_.begin()); }

    // to = a (instruction) b
    void operator()(const Instruction& instruction, std::uint8_t to, std::uint8_t a, const Operand& b) {
        encode(shape_, instruction, to, a, b);
    }
    void load(std::uint8_t to, const Operand& from) { encode(shape_, instructions::load, to, 0, from); }
    void store(Memory to, std::uint8_t from) { encode(shape_, instructions::store, from, 0, to); }
    void copy(std::uint8_t to, std::uint8_t from) { encode(shape_, instructions::copy, to, 0, from); }
    // One number, in all lanes.
    void spread(std::uint8_t to, Memory from) {
        encode(shape_, shape_ == Shape::One ? instructions::load : instructions::spread, to, 0, from);
    }
    void zero(std::uint8_t to) { encode(Shape::One, instructions::bit_xor, to, to, to); }  // the upper lanes too
    // Notes the lanes in which a (comparison) b; `spare` is overwritten.
    void note(Comparison comparison, std::uint8_t a, const Operand& b, std::uint8_t spare);
    // to = 1.0 in the lanes in which a > b, else 0.0.
    void ones_where_greater(std::uint8_t to, std::uint8_t a, std::uint8_t b);
    // to = from in the lanes in which a and b differ or one is NaN, else 0.0. Not from itself.
    void keep_where_not_equal(std::uint8_t to, std::uint8_t from, std::uint8_t a, std::uint8_t b);

    void enter(Direction direction, const double* constants);
    void leave(Direction direction);

    // The arguments of a call, by number, before it is made.
    void argument(unsigned number, std::uint64_t value) { move(arguments[number], value); }
    void argument(unsigned number, Base base) { move(arguments[number], of(base)); }
    void argument(unsigned number, Memory address_of);
    void call(std::uint64_t function);
    // Notes whether the function returned true.
    void note_result();
    // A function of so many vectors (kernels.hpp), in registers 0, 1 and 2, which leaves the result in 0; of a null
    // constant it has none. It notes what there is to note itself.
    void call_function(std::uint64_t function, unsigned operands, const Memory* constant, bool notes);

    // The code, and the numbers behind it. Nothing is written after that.
    std::span<const std::uint8_t> finish();
    // The memory in which it stands.
    Pages pages() { return std::move(pages_); }

  private:
    // As instructions number them.
    enum class Register : std::uint8_t { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r15 = 15 };
    // Of the System V calling convention.
    static constexpr Register arguments[] = {Register::rdi, Register::rsi, Register::rdx, Register::rcx, Register::r8};

    static constexpr unsigned number_of(Register r) { return static_cast<unsigned>(r); }
    static constexpr unsigned low(Register r) { return number_of(r) & 7; }
    static constexpr bool high(Register r) { return static_cast<unsigned>(r) >= 8; }
    static constexpr Register of(Base base) {
        constexpr std::uint64_t numbers = 0x0F0503;  // r15, rbp, rbx: as good as random, so by no branch
        return static_cast<Register>(numbers >> 8 * static_cast<unsigned>(base) & 0xFF);
    }

    void push(Register r);
    void pop(Register r);
    void move(Register to, Register from);
    void move(Register to, std::uint64_t number);
    void encode(Shape shape, const Instruction& instruction, std::uint8_t reg, std::uint8_t first, const Operand& last,
                int immediate = -1, unsigned mask = 0);
    // Whether an offset in so many bytes, a power of two, fits into one.
    static constexpr bool is_near(std::int32_t offset, unsigned unit) {
        const std::int32_t count = offset >> unit;
        return count << unit == offset && count == static_cast<std::int8_t>(count);
    }
    void locate(unsigned reg, Memory memory, unsigned unit);
    void refer_to(std::size_t pool_offset, std::size_t immediates);

    // Room for an instruction of any kind.
    void make_room() {
        if (end_ - at_ < 16) grow(16);
    }
    void grow(std::size_t more);
    template <class... Bytes>
    void put(Bytes... bytes) {
        std::uint8_t* at = at_;  // which a byte could be a part of
        ((*at++ = static_cast<std::uint8_t>(bytes)), ...);
        at_ = at;
    }
    template <class Integer>
    void number(Integer value) {
        std::memcpy(at_, &value, sizeof value);
        at_ += sizeof value;
    }

    struct Reference {
        std::size_t at, from;  // the offset to write, and the place it counts from
        std::size_t offset;    // of what it refers to behind the code
    };

    const Shape shape_;
    const bool many_;
    Pages pages_;
    std::uint8_t *at_, *end_;
    std::vector<Reference> references_;
    std::vector<std::uint64_t> functions_;  // their addresses stand behind the numbers
};

}  // namespace kilograd::program::machine::x86_64
