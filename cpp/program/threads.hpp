// parallel(): a task per index on a pool of threads that is kept between calls (starting one costs 20 us and more).
//
// Tasks are handed out in ascending order. The pool is made anew in a forked child, where threads do not survive.
#pragma once

#include <cstddef>
#include <functional>

namespace kilograd::program {

// Runs task(0) ... task(count - 1) on up to `threads` threads, the caller's included. If tasks throw, the exception
// of the lowest index is thrown after all have ended; indices above a failed one may be left out.
void parallel(std::size_t count, unsigned threads, const std::function<void(std::size_t)>& task);

}  // namespace kilograd::program
