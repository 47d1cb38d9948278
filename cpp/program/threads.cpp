#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace kilograd::program {

namespace {

struct Job {
    std::size_t count;
    const std::function<void(std::size_t)>* task;
    std::atomic<std::size_t> next{0};
    std::atomic<std::size_t> failed{static_cast<std::size_t>(-1)};
    std::mutex mutex;
    std::condition_variable ended;
    std::exception_ptr error;
    std::atomic<unsigned> helpers{0};  // that have taken this job and not left it; written under the pool's mutex

    void work() {
        for (std::size_t k; (k = next.fetch_add(1)) < count && k < failed.load();) {
            try {
                (*task)(k);
            } catch (...) {
                const std::lock_guard lock(mutex);
                if (k < failed.load()) {
                    failed = k;
                    error = std::current_exception();
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
    // Lends up to `wanted` helpers to a job; they leave it when it has no task left.
    void run(Job& job, unsigned wanted) {
        {
            const std::lock_guard lock(mutex_);
            while (thread_count_ < wanted) {
                std::thread([this] { help(); }).detach();
                ++thread_count_;
            }
            for (unsigned k = 0; k < wanted; ++k) requests_.push_back(&job);
            open_ = requests_.size();
        }
        wanted == 1 ? wake_.notify_one() : wake_.notify_all();
        job.work();
        std::unique_lock lock(mutex_);
        requests_.erase(std::remove(requests_.begin(), requests_.end(), &job), requests_.end());
        open_ = requests_.size();
        lock.unlock();
        look_out([&] { return job.helpers == 0; });
        lock.lock();
        job.ended.wait(lock, [&] { return job.helpers == 0; });
    }

  private:
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
            job->work();
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

// Never destroyed: its threads may still wait when the process ends.
Pool& pool() {
#if defined(__unix__) || defined(__APPLE__)
    static std::mutex mutex;
    static Pool* current = nullptr;
    static pid_t owner = 0;
    const std::lock_guard lock(mutex);
    if (!current || owner != getpid()) {
        current = new Pool;
        owner = getpid();
    }
    return *current;
#else
    static Pool* current = new Pool;
    return *current;
#endif
}

}  // namespace

void parallel(std::size_t count, unsigned threads, const std::function<void(std::size_t)>& task) {
    threads = static_cast<unsigned>(std::min<std::size_t>(threads, count));
    if (threads <= 1) {
        for (std::size_t k = 0; k < count; ++k) task(k);
        return;
    }
    Job job;
    job.count = count;
    job.task = &task;
    pool().run(job, threads - 1);
    if (job.error) std::rethrow_exception(job.error);
}

}  // namespace kilograd::program
