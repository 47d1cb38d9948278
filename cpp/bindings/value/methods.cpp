// One method per row of the op table, backward(), formatting, copying.
#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "../../engine/arena.hpp"
#include "../../engine/backward.hpp"
#include "../../engine/replay.hpp"
#include "../errors.hpp"
#include "../modes.hpp"
#include "../numbers.hpp"
#include "pickle.hpp"
#include "value.hpp"

namespace kilograd {

namespace {

template <Op op>
PyObject* unary_method(PyObject* self, PyObject*) {
    Node* node = build(op, node_of(self), nullptr, 0.0, FloatKind);
    return node ? wrap(node) : nullptr;
}

PyObject* leaky_relu(PyObject* self, PyObject* args, PyObject* kwargs) {
    static const char* names[] = {"slope", nullptr};
    PyObject* slope = nullptr;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:leaky_relu", const_cast<char**>(names), &slope)) return nullptr;
    Number number{0.01, FloatKind};
    if (slope && !require_number(slope, "the slope of leaky_relu", number)) return nullptr;
    Node* node = build(Op::leaky_relu, node_of(self), nullptr, number.value, number.kind);
    return node ? wrap(node) : nullptr;
}

// The keywords of other libraries, as retain_graph: all but one, or all where that is null.
bool refuse_keywords(PyObject* keywords, const char* method, const char* own, const char* instead) {
    PyObject *name, *value;
    Py_ssize_t position = 0;
    while (keywords && PyDict_Next(keywords, &position, &name, &value)) {
        if (own && PyUnicode_CompareWithASCIIString(name, own) == 0) continue;
        PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword %R: %s", method, name, instead);
        return true;
    }
    return false;
}

// Losses that were differentiated and are kept, each with its graph: `losses.append(loss)` for a curve. Looked for
// where the memory has doubled since the last look, so that what is kept on purpose costs a look or two.
class KeptLosses {
  public:
    // False with an error set, where the warning is one.
    bool warned() {
        if (mapped_bytes() < look_at_) [[likely]]
            return true;
        look_at_ = 2 * mapped_bytes();
        const std::size_t nodes = arena().live_nodes();
        std::size_t losses = 0;
        arena().for_each_node([&](Node* node) { losses += node->refs == 1 && node->handle && node->grad != 0.0; });
        if (nodes < many_nodes || losses < many_losses) return true;
        look_at_ = std::numeric_limits<std::size_t>::max();
        const Owned module(PyImport_ImportModule("kilograd.modes"));
        const Owned category(module ? PyObject_GetAttrString(module.get(), "KeptGraphsWarning") : nullptr);
        if (!category) return false;
        return PyErr_WarnFormat(
                   category.get(), 1,
                   "%zu results of backward() are kept, and with their graphs %zu nodes: where a number will "
                   "do, keep loss.data and not the loss",
                   losses, nodes) == 0;
    }

