// Who is in which arena (engine/arena.hpp), where threads of Python run in parallel. With a GIL all of this is nothing.
//
// What Python calls enters the arena of its first Value, or that of its thread: slot<>(), method<>() and
// attribute<>() do (python.hpp), functions of the module by within(). node_of(), the only way from an object to its
// node, joins the arena of a node that is elsewhere. Whatever runs code of somebody else's leaves for as long:
// Outside. Where that was not foreseen, a finalizer say, entering again leaves as well, so that no thread ever waits
// for one arena in another one.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <initializer_list>
#include <type_traits>
#include <utility>

#include "../engine/arena.hpp"
#include "ending.hpp"

namespace kilograd {

#ifdef KILOGRAD_FREE_THREADED

class Section {
  public:
    explicit Section(Arena& arena);
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;
    ~Section();

  private:
    Arena* const before_;
};

class Outside {
  public:
    Outside() = default;
    Outside(const Outside&) = delete;
    Outside& operator=(const Outside&) = delete;

  private:
    struct Left {
        Left();
        ~Left();
        Arena* const before;
    };
    const Left left_;
    const AskedByOthers asked_{};  // ends first
};

// Of the first Value among these objects, or this thread's own.
Arena& arena_for(std::initializer_list<PyObject*> objects);

template <class... Args>
Section enter(Args... args) {
    [[maybe_unused]] const auto object = [](auto arg) -> PyObject* {
        if constexpr (std::is_same_v<decltype(arg), PyObject*>) return arg;
        return nullptr;
    };
    return Section(arena_for({object(args)...}));
}

// A function, as one that enters the arena of its thread.
template <class Fn, class Result, class Class, class... Args>
auto within(Fn fn, Result (Class::*)(Args...) const) {
    return [fn](Args... args) -> Result {
        const Section section(own_arena());
        return fn(std::forward<Args>(args)...);
    };
}
template <class Fn>
auto within(Fn fn) {
    return within(fn, &Fn::operator());
}
template <class Result, class... Args>
auto within(Result (*fn)(Args...)) {
    return [fn](Args... args) -> Result {
        const Section section(own_arena());
        return fn(std::forward<Args>(args)...);
    };
}

// Calls fn() in each arena that there is.
template <class Fn>
void for_each_arena(Fn&& fn) {
    for (Arena* each : arenas()) {
        const Section section(*each);
        if (&arena() == each) fn();  // and is not joined to the common one, which comes by itself
    }
}

// This thread has entered an arena: afterwards what is in this one is in there, too.
void join_with(Arena& arena);
inline void bring(Arena& arena) {
    if (&arena != entered) [[unlikely]]
        join_with(arena);
}

// To be called before a node is freed that Values stand for, while they live on: a thread that joins arenas is in none
// meanwhile, and may have looked up the node. Runs what other threads do.
void let_joins_end();

#else

class Section {
  public:
    template <class... Args>
    explicit Section(const Args&...) {}
};
template <class... Args>
Section enter(const Args&...) {
    return Section();
}
template <class Fn>
Fn within(Fn fn) {
    return fn;
}
template <class Fn>
void for_each_arena(Fn&& fn) {
    fn();
}
inline void let_joins_end() {}
class Outside {
  public:
    Outside() {}  // it is used, says the compiler

  private:
    const AskedByOthers asked_{};
};

#endif

}  // namespace kilograd
