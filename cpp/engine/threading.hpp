// What threads of a free-threaded Python need, and what is nothing where the GIL lets one thread in at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>

// For a variable that each thread has for itself; with a GIL all share one.
#ifdef KILOGRAD_FREE_THREADED
#define KILOGRAD_PER_THREAD thread_local
#else
#define KILOGRAD_PER_THREAD
#endif

namespace kilograd {

#ifdef KILOGRAD_FREE_THREADED
inline constexpr bool free_threaded = true;
#else
inline constexpr bool free_threaded = false;
#endif

// Where one thread at a time may be, while it is Alone.
#ifdef KILOGRAD_FREE_THREADED
using Door = std::mutex;
using Alone = std::lock_guard<std::mutex>;
#else
struct Door {};
struct Alone {
    explicit Alone(Door&) {}
};
#endif

// A number that threads of a free-threaded Python may change at the same time.
#ifdef KILOGRAD_FREE_THREADED
class Counter {
  public:
    operator std::size_t() const { return count_.load(std::memory_order_relaxed); }
    void operator++() { count_.fetch_add(1, std::memory_order_relaxed); }
    void operator--() { count_.fetch_sub(1, std::memory_order_relaxed); }

  private:
    std::atomic<std::size_t> count_{0};
};
#else
using Counter = std::size_t;
#endif

}  // namespace kilograd
