#include "loop.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <utility>

#include "../execution/diagnosis.hpp"
#include "../watch.hpp"

namespace kilograd::program {

namespace {

// What was carried into a turn, as it is kept: the numbers of all rows, then their tangents.
Output kept_at(double* first, std::size_t count, bool dual) { return {first, dual ? first + count : nullptr}; }

// Where an operation of a turn was refused, the error says so, and in which turn.
void diagnose(const Rows& rows, const RowTurn& turn, const double* frame, std::size_t number) {
    try {
        turn.diagnose(frame, rows.first);
    } catch (const DomainError& error) {
        throw error.in_turn(number);
    }
}

}  // namespace

Loop::Loop(MapPointer body, MapPointer condition, const LoopShape& shape, std::vector<double> constants)
    : Map(shape.inputs(), shape.outputs()),
      body_(std::move(body)),
      condition_(std::move(condition)),
      shape_(shape),
      constants_(std::move(constants)) {
    if (body_->n_inputs() != shape_.turn_inputs() || body_->n_outputs() != shape_.turn_outputs() ||
        constants_.size() != shape_.turns * shape_.constant)
        throw std::invalid_argument("the body of a loop does not fit its turns");
    if (!condition_) return;
    if (condition_->n_inputs() != shape_.turn_inputs() || condition_->n_outputs() != 1 || shape_.turns != 0 ||
        shape_.turn_inputs() != shape_.carried + shape_.shared || shape_.checkpoints)
        throw std::invalid_argument("the condition of a loop does not fit its turns");
}

std::size_t Loop::stride() const {
    return shape_.checkpoints ? static_cast<std::size_t>(std::sqrt(static_cast<double>(shape_.turns))) + 1 : 1;
}

void Loop::forward(const Rows& rows, Input x, Output y, Kept& kept, bool keep) const {
    kept.parts.resize(part_count);
    kept.buffers.resize(buffer_count);
    kept.numbers.clear();
    kept.turns.clear();
    if (!condition_) return run(rows, x, y, kept, keep);
    for (std::size_t r = 0; r < rows.count; ++r)
        run({1, rows.first + r, rows.check, rows.kernels}, x.at(r * n_inputs()), y.at(r * n_outputs()), kept, keep);
}

void Loop::reverse(const Rows& rows, Input x, Input w, Output dx, Kept& kept) const {
    if (!condition_) return run_back(rows, x, w, dx, kept, shape_.turns, 0);
    std::size_t at = 0;
    for (std::size_t r = 0; r < rows.count; ++r) {
        run_back({1, rows.first + r, rows.check, rows.kernels}, x.at(r * n_inputs()), w.at(r * n_outputs()),
                 dx.at(r * n_inputs()), kept, kept.turns[r], at);
        at += kept.turns[r] * shape_.carried * (x.dual() ? 2 : 1);
    }
}

void Loop::run(const Rows& rows, Input x, Output y, Kept& kept, bool keep) const {
    if (in_frames(rows, x)) return run_frames(rows, x, y, kept, keep);
    const bool dual = x.dual();
    const std::size_t carried = shape_.carried, outputs = shape_.turn_outputs(), block = rows.count * carried;
    const Output in = kept.buffers[In].take(rows.count * shape_.turn_inputs(), dual);
    const Output out = kept.buffers[Out].take(rows.count * outputs, dual);
    if (keep && !condition_) kept.numbers.reserve((shape_.turns / stride() + 1) * block * (dual ? 2 : 1));
    begin(rows, x, in);
    Pace pace;
    std::size_t t = 0;
    for (; condition_ ? goes_on(rows, t, in, kept) : t < shape_.turns; ++t) {
        load(rows, x, t, in);
        if (keep && t % stride() == 0) {
            const std::size_t at = kept.numbers.size();
            kept.numbers.resize(at + block * (dual ? 2 : 1));
            copy_columns(rows, in, shape_.turn_inputs(), kept_at(kept.numbers.data() + at, block, dual), carried,
                         carried);
        }
        turn(rows, t, in, out, kept.parts[Body], false);
        copy_columns(rows, out, outputs, in, shape_.turn_inputs(), carried);
        if (shape_.results)
            copy_columns(rows, Input(out).at(carried), outputs, y.at(carried + place(t) * shape_.results), n_outputs(),
                         shape_.results);
        pace(rows.count * body_->cost());
    }
    copy_columns(rows, in, shape_.turn_inputs(), y, n_outputs(), carried);
    if (condition_) kept.turns.push_back(t);
}

void Loop::run_back(const Rows& rows, Input x, Input w, Output dx, Kept& kept, std::size_t turns,
                    std::size_t at) const {
    if (in_frames(rows, x)) return run_frames_back(rows, x, w, dx, kept, turns, at);
    const bool dual = x.dual();
    const std::size_t carried = shape_.carried, inputs = shape_.turn_inputs(), outputs = shape_.turn_outputs();
    const std::size_t block = rows.count * carried, step = block * (dual ? 2 : 1), s = stride();
    const std::size_t shared = inputs - shape_.shared;
    const Output in = kept.buffers[In].take(rows.count * inputs, dual);
    const Output out = kept.buffers[Out].take(rows.count * outputs, dual);
    const Output gradient = kept.buffers[Gradient].take(rows.count * inputs, dual);
    const Output weights = kept.buffers[Weights].take(rows.count * outputs, dual);
    std::vector<double> stretch(s > 1 ? s * step : 0);
    std::fill_n(dx.value, rows.count * n_inputs(), 0.0);
    if (dual) std::fill_n(dx.tangent, rows.count * n_inputs(), 0.0);
    copy_columns(rows, w, n_outputs(), weights, outputs, carried);
    begin(rows, x, in);
    Pace pace;
    for (std::size_t t = turns; t-- > 0;) {
        double* from = kept.numbers.data() + at + (t / s) * step;
        if (s > 1) {
            if (t == turns - 1 || t % s == s - 1) {  // the last of its stretch: what was carried into each of these
                copy_columns(rows, kept_at(from, block, dual), carried, in, inputs, carried);
                for (std::size_t k = 0; k <= t % s; ++k) {
                    copy_columns(rows, in, inputs, kept_at(stretch.data() + k * step, block, dual), carried, carried);
                    if (k == t % s) break;
                    load(rows, x, t - t % s + k, in);
                    body_->forward(rows, in, out, kept.parts[Again], false);
                    copy_columns(rows, out, outputs, in, inputs, carried);
                    pace(rows.count * body_->cost());
                }
            }
            from = stretch.data() + (t % s) * step;
        }
        copy_columns(rows, kept_at(from, block, dual), carried, in, inputs, carried);
        load(rows, x, t, in);
        if (shape_.results)
            copy_columns(rows, w.at(carried + place(t) * shape_.results), n_outputs(), weights.at(carried), outputs,
                         shape_.results);
        if (body_->keeps())
            body_->both(rows, in, out, weights, gradient, kept.parts[Body]);
        else
            body_->reverse(rows, in, weights, gradient, kept.parts[Body]);
        copy_columns(rows, gradient, inputs, weights, outputs, carried);
        for_own(t, [&](std::size_t in_turn, std::size_t in_loop, std::size_t count) {
            copy_columns(rows, Input(gradient).at(in_turn), inputs, dx.at(in_loop), n_inputs(), count);
        });
        add_columns(rows, Input(gradient).at(shared), inputs, dx.at(n_inputs() - shape_.shared), n_inputs(),
                    shape_.shared);
        pace(2 * rows.count * body_->cost());
    }
    copy_columns(rows, weights, outputs, dx, n_inputs(), carried);
}

void Loop::begin(const Rows& rows, Input x, Output in) const {
    const std::size_t inputs = shape_.turn_inputs();
    copy_columns(rows, x, n_inputs(), in, inputs, shape_.carried);
    copy_columns(rows, x.at(n_inputs() - shape_.shared), n_inputs(), in.at(inputs - shape_.shared), inputs,
                 shape_.shared);
}

// A turn's own inputs.
void Loop::load(const Rows& rows, Input x, std::size_t turn, Output in) const {
    const std::size_t inputs = shape_.turn_inputs(), first = shape_.carried + shape_.own();
    for_own(turn, [&](std::size_t in_turn, std::size_t in_loop, std::size_t count) {
        copy_columns(rows, x.at(in_loop), n_inputs(), in.at(in_turn), inputs, count);
    });
    const std::size_t own = shape_.constant + shape_.counted;
    if (!own) return;
    for (std::size_t r = 0; r < rows.count; ++r) {
        double* to = in.value + r * inputs + first;
        std::copy_n(constants_.data() + place(turn) * shape_.constant, shape_.constant, to);
        if (shape_.counted) to[shape_.constant] = shape_.first_count + static_cast<double>(place(turn));
        if (in.tangent) std::fill_n(in.tangent + r * inputs + first, own, 0.0);
    }
}

void Loop::turn(const Rows& rows, std::size_t number, Input in, Output out, Kept& kept, bool keep) const {
    try {
        body_->forward(rows, in, out, kept, keep);
    } catch (const DomainError& error) {
        throw error.in_turn(place(number));
    }
}

bool Loop::goes_on(const Rows& rows, std::size_t turn, Input in, Kept& kept) const {
    const Output holds = kept.buffers[Condition].take(1, false);
    try {
        condition_->forward(rows, {in.value, nullptr}, holds, kept.parts[Test], false);
    } catch (const DomainError& error) {
        throw error.in_turn(turn);
    }
    return holds.value[0] != 0.0;
}

template <class F>
void Loop::for_needs(const std::uint8_t* wanted, F&& f) const {
    const std::size_t carried = shape_.carried;
    Dependence::Mask out(shape_.turn_outputs(), 0), in(shape_.turn_inputs(), 0), before;
    std::copy_n(wanted, carried, out.begin());
    if (condition_) {
        for (std::size_t k = 0; k <= carried; ++k) {
            body_->need(out.data(), in.data());
            for (std::size_t c = 0; c < carried; ++c) out[c] |= in[c];
        }
        return f(std::size_t{0}, out, in);
    }
    Pace pace;
    for (std::size_t t = shape_.turns; t-- > 0;) {
        std::copy_n(wanted + carried + place(t) * shape_.results, shape_.results, out.begin() + carried);
        if (out != before) body_->need(out.data(), in.data());
        f(t, out, in);
        before = out;
        std::copy_n(in.begin(), carried, out.begin());
        pace(out.size());
    }
}

void Loop::depend(Dependence& dependence, const Dependence::Set* x, Dependence::Set* y,
                  const std::uint8_t* wanted) const {
    const std::size_t carried = shape_.carried, shared = shape_.turn_inputs() - shape_.shared;
    const std::size_t outputs = shape_.turn_outputs(), turns = condition_ ? 1 : shape_.turns;
    Dependence::Mask wants(turns * outputs, 0);
    if (dependence.second())
        for_needs(wanted, [&](std::size_t turn, const Dependence::Mask& out, const Dependence::Mask&) {
            dependence.spend(outputs);
            std::copy(out.begin(), out.end(), wants.begin() + static_cast<std::ptrdiff_t>(turn * outputs));
        });
    std::vector<Dependence::Set> in(shape_.turn_inputs(), Dependence::nothing), out(outputs), before, parts;
    std::copy_n(x, carried, in.begin());
    std::copy_n(x + n_inputs() - shape_.shared, shape_.shared, in.begin() + static_cast<std::ptrdiff_t>(shared));
    if (condition_) {
        // There may be no turn, or any number: after as many as there are numbers nothing new comes.
        const Dependence::Mask none(outputs, 0);
        for (std::size_t k = 0; k < carried && in != before; ++k) {
            before = in;
            body_->depend(dependence, in.data(), out.data(), none.data());
            for (std::size_t c = 0; c < carried; ++c) {
                parts = {in[c], out[c]};
                in[c] = dependence.unite(parts);
            }
        }
        body_->depend(dependence, in.data(), out.data(), wants.data());
        std::copy_n(in.begin(), carried, y);
        return;
    }
    const std::uint8_t* known = nullptr;  // what was wanted of the turn before
    for (std::size_t t = 0; t < turns; ++t) {
        for_own(t, [&](std::size_t in_turn, std::size_t in_loop, std::size_t count) {
            std::copy_n(x + in_loop, count, in.begin() + static_cast<std::ptrdiff_t>(in_turn));
        });
        const std::uint8_t* const now = wants.data() + t * outputs;
        if (!known || in != before || !std::equal(now, now + outputs, known)) {
            body_->depend(dependence, in.data(), out.data(), now);
            before = in;
            known = now;
        }
        std::copy_n(out.begin(), carried, in.begin());
        std::copy_n(out.begin() + static_cast<std::ptrdiff_t>(carried), shape_.results,
                    y + carried + place(t) * shape_.results);
        dependence.spend(in.size() + outputs);
    }
    std::copy_n(in.begin(), carried, y);
}

void Loop::need(const std::uint8_t* wanted, std::uint8_t* x) const {
    const std::size_t shared = shape_.turn_inputs() - shape_.shared;
    std::fill_n(x, n_inputs(), std::uint8_t{0});
    std::copy_n(wanted, shape_.carried, x);
    for_needs(wanted, [&](std::size_t turn, const Dependence::Mask& out, const Dependence::Mask& in) {
        for (std::size_t c = 0; c < shape_.carried; ++c) x[c] = condition_ ? out[c] : in[c];
        if (!condition_)
            for_own(turn, [&](std::size_t in_turn, std::size_t in_loop, std::size_t count) {
                std::copy_n(in.begin() + static_cast<std::ptrdiff_t>(in_turn), count, x + in_loop);
            });
        for (std::size_t k = 0; k < shape_.shared; ++k) x[n_inputs() - shape_.shared + k] |= in[shared + k];
    });
}

bool Loop::in_frames(const Rows& rows, Input x) const {
    return rows.count == 1 && !x.dual() && body_->program() && (!condition_ || condition_->program());
}

bool Loop::keeps_frames(const RowTurn& turn) const {
    constexpr std::size_t most = std::size_t{1} << 21;  // numbers: 16 MB
    return !condition_ && !shape_.checkpoints && shape_.turns <= most / turn.room();
}

const RowTurn& Loop::row_turn(bool back) const {
    return turns_[back].get([&] { return std::make_unique<RowTurn>(*body_->program(), shape_, back); });
}

void Loop::run_frames(const Rows& rows, Input x, Output y, Kept& kept, bool keep) const {
    const RowTurn& turn = row_turn(keep);
    const RowEngine engine = turn.engine(rows.kernels, shape_.turns);
    const RowTurn* test =
        condition_ ? &test_.get([&] { return std::make_unique<RowTurn>(*condition_->program(), shape_, false); })
                   : nullptr;
    const RowEngine tester = test ? test->engine(rows.kernels, 0) : engine;
    const bool all = keep && keeps_frames(turn);
    kept.frames_by = engine.machine;
    const std::size_t room = turn.room(), s = stride();
    const double* shared = x.value + n_inputs() - shape_.shared;
    double* const carried = kept.buffers[Carried].take(shape_.carried, false).value;
    double* const first = kept.frames.take(all ? room * (shape_.turns + 1) : room);
    double* const tested = test ? kept.buffers[Condition].take(test->room(), false).value : nullptr;
    std::copy_n(x.value, shape_.carried, carried);
    turn.begin(shared, first);
    if (test) test->begin(shared, tested);
    if (keep && !all && !condition_) kept.numbers.reserve((shape_.turns / s + 1) * shape_.carried);
    Pace pace;
    std::size_t t = 0;
    for (; test ? goes_on(rows, *test, tester, t, carried, tested) : t < shape_.turns; ++t) {
        if (keep && !all && t % s == 0) kept.numbers.insert(kept.numbers.end(), carried, carried + shape_.carried);
        double* const frame = all ? first + t * room : first;
        if (frame != first) turn.copy_fixed(first, frame);
        if (fill_frame(turn, engine, x, t, carried, frame) && rows.check) diagnose(rows, turn, frame, place(t));
        turn.take(0, shape_.carried, frame, carried);
        turn.take(shape_.carried, shape_.results, frame, y.value + shape_.carried + place(t) * shape_.results);
        pace(body_->cost());
    }
    std::copy_n(carried, shape_.carried, y.value);
    if (!condition_) return;
    kept.turns.push_back(t);
    // For the next call: how many turns there are nobody knew before.
    turn.engine(rows.kernels, t);
    test->engine(rows.kernels, t + 1);
}

void Loop::run_frames_back(const Rows& rows, Input x, Input w, Output dx, Kept& kept, std::size_t turns,
                           std::size_t at) const {
    const RowTurn& turn = row_turn(true);
    const bool all = keeps_frames(turn);
    // Frames are read by what left them: machine code that has come since has other places for what it keeps.
    const RowEngine now = turn.engine(rows.kernels, turns),
                    engine = all ? RowEngine{rows.kernels, kept.frames_by} : now;
    const std::size_t room = turn.room(), s = stride();
    double* const first = kept.frames.take(all ? room * (shape_.turns + 1) : room * s);
    double* const carried = kept.buffers[Carried].take(shape_.carried, false).value;
    double* const weights = kept.buffers[Weights].take(shape_.turn_outputs(), false).value;
    double* const adjoints = kept.buffers[Gradient].take(turn.adjoint_room(), false).value;
    double* const dx_shared = dx.value + n_inputs() - shape_.shared;
    std::fill_n(dx.value, n_inputs(), 0.0);
    std::copy_n(w.value, shape_.carried, weights);
    if (!all) turn.begin(x.value + n_inputs() - shape_.shared, first);
    Pace pace;
    for (std::size_t t = turns; t-- > 0;) {
        if (!all && (t == turns - 1 || t % s == s - 1)) {  // the last of its stretch: the frames of all of it
            const double* from = kept.numbers.data() + at + t / s * shape_.carried;
            std::copy_n(from, shape_.carried, carried);
            for (std::size_t k = 0; k <= t % s; ++k) {
                double* const frame = first + k * room;
                if (k) turn.copy_fixed(first, frame);
                fill_frame(turn, engine, x, t - t % s + k, carried, frame);
                turn.take(0, shape_.carried, frame, carried);
                pace(body_->cost());
            }
        }
        std::copy_n(w.value + shape_.carried + place(t) * shape_.results, shape_.results, weights + shape_.carried);
        turn.reverse(engine, first + (all ? t : t % s) * room, weights, adjoints);
        std::fill_n(weights, shape_.carried, 0.0);
        turn.carried_adjoints(adjoints, weights);
        turn.own_adjoints(adjoints, place(t), dx.value);
        turn.add_shared_adjoints(adjoints, dx_shared);
        pace(body_->cost());
    }
    std::copy_n(weights, shape_.carried, dx.value);
}

// Makes a turn in its frame; returns whether an operation may have been refused.
bool Loop::fill_frame(const RowTurn& turn, const RowEngine& engine, Input x, std::size_t number, const double* carried,
                      double* frame) const {
    const std::size_t own = place(number);
    turn.load(carried, x.value, own, constants_.data() + own * shape_.constant,
              shape_.first_count + static_cast<double>(own), frame);
    return turn.forward(engine, frame);
}

bool Loop::goes_on(const Rows& rows, const RowTurn& test, const RowEngine& engine, std::size_t number,
                   const double* carried, double* frame) const {
    test.load(carried, nullptr, 0, nullptr, 0.0, frame);
    if (test.forward(engine, frame) && rows.check) diagnose(rows, test, frame, number);
    return test.output(0, frame) != 0.0;
}

std::size_t Loop::kept_per_row() const {
    const std::size_t turns = condition_ ? 1024 : shape_.turns;
    return (turns / stride() + stride()) * shape_.carried + 2 * (shape_.turn_inputs() + shape_.turn_outputs()) +
           body_->kept_per_row();
}

std::size_t Loop::bytes() const {
    return constants_.size() * sizeof(double) + body_->bytes() + (condition_ ? condition_->bytes() : 0);
}

}  // namespace kilograd::program
