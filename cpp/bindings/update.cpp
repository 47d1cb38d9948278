// Parameter updates for kilograd.optim: each function takes the list of parameters first. Raw functions, because a
// training step on a small graph takes two microseconds, and a dispatcher would add half of that.
#include "update.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>
#include <variant>

#include "../nn/update.hpp"
#include "items.hpp"
#include "modes.hpp"
#include "terms.hpp"

namespace py = pybind11;

namespace kilograd {

namespace {

std::vector<Node*> nodes;  // of the parameters at hand: scratch, used under the GIL and while no Python code runs

bool take_parameters(PyObject* list) {
    if (refuse_while_tracing("reading or changing many Values at once (kilograd.arrays, kilograd.optim)")) return false;
    if (!PyList_CheckExact(list)) {
        PyErr_Format(PyExc_TypeError, "the parameters are a list of Values, not %.200s", Py_TYPE(list)->tp_name);
        return false;
    }
    Py_ssize_t count = PyList_GET_SIZE(list);
    nodes.resize(static_cast<std::size_t>(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* item = PyList_GET_ITEM(list, i);
        if (!is_value(item)) {
            PyErr_Format(PyExc_TypeError, "parameter %zd is no Value but %.200s", i, Py_TYPE(item)->tp_name);
            return false;
        }
        nodes[static_cast<std::size_t>(i)] = node_of(item);
    }
    return true;
}

// What an optimiser changes has to be a leaf: a result would be moved away from what it was computed from, and a graph
// built on it would lead past it. `nodes` is not to be used any more where this is false: the message runs Python code.
bool all_leaves(PyObject* list) {
    const auto found = std::find_if_not(nodes.begin(), nodes.end(), [](const Node* node) { return node->is_leaf(); });
    if (found == nodes.end()) return true;
    const Py_ssize_t index = found - nodes.begin();
    PyObject* item = Py_NewRef(PyList_GET_ITEM(list, index));
    PyObject* op = PyObject_GetAttrString(item, "_op");
    Py_DECREF(item);
    if (!op) return false;
    PyErr_Format(PyExc_ValueError,
                 "parameter %zd is the result of %R and no leaf, so it cannot be trained: change the data of the leaf "
                 "in place, p.data -= lr * p.grad, and do not replace it by a new Value as p = p - lr * p.grad does",
                 index, op);
    Py_DECREF(op);
    return false;
}

// Arguments of a raw function, taken one after the other; nothing is taken any more once one was refused. To read a
// number may run Python code, which may change the list of parameters and what a Value stands for: nodes come last.
class Arguments {
  public:
    Arguments(PyObject* const* args, Py_ssize_t count, Py_ssize_t expected) : args_(args), ok_(count == expected) {
        if (!ok_) PyErr_Format(PyExc_TypeError, "%zd arguments expected, %zd given", expected, count);
    }
    ~Arguments() {
        for (int i = 0; i < buffer_count_; ++i) PyBuffer_Release(&buffers_[i]);
    }
    Arguments(const Arguments&) = delete;
    Arguments& operator=(const Arguments&) = delete;

    void parameters() {
        if (ok_) list_ = *args_++;
    }
    double number() {
        if (!ok_) return 0.0;
        double value = PyFloat_AsDouble(*args_++);
        ok_ = value != -1.0 || !PyErr_Occurred();
        return value;
    }
    bool truth() {
        if (!ok_) return false;
        int value = PyObject_IsTrue(*args_++);
        ok_ = value >= 0;
        return value > 0;
    }
    // An array of one double for each parameter; null for None.
    double* array(bool writable = true) {
        if (!ok_) return nullptr;
        PyObject* object = *args_++;
        if (object == Py_None) return nullptr;
        Py_buffer* buffer = &buffers_[buffer_count_];
        int flags = PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0);
        ok_ = PyObject_GetBuffer(object, buffer, flags) == 0;
        if (!ok_) return nullptr;
        ++buffer_count_;
        return static_cast<double*>(buffer->buf);
    }

    // After all has been read: whether nothing was refused and the arrays are for so many parameters.
    bool fit(std::size_t count) {
        for (int i = 0; ok_ && i < buffer_count_; ++i) {
            const Py_buffer& buffer = buffers_[i];
            ok_ = buffer.format && std::string_view(buffer.format) == "d" &&
                  static_cast<std::size_t>(buffer.len) == count * sizeof(double);
            if (!ok_)
                PyErr_Format(PyExc_ValueError,
                             "an array of %zu float64 is needed, one for each Value, not of %zd bytes", count,
                             buffer.len);
        }
        return ok_;
    }
    // The same, with the parameters in `nodes`; leaves only, where they are to be trained.
    bool done(bool leaves = false) {
        return ok_ && take_parameters(list_) && fit(nodes.size()) && (!leaves || all_leaves(list_));
    }

  private:
    PyObject* const* args_;
    PyObject* list_ = nullptr;
    bool ok_;
    Py_buffer buffers_[3];
    int buffer_count_ = 0;
};

// Also for objects that only behave like a Value: a model may be built over another class.
PyObject* zero_grad(PyObject*, PyObject* parameters) {
    Items items;
    if (!items.take(parameters, "the parameters are a list of Values")) return nullptr;
    PyObject* zero = nullptr;
    bool ok = true;
    for (PyObject* item : items) {
        if (!ok) break;
        if (is_exact_value(item)) {
            Node* node = node_of(item);
            nn::zero_grad({&node, 1});
        } else {
            if (!zero) zero = PyLong_FromLong(0);
            ok = zero && PyObject_SetAttrString(item, "grad", zero) == 0;
        }
    }
    Py_XDECREF(zero);
    return ok ? Py_NewRef(Py_None) : nullptr;
}

// A rule with its settings and its running averages, as a step function's arguments give them.
struct Step {
    std::variant<nn::Sgd, nn::Adam, nn::RmsProp> rule;
    double* averages[3] = {};

