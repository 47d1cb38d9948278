#include "row_machine.hpp"

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "contributions.hpp"
#include "placement.hpp"
#include "target.hpp"

namespace kilograd::program::machine {

namespace {

using target::Assembler, target::Instruction;
namespace instructions = target::instructions;

constexpr std::uint8_t zero = free_registers;  // the last one

class Emitter {
  public:
    Emitter(const Graph& graph, const RowSchedule& schedule, const RowCode& code, Wants wants, const Kernels& kernels,
            bool several)
        : graph_(graph),
          schedule_(schedule),
          s_(code),
          wants_(wants),
          kernels_(kernels),
          several_(several),
          lanes_(several ? static_cast<std::uint32_t>(kernels.width) : 1),
          emit_(static_cast<Shape>(lanes_)),
          registers_(schedule.size()),
          contributions_(code, schedule.size(), several),
          values_(schedule.size()),
          adjoints_(schedule.size()),
          seeded_(schedule.size(), 0) {
        for (std::uint32_t output : graph_.outputs) seeded_[schedule_.position(output)] = 1;
        list_readers_of_values();
        if (wants_.any()) list_readers_of_adjoints();
    }

    void forward() {
        enter(Direction::Forward);
        for (const Run* run = s_.runs; run != s_.runs + s_.run_count; ++run) {
            if (!is_arithmetic(run->code)) {
                call_forward(*run);
                continue;
            }
            for (std::uint32_t i = run->begin; i < run->begin + run->count; ++i) {
                registers_.release();
                const std::uint8_t y = value_of(*run, i);
                for_operands(*run, i, [&](std::uint32_t operand) { values_.read(operand); });
                values_.settle(i);
                emit_.store(value(i), y);
                registers_.hold(y, Of::Values, values_[i]);
            }
        }
        emit_.leave(Direction::Forward);
    }

    void reverse() {
        registers_.forget_all();
        enter(Direction::Reverse);
        if (!several_ && s_.alike_count) call_row_locals();
        each_adjoint([&](std::uint32_t p, Kind kind) { gather(p, kind); },
                     [&](const Run& run) { call_run_locals(run); });
        emit_.leave(Direction::Reverse);
    }

    std::size_t slots() const { return contributions_.slots(); }
    std::size_t size() const { return emit_.size(); }
    std::vector<std::uint8_t> finish() const { return emit_.finish(); }

  private:
    using Of = Registers::Of;

    Memory place(Base base, std::size_t position) const {
        return {base, static_cast<std::int32_t>(position * lanes_ * sizeof(double))};
    }
    Memory value(std::uint32_t position) const { return place(Base::Values, values_[position]); }
    Memory adjoint(std::uint32_t position) const { return place(Base::Adjoints, adjoints_[position]); }
    // Behind the adjoints: for one row its locals and then slots, with room for a vector before each; for several
    // slots.
    std::size_t slots_at() const { return several_ ? schedule_.size() : locals_at() + schedule_.local_count() + 8; }
    std::size_t locals_at() const { return schedule_.size() + 8; }
    Memory slot(std::uint32_t number) const { return place(Base::Adjoints, slots_at() + number); }
    Memory local(std::uint32_t number) const { return place(Base::Adjoints, locals_at() + number); }
    Memory constant(std::uint32_t position) const {
        return {Base::Constants, static_cast<std::int32_t>(position * sizeof(double))};
    }

    // What becomes of an adjoint.
    enum class Kind : std::uint8_t {
        Inner,   // other adjoints are made of it
        Read,    // a kernel reads it, at its position
        Result,  // of the sign of a zero nobody is to learn
    };

    // Calls f(position, kind) for each adjoint in order, and called(run) where a kernel is to be called.
    template <class F, class G>
    void each_adjoint(F&& f, G&& called) const {
        for (const Run* run = s_.runs + s_.run_count; run != s_.runs;) {
            --run;
            if (!run->reverse) continue;
            for (std::uint32_t i = run->begin + run->count; i-- > run->begin;)
                f(i, is_arithmetic(run->code) ? Kind::Inner : Kind::Read);
            if (contributions_.has_slots(*run)) called(*run);
        }
        if (wants_.inputs)
            for (const RowSchedule::Leaf& leaf : schedule_.inputs()) f(leaf.position, Kind::Result);
        if (wants_.parameters)
            for (const RowSchedule::Leaf& leaf : schedule_.parameters()) f(leaf.position, Kind::Result);
    }

