#include "pickle.hpp"

#include "../../engine/fixed.hpp"
#include "../boxed.hpp"
#include "../modes.hpp"
#include "../numbers.hpp"
#include "../python.hpp"
#include "snapshot_format.hpp"

namespace kilograd {

namespace {

py::object core_function(const char* name) { return py::module_::import("kilograd._core").attr(name); }

// --- the Python state of one handle ------------------------------------------------------------------------------

// What pickle sets after construction, in its own (attributes, slots) form; None where there is nothing.
py::object attributes_of(Handle* handle) {
    py::object attributes = py::none();
    if (handle->dict && PyDict_GET_SIZE(handle->dict) > 0)
        attributes = py::reinterpret_borrow<py::object>(handle->dict);
    py::dict slots;
    if (handle->node->is_foreign()) {  // through the class's own attributes, and not past them into the __dict__
        slots = py::reinterpret_steal<py::dict>(PyDict_Copy(handle->dict));
        attributes = py::none();
    }
    if (handle->state && handle->state->rule) slots["_backward"] = py::handle(handle->state->rule);
    if (!is_exact_value(as_object(handle))) {
        py::object self = py::reinterpret_borrow<py::object>(as_object(handle));
        const Outside outside;
        for (py::handle name : py::tuple(py::module_::import("copyreg").attr("_slotnames")(py::type::of(self))))
            if (py::hasattr(self, name)) slots[name] = self.attr(name);
    }
    if (slots.empty()) return attributes;
    return py::make_tuple(attributes, slots);
}

// Of a copy: a setter may change the dictionary.
void set_all(PyObject* self, const py::dict& attributes) {
    const py::object copy = checked(PyDict_Copy(attributes.ptr()));
    for (auto item : py::reinterpret_borrow<py::dict>(copy)) py::setattr(self, item.first, item.second);
}

void set_attributes(PyObject* self, py::handle state) {
    if (state.is_none()) return;
    py::object attributes = py::reinterpret_borrow<py::object>(state);
    if (py::isinstance<py::tuple>(state)) {
        py::tuple pair = py::reinterpret_borrow<py::tuple>(state);
        attributes = pair[0];
        set_all(self, py::cast<py::dict>(pair[1]));
    }
    if (!attributes.is_none()) set_all(self, py::cast<py::dict>(attributes));
}

py::object or_none(PyObject* object) { return object ? py::reinterpret_borrow<py::object>(object) : py::none(); }

void set_names(Handle* handle, py::handle label, py::handle op) {
    auto put = [handle](PyObject* HandleState::*slot, py::handle name) {
        if (name.is_none()) return;
        HandleState* state = state_of(handle);
        if (!state) throw py::error_already_set();
        mark_state(handle, name.ptr());
        release_object(std::exchange(state->*slot, Py_NewRef(name.ptr())));
    };
    put(&HandleState::label, label);
    put(&HandleState::op, op);
}

// --- leaves ------------------------------------------------------------------------------------------------------

py::tuple reduce_leaf(Handle* handle) {
    Node* node = handle->node;
    HandleState* state = handle->state;
    return py::make_tuple(core_function("_leaf"),
                          py::make_tuple(py::type::of(py::handle(as_object(handle))),
                                         checked(exact_number_object(node->data, node->kinds.data)),
                                         checked(exact_number_object(node->grad, node->kinds.grad)),
                                         or_none(state ? state->label : nullptr), or_none(state ? state->op : nullptr)),
                          attributes_of(handle));
}

py::object make_leaf(py::type type, py::object data, py::object grad, py::object label, py::object op) {
    auto* python_type = reinterpret_cast<PyTypeObject*>(type.ptr());
    if (!has_family(python_type)) throw py::type_error("_leaf: the class must derive from Value");
    const auto number = static_cast<std::uint8_t>(family_of(python_type));
    const Family& family = families[number];
    Number value{}, gradient{};
    const bool exact = family.conventions && is_exact_number(data.ptr(), value) &&
                       is_exact_number(grad.ptr(), gradient) && family.conventions->holds(value.kind) &&
                       family.conventions->holds(gradient.kind);
    if (!exact && (!require_number(data.ptr(), "the data of a Value", value) ||
                   !require_number(grad.ptr(), "the grad of a Value", gradient)))
        throw py::error_already_set();
    Node* node = new_leaf(value.value, value.kind, number, family.dialect());
    node->grad = gradient.value;
    if (node->has(ExactInts)) node->kinds.grad = gradient.kind;
    py::object self = checked(handle_of_type(node, python_type));
    set_names(as_handle(self.ptr()), label, op);
    return self;
}

// --- snapshots ---------------------------------------------------------------------------------------------------

void share_rule(Node* original, Node* copy) {
    Conventions* own = conventions_of(original);
    if (own && own->copy_shares_rule(original) && !own->share_rule(original, copy)) throw py::error_already_set();
}

py::list externals_of(const Snapshot& snapshot) {
    py::list values;
    for (Node* node : snapshot.externals) values.append(checked(handle_of(node)));
    return values;
}

// (place, class) of the interior nodes of subclasses.
py::list classes_of(const Snapshot& snapshot) {
    py::list classes;
    for (std::size_t i = 0; i < snapshot.interior.size(); ++i) {
        auto* self = static_cast<PyObject*>(snapshot.interior[i]->handle);
        if (self && !is_exact_value(self)) classes.append(py::make_tuple(i, py::type::of(py::handle(self))));
    }
    return classes;
}

py::list states_of(const Snapshot& snapshot) {
    py::list states;
    for (std::size_t i = 0; i < snapshot.interior.size(); ++i) {
        Node* node = snapshot.interior[i];
        auto* handle = static_cast<Handle*>(node->handle);
        if (!handle || !node->has(Stateful)) continue;
        const py::object held = py::reinterpret_borrow<py::object>(as_object(handle));
        HandleState* state = handle->state;
        states.append(py::make_tuple(i, or_none(state ? state->label : nullptr), or_none(state ? state->op : nullptr),
                                     attributes_of(handle)));
    }
    return states;
}

void set_states(Snapshot& snapshot, py::list states) {
    snapshot.brought();
    for (py::handle item : py::tuple(states)) {
        py::tuple entry = py::reinterpret_borrow<py::tuple>(item);
        py::object self = checked(handle_of(snapshot.interior.at(py::cast<std::size_t>(entry[0]))));
        set_names(as_handle(self.ptr()), entry[1], entry[2]);
        set_attributes(self.ptr(), entry[3]);
    }
}

// As pickle does by itself: what is met again while the leaves are being copied is not copied twice.
py::object deepcopy(py::object self, py::dict memo) {
    const auto copy = [&, deepcopy = py::module_::import("copy").attr("deepcopy")](const py::list& objects) {
        const Outside outside;
        return py::list(deepcopy(objects, memo));
    };
    Snapshot& snapshot = Box<Snapshot>::expect(self.ptr()).brought();
    py::int_ key(reinterpret_cast<std::uintptr_t>(self.ptr()));  // id(self)
    py::list externals = copy(externals_of(snapshot));
    if (memo.contains(key)) return memo[key];
    py::object twin =
        Box<Snapshot>::make(load_snapshot(dump(snapshot), externals, types_of(snapshot), classes_of(snapshot)));
    memo[key] = twin;
    Snapshot& made = Box<Snapshot>::expect(twin.ptr()).brought();
    for (std::size_t i = 0; i < made.interior.size(); ++i) share_rule(snapshot.interior[i], made.interior[i]);
    set_states(made, copy(states_of(snapshot)));
    return twin;
}

// --- functions of the module: pickle names them by module and name, so they are plain C functions ----------------

PyObject* leaf_function(PyObject*, PyObject* args) {
    auto [type, data, grad, label, op] =
        py::cast<std::tuple<py::type, py::object, py::object, py::object, py::object>>(py::handle(args));
    return make_leaf(type, data, grad, label, op).release().ptr();
}

PyObject* pick_function(PyObject*, PyObject* args) {
    auto [owner, place] = py::cast<std::tuple<py::object, std::size_t>>(py::handle(args));
    const Snapshot& snapshot = Box<Snapshot>::expect(owner.ptr()).brought();
    const std::size_t first = snapshot.first_interior();
    if (place < first || place - first >= snapshot.interior.size()) throw py::value_error("Snapshot: no such node");
    return handle_of(snapshot.interior[place - first]);
}

PyObject* load_function(PyObject*, PyObject* args) {
    auto [bytes, externals, types, classes] =
        py::cast<std::tuple<py::bytes, py::list, py::list, py::list>>(py::handle(args));
    return Box<Snapshot>::make(load_snapshot(bytes, externals, types, classes)).release().ptr();
}

PyMethodDef functions[] = {
    method<leaf_function>("_leaf", METH_VARARGS, "A leaf as pickled: (class, data, grad, label, op)."),
    method<pick_function>("_pick", METH_VARARGS, "The value at a place of a snapshot."),
    method<load_function>("_load", METH_VARARGS, "A snapshot from (bytes, externals, families, classes)."),
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

PyObject* value_reduce(PyObject* self, PyObject*) {
    if (refuse_while_tracing("a deep copy or a pickle of a Value")) return nullptr;
    Handle* handle = as_handle(self);
    if (handle->node->is_leaf()) return reduce_leaf(handle).release().ptr();
    std::size_t place;
    Snapshot* snapshot = Snapshot::find(handle->node, &place);
    py::object owner;
    if (snapshot) {
        owner = py::reinterpret_borrow<py::object>(snapshot->box);
    } else {
        owner = Box<Snapshot>::make(Snapshot::of(handle->node));
        Snapshot::find(handle->node, &place);
    }
    return py::make_tuple(core_function("_pick"), py::make_tuple(owner, place)).release().ptr();
}

PyObject* value_copy(PyObject* self, PyObject*) {
    if (tracing()) return Py_NewRef(self);  // a number needs no copy
    Handle* handle = as_handle(self);
    Node* const node = handle->node;
    give_fan(node);
    const std::uint8_t dialect = node->flags & ExactInts;
    Node* copy;
    if (node->is_leaf()) {
        copy = new_leaf(node->data, FloatKind, node->family, dialect);
    } else if (node->has_fan()) {
        Fan* fan = new_fan(node->fan->count);
        fan->tag = node->fan->tag;
        std::copy(node->fan->begin(), node->fan->end(), fan->begin());
        copy = record_fan(node->op, node->data, FloatKind, fan, node->family, dialect);
    } else {
        copy = record(node->op, node->data, FloatKind, node->a, node->b, node->constant, FloatKind, node);
    }
    copy->grad = node->grad;
    copy->kinds = node->kinds;
    py::object result = checked(handle_of_type(copy, Py_TYPE(self)));
    Handle* copied = as_handle(result.ptr());
    share_rule(handle->node, copy);
    if (!bind_operands(copied)) throw py::error_already_set();
    if (HandleState* state = handle->state) set_names(copied, or_none(state->label), or_none(state->op));
    set_attributes(result.ptr(), attributes_of(handle));
    return result.release().ptr();
}

PyObject* value_setstate(PyObject* self, PyObject* state) {
    set_attributes(self, state);
    return Py_NewRef(Py_None);
}

void add_pickle(PyObject* module) {
    if (PyModule_AddFunctions(module, functions) < 0) throw py::error_already_set();
    BoxedType<Snapshot> type("kilograd._core.Snapshot",
                             "The nodes of a graph as flat arrays: what pickle and deepcopy see of it.");
    type.def("__reduce__", within([](Snapshot& snapshot) {
                 snapshot.brought();
                 return py::make_tuple(
                     core_function("_load"),
                     py::make_tuple(dump(snapshot), externals_of(snapshot), types_of(snapshot), classes_of(snapshot)),
                     states_of(snapshot));
             }));
    type.def("__deepcopy__", within(deepcopy));
    // pybind11 takes a function of the name __setstate__ for a constructor.
    type.def("_set_states", within(set_states));
    type.type().attr("__setstate__") = type.type().attr("__dict__")["_set_states"];
}

}  // namespace kilograd
