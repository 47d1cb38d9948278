#include "section.hpp"

#ifdef KILOGRAD_FREE_THREADED

#include <atomic>
#include <stdexcept>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "value/handle.hpp"

namespace kilograd {

namespace {

static_assert(sizeof(PyMutex) == sizeof(Arena::lock));
PyMutex* lock_of(Arena& arena) { return reinterpret_cast<PyMutex*>(&arena.lock); }

void lock(PyMutex* mutex) {
    if (Py_IsFinalizing()) *mutex = {0};  // no other thread will ever run again and give it back
    ask_to_run([&] { PyMutex_Lock(mutex); });
}

// Only in join_with() a thread waits for one lock while it has another one.
void leave() { PyMutex_Unlock(lock_of(*std::exchange(entered, nullptr))); }

void enter(Arena& arena) {
    Arena* next = &arena;
    lock(lock_of(*next));
    if (next->joined.load(std::memory_order_relaxed)) {
        PyMutex_Unlock(lock_of(*next));
        next = &common_arena;
        lock(lock_of(*next));
    }
    entered = next;
}

// From the arena that this thread is in, or none, to another, or none.
void go(Arena* to) {
    if (entered == to) return;
    if (entered) leave();
    if (to) enter(*to);
}

PyMutex joining = {0};
std::atomic<int> joins{0};  // threads that are between two arenas

#if defined(__unix__) || defined(__APPLE__)
// In a child there is the thread that forked alone, and nobody gives back what others had locked.
void unlock_in_child() {
    joining = {0};
    joins = 0;
    for (Arena* arena : arenas()) *lock_of(*arena) = {0};
    if (Arena* const mine = entered) PyMutex_Lock(lock_of(*mine));
}
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, unlock_in_child);
#endif

}  // namespace

Section::Section(Arena& arena) : before_(entered) { go(&arena); }
Section::~Section() { go(before_); }

Outside::Left::Left() : before(entered) { go(nullptr); }
Outside::Left::~Left() { go(before); }

Arena& arena_for(std::initializer_list<PyObject*> objects) {
    for (PyObject* object : objects)
        if (object && is_value(object)) return arena_of_value(object);
    return own_arena();
}

void join_with(Arena& other) {
    Arena* const mine = entered;
    if (!mine) throw std::logic_error("kilograd: a node outside of its arena");
    ++joins;  // whoever is let in sees it
    leave();
    lock(&joining);
    lock(lock_of(common_arena));
    for (Arena* arena : {mine, &other}) {
        if (arena->joined.load(std::memory_order_relaxed) || arena == &common_arena) continue;
        lock(lock_of(*arena));
        join(*arena);
        PyMutex_Unlock(lock_of(*arena));
    }
    PyMutex_Unlock(&joining);
    entered = &common_arena;
    --joins;
}

void let_joins_end() {
    while (joins) {
        const Outside outside;
        const Released released;
        std::this_thread::yield();
    }
}

}  // namespace kilograd

#endif
