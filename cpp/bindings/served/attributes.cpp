// Attributes of served classes: descriptors that show, under the author's names, what the engine holds. What is set and
// the engine cannot hold goes to the object's __dict__, and makes the node foreign.
#include <cstring>

#include "member.hpp"

namespace kilograd {

namespace {

PyObject* op_text(Node* node, PyObject* empty) {
    Handle* handle = static_cast<Handle*>(node->handle);
    if (handle->state && handle->state->op) return Py_NewRef(handle->state->op);
    if (node->is_leaf() || node->op == Op::custom) return Py_NewRef(empty);
    PyObject* text = served_of(node)->op_pattern(node);
    if (!text) return Py_NewRef(empty);
    if (node->op != Op::powc || node->is_fixed()) return Py_NewRef(text);
    PyObject* exponent = exact_number_object(node->constant, node->kinds.constant);
    PyObject* result = exponent ? PyObject_CallMethod(text, "format", "O", exponent) : nullptr;
    Py_XDECREF(exponent);
    return result;
}

PyObject* absent(Member* member, PyObject* object) {
    PyErr_Format(PyExc_AttributeError, "'%.200s' object has no attribute '%U'", Py_TYPE(object)->tp_name, member->name);
    return nullptr;
}

PyObject* shown_empty(Member* member, PyObject* object) {
    return member->empty == Py_Ellipsis ? absent(member, object) : Py_NewRef(member->empty);
}

// What a program may change in place is of a class that knows whose it is.
PyObject* shown(Member* member, PyObject* object, PyObject* tuple) {  // steals
    const Container container = node_of(object)->is_leaf() ? member->leaf_container : member->container;
    const bool changes = container == Container::Set || container == Container::List;
    if (!member->live || !changes || !tuple) return in_container(container, tuple);
    PyObject* result = PyObject_CallOneArg(member->live, tuple);
    Py_DECREF(tuple);
    static PyObject* owner = PyUnicode_InternFromString("owner");
    static PyObject* name = PyUnicode_InternFromString("name");
    if (result && (PyObject_SetAttr(result, owner, object) < 0 || PyObject_SetAttr(result, name, member->name) < 0))
        Py_CLEAR(result);
    return result;
}

PyObject* own_rule(PyObject* self, PyObject*) { return run_served_rule(node_of(self)); }
PyMethodDef own_rule_def = method<own_rule>("_backward", METH_NOARGS, nullptr);

// Whether it has a node of a served class.
bool expect_served(PyObject* object) {
    if (PyObject_TypeCheck(object, served_type) && served_of(node_of(object))) return true;
    PyErr_Format(PyExc_TypeError, "an object of a served class is expected, not %.200s", Py_TYPE(object)->tp_name);
    return false;
}

PyObject* member_get(PyObject* descriptor, PyObject* object, PyObject* type) {
    auto* member = reinterpret_cast<Member*>(descriptor);
    if (!object) {
        if (member->on_class) return Py_NewRef(member->on_class);
        PyErr_Format(PyExc_AttributeError, "type object '%.200s' has no attribute '%U'",
                     reinterpret_cast<PyTypeObject*>(type)->tp_name, member->name);
        return nullptr;
    }
    if (is_exact_value(object) && member->role <= Role::Grad) [[likely]] {
        const Node* node = node_of(object);
        const bool data = member->role == Role::Data;
        if (!node->is_foreign() && served_of(node) && (data ? node->kinds.data : node->kinds.grad) == FloatKind)
            return PyFloat_FromDouble(data ? node->data : node->grad);
    }
    if (!expect_served(object)) return nullptr;
    Node* node = node_of(object);
    Handle* handle = as_handle(object);
    if (node->is_foreign() || member->role == Role::Extra) [[unlikely]] {
        PyObject* kept = handle->dict ? PyDict_GetItemWithError(handle->dict, member->name) : nullptr;
        if (kept) return Py_NewRef(kept);
        if (PyErr_Occurred()) return nullptr;
        if (is_exposed(handle)) {
            return member->on_class ? Py_NewRef(member->on_class) : absent(member, object);
        }
    }
    switch (member->role) {
        case Role::Data:
            return exact_number_object(node->data, node->kinds.data);
        case Role::Grad:
            return exact_number_object(node->grad, node->kinds.grad);
        case Role::Children:
            if (node->is_leaf() && member->empty) return shown_empty(member, object);
            return shown(member, object, operand_tuple(node));
        case Role::Locals:
            if (node->is_leaf() && member->empty) return shown_empty(member, object);
            return shown(member, object, local_tuple(node));
        case Role::Pairs:
            if (node->is_leaf() && member->empty) return shown_empty(member, object);
            return shown(member, object, pair_tuple(node));
        case Role::Op: {
            PyObject* text = op_text(node, member->empty);
            if (text != Py_Ellipsis) return text;
            Py_DECREF(text);
            return absent(member, object);
        }
        case Role::Rule:
            if (handle->state && handle->state->rule) return Py_NewRef(handle->state->rule);
            if (node->is_leaf() && member->empty) return shown_empty(member, object);
            return PyCFunction_New(&own_rule_def, object);
        case Role::Label:
            return Py_NewRef(handle->state && handle->state->label ? handle->state->label : member->empty);
        case Role::Extra:
            return Py_NewRef(member->empty);
    }
    return nullptr;
}

// `lambda: None` and its like: what constructors store where there is no rule yet.
bool does_nothing(PyObject* object) {
    static PyObject* pattern = nullptr;
    if (!pattern) {
        PyObject* scope = PyDict_New();
        PyObject* function = PyRun_String("lambda: None", Py_eval_input, PyEval_GetBuiltins(), scope);
        if (function) {
            pattern = PyObject_GetAttrString(PyFunction_GET_CODE(function), "co_code");
            Py_DECREF(function);
        }
        Py_XDECREF(scope);
        if (!pattern) {
            PyErr_Clear();
            return false;
        }
    }
    if (!PyFunction_Check(object)) return false;
    static PyObject* latest_code = nullptr;  // authors have one such lambda, and it comes with every leaf
    PyObject* code = PyFunction_GET_CODE(object);
    if (code == latest_code) return true;
    auto* details = reinterpret_cast<PyCodeObject*>(code);
    PyObject* bytes = PyObject_GetAttrString(code, "co_code");
    bool same = bytes && PyBytes_GET_SIZE(bytes) == PyBytes_GET_SIZE(pattern) &&
                std::memcmp(PyBytes_AS_STRING(bytes), PyBytes_AS_STRING(pattern),
                            static_cast<std::size_t>(PyBytes_GET_SIZE(pattern))) == 0;
    same = same && details->co_argcount == 0 && PyTuple_GET_SIZE(details->co_consts) >= 1 &&
           PyTuple_GET_ITEM(details->co_consts, 0) == Py_None;
    Py_XDECREF(bytes);
    if (!bytes) PyErr_Clear();
    if (same) Py_XSETREF(latest_code, Py_NewRef(code));
    return same;
}

int set_state(Handle* handle, PyObject* HandleState::*slot, PyObject* value) {
    HandleState* state = state_of(handle);
    if (!state) return -1;
    PyObject* old = state->*slot;
    state->*slot = Py_NewRef(value);
    mark_state(handle, value);
    Py_XDECREF(old);
    return 0;
}

bool same_constant(PyObject* value, PyObject* constant) {
    if (value == constant) return true;
    if (Py_TYPE(value) != Py_TYPE(constant)) return false;
    if (!PyUnicode_Check(value) && !PyFloat_CheckExact(value) && !PyLong_CheckExact(value)) return false;
    if (PyFloat_CheckExact(value))
        return std::memcmp(&reinterpret_cast<PyFloatObject*>(value)->ob_fval,
                           &reinterpret_cast<PyFloatObject*>(constant)->ob_fval, sizeof(double)) == 0;
    int same = PyObject_RichCompareBool(value, constant, Py_EQ);
    if (same < 0) PyErr_Clear();
    return same == 1;
}

int set_rule_member(Member* member, Handle* handle, PyObject* value) {
    if (member->empty != Py_Ellipsis && (does_nothing(value) || (member->empty && value == member->empty))) {
        if (handle->state && handle->state->rule) set_rule(handle, nullptr);
        if (handle->node->is_leaf() || handle->node->op == Op::custom)
            return drop_foreign(handle, member->name) ? 0 : -1;
    }
    if (!PyCallable_Check(value)) return keep_foreign(handle, member->name, value) ? 0 : -1;
    if (!state_of(handle)) return -1;
    set_rule(handle, value);
    return 0;
}

// Whether a numpy.float32 may become the data of a node: what has been made of it would have to be what can be made of
// one.
bool may_become_single(const Node* node) {
    return node->kinds.data == SingleKind || (node->is_leaf() && node->refs == 1);
}

int member_set(PyObject* descriptor, PyObject* object, PyObject* value) {
    auto* member = reinterpret_cast<Member*>(descriptor);
    if (is_exact_value(object) && member->role == Role::Grad && value && PyFloat_CheckExact(value)) {
        Node* node = node_of(object);
        if (!node->is_foreign() && served_of(node)) [[likely]] {
            node->grad = PyFloat_AS_DOUBLE(value);
            node->kinds.grad = FloatKind;
            return 0;
        }
    }
    if (!expect_served(object)) return -1;
    Handle* handle = as_handle(object);
    Node* node = handle->node;
    if (!value) {
        if (served_of(node)->closed || !expose(handle) || PyDict_DelItem(handle->dict, member->name) < 0) {
            if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_KeyError))
                PyErr_SetObject(PyExc_AttributeError, member->name);
            return -1;
        }
        return 0;
    }
    Number number{};
    if (is_exposed(handle)) [[unlikely]]
        return keep_foreign(handle, member->name, value) ? 0 : -1;
    switch (member->role) {
        case Role::Data:
        case Role::Grad: {
            if (!is_held(*served_of(node), value, number) ||
                (member->role == Role::Data && number.kind == SingleKind && !may_become_single(node)))
                return keep_foreign(handle, member->name, value) ? 0 : -1;
            if (node->is_foreign() && !drop_foreign(handle, member->name)) return -1;
            if (member->role == Role::Data) {
                if (!refresh_slope(node, number)) return keep_foreign(handle, member->name, value) ? 0 : -1;
                if (served_of(node)->fixes_products) overwritten.before_write(node);
                node->data = number.value;
                node->kinds.data = number.kind;
            } else {
                node->grad = number.value;
                node->kinds.grad = number.kind;
            }
            return 0;
        }
        case Role::Children:
            return set_children(member, handle, value);
        case Role::Locals:
            return set_locals(member, handle, value);
        case Role::Pairs:
            return set_pairs(member, handle, value);
        case Role::Op:
            if (node->is_leaf() && same_constant(value, member->empty) && !(handle->state && handle->state->op))
                return 0;
            if (member->watched && !node->is_leaf() &&
                node->op != Op::custom)  // a rule that asks for it is the author's
                return keep_foreign(handle, member->name, value) ? 0 : -1;
            return set_state(handle, &HandleState::op, value);
        case Role::Rule:
            return set_rule_member(member, handle, value);
        case Role::Label:
            if (same_constant(value, member->empty) && !(handle->state && handle->state->label)) return 0;
            return set_state(handle, &HandleState::label, value);
        case Role::Extra:
            if (member->watched) {
                if (!same_constant(value, member->empty)) return keep_foreign(handle, member->name, value) ? 0 : -1;
                return drop_foreign(handle, member->name) ? 0 : -1;
            }
            if (same_constant(value, member->empty) &&
                !(handle->dict && PyDict_Contains(handle->dict, member->name) == 1))
                return 0;
            return keep_in_dict(handle, member->name, value) ? 0 : -1;
    }
    return 0;
}

