// What can be read from and written to a Value: data, grad, label, and the underscored names that people walk graphs
// with.
#include <cmath>
#include <string>

#include "../../engine/backward.hpp"
#include "../modes.hpp"
#include "../numbers.hpp"
#include "../python.hpp"
#include "value.hpp"

namespace kilograd {

namespace {

PyObject* get_data(PyObject* self, void*) { return read_data(self); }

bool refuse_deletion(PyObject* value, const char* name) {
    if (value) return false;
    PyErr_Format(PyExc_AttributeError, "%s of a Value cannot be deleted", name);
    return true;
}

int set_data(PyObject* self, PyObject* value, void*) {
    Number number{};
    if (refuse_while_tracing("assignment to .data")) return -1;
    if (refuse_deletion(value, "data") || !require_number(value, "the data of a Value", number)) return -1;
    Node* node = node_of(self);
    node->data = number.value;
    node->kinds.data = number.kind;
    return 0;
}

PyObject* get_grad(PyObject* self, void*) {
    if (refuse_while_tracing(".grad")) return nullptr;
    Node* node = node_of(self);
    return number_object(node->grad, node->kinds.grad);
}

int set_grad(PyObject* self, PyObject* value, void*) {
    Number number{};
    if (refuse_while_tracing(".grad")) return -1;
    if (refuse_deletion(value, "grad") || !require_number(value, "the grad of a Value", number)) return -1;
    Node* node = node_of(self);
    node->grad = number.value;
    node->kinds.grad = node->has(ExactInts) ? number.kind : FloatKind;
    return 0;
}

// label and _op: any object is kept, as a Python attribute keeps it.
template <PyObject* HandleState::*member>
int set_name(PyObject* self, PyObject* value, const char* name) {
    if (refuse_deletion(value, name)) return -1;
    Handle* handle = as_handle(self);
    HandleState* state = state_of(handle);
    if (!state) return -1;
    mark_state(handle, value);
    release_object(std::exchange(state->*member, Py_NewRef(value)));
    return 0;
}

PyObject* get_label(PyObject* self, void*) {
    HandleState* state = as_handle(self)->state;
    return state && state->label ? Py_NewRef(state->label) : PyUnicode_New(0, 0);
}
int set_label(PyObject* self, PyObject* value, void*) { return set_name<&HandleState::label>(self, value, "label"); }

PyObject* get_op(PyObject* self, void*) { return op_label(node_of(self)); }
int set_op(PyObject* self, PyObject* value, void*) { return set_name<&HandleState::op>(self, value, "_op"); }

PyObject* get_children(PyObject* self, void*) {
    const HeldNode node(node_of(self));
    Py_ssize_t count = 0;
    for_each_operand(node.get(), [&](Node*) { ++count; });
    PyObject* children = PyTuple_New(count);
    if (!children) return nullptr;
    Py_ssize_t i = 0;
    bool failed = false;
    for_each_operand(node.get(), [&](Node* operand) {
        PyObject* child = failed ? nullptr : handle_of(operand);
        failed = failed || !child;
        PyTuple_SET_ITEM(children, i++, child);
    });
    if (failed) Py_CLEAR(children);
    return children;
}

PyObject* get_prev(PyObject* self, void*) {
    PyObject* children = get_children(self, nullptr);
    const Outside outside;  // a subclass may have a hash of its own
    PyObject* set = children ? PySet_New(children) : nullptr;
    Py_XDECREF(children);
    return set;
}

PyObject* get_local_grads(PyObject* self, void*) {
    Node* node = node_of(self);
    std::vector<Number> locals;
    if (node->op == Op::linear) {
        for (Fan::Edge& edge : *node->fan) locals.push_back({edge.local, static_cast<Kind>(edge.kind)});
    } else if (node->a) {
        auto push = [&](double local, Kind kind) {
            locals.push_back({local, std::fabs(local) < exact_integers ? kind : FloatKind});
        };
        Locals values = locals_of(node);
        push(values.da, local_kind(node, false));
        if (node->b) push(values.db, local_kind(node, true));
    }
    PyObject* result = PyTuple_New(static_cast<Py_ssize_t>(locals.size()));
    if (!result) return nullptr;
    for (std::size_t i = 0; i < locals.size(); ++i) {
        PyObject* number = number_object(locals[i].value, locals[i].kind);
        if (!number) {
            Py_DECREF(result);
            return nullptr;
        }
        PyTuple_SET_ITEM(result, static_cast<Py_ssize_t>(i), number);
    }
    return result;
}

// What `_backward` was before Python supplied a rule: a rule that wraps it must not find itself.
PyObject* run_own_rule(PyObject* self, PyObject*) {
    apply_own_rule(node_of(self));
    Py_RETURN_NONE;
}

PyMethodDef value_rule =
    method<run_own_rule>("_backward", METH_NOARGS,
                         "Runs the backward rule of this node alone: adds this node's gradient, times the local "
                         "derivatives, into its operands' gradients. Does nothing on a leaf.");

PyObject* get_backward(PyObject* self, void*) {
    HandleState* state = as_handle(self)->state;
    if (state && state->rule) return Py_NewRef(state->rule);
    return PyCFunction_New(&value_rule, self);
}

int set_backward(PyObject* self, PyObject* value, void*) {
    if (value && !PyCallable_Check(value)) {
        PyErr_Format(PyExc_TypeError, "_backward of a Value must be callable without arguments, not %.200s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    Handle* handle = as_handle(self);
    if (!state_of(handle)) return -1;
    set_rule(handle, value);  // deletion brings the op's own rule back
    return 0;
}

// In a function that is traced a Value stands for a float, and isinstance(x, float) holds; isinstance(x, Value) too.
PyObject* get_class(PyObject* self, void*) {
    return Py_NewRef(reinterpret_cast<PyObject*>(tracing() && is_exact_value(self) ? &PyFloat_Type : Py_TYPE(self)));
}

int set_class(PyObject* self, PyObject* value, void*) {
    static PyObject* name = PyUnicode_InternFromString("__class__");
    PyObject* inherited = _PyType_Lookup(&PyBaseObject_Type, name);
    return Py_TYPE(inherited)->tp_descr_set(inherited, self, value);
}

PyObject* get_dict(PyObject* self, void*) {
    PyObject* dict = PyObject_GenericGetDict(self, nullptr);
    if (dict) mark_state(as_handle(self), dict);  // it may be filled behind our back
    return dict;
}

int set_dict(PyObject* self, PyObject* value, void*) {
    PyObject* const before = Py_XNewRef(as_handle(self)->dict);
    const int result = PyObject_GenericSetDict(self, value, nullptr);
    if (result == 0) mark_state(as_handle(self), value);
    release_object(before);
    return result;
}

// Training loops write `data` and `grad` of every parameter: where the type has these attributes as they stand here,
// they are set without a look-up. A type's version tag is its own alone and changes with anything that a look-up would
// find.
class OwnNumbers {
  public:
    setter setter_of(PyTypeObject* type, PyObject* name) {
        if (name != data_ && name != grad_) return nullptr;
        if (type->tp_version_tag == 0 || type->tp_version_tag != version_) {
            PyObject *data = _PyType_Lookup(type, data_), *grad = _PyType_Lookup(type, grad_);
            if (!is_own(data, &Slot<set_data>::call) || !is_own(grad, &Slot<set_grad>::call)) return nullptr;
            version_ = type->tp_version_tag;
        }
        return name == data_ ? set_data : set_grad;
    }

  private:
    static bool is_own(PyObject* descriptor, setter set) {
        return descriptor && Py_IS_TYPE(descriptor, &PyGetSetDescr_Type) &&
               reinterpret_cast<PyGetSetDescrObject*>(descriptor)->d_getset->set == set;
    }
    PyObject *data_ = PyUnicode_InternFromString("data"), *grad_ = PyUnicode_InternFromString("grad");
    unsigned version_ = 0;
};

// The node of an object whose class was changed goes by the conventions of the new one from now on.
void adopt_class(Handle* handle) {
    Node* node = handle->node;
    node->family = static_cast<std::uint8_t>(family_of(Py_TYPE(handle)));
    node->flags &= static_cast<std::uint8_t>(~ExactInts);
    node->flags |= families[node->family].dialect();
    if (!node->has(ExactInts)) node->kinds.grad = FloatKind;
    mark_state(handle, nullptr);  // its class must come back with it
}

// As PyObject_GenericSetAttr. Setters of somebody else's run outside of the arena, and so does what an attribute lets
// go. The dict is changed within it: CPython does not hold it meanwhile, and another thread may assign to __dict__.
int set_plainly(PyObject* self, PyObject* name, PyObject* value) {
#ifdef KILOGRAD_FREE_THREADED
    PyObject* const descriptor = PyUnicode_Check(name) ? _PyType_Lookup(Py_TYPE(self), name) : nullptr;
    if (descriptor && Py_TYPE(descriptor)->tp_descr_set) {
        const Outside outside;
        return PyObject_GenericSetAttr(self, name, value);
    }
    PyObject *const dict = as_handle(self)->dict, *before = nullptr;
    if (dict && PyDict_GetItemRef(dict, name, &before) < 0) return -1;
    const int result = PyObject_GenericSetAttr(self, name, value);
    release_object(before);
    return result;
#else
    return PyObject_GenericSetAttr(self, name, value);
#endif
}

int value_setattr(PyObject* self, PyObject* name, PyObject* value) {
    static KILOGRAD_PER_THREAD OwnNumbers own;
    if (setter set = own.setter_of(Py_TYPE(self), name)) return set(self, value, nullptr);
    PyTypeObject* const before = Py_TYPE(self);
    if (set_plainly(self, name, value) < 0) return -1;
    Handle* handle = as_handle(self);
    if (Py_TYPE(self) != before) adopt_class(handle);  // __class__
    // The value may have become a part of it: in the dict, or in a slot of a subclass.
    if (handle->dict || !is_exact_value(self)) mark_state(handle, value);
    return 0;
}

PyGetSetDef attributes[] = {
    attribute<get_data, set_data>("data", "The number: float, or int while integer arithmetic keeps it exact."),
    attribute<get_grad, set_grad>("grad", "The gradient of the root of the last backward() with respect to this node."),
    attribute<get_label, set_label>("label", "A name for drawing."),
    attribute<get_op, set_op>("_op", "The operation that made this node; '' for a leaf."),
    attribute<get_prev>("_prev", "The operands, as a set."),
    attribute<get_children>("_children", "The operands, as a tuple in operand order."),
    attribute<get_local_grads>("_local_grads",
                               "The local derivatives with respect to the operands, at their present data."),
    attribute<get_backward, set_backward>(
        "_backward", "A callable that runs this node's own backward rule; assign a function to give the node a rule."),
    attribute<get_dict, set_dict>("__dict__", nullptr),
    attribute<get_class, set_class>("__class__", nullptr),
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

PyObject* read_data(PyObject* self) {
    Node* node = node_of(self);
    PyObject* data = number_object(node->data, node->kinds.data);
    if (data && tracing() && !note("is", self, data, true)) Py_CLEAR(data);
    return data;
}

PyObject* op_label(Node* node) {
    if (node->handle) {
        HandleState* state = static_cast<Handle*>(node->handle)->state;
        if (state && state->op) return Py_NewRef(state->op);
    }
    if (node->op != Op::powc) return PyUnicode_InternFromString(info(node->op).label);
    PyObject* exponent = number_object(node->constant, node->kinds.constant);
    PyObject* label = exponent ? PyUnicode_FromFormat("**%S", exponent) : nullptr;
    Py_XDECREF(exponent);
    return label;
}

void add_attribute_slots(std::vector<PyType_Slot>& slots) {
    slots.push_back({Py_tp_getset, attributes});
    slots.push_back(slot<value_setattr>(Py_tp_setattro));
}

}  // namespace kilograd
