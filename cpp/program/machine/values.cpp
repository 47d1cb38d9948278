// The emitter's forward sweep: values.
#include <bit>
#include <utility>

#include "emitter.hpp"

namespace kilograd::program::machine {

void Emitter::make_value(std::uint32_t i) {
    const Run& run = contributions_.run(i);
    if (by_kernel(run)) return call_kernel(run);
    keep(i, is_arithmetic(run.code) ? value_of(run, i) : function(run, i));
}

std::uint8_t Emitter::value_of(const Run& run, std::uint32_t i) {
    const std::uint32_t a = s_.a[i], b = s_.b[i];
    switch (run.code) {
        case Code::add:
            return apply(instructions::add, a, b, true);
        case Code::sub:
            return apply(instructions::subtract, a, b, false);
        case Code::mul:
            return apply(instructions::multiply, a, b, true);
        case Code::scale:
        case Code::offset: {
            const Operand c = spread(i);
            const std::uint8_t x = in_register(a), y = result({a});
            emit_(run.code == Code::scale ? instructions::multiply : instructions::add, y, x, c);
            return y;
        }
        case Code::relu: {
            const Operand x = at(a);
            const std::uint8_t least = zero(), y = result({a});
            emit_(instructions::maximum, y, least, x);
            return y;
        }
        case Code::square: {
            const std::uint8_t x = in_register(a), y = take(), size = take();
            emit_(instructions::multiply, y, x, x);
            // Infinite, of a finite number: infinity less the number's size is infinity, or else NaN.
            emit_(instructions::bit_and, size, x, Number::SizeMask);
            emit_(instructions::subtract, size, y, size);
            emit_.note(Comparison::Equal, size, Number::Infinity, size);
            return y;
        }
        case Code::div: {
            const std::uint8_t divisor = in_register(b), x = in_register(a), y = take();
            emit_(instructions::divide, y, x, divisor);
            note_divisor(divisor);
            return y;
        }
        case Code::reciprocal: {
            const std::uint8_t divisor = in_register(a), y = take();
            emit_.load(y, Number::One);
            emit_(instructions::divide, y, y, divisor);
            note_divisor(divisor);
            return y;
        }
        default:
            return run.fused != Fused::No ? fused(run, i) : dot(i);
    }
}

std::uint8_t Emitter::apply(const Instruction& instruction, std::uint32_t a, std::uint32_t b, bool commutes) {
    const Sources sources = commutes ? either(a, b) : Sources{in_register(a), at(b)};
    const std::uint8_t y = result({a, b});
    emit_(instruction, y, sources.first, sources.second);
    return y;
}

void Emitter::note_divisor(std::uint8_t divisor) {
    const std::uint8_t size = take();
    emit_(instructions::bit_and, size, divisor, Number::SizeMask);
    emit_.note(Comparison::LessEqual, size, Number::Tiny, size);
}

// a * b + d or a * b - d, in the register of one of them where it may be.
std::uint8_t Emitter::fused(const Run& run, std::uint32_t i) {
    std::uint32_t a = s_.a[i], b = s_.b[i];
    const std::uint32_t d = s_.d[i];
    const bool plus = run.fused == Fused::Add;
    if (plus && d != a && d != b && find(d) != nowhere && dies(d)) {
        if (find(a) == nowhere) std::swap(a, b);
        const std::uint8_t y = find(d);
        registers_.use(y);
        const std::uint8_t x = in_register(a);
        const Operand other = at(b);
        give_away(d);
        emit_(instructions::add_product, y, x, other);
        return y;
    }
    const auto may_go = [&](std::uint32_t number, std::uint32_t other) {
        return number != other && number != d && find(number) != nowhere && dies(number);
    };
    if (!may_go(a, b)) std::swap(a, b);
    const bool in_place = may_go(a, b);
    if (in_place) registers_.use(find(a));
    if (!in_place && find(b) == nowhere) std::swap(a, b);
    const std::uint8_t x = in_register(b);
    const Operand addend = at(d);
    std::uint8_t y = nowhere;
    if (in_place) {
        y = find(a);
        give_away(a);
    } else {
        y = copied(a);
    }
    emit_(plus ? instructions::times_plus : instructions::times_minus, y, x, addend);
    return y;
}

// As the kernels have it.
std::uint8_t Emitter::dot(std::uint32_t i) {
    const Term *term = s_.terms + s_.a[i], *last = s_.terms + s_.b[i];
    const auto first_of = [&](const Term& t) {
        if (t.b == none) return copied(t.a);
        const Sources sources = either(t.a, t.b);
        const std::uint8_t y = take();
        emit_(instructions::multiply, y, sources.first, sources.second);
        return y;
    };
    const auto plus = [&](std::uint8_t sum, const Term& t) {
        if (t.b == none) return emit_(instructions::add, sum, sum, at(t.a));
        const Sources sources = either(t.a, t.b);
        emit_(instructions::add_product, sum, sources.first, sources.second);
    };
    const std::uint8_t even = first_of(*term++);
    if (last - term < 2) {
        if (term != last) plus(even, *term);
        return even;
    }
    const std::uint8_t odd = first_of(*term++);
    for (std::uint8_t sum = even; term != last; ++term, sum = sum == even ? odd : even) {
        registers_.release();
        registers_.use(even);
        registers_.use(odd);
        plus(sum, *term);
    }
    emit_(instructions::add, even, even, odd);
    return even;
}

// Writes what the call would take away.
void Emitter::leave_registers(bool also_dying) {
    for (Registers::Set rest = registers_.occupied() & taken_by_calls_; rest; rest &= rest - 1) {
        const auto r = static_cast<std::uint8_t>(std::countr_zero(rest));
        const std::uint32_t number = registers_.held(r);
        if (also_dying || registers_.next(r) != now_ || !dies(number)) write(number, r);
    }
    if (taken_by_calls_ >> zero_ & 1) zero_is_there_ = false;
}

std::uint8_t Emitter::function(const Run& run, std::uint32_t i) {
    leave_registers(false);
    const auto to = [&](std::uint8_t r, std::uint32_t number) {
        if (const std::uint8_t from = find(number); from == nowhere)
            emit_.load(r, memory(number));
        else if (from != r)
            emit_.copy(r, from);
    };
    const std::uint32_t a = s_.a[i], b = s_.b[i];
    const bool binary = is_binary(run.code);
    if (binary && a != b && find(b) == 0) {
        const bool crossed = find(a) == 1;
        if (crossed) emit_.copy(2, 1);
        emit_.copy(1, 0);
        if (crossed)
            emit_.copy(0, 2);
        else
            to(0, a);
    } else {
        to(0, a);
        if (binary && a == b)
            emit_.copy(1, 0);
        else if (binary)
            to(1, b);
    }
    registers_.empty_all(taken_by_calls_);
    const std::size_t k = index_of(run.code);
    const Memory c = constant(i);
    emit_.call_function(several_ ? address_of(kernels_.vectors->value[k]) : address_of(kernels_.ones->value[k]),
                        binary ? 2 : 1, has_constant(run.code) ? &c : nullptr, !is_total(run.code));
    registers_.use(0);
    if (taken_by_calls_ == ~0u || step_->next == now_ + 1 || step_->next == Steps::never) return 0;
    const std::uint8_t y = take(~taken_by_calls_);  // from the next call
    emit_.copy(y, 0);
    return y;
}

void Emitter::call_kernel(const Run& run) {
    leave_registers(true);
    registers_.empty_all(taken_by_calls_);
    emit_.argument(0, address_of(&s_));
    emit_.argument(1, address_of(&run));
    emit_.argument(2, Base::Values);
    emit_.call(address_of(kernels_.row_functions));
    emit_.note_result();
    for (std::uint32_t i = run.begin; i < run.begin + run.count; ++i) numbers_[i].written = true;
}

}  // namespace kilograd::program::machine
