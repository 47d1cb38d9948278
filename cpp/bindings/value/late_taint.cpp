#include "late_taint.hpp"

#include <cstring>
#include <new>
#include <unordered_map>
#include <vector>

#include "../python.hpp"

namespace kilograd {

namespace {

bool late_taint = false;  // some node is both Tainted and pinned

bool pinned_taint(const Node* node) { return node->has(Tainted) && node->has(OwnsHandle); }

// Brings late taint into the collector's sight: bonds all that was built on it, which taints that in turn. Where every
// other reference to a pinned node is an edge from a bonded consumer, its pin is no longer needed.
void expose_late_taint() {
    struct Handles : std::vector<PyObject*> {
        ~Handles() {
            for (PyObject* handle : *this) Py_XDECREF(handle);
        }
    } made;  // held until they are bonded
    std::unordered_map<Node*, std::uint32_t> edges;
    bool complete = true;
    arena.for_each_node([&](Node* node) {
        bool over_taint = false;
        for_each_operand(node, [&](Node* operand) { over_taint = over_taint || pinned_taint(operand); });
        if (!over_taint || !complete) return;
        made.push_back(nullptr);
        PyObject* self = made.back() = unseen_handle_of(node);
        complete = self && bind_operands(as_handle(self));
        if (!complete) return;
        for_each_operand(node, [&](Node* operand) { edges[operand] += pinned_taint(operand); });
        if (node->refs > 1) pin_state(node);
    });
    late_taint = false;
    for (auto [node, count] : edges) {
        if (!pinned_taint(node)) continue;
        if (complete && node->refs == count + 1) {
            node->flags &= static_cast<std::uint8_t>(~OwnsHandle);
            hooks.release_handle(node->handle);  // its consumers' handles hold it
        } else {
            late_taint = true;
        }
    }
}

// In gc.callbacks from the first late taint on. The youngest generation is left out: it is collected every few hundred
// allocations, and a pass costs a nanosecond or two for each node alive.
PyObject* before_collection(PyObject*, PyObject* args) {
    const char* phase;
    PyObject* info;
    if (!PyArg_ParseTuple(args, "sO!", &phase, &PyDict_Type, &info)) return nullptr;
    PyObject* generation = PyDict_GetItemString(info, "generation");
    if (late_taint && HalfBuilt::depth == 0 && std::strcmp(phase, "start") == 0 && generation &&
        PyLong_AsLong(generation) > 0)
        expose_late_taint();
    if (PyErr_Occurred()) return nullptr;
    Py_RETURN_NONE;
}

PyMethodDef before_collection_method = method<before_collection>("kilograd_before_collection", METH_VARARGS, nullptr);

}  // namespace

void note_late_taint() {
    late_taint = true;
    static bool watching = false;
    if (watching) return;
    watching = true;
    PyObject* gc = PyImport_ImportModule("gc");
    PyObject* callbacks = gc ? PyObject_GetAttrString(gc, "callbacks") : nullptr;
    PyObject* callback = callbacks ? PyCFunction_New(&before_collection_method, nullptr) : nullptr;
    if (!callback || PyList_Append(callbacks, callback) < 0) PyErr_WriteUnraisable(nullptr);
    Py_XDECREF(callback);
    Py_XDECREF(callbacks);
    Py_XDECREF(gc);
}

}  // namespace kilograd