    void run(nn::Parameters parameters) {
        if (const auto* sgd = std::get_if<nn::Sgd>(&rule))
            nn::step(parameters, *sgd, averages[0]);
        else if (const auto* adam = std::get_if<nn::Adam>(&rule))
            nn::step(parameters, *adam, averages[0], averages[1], averages[2]);
        else
            nn::step(parameters, std::get<nn::RmsProp>(rule), averages[0], averages[1], averages[2]);
    }
    void set_rate(double rate) {
        std::visit([rate](auto& each) { each.rate = rate; }, rule);
    }
    void count() {  // one step has been made
        if (auto* sgd = std::get_if<nn::Sgd>(&rule)) sgd->first = false;
        if (auto* adam = std::get_if<nn::Adam>(&rule)) adam->step += 1.0;
    }
};

struct Kernel {
    const char* name;
    Py_ssize_t arguments;
    Step (*read)(Arguments& in);
};

constexpr Kernel sgd{"sgd", 8, [](Arguments& in) {
                         in.parameters();
                         nn::Sgd rule{};
                         rule.rate = in.number();
                         rule.weight_decay = in.number();
                         rule.momentum = in.number();
                         rule.dampening = in.number();
                         rule.nesterov = in.truth();
                         rule.first = in.truth();
                         return Step{rule, {in.array()}};
                     }};

constexpr Kernel adam{"adam", 11, [](Arguments& in) {
                          in.parameters();
                          nn::Adam rule{};
                          rule.rate = in.number();
                          rule.weight_decay = in.number();
                          rule.beta1 = in.number();
                          rule.beta2 = in.number();
                          rule.epsilon = in.number();
                          rule.step = in.number();
                          rule.decoupled = in.truth();
                          return Step{rule, {in.array(), in.array(), in.array()}};
                      }};

constexpr Kernel rmsprop{"rmsprop", 9, [](Arguments& in) {
                             in.parameters();
                             nn::RmsProp rule{};
                             rule.rate = in.number();
                             rule.weight_decay = in.number();
                             rule.smoothing = in.number();
                             rule.epsilon = in.number();
                             rule.momentum = in.number();
                             return Step{rule, {in.array(), in.array(), in.array()}};
                         }};

template <const Kernel& kernel>
PyObject* step_once(PyObject*, PyObject* const* args, Py_ssize_t count) {
    Arguments in(args, count, kernel.arguments);
    Step step = kernel.read(in);
    if (!in.done(true)) return nullptr;
    step.run(nodes);
    Py_RETURN_NONE;
}

// The factor by which gradients of a norm are scaled; as PyTorch: the addend keeps a zero gradient zero.
double scale_to(double limit, double norm) { return limit / (norm + 1e-6); }

class Bound final : public BoundUpdate {
  public:
    Bound(const Kernel& kernel, PyObject* arguments)
        : in_(&PyTuple_GET_ITEM(arguments, 0), PyTuple_GET_SIZE(arguments), kernel.arguments),
          step_(kernel.read(in_)) {}

