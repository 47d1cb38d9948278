// NumPy arrays as programs take and give them: doubles, in whole strides, written only where that is safe.
#pragma once

#include <pybind11/numpy.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kilograd {

namespace py = pybind11;

using Shape = std::vector<py::ssize_t>;
using Doubles = py::array_t<double>;

std::string text_of(const Shape& shape);
bool has_shape(const py::array& array, const Shape& shape);
[[noreturn]] void refuse_shape(const char* what, const py::array& array, const std::string& wanted);
bool in_whole_doubles(const py::array& array);
bool is_masked(const py::array& array);
bool is_contiguous(const py::array& array);

// The object as an array of doubles; the array itself where it is one.
py::array doubles(py::handle object, const char* what);
py::array contiguous(py::handle object, const char* what);  // the same, in C order

// Whether two arrays may share memory: between such as are contiguous, whether they do.
bool overlap(const py::array& one, const py::array& other);

// Numbers as SciPy's sparse arrays have them; the largest is -1.
py::array_t<std::int32_t> signed_array(const std::vector<std::uint32_t>& numbers);

// A result as NumPy gives it: a scalar for shape ().
py::object shown(const py::array& array, py::handle out);
double* data_of(py::array& array);
py::ssize_t step_of(const py::array& array, py::ssize_t axis);  // in elements

}  // namespace kilograd