    template <class F>
    void for_operands(const Run& run, std::uint32_t i, F&& f) const {
        if (run.code == Code::dot && run.fused == Fused::No) {
            for (const Term *term = s_.terms + s_.a[i], *last = s_.terms + s_.b[i]; term != last; ++term) {
                f(term->a);
                if (term->b != none) f(term->b);
            }
            return;
        }
        f(s_.a[i]);
        if (run.code == Code::dot || info(run.code).arity == Arity::Binary) f(s_.b[i]);
        if (run.code == Code::dot) f(s_.d[i]);
    }

    // Leaves, outputs, and what kernels or the reverse sweep read, stay where they are.
    void list_readers_of_values() {
        for (std::uint32_t p = 0; p < schedule_.size(); ++p)
            if (seeded_[p] || !contributions_.in_run(p)) values_.keep(p);
        for (const Run* run = s_.runs; run != s_.runs + s_.run_count; ++run) {
            const bool called = !is_arithmetic(run->code);
            for (std::uint32_t i = run->begin; i < run->begin + run->count; ++i) {
                if (called) values_.keep(i);
                for_operands(*run, i, [&](std::uint32_t operand) {
                    called ? values_.keep(operand) : values_.expect_reader(operand);
                });
            }
        }
        if (!wants_.any()) return;
        for (std::uint32_t p = 0; p < schedule_.size(); ++p) {
            for (const Contribution *c = contributions_.begin(p), *last = contributions_.end(p); c != last; ++c) {
                if (c->form == Form::Product) values_.keep(c->factor);
                if (c->form != Form::Local && c->form != Form::Local2) continue;
                values_.keep(c->consumer);
                for_operands(contributions_.run(c->consumer), c->consumer,
                             [&](std::uint32_t operand) { values_.keep(operand); });
            }
        }
    }
    void list_readers_of_adjoints() {
        each_adjoint(
            [&](std::uint32_t p, Kind kind) {
                if (kind != Kind::Inner || seeded_[p]) adjoints_.keep(p);
                for (const Contribution *c = contributions_.begin(p), *last = contributions_.end(p); c != last; ++c)
                    if (c->form != Form::Slot) adjoints_.expect_reader(c->consumer);
            },
            [](const Run&) {});
    }

    void enter(Direction direction) {
        emit_.enter(direction, s_.c);
        emit_.zero(zero);
    }

    // As a second source: the register that holds it, or its memory.
    Operand operand(Of of, std::uint32_t position) {
        const std::uint8_t r = registers_.find(of, of == Of::Values ? values_[position] : adjoints_[position]);
        return r != Registers::nowhere ? Operand(r) : Operand(of == Of::Values ? value(position) : adjoint(position));
    }
    // As a first source: a register, which is not to be written.
    std::uint8_t in_register(const Operand& operand) {
        if (operand.kind == Operand::Kind::Vector) return operand.vector;
        const std::uint8_t r = registers_.next();
        emit_.load(r, operand);
        return r;
    }
    // In a register to be written.
    std::uint8_t copied(const Operand& operand) {
        const std::uint8_t r = registers_.next();
        if (operand.kind == Operand::Kind::Vector)
            emit_.copy(r, operand.vector);
        else
            emit_.load(r, operand);
        return r;
    }
    // A node's constant as a second source.
    Operand spread(std::uint32_t position) {
        if (emit_.shape() == Shape::One) return constant(position);
        if (emit_.spreads()) return Operand::spread(constant(position));
        const std::uint8_t r = registers_.next();
        emit_.spread(r, constant(position));
        return r;
    }
    std::uint8_t apply(const Instruction& instruction, const Operand& a, const Operand& b) {
        const std::uint8_t x = in_register(a), y = registers_.next();
        emit_(instruction, y, x, b);
        return y;
    }

