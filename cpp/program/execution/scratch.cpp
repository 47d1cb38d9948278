#include "scratch.hpp"

#include <utility>

namespace kilograd::program {

thread_local Scratch::Memory Scratch::kept_[2];

Scratch::Scratch(Of of, std::size_t doubles) : of_(of), memory_(std::exchange(kept_[static_cast<int>(of)], {})) {
    if (doubles <= memory_.capacity) return;
    memory_ = {};
    memory_.data.reset(static_cast<double*>(::operator new(doubles * sizeof(double), alignment)));
    memory_.capacity = doubles;
}

Scratch::~Scratch() {
    constexpr std::size_t most_kept = std::size_t{1} << 22;  // 32 MB
    Memory& kept = kept_[static_cast<int>(of_)];
    if (memory_.capacity <= most_kept && memory_.capacity > kept.capacity) kept = std::move(memory_);
}

}  // namespace kilograd::program
