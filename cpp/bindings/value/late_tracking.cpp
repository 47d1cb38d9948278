#include "late_tracking.hpp"

#include <atomic>
#include <cstring>
#include <new>
#include <unordered_map>
#include <vector>

#include "../python.hpp"

namespace kilograd {

namespace {

#ifdef KILOGRAD_FREE_THREADED
std::atomic<bool> late_tracking{false};
constexpr int first_watched = 0;  // there is one generation, whatever it is called
#else
bool late_tracking = false;  // some node is both Tracked and pinned
constexpr int first_watched = 1;
#endif

bool pinned_tracked(const Node* node) { return node->has(Tracked) && node->has(OwnsHandle); }

// Brings what is tracked late into the collector's sight: binds all that was built on it, which is tracked in turn.
// Where every other reference to a pinned node is an edge from a bound consumer, its pin is no longer needed.
// False where one of them still is.
bool expose_late_tracking() {
    struct Handles : std::vector<PyObject*> {
        ~Handles() {
            for (PyObject* handle : *this) Py_XDECREF(handle);
        }
    } made;  // held until they are bound
    std::unordered_map<Node*, std::uint32_t> edges;
    bool complete = true;
    arena().for_each_node([&](Node* node) {
        bool over_tracked = false;
        for_each_operand(node, [&](Node* operand) { over_tracked = over_tracked || pinned_tracked(operand); });
        if (!over_tracked || !complete) return;
        made.push_back(nullptr);
        PyObject* self = made.back() = unseen_handle_of(node);
        complete = self && bind_operands(as_handle(self));
        if (!complete) return;
        for_each_operand(node, [&](Node* operand) { edges[operand] += pinned_tracked(operand); });
        if (node->refs > 1) pin_state(node);
    });
    bool all = complete;
    for (auto [node, count] : edges) {
        if (!pinned_tracked(node)) continue;
        if (complete && node->refs == count + 1) {
            node->flags &= static_cast<std::uint8_t>(~OwnsHandle);
            hooks.release_handle(node->handle);  // its consumers' handles hold it
        } else {
            all = false;
        }
    }
    return all;
}

void expose_everywhere() {
    late_tracking = false;
    for_each_arena([] {
        const bool all = !arena().half_built && expose_late_tracking();
        if (!all) late_tracking = true;
        if (!arena().half_built) release_pending();
    });
}

// In gc.callbacks from the first such node on. The youngest generation is left out: it is collected every few hundred
// allocations, and a pass costs a nanosecond or two for each node alive.
PyObject* before_collection(PyObject*, PyObject* args) {
    const char* phase;
    PyObject* info;
    if (!PyArg_ParseTuple(args, "sO!", &phase, &PyDict_Type, &info)) return nullptr;
    PyObject* generation = PyDict_GetItemString(info, "generation");
    if (late_tracking && std::strcmp(phase, "start") == 0 && generation && PyLong_AsLong(generation) >= first_watched)
        expose_everywhere();
    if (PyErr_Occurred()) return nullptr;
    Py_RETURN_NONE;
}

PyMethodDef before_collection_method = method<before_collection>("kilograd_before_collection", METH_VARARGS, nullptr);

}  // namespace

void note_late_tracking() {
    late_tracking = true;
    static std::atomic<bool> watching{false};
    if (watching.exchange(true)) return;
    PyObject* gc = PyImport_ImportModule("gc");
    PyObject* callbacks = gc ? PyObject_GetAttrString(gc, "callbacks") : nullptr;
    PyObject* callback = callbacks ? PyCFunction_New(&before_collection_method, nullptr) : nullptr;
    if (!callback || PyList_Append(callbacks, callback) < 0) PyErr_WriteUnraisable(nullptr);
    Py_XDECREF(callback);
    Py_XDECREF(callbacks);
    Py_XDECREF(gc);
}

}  // namespace kilograd