    std::uint8_t value_of(const Run& run, std::uint32_t i) {
        const auto at = [&](std::uint32_t position) { return operand(Of::Values, position); };
        const std::uint32_t a = s_.a[i], b = s_.b[i];
        switch (run.code) {
            case Code::add:
                return apply(instructions::add, at(a), at(b));
            case Code::sub:
                return apply(instructions::subtract, at(a), at(b));
            case Code::mul:
                return apply(instructions::multiply, at(a), at(b));
            case Code::scale:
                return apply(instructions::multiply, at(a), spread(i));
            case Code::offset:
                return apply(instructions::add, at(a), spread(i));
            case Code::relu:
                return apply(instructions::maximum, zero, at(a));
            case Code::square: {
                const std::uint8_t x = in_register(at(a)), y = apply(instructions::multiply, x, x);
                // Infinite, of a finite number: infinity less the number's size is infinity, or else NaN.
                const std::uint8_t size = apply(instructions::bit_and, x, Number::SizeMask);
                const std::uint8_t rest = apply(instructions::subtract, y, size);
                emit_.note(Comparison::Equal, rest, Number::Infinity, size);
                return y;
            }
            case Code::div: {
                const std::uint8_t divisor = in_register(at(b)), y = apply(instructions::divide, at(a), divisor);
                note_divisor(divisor);
                return y;
            }
            case Code::reciprocal: {
                const std::uint8_t divisor = in_register(at(a));
                const std::uint8_t y = apply(instructions::divide, Number::One, divisor);
                note_divisor(divisor);
                return y;
            }
            default:
                return run.fused != Fused::No ? fused(run, i) : dot(i);
        }
    }

    void note_divisor(std::uint8_t divisor) {
        const std::uint8_t size = apply(instructions::bit_and, divisor, Number::SizeMask);
        emit_.note(Comparison::LessEqual, size, Number::Tiny, size);
    }

    std::uint8_t fused(const Run& run, std::uint32_t i) {
        const Operand a = operand(Of::Values, s_.a[i]), b = operand(Of::Values, s_.b[i]),
                      d = operand(Of::Values, s_.d[i]);
        if (run.fused == Fused::Add) {
            const std::uint8_t x = in_register(a), y = copied(d);
            emit_(instructions::add_product, y, x, b);
            return y;
        }
        const std::uint8_t x = in_register(b), y = copied(a);
        emit_(instructions::times_minus, y, x, d);
        return y;
    }

    // As the kernels have it.
    std::uint8_t dot(std::uint32_t i) {
        const Term *term = s_.terms + s_.a[i], *last = s_.terms + s_.b[i];
        const auto first = [&](const Term& t) {
            const Operand a = operand(Of::Values, t.a);
            return t.b == none ? copied(a) : apply(instructions::multiply, a, operand(Of::Values, t.b));
        };
        const auto plus = [&](std::uint8_t sum, const Term& t) {
            const Operand a = operand(Of::Values, t.a);
            if (t.b == none)
                emit_(instructions::add, sum, sum, a);
            else
                emit_(instructions::add_product, sum, in_register(a), operand(Of::Values, t.b));
        };
        const std::uint8_t even = first(*term++);
        if (last - term < 2) {
            if (term != last) plus(even, *term);
            return even;
        }
        const std::uint8_t odd = first(*term++);
        for (std::uint8_t sum = even; term != last; ++term, sum = sum == even ? odd : even) {
            registers_.release();
            registers_.use(even);
            registers_.use(odd);
            plus(sum, *term);
        }
        emit_(instructions::add, even, even, odd);
        return even;
    }