  private:
    static constexpr std::size_t many_nodes = 1'000'000, many_losses = 100;
    std::size_t look_at_ = many_nodes * sizeof(Node);
};
KILOGRAD_PER_THREAD KeptLosses kept_losses;

PyObject* value_backward(PyObject* self, PyObject* args, PyObject* kwargs) {
    static const char* names[] = {"grad", nullptr};
    PyObject* grad = nullptr;
    if (refuse_while_tracing("backward()") ||
        refuse_keywords(
            kwargs, "backward", "grad",
            "it takes grad, the gradient of the root, and a graph stays for as long as something refers to it"))
        return nullptr;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:backward", const_cast<char**>(names), &grad)) return nullptr;
    Number seed{1.0, IntKind};
    if (grad && !require_number(grad, "the grad of backward()", seed)) return nullptr;
    const HeldNode root(node_of(self));
    if (!backward(root.get(), seed.value, seed.kind) || !kept_losses.warned()) return nullptr;
    Py_RETURN_NONE;
}

// Names a node that forward() cannot recompute.
void raise_not_replayable(Node* node, const char* why) {
    PyObject* handle = handle_of(node);
    PyObject* label = handle ? op_label(node) : nullptr;
    if (label) PyErr_Format(PyExc_RuntimeError, "forward() cannot recompute %R, made by %R: %s", handle, label, why);
    Py_XDECREF(label);
    Py_XDECREF(handle);
}

PyObject* value_forward(PyObject* self, PyObject*) {
    if (refuse_while_tracing("forward()")) return nullptr;
    const HeldNode root(node_of(self));
    Replay replay = forward(root.get());
    switch (replay.outcome) {
        case Outcome::Done:
        case Outcome::HostFailed:
            break;
        case Outcome::Refused:
            raise_fault(replay.fault, replay.node->op, replay.a, replay.b, replay.node->constant);
            break;
        case Outcome::Fixed:
            raise_not_replayable(replay.node,
                                 "its local gradients are numbers fixed when it was built. Build the graph anew, or "
                                 "write the operation with Values");
            break;
        case Outcome::NoRule:
            raise_not_replayable(replay.node,
                                 "its rule is Python's. Give it a _forward that returns its data, computed from the "
                                 "present data of its operands, or build the graph anew");
            break;
    }
    if (replay.outcome != Outcome::Done) return nullptr;
    return number_object(root.get()->data, root.get()->kinds.data);
}

PyObject* value_zero_grad(PyObject* self, PyObject* args, PyObject* kwargs) {
    if (refuse_while_tracing("zero_grad()") ||
        refuse_keywords(kwargs, "zero_grad", nullptr, "gradients are numbers, which become 0.0; leave it out") ||
        !PyArg_ParseTuple(args, ":zero_grad"))
        return nullptr;
    zero_grad(node_of(self));
    Py_RETURN_NONE;
}

PyObject* value_repr(PyObject* self) {
    Node* node = node_of(self);
    const Family& family = families[node->family];
    PyObject* data = read_data(self);
    if (tracing()) {  // it stands for a number, whose text is what the function asked for
        PyObject* number = data ? PyObject_Repr(data) : nullptr;
        Py_XDECREF(data);
        return number;
    }
    PyObject* grad = family.shows_grad ? number_object(node->grad, node->kinds.grad) : nullptr;
    PyObject* text = nullptr;
    if (data && grad) {
        text = PyUnicode_FromFormat("%U(data=%R, grad=%R)", family.name, data, grad);
    } else if (data && !family.shows_grad) {
        text = PyUnicode_FromFormat("%U(data=%R)", family.name, data);
    }
    Py_XDECREF(data);
    Py_XDECREF(grad);
    return text;
}

PyObject* value_format(PyObject* self, PyObject* spec) {
    if (!PyUnicode_Check(spec)) {
        PyErr_Format(PyExc_TypeError, "Value.__format__() takes a str, not %.200s", Py_TYPE(spec)->tp_name);
        return nullptr;
    }
    if (PyUnicode_GetLength(spec) == 0) return PyObject_Str(self);
    PyObject* data = read_data(self);
    PyObject* text = data ? PyObject_Format(data, spec) : nullptr;
    Py_XDECREF(data);
    return text;
}

PyObject* value_round(PyObject* self, PyObject* args) {
    if (tracing() && PyTuple_GET_SIZE(args) == 0) {  // an int, as of a float
        const Owned near(apply_row(Op::rint, self, nullptr));
        return near ? PyNumber_Long(near.get()) : nullptr;
    }
    if (tracing()) {
        if (!note("raises", Py_None, Py_None, true)) return nullptr;
        PyErr_SetString(PyExc_TypeError,
                        "round(x, n) is not recorded inside a compiled function: numpy.round(x, n) is");
        return nullptr;
    }
    PyErr_SetString(PyExc_TypeError,
                    "a Value is not rounded, because that would silently drop its gradient: use round(v.data, 2) for "
                    "the number, f\"{v:.2f}\" for its text");
    return nullptr;
}

// What notebooks ask for; made in Python. While a function is recorded the Value stands for a number, which has none.
PyObject* value_html(PyObject* self, PyObject*) {
    if (tracing()) Py_RETURN_NONE;
    const Owned module(PyImport_ImportModule("kilograd.display.values"));
    return module ? PyObject_CallMethod(module.get(), "html", "O", self) : nullptr;
}

template <PyObject* (*function)(PyObject*, PyObject*)>
PyObject* binary_method(PyObject* self, PyObject* other) {
    return function(self, other);
}

// Rows that NumPy names otherwise.
constexpr std::pair<const char*, const char*> numpy_names[] = {{"asin", "arcsin"},   {"acos", "arccos"},
                                                               {"atan", "arctan"},   {"asinh", "arcsinh"},
                                                               {"acosh", "arccosh"}, {"atanh", "arctanh"}};

// A docstring as inspect.signature and editors read it. Made once for each method; lives as long as the process.
const char* documented(const std::string& name, const char* parameters, const char* doc) {
    return (new std::string(name + parameters + "\n--\n\n" + doc))->c_str();
}

template <auto fn>
PyMethodDef unary_row(const char* name, const char* doc) {
    return method<fn>(name, METH_NOARGS, documented(name, "($self, /)", doc));
}

template <auto fn>
PyMethodDef binary_row(const char* name, const char* doc) {
    return method<fn>(name, METH_O, documented(name, "($self, other, /)", doc));
}

std::vector<PyMethodDef> make_methods() {
    std::vector<PyMethodDef> methods = {
        method<value_backward>(
            "backward", METH_VARARGS | METH_KEYWORDS,
            "backward($self, /, grad=1.0)\n--\n\n"
            "Set the gradient of this node to `grad` and add into the gradient of every ancestor.\n\n"
            "Gradients accumulate, interior ones included: zero them between two calls.\n\n"
            "Parameters\n----------\ngrad : float, optional\n    The gradient of the root itself.\n"),
        method<value_zero_grad>(
            "zero_grad", METH_VARARGS | METH_KEYWORDS,
            "zero_grad($self, /)\n--\n\nSet the gradient of this node and of every ancestor to zero."),
        method<value_forward>(
            "forward", METH_NOARGS,
            "forward($self, /)\n--\n\n"
            "Recompute the data of everything that this node was computed from, given the present data of the "
            "leaves.\n\n"
            "The graph stays: set the leaves that are inputs, call ``forward()``, ``backward()``, and so on. Gradients "
            "of\n"
            "all nodes but the leaves become zero, as if the graph had just been built.\n\n"
            "Returns\n-------\nfloat\n    The new data of this node.\n\n"
            "Raises\n------\n"
            "ValueError, OverflowError, ZeroDivisionError\n"
            "    If an operation is outside its domain at the new data; then all data and gradients are as before.\n"
            "RuntimeError\n"
            "    If a node among them has a rule written in Python and no ``_forward``, a function without arguments "
            "that\n"
            "    returns the node's data (or sets it, and returns None); or local gradients that are fixed numbers.\n"),
        method<leaky_relu>("leaky_relu", METH_VARARGS | METH_KEYWORDS,
                           documented("leaky_relu", "($self, /, slope=0.01)", info(Op::leaky_relu).doc)),
        binary_row<binary_method<value_maximum>>("maximum", info(Op::maximum).doc),
        binary_row<binary_method<value_minimum>>("minimum", info(Op::minimum).doc),
        method<value_format>(
            "__format__", METH_O,
            "__format__($self, format_spec, /)\n--\n\nFormat the data; an empty format gives the repr."),
        method<value_round>(
            "__round__", METH_VARARGS,
            "__round__($self, ndigits=None, /)\n--\n\nRefused: it would drop the gradient. Round ``v.data``."),
        method<value_floor>("__floor__", METH_NOARGS,
                            "__floor__($self, /)\n--\n\nOf the number, in a function that is recorded."),
        method<value_ceil>("__ceil__", METH_NOARGS,
                           "__ceil__($self, /)\n--\n\nOf the number, in a function that is recorded."),
        method<value_trunc>("__trunc__", METH_NOARGS,
                            "__trunc__($self, /)\n--\n\nOf the number, in a function that is recorded."),
        method<value_html>("_repr_html_", METH_NOARGS,
                           "_repr_html_($self, /)\n--\n\nThe graph as a notebook shows it; None where it cannot be."),
        method<value_reduce>("__reduce__", METH_NOARGS,
                             "__reduce__($self, /)\n--\n\nPickle with the graph, without recursion."),
        method<value_copy>("__copy__", METH_NOARGS,
                           "__copy__($self, /)\n--\n\nA new node with the same operands, data and gradient."),
    };
#define UNARY_METHOD_Unary(name, doc)                    \
    if (static_cast<std::size_t>(Op::name) < method_end) \
        methods.push_back(unary_row<unary_method<Op::name>>(#name, doc));
#define UNARY_METHOD_Param(name, doc)
#define UNARY_METHOD_Binary(name, doc)
#define KILOGRAD_OP(name, label, arity, edge, value_, da_, db_, doc) UNARY_METHOD_##arity(name, doc)
#include "../../ops.def"
#undef KILOGRAD_OP
    // NumPy's functions call the method of their own name on the elements of an object array.
    for (const auto& [name, alias] : numpy_names) {
        const auto same = [name = name](const PyMethodDef& each) { return std::strcmp(each.ml_name, name) == 0; };
        PyMethodDef twin = *std::find_if(methods.begin(), methods.end(), same);
        twin.ml_name = alias;
        twin.ml_doc = documented(alias, "($self, /)", std::strstr(twin.ml_doc, "--\n\n") + 4);
        methods.push_back(twin);
    }
    methods.push_back({nullptr, nullptr, 0, nullptr});
    return methods;
}

}  // namespace

void add_method_slots(std::vector<PyType_Slot>& slots) {
    static std::vector<PyMethodDef> methods = make_methods();
    slots.push_back({Py_tp_methods, methods.data()});
    slots.push_back(slot<value_repr>(Py_tp_repr));
}

}  // namespace kilograd
