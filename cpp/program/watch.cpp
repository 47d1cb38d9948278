#include "watch.hpp"

namespace kilograd::program {

namespace {

thread_local Watch* current_watch = nullptr;

}  // namespace

Watch::Lent::Lent(Watch* watch) : before_(current_watch) { current_watch = watch; }
Watch::Lent::~Lent() { current_watch = before_; }

Watch::Watch(Clock::duration interval) : interval_(interval), owner_(std::this_thread::get_id()), lent_(this) {}
Watch::~Watch() = default;

Watch* Watch::current() { return current_watch; }

void Watch::look_up() {
    if (std::this_thread::get_id() != owner_) {
        if (called_off_.load(std::memory_order_relaxed)) throw CalledOff();
        return;
    }
    rethrow();
    const Clock::time_point now = Clock::now();
    if (next_ == Clock::time_point()) next_ = now + interval_;
    if (now < next_) return;
    next_ = Clock::time_point::max();  // not once more from within
    ++times_asked_;
    try {
        if (ask()) next_ = Clock::now() + interval_;
    } catch (...) {
        error_ = std::current_exception();
        called_off_ = true;
        throw;
    }
}

}  // namespace kilograd::program