    template <class Function>
    void call(Function* function) {
        emit_.argument(0, address(&s_));
        emit_.call(address(function));
        registers_.forget_all();
        emit_.zero(zero);
    }
    template <class T>
    static std::uint64_t address(T* of) {
        return reinterpret_cast<std::uintptr_t>(of);
    }
    void call_forward(const Run& run) {
        const auto noted = [&](auto* function) {
            emit_.argument(2, Base::Values);
            call(function);
            if (!is_total(run.code)) emit_.note_result();
        };
        if (several_ || run.count > few_alike) {
            emit_.argument(1, address(&run));
            noted(several_ ? kernels_.rows_run_forward : kernels_.row_run_forward);
            return;
        }
        for (std::uint32_t i = run.begin; i < run.begin + run.count; ++i) {
            emit_.argument(1, i);
            noted(kernels_.ones->forward[index_of(run.code)]);
        }
    }
    void call_run_locals(const Run& run) {
        emit_.argument(1, address(&run));
        emit_.argument(2, Base::Values);
        emit_.argument(3, Base::Adjoints);
        emit_.argument(4, (slots_at() + contributions_.slot(run)) * lanes_);
        call(several_ ? kernels_.rows_run_locals : kernels_.row_run_locals);
    }
    void call_row_locals() {
        emit_.argument(1, Base::Values);
        emit_.argument(2, local(0));
        call(kernels_.row_locals);
    }

    void gather(std::uint32_t p, Kind kind) {
        registers_.release();
        const Contribution *const begin = contributions_.begin(p), *const end = contributions_.end(p), *next = begin;
        if (seeded_[p] && begin == end) return;
        if (kind == Kind::Inner && !seeded_[p] && end - begin == 1 && begin->form == Form::Plus) {
            adjoints_.share(p, begin->consumer);
            return;
        }
        std::uint8_t sum = Registers::nowhere;
        if (seeded_[p])
            sum = copied(adjoint(p));
        else if (begin == end)
            sum = copied(zero);
        for (; next != end; ++next) {
            if (sum != Registers::nowhere) {
                registers_.release();
                registers_.use(sum);
                add(*next, sum);
            } else {
                sum = first(*next);
            }
        }
        if (kind == Kind::Result) emit_(instructions::add, sum, sum, zero);
        for (next = begin; next != end; ++next)
            if (next->form != Form::Slot) adjoints_.read(next->consumer);
        adjoints_.settle(p);
        emit_.store(adjoint(p), sum);
        registers_.hold(sum, Of::Adjoints, adjoints_[p]);
    }

    Operand dy_of(const Contribution& c) { return operand(Of::Adjoints, c.consumer); }

    // The factor of dy.
    Operand factor(const Contribution& c) {
        const std::uint32_t i = c.consumer;
        const auto at = [&](std::uint32_t position) { return operand(Of::Values, position); };
        switch (c.form) {
            case Form::Product:
                return at(c.factor);
            case Form::Constant:
                return spread(i);
            case Form::SlotProduct:
                return slot(c.factor);
            case Form::LocalProduct:
                return local(c.factor);
            default:
                break;
        }
        switch (contributions_.run(i).code) {
            case Code::relu: {
                const std::uint8_t y = in_register(at(i)), ones = registers_.next();
                emit_.ones_where_greater(ones, y, zero);
                return ones;
            }
            case Code::square: {
                const std::uint8_t x = in_register(at(s_.a[i]));
                return apply(instructions::add, x, x);
            }
            case Code::reciprocal: {
                const std::uint8_t y = in_register(at(i));
                return apply(instructions::multiply, y, y);
            }
            default: {  // a quotient of several rows
                const std::uint8_t inverse = apply(instructions::divide, Number::One, at(s_.b[i]));
                return c.form == Form::Local ? inverse : apply(instructions::multiply, inverse, at(i));
            }
        }
    }
    bool is_negative(const Contribution& c) const {
        return c.form == Form::Local2 ||
               (c.form == Form::Local && contributions_.run(c.consumer).code == Code::reciprocal);
    }
    // One row divides dy: the quotient for the first operand, and the factors for the second.
    bool divides(const Contribution& c) const {
        return !several_ && (c.form == Form::Local || c.form == Form::Local2) &&
               contributions_.run(c.consumer).code == Code::div;
    }
    std::uint8_t quotient(const Contribution& c) {
        return apply(instructions::divide, dy_of(c), operand(Of::Values, s_.b[c.consumer]));
    }

