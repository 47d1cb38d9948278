#include "sequence.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "../watch.hpp"

namespace kilograd::program {

Places::Places(const std::vector<std::uint32_t>& places) : size_(places.size()) {
    for (std::uint32_t place : places) {
        if (!runs_.empty() && runs_.back().from + runs_.back().count == place)
            ++runs_.back().count;
        else
            runs_.push_back({place, 1});
    }
}

std::size_t Places::end() const {
    std::size_t end = 0;
    for (const Run& run : runs_) end = std::max<std::size_t>(end, std::size_t{run.from} + run.count);
    return end;
}

Input Places::gather(const Rows& rows, Input from, std::size_t width, Output to) const {
    if (rows.count == 1 && runs_.size() == 1) return from.at(runs_[0].from);
    std::size_t first = 0;
    for (const Run& run : runs_) {
        copy_columns(rows, from.at(run.from), width, to.at(first), size_, run.count);
        first += run.count;
    }
    return to;
}

void Places::scatter_add(const Rows& rows, Input from, Output to, std::size_t width) const {
    std::size_t first = 0;
    for (const Run& run : runs_) {
        add_columns(rows, from.at(first), size_, to.at(run.from), width, run.count);
        first += run.count;
    }
}

Sequence::Sequence(std::size_t n_inputs, std::vector<Step> steps, Places outputs)
    : Map(n_inputs, outputs.size()), steps_(std::move(steps)), outputs_(std::move(outputs)), width_(n_inputs) {
    for (Step& step : steps_) {
        if (step.inputs.size() != step.map->n_inputs() || step.inputs.end() > width_)
            throw std::invalid_argument("a step of a sequence has other inputs than its map");
        step.first = width_;
        width_ += step.map->n_outputs();
        widest_in_ = std::max(widest_in_, step.map->n_inputs());
        widest_out_ = std::max(widest_out_, step.map->n_outputs());
    }
    if (outputs_.end() > width_) throw std::invalid_argument("an output of a sequence is nowhere");
}

void Sequence::prepare(Kept& kept) const {
    kept.parts.resize(steps_.size());
    kept.buffers.resize(buffer_count);
}

void Sequence::forward(const Rows& rows, Input x, Output y, Kept& kept, bool keep) const {
    prepare(kept);
    const bool dual = x.dual();
    const Output all = kept.buffers[Values].take(rows.count * width_, dual);
    copy_columns(rows, x, n_inputs(), all, width_, n_inputs());
    for (std::size_t k = 0; k < steps_.size(); ++k) {
        const Step& step = steps_[k];
        const std::size_t count = step.map->n_outputs();
        const Input in = step.inputs.gather(rows, all, width_, kept.buffers[In].take(rows.count * widest_in_, dual));
        if (rows.count == 1) {
            step.map->forward(rows, in, all.at(step.first), kept.parts[k], keep);
        } else {
            const Output out = kept.buffers[Out].take(rows.count * widest_out_, dual);
            step.map->forward(rows, in, out, kept.parts[k], keep);
            copy_columns(rows, out, count, all.at(step.first), width_, count);
        }
        look_up();
    }
    const Input found = outputs_.gather(rows, all, width_, y);
    if (found.value != y.value) copy_columns(rows, found, n_outputs(), y, n_outputs(), n_outputs());
}

void Sequence::reverse(const Rows& rows, Input x, Input w, Output dx, Kept& kept) const {
    const bool dual = x.dual();
    const Output all = kept.buffers[Values].take(rows.count * width_, dual);
    const Output adjoints = kept.buffers[Adjoints].zeros(rows.count * width_, dual);
    outputs_.scatter_add(rows, w, adjoints, width_);
    for (std::size_t k = steps_.size(); k-- > 0;) {
        const Step& step = steps_[k];
        const std::size_t n = step.map->n_inputs(), count = step.map->n_outputs();
        // Behind the inputs of the step, their gradient.
        const Output room = kept.buffers[In].take(2 * rows.count * widest_in_, dual);
        const Input in = step.inputs.gather(rows, all, width_, room);
        const Output gradient = room.at(rows.count * n);
        Input weights = Input(adjoints).at(step.first);
        if (rows.count != 1) {
            const Output out = kept.buffers[Out].take(rows.count * widest_out_, dual);
            copy_columns(rows, weights, width_, out, count, count);
            weights = out;
        }
        step.map->reverse(rows, in, weights, gradient, kept.parts[k]);
        step.inputs.scatter_add(rows, gradient, adjoints, width_);
        look_up();
    }
    copy_columns(rows, adjoints, width_, dx, n_inputs(), n_inputs());
}

Dependence::Mask Sequence::needed(const std::uint8_t* wanted) const {
    Dependence::Mask places(width_, 0), inputs(widest_in_);
    outputs_.each([&](std::size_t place) { places[place] |= *wanted++; });
    for (std::size_t k = steps_.size(); k-- > 0;) {
        const Step& step = steps_[k];
        step.map->need(places.data() + step.first, inputs.data());
        const std::uint8_t* next = inputs.data();
        step.inputs.each([&](std::size_t place) { places[place] |= *next++; });
    }
    return places;
}

void Sequence::depend(Dependence& dependence, const Dependence::Set* x, Dependence::Set* y,
                      const std::uint8_t* wanted) const {
    const Dependence::Mask places = dependence.second() ? needed(wanted) : Dependence::Mask(width_, 0);
    std::vector<Dependence::Set> all(x, x + n_inputs()), in;
    all.resize(width_);
    for (const Step& step : steps_) {
        in.clear();
        step.inputs.each([&](std::size_t place) { in.push_back(all[place]); });
        step.map->depend(dependence, in.data(), all.data() + step.first, places.data() + step.first);
    }
    outputs_.each([&](std::size_t place) { *y++ = all[place]; });
}

void Sequence::need(const std::uint8_t* wanted, std::uint8_t* x) const {
    const Dependence::Mask places = needed(wanted);
    std::copy_n(places.begin(), n_inputs(), x);
}

int Sequence::order() const {
    int least = 2;
    for (const Step& step : steps_) least = std::min(least, step.map->order());
    return least;
}

std::size_t Sequence::kept_per_row() const {
    std::size_t total = 2 * width_ + 2 * widest_in_ + widest_out_;
    for (const Step& step : steps_) total += step.map->kept_per_row();
    return total;
}

std::size_t Sequence::cost() const {
    std::size_t total = width_;
    for (const Step& step : steps_) total += step.map->cost();
    return total;
}

std::size_t Sequence::bytes() const {
    std::size_t total = outputs_.bytes();
    for (const Step& step : steps_) total += step.inputs.bytes() + step.map->bytes();
    return total;
}

}  // namespace kilograd::program
