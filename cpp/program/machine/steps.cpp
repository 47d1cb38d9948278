#include "steps.hpp"

#include <algorithm>
#include <utility>

namespace kilograd::program::machine {

void Steps::start(std::size_t numbers) {
    steps_.clear();
    reads_.clear();
    numbers_.assign(numbers, Number());
}

class Steps::Ordering {
  public:
    Ordering(Steps& steps, unsigned registers) : s_(steps), window_(registers - registers / 8) { list_readers(); }

    std::vector<std::uint32_t> run() {
        const auto count = static_cast<std::uint32_t>(s_.count());
        order_.reserve(count);
        for (std::uint32_t step = 0; step < count; ++step)
            if (s_.steps_[step].missing == 0) announce(step);
        while (order_.size() < count) take(choose());
        return std::move(order_);
    }

  private:
    void list_readers() {
        std::uint32_t sum = 0;
        for (Number& number : s_.numbers_) {
            number.first = sum;
            sum += number.readers;
        }
        readers_.resize(sum);
        for (std::uint32_t step = 0; step < s_.count(); ++step)
            for (const Read *read = s_.begin(step), *end = s_.end(step); read != end; ++read)
                readers_[s_.numbers_[read->number].first++] = step;
    }

    void announce(std::uint32_t step) { (s_.steps_[step].calls ? calls_ : ready_).push_back(step); }

    bool in_register(const Read& read) const {
        const Number& number = s_.numbers_[read.number];
        return number.last && now_ - number.last < window_;
    }

    std::uint32_t choose() {
        while (!candidates_.empty()) {
            const std::uint32_t step = candidates_.back();
            candidates_.pop_back();
            if (!s_.steps_[step].done &&
                std::any_of(s_.begin(step), s_.end(step), [this](const Read& read) { return in_register(read); }))
                return step;
        }
        for (; first_ready_ < ready_.size(); ++first_ready_)
            if (!s_.steps_[ready_[first_ready_]].done) return ready_[first_ready_++];
        return calls_[first_call_++];
    }

    void take(std::uint32_t taken) {
        Step& step = s_.steps_[taken];
        step.done = true;
        order_.push_back(taken);
        now_ += step.calls ? window_ : 1;
        for (const Read *read = s_.begin(taken), *end = s_.end(taken); read != end; ++read)
            s_.numbers_[read->number].last = now_;
        for (std::uint32_t n = step.next; n < step.next + step.made_count; ++n) {
            Number& number = s_.numbers_[n];
            number.last = now_;
            const std::uint32_t* end = readers_.data() + number.first;
            for (const std::uint32_t* reader = end - number.readers; reader != end; ++reader) {
                if (--s_.steps_[*reader].missing != 0) continue;
                announce(*reader);
                if (!s_.steps_[*reader].calls) candidates_.push_back(*reader);
            }
        }
    }

    Steps& s_;
    const std::uint32_t window_;
    std::uint32_t now_ = 0;
    std::vector<std::uint32_t> readers_, order_;
    std::vector<std::uint32_t> candidates_, ready_, calls_;
    std::size_t first_ready_ = 0, first_call_ = 0;
};

void Steps::put_in_order(unsigned registers) {
    steps_.push_back({never, static_cast<std::uint32_t>(reads_.size()), never, 0, 0, false, true});
    move_to(Ordering(*this, registers).run());
}

void Steps::move_to(const std::vector<std::uint32_t>& order) {
    std::vector<Step> steps(steps_.size());
    std::vector<Read> reads(reads_.size());
    for (Number& number : numbers_) number.first = number.last = never;
    auto at = static_cast<std::uint32_t>(reads.size());
    steps.back() = steps_.back();
    for (auto place = static_cast<std::uint32_t>(order.size()); place-- > 0;) {
        Step& step = steps[place] = steps_[order[place]];
        if (step.made_count) step.next = numbers_[step.next].first;
        for (const Read *first = begin(order[place]), *read = end(order[place]); read != first;) {
            --read;
            Number& number = numbers_[read->number];
            if (number.first != place) {
                number.last = number.first;
                number.first = place;
            }
            reads[--at] = {read->number, number.last};
        }
        step.first = at;
    }
    steps_ = std::move(steps);
    reads_ = std::move(reads);
}

}  // namespace kilograd::program::machine
