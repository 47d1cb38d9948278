// The C++ object of a kilograd.Program: a compiled graph, and the shape that the outputs of a row have.
#pragma once

#include <memory>
#include <utility>

#include "../../program/program.hpp"
#include "../boxed.hpp"
#include "arrays.hpp"

namespace kilograd {

struct Recorded {
    using boxed = void;
    program::Program program;
    Shape shape;  // of the outputs of a row

    std::size_t n_outputs() const { return program.n_outputs(); }
};

template <class Source>
py::object boxed(Source&& source, Shape shape) {
    return Box<Recorded>::make(
        std::unique_ptr<Recorded>(new Recorded{program::Program(std::forward<Source>(source)), std::move(shape)}));
}

}  // namespace kilograd
