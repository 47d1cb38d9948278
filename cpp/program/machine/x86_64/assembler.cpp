#include "assembler.hpp"

#include <algorithm>
#include <utility>

namespace kilograd::program::machine::x86_64 {

namespace {

// Predicates of comparisons, quiet ones.
constexpr int not_equal = 4, greater = 0x1E;

constexpr int predicate_of(Comparison comparison) { return comparison == Comparison::Equal ? 0 : 2; }

constexpr std::size_t number_size = 64;

}  // namespace

Assembler::Assembler(Shape shape, bool many, std::size_t expected)
    : shape_(shape), many_(many), pages_(expected), at_(pages_.begin()), end_(at_ + pages_.size()) {}

void Assembler::grow(std::size_t more) {
    const std::size_t used = size();
    Pages pages(2 * used + more);
    std::memcpy(pages.begin(), pages_.begin(), used);
    pages_ = std::move(pages);
    at_ = pages_.begin() + used;
    end_ = pages_.begin() + pages_.size();
}

// A prefix of two, three (VEX) or four bytes (EVEX), the opcode, the operands, and the immediate. Fields of registers
// are inverted in the prefixes; an unused one is 0 and so written as 15. For one number either does where there are
// both: EVEX for the registers that only it has, and where it counts an offset in operands and so needs a byte for it.
void Assembler::encode(Shape shape, const Instruction& instruction, std::uint8_t reg, std::uint8_t first,
                       const Operand& last, int immediate, unsigned mask) {
    make_room();
    const bool one = shape == Shape::One, eight = shape == Shape::Eight;
    const bool in_memory = last.kind == Operand::Kind::Memory || last.kind == Operand::Kind::Spread;
    const unsigned source = last.is_vector() ? last.vector : in_memory ? number_of(of(last.memory.base)) : 0;
    const std::int32_t offset = last.memory.offset;
    const unsigned unit = eight && last.kind == Operand::Kind::Memory && !instruction.reads_one ? 6 : 3;
    const bool shorter = many_ && in_memory && !is_near(offset, 0) && is_near(offset, unit);
    const bool extended = eight || mask || shorter ||
                          (many_ && (((reg | first) >= 16) || (last.is_vector() && source >= 16) ||
                                     instruction.opcode == instructions::compare.opcode));
    const unsigned prefix = static_cast<unsigned>(one ? instruction.prefix_of_one : Prefix::P66);
    const unsigned opcode = one ? instruction.opcode_of_one : instruction.opcode;
    const unsigned map = static_cast<unsigned>(instruction.map), middle = (~first & 15u) << 3;
    const unsigned r = (~reg & 8u) << 4, b = (~source & 8u) << 2;
    if (extended) {
        const unsigned x = last.is_vector() ? (~source & 16u) << 2 : 0x40;
        const unsigned spread = last.kind == Operand::Kind::Spread ? 0x10 : 0;
        put(0x62, r | x | b | (~reg & 16u) | map, 0x80 | middle | 4 | prefix,
            mask | (eight ? 0x40 : 0) | spread | ((~first & 16u) >> 1), opcode);
    } else {
        const unsigned tail = middle | (shape == Shape::Four ? 4u : 0u) | prefix;
        if (b && !instruction.wide && instruction.map == Map::M0F)
            put(0xC5, r | tail, opcode);
        else
            put(0xC4, r | 0x40 | b | map, (instruction.wide ? 0x80u : 0u) | tail, opcode);
    }
    if (last.is_vector()) {
        put(0xC0 | (reg & 7u) << 3 | (source & 7u));
    } else if (in_memory) {
        locate(reg, last.memory, extended ? unit : 0);
    } else {
        put(0x05 | (reg & 7u) << 3);
        refer_to(static_cast<std::size_t>(last.number) * number_size, immediate < 0 ? 0 : 1);
    }
    if (immediate >= 0) put(static_cast<unsigned>(immediate));
}

// An offset in one byte counts 1 << `unit` bytes. Without a branch on which it is.
void Assembler::locate(unsigned reg, Memory memory, unsigned unit) {
    const bool near = is_near(memory.offset, unit);
    put((near ? 0x40u : 0x80u) | (reg & 7u) << 3 | low(of(memory.base)));
    const std::int32_t written = near ? memory.offset >> unit : memory.offset;
    std::memcpy(at_, &written, sizeof written);
    at_ += near ? 1 : 4;
}

void Assembler::refer_to(std::size_t pool_offset, std::size_t immediates) {
    references_.push_back({size(), size() + 4 + immediates, pool_offset});
    number(std::uint32_t{0});
}

void Assembler::note(Comparison comparison, std::uint8_t a, const Operand& b, std::uint8_t spare) {
    const int predicate = predicate_of(comparison);
    encode(shape_, instructions::compare, many_ ? 1 : spare, a, b, predicate);  // into k1
    make_room();
    const unsigned r = spare < 8 ? 0x80 : 0, from = spare & 7u;
    if (many_)
        put(0xC5, 0xF8, 0x93, 0xC1);  // kmovw eax, k1
    else if (shape_ == Shape::Four)
        put(0xC4, 0xC1u | (r >> 2), 0x7D, 0x50, 0xC0 | from);  // vmovmskpd eax, spare
    else
        put(0xC5, r | 0x79, 0x7E, 0xC0 | from << 3);  // vmovd eax, spare
    put(0x09, 0xC5);                                  // or ebp, eax
}

void Assembler::ones_where_greater(std::uint8_t to, std::uint8_t a, std::uint8_t b) {
    encode(shape_, instructions::compare, many_ ? 1 : to, a, b, greater);
    if (many_)
        encode(shape_, instructions::load, to, 0, Number::One, -1, 0x81);  // under k1, else 0
    else
        encode(shape_, instructions::bit_and, to, to, Number::One);
}

void Assembler::keep_where_not_equal(std::uint8_t to, std::uint8_t from, std::uint8_t a, std::uint8_t b) {
    encode(shape_, instructions::compare, many_ ? 1 : to, a, b, not_equal);
    if (many_)
        encode(shape_, instructions::copy, to, 0, from, -1, 0x81);
    else
        encode(shape_, instructions::bit_and, to, to, from);
}

void Assembler::push(Register r) {
    make_room();
    if (high(r)) put(0x41);
    put(0x50 | low(r));
}

void Assembler::pop(Register r) {
    make_room();
    if (high(r)) put(0x41);
    put(0x58 | low(r));
}

void Assembler::move(Register to, Register from) {
    make_room();
    put(0x48u | (high(from) ? 4u : 0u) | (high(to) ? 1u : 0u), 0x89, 0xC0 | low(from) << 3 | low(to));
}

void Assembler::move(Register to, std::uint64_t value) {
    make_room();
    put(0x48u | (high(to) ? 1u : 0u), 0xB8 | low(to));
    number(value);
}

void Assembler::enter(Direction direction, const double* constants) {
    push(Register::rbx);
    push(Register::rbp);
    push(Register::r15);  // and the stack is aligned
    move(of(Base::Values), arguments[0]);
    move(of(Base::Constants), reinterpret_cast<std::uintptr_t>(constants));
    if (direction == Direction::Reverse) return move(of(Base::Adjoints), arguments[1]);
    make_room();
    put(0x31, 0xED);              // xor ebp, ebp
    put(0x6A, 0x00, 0x6A, 0x00);  // push 0; push 0
}

void Assembler::leave(Direction direction) {
    make_room();
    if (direction == Direction::Forward) put(0x58, 0x09, 0xE8, 0x59);  // pop rax; or eax, ebp; pop rcx
    if (shape_ != Shape::One) put(0xC5, 0xF8, 0x77);                   // vzeroupper
    pop(Register::r15);
    pop(Register::rbp);
    pop(Register::rbx);
    make_room();
    put(0xC3);
}

void Assembler::argument(unsigned number, Memory address_of) {
    make_room();
    const Register to = arguments[number], base = of(address_of.base);
    put(0x48u | (high(to) ? 4u : 0u) | (high(base) ? 1u : 0u), 0x8D);  // lea
    locate(static_cast<unsigned>(to), address_of, 0);
}

void Assembler::call(std::uint64_t function) {
    make_room();
    auto found = std::find(functions_.begin(), functions_.end(), function);
    if (found == functions_.end()) found = functions_.insert(functions_.end(), function);
    put(0xFF, 0x15);  // call [rip + ...]
    refer_to(std::size(bits_of_numbers) * number_size + static_cast<std::size_t>(found - functions_.begin()) * 8, 0);
}

void Assembler::note_result() {
    make_room();
    put(0x0F, 0xB6, 0xC0, 0x09, 0xC5);  // movzx eax, al; or ebp, eax
}

void Assembler::call_function(std::uint64_t function, unsigned, const Memory* constant, bool notes) {
    if (constant) argument(0, *constant);
    if (notes) move(arguments[1], Register::rsp);
    call(function);
}

std::span<const std::uint8_t> Assembler::finish() {
    const std::size_t pool = (size() + number_size - 1) / number_size * number_size;
    const std::size_t all = pool + std::size(bits_of_numbers) * number_size + functions_.size() * 8;
    if (const std::size_t more = all - size(); static_cast<std::size_t>(end_ - at_) < more) grow(more);
    std::uint8_t* const begin = pages_.begin();
    std::fill(at_, begin + pool, std::uint8_t{0xCC});
    for (const Reference& reference : references_) {
        const auto offset = static_cast<std::uint32_t>(pool + reference.offset - reference.from);
        std::memcpy(begin + reference.at, &offset, sizeof offset);
    }
    at_ = begin + pool;
    for (std::uint64_t value : bits_of_numbers)
        for (std::size_t lane = 0; lane < number_size / 8; ++lane) number(value);
    for (std::uint64_t function : functions_) number(function);
    return {begin, all};
}

}  // namespace kilograd::program::machine::x86_64