    bool fit(std::size_t count, PyObject* norm, PyObject* value) {
        for (auto [given, kept] : {std::pair{norm, &norm_}, std::pair{value, &value_}}) {
            if (given == Py_None) continue;
            *kept = PyFloat_AsDouble(given);
            if (**kept == -1.0 && PyErr_Occurred()) return false;
        }
        return in_.fit(count);
    }
    bool step(double rate, std::span<Node* const> parameters) override {
        if (norm_) {
            const double norm = nn::gradient_norm(parameters, 2.0);
            if (!std::isfinite(norm)) return false;
            const double factor = scale_to(*norm_, norm);
            if (factor < 1.0) nn::scale_gradients(parameters, factor);
        }
        if (value_) nn::clip_gradients(parameters, *value_);
        step_.set_rate(rate);
        step_.run(parameters);
        step_.count();
        return true;
    }

  private:
    Arguments in_;  // keeps the arrays
    Step step_;
    std::optional<double> norm_, value_;
};

PyObject* clip_norm(PyObject*, PyObject* const* args, Py_ssize_t count) {
    Arguments in(args, count, 3);
    in.parameters();
    double limit = in.number(), order = in.number();
    if (!in.done()) return nullptr;
    double norm = nn::gradient_norm(nodes, order);
    if (!std::isfinite(norm)) {
        PyObject* shown = PyFloat_FromDouble(norm);
        if (shown)
            PyErr_Format(PyExc_FloatingPointError,
                         "the gradient has the norm %R and cannot be scaled to %R: lower the learning rate, or find "
                         "the gradient that is not finite with [p for p in parameters if not math.isfinite(p.grad)]",
                         shown, args[1]);
        Py_XDECREF(shown);
        return nullptr;
    }
    double factor = scale_to(limit, norm);
    if (factor < 1.0) nn::scale_gradients(nodes, factor);
    return PyFloat_FromDouble(norm);
}

PyObject* clip_value(PyObject*, PyObject* const* args, Py_ssize_t count) {
    Arguments in(args, count, 2);
    in.parameters();
    double limit = in.number();
    if (!in.done()) return nullptr;
    nn::clip_gradients(nodes, limit);
    Py_RETURN_NONE;
}

// --- arrays ------------------------------------------------------------------------------------------------------

PyObject* read_into(PyObject* const* args, Py_ssize_t count, double Node::*member) {
    Arguments in(args, count, 2);
    in.parameters();
    double* out = in.array();
    if (!in.done()) return nullptr;
    if (out)
        for (std::size_t i = 0; i < nodes.size(); ++i) out[i] = nodes[i]->*member;
    Py_RETURN_NONE;
}

PyObject* read_data(PyObject*, PyObject* const* args, Py_ssize_t count) { return read_into(args, count, &Node::data); }
PyObject* read_grad(PyObject*, PyObject* const* args, Py_ssize_t count) { return read_into(args, count, &Node::grad); }

PyObject* write_data(PyObject*, PyObject* const* args, Py_ssize_t count) {
    Arguments in(args, count, 2);
    in.parameters();
    const double* data = in.array(false);
    if (!in.done()) return nullptr;
    if (data)
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            nodes[i]->data = data[i];
            nodes[i]->kinds.data = FloatKind;
        }
    Py_RETURN_NONE;
}

PyObject* all_finite(PyObject*, PyObject* parameters) {
    if (!take_parameters(parameters)) return nullptr;
    for (const Node* node : nodes)
        if (!std::isfinite(node->data)) Py_RETURN_FALSE;
    Py_RETURN_TRUE;
}

PyObject* require_leaves(PyObject*, PyObject* parameters) {
    if (!take_parameters(parameters) || !all_leaves(parameters)) return nullptr;
    Py_RETURN_NONE;
}

// A list of new leaves of a type for an array of doubles.
PyObject* leaves(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 2 || !PyType_Check(args[1]) ||
        !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(args[1]), value_type)) {
        PyErr_SetString(PyExc_TypeError, "leaves() takes an array and a type of Values");
        return nullptr;
    }
    struct Buffer : Py_buffer {  // a leaf that finds no memory throws
        ~Buffer() { PyBuffer_Release(this); }
    } buffer{};
    if (PyObject_GetBuffer(args[0], &buffer, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) < 0) return nullptr;
    if (!buffer.format || std::string_view(buffer.format) != "d") {
        PyErr_SetString(PyExc_TypeError, "leaves() takes an array of float64");
        return nullptr;
    }
    auto length = static_cast<Py_ssize_t>(static_cast<std::size_t>(buffer.len) / sizeof(double));
    auto* type = reinterpret_cast<PyTypeObject*>(args[1]);
    auto family = static_cast<std::uint8_t>(family_of(type));
    bool plain = families[family].type == type;  // a subclass runs its own constructor
    const auto* data = static_cast<const double*>(buffer.buf);
    auto list = py::reinterpret_steal<py::object>(PyList_New(length));
    for (Py_ssize_t i = 0; list && i < length; ++i) {
        PyObject* leaf = plain ? new_handle(new_leaf(data[i], FloatKind, family, families[family].dialect()))
                               : PyObject_CallFunction(args[1], "d", data[i]);
        if (!leaf) return nullptr;
        PyList_SET_ITEM(list.ptr(), i, leaf);
    }
    return list.release().ptr();
}

