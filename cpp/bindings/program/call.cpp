#include "call.hpp"

#include <pybind11/stl.h>

#include <algorithm>

#include "../../program/execution/parts.hpp"
#include "../../program/execution/threads.hpp"
#include "../../program/kernels/isa.hpp"

namespace kilograd {

namespace {

using program::Reduce;

Reduce reduction(py::handle reduce) {
    if (reduce.is_none()) return Reduce::None;
    if (py::isinstance<py::str>(reduce)) {
        const std::string name = py::cast<std::string>(reduce);
        if (name == "sum") return Reduce::Sum;
        if (name == "mean") return Reduce::Mean;
    }
    throw py::value_error("reduce must be \"mean\", \"sum\" or None, not " + std::string(py::repr(reduce)));
}

unsigned count_of_threads(py::handle threads) {
    if (!PyIndex_Check(threads.ptr()))
        throw py::type_error("threads is a number of threads, 1 or more, or -1 for all processors, not " +
                             std::string(Py_TYPE(threads.ptr())->tp_name));
    const py::ssize_t count = PyNumber_AsSsize_t(threads.ptr(), nullptr);
    if (count == -1 && PyErr_Occurred()) throw py::error_already_set();
    if (count == -1) return program::processors();
    if (count < 1)
        throw py::value_error("threads is a number of at least 1, or -1 for all processors, not " +
                              std::string(py::str(threads)));
    return static_cast<unsigned>(std::min<py::ssize_t>(count, 1024));
}

}  // namespace

Wrt with_respect_to(py::handle wrt) {
    if (py::isinstance<py::str>(wrt)) {
        const std::string name = py::cast<std::string>(wrt);
        if (name == "inputs") return {true, false};
        if (name == "parameters") return {false, true};
        if (name == "both") return {true, true};
    }
    throw py::value_error("wrt must be \"inputs\", \"parameters\" or \"both\", not " + std::string(py::repr(wrt)));
}

program::Columns columns_of(const program::Program& program, py::handle wrt) {
    if (!py::isinstance<py::tuple>(wrt)) {
        const auto [inputs, parameters] = with_respect_to(wrt);
        return program::Columns::of(program.graph(), inputs, parameters);
    }
    return columns_of(program.n_inputs() + program.n_parameters(), wrt);
}

program::Columns columns_of(std::size_t count, py::handle wrt) {
    const auto ends = py::cast<std::vector<std::uint32_t>>(wrt);
    std::vector<program::Stretch> stretches;
    std::uint32_t last = 0;
    for (std::size_t k = 0; k + 1 < ends.size(); k += 2) {
        if (ends[k] < last || ends[k + 1] < ends[k] || ends[k + 1] > count)
            throw py::value_error("wrt: stretches of columns, in order and without overlap, are needed");
        last = ends[k + 1];
        if (ends[k] < last) stretches.push_back({ends[k], last});
    }
    return program::Columns(std::move(stretches));
}

Call::Call(const Recorded& recorded, const py::tuple& parameters, py::handle x, py::handle threads, bool check)
    : recorded_(recorded), program_(recorded.program) {
    request.threads = count_of_threads(threads);
    request.check = check;
    parameters_.reserve(program_.n_parameters());
    for (py::handle value : parameters) {
        if (is_value(value.ptr())) {
            parameters_.push_back(data_of_value(value.ptr()));
        } else if (Doubles::check_(value)) {  // of a shared argument of a compiled function
            const py::array numbers = contiguous(value, "parameters");
            const auto* from = static_cast<const double*>(numbers.data());
            parameters_.insert(parameters_.end(), from, from + numbers.size());
        } else {
            throw py::type_error("parameters must be Values");
        }
    }
    if (parameters_.size() != program_.n_parameters()) throw py::value_error("wrong number of parameters");
    request.parameters = parameters_.data();
    take(x);
}

Shape Call::by_row(std::initializer_list<Shape> parts) const {
    Shape shape;
    if (batched_) shape.push_back(static_cast<py::ssize_t>(rows_));
    for (const Shape& part : parts) shape.insert(shape.end(), part.begin(), part.end());
    return shape;
}

Shape Call::unless_reduced(std::initializer_list<Shape> parts) const {
    if (request.reduce == Reduce::None) return by_row(parts);
    Shape shape;
    for (const Shape& part : parts) shape.insert(shape.end(), part.begin(), part.end());
    return shape;
}

Shape Call::values_shape() const { return unless_reduced({recorded_.shape}); }

void Call::set_reduce(py::handle reduce) {
    request.reduce = reduction(reduce);
    if (request.reduce == Reduce::Mean && rows_ == 0) throw py::value_error("the mean over a batch of no rows");
}

void Call::set_weights(py::handle weights) {
    if (weights.is_none()) return;
    weights_ = contiguous(weights, "weights");
    const bool each = !has_shape(weights_, recorded_.shape);
    if (each && !has_shape(weights_, values_shape())) {
        std::string wanted = text_of(recorded_.shape);
        if (values_shape() != recorded_.shape) wanted += " or " + text_of(values_shape());
        refuse_shape("weights", weights_, wanted);
    }
    request.weights = static_cast<const double*>(weights_.data());
    if (each && batched_) request.weight_row_stride = static_cast<std::ptrdiff_t>(recorded_.n_outputs());
}

void Call::set_columns(Wrt wrt) {
    request.promoted = wrt.parameters;
    all_ = program_.n_inputs() + (wrt.parameters ? program_.n_parameters() : 0);
    first_ = wrt.inputs ? 0 : program_.n_inputs();
}

void Call::set_tangents(py::handle vectors) {
    py::array v = doubles(vectors, "v");
    const bool each = !has_shape(v, columns());
    if (each && !has_shape(v, by_row({columns()}))) {
        std::string wanted = text_of(columns());
        if (batched_) wanted += " or " + text_of(by_row({columns()}));
        refuse_shape("v", v, wanted);
    }
    tangents_.assign(rows_ * all_ + 1, 0.0);  // never empty: a null pointer would mean none
    const auto* from = static_cast<const double*>(v.data());
    const bool by_rows = each && batched_;
    const py::ssize_t row_step = by_rows ? step_of(v, 0) : 0, step = step_of(v, by_rows ? 1 : 0);
    program::Pace pace;
    for (std::size_t r = 0; r < rows_; ++r) {
        pace(all_);
        for (std::size_t k = first_; k < all_; ++k)
            tangents_[r * all_ + k] =
                from[static_cast<py::ssize_t>(r) * row_step + static_cast<py::ssize_t>(k - first_) * step];
    }
    request.tangents = tangents_.data();
}

py::array Call::target(py::handle out, const Shape& shape, const char* what, bool by_columns) {
    if (out.is_none()) return by_columns ? py::array(py::array_t<double, py::array::f_style>(shape)) : Doubles(shape);
    if (!Doubles::check_(out)) throw py::type_error(std::string(what) + " must be a float64 array");
    py::array array = py::reinterpret_borrow<py::array>(out);
    if (is_masked(array)) throw py::type_error(std::string(what) + " must be an array without a mask");
    if (!has_shape(array, shape)) refuse_shape(what, array, text_of(shape));
    const bool contiguous = array.flags() & (by_columns ? py::array::f_style : py::array::c_style);
    if (!contiguous || !array.writeable() || !in_whole_doubles(array))
        throw py::value_error(std::string(what) + " must be " + (by_columns ? "F" : "C") + "-contiguous and writeable");
    for (const py::array& other : targets_)
        if (overlap(array, other))
            throw py::value_error(std::string(what) +
                                  " shares memory with an out before it: each result needs "
                                  "an array of its own");
    targets_.push_back(array);
    if (x_ && overlap(array, x_)) {
        x_ = x_.attr("copy")();
        locate();
    }
    if (weights_ && overlap(array, weights_)) {
        weights_ = weights_.attr("copy")();
        request.weights = static_cast<const double*>(weights_.data());
    }
    return array;
}

py::array Call::wide_target(py::handle out, const Shape& before) {
    narrow_ = target(out, unless_reduced({before, columns()}), "out");
    if (first_ == 0) return narrow_;
    return Doubles(unless_reduced({before, {static_cast<py::ssize_t>(all_)}}));
}

py::object Call::narrow(const py::array& wide) {
    if (first_ != 0)
        narrow_[py::ellipsis()] =
            wide[py::make_tuple(py::ellipsis(), py::slice(static_cast<py::ssize_t>(first_), std::nullopt, 1))];
    return narrow_;
}

void Call::run() {
    const program::Kernels& kernels = program::chosen_kernels();  // reads the environment: under the GIL
    const Released released;
    program_.run(request, kernels);
}

void Call::run(double* program::Request::*what, double* to, std::size_t area) {
    request.*what = to;
    if (request.reduce == Reduce::None) return run();
    const program::Kernels& kernels = program::chosen_kernels();
    const Released released;
    program::add_up(request, area, to, [&](program::Request& part, std::size_t first, double* results) {
        if (part.tangents) part.tangents += first * all_;
        part.*what = results;
        program_.run(part, kernels);
    });
}

void Call::run_whole(program::Derivatives::Of of, const program::Columns& columns, double* to) {
    const program::Kernels& kernels = program::chosen_kernels();
    const Released released;
    program_.derivatives().whole(of, program_, request, columns, to, kernels);
}

void Call::run_entries(program::Derivatives::Of of, const program::Columns& columns, double* to) {
    const program::Kernels& kernels = program::chosen_kernels();
    const Released released;
    program_.derivatives().entries(of, program_, request, columns, to, kernels);
}

void Call::take(py::handle x) {
    const auto n = static_cast<py::ssize_t>(program_.n_inputs());
    if (x.is_none()) {
        if (n != 0)
            throw py::type_error("X is missing: the program has " + std::to_string(n) +
                                 (n == 1 ? " input" : " inputs"));
        return;
    }
    x_ = doubles(x, "X");
    batched_ = x_.ndim() == 2;
    if ((x_.ndim() != 1 && x_.ndim() != 2) || x_.shape(x_.ndim() - 1) != n)
        refuse_shape("X", x_, "(" + std::to_string(n) + ",) or (batch, " + std::to_string(n) + ")");
    if (batched_) rows_ = static_cast<std::size_t>(x_.shape(0));
    locate();
}

void Call::locate() {
    request.rows = rows_;
    request.x = static_cast<const double*>(x_.data());
    request.column_stride = step_of(x_, x_.ndim() - 1);
    request.row_stride = batched_ ? step_of(x_, 0) : 0;
}

}  // namespace kilograd
