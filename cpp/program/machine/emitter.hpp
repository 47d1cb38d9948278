// Emitter: writes the code of a row schedule, forward and in reverse.
//
// Numbers are values and adjoints, by their positions in the schedule: made by a step each, they are left in registers,
// and written to memory where somebody looks for them there or a register is taken from them. An adjoint is added up
// where it is needed, from the contributions of its consumers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <vector>

#include "../graph.hpp"
#include "../kernels/kernels.hpp"
#include "../schedules/row_schedule.hpp"
#include "../schedules/wants.hpp"
#include "contributions.hpp"
#include "pages.hpp"
#include "placement.hpp"
#include "steps.hpp"
#include "target.hpp"

namespace kilograd::program::machine {

using target::Assembler, target::Instruction;
namespace instructions = target::instructions;

class Emitter {
  public:
    // `code` is what the code refers to, and has to outlive it. First forward(), and then reverse().
    Emitter(const Graph& graph, const RowSchedule& schedule, const RowCode& code, Wants wants, const Kernels& kernels,
            bool several);

    void forward();
    void reverse();

    std::size_t size() const { return emit_.size(); }
    // Null where the system refuses to execute it.
    std::unique_ptr<const Pages> finish();

  private:
    // Adjoints are numbers, too.
    std::uint32_t adjoint_of(std::uint32_t position) const { return size_ + same_as_[position]; }
    bool is_value(std::uint32_t number) const { return number < size_; }
    Memory place(Base base, std::size_t position) const {
        return {base, static_cast<std::int32_t>(position * lanes_ * sizeof(double))};
    }
    Memory memory(std::uint32_t number) const {
        return place(is_value(number) ? Base::Values : Base::Adjoints, numbers_[number].place);
    }
    Memory local(const Contribution& c) const;
    Memory constant(std::uint32_t position) const {
        return {Base::Constants, static_cast<std::int32_t>(position * sizeof(double))};
    }
    template <class T>
    static std::uint64_t address_of(T* object) {
        return reinterpret_cast<std::uintptr_t>(object);
    }
    bool has_constant(Code code) const { return info(code).arity == Arity::Param; }
    bool is_binary(Code code) const { return info(code).arity == Arity::Binary; }

    // What is read, and by whom.
    template <class F>
    void for_operands(const Run& run, std::uint32_t i, F&& f) const;
    template <class F>
    void for_factors(const Contribution& c, F&& f) const;  // values that the contribution is made of
    template <class F>
    void for_adjoints(
        F&& f) const;  // in an order in which they can be made; `result` says whether somebody else reads it
    bool by_kernel(const Run& run) const { return !several_ && !is_arithmetic(run.code) && run.count > few_alike; }
    void list_places();
    void list_forward();
    void list_reverse();

    // Steps, and the registers and places of numbers.
    void begin_step(std::uint32_t now);
    void end_step();
    bool dies(std::uint32_t number) const { return numbers_[number].after == Steps::never; }
    Operand at(std::uint32_t number);
    std::uint8_t in_register(std::uint32_t number);
    std::uint8_t load(std::uint32_t number);
    struct Sources {
        std::uint8_t first;
        Operand second;
    };
    Sources either(std::uint32_t a, std::uint32_t b);
    std::uint8_t copied(std::uint32_t number);
    std::uint8_t take(Registers::Set among = ~Registers::Set{0});
    std::uint8_t result(std::initializer_list<std::uint32_t> operands);
    bool give_away(std::uint32_t number);
    std::uint8_t find(std::uint32_t number) const { return numbers_[number].where; }
    void keep_own(std::uint32_t number, std::uint32_t position);
    void take_place(std::uint32_t number);
    void write(std::uint32_t number, std::uint8_t from);
    void keep(std::uint32_t number, std::uint8_t r);
    std::uint8_t zero();
    Operand spread(std::uint32_t position);

    // Values.
    void make_value(std::uint32_t i);
    std::uint8_t value_of(const Run& run, std::uint32_t i);
    std::uint8_t apply(const Instruction& instruction, std::uint32_t a, std::uint32_t b, bool commutes);
    std::uint8_t fused(const Run& run, std::uint32_t i);
    std::uint8_t dot(std::uint32_t i);
    std::uint8_t function(const Run& run, std::uint32_t i);
    void note_divisor(std::uint8_t divisor);
    void call_kernel(const Run& run);
    void leave_registers(bool also_dying);

    // Adjoints.
    void make_adjoint(std::uint32_t p, bool is_result);
    std::uint8_t first(const Contribution& c, bool only);
    void add(const Contribution& c, std::uint8_t sum);
    void call_local(const Contribution& c, std::uint8_t& sum, std::uint32_t p);
    std::uint8_t factor_by_code(const Contribution& c);
    std::uint8_t quotient(const Contribution& c);
    bool is_negative(const Contribution& c) const;
    bool divides(const Contribution& c) const;
    bool calls(const Contribution& c) const {
        return several_ && (c.form == Form::Function || c.form == Form::Function2);
    }

    const Graph& graph_;
    const RowSchedule& schedule_;
    const RowCode& s_;
    const Wants wants_;
    const Kernels& kernels_;
    const bool several_;
    const std::uint32_t lanes_, size_;
    Assembler emit_;
    const Contributions contributions_;
    const std::uint8_t zero_;
    const Registers::Set taken_by_calls_;
    bool zero_is_there_ = false;
    std::vector<Whereabouts> numbers_;  // values by their positions, and then adjoints
    Registers registers_;
    Room rooms_[2];  // of adjoints, and of values
    const Steps* steps_ = nullptr;
    const Steps::Step* step_ = nullptr;
    std::uint32_t now_ = 0;
    std::vector<std::uint32_t> same_as_;  // by position, an adjoint is the one of
    std::vector<std::uint8_t> seeded_;
    Steps forward_, reverse_;
};

}  // namespace kilograd::program::machine
