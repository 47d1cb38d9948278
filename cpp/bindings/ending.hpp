// Leaving Python for a while and coming back to it, or not: a daemon thread may be at work when the process ends.
//
// A thread that asks to run again then, CPython before 3.14 ends by unwinding its stack: through functions that let
// nothing out, which aborts, and through destructors that need Python. So it stops where it asked, for good, which is
// what CPython itself does from 3.14 on.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <chrono>
#include <thread>

namespace kilograd {

[[noreturn]] inline void stop_for_good() noexcept {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

// Calls what asks CPython to let this thread run again.
template <class Fn>
void ask_to_run(Fn&& fn) {
    struct Answer {
        bool came = false;
        ~Answer() {
            if (!came) stop_for_good();
        }
    } answer;
    fn();
    answer.came = true;
}

// While this lives, code of somebody else's runs, which may ask. With a GIL versions before 3.12 know of one thread
// that runs, and not whether it is this one.
class AskedByOthers {
#if PY_VERSION_HEX < 0x030E0000
  public:
    AskedByOthers() : state_(running()) {}
    AskedByOthers(const AskedByOthers&) = delete;
    AskedByOthers& operator=(const AskedByOthers&) = delete;
    ~AskedByOthers() {
        if (running() != state_) stop_for_good();
    }

  private:
    static PyThreadState* running() {
#if PY_VERSION_HEX < 0x030D0000
        return _PyThreadState_UncheckedGet();
#else
        return PyThreadState_GetUnchecked();
#endif
    }
    PyThreadState* const state_;
#endif
};

// Python does without this thread meanwhile: with a GIL others run.
class Released {
  public:
    Released() : state_(PyEval_SaveThread()) {}
    Released(const Released&) = delete;
    Released& operator=(const Released&) = delete;
    ~Released() {
        ask_to_run([&] { PyEval_RestoreThread(state_); });
    }

  private:
    PyThreadState* const state_;
};

// Within Released, or in a thread that Python does not know.
class Acquired {
  public:
    Acquired() {
        ask_to_run([&] { state_ = PyGILState_Ensure(); });
    }
    Acquired(const Acquired&) = delete;
    Acquired& operator=(const Acquired&) = delete;
    ~Acquired() { PyGILState_Release(state_); }

  private:
    PyGILState_STATE state_{};
};

}  // namespace kilograd
