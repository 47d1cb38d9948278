#include "class.hpp"

namespace kilograd {

std::array<std::unique_ptr<Served>, 256> served;
PyTypeObject* served_type = nullptr;
std::uint64_t built_natively = 0;

void Served::prepare_results() {
    constexpr Op rows[] = {Op::add, Op::mul};
    constexpr int fixed[] = {Captured | FloatUnit, Captured};  // 1 is an int in any case unless fixed to 1.0
    for (const OperatorIndex index : {Add, Multiply}) {
        const std::uint8_t mode = operators[index].mode;
        const bool always = mode & Nodes && switches.empty() && makes.value_or(FloatKind) == FloatKind;
        Tag tag{1, always ? rows[index] : Op::leaf, Kinds{FloatKind, zero, FloatKind}, ExactInts,
                static_cast<std::uint8_t>(family_of(type))};
        tag.refs.set(References::Fixed, (mode & fixed[index]) == fixed[index]);
        plain_results[index] = tag;
    }
}

// --- what the op attribute shows ---------------------------------------------------------------------------------

PyObject* Served::op_pattern(const Node* node) const {
    if (node->is_fixed()) return tags[static_cast<std::size_t>(node->op)];
    if (node->op != Op::linear) return labels[static_cast<std::size_t>(node->op)];
    return node->fan->tag < tags.size() ? tags[node->fan->tag] : nullptr;
}

void Served::note_op_pattern(Node* node, PyObject* pattern) {
    if (node->op != Op::linear) {
        PyObject*& label = labels[static_cast<std::size_t>(node->op)];
        if (!label) label = Py_NewRef(pattern);
        return;
    }
    for (node->fan->tag = 0; node->fan->tag < tags.size(); ++node->fan->tag) {
        PyObject* known = tags[node->fan->tag];
        if (known && PyUnicode_Compare(known, pattern) == 0) return;
    }
    node->fan->tag = static_cast<std::uint32_t>(tags.size());
    tags.push_back(Py_NewRef(pattern));
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
    set_foreign(handle->node, true);
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
    set_foreign(node, false);
    return true;
}

// --- types -------------------------------------------------------------------------------------------------------

PyTypeObject* make_type(const char* name, std::size_t size, unsigned long flags, std::vector<PyType_Slot> slots) {
    slots.push_back({0, nullptr});
    PyType_Spec spec = {name, static_cast<int>(size), 0, static_cast<unsigned>(flags), slots.data()};
    return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

}  // namespace kilograd
