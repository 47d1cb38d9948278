// Update rules, gradient clipping, and arrays in and out of lists of Values. Raw functions, because a training step on
// a small graph takes two microseconds, and a dispatcher would add half of that.
#include "update.hpp"

#include <pybind11/numpy.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "../portable.hpp"
#include "items.hpp"
#include "modes.hpp"
#include "terms.hpp"

namespace kilograd {

namespace {

// The nodes of a list of Values, for one call: Python code, which reading a number may run, can give a Value another
// node. So they are looked up last.
class ListedNodes {
  public:
    ListedNodes() : nodes_(std::move(spare)) {}
    ListedNodes(const ListedNodes&) = delete;
    ListedNodes& operator=(const ListedNodes&) = delete;
    ~ListedNodes() {
        if (nodes_.capacity() <= most_kept) spare = std::move(nodes_);
    }
    bool take(PyObject* list) {
        if (refuse_while_tracing("reading or changing many Values at once (kilograd.arrays, kilograd.optim)"))
            return false;
        if (!PyList_CheckExact(list)) {
            PyErr_Format(PyExc_TypeError, "the parameters are a list of Values, not %.200s", Py_TYPE(list)->tp_name);
            return false;
        }
        if constexpr (free_threaded) {  // another thread may change the list meanwhile
            items_ = Owned(PyList_AsTuple(list));
            if (!items_) return false;
            list = items_.get();
        }
        nodes_.resize(static_cast<std::size_t>(PySequence_Fast_GET_SIZE(list)));
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            PyObject* item = PySequence_Fast_GET_ITEM(list, static_cast<Py_ssize_t>(i));
            if (!is_value(item)) {
                PyErr_Format(PyExc_TypeError, "parameter %zu is no Value but %.200s", i, Py_TYPE(item)->tp_name);
                return false;
            }
            nodes_[i] = node_of(item);
        }
        return true;
    }
    // What an optimiser changes it changes once a step. And it has to be a leaf: a result would be moved away from what
    // it was computed from, and a graph built on it would lead past it. Where it refuses the nodes are of no use any
    // more: the message runs Python.
    bool take_leaves(PyObject* list) {
        if (!take(list)) return false;
        // What lies in the pool is a leaf, without a look at it.
        const auto is_leaf = [](const Node* node) { return Chunk::of(node)->pool || node->is_leaf(); };
        const auto found = std::find_if_not(nodes_.begin(), nodes_.end(), is_leaf);
        if (found == nodes_.end()) return each_once();
        const Py_ssize_t index = found - nodes_.begin();
        PyObject* item = Py_NewRef(PySequence_Fast_GET_ITEM(items_ ? items_.get() : list, index));
        PyObject* op = PyObject_GetAttrString(item, "_op");
        Py_DECREF(item);
        if (!op) return false;
        PyErr_Format(PyExc_ValueError,
                     "parameter %zd is the result of %R and no leaf, so it cannot be trained: change the data of the "
                     "leaf in place, p.data -= lr * p.grad, and do not replace it by a new Value as p = p - lr * "
                     "p.grad does",
                     index, op);
        Py_DECREF(op);
        return false;
    }
    std::size_t size() const { return nodes_.size(); }
    auto begin() const { return nodes_.begin(); }
    auto end() const { return nodes_.end(); }
    operator nn::Parameters() const { return nodes_; }

  private:
    bool each_once() {
        if (nodes_ == distinct) return true;
        const auto first_seen = [](Node* node) { return !node->has(Seen) && (node->flags |= Seen); };
        const auto repeated = std::find_if_not(nodes_.begin(), nodes_.end(), first_seen);
        for (auto node = nodes_.begin(); node != repeated; ++node) (*node)->flags &= static_cast<std::uint8_t>(~Seen);
        if (repeated == nodes_.end()) {
            if (nodes_.size() <= most_kept) distinct = nodes_;
            return true;
        }
        PyErr_Format(PyExc_ValueError, "parameter %zd comes twice, and would be changed twice a step: pass each once",
                     repeated - nodes_.begin());
        return false;
    }

    // The memory of the call before: new pages at each call are dear.
    static inline thread_local std::vector<Node*> spare;
    // The last nodes of which none came twice, for the next step with the same: whether they live does not matter.
    static inline thread_local std::vector<Node*> distinct;
    static constexpr std::size_t most_kept = 1 << 20;

