#include "steps.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace kilograd::program::machine {

Steps::Steps(std::size_t numbers, std::size_t reads) : readers_(numbers, 0), made_(numbers, 0) {
    steps_.reserve(numbers / 2 + 1);
    missing_.reserve(numbers / 2);
    reads_.reserve(reads);
}

// What is ready next is as good as random, so that branches on it would be guessed wrong: lists are written where they
// end, and end behind it or not.
class Steps::Ordering {
  public:
    Ordering(Steps& steps, unsigned registers)
        : s_(steps),
          count_(static_cast<std::uint32_t>(steps.missing_.size())),
          window_(registers - registers / 8),
          now_(window_),
          last_(steps.readers_.size(), 0),
          list_(written_later(steps.reads_.size() + 1)),
          candidates_(std::make_unique_for_overwrite<Candidate[]>(count_ + 1)),
          ready_{written_later(count_ + 1), written_later(count_ + 1)} {
        list_readers();
    }

    void run() {
        s_.order_.reserve(count_);
        for (std::uint32_t step = 0; step < count_; ++step) announce(step, is_ready(s_.missing_[step]));
        candidate_count_ = 0;
        while (s_.order_.size() < count_) take(choose());
    }

  private:
    void list_readers() {
        std::uint32_t sum = 0;
        for (std::uint32_t& readers : s_.readers_) {
            const std::uint32_t begin = sum;
            sum += readers;
            readers = begin;
        }
        for (std::uint32_t step = 0; step < count_; ++step)
            for (const Read& read : s_.reads_of(step)) {
                std::uint32_t& end = s_.readers_[read.number];
                const std::uint32_t made = s_.made_[read.number];
                list_[sum + (end - sum) * made] = step;
                end += made;
            }
    }
    // Each list has ended where the next begins.
    std::span<const std::uint32_t> readers_of(std::uint32_t number) const {
        return {list_.get() + (number ? s_.readers_[number - 1] : 0), list_.get() + s_.readers_[number]};
    }

    static bool is_ready(std::uint32_t missing) { return missing < 2; }
    bool is_done(std::uint32_t step) const { return s_.missing_[step] == never; }

    void announce(std::uint32_t step, bool ready) {
        const std::size_t calls = s_.missing_[step] & 1;
        ready_[calls][ready_count_[calls]] = step;
        ready_count_[calls] += ready;
        candidates_[candidate_count_] = {step, now_};
        candidate_count_ += static_cast<std::size_t>(ready) & ~calls;
        prefetch<false>(&s_.steps_[step]);
    }

    bool in_registers(std::uint32_t step) const {
        bool found = false;
        for (const Read& read : s_.reads_of(step)) found |= now_ - last_[read.number] < window_;
        return found;
    }

    std::uint32_t choose() {
        while (candidate_count_) {
            const auto [step, since] = candidates_[--candidate_count_];
            if (!is_done(step) && (now_ - since < window_ || in_registers(step))) return step;
        }
        for (; first_[0] < ready_count_[0]; ++first_[0])
            if (!is_done(ready_[0][first_[0]])) return ready_[0][first_[0]++];
        return ready_[1][first_[1]++];
    }

    void take(std::uint32_t taken) {
        const Step& step = s_.steps_[taken];
        s_.missing_[taken] = never;
        s_.order_.push_back(taken);
        now_ += step.calls ? window_ : 1;
        for (const Read& read : s_.reads_of(taken)) last_[read.number] = now_;
        for (std::uint32_t n = step.next; n < step.next + step.made_count; ++n) {
            last_[n] = now_;
            for (std::uint32_t reader : readers_of(n)) announce(reader, is_ready(s_.missing_[reader] -= 2));
        }
    }

    Steps& s_;
    const std::uint32_t count_, window_;
    std::uint32_t now_;
    std::vector<std::uint32_t> last_;  // by number: when it was read or made
    // Memory that may never be needed is not touched.
    using List = std::unique_ptr<std::uint32_t[]>;
    static List written_later(std::size_t count) { return std::make_unique_for_overwrite<std::uint32_t[]>(count); }
    const List list_;  // of all readers
    struct Candidate {
        std::uint32_t step, since;  // when the last of what it reads was made
    };
    const std::unique_ptr<Candidate[]> candidates_;
    const List ready_[2];  // steps, and calls
    std::size_t candidate_count_ = 0, ready_count_[2] = {0, 0}, first_[2] = {0, 0};
};

void Steps::put_in_order(unsigned registers) {
    steps_.push_back({never, static_cast<std::uint32_t>(reads_.size()), never, 0, false});
    for (int k = 0; k < 3; ++k) reads_.push_back({0, never});  // for fetch_ahead_of()
    Ordering(*this, registers).run();
    list_next();
}

void Steps::list_next() {
    std::vector<std::uint32_t>& next = readers_;  // by number, the next step that reads it
    std::fill(next.begin(), next.end(), never);
    for (auto place = static_cast<std::uint32_t>(order_.size()); place-- > 0;) {
        Step& step = steps_[order_[place]];
        if (step.made_count) step.next = next[step.next];
        Read *const begin = reads_.data() + step.first, *const end = reads_.data() + steps_[order_[place] + 1].first;
        for (Read* read = begin; read != end; ++read) {
            read->next = std::exchange(next[read->number], place);
            if (read->next == place)  // the same number once more
                read->next = std::find_if(begin, read, [&](const Read& r) { return r.number == read->number; })->next;
        }
    }
}

}  // namespace kilograd::program::machine
