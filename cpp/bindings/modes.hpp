// Per-thread modes: no_grad(), and the list that comparisons of Values are noted in while a function is recorded.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

namespace kilograd {

// How many no_grad() blocks are open in any thread: a plain global, because a thread-local look-up in every operation
// would cost a tenth of it.
extern int no_grad_blocks;
extern thread_local int no_grad_depth;

inline bool recording() { return no_grad_blocks == 0 || no_grad_depth == 0; }

void enter_no_grad();
bool exit_no_grad();  // false where this thread has no block open

// While set, each ordering of a Value in this thread appends (symbol, left, right, result). An owned reference.
extern thread_local PyObject* comparisons;

}  // namespace kilograd