    std::uint8_t first(const Contribution& c) {
        if (c.form == Form::Plus) return copied(dy_of(c));
        if (c.form == Form::Slot) return copied(slot(c.factor));
        if (c.form == Form::Minus || is_negative(c)) {
            const std::uint8_t sum = copied(zero);
            add(c, sum);
            return sum;
        }
        if (divides(c)) return quotient(c);
        const Operand by = factor(c);
        return apply(instructions::multiply, dy_of(c), by);
    }

    void add(const Contribution& c, std::uint8_t sum) {
        if (c.form == Form::Plus) {
            emit_(instructions::add, sum, sum, dy_of(c));
        } else if (c.form == Form::Minus) {
            emit_(instructions::subtract, sum, sum, dy_of(c));
        } else if (c.form == Form::Slot) {
            emit_(instructions::add, sum, sum, slot(c.factor));
        } else if (c.form == Form::LocalProduct) {
            emit_(instructions::add, sum, sum, apply(instructions::multiply, dy_of(c), factor(c)));
        } else if (divides(c)) {
            const std::uint8_t part = quotient(c);
            if (c.form == Form::Local)
                emit_(instructions::add, sum, sum, part);
            else
                emit_(instructions::subtract_product, sum, part, operand(Of::Values, c.consumer));
        } else {
            const Operand by = factor(c), dy = dy_of(c);
            const bool swapped = by.kind == Operand::Kind::Vector;  // the factor, or else dy, is in a register
            const std::uint8_t x = in_register(swapped ? by : dy);
            emit_(is_negative(c) ? instructions::subtract_product : instructions::add_product, sum, x,
                  swapped ? dy : by);
        }
    }

    const Graph& graph_;
    const RowSchedule& schedule_;
    const RowCode& s_;
    const Wants wants_;
    const Kernels& kernels_;
    const bool several_;
    const std::size_t lanes_;
    Assembler emit_;
    Registers registers_;
    const Contributions contributions_;
    Places values_, adjoints_;
    std::vector<std::uint8_t> seeded_;  // outputs: their adjoints begin with what stands there
};

template <class Function>
Function* at(const void* code) {
    return reinterpret_cast<Function*>(reinterpret_cast<std::uintptr_t>(code));
}

}  // namespace

When when() {
    static const When chosen = []() -> When {
        const char* given = std::getenv("KILOGRAD_CODE");
        const std::string word = given ? given : "";
        if (word == "0") return When::Never;
        if (word == "always") return When::Always;
        if (word.empty()) return When::ItPays;
        throw std::invalid_argument("KILOGRAD_CODE: '" + word + "' is neither 0 (no machine code) nor always");
    }();
    return chosen;
}

bool RowMachine::suits(const Kernels& kernels) {
#ifdef KILOGRAD_MACHINE_CODE
    return kernels.width >= target::least_lanes;
#else
    static_cast<void>(kernels);
    return false;
#endif
}

bool RowMachine::suits(const RowSchedule& schedule, const Kernels& kernels, bool several) {
    // Longer code is read from memory at each pass, and costs more than its kernels: sooner for terms of sums, over
    // which the kernels are short loops.
    constexpr double nodes[] = {200e3, 1e6}, terms[] = {40e3, 100e3};
    return suits(kernels) && static_cast<double>(schedule.size()) / nodes[several] +
                                     static_cast<double>(schedule.term_count()) / terms[several] <
                                 1.0;
}

RowMachine::RowMachine(const Graph& graph, const RowSchedule& schedule, Wants wants, const Kernels& kernels,
                       bool several)
    : kernels_(kernels), code_(schedule.code()) {
    Emitter emitter(graph, schedule, code_, wants, kernels, several);
    emitter.forward();
    const std::size_t reverse = emitter.size();
    if (wants.any()) emitter.reverse();
    slots_ = emitter.slots();
    pages_ = Pages::make(emitter.finish());
    if (!pages_) return;
    const auto* begin = static_cast<const std::uint8_t*>(pages_->begin());
    forward_ = at<unsigned(double*)>(begin);
    reverse_ = at<void(const double*, double*)>(begin + reverse);
}

}  // namespace kilograd::program::machine