    std::vector<Node*> nodes_;
    Owned items_;
};

// An array of float64, or int64, that somebody else owns.
template <class T>
class Buffer {
  public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() {
        if (buffer_.obj) PyBuffer_Release(&buffer_);
    }
    bool take(PyObject* object, bool writable) {
        const int flags = PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(object, &buffer_, flags) < 0) return false;
        const std::string_view format = buffer_.format ? buffer_.format : "B";
        const char* const formats = std::is_same_v<T, double> ? "d" : "lq";
        if (format.size() == 1 && std::strchr(formats, format[0]) && buffer_.itemsize == sizeof(T)) return true;
        PyErr_Format(PyExc_TypeError, "an array of %s is needed, not of the format %.20s",
                     std::is_same_v<T, double> ? "float64" : "int64", buffer_.format ? buffer_.format : "of bytes");
        return false;
    }
    bool fits(std::size_t count) const {
        if (size() == count) return true;
        PyErr_Format(PyExc_ValueError, "an array of %zu float64 is needed, one for each Value, not of %zu", count,
                     size());
        return false;
    }
    std::size_t size() const { return static_cast<std::size_t>(buffer_.len) / sizeof(T); }
    std::size_t extent(int axis) const {
        return axis < buffer_.ndim ? static_cast<std::size_t>(buffer_.shape[axis]) : 1;
    }
    T* begin() const { return static_cast<T*>(buffer_.buf); }
    T* end() const { return begin() + size(); }

  private:
    Py_buffer buffer_{};
};

bool expect_arguments(const char* name, Py_ssize_t count, Py_ssize_t expected) {
    if (count == expected) return true;
    PyErr_Format(PyExc_TypeError, "%s() takes %zd arguments, and %zd were given", name, expected, count);
    return false;
}

bool to_double(PyObject* object, double& out) {
    out = PyFloat_AsDouble(object);
    return out != -1.0 || !PyErr_Occurred();
}

