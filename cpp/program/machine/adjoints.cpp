// The emitter's reverse sweep: adjoints.
#include "emitter.hpp"

namespace kilograd::program::machine {

void Emitter::make_adjoint(std::uint32_t p, bool is_result) {
    const Contribution *next = contributions_.begin(p), *const end = contributions_.end(p);
    const bool only = end - next == 1 && !seeded_[p];
    const Registers::Set among = step_->calls && taken_by_calls_ != ~0u ? ~taken_by_calls_ : ~0u;
    std::uint8_t sum = nowhere;
    if (seeded_[p]) {
        sum = take(among);
        emit_.load(sum, memory(size_ + p));
        numbers_[size_ + p].written = false;
    } else if (next == end) {
        sum = take();
        emit_.copy(sum, zero());
    } else if (step_->calls) {
        sum = take(among);
        emit_.zero(sum);
    } else {
        sum = first(*next++, only);
    }
    for (; next != end; ++next) {
        registers_.release();
        registers_.use(sum);
        if (calls(*next))
            call_local(*next, sum, p);
        else
            add(*next, sum);
    }
    if (is_result) {
        emit_(instructions::add, sum, sum, zero());
        write(size_ + p, sum);
    }
    keep(size_ + p, sum);
}

// Where one row finds it.
Memory Emitter::local(const Contribution& c) const {
    const Run& run = contributions_.run(c.consumer);
    return place(Base::Adjoints, schedule_.locals_at() + (c.form == Form::Function ? run.local : run.local_b) +
                                     (c.consumer - run.begin));
}

bool Emitter::is_negative(const Contribution& c) const {
    return c.form == Form::Local2 || (c.form == Form::Local && contributions_.run(c.consumer).code == Code::reciprocal);
}
// One row divides dy: the quotient for the first operand, and the factors for the second.
bool Emitter::divides(const Contribution& c) const {
    return !several_ && (c.form == Form::Local || c.form == Form::Local2) &&
           contributions_.run(c.consumer).code == Code::div;
}
std::uint8_t Emitter::quotient(const Contribution& c) {
    const std::uint8_t dy = in_register(adjoint_of(c.consumer));
    const Operand divisor = at(s_.b[c.consumer]);
    const std::uint8_t y = take();
    emit_(instructions::divide, y, dy, divisor);
    return y;
}

// The factor of dy that a node's code says.
std::uint8_t Emitter::factor_by_code(const Contribution& c) {
    const std::uint32_t i = c.consumer;
    switch (contributions_.run(i).code) {
        case Code::relu: {
            const std::uint8_t y = in_register(i), none_is = zero(), ones = take();
            emit_.ones_where_greater(ones, y, none_is);
            return ones;
        }
        case Code::square: {
            const std::uint8_t x = in_register(s_.a[i]), twice = take();
            emit_(instructions::add, twice, x, x);
            return twice;
        }
        case Code::reciprocal: {
            const std::uint8_t y = in_register(i), square = take();
            emit_(instructions::multiply, square, y, y);
            return square;
        }
        default: {  // a quotient of several rows
            const Operand divisor = at(s_.b[i]);
            const std::uint8_t inverse = take();
            emit_.load(inverse, Number::One);
            emit_(instructions::divide, inverse, inverse, divisor);
            if (c.form == Form::Local2) emit_(instructions::multiply, inverse, inverse, at(i));
            return inverse;
        }
    }
}

// `only` one, so that nobody else reads what it reads.
std::uint8_t Emitter::first(const Contribution& c, bool only) {
    const std::uint32_t dy = adjoint_of(c.consumer);
    switch (c.form) {
        case Form::Plus: {
            if (!only) return copied(dy);
            const std::uint8_t r = find(dy);
            return r != nowhere && give_away(dy) ? r : copied(dy);
        }
        case Form::Product: {
            if (only) return apply(instructions::multiply, dy, c.factor, true);
            const Sources sources = either(dy, c.factor);
            const std::uint8_t y = take();
            emit_(instructions::multiply, y, sources.first, sources.second);
            return y;
        }
        case Form::Constant:
        case Form::Function:
        case Form::Function2: {  // of one row
            const Operand by = c.form == Form::Constant ? spread(c.consumer) : Operand(local(c));
            const std::uint8_t x = in_register(dy), y = only ? result({dy}) : take();
            emit_(instructions::multiply, y, x, by);
            return y;
        }
        default:
            break;
    }
    if (divides(c) && c.form == Form::Local) return quotient(c);
    if (c.form == Form::Local && !is_negative(c)) {
        const std::uint8_t by = factor_by_code(c);
        emit_(instructions::multiply, by, by, at(dy));
        return by;
    }
    const std::uint8_t sum = take();
    emit_.zero(sum);
    add(c, sum);
    return sum;
}

void Emitter::add(const Contribution& c, std::uint8_t sum) {
    const std::uint32_t dy = adjoint_of(c.consumer);
    switch (c.form) {
        case Form::Plus:
            return emit_(instructions::add, sum, sum, at(dy));
        case Form::Minus:
            return emit_(instructions::subtract, sum, sum, at(dy));
        case Form::Product: {
            const Sources sources = either(dy, c.factor);
            return emit_(instructions::add_product, sum, sources.first, sources.second);
        }
        case Form::Constant: {
            const Operand by = spread(c.consumer);
            return emit_(instructions::add_product, sum, in_register(dy), by);
        }
        case Form::Function:
        case Form::Function2: {  // of one row, which rounds the product
            const std::uint8_t x = in_register(dy), part = take();
            emit_(instructions::multiply, part, x, local(c));
            return emit_(instructions::add, sum, sum, part);
        }
        case Form::Gated: {
            const std::uint8_t x = in_register(dy), mask = in_register(c.factor), none_is = zero(), part = take();
            emit_.keep_where_not_equal(part, x, mask, none_is);
            return emit_(instructions::add, sum, sum, part);
        }
        case Form::Local:
        case Form::Local2:
            break;
    }
    if (divides(c)) {
        const std::uint8_t part = quotient(c);
        if (c.form == Form::Local) return emit_(instructions::add, sum, sum, part);
        return emit_(instructions::subtract_product, sum, part, at(c.consumer));
    }
    const std::uint8_t by = factor_by_code(c);
    emit_(is_negative(c) ? instructions::subtract_product : instructions::add_product, sum, by, at(dy));
}

// The local derivative of several rows is made by a call, for which the sum so far goes to memory where it has to.
void Emitter::call_local(const Contribution& c, std::uint8_t& sum, std::uint32_t p) {
    const std::uint32_t i = c.consumer;
    const Code code = contributions_.run(i).code;
    leave_registers(true);
    const bool saved = taken_by_calls_ >> sum & 1;
    if (saved) {
        take_place(size_ + p);
        emit_.store(memory(size_ + p), sum);
        registers_.drop(sum);
    }
    const auto to = [&](std::uint8_t r, std::uint32_t value) {
        if (const std::uint8_t from = find(value); from != nowhere && from > 2)
            emit_.copy(r, from);
        else
            emit_.load(r, memory(value));
    };
    to(0, s_.a[i]);
    if (is_binary(code)) to(1, s_.b[i]);
    to(2, i);
    registers_.empty_all(taken_by_calls_);
    const std::size_t k = index_of(code);
    const Memory constant_at = constant(i);
    emit_.call_function(address_of(c.form == Form::Function ? kernels_.vectors->da[k] : kernels_.vectors->db[k]), 3,
                        has_constant(code) ? &constant_at : nullptr, false);
    registers_.use(0);
    if (saved) {
        sum = take();
        emit_.load(sum, memory(size_ + p));
    }
    emit_(instructions::add_product, sum, 0, at(adjoint_of(i)));
}

}  // namespace kilograd::program::machine
