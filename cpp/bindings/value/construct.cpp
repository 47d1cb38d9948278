// Value(data, children, op or local gradients, label), under every name that the three public dialects use.
#include <new>

#include "../items.hpp"
#include "../modes.hpp"
#include "../numbers.hpp"
#include "value.hpp"

namespace kilograd {

namespace {

struct Arguments {
    PyObject* data = nullptr;
    PyObject* children = nullptr;
    PyObject* third = nullptr;  // an op name, or local gradients
    PyObject* label = nullptr;
};

struct Keyword {
    const char* name;
    PyObject* Arguments::*target;
};

constexpr Keyword keywords[] = {
    {"data", &Arguments::data},         {"children", &Arguments::children},  {"_children", &Arguments::children},
    {"_prev", &Arguments::children},    {"op", &Arguments::third},           {"_op", &Arguments::third},
    {"local_grads", &Arguments::third}, {"_local_grads", &Arguments::third}, {"label", &Arguments::label},
};

constexpr PyObject* Arguments::*positions[] = {&Arguments::data, &Arguments::children, &Arguments::third,
                                               &Arguments::label};

bool take_positional(Arguments& out, PyObject* const* args, Py_ssize_t count) {
    if (count > 4) {
        PyErr_Format(PyExc_TypeError,
                     "Value() takes at most 4 positional arguments: data, children, op or local "
                     "gradients, label; got %zd",
                     count);
        return false;
    }
    for (Py_ssize_t i = 0; i < count; ++i) out.*positions[i] = args[i];
    return true;
}

bool take_keyword(Arguments& out, PyObject* name, PyObject* value) {
    for (const Keyword& keyword : keywords) {
        if (PyUnicode_CompareWithASCIIString(name, keyword.name) != 0) continue;
        if (out.*keyword.target) {
            PyErr_Format(PyExc_TypeError, "Value() got several values for %U", name);
            return false;
        }
        out.*keyword.target = value;
        return true;
    }
    PyErr_Format(
        PyExc_TypeError,
        "Value() got an unexpected keyword %R: it takes data, _children (children, _prev), _op or local_grads, "
        "label",
        name);
    return false;
}

// Owned references to what a node is made from.
struct Reference {
    PyObject* object = nullptr;
    ~Reference() { Py_XDECREF(object); }
    bool take(PyObject* fresh) {
        object = fresh;
        return object != nullptr;
    }
};

// The node that the arguments ask for; null with an error set. `op_name` gets a borrowed reference or null.
Node* make_node(const Arguments& arguments, std::uint8_t family, PyObject*& op_name) {
    const Family& dialect = families[family];
    Number data{};
    if (!arguments.data) {
        PyErr_SetString(PyExc_TypeError, "Value() needs a number: Value(data)");
        return nullptr;
    }
    if (!require_number(arguments.data, "the data of a Value", data)) return nullptr;
    PyObject* third = arguments.third;
    bool named = !third || third == Py_None || PyUnicode_Check(third);
    op_name = named && third && third != Py_None && PyUnicode_GetLength(third) ? third : nullptr;
    Items children, locals;
    if (arguments.children && arguments.children != Py_None &&
        !children.take(arguments.children, "the children of a Value must be a tuple, list or set of Values"))
        return nullptr;
    const std::size_t count = children.size();
    for (std::size_t i = 0; i < count; ++i) {
        if (is_value(children[i])) continue;
        PyErr_Format(PyExc_TypeError, "child %zu of a Value must be a Value, not %.200s: wrap numbers as Value(x)", i,
                     Py_TYPE(children[i])->tp_name);
        return nullptr;
    }
    std::vector<Number> local(named ? 0 : count);
    if (!named) {
        if (!locals.take(third,
                         "the third argument of Value() must be an op name (str) or a sequence of local gradients, one "
                         "per child"))
            return nullptr;
        if (locals.size() != count) {
            PyErr_Format(PyExc_ValueError, "Value() got %zu local gradients for %zu children: give one per child",
                         locals.size(), count);
            return nullptr;
        }
        for (std::size_t i = 0; i < count; ++i)
            if (!require_number(locals[i], "a local gradient", local[i])) return nullptr;
    }
    if (count == 0 || !recording()) return new_leaf(data.value, data.kind, family, dialect.dialect());
    Fan* fan = new_fan(static_cast<std::uint32_t>(count));
    for (std::size_t i = 0; i < count; ++i) {
        Number number = named ? Number{0.0, FloatKind} : local[i];
        fan->begin()[i] = {node_of(children[i]), number.value, number.kind};
    }
    return record_fan(named ? Op::custom : Op::linear, data.value, data.kind, fan, family, dialect.dialect());
}

// No label is as good as an empty one.
PyObject* label_or_null(PyObject* label) {
    return label && PyUnicode_Check(label) && PyUnicode_GetLength(label) == 0 ? nullptr : label;
}

bool set_names(Handle* handle, PyObject* op_name, PyObject* label) {
    label = label_or_null(label);
    if (!op_name && !label) return true;
    HandleState* state = state_of(handle);
    if (!state) return false;
    mark_state(handle, op_name);
    if (label) mark_state(handle, label);
    if (op_name) release_object(std::exchange(state->op, Py_NewRef(op_name)));
    if (label) release_object(std::exchange(state->label, Py_NewRef(label)));
    return true;
}

PyObject* value_new(PyTypeObject* type, PyObject*, PyObject*) {
    auto family = static_cast<std::uint8_t>(family_of(type));
    Node* node = new_leaf(0.0, FloatKind, family, families[family].dialect());
    if (families[family].type == type) return new_handle(node);
    PyObject* self = type->tp_alloc(type, 0);
    if (!self) {
        release(node);
        return nullptr;
    }
    node->flags |= Stateful;  // its class must come back with it
    return bound(self, node);
}

// Gives a Value that exists what was made for it by a call of __init__; takes over the reference to `made`.
bool begin_anew(Handle* handle, Node* made) {
    if (!handle->node->is_leaf() || !made->is_leaf()) let_joins_end();
    Node* node = handle->node;
    bool leaves = node->is_leaf() && made->is_leaf();
    if (node->refs > 1 && !leaves) {
        release_node(made);
        PyErr_SetString(PyExc_RuntimeError,
                        "__init__() cannot give new operands to a Value that others were computed from, or take its "
                        "operands away: make a new Value. (For a new number, assign v.data)");
        return false;
    }
    if (leaves) {  // in place: what was computed from it, or holds it, finds the new number
        node->data = made->data;
        node->grad = made->grad;
        node->kinds.data = made->kinds.data;
        node->kinds.grad = made->kinds.grad;
        release_node(made);
    } else {
        const HeldNode before(node);
        replace_node(handle, made);
        if (!bind_operands(handle)) {
            ++node->refs;
            replace_node(handle, node);
            return false;
        }
    }
    forget_names(handle);
    return true;
}

int value_init(PyObject* self, PyObject* args, PyObject* kwargs) {
    Arguments arguments;
    PyObject* const* items = reinterpret_cast<PyTupleObject*>(args)->ob_item;
    if (!take_positional(arguments, items, PyTuple_GET_SIZE(args))) return -1;
    if (kwargs) {
        PyObject *name, *value;
        Py_ssize_t position = 0;
        while (PyDict_Next(kwargs, &position, &name, &value))
            if (!take_keyword(arguments, name, value)) return -1;
    }
    Handle* handle = as_handle(self);
    PyObject* op_name;
    Node* node = make_node(arguments, handle->node->family, op_name);
    if (!node) return -1;
    if ((op_name || label_or_null(arguments.label)) && !state_of(handle)) {
        release_node(node);
        return -1;
    }
    if (!begin_anew(handle, node)) return -1;
    return set_names(handle, op_name, arguments.label) ? 0 : -1;
}

}  // namespace

static PyObject* construct(PyObject* type, PyObject* const* args, std::size_t nargsf, PyObject* keyword_names) {
    Arguments arguments;
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    int family = family_of(reinterpret_cast<PyTypeObject*>(type));
    if (count == 1 && !keyword_names) {  // Value(2.0): the usual call
        arguments.data = args[0];
    } else {
        if (!take_positional(arguments, args, count)) return nullptr;
        Py_ssize_t keywords_given = keyword_names ? PyTuple_GET_SIZE(keyword_names) : 0;
        for (Py_ssize_t i = 0; i < keywords_given; ++i)
            if (!take_keyword(arguments, PyTuple_GET_ITEM(keyword_names, i), args[count + i])) return nullptr;
    }
    PyObject* op_name;
    Node* node = make_node(arguments, static_cast<std::uint8_t>(family), op_name);
    PyObject* self = node ? wrap(node) : nullptr;
    if (self && !set_names(as_handle(self), op_name, arguments.label)) Py_CLEAR(self);
    return self;
}

// The class is mutable: where somebody replaced its __init__ or __new__, the call goes the long way through them.
static PyObject* construct_by_slots(PyObject* type, PyObject* const* args, std::size_t nargsf,
                                    PyObject* keyword_names) {
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    Py_ssize_t keywords_given = keyword_names ? PyTuple_GET_SIZE(keyword_names) : 0;
    Reference positional, named;
    if (!positional.take(PyTuple_New(count)) || !named.take(PyDict_New())) return nullptr;
    for (Py_ssize_t i = 0; i < count; ++i) PyTuple_SET_ITEM(positional.object, i, Py_NewRef(args[i]));
    for (Py_ssize_t i = 0; i < keywords_given; ++i)
        if (PyDict_SetItem(named.object, PyTuple_GET_ITEM(keyword_names, i), args[count + i]) < 0) return nullptr;
    return PyType_Type.tp_call(type, positional.object, named.object);
}

PyObject* value_vectorcall(PyObject* type, PyObject* const* args, std::size_t nargsf, PyObject* keyword_names) {
    auto* python_type = reinterpret_cast<PyTypeObject*>(type);
    if (python_type->tp_init != Slot<value_init>::call || python_type->tp_new != Slot<value_new>::call) [[unlikely]]
        return construct_by_slots(type, args, nargsf, keyword_names);
    return construct(type, args, nargsf, keyword_names);
}

void add_construct_slots(std::vector<PyType_Slot>& slots) {
    slots.push_back(slot<value_new>(Py_tp_new));
    slots.push_back(slot<value_init>(Py_tp_init));
    slots.push_back({Py_tp_free, reinterpret_cast<void*>(PyObject_GC_Del)});
    slots.push_back(
        {Py_tp_doc,
         const_cast<char*>(
             "Value(data, _children=(), _op='', label='', **aliases)\n--\n\n"
             "A number that remembers what it was computed from, so that gradients can flow back.\n\n"
             "Parameters\n----------\n"
             "data : int, float, bool or NumPy real scalar\n    The number.\n"
             "_children : iterable of Value, optional\n    The operands.\n"
             "_op : str, or sequence of numbers, optional\n"
             "    The name of the operation; or the local derivative for each child, and then ``backward()`` needs no "
             "Python\n"
             "    rule for this node.\n"
             "label : str, optional\n    A name for drawing.\n"
             "**aliases\n"
             "    The same under other names: `children` and `_prev`; `op`; `local_grads` and `_local_grads`.\n\n"
             "Raises\n------\n"
             "TypeError\n    If `data` is no real number or a child is no Value.\n"
             "ValueError\n    If the number of local gradients differs from the number of children.\n")});
}

}  // namespace kilograd
