#include "emitter.hpp"

#include <algorithm>
#include <utility>

namespace kilograd::program::machine {

Emitter::Emitter(const Graph& graph, const RowSchedule& schedule, const RowCode& code, Wants wants,
                 const Kernels& kernels, bool several)
    : graph_(graph),
      schedule_(schedule),
      s_(code),
      wants_(wants),
      kernels_(kernels),
      several_(several),
      lanes_(several ? static_cast<std::uint32_t>(kernels.width) : 1),
      size_(static_cast<std::uint32_t>(schedule.size())),
      emit_(static_cast<Shape>(lanes_), kernels.width == 8, 64 * (schedule.size() + schedule.term_count()) + 4096),
      contributions_(code, schedule.size()),
      zero_(static_cast<std::uint8_t>(emit_.registers() - 1)),
      taken_by_calls_(several && kernels.vectors->keep_high ? 0xFFFFu : ~0u),
      numbers_(2 * std::size_t{size_}),
      registers_(numbers_, (1u << zero_) - 1, taken_by_calls_ == ~0u),
      rooms_{Room(numbers_.data() + size_), Room(numbers_.data())},
      same_as_(schedule.size()),
      seeded_(schedule.size(), 0),
      forward_(size_, 2 * (schedule.size() + schedule.term_count())),
      reverse_(wants.any() ? 2 * std::size_t{size_} : 0, wants.any() ? 2 * contributions_.count() : 0) {
    for (std::uint32_t p = 0; p < size_; ++p) same_as_[p] = p;
    for (std::uint32_t output : graph_.outputs) seeded_[schedule_.position(output)] = 1;
    list_places();
    list_forward();
    if (wants_.any()) list_reverse();
}

template <class F>
void Emitter::for_operands(const Run& run, std::uint32_t i, F&& f) const {
    if (run.code == Code::dot && run.fused == Fused::No) {
        for (const Term *term = s_.terms + s_.a[i], *last = s_.terms + s_.b[i]; term != last; ++term) {
            f(term->a);
            if (term->b != none) f(term->b);
        }
        return;
    }
    f(s_.a[i]);
    if (run.code == Code::dot || is_binary(run.code)) f(s_.b[i]);
    if (run.code == Code::dot) f(s_.d[i]);
}

template <class F>
void Emitter::for_factors(const Contribution& c, F&& f) const {
    const std::uint32_t i = c.consumer;
    switch (c.form) {
        case Form::Product:
        case Form::Gated:
            f(c.factor);
            break;
        case Form::Local:
        case Form::Local2: {
            const Code code = contributions_.run(i).code;
            if (code == Code::square) f(s_.a[i]);
            if (code == Code::div) f(s_.b[i]);
            if (code == Code::relu || code == Code::reciprocal || c.form == Form::Local2) f(i);
            break;
        }
        case Form::Function:
        case Form::Function2:
            for_operands(contributions_.run(i), i, f);
            f(i);
            break;
        default:
            break;
    }
}

template <class F>
void Emitter::for_adjoints(F&& f) const {
    for (const Run* run = s_.runs + s_.run_count; run != s_.runs;) {
        --run;
        if (!run->reverse || is_step(run->code)) continue;
        for (std::uint32_t i = run->begin + run->count; i-- > run->begin;) f(i, false);
    }
    if (wants_.inputs)
        for (const RowSchedule::Leaf& leaf : schedule_.inputs()) f(leaf.position, true);
    if (wants_.parameters)
        for (const RowSchedule::Leaf& leaf : schedule_.parameters()) f(leaf.position, true);
}

// Leaves, outputs, and what kernels read or write, stand where the schedule has them.
void Emitter::list_places() {
    for (std::uint32_t p = 0; p < size_; ++p) {
        if (contributions_.in_run(p) && !seeded_[p]) continue;
        keep_own(p, p);
        numbers_[p].written = !contributions_.in_run(p);
    }
    for (const Run* run = s_.runs; run != s_.runs + s_.run_count; ++run) {
        const bool read_by_locals = !several_ && run->reverse && has_locals(run->code);
        if (!by_kernel(*run) && !read_by_locals) continue;
        for (std::uint32_t i = run->begin; i < run->begin + run->count; ++i) {
            keep_own(i, i);
            for_operands(*run, i, [&](std::uint32_t operand) { keep_own(operand, operand); });
        }
    }
}

void Emitter::list_forward() {
    for (const Run* run = s_.runs; run != s_.runs + s_.run_count; ++run) {
        const bool together = by_kernel(*run);
        for (std::uint32_t i = run->begin; i < run->begin + run->count; ++i) {
            if (!together || i == run->begin) forward_.begin(i, !is_arithmetic(run->code));
            for_operands(*run, i, [&](std::uint32_t operand) { forward_.read(operand); });
            forward_.make(i);
        }
    }
    forward_.put_in_order(zero_);
}

// A single one that is added is the sum itself. Values that are read stay where the forward sweep leaves them.
void Emitter::list_reverse() {
    for_adjoints([&](std::uint32_t p, bool is_result) {
        const Contribution *begin = contributions_.begin(p), *end = contributions_.end(p);
        if (is_result || seeded_[p]) keep_own(size_ + p, p);
        numbers_[size_ + p].written = seeded_[p];
        if (seeded_[p] && begin == end && !is_result) return;
        if (!is_result && !seeded_[p] && end - begin == 1 && begin->form == Form::Plus) {
            same_as_[p] = same_as_[begin->consumer];
            return;
        }
        reverse_.begin(p, std::any_of(begin, end, [&](const Contribution& c) { return calls(c); }));
        for (const Contribution* c = begin; c != end; ++c) {
            reverse_.read(adjoint_of(c->consumer));
            if (!several_ && (c->form == Form::Function || c->form == Form::Function2)) continue;
            for_factors(*c, [&](std::uint32_t value) {
                reverse_.read(value);
                numbers_[value].stays = true;
            });
        }
        reverse_.make(size_ + p);
    });
    reverse_.put_in_order(zero_);
}

void Emitter::forward() {
    steps_ = &forward_;
    emit_.enter(Direction::Forward, s_.c);
    for (std::uint32_t k = 0; k < steps_->count(); ++k) {
        begin_step(k);
        make_value(step_->tag);
        end_step();
    }
    emit_.leave(Direction::Forward);
}

void Emitter::reverse() {
    steps_ = &reverse_;
    registers_.empty_all(~0u);
    zero_is_there_ = false;
    for (std::uint32_t p = 0; p < size_; ++p) numbers_[p].written = numbers_[p].stays;
    emit_.enter(Direction::Reverse, s_.c);
    if (!several_ && s_.alike_count) {
        emit_.argument(0, address_of(&s_));
        emit_.argument(1, Base::Values);
        emit_.argument(2, place(Base::Adjoints, schedule_.locals_at()));
        emit_.call(address_of(kernels_.row_locals));
    }
    for (std::uint32_t k = 0; k < steps_->count(); ++k) {
        begin_step(k);
        make_adjoint(step_->tag, !contributions_.in_run(step_->tag));
        end_step();
    }
    emit_.leave(Direction::Reverse);
}

std::unique_ptr<const Pages> Emitter::finish() {
    const std::size_t used = emit_.finish().size();
    Pages pages = emit_.pages();
    if (!pages.execute(used)) return nullptr;
    return std::make_unique<const Pages>(std::move(pages));
}

// --- Steps, and the registers and places of numbers

void Emitter::begin_step(std::uint32_t now) {
    now_ = now;
    steps_->fetch_ahead_of(now, numbers_.data());
    step_ = &(*steps_)[now];
    for (const Steps::Read& read : steps_->reads(now)) {
        numbers_[read.number].after = read.next;
        registers_.expect(find(read.number), now);
    }
}

void Emitter::end_step() {
    registers_.release();
    for (const Steps::Read& read : steps_->reads(now_)) {
        registers_.expect_of(read.number, read.next);
        Whereabouts& number = numbers_[read.number];
        const bool leaves = (read.next == Steps::never) & !number.stays & (number.place != none);
        rooms_[is_value(read.number)].give_back(number.place, leaves);
        number.place |= 0 - std::uint32_t{leaves};  // none
    }
}

// As a second source: the register that holds it, or its memory.
Operand Emitter::at(std::uint32_t number) {
    const std::uint8_t r = find(number);
    if (r == nowhere) return memory(number);
    registers_.use(r);
    return r;
}

// As a first source.
std::uint8_t Emitter::in_register(std::uint32_t number) {
    const Operand operand = at(number);
    return operand.is_vector() ? operand.vector : load(number);
}

std::uint8_t Emitter::load(std::uint32_t number) {
    const std::uint8_t r = take();
    emit_.load(r, memory(number));
    registers_.hold(r, number, now_);
    return r;
}

// Of factors either may be the first source: one in a register, or that which is read again sooner.
Emitter::Sources Emitter::either(std::uint32_t a, std::uint32_t b) {
    if (find(a) == nowhere && (find(b) != nowhere || numbers_[b].after < numbers_[a].after)) std::swap(a, b);
    const std::uint8_t first = in_register(a);
    return {first, at(b)};
}

// In a register to be written.
std::uint8_t Emitter::copied(std::uint32_t number) {
    const Operand from = at(number);
    const std::uint8_t r = take();
    if (from.is_vector())
        emit_.copy(r, from.vector);
    else
        emit_.load(r, from);
    return r;
}

std::uint8_t Emitter::take(Registers::Set among) {
    const std::uint8_t r = registers_.choose(among);
    if (registers_.held(r) != none) {
        write(registers_.held(r), r);
        registers_.empty(r);
    }
    registers_.use(r);
    return r;
}

// A register for what one instruction makes of these: that of one that nobody reads again, if there is one.
std::uint8_t Emitter::result(std::initializer_list<std::uint32_t> operands) {
    for (std::uint32_t number : operands)
        if (const std::uint8_t r = find(number); r != nowhere && dies(number)) {
            registers_.empty(r);
            registers_.drop(r);
        }
    return take();
}

// Whether the register that holds it may be overwritten: it then holds nothing, and is in use.
bool Emitter::give_away(std::uint32_t number) {
    const std::uint8_t r = find(number);
    if (r == nowhere || !dies(number)) return false;
    registers_.empty(r);
    registers_.use(r);
    return true;
}

void Emitter::keep_own(std::uint32_t number, std::uint32_t position) {
    numbers_[number].own = numbers_[number].stays = true;
    numbers_[number].place = position;
}

void Emitter::take_place(std::uint32_t number) {
    std::uint32_t& place = numbers_[number].place;
    if (place == none) place = rooms_[is_value(number)].take();
}

void Emitter::write(std::uint32_t number, std::uint8_t from) {
    if (numbers_[number].written) return;
    take_place(number);
    emit_.store(memory(number), from);
    numbers_[number].written = true;
}

// What a step has made.
void Emitter::keep(std::uint32_t number, std::uint8_t r) {
    if (numbers_[number].stays && is_value(number)) write(number, r);
    if (step_->next != Steps::never) registers_.hold(r, number, step_->next);
}

std::uint8_t Emitter::zero() {
    if (!zero_is_there_) emit_.zero(zero_);
    zero_is_there_ = true;
    return zero_;
}

// A node's constant as a second source.
Operand Emitter::spread(std::uint32_t position) {
    if (!several_) return constant(position);
    if (emit_.spreads()) return Operand::spread(constant(position));
    const std::uint8_t r = take();
    emit_.spread(r, constant(position));
    return r;
}

}  // namespace kilograd::program::machine
