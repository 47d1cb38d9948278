// Gradient: a Map with one output, and what comes out is that and its derivatives by the first of its inputs.
//
// Its own first derivatives are the second ones of the Map, symmetric: a sweep over dual numbers gives them in either
// direction.
#pragma once

#include <utility>

#include "map.hpp"

namespace kilograd::program {

class Gradient final : public Map {
  public:
    Gradient(MapPointer map, std::size_t count)
        : Map(map->n_inputs(), 1 + count), map_(std::move(map)), count_(count) {}

    void forward(const Rows& rows, Input x, Output y, Kept& kept, bool) const override {
        const Output value = prepared(kept, Value).take(rows.count, x.dual());
        const Output dx = kept.buffers[Derivatives].take(rows.count * n_inputs(), x.dual());
        map_->both(rows, x, value, ones(rows, kept, x.dual()), dx, kept.parts[0]);
        copy_columns(rows, value, 1, y, n_outputs(), 1);
        copy_columns(rows, dx, n_inputs(), y.at(1), n_outputs(), count_);
    }

    void reverse(const Rows& rows, Input x, Input w, Output dx, Kept& kept) const override {
        const Output value = prepared(kept, Value).take(rows.count, true);
        const Output along = kept.buffers[Along].zeros(rows.count * n_inputs(), true);
        const Output found = kept.buffers[Derivatives].take(rows.count * n_inputs(), true);
        for (std::size_t r = 0; r < rows.count; ++r)
            std::copy_n(w.value + r * n_outputs() + 1, count_, along.tangent + r * n_inputs());
        map_->both(rows, {x.value, along.tangent}, value, ones(rows, kept, true), found, kept.parts[0]);
        for (std::size_t r = 0; r < rows.count; ++r)
            for (std::size_t k = r * n_inputs(); k < (r + 1) * n_inputs(); ++k)
                dx.value[k] = w.value[r * n_outputs()] * found.value[k] + found.tangent[k];
    }

    // A derivative depends on what its input has second derivatives with.
    void depend(Dependence& dependence, const Dependence::Set* x, Dependence::Set* y,
                const std::uint8_t* wanted) const override {
        map_->depend(dependence, x, y, wanted);
        Dependence inner(true);
        std::vector<Dependence::Set> own;
        for (std::uint32_t k = 0; k < n_inputs(); ++k) own.push_back(inner.column(k));
        Dependence::Set value;
        const std::uint8_t one = 1;
        map_->depend(inner, own.data(), &value, &one);
        const Pattern pattern = inner.crossings(n_inputs());
        for (std::size_t k = 0; k < count_; ++k) {
            std::vector<Dependence::Set> parts;
            for (std::uint32_t j = pattern.starts[k]; j < pattern.starts[k + 1]; ++j)
                parts.push_back(x[pattern.columns[j]]);
            y[1 + k] = dependence.unite(parts);
        }
    }
    void need(const std::uint8_t* wanted, std::uint8_t* x) const override {
        const bool any = std::any_of(wanted, wanted + n_outputs(), [](std::uint8_t one) { return one != 0; });
        std::fill_n(x, n_inputs(), std::uint8_t{any});
    }

    bool keeps() const override { return false; }
    int order() const override { return map_->order() - 1; }
    std::size_t kept_per_row() const override { return map_->kept_per_row() + 2 * n_inputs(); }
    std::size_t cost() const override { return 3 * map_->cost(); }
    std::size_t bytes() const override { return map_->bytes(); }

  private:
    enum { Value, Ones, Derivatives, Along, buffer_count };

    static Buffer& prepared(Kept& kept, std::size_t buffer) {
        kept.parts.resize(1);
        kept.buffers.resize(buffer_count);
        return kept.buffers[buffer];
    }
    static Input ones(const Rows& rows, Kept& kept, bool dual) {
        const Output weights = kept.buffers[Ones].zeros(rows.count, dual);
        std::fill_n(weights.value, rows.count, 1.0);
        return weights;
    }

    const MapPointer map_;
    const std::size_t count_;
};

}  // namespace kilograd::program
