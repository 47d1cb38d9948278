// parallel(): a task per index on a pool of threads that is kept between calls (starting one costs 20 us and more).
//
// Tasks are handed out in ascending order. The pool is made anew in a forked child, where threads do not survive. A
// process may be forked at any moment, so that no lock is held while a task runs, and none is taken from before a fork.
#pragma once

#include <cstddef>
#include <functional>

namespace kilograd::program {

// Into so many shards at most a call over rows is cut: a number of processors would make sums depend on it.
inline constexpr std::size_t most_shards = 32;

// Runs task(0) ... task(count - 1) on up to `threads` threads, the caller's included. If tasks throw, the exception
// of the lowest index is thrown after all have ended; indices above a failed one may be left out. What the caller's
// Watch throws comes first. In a child forked from within a task all tasks are run again.
void parallel(std::size_t count, unsigned threads, const std::function<void(std::size_t)>& task);

unsigned processors();  // that this process may use

}  // namespace kilograd::program
