#include "turn.hpp"

#include <algorithm>

#include "../execution/diagnosis.hpp"
#include "loop.hpp"

namespace kilograd::program {

RowTurn::RowTurn(const Program& program, const LoopShape& shape, bool back)
    : program_(program), wants_{.inputs = back}, schedule_(program.row(wants_)) {
    Leaves own;
    const std::size_t ends[] = {shape.carried, shape.own(), shape.constant, std::size_t{shape.counted}, shape.shared};
    Leaves* const kinds[] = {&carried_, &own, &constant_, &counted_, &shared_};
    for (Leaf leaf : schedule_.inputs()) {
        std::size_t kind = 0;
        for (; leaf.number >= ends[kind]; ++kind) leaf.number -= static_cast<std::uint32_t>(ends[kind]);
        kinds[kind]->push_back(leaf);
    }
    for (const Leaf& leaf : own) {
        std::size_t first = 0, sequence = 0;
        while (leaf.number >= first + shape.varying[sequence]) first += shape.varying[sequence++];
        own_.push_back(
            {leaf.position, shape.carried + first * shape.turns + (leaf.number - first), shape.varying[sequence]});
    }
    for (std::uint32_t position = 0; position < schedule_.constant_count(); ++position) fixed_.push_back(position);
    for (const Leaf& leaf : shared_) fixed_.push_back(leaf.position);
    for (std::uint32_t node : program.graph().outputs) outputs_.push_back(schedule_.position(node));
}

void RowTurn::begin(const double* shared, double* frame) const {
    schedule_.load_constants(1, frame);
    put(shared_, shared, frame);
}

void RowTurn::diagnose(const double* frame, std::size_t row) const {
    std::vector<double> x(program_.n_inputs());
    for (const Leaf& leaf : schedule_.inputs()) x[leaf.number] = frame[leaf.position];
    Request request;
    request.x = x.data();
    request.first = row;
    program::diagnose(program_.graph(), request, 0);
}

void RowTurn::reverse(const RowEngine& engine, const double* frame, const double* weights, double* adjoints) const {
    engine.clear(schedule_, program_.graph(), adjoints);
    for (std::size_t o = 0; o < outputs_.size(); ++o) adjoints[outputs_[o]] += weights[o];
    engine.reverse(schedule_, frame, adjoints);
}

}  // namespace kilograd::program