void member_dealloc(PyObject* self) {
    auto* member = reinterpret_cast<Member*>(self);
    PyTypeObject* type = Py_TYPE(self);
    Py_XDECREF(member->name);
    Py_XDECREF(member->empty);
    Py_XDECREF(member->on_class);
    Py_XDECREF(member->live);
    type->tp_free(self);
    Py_DECREF(type);
}

PyTypeObject* member_type = nullptr;

}  // namespace

// For a class that has its rule as a method: the method is the rule of a node that no native operation made, and of
// every node of a subclass that overrides it.
bool set_method_rule(Handle* handle) {
    PyObject* function = served_of(handle->node)->rule;
    PyTypeObject* type = Py_TYPE(handle);
    if (!is_exact_value(as_object(handle))) {
        PyObject* found = PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), "_backward");
        if (!found) return false;
        Py_DECREF(found);  // its class keeps it
        if (found != function && PyFunction_Check(found)) function = found;
    }
    bool made = handle->node->op == Op::custom && handle->node->fan->count > 0;
    if (!made && function == served_of(handle->node)->rule) {
        if (handle->state && handle->state->rule) set_rule(handle, nullptr);
        return true;
    }
    PyObject* rule = state_of(handle) ? PyMethod_New(function, as_object(handle)) : nullptr;
    if (!rule) return false;
    set_rule(handle, rule);
    Py_DECREF(rule);
    return true;
}

