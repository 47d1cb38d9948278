#include "program.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../engine/order.hpp"
#include "../nn/update.hpp"
#include "../program/format.hpp"
#include "../program/kernels/isa.hpp"
#include "../program/program.hpp"
#include "../program/watch.hpp"
#include "boxed.hpp"
#include "numbers.hpp"
#include "update.hpp"
#include "value/handle.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace py = pybind11;

namespace kilograd {

namespace {

using program::Recording;
using program::Reduce;
using Shape = std::vector<py::ssize_t>;

// --- signals -----------------------------------------------------------------------------------------------------

// Bytes that somebody else may set while a loop runs, or none.
class StopFlag {
  public:
    explicit StopFlag(py::handle object) {
        if (object.is_none()) return;
        if (PyObject_GetBuffer(object.ptr(), &buffer_, PyBUF_SIMPLE) < 0) throw py::error_already_set();
        held_ = true;
    }
    ~StopFlag() {
        if (held_) PyBuffer_Release(&buffer_);
    }
    StopFlag(const StopFlag&) = delete;
    StopFlag& operator=(const StopFlag&) = delete;
    bool raised() const { return held_ && buffer_.len && *static_cast<const volatile char*>(buffer_.buf); }

  private:
    Py_buffer buffer_{};
    bool held_ = false;
};

// Runs the handlers of signals that have come, in the main thread, which they come to. What they raise ends the
// computation, and so does a flag that they set, as Stopped. Made under the GIL. Other threads never ask for the GIL in
// the middle of a call: while the interpreter ends, asking would end the thread.
class Signals final : public program::Watch {
  public:
    struct Stopped {};

    explicit Signals(const StopFlag* stop = nullptr) : main_(in_main_thread()), stop_(stop) {}

  private:
    bool ask() override {
        if (main_) {
            const py::gil_scoped_acquire acquired;
            if (PyErr_CheckSignals() < 0) throw py::error_already_set();
        }
        if (stop_ && stop_->raised()) throw Stopped();
        return main_ || stop_;
    }

    static bool in_main_thread() {
        if (!main_thread) main_thread = find_main_thread();
        return !main_thread || main_thread == PyThread_get_thread_ident();
    }
    // 0 where nobody has imported `threading`, which would take the thread that first does for the main one.
    static unsigned long find_main_thread() {
        const auto threading = py::reinterpret_steal<py::object>(PyImport_GetModule(py::str("threading").ptr()));
        if (threading) return py::cast<unsigned long>(threading.attr("main_thread")().attr("ident"));
        PyErr_Clear();
        return 0;
    }

    static inline unsigned long main_thread = 0;
#if defined(__unix__) || defined(__APPLE__)
    // A child goes on in the thread that forked.
    [[maybe_unused]] static inline const int registered = pthread_atfork(nullptr, nullptr, [] { main_thread = 0; });
#endif

    const bool main_;
    const StopFlag* const stop_;
};

// --- recording ---------------------------------------------------------------------------------------------------

// While it lives, the gradients of the nodes hold their numbers in the recording: a hash table takes three times as
// long as all the rest. Nothing may run Python meanwhile.
class Numbering {
  public:
    explicit Numbering(const Ancestry& graph) {
        nodes_.reserve(graph.interior.size() + graph.leaves.size());
        nodes_.insert(nodes_.end(), graph.leaves.begin(), graph.leaves.end());
        nodes_.insert(nodes_.end(), graph.interior.rbegin(), graph.interior.rend());
        grads_.reserve(nodes_.size());
        for (Node* node : nodes_) {
            const std::uint64_t number = grads_.size();
            grads_.push_back(node->grad);
            node->grad = std::bit_cast<double>(number);
        }
    }
    Numbering(const Numbering&) = delete;
    Numbering& operator=(const Numbering&) = delete;
    ~Numbering() {
        for (std::size_t k = 0; k < nodes_.size(); ++k) nodes_[k]->grad = grads_[k];
    }
    std::uint32_t operator[](const Node* node) const {
        return static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(node->grad));
    }
    const std::vector<Node*>& nodes() const { return nodes_; }