// Also for objects that only behave like a Value: a model may be built over another class.
PyObject* zero_grad(PyObject*, PyObject* parameters) {
    if (!free_threaded &&
        PyList_CheckExact(parameters)) {  // while all are Values, no Python runs that might change the list
        const Py_ssize_t count = PyList_GET_SIZE(parameters);
        Py_ssize_t i = 0;
        for (; i < count && is_exact_value(PyList_GET_ITEM(parameters, i)); ++i) {
            Node* node = node_of(PyList_GET_ITEM(parameters, i));
            nn::zero_grad({&node, 1});
        }
        if (i == count) Py_RETURN_NONE;
    }
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

// --- update rules ------------------------------------------------------------------------------------------------

py::object python_of(const nn::Setting& setting) {
    if (setting.kind == nn::Setting::Flag) return py::bool_(setting != 0.0);
    if (setting.kind == nn::Setting::Limit && setting == nn::Setting::none) return py::none();
    return py::float_(setting.value);
}

void set(nn::Setting& setting, py::handle given) {
    if (setting.kind == nn::Setting::Flag) {
        const int truth = PyObject_IsTrue(given.ptr());
        if (truth < 0) throw py::error_already_set();
        setting.value = truth;
        return;
    }
    double value = nn::Setting::none;
    if (!(setting.kind == nn::Setting::Limit && given.is_none())) {
        if (!to_double(given.ptr(), value)) throw py::error_already_set();
        if (!setting.allows(value)) {
            PyErr_Format(PyExc_ValueError, "%s is %s, not %R", setting.name,
                         setting.kind == nn::Setting::Fraction ? "at least 0 and below 1" : "a number of at least 0",
                         given.ptr());
            throw py::error_already_set();
        }
    }
    setting.value = value;
}

nn::Setting& setting_named(const Updater& updater, const std::string& name) {
    for (nn::Setting* setting : updater.rule->settings)
        if (setting->name == name) return *setting;
    throw py::key_error(std::string(updater.rule->kind) + " has no setting " + name);
}

// What update_rule() makes the same rule of: (kind, settings, steps, averages), of which some may be None: not begun.
py::tuple rule_state(const Updater& updater) {
    py::dict settings, averages;
    for (const nn::Setting* setting : updater.rule->settings) settings[setting->name] = python_of(*setting);
    for (const nn::Average* average : updater.rule->averages) {
        py::object values = py::none();
        if (average->begun())
            values = py::array_t<double>(static_cast<py::ssize_t>(average->values.size()), average->values.data());
        averages[average->name] = values;
    }
    return py::make_tuple(updater.rule->kind, settings, updater.rule->steps, averages);
}

PyObject* update_rule(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (!expect_arguments("update_rule", count, 4)) return nullptr;
    return guarded([&]() -> py::object {
        const auto kind = py::cast<std::string>(py::handle(args[0]));
        auto updater = std::make_unique<Updater>(Updater{nn::UpdateRule::make(kind)});
        if (!updater->rule) throw py::value_error("there is no optimizer of the kind " + kind);
        for (auto [name, value] : py::cast<py::dict>(py::handle(args[1])))
            set(setting_named(*updater, py::cast<std::string>(name)), value);
        updater->rule->steps = py::cast<std::uint64_t>(py::handle(args[2]));
        const auto averages = py::cast<py::dict>(py::handle(args[3]));
        for (nn::Average* average : updater->rule->averages) {
            const py::object values = averages.attr("get")(average->name);
            Buffer<double> doubles;
            if (values.is_none()) continue;
            if (!doubles.take(values.ptr(), false)) throw py::error_already_set();
            average->values.assign(doubles.begin(), doubles.begin() + doubles.size());
        }
        return Box<Updater>::make(std::move(updater));
    });
}

// The arguments (rule, parameters, ...) of a function: parameters that the rule can train.
nn::UpdateRule* rule_for(PyObject* object, PyObject* parameters, ListedNodes& nodes) {
    nn::UpdateRule* const rule = Box<Updater>::expect(object).rule.get();
    if (!nodes.take_leaves(parameters)) return nullptr;
    if (rule->fits(nodes.size())) return rule;
    PyErr_Format(PyExc_ValueError, "there are %zu parameters now, and another number when the training began",
                 nodes.size());
    return nullptr;
}

void refuse_norm(double norm, PyObject* limit) {
    PyObject* shown = PyFloat_FromDouble(norm);
    if (shown)
        PyErr_Format(PyExc_FloatingPointError,
                     "the gradient has the norm %R and cannot be scaled to %R: lower the learning rate, or find "
                     "the gradient that is not finite with [p for p in parameters if not math.isfinite(p.grad)]",
                     shown, limit);
    Py_XDECREF(shown);
}

PyObject* update(PyObject*, PyObject* const* args, Py_ssize_t count) {
    double rate;
    ListedNodes nodes;
    if (!expect_arguments("update", count, 3) || !to_double(args[2], rate)) return nullptr;
    nn::UpdateRule* const rule = rule_for(args[0], args[1], nodes);
    if (!rule) return nullptr;
    if (!(rate >= 0.0 && std::isfinite(rate))) {
        PyErr_Format(PyExc_ValueError, "the learning rate of step %llu is a number of at least 0, not %R",
                     static_cast<unsigned long long>(rule->steps), args[2]);
        return nullptr;
    }
    if (rule->step(nodes, rate)) Py_RETURN_NONE;
    refuse_norm(nn::gradient_norm(nodes, 2.0), python_of(rule->clip_norm).ptr());
    return nullptr;
}

PyObject* bookmark(PyObject*, PyObject* const* args, Py_ssize_t count) {
    ListedNodes nodes;
    if (!expect_arguments("bookmark", count, 2)) return nullptr;
    const nn::UpdateRule* const rule = rule_for(args[0], args[1], nodes);
    if (!rule) return nullptr;
    auto taken = std::make_unique<Bookmark>();
    taken->state.take(*rule, nodes);
    return Box<Bookmark>::make(std::move(taken)).release().ptr();
}

PyObject* restore(PyObject*, PyObject* const* args, Py_ssize_t count) {
    ListedNodes nodes;
    if (!expect_arguments("restore", count, 3)) return nullptr;
    nn::UpdateRule* const rule = rule_for(args[0], args[1], nodes);
    if (!rule) return nullptr;
    const nn::Bookmark& state = Box<Bookmark>::expect(args[2]).state;
    if (!state.fits(*rule, nodes.size())) throw py::value_error("the bookmark is of another optimizer");
    state.restore(*rule, nodes);
    Py_RETURN_NONE;
}

// --- gradients ---------------------------------------------------------------------------------------------------

PyObject* clip_norm(PyObject*, PyObject* const* args, Py_ssize_t count) {
    double limit, order;
    ListedNodes nodes;
    if (!expect_arguments("clip_norm", count, 3) || !to_double(args[1], limit) || !to_double(args[2], order) ||
        !nodes.take(args[0]))
        return nullptr;
    const double norm = nn::gradient_norm(nodes, order);
    if (!std::isfinite(norm)) {
        refuse_norm(norm, args[1]);
        return nullptr;
    }
    nn::limit_norm(nodes, norm, limit);
    return PyFloat_FromDouble(norm);
}

PyObject* clip_value(PyObject*, PyObject* const* args, Py_ssize_t count) {
    double limit;
    ListedNodes nodes;
    if (!expect_arguments("clip_value", count, 2) || !to_double(args[1], limit) || !nodes.take(args[0])) return nullptr;
    nn::limit_values(nodes, limit);
    Py_RETURN_NONE;
}

// --- arrays ------------------------------------------------------------------------------------------------------

template <class Set>
PyObject* write(PyObject* const* args, Py_ssize_t count, Set set) {
    Buffer<double> numbers;
    ListedNodes nodes;
    if (!expect_arguments("write", count, 2) || !numbers.take(args[1], false) || !nodes.take(args[0]) ||
        !numbers.fits(nodes.size()))
        return nullptr;
    const double* next = numbers.begin();
    for (Node* node : nodes) set(node, *next++);
    Py_RETURN_NONE;
}

template <auto member>
PyObject* read(PyObject*, PyObject* const* args, Py_ssize_t count) {
    Buffer<double> out;
    ListedNodes nodes;
    if (!expect_arguments("read", count, 2) || !out.take(args[1], true) || !nodes.take(args[0]) ||
        !out.fits(nodes.size()))
        return nullptr;
    std::transform(nodes.begin(), nodes.end(), out.begin(), [](const Node* node) { return node->*member; });
    Py_RETURN_NONE;
}

PyObject* write_data(PyObject*, PyObject* const* args, Py_ssize_t count) {
    return write(args, count, [](Node* node, double value) {
        node->data = value;
        node->kinds.data = FloatKind;
    });
}

PyObject* write_grad(PyObject*, PyObject* const* args, Py_ssize_t count) {
    return write(args, count, [](Node* node, double value) {
        node->grad = value;
        node->kinds.grad = FloatKind;
    });
}

// Some rows of a table, into columns of a matrix. Where they lie is known long before they are read: rows in an order
// drawn at random are fetched ahead, as many cache lines as memory has under way.
PyObject* take_rows(PyObject*, PyObject* const* args, Py_ssize_t count) {
    Buffer<double> table, out;
    Buffer<std::int64_t> which;
    if (!expect_arguments("take_rows", count, 4)) return nullptr;
    const std::size_t first = PyLong_AsSize_t(args[3]);
    if ((first == static_cast<std::size_t>(-1) && PyErr_Occurred()) || !table.take(args[0], false) ||
        !which.take(args[1], false) || !out.take(args[2], true))
        return nullptr;
    const std::size_t rows = table.extent(0), width = rows ? table.size() / rows : 0, pitch = out.extent(1);
    const auto inside = [&](std::int64_t row) { return row >= 0 && static_cast<std::size_t>(row) < rows; };
    if (out.extent(0) != which.size() || first + width > pitch || !std::all_of(which.begin(), which.end(), inside)) {
        PyErr_SetString(PyExc_ValueError, "take_rows() needs rows of the table, and a matrix that has room for them");
        return nullptr;
    }
    constexpr std::size_t line = 64 / sizeof(double);
    const std::size_t ahead = std::max<std::size_t>(128 / (width / line + 1), 8);
    const std::int64_t* next = which.begin();
    double* to = out.begin() + first;
    for (std::size_t left = which.size(); left > 0; --left, ++next, to += pitch) {
        if (ahead < left)
            for (std::size_t k = 0; k < width; k += line)
                prefetch(table.begin() + static_cast<std::size_t>(next[ahead]) * width + k);
        const double* from = table.begin() + static_cast<std::size_t>(*next) * width;
        if (width > 8) {
            std::copy_n(from, width, to);
        } else {  // a call would cost more than the numbers
            if (width % 2) *to = *from;
            for (std::size_t k = width % 2; k < width; k += 2) {
                const double a = from[k], b = from[k + 1];
                to[k] = a;
                to[k + 1] = b;
            }
        }
    }
    Py_RETURN_NONE;
}

PyObject* all_finite(PyObject*, PyObject* parameters) {
    ListedNodes nodes;
    if (!nodes.take(parameters)) return nullptr;
    return PyBool_FromLong(
        std::all_of(nodes.begin(), nodes.end(), [](const Node* node) { return std::isfinite(node->data); }));
}

PyObject* require_leaves(PyObject*, PyObject* parameters) {
    ListedNodes nodes;
    if (!nodes.take_leaves(parameters)) return nullptr;
    Py_RETURN_NONE;
}

// A list of new leaves of a type for an array of doubles.
PyObject* leaves(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (!expect_arguments("leaves", count, 2)) return nullptr;
    auto* type = reinterpret_cast<PyTypeObject*>(args[1]);
    if (!PyType_Check(args[1]) || !PyType_IsSubtype(type, value_type)) {
        PyErr_SetString(PyExc_TypeError, "leaves() takes an array and a type of Values");
        return nullptr;
    }
    Buffer<double> data;
    if (!data.take(args[0], false)) return nullptr;
    const auto family = static_cast<std::uint8_t>(family_of(type));
    const bool plain = families[family].type == type;  // a subclass runs its own constructor
    const auto list = py::reinterpret_steal<py::object>(PyList_New(static_cast<Py_ssize_t>(data.size())));
    for (std::size_t i = 0; list && i < data.size(); ++i) {
        const double x = data.begin()[i];
        PyObject* leaf = plain ? new_handle(new_leaf(x, FloatKind, family, families[family].dialect()))
                               : PyObject_CallFunction(args[1], "d", x);
        if (!leaf) return nullptr;
        PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), leaf);
    }
    return Py_XNewRef(list.ptr());
}

