#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "../watch.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace kilograd::program {

namespace {

struct Job {
    std::size_t count;
    const std::function<void(std::size_t)>* task;
    Watch* watch;
    std::vector<std::exception_ptr> errors;  // by task
    std::atomic<std::size_t> next{0};
    std::atomic<std::size_t> failed{static_cast<std::size_t>(-1)};  // the lowest
    std::condition_variable ended;
    std::atomic<unsigned> helpers{0};  // that have taken this job and not left it; written under the pool's mutex

    Job(std::size_t count_, const std::function<void(std::size_t)>& task_)
        : count(count_), task(&task_), watch(Watch::current()), errors(count_) {}

    void work() {
        for (std::size_t k; (k = next.fetch_add(1)) < count && k < failed.load();) {
            try {
                (*task)(k);
            } catch (...) {
                errors[k] = std::current_exception();
                for (std::size_t lowest = failed; k < lowest && !failed.compare_exchange_weak(lowest, k);) {
                }
            }
        }
    }
};

// Looks for a while whether `ready` holds, before the caller goes to sleep: calls follow each other in a training loop,
// and a thread that has to be woken comes late. Yields, so that nobody else is kept off the core.
template <class Condition>
void look_out(Condition ready) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(100);
    while (!ready() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
}

class Pool {
  public:
    // Null in a child until it needs one: threads do not survive a fork, and a mutex may have been held.
    static inline std::atomic<Pool*> current{nullptr};

    // Never destroyed: its threads may still wait when the process ends.
    static Pool& get() {
        Pool* pool = current;
        if (pool) return *pool;
        auto made = std::make_unique<Pool>();
        if (!current.compare_exchange_strong(pool, made.get())) return *pool;
        return *made.release();
    }

    // Lends up to `wanted` helpers to a job; they leave it when it has no task left. False in a child that was forked
    // from within the job: whatever helpers had begun is lost.
    bool run(Job& job, unsigned wanted) {
        {
            const std::lock_guard lock(mutex_);
            hire(wanted);
            requests_.insert(requests_.end(), std::min(wanted, thread_count_), &job);
            open_ = requests_.size();
        }
        wanted == 1 ? wake_.notify_one() : wake_.notify_all();
        job.work();
        if (current != this) return false;
        std::unique_lock lock(mutex_);
        requests_.erase(std::remove(requests_.begin(), requests_.end(), &job), requests_.end());
        open_ = requests_.size();
        lock.unlock();
        look_out([&] { return job.helpers == 0; });
        lock.lock();
        const auto left = [&] { return job.helpers == 0; };
        if (!job.watch) {
            job.ended.wait(lock, left);
            return true;
        }
        while (!job.ended.wait_for(lock, std::max<Watch::Clock::duration>(job.watch->interval(), shortest), left)) {
            lock.unlock();
            try {
                job.watch->look_up();
            } catch (...) {  // the watch keeps it; the helpers will find that they are called off
            }
            if (current != this) return false;
            lock.lock();
        }
        return true;
    }

  private:
    static constexpr Watch::Clock::duration shortest =
        std::chrono::milliseconds(1);  // between two looks of one who waits

    // Fewer where the system has no more of them, or no memory for them.
    void hire(unsigned wanted) {
        try {
            for (; thread_count_ < wanted; ++thread_count_) std::thread([this] { help(); }).detach();
        } catch (const std::system_error&) {
        } catch (const std::bad_alloc&) {
        }
    }

    void help() {
        std::unique_lock lock(mutex_);
        for (;;) {
            lock.unlock();
            look_out([&] { return open_ != 0; });
            lock.lock();
            wake_.wait(lock, [&] { return !requests_.empty(); });
            Job* job = requests_.back();
            requests_.pop_back();
            open_ = requests_.size();
            ++job->helpers;
            lock.unlock();
            {
                const Watch::Lent lent(job->watch);
                job->work();
            }
            lock.lock();
            if (--job->helpers == 0) job->ended.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<Job*> requests_;
    std::atomic<std::size_t> open_{0};  // requests, to be read without the mutex
    unsigned thread_count_ = 0;
};

#if defined(__unix__) || defined(__APPLE__)
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, [] { Pool::current = nullptr; });
#endif

}  // namespace

void parallel(std::size_t count, unsigned threads, const std::function<void(std::size_t)>& task) {
    threads = static_cast<unsigned>(std::min<std::size_t>(threads, count));
    if (threads > 1) {
        Job job(count, task);
        const bool whole = Pool::get().run(job, threads - 1);
        if (job.watch) job.watch->rethrow();
        if (whole) {
            if (job.failed < count) std::rethrow_exception(job.errors[job.failed]);
            return;
        }
    }
    for (std::size_t k = 0; k < count; ++k) task(k);
}

unsigned processors() {
#if defined(__linux__)
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
        return std::max(1u, static_cast<unsigned>(CPU_COUNT(&allowed)));
#endif
    return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace kilograd::program