  private:
    std::vector<Node*> nodes_;  // leaves, then the others in tape order
    std::vector<double> grads_;
};

[[noreturn]] void refuse_rule(Node* node) {
    py::object value = py::reinterpret_steal<py::object>(handle_of(node));
    std::string name = py::str(value.attr("_op")), label = py::str(value.attr("label"));
    std::string what = node->is_leaf() ? "the leaf" : "the op '" + name + "'";
    if (!label.empty()) what += " labelled '" + label + "'";
    if (node->op == Op::linear && !node->has(Rule))
        what += " has local gradients given as numbers, which cannot be recorded; build it from Value operations";
    else
        what += " has a rule of its own in Python, which cannot be recorded; build it from Value operations";
    throw py::type_error("Program: " + what);
}

std::vector<Node*> leaves_of(const py::list& values, const char* role) {
    std::vector<Node*> nodes;
    for (py::handle value : values) {
        if (!is_value(value.ptr()))
            throw py::type_error(std::string("Program: ") + role + " must be Values, not " +
                                 Py_TYPE(value.ptr())->tp_name);
        nodes.push_back(node_of(value.ptr()));
        if (!nodes.back()->is_leaf())
            throw py::value_error(std::string("Program: ") + role + " must be leaves; number " +
                                  std::to_string(nodes.size() - 1) + " is the result of '" +
                                  std::string(py::str(value.attr("_op"))) + "'");
    }
    std::vector<Node*> sorted = nodes;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
        throw py::value_error(std::string("Program: the same Value occurs twice among the ") + role);
    return nodes;
}

Node* node_at(const py::tuple& values, std::size_t k) {
    return node_of(PyTuple_GET_ITEM(values.ptr(), static_cast<py::ssize_t>(k)));
}

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

// (program, list of the Values that are its parameters). `parameters` is None for all leaves that Python can see.
py::tuple record_graph(py::list given, Shape shape, py::list inputs, py::object parameters) {
    const py::tuple outputs(given);  // which Python that runs meanwhile cannot change
    std::vector<double> numbers;  // outputs that are plain numbers; to read one may run Python code, so it comes first
    for (py::handle output : outputs) {
        Number number;
        if (is_value(output.ptr())) continue;
        if (!require_number(output.ptr(), "Program: an output", number)) throw py::error_already_set();
        numbers.push_back(number.value);
    }
    double size = 1.0;
    for (py::ssize_t extent : shape) size *= extent < 0 ? -1.0 : static_cast<double>(extent);
    if (size != static_cast<double>(outputs.size()))
        throw py::value_error("Program: " + std::to_string(outputs.size()) + " outputs do not have that shape");
    py::list values;  // made before any node is looked up: a collection may run Python code
    std::vector<Node*> roots;
    for (py::handle output : outputs)
        if (is_value(output.ptr())) roots.push_back(node_of(output.ptr()));
    const std::vector<Node*> input_nodes = leaves_of(inputs, "inputs");
    std::vector<Node*> parameter_nodes;
    if (!parameters.is_none()) {
        parameter_nodes = leaves_of(py::cast<py::list>(parameters), "parameters");
        for (Node* node : parameter_nodes)
            if (std::find(input_nodes.begin(), input_nodes.end(), node) != input_nodes.end())
                throw py::value_error("Program: a Value cannot be an input and a parameter");
    }
    std::size_t reached = roots.size();
    roots.insert(roots.end(), input_nodes.begin(), input_nodes.end());
    roots.insert(roots.end(), parameter_nodes.begin(), parameter_nodes.end());
    const Ancestry graph = ancestors(roots.data(), roots.size());
    roots.resize(reached);
    for (Node* node : graph.interior)
        if (node->has_fan() || node->has(Rule)) refuse_rule(node);
    for (Node* node : graph.leaves)
        if (node->has(Rule)) refuse_rule(node);

    Recording recording;
    {
        const Numbering number(graph);
        enum : std::uint8_t { Constant, Other, Taken };
        std::vector<std::uint8_t> role(graph.leaves.size(), Constant);
        if (parameters.is_none())
            for (std::size_t k = 0; k < graph.leaves.size(); ++k)
                if (graph.leaves[k]->handle) role[k] = Other;
        for (Node* node : input_nodes) {
            role[number[node]] = Taken;
            recording.inputs.push_back(number[node]);
        }
        for (Node* node : parameter_nodes) recording.parameters.push_back(number[node]);
        // Parameters nobody has put in order come in the order of their first use.
        const auto meet = [&](Node* node) {
            if (!node || !node->is_leaf() || role[number[node]] != Other) return;
            role[number[node]] = Taken;
            recording.parameters.push_back(number[node]);
            parameter_nodes.push_back(node);
        };
        const std::size_t size = number.nodes().size();
        recording.op.reserve(size);
        recording.a.reserve(size);
        recording.b.reserve(size);
        recording.c.reserve(size);
        for (const Node* node : number.nodes()) {
            if (node->is_leaf()) {
                recording.add(Op::leaf, 0, 0, node->data);
                continue;
            }
            meet(node->a);
            meet(node->b);
            recording.add(node->op, number[node->a], node->b ? number[node->b] : 0,
                          info(node->op).arity == Arity::Param ? node->constant : 0.0);
        }
        for (Node* node : roots) meet(node);
        auto root = roots.begin();
        auto constant = numbers.begin();
        for (py::handle output : outputs)
            recording.outputs.push_back(is_value(output.ptr()) ? number[*root++]
                                                               : recording.add(Op::leaf, 0, 0, *constant++));
    }
    for (Node* node : parameter_nodes) values.append(py::reinterpret_steal<py::object>(handle_of(node)));
    const Signals signals;  // whose handlers may do away with nodes: none is looked at any more
    return py::make_tuple(boxed(recording, std::move(shape)), values);
}

// --- arrays ------------------------------------------------------------------------------------------------------

using Doubles = py::array_t<double>;
constexpr auto item = static_cast<py::ssize_t>(sizeof(double));

std::string text_of(const py::ssize_t* shape, std::size_t count) {
    std::string text = "(";
    for (std::size_t k = 0; k < count; ++k) text += std::to_string(shape[k]) + (k + 1 < count ? ", " : "");
    return text + (count == 1 ? ",)" : ")");
}
std::string text_of(const Shape& shape) { return text_of(shape.data(), shape.size()); }
std::string shape_text(const py::array& array) {
    return text_of(array.shape(), static_cast<std::size_t>(array.ndim()));
}

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

bool is_exactly(py::handle object, PyTypeObject* type) { return Py_TYPE(object.ptr()) == type; }
PyTypeObject* ndarray() { return py::detail::npy_api::get().PyArray_Type_; }

bool is_masked(const py::array& array) {
    return !is_exactly(array, ndarray()) &&
           py::cast<bool>(py::module_::import("numpy.ma").attr("isMaskedArray")(array));
}

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

// The object as an array of doubles; the array itself where it is one.
py::array doubles(py::handle object, const char* what) {
    py::object found = py::reinterpret_borrow<py::object>(object);
    if (is_plain_list(object)) found = py::module_::import("numpy").attr("asarray")(object);
    if (!is_exactly(found, ndarray()) || !holds_numbers(py::reinterpret_borrow<py::array>(found)))
        found = py::module_::import("kilograd.tables").attr("numbers")(found, what);
    const py::array array = py::reinterpret_steal<py::array>(found.release());
    if (Doubles::check_(array) && in_whole_doubles(array)) return array;
    return py::array_t<double, py::array::c_style | py::array::forcecast>(array);
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

// Whether two arrays may share memory: between such as are contiguous, whether they do.
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

// A result as NumPy gives it: a scalar for shape ().
py::object shown(const py::array& array, py::handle out) {
    if (array.ndim() == 0 && out.is_none()) return array[py::tuple()];
    return array;
}

double* data_of(py::array& array) { return static_cast<double*>(array.mutable_data()); }

Reduce reduction(py::handle reduce) {
    if (reduce.is_none()) return Reduce::None;
    if (py::isinstance<py::str>(reduce)) {
        const std::string name = py::cast<std::string>(reduce);
        if (name == "sum") return Reduce::Sum;
        if (name == "mean") return Reduce::Mean;
    }
    throw py::value_error("reduce must be \"mean\", \"sum\" or None, not " + std::string(py::repr(reduce)));
}

struct Wrt {
    bool inputs, parameters;
};

Wrt with_respect_to(py::handle wrt) {
    if (py::isinstance<py::str>(wrt)) {
        const std::string name = py::cast<std::string>(wrt);
        if (name == "inputs") return {true, false};
        if (name == "parameters") return {false, true};
        if (name == "both") return {true, true};
    }
    throw py::value_error("wrt must be \"inputs\", \"parameters\" or \"both\", not " + std::string(py::repr(wrt)));
}

// --- calls -------------------------------------------------------------------------------------------------------

unsigned count_of_threads(py::handle threads) {
    if (!PyIndex_Check(threads.ptr()))
        throw py::type_error("threads is a number of threads, 1 or more, not " +
                             std::string(Py_TYPE(threads.ptr())->tp_name));
    const py::ssize_t count = PyNumber_AsSsize_t(threads.ptr(), nullptr);
    if (count == -1 && PyErr_Occurred()) throw py::error_already_set();
    if (count < 1) throw py::value_error("threads must be at least 1, not " + std::string(py::str(threads)));
    return static_cast<unsigned>(std::min<py::ssize_t>(count, 1024));
}

// One call of a program: checks arguments, fills a request, runs it.
class Call {
  public:
    program::Request request;

    Call(const Recorded& recorded, const py::tuple& parameters, py::handle x, py::handle threads, bool check)
        : recorded_(recorded), program_(recorded.program) {
        request.threads = count_of_threads(threads);
        request.check = check;
        if (parameters.size() != program_.n_parameters()) throw py::value_error("wrong number of parameters");
        parameters_.reserve(parameters.size());
        for (py::handle value : parameters) {
            if (!is_value(value.ptr())) throw py::type_error("parameters must be Values");
            parameters_.push_back(node_of(value.ptr())->data);
        }
        request.parameters = parameters_.data();
        take(x);
    }

    bool batched() const { return batched_; }
    std::size_t rows() const { return rows_; }

    // ([rows,] ...)
    Shape by_row(std::initializer_list<Shape> parts) const {
        Shape shape;
        if (batched_) shape.push_back(static_cast<py::ssize_t>(rows_));
        for (const Shape& part : parts) shape.insert(shape.end(), part.begin(), part.end());
        return shape;
    }
    Shape values_shape() const { return request.reduce == Reduce::None ? by_row({recorded_.shape}) : recorded_.shape; }

    void set_reduce(py::handle reduce) {
        request.reduce = reduction(reduce);
        if (request.reduce == Reduce::Mean && rows_ == 0) throw py::value_error("the mean over a batch of no rows");
    }

    // Weights of the outputs: the same in every row, or row by row.
    void set_weights(py::handle weights) {
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

    // Derivatives row by row: the columns of dx and of tangents are those of `wrt`, of all columns of the request.
    void set_columns(Wrt wrt) {
        request.promoted = wrt.parameters;
        all_ = program_.n_inputs() + (wrt.parameters ? program_.n_parameters() : 0);
        first_ = wrt.inputs ? 0 : program_.n_inputs();
    }
    std::size_t all_columns() const { return all_; }
    Shape columns() const { return {static_cast<py::ssize_t>(all_ - first_)}; }

    void set_tangents(py::handle vectors) {
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
        const py::ssize_t row_step = by_rows ? v.strides(0) / item : 0, step = v.strides(by_rows ? 1 : 0) / item;
        program::Pace pace;
        for (std::size_t r = 0; r < rows_; ++r) {
            pace(all_);
            for (std::size_t k = first_; k < all_; ++k)
                tangents_[r * all_ + k] =
                    from[static_cast<py::ssize_t>(r) * row_step + static_cast<py::ssize_t>(k - first_) * step];
        }
        request.tangents = tangents_.data();
    }

    // Each row `count` times over.
    void repeat(std::size_t count) {
        request.repeat = std::max<std::size_t>(count, 1);
        request.rows = rows_ * count;
    }

    // The array that a result goes to: what the caller gave, or a new one. What is read must not be written: an input
    // in the same memory is copied, and another result there is refused. To be called when all inputs are known.
    py::array target(py::handle out, const Shape& shape, const char* what) {
        if (out.is_none()) return Doubles(shape);
        if (!Doubles::check_(out)) throw py::type_error(std::string(what) + " must be a float64 array");
        py::array array = py::reinterpret_borrow<py::array>(out);
        if (is_masked(array)) throw py::type_error(std::string(what) + " must be an array without a mask");
        if (!has_shape(array, shape)) refuse_shape(what, array, text_of(shape));
        if (!is_contiguous(array) || !array.writeable() || !in_whole_doubles(array))
            throw py::value_error(std::string(what) + " must be C-contiguous and writeable");
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

    // Where a result of `all_columns()` columns goes, and what the caller sees of it.
    py::array wide_target(py::handle out, const Shape& before) {
        narrow_ = target(out, by_row({before, columns()}), "out");
        if (first_ == 0) return narrow_;
        return Doubles(by_row({before, {static_cast<py::ssize_t>(all_)}}));
    }
    py::object narrow(const py::array& wide) {
        if (first_ != 0)
            narrow_[py::ellipsis()] =
                wide[py::make_tuple(py::ellipsis(), py::slice(static_cast<py::ssize_t>(first_), std::nullopt, 1))];
        return narrow_;
    }

    void run() {
        guarded([this](const program::Kernels& kernels) { program_.run(request, kernels); });
    }
    void run_hessian(double* to) {
        guarded([this, to](const program::Kernels& kernels) { program_.hessian(request, to, kernels); });
    }

  private:
    template <class F>
    void guarded(F&& f) {
        const program::Kernels& kernels = program::chosen_kernels();  // reads the environment: under the GIL
        try {
            py::gil_scoped_release released;
            f(kernels);
        } catch (const program::DomainError& error) {
            PyObject* type = error.fault == Fault::Overflow       ? PyExc_OverflowError
                             : error.fault == Fault::ZeroDivision ? PyExc_ZeroDivisionError
                                                                  : PyExc_ValueError;
            PyErr_SetString(type, error.what());
            throw py::error_already_set();
        }
    }

    void take(py::handle x) {
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
    void locate() {
        request.rows = rows_;
        request.x = static_cast<const double*>(x_.data());
        request.column_stride = x_.strides(x_.ndim() - 1) / item;
        request.row_stride = batched_ ? x_.strides(0) / item : 0;
    }

    const Signals signals_;
    const Recorded& recorded_;
    const program::Program& program_;
    bool batched_ = false;
    std::size_t rows_ = 1, first_ = 0, all_ = 0;
    py::array x_{py::reinterpret_steal<py::array>(nullptr)}, weights_{x_}, narrow_{x_};
    std::vector<py::array> targets_;  // that the caller gave
    std::vector<double> parameters_, tangents_;
};

py::object forward(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle reduce,
                   py::handle threads, bool check, py::handle out) {
    Call call(self, parameters, x, threads, check);
    call.set_reduce(reduce);
    py::array values = call.target(out, call.values_shape(), "out");
    call.request.values = data_of(values);
    call.run();
    return shown(values, out);
}

py::tuple value_and_grad(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle wrt_name,
                         py::handle weights, py::handle reduce, py::handle threads, bool check, py::object out) {
    const Wrt wrt = with_respect_to(wrt_name);
    Call call(self, parameters, x, threads, check);
    call.set_reduce(reduce);
    call.set_weights(weights);
    const std::size_t count = 1 + wrt.inputs + wrt.parameters;
    py::object outs[3] = {py::none(), py::none(), py::none()};
    if (!out.is_none()) {
        if (!py::isinstance<py::sequence>(out) || py::len(out) != count)
            throw py::value_error("out must be a tuple of " + std::to_string(count) + " arrays");
        for (std::size_t k = 0; k < count; ++k) outs[k] = out[py::int_(k)];
    }
    py::tuple results(count);
    py::array values = call.target(outs[0], call.values_shape(), "out[0]");
    call.request.values = data_of(values);
    std::size_t k = 1;
    if (wrt.inputs) {
        py::array dx =
            call.target(outs[k], call.by_row({{static_cast<py::ssize_t>(self.program.n_inputs())}}), "out[1]");
        call.request.dx = data_of(dx);
        results[k++] = dx;
    }
    if (wrt.parameters) {
        py::array dp = call.target(outs[k], {static_cast<py::ssize_t>(self.program.n_parameters())}, "out[-1]");
        call.request.dp = data_of(dp);
        results[k++] = dp;
    }
    call.run();
    results[0] = shown(values, outs[0]);
    return results;
}

py::object add_gradients(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle weights,
                         py::handle reduce, py::handle threads, bool check, py::handle out) {
    Call call(self, parameters, x, threads, check);
    call.set_reduce(reduce);
    call.set_weights(weights);
    py::array values = call.target(out, call.values_shape(), "out");
    std::vector<double> gradient(parameters.size() + 1);
    call.request.values = data_of(values);
    call.request.dp = gradient.data();
    call.run();
    for (std::size_t k = 0; k < parameters.size(); ++k) {
        Node* node = node_at(parameters, k);
        node->grad += gradient[k];
        node->kinds.grad = FloatKind;
    }
    return shown(values, out);
}

py::object vjp(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle v, py::handle wrt,
               py::handle threads, bool check, py::handle out) {
    if (v.is_none()) throw py::type_error("vjp: v is missing");
    Call call(self, parameters, x, threads, check);
    call.set_weights(v);
    call.set_columns(with_respect_to(wrt));
    py::array wide = call.wide_target(out, {});
    call.request.dx = data_of(wide);
    call.run();
    return call.narrow(wide);
}

py::object jvp(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle v, py::handle wrt,
               py::handle threads, bool check, py::handle out) {
    Call call(self, parameters, x, threads, check);
    call.set_columns(with_respect_to(wrt));
    call.set_tangents(v);
    py::array tangents = call.target(out, call.values_shape(), "out");
    call.request.value_tangents = data_of(tangents);
    call.run();
    return shown(tangents, out);
}

py::object hvp(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle v, py::handle wrt,
               py::handle weights, py::handle threads, bool check, py::handle out) {
    Call call(self, parameters, x, threads, check);
    call.set_weights(weights);
    call.set_columns(with_respect_to(wrt));
    call.set_tangents(v);
    py::array wide = call.wide_target(out, {});
    call.request.dx_tangents = data_of(wide);
    call.run();
    return call.narrow(wide);
}

// A column of the Jacobian costs a forward sweep over dual numbers, a row of it a reverse sweep: whichever are fewer.
py::object jacobian(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle wrt, py::handle threads,
                    bool check, py::handle out) {
    Call call(self, parameters, x, threads, check);
    call.set_columns(with_respect_to(wrt));
    py::array wide = call.wide_target(out, self.shape);
    const std::size_t columns = call.all_columns(), outputs = self.n_outputs();
    if (outputs <= columns) {
        call.repeat(outputs);
        call.request.unit_weights = true;
        call.request.dx = data_of(wide);
        call.run();
        return call.narrow(wide);
    }
    call.repeat(columns);
    call.request.unit_tangents = true;
    std::vector<double> transposed(call.request.rows * outputs + 1);
    call.request.value_tangents = transposed.data();
    call.run();
    double* to = data_of(wide);
    program::Pace pace;
    for (std::size_t r = 0; r < call.rows(); ++r) {
        pace(outputs * columns);
        for (std::size_t o = 0; o < outputs; ++o)
            for (std::size_t k = 0; k < columns; ++k) *to++ = transposed[(r * columns + k) * outputs + o];
    }
    return call.narrow(wide);
}

py::object hessian(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle wrt, py::handle weights,
                   py::handle threads, bool check, py::handle out) {
    Call call(self, parameters, x, threads, check);
    call.set_weights(weights);
    call.set_columns(with_respect_to(wrt));
    py::array square = call.target(out, call.by_row({call.columns(), call.columns()}), "out");
    const auto all = static_cast<py::ssize_t>(call.all_columns());
    const auto first = all - call.columns()[0];
    py::array wide = first == 0 ? square : Doubles(call.by_row({{all, all}}));
    call.run_hessian(data_of(wide));
    if (first != 0) {
        const py::slice kept(first, std::nullopt, 1);
        square[py::ellipsis()] = wide[py::make_tuple(py::ellipsis(), kept, kept)];
    }
    return square;
}

// --- descent -----------------------------------------------------------------------------------------------------

// Steps of an optimiser: (how many were made, whether one was begun, an exception or None). Step k is zero_grad(),
// backward() over the next `batch` rows, beginning again after the last, and the update at rates[k]; its loss goes to
// losses[k]. At a step that is not regular (an op or the optimiser refuses a number; where `finite` is set, a loss or a
// parameter is not finite, or a parameter is no leaf any more) the loop ends; what such a step changed before it was
// refused is not tidied up. Without a kernel a step ends with the gradient.
//
// The GIL is given up for programs that take long, and now and then for others: a small step takes a microsecond, and
// whoever else wants the GIL would make it five thousand.
py::tuple descend(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle reduce, py::ssize_t batch,
                  py::handle threads, bool check, const py::list& trained, py::handle kernel, const py::tuple& settings,
                  py::handle clip_norm, py::handle clip_value, const py::array_t<double, py::array::c_style>& rates,
                  py::array_t<double, py::array::c_style> losses, bool finite, py::handle stop_flag) {
    constexpr std::size_t patience = 1 << 16;  // row times op: some tens of microseconds
    if (self.n_outputs() != 1) throw py::value_error("a program of one output is needed");
    if (losses.size() != rates.size() || batch < 1) throw py::value_error("wrong number of losses or rows");
    Call call(self, parameters, x, threads, check);
    call.set_reduce(reduce);
    const StopFlag stop(stop_flag);
    const Signals signals(&stop);
    const py::tuple kept(trained);  // Python that runs meanwhile may change the list
    for (py::handle value : kept)
        if (!is_value(value.ptr())) throw py::type_error("parameters must be Values");
    std::unique_ptr<BoundUpdate> update;
    if (!kernel.is_none()) {
        update = BoundUpdate::read(py::cast<std::string>(kernel).c_str(), settings.ptr(), kept.size(), clip_norm.ptr(),
                                   clip_value.ptr());
        if (!update) throw py::error_already_set();
    }
    // To be looked up anew wherever Python code may have run, which can give a Value another node and free this one.
    std::vector<Node*> zeroed(kept.size()), nodes(parameters.size());
    const auto look_up = [&] {
        for (std::size_t k = 0; k < zeroed.size(); ++k) zeroed[k] = node_at(kept, k);
        for (std::size_t k = 0; k < nodes.size(); ++k) nodes[k] = node_at(parameters, k);
    };
    const auto is_leaf = [](const Node* node) { return node->is_leaf(); };
    std::vector<double> data(nodes.size() + 1), gradient(nodes.size() + 1);

    program::Request& request = call.request;
    const program::Kernels& kernels = program::chosen_kernels();
    const double* first = request.x;
    const std::size_t rows = call.rows(), ops = self.program.graph().nodes.size();
    request.parameters = data.data();
    request.dp = gradient.data();
    std::size_t from = 0, work = 0;
    py::ssize_t done = 0;
    bool begun = false;
    py::object error = py::none();
    for (; done < rates.size(); ++done) {
        if (PyErr_CheckSignals() < 0) {
            error = py::error_already_set().value();
            break;
        }
        if (stop.raised() && done) break;
        look_up();
        request.rows = std::min(static_cast<std::size_t>(batch), rows - from);
        request.x = first + static_cast<std::ptrdiff_t>(from) * request.row_stride;
        request.values = losses.mutable_data() + done;
        for (std::size_t k = 0; k < nodes.size(); ++k) data[k] = nodes[k]->data;
        work += request.rows * ops;
        try {
            if (work > patience) {
                work = 0;
                const py::gil_scoped_release released;
                self.program.run(request, kernels);
            } else {
                self.program.run(request, kernels);
            }
        } catch (const program::DomainError&) {
            break;
        } catch (const Signals::Stopped&) {
            break;
        } catch (const py::error_already_set& raised) {
            error = raised.value();
            break;
        }
        if (finite && !std::isfinite(*request.values)) break;
        look_up();
        if (update && !std::all_of(zeroed.begin(), zeroed.end(), is_leaf)) break;
        begun = true;
        nn::zero_grad(zeroed);
        for (std::size_t k = 0; k < nodes.size(); ++k) {
            nodes[k]->grad += gradient[k];
            nodes[k]->kinds.grad = FloatKind;
        }
        if (update) {
            if (!update->step(rates.data()[done], zeroed)) break;
            const auto is_finite = [](const Node* node) { return std::isfinite(node->data); };
            if (finite && !std::all_of(zeroed.begin(), zeroed.end(), is_finite)) break;
        }
        begun = false;
        from += request.rows;
        if (from == rows) from = 0;
    }
    return py::make_tuple(done, begun, error);
}

// --- what a program is -------------------------------------------------------------------------------------------

py::dict counts(const Recorded& self) {
    const program::Graph& graph = self.program.graph();
    py::dict recorded, optimised;
    for (std::size_t op = first_row; op < graph.recorded.size(); ++op)
        if (graph.recorded[op]) recorded[op_infos[op].name] = graph.recorded[op];
    std::vector<std::size_t> by_code(program::code_count);
    for (const program::Node& node : graph.nodes) ++by_code[program::index_of(node.code)];
    for (std::size_t code = 0; code < program::code_count; ++code)
        if (by_code[code] && !program::is_leaf(static_cast<program::Code>(code)))
            optimised[program::code_infos[code].name] = by_code[code];
    py::dict both;
    both["recorded"] = recorded;
    both["optimised"] = optimised;
    return both;
}

std::size_t op_count_of(const Recorded& self) {
    const auto& nodes = self.program.graph().nodes;
    return static_cast<std::size_t>(
        std::count_if(nodes.begin(), nodes.end(), [](const program::Node& node) { return !is_leaf(node.code); }));
}

py::bytes dump(const Recorded& self, const std::vector<double>& data) {
    if (data.size() != self.program.n_parameters()) throw py::value_error("wrong number of parameters");
    program::Saved saved{self.program.graph(), {}, data};
    for (py::ssize_t extent : self.shape) saved.shape.push_back(static_cast<std::uint32_t>(extent));
    return py::bytes(program::serialise(saved));
}

// (program, data of its parameters)
py::tuple load(const py::bytes& bytes) {
    char* data;
    py::ssize_t size;
    if (PyBytes_AsStringAndSize(bytes.ptr(), &data, &size) < 0) throw py::error_already_set();
    program::Saved saved = program::deserialise(data, static_cast<std::size_t>(size));
    Shape shape(saved.shape.begin(), saved.shape.end());
    return py::make_tuple(boxed(std::move(saved.graph), std::move(shape)), saved.parameters);
}

}  // namespace

void add_program(py::module_& m) {
    using py::arg;
    BoxedType<Recorded>("kilograd._core._Program", "The compiled part of kilograd.Program.")
        .def("forward", forward)
        .def("value_and_grad", value_and_grad)
        .def("backward", add_gradients)
        .def("descend", descend)
        .def("vjp", vjp)
        .def("jvp", jvp)
        .def("hvp", hvp)
        .def("jacobian", jacobian)
        .def("hessian", hessian)
        .def("counts", counts)
        .def("dump", dump)
        .def_property_readonly("nbytes", [](const Recorded& self) { return self.program.bytes(); })
        .def_property_readonly("n_inputs", [](const Recorded& self) { return self.program.n_inputs(); })
        .def_property_readonly("shape", [](const Recorded& self) { return py::tuple(py::cast(self.shape)); })
        .def("__len__", op_count_of);
    m.def("_record", record_graph, arg("outputs"), arg("shape"), arg("inputs"), arg("parameters"),
          "A graph as (program, list of its parameters).");
    m.def("_load_program", load, arg("data"), "What _Program.dump wrote, as (program, data of its parameters).");
    m.def(
        "_instruction_sets",
        [] {
            std::vector<std::string> names;
            for (const program::Kernels* kernels : program::available_kernels()) names.push_back(kernels->name);
            return names;
        },
        "The instruction sets that programs can use on this machine, best first.");
}

}  // namespace kilograd
