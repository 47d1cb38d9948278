// Lazy: what is made when first asked for and then kept.
//
// Threads that ask at the same time may each make it; one is kept. No lock is held meanwhile, so that a process forked
// in between waits for nobody.
#pragma once

#include <atomic>
#include <memory>

namespace kilograd::program {

template <class T>
class Lazy {
  public:
    Lazy() = default;
    ~Lazy() { delete made_.load(); }
    Lazy(const Lazy&) = delete;
    Lazy& operator=(const Lazy&) = delete;

    const T* get() const { return made_.load(std::memory_order_acquire); }
    template <class Make>  // gives a unique_ptr
    const T& get(Make&& make) const {
        if (const T* made = get()) return *made;
        std::unique_ptr<const T> mine = make();
        const T* first = nullptr;
        if (!made_.compare_exchange_strong(first, mine.get())) return *first;
        return *mine.release();
    }

  private:
    mutable std::atomic<const T*> made_{nullptr};
};

}  // namespace kilograd::program
