// Per-thread modes: no_grad(), and tracing, in which a function of numbers runs once with Values to be recorded.
//
// While a thread traces, a Value behaves as the number it stands for, and whatever the path through the function may
// depend on is noted: orderings, `==`, truth, reads of `.data`, refused operations. What would escape the record
// (hashing, copies, gradients, assignments) is an error. Outside, Values compare by identity and are true, as ever.
// A comparison is noted in a list; where the notes are of a class derived from list, its method compare(symbol, left,
// right, result) says what the comparison gives, and notes what it has to.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "../engine/threading.hpp"

namespace kilograd {

// How many no_grad() blocks are open in any thread: a plain global, because a thread-local look-up in every operation
// would cost a tenth of it.
extern Counter no_grad_blocks;
extern thread_local int no_grad_depth;

// The list of notes of this thread, an owned reference, and the number of threads that have one: a plain global again.
extern thread_local PyObject* notes;
extern Counter tracing_threads;

inline bool tracing() { return tracing_threads != 0 && notes; }
inline bool recording() { return no_grad_blocks == 0 || no_grad_depth == 0 || tracing(); }

bool enter_no_grad();  // false with an error set while tracing
bool exit_no_grad();   // false where this thread has no block open

PyObject* trace_into(PyObject* list);  // a list, or null to stop; returns what was set, to be released

// Appends (symbol, left, right, result). False with an error set.
bool note(const char* symbol, PyObject* left, PyObject* right, bool result);

// True, with a TypeError set, while tracing: `what` cannot be recorded.
bool refuse_traced(const char* what);
inline bool refuse_while_tracing(const char* what) { return tracing() && refuse_traced(what); }

}  // namespace kilograd
