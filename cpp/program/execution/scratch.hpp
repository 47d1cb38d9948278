// Scratch: memory for what a call computes, or a shard of one.
//
// What was used last a thread keeps for its next call: fresh pages cost more than the work of a small call. A call
// takes it away, so that one from within (watch.hpp) finds none and gets its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace kilograd::program {

class Scratch {
  public:
    enum class Of : std::uint8_t { Call, Shard };  // which may be one within the other, in the same thread

    Scratch(Of of, std::size_t doubles);
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    double* data() const { return memory_.data.get(); }

  private:
    static constexpr std::align_val_t alignment{64};
    struct Free {
        void operator()(double* memory) const { ::operator delete(memory, alignment); }
    };
    struct Memory {
        std::unique_ptr<double, Free> data;
        std::size_t capacity = 0;
    };
    static thread_local Memory kept_[2];

    const Of of_;
    Memory memory_;
};

}  // namespace kilograd::program
