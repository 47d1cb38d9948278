#include "assembler.hpp"

#include <cstring>

namespace kilograd::program::machine::aarch64 {

namespace {

constexpr unsigned frame_pointer = 29, link = 30, stack = 31;

}  // namespace

void Assembler::access(const Access& how, unsigned vector, unsigned base, std::int32_t offset) {
    const auto bytes = static_cast<std::uint32_t>(offset);
    const std::uint32_t unit = bytes >> how.shift;
    if (unit < 4096 && unit << how.shift == bytes) {
        put(how.by_number | unit << 10, vector, base);
    } else {
        number_into(scratch, bytes);
        put(how.by_register, vector, base, scratch);
    }
}

// The register that an instruction is to read.
unsigned Assembler::in_register(const Operand& operand, unsigned or_else) {
    if (operand.kind == Operand::Kind::Vector) return at(operand.vector);
    const bool spread = operand.kind == Operand::Kind::Spread;
    const Access& how = shape_ == Shape::Two && !spread ? load_two : load_one;
    if (operand.kind == Operand::Kind::Pool)
        access(how, or_else, pool, static_cast<std::int32_t>(operand.number) * 16);
    else
        access(how, or_else, of(operand.memory.base), operand.memory.offset);
    if (shape_ == Shape::Two && spread) put(0x4E080400, or_else, or_else);  // dup
    return or_else;
}

void Assembler::operator()(const Instruction& instruction, std::uint8_t to, std::uint8_t a, const Operand& b) {
    const unsigned last = in_register(b, read);
    const bool two = shape_ == Shape::Two;
    const std::uint32_t word = two ? instruction.two : instruction.one;
    switch (instruction.form) {
        case Instruction::Form::Plain:
            put(word, at(to), at(a), last);
            break;
        case Instruction::Form::Accumulates:
            put(two ? word : word | at(to) << 10, at(to), at(a), last);
            break;
        case Instruction::Form::TimesPlus:
        case Instruction::Form::TimesMinus:
            if (!two) {
                put(word | last << 10, at(to), at(a), at(to));
                break;
            }
            if (instruction.form == Instruction::Form::TimesMinus)
                put(0x6EE0F800, read, last);  // fneg
            else if (last != read)
                put(0x4EA01C00, read, last, last);
            put(word, read, at(a), at(to));
            put(0x4EA01C00, at(to), read, read);
            break;
        case Instruction::Form::Maximum:
            put(word, made, at(a), last);         // where a > b
            put(0x6E601C00, made, at(a), last);   // bsl: a, else b
            put(0x4EA01C00, at(to), made, made);  // which may be where b was
    }
}

void Assembler::load(std::uint8_t to, const Operand& from) {
    if (from.kind == Operand::Kind::Vector)
        copy(to, from.vector);
    else
        in_register(from, at(to));
}

// The mask of two lanes is narrowed to the half of a register that calls preserve.
void Assembler::note(Comparison comparison, std::uint8_t a, const Operand& b, std::uint8_t) {
    const unsigned last = in_register(b, read);
    const bool two = shape_ == Shape::Two;
    if (comparison == Comparison::Equal)
        put(two ? 0x4E60E400 : 0x5E60E400, read, at(a), last);
    else  // b >= a
        put(two ? 0x6E60E400 : 0x7E60E400, read, last, at(a));
    if (two) put(0x0EA12800, read, read);  // xtn
    put(0x0EA01C00, noted, noted, read);   // orr
}

void Assembler::ones_where_greater(std::uint8_t to, std::uint8_t a, std::uint8_t b) {
    const bool two = shape_ == Shape::Two;
    put(two ? 0x6EE0E400 : 0x7EE0E400, at(to), at(a), at(b));
    (*this)(instructions::bit_and, to, to, Number::One);
}

void Assembler::keep_where_not_equal(std::uint8_t to, std::uint8_t from, std::uint8_t a, std::uint8_t b) {
    put(shape_ == Shape::Two ? 0x4E60E400 : 0x5E60E400, read, at(a), at(b));  // fcmeq
    put(0x4E601C00, at(to), at(from), read);                                  // bic
}

void Assembler::number_into(unsigned to, std::uint64_t value) {
    put(0xD2800000 | static_cast<std::uint32_t>(value & 0xFFFF) << 5, to);  // movz
    for (unsigned part = 1; part < 4; ++part)
        if (const auto bits = static_cast<std::uint32_t>(value >> 16 * part & 0xFFFF))
            put(0xF2800000 | part << 21 | bits << 5, to);  // movk
}

void Assembler::enter(Direction, const double* constants) {
    // stp x29, x30, [sp, -80]!; stp x19, x20, [sp, 16]; stp x21, x22, [sp, 32]; str d8, [sp, 48]; mov x29, sp
    put(0xA9800000 | (0x7Fu & static_cast<unsigned>(-10)) << 15 | link << 10, frame_pointer, stack);
    put(0xA9000000 | 2u << 15 | 20u << 10, 19, stack);
    put(0xA9000000 | 4u << 15 | 22u << 10, 21, stack);
    put(0xFD000000 | 6u << 10, noted, stack);
    put(0x91000000, frame_pointer, stack);
    move(of(Base::Values), 0);
    move(of(Base::Adjoints), 1);
    number_into(of(Base::Constants), reinterpret_cast<std::uintptr_t>(constants));
    pools_.push_back(words_.size());
    put(0);  // adrp and add, once the place is known
    put(0);
    put(0x2F00E400, noted);                 // movi d8, 0
    put(0xF9000000 | 7u << 10, 31, stack);  // str xzr, [sp, 56]: what functions note
}

void Assembler::leave(Direction) {
    put(0x9E660000, 0, noted);             // fmov x0, d8
    put(0xF9400000 | 7u << 10, 1, stack);  // ldr x1, [sp, 56]
    put(0xAA000000, 0, 0, 1);              // orr x0, x0, x1
    put(0xAA400000 | 32u << 10, 0, 0, 0);  // orr x0, x0, x0, lsr 32
    put(0xFD400000 | 6u << 10, noted, stack);
    put(0xA9400000 | 4u << 15 | 22u << 10, 21, stack);
    put(0xA9400000 | 2u << 15 | 20u << 10, 19, stack);
    put(0xA8C00000 | 10u << 15 | link << 10, frame_pointer, stack);
    put(0xD65F03C0);
}

void Assembler::argument(unsigned number, Memory address_of) {
    number_into(number, static_cast<std::uint32_t>(address_of.offset));
    put(0x8B000000, number, number, of(address_of.base));
}

void Assembler::call(std::uint64_t function) {
    number_into(scratch, function);
    put(0xD63F0000, 0, scratch);
}

void Assembler::note_result() {
    put(0x12001C00, 0, 0);                // and w0, w0, 255
    put(0x9E670000, read, 0);             // fmov
    put(0x0EA01C00, noted, noted, read);  // orr
}

// The first registers of the calling convention are not among those of programs.
void Assembler::call_function(std::uint64_t function, unsigned operands, const Memory* constant, bool notes) {
    for (unsigned k = 0; k < operands; ++k) put(0x4EA01C00, k, 16 + k, 16 + k);
    if (constant) argument(0, *constant);
    if (notes) put(0x91000000 | 56u << 10, 1, stack);  // add x1, sp, 56
    call(function);
    put(0x4EA01C00, 16, 0, 0);
}

std::span<const std::uint8_t> Assembler::finish() {
    words_.resize((words_.size() + 3) / 4 * 4, 0);
    const auto numbers = static_cast<std::int64_t>(words_.size() * 4);
    for (std::size_t place : pools_) {
        // Code begins at a page: of its own, and so do the numbers of pages between.
        const std::int64_t pages = numbers / 4096 - static_cast<std::int64_t>(place * 4) / 4096;
        const auto field = static_cast<std::uint32_t>(pages & 0x1FFFFF);
        words_[place] = 0x90000000 | (field & 3) << 29 | (field >> 2) << 5 | pool;
        words_[place + 1] = 0x91000000 | static_cast<std::uint32_t>(numbers % 4096) << 10 | pool << 5 | pool;
    }
    for (std::uint64_t value : bits_of_numbers)
        for (int lane = 0; lane < 2; ++lane) {
            put(static_cast<std::uint32_t>(value));
            put(static_cast<std::uint32_t>(value >> 32));
        }
    return {reinterpret_cast<const std::uint8_t*>(words_.data()), size()};
}

Pages Assembler::pages() const {
    Pages pages(size());
    std::memcpy(pages.begin(), words_.data(), size());
    return pages;
}

}  // namespace kilograd::program::machine::aarch64
