// Watch: whoever starts something long may call it off.
//
// While a Watch lives, what its thread computes calls look_up() now and then, between any two pieces of work of some
// milliseconds at most. About every `interval` that asks the Watch, in the thread that made it; what ask() throws ends
// the computation there, and CalledOff ends it in the threads that help (execution/threads.hpp), which never ask.
//
// ask() may run anything, another program in the same thread or a fork included: nobody looks up while holding a lock,
// or memory that a call within the call would use too.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <thread>

namespace kilograd::program {

struct CalledOff : std::exception {
    const char* what() const noexcept override { return "called off"; }
};

class Watch {
  public:
    using Clock = std::chrono::steady_clock;

    explicit Watch(Clock::duration interval = std::chrono::milliseconds(50));
    virtual ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    // Of the computation that this thread works for, or null.
    static Watch* current();
    void look_up();
    // Throws what ask() threw, if it did.
    void rethrow() const {
        if (error_) std::rethrow_exception(error_);
    }
    Clock::duration interval() const { return interval_; }
    std::uint64_t times_asked() const { return times_asked_; }

    // Lends a Watch to a thread that helps.
    class Lent {
      public:
        explicit Lent(Watch* watch);
        ~Lent();
        Lent(const Lent&) = delete;
        Lent& operator=(const Lent&) = delete;

      private:
        Watch* const before_;
    };

  protected:
    // Throws to call the computation off. False: there is no need to ask again.
    virtual bool ask() = 0;

  private:
    const Clock::duration interval_;
    const std::thread::id owner_;
    Clock::time_point next_{};  // none yet: what is short never looks at the clock
    std::uint64_t times_asked_ = 0;
    std::atomic<bool> called_off_{false};
    std::exception_ptr error_;  // the owner's
    Lent lent_;
};

inline void look_up() {
    if (Watch* watch = Watch::current()) watch->look_up();
}
// Looks up now and then in a loop of small pieces of work, each some nanoseconds.
class Pace {
  public:
    void operator()(std::size_t pieces = 1) {
        if ((done_ += pieces) < 1 << 15) return;
        done_ = 0;
        look_up();
    }

  private:
    std::size_t done_ = 0;
};

}  // namespace kilograd::program
