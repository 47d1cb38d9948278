// One call of a program: checks arguments, fills a request, runs it.
//
// Idiom: make a Call, set what the request needs beyond X and parameters, get the arrays that results go to, run().
// X, weights and results may be any arrays of NumPy's; what is read is not written (see target()).
#pragma once

#include <string>
#include <vector>

#include "../value/handle.hpp"
#include "recorded.hpp"
#include "signals.hpp"

namespace kilograd {

struct Wrt {
    bool inputs, parameters;
};
Wrt with_respect_to(py::handle wrt);
// The same, or a tuple of stretches: (first, one past the last, first, ...).
program::Columns columns_of(const program::Program& program, py::handle wrt);
program::Columns columns_of(std::size_t count, py::handle wrt);  // the latter of these, of so many columns

inline Node* node_at(const py::tuple& values, std::size_t k) {
    return node_of(PyTuple_GET_ITEM(values.ptr(), static_cast<py::ssize_t>(k)));
}

inline void require_values(const py::tuple& parameters) {
    for (py::handle value : parameters)
        if (!is_value(value.ptr())) throw py::type_error("parameters must be Values");
}

class Call {
  public:
    program::Request request;

    Call(const Recorded& recorded, const py::tuple& parameters, py::handle x, py::handle threads, bool check);

    bool batched() const { return batched_; }
    std::size_t rows() const { return rows_; }

    // ([rows,] ...)
    Shape by_row(std::initializer_list<Shape> parts) const;
    // The same where rows are not reduced.
    Shape unless_reduced(std::initializer_list<Shape> parts) const;
    Shape values_shape() const;

    void set_reduce(py::handle reduce);

    // Weights of the outputs: the same in every row, or row by row.
    void set_weights(py::handle weights);

    // Derivatives row by row: the columns of dx and of tangents are those of `wrt`, of all columns of the request.
    void set_columns(Wrt wrt);
    std::size_t all_columns() const { return all_; }
    Shape columns() const { return {static_cast<py::ssize_t>(all_ - first_)}; }

    void set_tangents(py::handle vectors);

    // The array that a result goes to: what the caller gave, or a new one. What is read must not be written: an input
    // in the same memory is copied, and another result there is refused. To be called when all inputs are known.
    // `by_columns`: in Fortran's order.
    py::array target(py::handle out, const Shape& shape, const char* what, bool by_columns = false);

    // Where a result of `all_columns()` columns goes, and what the caller sees of it.
    py::array wide_target(py::handle out, const Shape& before);
    py::object narrow(const py::array& wide);

    void run();
    // Products: `to` is what the request is to compute, `area` numbers a row, given whole or reduced.
    void run(double* program::Request::*what, double* to, std::size_t area);
    void run_whole(program::Derivatives::Of of, const program::Columns& columns, double* to);
    void run_entries(program::Derivatives::Of of, const program::Columns& columns, double* to);

  private:
    void take(py::handle x);
    void locate();

    const Signals signals_;
    const Recorded& recorded_;
    const program::Program& program_;
    bool batched_ = false;
    std::size_t rows_ = 1, first_ = 0, all_ = 0;
    py::array x_{py::reinterpret_steal<py::array>(nullptr)}, weights_{x_}, narrow_{x_};
    std::vector<py::array> targets_;  // that the caller gave
    std::vector<double> parameters_, tangents_;
};

}  // namespace kilograd
