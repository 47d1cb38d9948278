#include "handle.hpp"

#include <structmember.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "../../portable.hpp"
#include "../numbers.hpp"
#include "../python.hpp"
#include "dispatch.hpp"
#include "late_tracking.hpp"
#include "value.hpp"

namespace kilograd {

std::vector<Family> families;
PyTypeObject* value_type = nullptr;
PyTypeObject* family_types[256] = {};
Handle* free_list = nullptr;
int free_list_size = 0;
Counter foreign_alive{};

static bool keeping_objects = false;  // some family keeps the objects of all its nodes

namespace {

// What a release leaves behind for the outermost one to end when it has done its work: no Python runs in its midst,
// and a chain of a million handles, each holding the next, dies in a loop and not in a recursion. None of it needs
// memory, of which there may be none.
KILOGRAD_PER_THREAD Handle* dead = nullptr;            // handles that have left their nodes, linked through `node`
KILOGRAD_PER_THREAD std::vector<PyObject*> abandoned;  // of subclasses, whose instances die in Python's way
KILOGRAD_PER_THREAD std::size_t pinned_instances = 0;  // each has its place in `abandoned` reserved
KILOGRAD_PER_THREAD bool releasing = false;
KILOGRAD_PER_THREAD Node* letting_go = nullptr;  // the node whose own reference to its handle is being dropped
KILOGRAD_PER_THREAD bool let_go = false;         // and its handle has died of it

void abandon(PyObject* self) {
    try {
        abandoned.push_back(self);
    } catch (const std::bad_alloc&) {  // only where its class was assigned after it was pinned: it stays for good
    }
}

bool release_handle(void* object) {
    auto* self = static_cast<PyObject*>(object);
    // Where threads run in parallel it may be the last reference whatever the count says now.
    const bool exact = is_exact_value(self), last = free_threaded || Py_REFCNT(self) == 1;
    if (!exact && pinned_instances) --pinned_instances;
    if (last && !exact) {
        abandon(self);
        return false;
    }
    Node* const node = node_of(self);
    if (last) {
        ++node->refs;             // the caller's: the handle drops its own
        node->flags |= Stateful;  // what dies by dealloc_slow frees no node that is held and runs no Python
    }
    const bool outer = std::exchange(releasing, true);
    Node* const outer_node = std::exchange(letting_go, node);
    let_go = false;
    Py_DECREF(self);
    letting_go = outer_node;
    releasing = outer;
    if (last && !let_go) --node->refs;  // another thread had got a reference, or has to count the last ones
    return let_go;
}

bool run_rule(Node* node) {
    Handle* handle = static_cast<Handle*>(node->handle);
    PyObject* rule = Py_NewRef(handle->state->rule);
    const Outside outside;
    PyObject* result = PyObject_CallNoArgs(rule);
    Py_DECREF(rule);
    Py_XDECREF(result);
    return result != nullptr;
}

// The rule that recomputes a node's data: an attribute of its handle, or of the handle's class. Null without one.
PyObject* forward_rule(Node* node) {
    PyObject* handle = unseen_handle_of(node);
    const Outside outside;
    PyObject* rule = handle ? PyObject_GetAttrString(handle, "_forward") : nullptr;
    Py_XDECREF(handle);
    return rule;
}

bool has_forward(Node* node) {
    PyObject* rule = forward_rule(node);
    if (!rule) PyErr_Clear();
    Py_XDECREF(rule);
    return rule != nullptr;
}

bool run_forward(Node* node) {
    Number number{};
    bool given = false;
    {
        PyObject* rule = forward_rule(node);
        const Outside outside;
        PyObject* result = rule ? PyObject_CallNoArgs(rule) : nullptr;
        Py_XDECREF(rule);
        given = result && result != Py_None;
        const bool ok = result && (!given || require_number(result, "what _forward() returns", number));
        Py_XDECREF(result);
        if (!ok) return false;
    }
    if (!given) number = {node->data, static_cast<Kind>(node->kinds.data)};
    node->data = number.value;
    node->kinds.data = number.kind;
    return true;
}

// Throws std::bad_alloc where there is no memory; then nothing has changed.
void pin(Node* node) {
    if (node->has(OwnsHandle)) return;
    const Owned handle(living_handle(node));
    PyObject* const self = handle.get();
    if (!self) return;
    if (!is_exact_value(self)) {
        const std::size_t needed = abandoned.size() + pinned_instances + 1;
        if (abandoned.capacity() < needed) abandoned.reserve(2 * needed);
        ++pinned_instances;
    }
    node->flags |= OwnsHandle;
    Py_INCREF(self);
    if (node->has(Tracked)) note_late_tracking();
}

void track(Handle* handle) {
    handle->node->flags |= Tracked | Stateful;
    if (!PyObject_GC_IsTracked(as_object(handle))) PyObject_GC_Track(as_object(handle));
    if (handle->node->has(OwnsHandle)) note_late_tracking();
}

// A node has no handle any more.
void forget_handle(Node* node) {
    if (node->has(Rule)) --rules_alive;
    set_foreign(node, false);
    node->flags &= static_cast<std::uint8_t>(~(Stateful | Tracked | Rule));
    node->handle = nullptr;
}

// Nothing refers to the handle any more: it leaves its node, whose reference is the caller's.
void leave_node(Handle* handle) {
    if (handle->node->handle == handle) forget_handle(handle->node);
    handle->node = reinterpret_cast<Node*>(dead);
    dead = handle;
}

// Frees a dead handle and then what its state referred to. Weak references have been answered with None since its
// count of references is 0.
void end_handle(Handle* handle) {
    PyObject* self = as_object(handle);
    PyTypeObject* type = Py_TYPE(self);
    if (handle->weakrefs) PyObject_ClearWeakRefs(self);
    std::unique_ptr<HandleState> state(handle->state);
    PyObject* dict = handle->dict;
    type->tp_free(self);
    Py_DECREF(type);
    if (state)
        for (PyObject* object : {state->label, state->op, state->rule, state->operands}) Py_XDECREF(object);
    Py_XDECREF(dict);
}

}  // namespace

void release_pending() {
    if ((!dead && abandoned.empty()) || releasing) return;
    releasing = true;
    while (dead || !abandoned.empty()) {
        const Outside outside;
        if (dead) {
            end_handle(std::exchange(dead, reinterpret_cast<Handle*>(dead->node)));
        } else {
            PyObject* object = abandoned.back();
            abandoned.pop_back();
            Py_DECREF(object);
        }
    }
    releasing = false;
}

void release_node(Node* node) {
    release(node);
    release_pending();
}

#ifdef KILOGRAD_FREE_THREADED

// A reference where there is one still: the object may be dying in another thread. CPython has a function for it from
// 3.14 on, and counts before as it does since: the thread that made an object by itself, all others in the upper bits
// of ob_ref_shared.
static bool try_incref(PyObject* object) {
#if PY_VERSION_HEX >= 0x030E0000
    return PyUnstable_TryIncRef(object) != 0;
#else
    if (object->ob_tid == _Py_ThreadId()) {
        Py_INCREF(object);  // it dies in this thread alone, which is here
        return true;
    }
    std::atomic_ref<Py_ssize_t> shared(object->ob_ref_shared);
    Py_ssize_t seen = shared.load(std::memory_order_relaxed);
    while (seen != 0 && seen != _Py_REF_MERGED)
        if (shared.compare_exchange_weak(seen, seen + (Py_ssize_t{1} << _Py_REF_SHARED_SHIFT))) return true;
    return false;
#endif
}

PyObject* living_handle(Node* node) {
    auto* self = static_cast<PyObject*>(node->handle);
    if (!self || try_incref(self)) return self;
    forget_handle(node);
    return nullptr;
}

#endif

// Lets threads that did not make an object ask for a reference.
static void share([[maybe_unused]] PyObject* object) {
#if !defined(KILOGRAD_FREE_THREADED)
#elif PY_VERSION_HEX >= 0x030E0000
    PyUnstable_EnableTryIncRef(object);
#else
    object->ob_ref_shared |= _Py_REF_MAYBE_WEAKREF;  // nobody else knows it yet
#endif
}

// --- making and ending handles -----------------------------------------------------------------------------------

PyObject* allocate_handle(Node* node) {
    HalfBuilt guard;
    Handle* handle = PyObject_GC_New(Handle, family_types[node->family]);
    if (!handle) {
        release_node(node);
        return nullptr;
    }
    handle->state = nullptr;
    handle->weakrefs = nullptr;
    handle->dict = nullptr;
    return bound(as_object(handle), node);
}

PyObject* bound(PyObject* self, Node* node) {
    as_handle(self)->node = node;
#ifdef KILOGRAD_FREE_THREADED
    as_handle(self)->arena = &arena();
#endif
    node->handle = self;
    share(self);
    return self;
}

PyObject* unseen_handle_of(Node* node) {
    if (PyObject* self = living_handle(node)) return self;
    ++node->refs;
    return new_handle(node);
}

// A handle that lives as long as its node: steals one, and gives it back or null with an error set.
static PyObject* with_state(PyObject* self) {
    if (!self) return nullptr;
    try {
        mark_state(as_handle(self), nullptr);
    } catch (const std::bad_alloc&) {
        Py_CLEAR(self);
        PyErr_NoMemory();
    }
    return self;
}

PyObject* handle_of(Node* node) { return with_state(unseen_handle_of(node)); }

PyObject* handle_of_type(Node* node, PyTypeObject* type) {
    if (type->tp_dealloc == handle_dealloc) return new_handle(node);
    HalfBuilt guard;
    PyObject* self = type->tp_alloc(type, 0);
    if (!self) {
        release_node(node);
        return nullptr;
    }
    return with_state(bound(self, node));
}

bool keep_objects(PyObject* type, bool keep) {
    auto family = std::find_if(families.begin(), families.end(),
                               [&](const Family& f) { return reinterpret_cast<PyObject*>(f.type) == type; });
    if (family == families.end()) {
        PyErr_Format(PyExc_TypeError, "keep_objects() takes Value, or a class that was made by the engine, not %R",
                     type);
        return false;
    }
    family->keeps_objects = keep;
    keeping_objects = std::any_of(families.begin(), families.end(), [](const Family& f) { return f.keeps_objects; });
    return true;
}

// Python has let go of a handle whose node lives on. Where somebody may know the object, by a weak reference or by its
// address, the node takes it over, as if the last reference had never gone.
static bool node_takes_over(PyObject* self, Node* node) {
    if (node->refs == 1 || node == letting_go || node->handle != self ||
        !(as_handle(self)->weakrefs || families[node->family].keeps_objects))
        return false;
    _Py_NewReference(self);
    share(self);
    if (free_threaded && (node->has(Tracked) || !is_exact_value(self))) PyObject_GC_Track(self);
    node->flags |= OwnsHandle;
    if (node->has(Tracked)) note_late_tracking();
    return true;
}

void forget_names(Handle* handle) {
    HandleState* state = handle->state;
    if (!state) return;
    if (state->rule) set_rule(handle, nullptr);
    release_object(std::exchange(state->label, nullptr));
    release_object(std::exchange(state->op, nullptr));
}

KILOGRAD_NOINLINE static void destroy_node(Node* node) {
    destroy(node);
    release_pending();
}

// Apart from handle_dealloc, whose short way must not pay for the registers that this one needs.
KILOGRAD_NOINLINE static void dealloc_slow(PyObject* self) {
    Handle* handle = as_handle(self);
    Node* node = handle->node;
    if (node_takes_over(self, node)) return;
    PyObject_GC_UnTrack(self);
    if (node == letting_go) let_go = true;
    if (node->has(Stateful | Tracked) || handle->state || handle->dict || handle->weakrefs) {
        leave_node(handle);
    } else {
        PyTypeObject* type = Py_TYPE(self);
        if (node->handle == handle) node->handle = nullptr;
        type->tp_free(self);
        Py_DECREF(type);
    }
    release_node(node);
}

void handle_dealloc(PyObject* self) {
#ifdef KILOGRAD_FREE_THREADED
    PyObject_GC_UnTrack(self);  // a collection while this waits would find it again
    const Section section(arena_of_value(self));
#endif
    Handle* handle = as_handle(self);
    Node* node = handle->node;
    // A handle of a subclass is Stateful.
    if (node->has(Stateful | Tracked) || handle->weakrefs || keeping_objects || free_list_size == free_list_limit)
        [[unlikely]]
        return dealloc_slow(self);
    node->handle = nullptr;
    handle->node = reinterpret_cast<Node*>(free_list);
    free_list = handle;
    ++free_list_size;
    if (--node->refs == 0) destroy_node(node);  // nothing without state is pinned
}

static int handle_traverse(PyObject* self, visitproc visit, void* arg) {
    Handle* handle = as_handle(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(handle->dict);
    if (HandleState* state = handle->state) {
        Py_VISIT(state->label);
        Py_VISIT(state->op);
        Py_VISIT(state->rule);
        Py_VISIT(state->operands);
    }
    return 0;
}

static int handle_clear(PyObject* self) {
    [[maybe_unused]] const Section section = enter(self);
    Handle* handle = as_handle(self);
    release_object(std::exchange(handle->dict, nullptr));
    if (handle->state) release_object(std::exchange(handle->state->operands, nullptr));
    forget_names(handle);
    return 0;
}

// --- state -------------------------------------------------------------------------------------------------------

HandleState* state_of(Handle* handle) {
    if (!handle->state) {
        handle->state = new (std::nothrow) HandleState;
        if (!handle->state) {
            PyErr_NoMemory();
            return nullptr;
        }
        handle->node->flags |= Stateful;
    }
    return handle->state;
}

void mark_state(Handle* handle, PyObject* new_content) {
    Node* node = handle->node;
    // A node that was tracked before it had consumers is held by their handles, in the sight of the collector.
    bool held_by_consumers = node->has(Tracked) && !node->has(OwnsHandle);
    if (node->refs > 1 && !held_by_consumers) pin(node);
    if (new_content && PyType_IS_GC(Py_TYPE(new_content))) track(handle);
    node->flags |= Stateful;
}

void set_rule(Handle* handle, PyObject* rule) {
    Node* node = handle->node;
    PyObject* old = handle->state->rule;
    handle->state->rule = Py_XNewRef(rule);
    if (rule && !node->has(Rule)) {
        node->flags |= Rule;
        ++rules_alive;
    } else if (!rule && node->has(Rule)) {
        node->flags &= static_cast<std::uint8_t>(~Rule);
        --rules_alive;
    }
    if (rule) mark_state(handle, rule);
    release_object(old);
}

PyObject* wrap_slow(Node* node) {
    PyObject* self = new_handle(node);
    if (self && !bind_operands(as_handle(self))) Py_CLEAR(self);
    return self;
}

bool bind_operands(Handle* handle) {
    HalfBuilt guard;
    Py_ssize_t tracked = 0;
    try {
        for_each_operand(handle->node, [&](Node* operand) { tracked += !pin_operand(operand); });
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
        return false;
    }
    if (tracked == 0) return true;
    HandleState* state = state_of(handle);
    PyObject* operands = state ? PyTuple_New(tracked) : nullptr;
    if (!operands) return false;
    for_each_operand(handle->node, [&](Node* operand) {
        if (!operand->has(Tracked)) return;
        PyObject* object = living_handle(operand);
        PyTuple_SET_ITEM(operands, --tracked, object ? object : Py_NewRef(Py_None));
    });
    Py_XSETREF(state->operands, operands);
    track(handle);
    return true;
}

void pin_state(Node* node) {
    if (node->has(Stateful)) pin(node);
}

bool pin_operand(Node* operand) {
    if (operand->has(Tracked)) return false;
    pin_state(operand);
    return true;
}

PyObject* replace_node(Handle* handle, Node* node) {
    Node* old = handle->node;
    node->flags |= old->flags & (Stateful | Tracked | Rule);
    old->flags &= static_cast<std::uint8_t>(~(Stateful | Tracked | Rule));
    node->refs.set(References::Foreign, old->is_foreign());
    old->refs.set(References::Foreign, false);
    old->handle = nullptr;
    node->handle = handle;
    handle->node = node;
    release_node(old);
    return as_object(handle);
}

// --- types -------------------------------------------------------------------------------------------------------

static PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(Handle, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Handle, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

static bool register_family(PyTypeObject* type, PyObject* name, bool ints, bool grads) {
    static Door door;
    const Alone alone(door);
    if (families.size() > 255) {
        PyErr_SetString(PyExc_RuntimeError, "new_family: the limit of 256 families in a process is reached");
        return false;
    }
    families.reserve(256);  // others read it
    type->tp_vectorcall = Slot<value_vectorcall>::call;
    // Nodes refer to a family by number: it lives as long as the process.
#ifdef KILOGRAD_FREE_THREADED
    // And is counted no more: all threads would meet at the count whenever a handle dies.
    auto* const object = reinterpret_cast<PyObject*>(type);
    object->ob_ref_local = _Py_IMMORTAL_REFCNT_LOCAL;
    object->ob_ref_shared = 0;
#else
    Py_INCREF(type);
#endif
    family_types[families.size()] = type;
    families.push_back({type, Py_NewRef(name), ints, grads, false});
    return true;
}

std::vector<PyType_Slot> handle_slots() {
    return {
        {Py_tp_dealloc, reinterpret_cast<void*>(handle_dealloc)},
        {Py_tp_traverse, reinterpret_cast<void*>(handle_traverse)},
        {Py_tp_clear, reinterpret_cast<void*>(handle_clear)},
        {Py_tp_members, members},
    };
}

PyTypeObject* make_value_type(PyObject* module) {
    hooks.run_rule = run_rule;
    hooks.has_forward = has_forward;
    hooks.run_forward = run_forward;
    hooks.release_handle = release_handle;
    std::vector<PyType_Slot> slots = handle_slots();
    add_value_slots(slots);
    slots.push_back({0, nullptr});
    PyType_Spec spec = {"kilograd.Value", sizeof(Handle), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots.data()};
    value_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (!value_type) return nullptr;
    PyObject* name = PyUnicode_FromString("Value");
    PyObject* priority = PyFloat_FromDouble(1000.0);  // NumPy's operators leave Values to us
    bool ok = name && priority && register_family(value_type, name, false, false) &&
              add_absent_attributes(value_type) && add_protocols(value_type) &&
              PyObject_SetAttrString(reinterpret_cast<PyObject*>(value_type), "__array_priority__", priority) == 0 &&
              PyModule_AddObjectRef(module, "Value", reinterpret_cast<PyObject*>(value_type)) == 0;
    Py_XDECREF(name);
    Py_XDECREF(priority);
    return ok ? value_type : nullptr;
}

PyObject* make_family(PyObject* name, PyObject* module_name, bool ints, bool grads, PyTypeObject* base) {
    PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void*>(handle_dealloc)},
        {Py_tp_traverse, reinterpret_cast<void*>(handle_traverse)},
        {Py_tp_clear, reinterpret_cast<void*>(handle_clear)},
        {0, nullptr},
    };
    const char* c_name = PyUnicode_AsUTF8(name);
    const char* c_module = PyUnicode_AsUTF8(module_name);
    if (!c_name || !c_module) return nullptr;
    // Python 3.10 keeps a pointer to the name; a family lives as long as the process.
    const char* full_name = (new std::string(std::string(c_module) + "." + c_name))->c_str();
    PyType_Spec spec = {full_name, sizeof(Handle), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                        slots};
    PyObject* type = PyType_FromSpecWithBases(&spec, reinterpret_cast<PyObject*>(base ? base : value_type));
    if (!type) return nullptr;
    if (PyObject_SetAttrString(type, "__doc__", Py_None) < 0 ||
        !register_family(reinterpret_cast<PyTypeObject*>(type), name, ints, grads)) {
        Py_DECREF(type);
        return nullptr;
    }
    return type;
}

// -1 where there is none.
static int find_family(PyTypeObject* type) {
    for (PyTypeObject* base = type; base; base = base->tp_base) {
        if (base->tp_dealloc != handle_dealloc) continue;
        for (std::size_t i = 0; i < families.size(); ++i)
            if (families[i].type == base) return static_cast<int>(i);
    }
    return -1;
}

int family_of(PyTypeObject* type) { return std::max(find_family(type), 0); }
bool has_family(PyTypeObject* type) { return find_family(type) >= 0; }

}  // namespace kilograd
