#include "row_machine.hpp"

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "emitter.hpp"
#include "perf_map.hpp"

namespace kilograd::program::machine {

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
    return kernels.vectors != nullptr;
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
    pages_ = emitter.finish();
    if (!pages_) return;
    const std::uint8_t* const begin = pages_->begin();
    forward_ = reinterpret_cast<Forward>(reinterpret_cast<std::uintptr_t>(begin));
    reverse_ = reinterpret_cast<Reverse>(reinterpret_cast<std::uintptr_t>(begin + reverse));
    const std::string of = " of " + std::to_string(schedule.size() - schedule.leaf_count()) + " ops, " +
                           (several ? std::to_string(kernels.width) + " rows" : "one row");
    name_code(begin, reverse, "kilograd forward" + of);
    if (wants.any()) name_code(begin + reverse, pages_->size() - reverse, "kilograd reverse" + of);
}

}  // namespace kilograd::program::machine