PyMethodDef update_functions[] = {
    method<update_rule>("update_rule", METH_FASTCALL,
                        "update_rule(kind, settings, steps, averages, /)\n--\n\n"
                        "The formula of an optimizer, with its settings and running averages by name."),
    method<update>("update", METH_FASTCALL,
                   "update(rule, parameters, lr, /)\n--\n\nClip the gradients and make one step."),
    method<bookmark>("bookmark", METH_FASTCALL,
                     "bookmark(rule, parameters, /)\n--\n\nWhat the parameters and the rule are now."),
    method<restore>("restore", METH_FASTCALL,
                    "restore(rule, parameters, bookmark, /)\n--\n\nGo back to where a bookmark was taken."),
    method<zero_grad>("zero_grad", METH_O, "zero_grad(parameters, /)\n--\n\nSet every gradient to zero."),
    method<clip_norm>(
        "clip_norm", METH_FASTCALL,
        "clip_norm(parameters, limit, order, /)\n--\n\nScale the gradients to at most this norm; the norm before."),
    method<clip_value>("clip_value", METH_FASTCALL,
                       "clip_value(parameters, limit, /)\n--\n\nLimit the magnitude of each gradient."),
    method<read<&Node::data>>("read_data", METH_FASTCALL,
                              "read_data(values, out, /)\n--\n\nWrite the data of a list of Values into an array."),
    method<read<&Node::grad>>(
        "read_grad", METH_FASTCALL,
        "read_grad(values, out, /)\n--\n\nWrite the gradients of a list of Values into an array."),
    method<write_data>("write_data", METH_FASTCALL,
                       "write_data(values, array, /)\n--\n\nSet the data of a list of Values from an array."),
    method<write_grad>("write_grad", METH_FASTCALL,
                       "write_grad(values, array, /)\n--\n\nSet the gradients of a list of Values from an array."),
    method<take_rows>("take_rows", METH_FASTCALL,
                      "take_rows(table, which, out, first, /)\n--\n\nWrite some rows of a table into a matrix."),
    method<all_finite>("all_finite", METH_O, "all_finite(values, /)\n--\n\nWhether no data is infinite or NaN."),
    method<require_leaves>("require_leaves", METH_O,
                           "require_leaves(parameters, /)\n--\n\nRaise ValueError where a parameter is the result of "
                           "an operation, or comes "
                           "twice."),
    method<leaves>("leaves", METH_FASTCALL,
                   "leaves(array, type, /)\n--\n\nA list of new leaves from an array of float64."),
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

void add_update(py::module_& m) {
    if (PyModule_AddFunctions(m.ptr(), update_functions) < 0) throw py::error_already_set();
    BoxedType<Updater>("kilograd._core._UpdateRule", "The formula of an optimizer with its settings and averages.")
        .def("__getitem__",
             [](const Updater& self, const std::string& name) { return python_of(setting_named(self, name)); })
        .def("__setitem__", [](const Updater& self, const std::string& name,
                               py::handle value) { set(setting_named(self, name), value); })
        .def("__reduce__",
             [](const Updater& self) {
                 return py::make_tuple(py::module_::import("kilograd._core").attr("update_rule"), rule_state(self));
             })
        .def("state", rule_state)
        .def_property(
            "steps", [](const Updater& self) { return self.rule->steps; },
            [](const Updater& self, std::uint64_t steps) { self.rule->steps = steps; });
    BoxedType<Bookmark>("kilograd._core._Bookmark", "The parameters and the rule of an optimizer at one moment.");
}

}  // namespace kilograd