namespace {

bool hold_in(Handle* handle, Owned dict) {
    HandleState* state = dict ? state_of(handle) : nullptr;
    if (!state) return false;
    Py_XSETREF(handle->dict, dict.release());
    state->exposed = true;
    set_foreign(handle->node, true);
    mark_state(handle, handle->dict);
    return true;
}

}  // namespace

bool make_bare(Handle* handle) { return hold_in(handle, Owned(PyDict_New())); }

// What the engine holds under a name, whatever a subclass has put over it: a property may read the very __dict__ that
// is being filled.
static PyObject* held_value(Handle* handle, PyObject* name) {
    PyObject* mro = Py_TYPE(handle)->tp_mro;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(mro); ++i) {
        auto* type = reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(mro, i));
        PyObject* own = type->tp_dict ? PyDict_GetItemWithError(type->tp_dict, name) : nullptr;
        if (own && Py_IS_TYPE(own, member_type)) return member_get(own, as_object(handle), nullptr);
        if (!own && PyErr_Occurred()) return nullptr;
    }
    return PyObject_GetAttr(as_object(handle), name);
}

// From here on the author's code does everything that this node has part in.
bool expose(Handle* handle) {
    if (is_exposed(handle)) return true;
    Owned dict(PyDict_New());
    if (!dict) return false;
    for (PyObject* name : served_of(handle->node)->names) {
        const Owned value(held_value(handle, name));
        if (!value && PyErr_ExceptionMatches(PyExc_AttributeError)) {  // only results have it
            PyErr_Clear();
            continue;
        }
        if (!value || PyDict_SetItem(dict.get(), name, value.get()) < 0) return false;
    }
    if (handle->dict && PyDict_Merge(dict.get(), handle->dict, 0) < 0) return false;
    return hold_in(handle, std::move(dict));
}

