#include "assembler.hpp"

#include <bit>

namespace kilograd::program::machine::x86_64 {

namespace {

constexpr int greater = 0x1E;  // the predicate of a comparison, ordered and quiet

constexpr int predicate_of(Comparison comparison) { return comparison == Comparison::Equal ? 0 : 2; }

}  // namespace

// A prefix of two, three (VEX) or four bytes (EVEX), the opcode, the operands, and the immediate. Fields of registers
// are inverted in the prefixes; an unused one is 0 and so written as 15.
void Assembler::encode(Shape shape, const Instruction& instruction, std::uint8_t reg, std::uint8_t first,
                       const Operand& last, int immediate, unsigned mask) {
    const bool far = last.kind == Operand::Kind::Vector
                         ? last.vector >= 8
                         : last.kind != Operand::Kind::Pool && high(of(last.memory.base));
    const unsigned map = static_cast<unsigned>(instruction.map), middle = (~first & 15u) << 3;
    const unsigned r = reg < 8 ? 0x80 : 0, b = far ? 0 : 0x20;
    if (shape == Shape::Eight) {
        const unsigned spread = last.kind == Operand::Kind::Spread ? 0x10 : 0;
        put({0x62, r | 0x40 | b | 0x10 | map, 0x80 | middle | 4 | static_cast<unsigned>(Prefix::P66),
             mask | 0x40 | spread | 0x08});
    } else {
        const Prefix prefix = shape == Shape::One ? instruction.prefix_of_one : Prefix::P66;
        const unsigned tail = middle | (shape == Shape::Four ? 4u : 0u) | static_cast<unsigned>(prefix);
        if (!far && !instruction.wide && instruction.map == Map::M0F)
            put({0xC5, r | tail});
        else
            put({0xC4, r | 0x40 | b | map, (instruction.wide ? 0x80u : 0u) | tail});
    }
    put({shape == Shape::One ? instruction.opcode_of_one : instruction.opcode});
    // AVX-512 counts short offsets in operands.
    const std::int32_t unit = shape != Shape::Eight                                          ? 1
                              : last.kind == Operand::Kind::Memory && !instruction.reads_one ? 64
                                                                                             : 8;
    locate(reg, last, unit, immediate);
}

void Assembler::locate(unsigned reg, const Operand& last, std::int32_t unit, int immediate) {
    const unsigned middle = (reg & 7u) << 3;
    const std::int32_t offset = last.memory.offset;
    switch (last.kind) {
        case Operand::Kind::Vector:
            put({0xC0 | middle | (last.vector & 7u)});
            break;
        case Operand::Kind::Pool:
            put({0x05 | middle});
            references_.push_back({size(), size() + (immediate < 0 ? 4 : 5), last.number});
            number(0, 4);
            break;
        default: {
            const bool near = offset % unit == 0 && offset / unit >= -128 && offset / unit < 128;
            put({(near ? 0x40u : 0x80u) | middle | low(of(last.memory.base))});
            number(static_cast<std::uint32_t>(near ? offset / unit : offset), near ? 1 : 4);
        }
    }
    if (immediate >= 0) put({static_cast<unsigned>(immediate)});
}

void Assembler::note(Comparison comparison, std::uint8_t a, const Operand& b, std::uint8_t spare) {
    const int predicate = predicate_of(comparison);
    if (shape_ == Shape::Eight) {
        encode(shape_, instructions::compare, 1, a, b, predicate);  // into k1
        put({0xC5, 0xF8, 0x93, 0xC1});                              // kmovw eax, k1
    } else {
        encode(shape_, instructions::compare, spare, a, b, predicate);
        const unsigned r = spare < 8 ? 0x80 : 0, from = spare & 7u;
        if (shape_ == Shape::Four)
            put({0xC4, 0xC1u | (spare < 8 ? 0x20u : 0u), 0x7D, 0x50, 0xC0 | from});  // vmovmskpd eax, spare
        else
            put({0xC5, r | 0x79, 0x7E, 0xC0 | from << 3});  // vmovd eax, spare
    }
    put({0x09, 0xC5});  // or ebp, eax
}

void Assembler::ones_where_greater(std::uint8_t to, std::uint8_t a, std::uint8_t b) {
    if (shape_ == Shape::Eight) {
        encode(shape_, instructions::compare, 1, a, b, greater);
        encode(shape_, instructions::load, to, 0, Number::One, -1, 0x81);  // under k1, else 0
    } else {
        encode(shape_, instructions::compare, to, a, b, greater);
        encode(shape_, instructions::bit_and, to, to, Number::One);
    }
}

void Assembler::push(Register r) {
    if (high(r)) put({0x41});
    put({0x50 | low(r)});
}

void Assembler::pop(Register r) {
    if (high(r)) put({0x41});
    put({0x58 | low(r)});
}

void Assembler::move(Register to, Register from) {
    put({0x48u | (high(from) ? 4u : 0u) | (high(to) ? 1u : 0u), 0x89, 0xC0 | low(from) << 3 | low(to)});
}

void Assembler::move(Register to, std::uint64_t value) {
    put({0x48u | (high(to) ? 1u : 0u), 0xB8 | low(to)});
    number(value, 8);
}

void Assembler::enter(Direction direction, const double* constants) {
    push(Register::rbx);
    push(Register::rbp);
    push(Register::r15);  // and the stack is aligned
    move(of(Base::Values), arguments[0]);
    move(of(Base::Constants), std::bit_cast<std::uint64_t>(constants));
    if (direction == Direction::Reverse)
        move(of(Base::Adjoints), arguments[1]);
    else
        put({0x31, 0xED});  // xor ebp, ebp
}

void Assembler::leave(Direction direction) {
    if (direction == Direction::Forward) put({0x89, 0xE8});  // mov eax, ebp
    if (shape_ != Shape::One) put({0xC5, 0xF8, 0x77});       // vzeroupper
    pop(Register::r15);
    pop(Register::rbp);
    pop(Register::rbx);
    put({0xC3});
}

void Assembler::argument(unsigned number, Memory address_of) {
    const Register to = arguments[number], base = of(address_of.base);
    put({0x48u | (high(to) ? 4u : 0u) | (high(base) ? 1u : 0u), 0x8D});  // lea
    locate(static_cast<unsigned>(to), address_of, 1, -1);
}

void Assembler::call(std::uint64_t function) {
    move(Register::rax, function);
    put({0xFF, 0xD0});
}

std::vector<std::uint8_t> Assembler::finish() const {
    std::vector<std::uint8_t> all = bytes_;
    all.resize((all.size() + 63) / 64 * 64, 0xCC);
    for (const Reference& reference : references_) {
        const auto offset =
            static_cast<std::uint32_t>(all.size() + static_cast<std::size_t>(reference.number) * 64 - reference.from);
        for (int k = 0; k < 4; ++k)
            all[reference.at + static_cast<std::size_t>(k)] = static_cast<std::uint8_t>(offset >> 8 * k);
    }
    for (std::uint64_t value : bits_of_numbers)
        for (int lane = 0; lane < 8; ++lane)
            for (int k = 0; k < 8; ++k) all.push_back(static_cast<std::uint8_t>(value >> 8 * k));
    return all;
}

}  // namespace kilograd::program::machine::x86_64
