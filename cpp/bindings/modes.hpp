// Per-thread modes of recording: no_grad().
#pragma once

namespace kilograd {

// How many no_grad() blocks are open in any thread: a plain global, because a thread-local look-up in every operation
// would cost a tenth of it.
extern int no_grad_blocks;
extern thread_local int no_grad_depth;

inline bool recording() { return no_grad_blocks == 0 || no_grad_depth == 0; }

void enter_no_grad();
bool exit_no_grad();  // false where this thread has no block open

}  // namespace kilograd
