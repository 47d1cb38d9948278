// The Python `Value`: a raw CPython heap type whose instances are handles, one at most per node, so that identity is
// stable. Handles are made lazily, come from a free list, and are unknown to the cyclic collector until they matter.
//
// Lifetime. A handle owns one reference to its node. State that Python puts on a handle (label, attributes, a rule, a
// subclass), and a handle that Python got from the graph and whose address it may remember, must live as long as the
// node, in one of two ways:
//   Stateful  nothing the collector cares about: while the node has consumers it owns its handle (a pin).
//   Tracked   the state may refer back to the graph. The collector cannot see C++ edges, so every handle made by an
//             operation on a tracked one holds its operands' handles by Python references and is tracked too: the
//             whole region is visible in one pass, and graphs without such state pay nothing.
// What is tracked late, when consumers exist already, is pinned at first, out of the collector's sight. Before the
// next collection of an older generation one pass over the tape makes the handles and references that were not made
// in time, and takes the pin off.
// A handle that an operation returned and that carries nothing dies with Python's last reference, unless something
// refers to it weakly: then its node takes it over at that moment.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <vector>

#include "../../engine/graph.hpp"
#include "../section.hpp"

namespace kilograd {

struct HandleState {
    PyObject* label = nullptr;
    PyObject* op = nullptr;        // what the constructor or the user named the op
    PyObject* rule = nullptr;      // a custom `_backward`
    PyObject* operands = nullptr;  // tuple of the operands' handles, where they are tracked
    bool exposed = false;          // __dict__ has all attributes, and only it has them: see served/
};

struct Handle {
    PyObject_HEAD Node* node;
    HandleState* state;
    PyObject* weakrefs;
    PyObject* dict;
#ifdef KILOGRAD_FREE_THREADED
    Arena* arena;  // of its nodes, whichever it has: another thread may change the node before this one is entered
#endif
};

// What a class of somebody else's, run on the engine (see served/), has beyond Value: what copies and pickles keep.
struct Conventions {
    virtual ~Conventions() = default;
    // What the op attribute shows for a native operation: borrowed, or null.
    virtual PyObject* op_pattern(const Node* node) const = 0;
    virtual void note_op_pattern(Node* node, PyObject* pattern) = 0;  // for a node that was made elsewhere
    // Rules that are closures over the original node and its operands: a copy of a node shares its closure.
    virtual bool copy_shares_rule(const Node* node) const = 0;
    virtual bool share_rule(Node* original, Node* copy) = 0;  // false with an error set
    virtual bool holds(std::uint8_t kind) const = 0;          // whether a node may hold a number of that kind
};

// A family is a Python type together with the conventions of its dialect; a node knows its family by number.
struct Family {
    PyTypeObject* type;
    PyObject* name;      // str, the name that repr prints
    bool exact_ints;     // gradients follow Python's integer arithmetic
    bool shows_grad;     // repr has the gradient
    bool keeps_objects;  // see keep_objects()
    Conventions* conventions = nullptr;
    std::uint8_t dialect() const { return exact_ints ? std::uint8_t{ExactInts} : std::uint8_t{0}; }
};
extern std::vector<Family> families;
inline Conventions* conventions_of(const Node* node) { return families[node->family].conventions; }
extern PyTypeObject* value_type;         // families[0].type, the base of all others
extern PyTypeObject* family_types[256];  // families[i].type again, one load away

void handle_dealloc(PyObject* self);

inline bool is_exact_value(PyObject* object) { return Py_TYPE(object)->tp_dealloc == handle_dealloc; }
inline bool is_value(PyObject* object) {
    return Py_TYPE(object) == value_type || is_exact_value(object) || PyType_IsSubtype(Py_TYPE(object), value_type);
}
inline Handle* as_handle(PyObject* object) { return reinterpret_cast<Handle*>(object); }
inline PyObject* as_object(Handle* handle) { return reinterpret_cast<PyObject*>(handle); }
#ifdef KILOGRAD_FREE_THREADED
inline Arena& arena_of_value(PyObject* value) { return as_handle(value)->arena->home(); }
#endif
// Whoever has a node from elsewhere than another node.
inline Node* bring(Node* node) {
#ifdef KILOGRAD_FREE_THREADED
    bring(arena_of(node));
#endif
    return node;
}
inline Node* node_of(PyObject* value) {
#ifdef KILOGRAD_FREE_THREADED
    bring(arena_of_value(value));
#endif
    return as_handle(value)->node;
}

// What a function makes of a Value's node, in its arena.
template <class Fn>
auto at_node(PyObject* value, Fn&& fn) {
    [[maybe_unused]] const Section section = enter(value);
    return fn(node_of(value));
}
inline double data_of_value(PyObject* value) {
    return at_node(value, [](const Node* node) { return node->data; });
}

// Dead handles wait here for the next node, with their type still set and counted: with the list an eager operation
// costs about what a float operation costs, without it half as much again. Where threads run in parallel CPython's own
// memory is as fast.
#ifdef KILOGRAD_FREE_THREADED
inline constexpr int free_list_limit = 0;
#else
inline constexpr int free_list_limit = sanitized ? 0 : 256;
#endif
extern Handle* free_list;  // linked through `node`
extern int free_list_size;

PyObject* allocate_handle(Node* node);

// A new handle for a node that has none; takes over the caller's reference to the node. Null with an error set.
inline PyObject* new_handle(Node* node) {
    Handle* handle = free_list;
    if (!handle) [[unlikely]]
        return allocate_handle(node);
    free_list = reinterpret_cast<Handle*>(handle->node);
    --free_list_size;
    PyTypeObject* type = family_types[node->family];
#if defined(Py_REF_DEBUG) || defined(Py_TRACE_REFS)
    Py_DECREF(Py_TYPE(handle));
    PyObject_Init(as_object(handle), type);
#else
    if (Py_TYPE(handle) != type) [[unlikely]] {
        Py_DECREF(Py_TYPE(handle));
        Py_INCREF(type);
        Py_SET_TYPE(handle, type);
    }
    Py_SET_REFCNT(as_object(handle), 1);
#endif
    handle->node = node;
    node->handle = handle;
    return as_object(handle);
}

// The handle that a node has: a new reference; null where there is none, or where Python's last reference is gone and
// only the end of the handle is still to come.
#ifdef KILOGRAD_FREE_THREADED
PyObject* living_handle(Node* node);
#else
inline PyObject* living_handle(Node* node) { return Py_XNewRef(static_cast<PyObject*>(node->handle)); }
#endif

// The handle of a node, made if need be: a new reference. For Python, which may remember its address from now on.
PyObject* handle_of(Node* node);
// The same for our own use, where no Python code sees it.
PyObject* unseen_handle_of(Node* node);

// The fresh object of a class, as the handle of a node that has none: takes over the caller's reference to the node.
PyObject* bound(PyObject* self, Node* node);

// A handle of a given class for a node that has none yet: takes over the caller's reference to the node, as new_handle.
PyObject* handle_of_type(Node* node, PyTypeObject* type);

// Whether every object of this family that Python has had lives as long as its node. False with an error set.
bool keep_objects(PyObject* type, bool keep);

// The handle for a freshly recorded node: new_handle, bound to operands that carry state.
PyObject* wrap_slow(Node* node);
inline bool carries_state(const Node* operand) { return operand && operand->has(Stateful | Tracked); }
inline PyObject* wrap(Node* node) {
    if (carries_state(node->a) || carries_state(node->b) || node->has_fan()) [[unlikely]]
        return wrap_slow(node);
    return new_handle(node);
}

// Makes a handle hold those of its node's operands that are tracked (see above). False with an error set.
bool bind_operands(Handle* handle);

// Keeps the state of a node's handle, if it has any, for as long as the node has consumers.
void pin_state(Node* node);

// While one lives, a node may have no handle yet that is about to get one, and a collection (before Python 3.12 any
// allocation may start one) leaves what is tracked late for the next.
class HalfBuilt {
  public:
    HalfBuilt() { ++arena().half_built; }
    HalfBuilt(const HalfBuilt&) = delete;
    HalfBuilt& operator=(const HalfBuilt&) = delete;
    ~HalfBuilt() { --arena().half_built; }
};

// For builders that make consumers without handles: pins the state of every operand. False where an operand is
// tracked, and the graph has to be built through handles instead.
bool pin_operand(Node* operand);

// Pinning throws std::bad_alloc: so do these where they say nothing else, before they change anything.
HandleState* state_of(Handle* handle);                   // made if need be; null with an error set
void mark_state(Handle* handle, PyObject* new_content);  // after new_content became part of the handle's state
void set_rule(Handle* handle, PyObject* rule);           // null removes it; takes a new reference
void forget_names(Handle* handle);                       // its label, op and rule, as given by Python
PyObject* replace_node(Handle* handle, Node* node);  // a handle that alone holds its node gets another; borrowed handle

// A foreign node has numbers or operands that the engine cannot hold: the object is kept in the handle's __dict__.
extern Counter foreign_alive;
inline void set_foreign(Node* node, bool foreign) {
    if (node->is_foreign() == foreign) return;
    node->refs.set(References::Foreign, foreign);
    foreign ? ++foreign_alive : --foreign_alive;
}

// Drops references to nodes and then to whatever Python objects that set free, without recursion.
void release_node(Node* node);
void release_pending();

// One more reference, while this lives: a node that is at work while Python may run.
class HeldNode {
  public:
    explicit HeldNode(Node* node) : node_(node) { ++node->refs; }
    HeldNode(const HeldNode&) = delete;
    HeldNode& operator=(const HeldNode&) = delete;
    ~HeldNode() { release_node(node_); }
    Node* get() const { return node_; }

  private:
    Node* node_;
};

PyTypeObject* make_value_type(PyObject* module);  // families[0]
std::vector<PyType_Slot> handle_slots();          // what every base type has
// A new type, derived from `base` or from Value; null with an error set.
PyObject* make_family(PyObject* name, PyObject* module_name, bool ints, bool grads, PyTypeObject* base = nullptr);
int family_of(PyTypeObject* type);  // the family whose type this is or derives from; 0 where there is none
bool has_family(PyTypeObject* type);

}  // namespace kilograd
