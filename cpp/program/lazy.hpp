// Lazy: what is made when first asked for and then kept.
//
// Threads that ask at the same time may each make it; one is kept. No lock is held meanwhile, so that a process forked
// in between waits for nobody.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

namespace kilograd::program {

template <class T>
class Lazy {
  public:
    Lazy() = default;
    ~Lazy() { delete made_.load(); }
    Lazy(const Lazy&) = delete;
    Lazy& operator=(const Lazy&) = delete;

    const T* get() const { return made_.load(std::memory_order_acquire); }
    template <class Make>  // gives a unique_ptr
    const T& get(Make&& make) const {
        if (const T* made = get()) return *made;
        std::unique_ptr<const T> mine = make();
        const T* first = nullptr;
        if (!made_.compare_exchange_strong(first, mine.get())) return *first;
        return *mine.release();
    }

  private:
    mutable std::atomic<const T*> made_{nullptr};
};

// A few of them, by keys.
template <class Key, class T>
class LazyList {
  public:
    LazyList() = default;
    ~LazyList() {
        for (Entry* entry = first_.load(); entry;) delete std::exchange(entry, entry->next);
    }
    LazyList(const LazyList&) = delete;
    LazyList& operator=(const LazyList&) = delete;

    const T* get(const Key& key) const {
        for (const Entry* entry = first_.load(std::memory_order_acquire); entry; entry = entry->next)
            if (entry->key == key) return entry->made.get();
        return nullptr;
    }
    template <class Make>  // gives a unique_ptr
    const T& get(const Key& key, Make&& make) const {
        if (const T* made = get(key)) return *made;
        auto mine = std::make_unique<Entry>(Entry{key, make(), first_.load()});
        while (!first_.compare_exchange_weak(mine->next, mine.get()))
            if (const T* made = get(key)) return *made;
        return *mine.release()->made;
    }
    template <class F>
    void each(F&& f) const {
        for (const Entry* entry = first_.load(std::memory_order_acquire); entry; entry = entry->next) f(*entry->made);
    }

  private:
    struct Entry {
        Key key;
        std::unique_ptr<const T> made;
        Entry* next;
    };
    mutable std::atomic<Entry*> first_{nullptr};
};

}  // namespace kilograd::program