PyMethodDef functions[] = {
    method<zero_grad>("zero_grad", METH_O, "zero_grad(parameters, /)\n--\n\nSet every gradient to zero."),
    method<step_once<sgd>>(
        "sgd_step", METH_FASTCALL,
        "sgd_step(parameters, lr, weight_decay, momentum, dampening, nesterov, first, velocity, /)\n--\n\n"
        "One step of gradient descent; `velocity` is a writable array or None."),
    method<step_once<adam>>(
        "adam_step", METH_FASTCALL,
        "adam_step(parameters, lr, weight_decay, beta1, beta2, eps, step, decoupled, mean, square, largest, /)\n--\n\n"
        "One step of Adam or AdamW; `step` counts from 1, `largest` may be None."),
    method<step_once<rmsprop>>(
        "rmsprop_step", METH_FASTCALL,
        "rmsprop_step(parameters, lr, weight_decay, alpha, eps, momentum, square, mean, velocity, /)\n--\n\n"
        "One step of RMSprop; `mean` and `velocity` may be None."),
    method<clip_norm>(
        "clip_norm", METH_FASTCALL,
        "clip_norm(parameters, limit, order, /)\n--\n\nScale the gradients to at most this norm; the norm before."),
    method<clip_value>("clip_value", METH_FASTCALL,
                       "clip_value(parameters, limit, /)\n--\n\nLimit the magnitude of each gradient."),
    method<read_data>("read_data", METH_FASTCALL,
                      "read_data(values, out, /)\n--\n\nWrite the data of a list of Values into an array."),
    method<read_grad>("read_grad", METH_FASTCALL,
                      "read_grad(values, out, /)\n--\n\nWrite the gradients of a list of Values into an array."),
    method<write_data>("write_data", METH_FASTCALL,
                       "write_data(values, array, /)\n--\n\nSet the data of a list of Values from an array."),
    method<all_finite>("all_finite", METH_O, "all_finite(values, /)\n--\n\nWhether no data is infinite or NaN."),
    method<require_leaves>(
        "require_leaves", METH_O,
        "require_leaves(parameters, /)\n--\n\nRaise ValueError where a parameter is the result of an operation."),
    method<leaves>("leaves", METH_FASTCALL,
                   "leaves(array, type, /)\n--\n\nA list of new leaves from an array of float64."),
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

std::unique_ptr<BoundUpdate> BoundUpdate::read(const char* kernel, PyObject* arguments, std::size_t count,
                                               PyObject* clip_norm, PyObject* clip_value) {
    for (const Kernel* each : {&sgd, &adam, &rmsprop}) {
        if (std::string_view(each->name) != kernel) continue;
        auto bound = std::make_unique<Bound>(*each, arguments);
        if (!bound->fit(count, clip_norm, clip_value)) return nullptr;
        return bound;
    }
    PyErr_Format(PyExc_ValueError, "there is no step function named %s", kernel);
    return nullptr;
}

void add_update(py::module_& m) {
    if (PyModule_AddFunctions(m.ptr(), functions) < 0) throw py::error_already_set();
}

}  // namespace kilograd
