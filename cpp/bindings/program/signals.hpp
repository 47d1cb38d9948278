// What may end a computation from outside: handlers of signals, and flags that they set.
#pragma once

#include <pybind11/pybind11.h>

#include "../../program/watch.hpp"
#include "../ending.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace kilograd {

namespace py = pybind11;

// Bytes that somebody else may set while a loop runs, or none.
class StopFlag {
  public:
    explicit StopFlag(py::handle object) {
        if (object.is_none()) return;
        if (PyObject_GetBuffer(object.ptr(), &buffer_, PyBUF_SIMPLE) < 0) throw py::error_already_set();
        held_ = true;
    }
    ~StopFlag() {
        if (held_) PyBuffer_Release(&buffer_);
    }
    StopFlag(const StopFlag&) = delete;
    StopFlag& operator=(const StopFlag&) = delete;
    bool raised() const { return held_ && buffer_.len && *static_cast<const volatile char*>(buffer_.buf); }

  private:
    Py_buffer buffer_{};
    bool held_ = false;
};

// Runs the handlers of signals that have come, in the main thread, which they come to. What they raise ends the
// computation, and so does a flag that they set, as Stopped. Made under the GIL. Other threads never ask for the GIL in
// the middle of a call: while the interpreter ends, asking would end the thread.
class Signals final : public program::Watch {
  public:
    struct Stopped {};

    explicit Signals(const StopFlag* stop = nullptr) : main_(in_main_thread()), stop_(stop) {}

  private:
    bool ask() override {
        if (main_) {
            const Acquired acquired;
            if (PyErr_CheckSignals() < 0) throw py::error_already_set();
        }
        if (stop_ && stop_->raised()) throw Stopped();
        return main_ || stop_;
    }

    static bool in_main_thread() {
        if (!main_thread) main_thread = find_main_thread();
        return !main_thread || main_thread == PyThread_get_thread_ident();
    }
    // 0 where nobody has imported `threading`, which would take the thread that first does for the main one.
    static unsigned long find_main_thread() {
        const auto threading = py::reinterpret_steal<py::object>(PyImport_GetModule(py::str("threading").ptr()));
        if (threading) return py::cast<unsigned long>(threading.attr("main_thread")().attr("ident"));
        PyErr_Clear();
        return 0;
    }

    static inline unsigned long main_thread = 0;
#if defined(__unix__) || defined(__APPLE__)
    // A child goes on in the thread that forked.
    [[maybe_unused]] static inline const int registered = pthread_atfork(nullptr, nullptr, [] { main_thread = 0; });
#endif

    const bool main_;
    const StopFlag* const stop_;
};

}  // namespace kilograd
