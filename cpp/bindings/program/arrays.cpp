#include "arrays.hpp"

#include <algorithm>

namespace kilograd {

namespace {

constexpr auto item = static_cast<py::ssize_t>(sizeof(double));

std::string text_of(const py::ssize_t* shape, std::size_t count) {
    std::string text = "(";
    for (std::size_t k = 0; k < count; ++k) text += std::to_string(shape[k]) + (k + 1 < count ? ", " : "");
    return text + (count == 1 ? ",)" : ")");
}
std::string shape_text(const py::array& array) {
    return text_of(array.shape(), static_cast<std::size_t>(array.ndim()));
}

bool is_exactly(py::handle object, PyTypeObject* type) { return Py_TYPE(object.ptr()) == type; }
PyTypeObject* ndarray() { return py::detail::npy_api::get().PyArray_Type_; }

// Whether NumPy alone makes of a list what its rows are: no mask is lost, and no column names are taken for rows.
bool is_plain_list(py::handle object) {
    if (!is_exactly(object, &PyList_Type) && !is_exactly(object, &PyTuple_Type)) return false;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(object.ptr()); ++i) {
        const py::handle item = PySequence_Fast_GET_ITEM(object.ptr(), i);
        if (!PyFloat_Check(item.ptr()) && !PyLong_Check(item.ptr()) && !is_exactly(item, &PyList_Type) &&
            !is_exactly(item, &PyTuple_Type) && !is_exactly(item, ndarray()))
            return false;
    }
    return true;
}

bool holds_numbers(const py::array& array) {
    const char kind = array.dtype().kind();
    return kind == 'f' || kind == 'i' || kind == 'u' || kind == 'b';
}

// The addresses from the first byte of an array to one past its last; equal for an array without elements.
std::pair<std::intptr_t, std::intptr_t> extent(const py::array& array) {
    auto first = reinterpret_cast<std::intptr_t>(array.data());
    if (array.size() == 0) return {first, first};
    std::intptr_t last = first + array.itemsize();
    for (py::ssize_t k = 0; k < array.ndim(); ++k)
        (array.strides(k) < 0 ? first : last) += array.strides(k) * (array.shape(k) - 1);
    return {first, last};
}

}  // namespace

std::string text_of(const Shape& shape) { return text_of(shape.data(), shape.size()); }

bool has_shape(const py::array& array, const Shape& shape) {
    return static_cast<std::size_t>(array.ndim()) == shape.size() &&
           std::equal(shape.begin(), shape.end(), array.shape());
}

[[noreturn]] void refuse_shape(const char* what, const py::array& array, const std::string& wanted) {
    throw py::value_error(std::string(what) + " has shape " + shape_text(array) + "; " + wanted + " is needed");
}

bool in_whole_doubles(const py::array& array) {
    if (reinterpret_cast<std::uintptr_t>(array.data()) % alignof(double)) return false;
    for (py::ssize_t k = 0; k < array.ndim(); ++k)
        if (array.strides(k) % item) return false;
    return true;
}

bool is_masked(const py::array& array) {
    return !is_exactly(array, ndarray()) &&
           py::cast<bool>(py::module_::import("numpy.ma").attr("isMaskedArray")(array));
}

py::array doubles(py::handle object, const char* what) {
    py::object found = py::reinterpret_borrow<py::object>(object);
    if (is_plain_list(object)) found = py::module_::import("numpy").attr("asarray")(object);
    if (!is_exactly(found, ndarray()) || !holds_numbers(py::reinterpret_borrow<py::array>(found)))
        found = py::module_::import("kilograd.tables").attr("numbers")(found, what);
    const py::array array = py::reinterpret_steal<py::array>(found.release());
    if (Doubles::check_(array) && in_whole_doubles(array)) return array;
    return py::array_t<double, py::array::c_style | py::array::forcecast>(array);
}

bool overlap(const py::array& one, const py::array& other) {
    const auto [first, last] = extent(one);
    const auto [begin, end] = extent(other);
    return first < end && begin < last;
}

bool is_contiguous(const py::array& array) { return array.flags() & py::array::c_style; }

py::array contiguous(py::handle object, const char* what) {
    py::array array = doubles(object, what);
    if (is_contiguous(array)) return array;
    return py::array_t<double, py::array::c_style | py::array::forcecast>(array);
}

py::object shown(const py::array& array, py::handle out) {
    if (array.ndim() == 0 && out.is_none()) return array[py::tuple()];
    return array;
}

double* data_of(py::array& array) { return static_cast<double*>(array.mutable_data()); }

py::ssize_t step_of(const py::array& array, py::ssize_t axis) { return array.strides(axis) / item; }

py::array_t<std::int32_t> signed_array(const std::vector<std::uint32_t>& numbers) {
    py::array_t<std::int32_t> made(static_cast<py::ssize_t>(numbers.size()));
    std::copy(numbers.begin(), numbers.end(), made.mutable_data());
    return made;
}

}  // namespace kilograd
