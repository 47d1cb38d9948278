#include "class.hpp"

#include <algorithm>

namespace kilograd {

std::array<std::unique_ptr<Served>, 256> served;
PyTypeObject* served_type = nullptr;
std::size_t foreign_alive = 0;
std::uint64_t built_natively = 0;

// --- numbers -----------------------------------------------------------------------------------------------------

static PyTypeObject* float64_type() {
    static PyTypeObject* type = nullptr;
    if (type) return type;
    PyObject* numpy = PyDict_GetItemString(PyImport_GetModuleDict(), "numpy");
    PyObject* found = numpy ? PyObject_GetAttrString(numpy, "float64") : nullptr;
    if (!found) PyErr_Clear();
    if (found && PyType_Check(found)) type = reinterpret_cast<PyTypeObject*>(found);
    return type;
}

PyObject* served_number(double value, std::uint8_t kind) {
    if (kind != NumpyKind) return number_object(value, kind);
    if (!float64_type()) {  // a pickle was read
        PyObject* numpy = PyImport_ImportModule("numpy");
        if (!numpy) return nullptr;
        Py_DECREF(numpy);
    }
    PyObject* plain = PyFloat_FromDouble(value);
    PyObject* result = plain ? PyObject_CallOneArg(reinterpret_cast<PyObject*>(float64_type()), plain) : nullptr;
    Py_XDECREF(plain);
    return result;
}

bool is_number_like_slow(PyObject* object, Number& out) {
    if (PyBool_Check(object)) {
        out = {object == Py_True ? 1.0 : 0.0, BoolKind};
        return true;
    }
    if (PyLong_CheckExact(object)) {
        double value = PyLong_AsDouble(object);
        if (value == -1.0 && PyErr_Occurred()) {
            PyErr_Clear();
            return false;
        }
        out = {value, IntKind};
        return std::fabs(value) < exact_integers;
    }
    if (PyFloat_Check(object) && Py_TYPE(object) == float64_type()) {
        out = {PyFloat_AS_DOUBLE(object), NumpyKind};
        return true;
    }
    return false;
}

// --- what the op attribute shows ---------------------------------------------------------------------------------

bool is_served(const Node* node) { return served_of(node) != nullptr; }

PyObject* op_pattern(const Node* node) {
    const Served& own = *served_of(node);
    if (node->op != Op::linear) return own.labels[static_cast<std::size_t>(node->op)];
    return node->fan->tag < own.tags.size() ? own.tags[node->fan->tag] : nullptr;
}

void note_op_pattern(Node* node, PyObject* pattern) {
    Served& own = *served_of(node);
    if (node->op != Op::linear) {
        PyObject*& label = own.labels[static_cast<std::size_t>(node->op)];
        if (!label) label = Py_NewRef(pattern);
        return;
    }
    for (node->fan->tag = 0; node->fan->tag < own.tags.size(); ++node->fan->tag) {
        PyObject* known = own.tags[node->fan->tag];
        if (known && PyUnicode_Compare(known, pattern) == 0) return;
    }
    own.tags.resize(std::max<std::size_t>(own.tags.size(), first_method_tag), nullptr);
    node->fan->tag = static_cast<std::uint32_t>(own.tags.size());
    own.tags.push_back(Py_NewRef(pattern));
}

// --- foreign state -----------------------------------------------------------------------------------------------

PyObject* foreign_value(Node* node, PyObject* name) {  // borrowed or null
    if (!node->is_foreign() || !node->handle || !name) return nullptr;
    PyObject* dict = static_cast<Handle*>(node->handle)->dict;
    return dict ? PyDict_GetItemWithError(dict, name) : nullptr;
}

bool keep_in_dict(Handle* handle, PyObject* name, PyObject* value) {
    if (!handle->dict) handle->dict = PyDict_New();
    if (!handle->dict || PyDict_SetItem(handle->dict, name, value) < 0) return false;
    mark_state(handle, handle->dict);
    return true;
}

bool keep_foreign(Handle* handle, PyObject* name, PyObject* value) {
    if (!keep_in_dict(handle, name, value)) return false;
    if (!handle->node->is_foreign()) {
        handle->node->kinds.foreign = 1;
        ++foreign_alive;
    }
    return true;
}

bool drop_foreign(Handle* handle, PyObject* name) {
    Node* node = handle->node;
    if (!node->is_foreign() || !handle->dict) return true;
    int present = PyDict_Contains(handle->dict, name);
    if (present < 0 || (present && PyDict_DelItem(handle->dict, name) < 0)) return false;
    if (is_exposed(handle)) return true;
    const Served& own = *served_of(node);
    for (PyObject* other : own.foreign_names) {
        int there = PyDict_Contains(handle->dict, other);
        if (there < 0) return false;
        if (there) return true;
    }
    node->kinds.foreign = 0;
    --foreign_alive;
    return true;
}

// --- types -------------------------------------------------------------------------------------------------------

PyTypeObject* make_type(const char* name, std::size_t size, unsigned long flags, std::vector<PyType_Slot> slots) {
    slots.push_back({0, nullptr});
    PyType_Spec spec = {name, static_cast<int>(size), 0, static_cast<unsigned>(flags), slots.data()};
    PyObject* type = PyType_FromSpec(&spec);
    if (!type) throw pybind11::error_already_set();
    return reinterpret_cast<PyTypeObject*>(type);
}

}  // namespace kilograd