bool Served::copy_shares_rule(const Node* node) const {
    return closures && !node->is_leaf() && node->op != Op::custom && !node->has(Rule);
}

bool Served::share_rule(Node* original, Node* copy) {
    if (copy->op != Op::linear) {  // it becomes a node of no native operation
        std::vector<Node*> operands;
        for_each_operand(copy, [&](Node* operand) { operands.push_back(operand); });
        copy->fan = new_fan(static_cast<std::uint32_t>(operands.size()));
        for (std::size_t i = 0; i < operands.size(); ++i) copy->fan->begin()[i] = {operands[i], 0.0, FloatKind};
        copy->a = copy->b = nullptr;
    }
    copy->op = Op::custom;
    const Owned self(handle_of(original)), twin(handle_of(copy));
    const Owned rule(self ? PyCFunction_New(&own_rule_def, self.get()) : nullptr);
    const Owned text(rule ? op_text(original, Py_None) : nullptr);
    if (!text || !twin) return false;
    Handle* copied = as_handle(twin.get());
    if (text.get() != Py_None && set_state(copied, &HandleState::op, text.get()) < 0) return false;
    if (!state_of(copied)) return false;
    set_rule(copied, rule.get());
    return true;
}

bool is_member(PyObject* descriptor) { return Py_IS_TYPE(descriptor, member_type); }
int set_member(PyObject* member, PyObject* object, PyObject* value) { return member_set(member, object, value); }

bool make_member_type() {
    member_type =
        make_type("kilograd._core.Member", sizeof(Member), Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                  {{Py_tp_dealloc, reinterpret_cast<void*>(member_dealloc)},
                   slot<member_get>(Py_tp_descr_get),
                   slot<member_set>(Py_tp_descr_set)});
    return member_type != nullptr;
}

PyObject* new_member(PyObject* name, const std::string& role, const std::string& container,
                     const std::string& leaf_container, PyObject* empty, PyObject* on_class, PyObject* live,
                     bool watched) {
    static const std::pair<const char*, Role> roles[] = {
        {"data", Role::Data},     {"grad", Role::Grad},   {"children", Role::Children},
        {"locals", Role::Locals}, {"pairs", Role::Pairs}, {"op", Role::Op},
        {"rule", Role::Rule},     {"label", Role::Label}, {"extra", Role::Extra}};
    static const std::pair<const char*, Container> containers[] = {{"set", Container::Set},
                                                                   {"frozenset", Container::Frozenset},
                                                                   {"tuple", Container::Tuple},
                                                                   {"list", Container::List}};
    auto* member = reinterpret_cast<Member*>(member_type->tp_alloc(member_type, 0));
    if (!member) return nullptr;
    Owned result(reinterpret_cast<PyObject*>(member));
    member->name = Py_NewRef(name);
    PyUnicode_InternInPlace(&member->name);
    member->watched = watched;
    keep(member->live, live);
    bool known = false;
    for (auto& [text, value] : roles)
        if (role == text) member->role = value, known = true;
    for (auto& [text, value] : containers) {
        if (container == text) member->container = value;
        if (leaf_container == text) member->leaf_container = value;
    }
    if (!known) {
        PyErr_Format(PyExc_ValueError, "no such role: %s", role.c_str());
        return nullptr;
    }
    // An empty container is made anew for every reader: it may be a mutable one.
    if (empty != Py_NotImplemented) member->empty = Py_NewRef(empty);
    if (on_class != Py_Ellipsis) member->on_class = Py_NewRef(on_class);
    return result.release();
}

}  // namespace kilograd
