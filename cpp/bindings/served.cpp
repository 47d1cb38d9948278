#include "served.hpp"

#include <structmember.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>

#include "modes.hpp"
#include "numbers.hpp"
#include "snapshot.hpp"
#include "value.hpp"

namespace py = pybind11;

namespace kilograd {

namespace {

// --- what is known of a served class -----------------------------------------------------------------------------

enum OperatorMode : std::uint8_t {
    Nodes = 1,      // native between nodes
    Numbers = 2,    // native with a number
    Swapped = 4,    // the reflected form puts the node first
    Captured = 8,   // local gradients are fixed when the node is made
    FloatUnit = 16  // the local gradient of + is 1.0 and not 1
};

struct Operator {
    PyObject* function = nullptr;  // the author's method, or null where the class has none
    PyObject* reflected = nullptr;
    std::uint8_t mode = 0;
    std::uint8_t reflected_mode = 0;
};

enum OperatorIndex { Add, Multiply, Power, operator_count };

struct Served {
    PyTypeObject* type = nullptr;
    PyObject* init = nullptr;
    PyObject* rule = nullptr;  // the author's `_backward`, where it is a method and no attribute
    bool plain_init = false;   // Class(number) only stores the number
    Kind zero = IntKind;
    Kind one = IntKind;
    bool closed = false;       // its objects take no attributes but their own (`__slots__`)
    bool depth_first = false;  // backward() visits nodes in the order of a recursive search
    std::array<Operator, operator_count> operators;
    std::array<PyObject*, op_count> labels{};  // what the op attribute shows for a row; "{}" is the exponent
    std::vector<PyObject*> tags;               // the same for nodes with fixed local gradients
    PyObject* data_name = nullptr;
    PyObject* grad_name = nullptr;
    std::vector<PyObject*> foreign_names;  // attributes that may hold what the engine cannot
};

std::array<std::unique_ptr<Served>, 256> served;
PyTypeObject* served_type = nullptr;
PyTypeObject* member_type = nullptr;
PyTypeObject* method_type = nullptr;
std::size_t foreign_alive = 0;
std::uint64_t built_natively = 0;

Served* served_of(const Node* node) { return served[node->family].get(); }
Served* served_of(PyTypeObject* type) { return served[static_cast<std::size_t>(family_of(type))].get(); }

bool is_number_like(PyObject* object, Number& out);

// --- NumPy's float64, which keeps its type through arithmetic -----------------------------------------------------

PyTypeObject* float64_type() {
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
    PyObject* plain = PyFloat_FromDouble(value);
    PyObject* result = plain ? PyObject_CallOneArg(reinterpret_cast<PyObject*>(float64_type()), plain) : nullptr;
    Py_XDECREF(plain);
    return result;
}

// Numbers that a node holds exactly, type included. Never raises.
bool is_number_like(PyObject* object, Number& out) {
    if (PyFloat_CheckExact(object)) [[likely]] {
        out = {PyFloat_AS_DOUBLE(object), FloatKind};
        return true;
    }
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

// Forgets a foreign object under `name`; the node is an ordinary one again when it was the last.
bool drop_foreign(Handle* handle, PyObject* name) {
    Node* node = handle->node;
    if (!node->is_foreign() || !handle->dict) return true;
    int present = PyDict_Contains(handle->dict, name);
    if (present < 0 || (present && PyDict_DelItem(handle->dict, name) < 0)) return false;
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

bool any_foreign(const Node* node) {
    bool found = node->is_foreign();
    for_each_operand(node, [&](Node* operand) { found |= operand->is_foreign(); });
    return found;
}

// --- building ----------------------------------------------------------------------------------------------------

Node* served_leaf(Number number, std::uint8_t family) {
    Node* node = new_leaf(number.value, number.kind, family, ExactInts);
    node->kinds.grad = served[family]->zero;
    return node;
}

Node* served_node(Op op, double y, Kind kind, Node* a, Node* b, double c, Kind constant) {
    Node* node = record(op, y, kind, a, b, c, constant, a);
    node->kinds.grad = served_of(a)->zero;
    ++built_natively;
    return node;
}

struct Local {
    double value;
    std::uint8_t kind;
};

Node* served_fixed(double y, Kind kind, Node* a, Local da, Node* b, Local db, std::uint32_t tag) {
    Fan* fan = new_fan(b ? 2 : 1);
    fan->tag = tag;
    fan->begin()[0] = {a, da.value, da.kind};
    if (b) fan->begin()[1] = {b, db.value, db.kind};
    Node* node = record_fan(Op::linear, y, kind, fan, a->family, ExactInts);
    node->kinds.grad = served_of(a)->zero;
    ++built_natively;
    return node;
}

constexpr std::uint32_t tag_add = 1, tag_multiply = 2, tag_power = 3, first_method_tag = 4;

// --- + and * -----------------------------------------------------------------------------------------------------

// Null without an error where the author's method has to do it.
template <Op op>
PyObject* native_plain(Node* a, Node* b, std::uint8_t mode) {
    double y = op == Op::add ? a->data + b->data : a->data * b->data;
    Kind kind = join_kinds(a->kinds.data, b->kinds.data);
    if (kind != FloatKind) [[unlikely]] {
        if (kind == IntKind) {
            if (!(std::fabs(y) < exact_integers)) return nullptr;
            y += 0.0;  // an integer zero has no sign
        } else if (!std::isfinite(y)) {
            return nullptr;  // NumPy warns
        }
    }
    if (mode & Captured) {
        constexpr std::uint32_t tag = op == Op::add ? tag_add : tag_multiply;
        std::uint8_t unit = mode & FloatUnit ? FloatKind : IntKind;
        Local da = op == Op::add ? Local{1.0, unit} : Local{b->data, b->kinds.data};
        Local db = op == Op::add ? Local{1.0, unit} : Local{a->data, a->kinds.data};
        return wrap(served_fixed(y, kind, a, da, b, db, tag));
    }
    return wrap(served_node(op, y, kind, a, b, 0.0, FloatKind));
}

// Whether the local derivative of a**c is finite, and c is a case that Python and the engine compute alike.
bool plain_power(double a, double c) {
    return std::isfinite(a) && std::isfinite(c) && c != 0.0 && (c >= 1.0 || (std::fabs(a) >= 1e-20 && c >= -14.0));
}

PyObject* native_power(Node* a, Number c, std::uint8_t mode) {
    if (c.kind == BoolKind || c.kind == NumpyKind || !plain_power(a->data, c.value)) return nullptr;
    double y = Row<Op::powc>::value(a->data, 0.0, c.value);
    if (!std::isfinite(y)) return nullptr;
    Kind kind = FloatKind;
    if (a->kinds.data == NumpyKind || c.kind == NumpyKind) {
        kind = NumpyKind;
    } else if (a->kinds.data & c.kind & IntKind) {
        if (c.value < 0.0) {
            if (a->data == 0.0) return nullptr;
        } else {
            if (!(std::fabs(y) < exact_integers)) return nullptr;
            kind = IntKind;
            y += 0.0;
        }
    }
    if (mode & Captured) {
        double da = Row<Op::powc>::da(a->data, 0.0, c.value, y);
        std::uint8_t local = kind == NumpyKind                                      ? NumpyKind
                             : (a->kinds.data & c.kind & IntKind) && c.value >= 1.0 ? IntKind
                                                                                    : FloatKind;
        return wrap(served_fixed(y, kind, a, {da, local}, nullptr, {}, tag_power));
    }
    return wrap(served_node(Op::powc, y, kind, a, nullptr, c.value, c.kind));
}

// An object of the class itself. One of a subclass may have overridden what the author's method reads or makes.
bool native_operand(PyObject* object, std::uint8_t family) {
    return is_exact_value(object) && node_of(object)->family == family && !node_of(object)->is_foreign();
}

template <OperatorIndex index>
PyObject* native_operation(PyObject* self, PyObject* other, bool reflected, std::uint8_t mode) {
    Node* node = node_of(self);
    if (node->is_foreign() || !recording() || !is_exact_value(self)) return nullptr;
    if constexpr (index == Power) {
        Number number{};
        if (reflected || !(mode & Numbers) || !is_number_like(other, number)) return nullptr;
        return native_power(node, number, mode);
    } else {
        constexpr Op op = index == Add ? Op::add : Op::mul;
        if (native_operand(other, node->family)) {
            if (!(mode & Nodes)) return nullptr;
            return native_plain<op>(node, node_of(other), mode);
        }
        Number number{};
        if (!(mode & Numbers) || !is_number_like(other, number)) return nullptr;
        Node* leaf = served_leaf(number, node->family);
        bool node_first = !reflected || (mode & Swapped);
        PyObject* result = native_plain<op>(node_first ? node : leaf, node_first ? leaf : node, mode);
        release(leaf);
        return result;
    }
}

template <OperatorIndex index>
PyObject* operate(PyObject* left, PyObject* right) {
    bool forward = PyObject_TypeCheck(left, served_type);
    PyObject* self = forward ? left : right;
    PyObject* other = forward ? right : left;
    const Operator& own = served_of(node_of(self))->operators[index];
    if (std::uint8_t mode = forward ? own.mode : own.reflected_mode) {
        PyObject* result = native_operation<index>(self, other, !forward, mode);
        if (result || PyErr_Occurred()) return result;
    }
    PyObject* function = forward ? own.function : own.reflected;
    if (!function) Py_RETURN_NOTIMPLEMENTED;
    PyObject* arguments[] = {self, other};
    return PyObject_Vectorcall(function, arguments, 2, nullptr);
}

constexpr const char* forward_names[] = {"__add__", "__mul__", "__pow__"};
constexpr const char* reflected_names[] = {"__radd__", "__rmul__", "__rpow__"};

// Python's own rule for a binary operator, for operands whose classes may override it: the right operand goes first
// where its class derives from the left one's and has a reflected method of its own.
PyObject* general_operation(OperatorIndex index, PyObject* left, PyObject* right) {
    auto look_up = [](PyObject* object, const char* name) {
        PyObject* method = PyObject_TypeCheck(object, served_type)
                               ? PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(object)), name)
                               : nullptr;
        if (!method) PyErr_Clear();
        return py::reinterpret_steal<py::object>(method);
    };
    auto call = [](const py::object& method, PyObject* self, PyObject* other) {
        if (!method) Py_RETURN_NOTIMPLEMENTED;
        PyObject* arguments[] = {self, other};
        return PyObject_Vectorcall(method.ptr(), arguments, 2, nullptr);
    };
    py::object forward = look_up(left, forward_names[index]);
    py::object reflected = Py_TYPE(left) == Py_TYPE(right) ? py::object() : look_up(right, reflected_names[index]);
    if (forward && reflected && PyType_IsSubtype(Py_TYPE(right), Py_TYPE(left)) &&
        !reflected.is(look_up(left, reflected_names[index]))) {
        PyObject* result = call(reflected, right, left);
        if (result != Py_NotImplemented) return result;
        Py_DECREF(result);
        reflected = py::object();
    }
    PyObject* result = call(forward, left, right);
    if (result != Py_NotImplemented) return result;
    Py_DECREF(result);
    return call(reflected, right, left);
}

// left + right where both are served, of two classes: the left one's method, then the right one's reflected one.
template <OperatorIndex index>
PyObject* binary_slot(PyObject* left, PyObject* right) {
    auto overriding = [](PyObject* object) {
        return Py_TYPE(object)->tp_dealloc != handle_dealloc && PyObject_TypeCheck(object, served_type);
    };
    if (overriding(left) || overriding(right)) [[unlikely]]
        return general_operation(index, left, right);
    PyObject* result = operate<index>(left, right);
    if (result != Py_NotImplemented || !PyObject_TypeCheck(left, served_type) ||
        !PyObject_TypeCheck(right, served_type) || node_of(left)->family == node_of(right)->family)
        return result;
    PyObject* function = served_of(node_of(right))->operators[index].reflected;
    if (!function) return result;
    Py_DECREF(result);
    PyObject* arguments[] = {right, left};
    return PyObject_Vectorcall(function, arguments, 2, nullptr);
}

PyObject* power_slot(PyObject* left, PyObject* right, PyObject* modulus) {
    if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
    return binary_slot<Power>(left, right);
}

// --- methods of one operand --------------------------------------------------------------------------------------

// A value and a local derivative as authors write them, where that is not the op table's way to the last bit. The
// value is NaN where Python would raise.
struct Formula {
    const char* name;
    double (*value)(double x);
    double (*local)(double x, double y);
};

double checked_exp(double x) {
    double y = std::exp(x);
    return std::isfinite(y) ? y : std::nan("");
}
double tanh_by_exp(double x) { return (checked_exp(2.0 * x) - 1.0) / (checked_exp(2.0 * x) + 1.0); }
double tanh_by_math(double x) { return std::tanh(x); }
double logistic_by_exp(double x) { return 1.0 / (1.0 + checked_exp(-x)); }
// A constant exponent would be compiled into y * y, which differs from Python's y**2 in one case of a thousand.
volatile double two = 2.0;
double one_minus_power(double, double y) { return 1.0 - std::pow(y, two); }
double one_minus_product(double, double y) { return 1.0 - y * y; }
double logistic_slope(double, double y) { return y * (1.0 - y); }

constexpr Formula formulas[] = {
    {"tanh_by_exp, 1 - t**2", tanh_by_exp, one_minus_power},
    {"tanh_by_exp, 1 - t*t", tanh_by_exp, one_minus_product},
    {"math.tanh, 1 - t**2", tanh_by_math, one_minus_power},
    {"math.tanh, 1 - t*t", tanh_by_math, one_minus_product},
    {"logistic_by_exp, s * (1 - s)", logistic_by_exp, logistic_slope},
};

// What the negative half of a ReLU gives, and which half zero is in.
enum ReluForm : std::uint8_t { NotRelu, NegativeToInt, NegativeToFloat, PositiveOrInt, PositiveOrFloat };

struct Method {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyObject* function;  // the author's
    PyObject* name;
    const Formula* formula;
    Op op;
    bool fixed;         // the local gradient is computed with the value
    bool numpy;         // tried with NumPy's float64 too
    std::uint8_t relu;  // ReluForm
    std::uint8_t local_kind;
    bool backward;
    bool reflected;
    PyObject* (*operation)(PyObject* self, PyObject* other, bool reflected);  // `__add__` and its like
    std::uint32_t tag;
};

template <OperatorIndex index>
PyObject* native_or_null(PyObject* self, PyObject* other, bool reflected) {
    const Operator& own = served_of(node_of(self))->operators[index];
    std::uint8_t mode = reflected ? own.reflected_mode : own.mode;
    return mode ? native_operation<index>(self, other, reflected, mode) : nullptr;
}

Node* native_unary(Method* method, Node* a) {
    double x = a->data;
    if (!std::isfinite(x) || (a->kinds.data == NumpyKind && !method->numpy)) return nullptr;
    if (method->relu) {
        bool strict = method->relu == PositiveOrInt || method->relu == PositiveOrFloat;
        bool kept = strict ? x > 0.0 : !(x < 0.0);
        bool to_int = method->relu == NegativeToInt || method->relu == PositiveOrInt;
        Kind kind = kept ? static_cast<Kind>(a->kinds.data) : to_int ? IntKind : FloatKind;
        double y = kept ? x : 0.0;
        if (method->fixed)
            return served_fixed(y, kind, a, {y > 0.0 ? 1.0 : 0.0, method->local_kind}, nullptr, {}, method->tag);
        return served_node(Op::relu, y, kind, a, nullptr, 0.0, FloatKind);
    }
    double y, local;
    if (method->formula) {
        y = method->formula->value(x);
        local = method->formula->local(x, y);
    } else {
        Fault fault;
        y = evaluate(method->op, x, 0.0, 0.0, fault);
        if (fault != Fault::None) return nullptr;
        local = 0.0;
    }
    if (!std::isfinite(y) || !std::isfinite(local)) return nullptr;
    if (method->formula) return served_fixed(y, FloatKind, a, {local, FloatKind}, nullptr, {}, method->tag);
    Node* node = served_node(method->op, y, FloatKind, a, nullptr, 0.0, FloatKind);
    local = locals_of(node).da;
    if (std::isfinite(local) && !method->fixed) return node;
    release(node);
    --built_natively;
    if (!std::isfinite(local)) return nullptr;
    return served_fixed(y, FloatKind, a, {local, FloatKind}, nullptr, {}, method->tag);
}

// --- backward ----------------------------------------------------------------------------------------------------

PyObject* local_object(Node* node, std::uint32_t index) {
    if (node->op == Op::linear) {
        Fan::Edge& edge = node->fan->begin()[index];
        return served_number(edge.local, edge.kind);
    }
    if (node->op == Op::add) return PyLong_FromLong(1);
    Node* other = index ? node->a : node->b;
    const Served& own = *served_of(node);
    if (node->op == Op::mul) {
        PyObject* object = foreign_value(other, own.data_name);
        return object ? Py_NewRef(object) : served_number(other->data, other->kinds.data);
    }
    Locals locals = locals_of(node);
    return PyFloat_FromDouble(index ? locals.db : locals.da);
}

}  // namespace

PyObject* run_served_rule(Node* node) {
    if (node->is_leaf() || node->op == Op::custom) Py_RETURN_NONE;
    if (!any_foreign(node)) {
        apply_own_rule(node);
        Py_RETURN_NONE;
    }
    PyObject* name = served_of(node)->grad_name;
    PyObject* self = handle_of(node);
    if (!self) return nullptr;
    std::vector<Node*> operands;
    for_each_operand(node, [&](Node* operand) { operands.push_back(operand); });
    for (std::uint32_t i = 0; i < operands.size(); ++i) {
        PyObject* grad = PyObject_GetAttr(self, name);
        PyObject* local = grad ? local_object(node, i) : nullptr;
        // `+` adds the gradient itself: multiplying it by one could change its type.
        PyObject* term = !local ? nullptr : node->op == Op::add ? Py_NewRef(grad) : PyNumber_Multiply(local, grad);
        PyObject* operand = term ? handle_of(operands[i]) : nullptr;
        PyObject* old = operand ? PyObject_GetAttr(operand, name) : nullptr;
        PyObject* sum = old ? PyNumber_InPlaceAdd(old, term) : nullptr;
        bool ok = sum && PyObject_SetAttr(operand, name, sum) == 0;
        for (PyObject* object : {grad, local, term, operand, old, sum}) Py_XDECREF(object);
        if (!ok) {
            Py_DECREF(self);
            return nullptr;
        }
    }
    Py_DECREF(self);
    Py_RETURN_NONE;
}

namespace {

// The interior nodes in the order in which a recursive search, operands first, leaves them: the order in which authors
// sum gradients when their nodes keep the operands in a tuple.
std::vector<Node*> depth_first(Node* root) {
    struct Frame {
        Node* node;
        std::uint32_t next;
    };
    std::vector<Node*> order;
    std::vector<Frame> stack;
    auto operand = [](Node* node, std::uint32_t i) -> Node* {
        if (node->has_fan()) return i < node->fan->count ? node->fan->begin()[i].operand : nullptr;
        return i == 0 ? node->a : i == 1 ? node->b : nullptr;
    };
    auto enter = [&](Node* node) {
        if (node->flags & Marked) return;  // a leaf, or seen
        node->flags |= Marked;
        stack.push_back({node, 0});
    };
    enter(root);
    while (!stack.empty()) {
        Frame& frame = stack.back();
        if (Node* next = operand(frame.node, frame.next++)) {
            enter(next);
        } else {
            order.push_back(frame.node);
            stack.pop_back();
        }
    }
    for (Node* node : order) node->flags &= static_cast<std::uint8_t>(~Marked);
    std::reverse(order.begin(), order.end());
    return order;
}

PyObject* served_backward(Method* method, PyObject* self) {
    Node* root = node_of(self);
    const Served& own = *served_of(root);
    if (root->is_foreign() || !recording()) return nullptr;
    if (foreign_alive == 0 && rules_alive == 0 && !own.depth_first) {
        if (!backward(root, 1.0, own.one)) return nullptr;
        Py_RETURN_NONE;
    }
    std::vector<Node*> order = own.depth_first ? depth_first(root) : ancestors(root).interior;
    bool foreign = false;
    if (foreign_alive)
        for (Node* node : order) foreign |= any_foreign(node);
    if (foreign) {
        if (!method->function) return nullptr;
        return PyObject_CallOneArg(method->function, self);
    }
    root->grad = 1.0;
    root->kinds.grad = own.one;
    // The caller's reference to the root keeps all of these nodes alive while a Python rule runs.
    for (Node* node : order) {
        if (node->has(Rule)) {
            if (!hooks.run_rule(node)) return nullptr;
        } else if (foreign_alive == 0) {
            apply_own_rule(node);
        } else {
            PyObject* done = run_served_rule(node);
            if (!done) return nullptr;
            Py_DECREF(done);
        }
    }
    Py_RETURN_NONE;
}

PyObject* method_call(PyObject* callable, PyObject* const* args, std::size_t nargsf, PyObject* keywords) {
    auto* method = reinterpret_cast<Method*>(callable);
    if (method->operation) {
        if (PyVectorcall_NARGS(nargsf) == 2 && !keywords && PyObject_TypeCheck(args[0], served_type)) {
            PyObject* result = method->operation(args[0], args[1], method->reflected);
            if (result || PyErr_Occurred()) return result;
        }
        return PyObject_Vectorcall(method->function, args, nargsf, keywords);
    }
    bool alone = PyVectorcall_NARGS(nargsf) == 1 && (!keywords || PyTuple_GET_SIZE(keywords) == 0);
    if (alone && PyObject_TypeCheck(args[0], served_type) && (method->backward || is_exact_value(args[0]))) [[likely]] {
        Node* node = node_of(args[0]);
        if (method->backward) {
            PyObject* result = served_backward(method, args[0]);
            if (result || PyErr_Occurred()) return result;
        } else if (!node->is_foreign() && recording()) {
            if (Node* made = native_unary(method, node)) return wrap(made);
        }
    }
    return PyObject_Vectorcall(method->function, args, nargsf, keywords);
}

PyObject* method_get(PyObject* self, PyObject* object, PyObject*) {
    return object && object != Py_None ? PyMethod_New(self, object) : Py_NewRef(self);
}

// Whatever else is asked of the method is answered by the author's function: its name, its documentation, its source.
PyObject* method_getattr(PyObject* self, PyObject* name) {
    auto* method = reinterpret_cast<Method*>(self);
    if (PyUnicode_CompareWithASCIIString(name, "__wrapped__") == 0) return Py_NewRef(method->function);
    if (PyUnicode_CompareWithASCIIString(name, "__class__") == 0 ||
        PyUnicode_CompareWithASCIIString(name, "__get__") == 0 ||
        PyUnicode_CompareWithASCIIString(name, "__call__") == 0)
        return PyObject_GenericGetAttr(self, name);
    return PyObject_GetAttr(method->function, name);
}

PyObject* method_repr(PyObject* self) { return PyObject_Repr(reinterpret_cast<Method*>(self)->function); }

int method_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(reinterpret_cast<Method*>(self)->function);
    return 0;
}

int method_clear(PyObject* self) {
    Py_CLEAR(reinterpret_cast<Method*>(self)->function);
    return 0;
}

void method_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(reinterpret_cast<Method*>(self)->function);
    Py_XDECREF(reinterpret_cast<Method*>(self)->name);
    type->tp_free(self);
    Py_DECREF(type);
}

PyMemberDef method_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Method, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

// --- attributes --------------------------------------------------------------------------------------------------

enum class Role : std::uint8_t { Data, Grad, Children, Locals, Op, Rule, Label, Extra };
enum class Container : std::uint8_t { Set, Frozenset, Tuple, List };

// An attribute of a served class, under the author's name for it.
struct Member {
    PyObject_HEAD PyObject* name;
    PyObject* empty;     // what a leaf shows, where that is not the engine's own
    PyObject* on_class;  // what the class itself shows (a dataclass default), or null
    Role role;
    Container container;
};

PyObject* in_container(Container container, PyObject* tuple) {  // steals
    if (!tuple || container == Container::Tuple) return tuple;
    PyObject* result = container == Container::Set         ? PySet_New(tuple)
                       : container == Container::Frozenset ? PyFrozenSet_New(tuple)
                                                           : PySequence_List(tuple);
    Py_DECREF(tuple);
    return result;
}

bool is_container(Container container, PyObject* object) {
    switch (container) {
        case Container::Set:
            return PySet_CheckExact(object);
        case Container::Frozenset:
            return PyFrozenSet_CheckExact(object);
        case Container::Tuple:
            return PyTuple_CheckExact(object);
        case Container::List:
            return PyList_CheckExact(object);
    }
    return false;
}

PyObject* operand_tuple(Node* node) {
    std::vector<Node*> operands;
    for_each_operand(node, [&](Node* operand) { operands.push_back(operand); });
    PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(operands.size()));
    for (std::size_t i = 0; tuple && i < operands.size(); ++i) {
        PyObject* operand = handle_of(operands[i]);
        if (!operand)
            Py_CLEAR(tuple);
        else
            PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(i), operand);
    }
    return tuple;
}

PyObject* local_tuple(Node* node) {
    std::uint32_t count = node->op == Op::linear ? node->fan->count : 0;
    PyObject* tuple = PyTuple_New(count);
    for (std::uint32_t i = 0; tuple && i < count; ++i) {
        PyObject* local = local_object(node, i);
        if (!local)
            Py_CLEAR(tuple);
        else
            PyTuple_SET_ITEM(tuple, i, local);
    }
    return tuple;
}

PyObject* op_text(Node* node, PyObject* empty) {
    Handle* handle = static_cast<Handle*>(node->handle);
    if (handle->state && handle->state->op) return Py_NewRef(handle->state->op);
    if (node->is_leaf() || node->op == Op::custom) return Py_NewRef(empty);
    const Served& own = *served_of(node);
    PyObject* text = nullptr;
    if (node->op == Op::linear) {
        if (node->fan->tag < own.tags.size()) text = own.tags[node->fan->tag];
    } else {
        text = own.labels[static_cast<std::size_t>(node->op)];
    }
    if (!text) return Py_NewRef(empty);
    if (node->op != Op::powc) return Py_NewRef(text);
    PyObject* exponent = served_number(node->constant, node->kinds.constant);
    PyObject* result = exponent ? PyObject_CallMethod(text, "format", "O", exponent) : nullptr;
    Py_XDECREF(exponent);
    return result;
}

PyObject* own_rule(PyObject* self, PyObject*) { return run_served_rule(node_of(self)); }
PyMethodDef own_rule_def = {"_backward", own_rule, METH_NOARGS, nullptr};

PyObject* member_get(PyObject* descriptor, PyObject* object, PyObject*) {
    auto* member = reinterpret_cast<Member*>(descriptor);
    if (!object) return Py_NewRef(member->on_class ? member->on_class : descriptor);
    Node* node = node_of(object);
    Handle* handle = as_handle(object);
    if (node->is_foreign() || member->role == Role::Extra) [[unlikely]] {
        PyObject* kept = handle->dict ? PyDict_GetItemWithError(handle->dict, member->name) : nullptr;
        if (kept) return Py_NewRef(kept);
        if (PyErr_Occurred()) return nullptr;
    }
    switch (member->role) {
        case Role::Data:
            return served_number(node->data, node->kinds.data);
        case Role::Grad:
            return served_number(node->grad, node->kinds.grad);
        case Role::Children:
            if (node->is_leaf() && member->empty) return Py_NewRef(member->empty);
            return in_container(member->container, operand_tuple(node));
        case Role::Locals:
            if (node->is_leaf() && member->empty) return Py_NewRef(member->empty);
            return in_container(member->container, local_tuple(node));
        case Role::Op:
            return op_text(node, member->empty);
        case Role::Rule:
            if (handle->state && handle->state->rule) return Py_NewRef(handle->state->rule);
            if (node->is_leaf() && member->empty) return Py_NewRef(member->empty);
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

// The handle gets another node that has these operands and is otherwise as the old one.
bool set_operands(Handle* handle, PyObject* sequence) {
    Node* old = handle->node;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(sequence);
    Node* node;
    if (count == 0) {
        node = served_leaf({old->data, static_cast<Kind>(old->kinds.data)}, old->family);
    } else {
        Fan* fan = new_fan(static_cast<std::uint32_t>(count));
        fan->tag = 0;
        for (Py_ssize_t i = 0; i < count; ++i)
            fan->begin()[i] = {node_of(PySequence_Fast_GET_ITEM(sequence, i)), 0.0, FloatKind};
        node = record_fan(Op::custom, old->data, static_cast<Kind>(old->kinds.data), fan, old->family, ExactInts);
    }
    node->grad = old->grad;
    node->kinds.grad = old->kinds.grad;
    replace_node(handle, node);
    if (!bind_operands(handle)) return false;
    const Served& own = *served_of(node);
    if (count && own.rule) {
        if (!state_of(handle)) return false;
        PyObject* rule = PyMethod_New(own.rule, as_object(handle));
        if (!rule) return false;
        set_rule(handle, rule);
        Py_DECREF(rule);
    }
    return true;
}

int set_children(Member* member, Handle* handle, PyObject* value) {
    Node* node = handle->node;
    bool fitting = is_container(member->container, value);
    PyObject* sequence =
        PyAnySet_Check(value) || PyTuple_Check(value) || PyList_Check(value) ? PySequence_Fast(value, "") : nullptr;
    if (member->empty && value == member->empty) {
        Py_XSETREF(sequence, PyTuple_New(0));
        fitting = true;
    }
    for (Py_ssize_t i = 0; sequence && i < PySequence_Fast_GET_SIZE(sequence); ++i) {
        PyObject* item = PySequence_Fast_GET_ITEM(sequence, i);
        if (!PyObject_TypeCheck(item, served_type) || node_of(item)->family != node->family || node_of(item) == node)
            Py_CLEAR(sequence);
    }
    // A node that has consumers keeps its place on the tape, so it can be given no operands that came after it. The
    // result of a native operation keeps its rule when its operands are taken away, as an author's closure does.
    bool movable = node->refs == 1 && (node->is_leaf() || node->op == Op::custom);
    if (sequence && fitting && node->has_fan() && PyAnySet_Check(value)) {  // a second view of the same operands
        PyObject* present = in_container(member->container, operand_tuple(node));
        int same = present ? PyObject_RichCompareBool(present, value, Py_EQ) : -1;
        Py_XDECREF(present);
        if (same) {
            Py_DECREF(sequence);
            return same < 0 ? -1 : 0;
        }
    }
    if (sequence && fitting && movable) {
        bool ok = drop_foreign(handle, member->name);
        bool trivial = node->is_leaf() && PySequence_Fast_GET_SIZE(sequence) == 0;
        if (ok && !trivial) ok = set_operands(handle, sequence);
        Py_DECREF(sequence);
        return ok ? 0 : -1;
    }
    Py_XDECREF(sequence);
    PyErr_Clear();
    return keep_foreign(handle, member->name, value) ? 0 : -1;
}

int set_locals(Member* member, Handle* handle, PyObject* value) {
    Node* node = handle->node;
    bool fitting = is_container(member->container, value);
    PyObject* sequence = fitting ? PySequence_Fast(value, "") : nullptr;
    Py_ssize_t count = sequence ? PySequence_Fast_GET_SIZE(sequence) : -1;
    bool ok = false;
    if (count == 0 && node->is_leaf()) {
        ok = true;
    } else if (count > 0 && node->has_fan() && count == static_cast<Py_ssize_t>(node->fan->count)) {
        std::vector<Number> locals(static_cast<std::size_t>(count));
        ok = true;
        for (Py_ssize_t i = 0; i < count; ++i)
            ok = ok && is_number_like(PySequence_Fast_GET_ITEM(sequence, i), locals[static_cast<std::size_t>(i)]);
        for (Py_ssize_t i = 0; ok && i < count; ++i) {
            Number number = locals[static_cast<std::size_t>(i)];
            node->fan->begin()[i].local = number.value;
            node->fan->begin()[i].kind = number.kind;
        }
        if (ok) node->op = Op::linear;
    }
    Py_XDECREF(sequence);
    if (ok) return drop_foreign(handle, member->name) ? 0 : -1;
    PyErr_Clear();
    return keep_foreign(handle, member->name, value) ? 0 : -1;
}

int set_rule_member(Member* member, Handle* handle, PyObject* value) {
    if (does_nothing(value) || (member->empty && value == member->empty)) {
        if (handle->state && handle->state->rule) set_rule(handle, nullptr);
        if (handle->node->is_leaf() || handle->node->op == Op::custom)
            return drop_foreign(handle, member->name) ? 0 : -1;
    }
    if (!PyCallable_Check(value)) return keep_foreign(handle, member->name, value) ? 0 : -1;
    if (!state_of(handle)) return -1;
    set_rule(handle, value);
    return 0;
}

int member_set(PyObject* descriptor, PyObject* object, PyObject* value) {
    auto* member = reinterpret_cast<Member*>(descriptor);
    if (!value) {
        PyErr_SetObject(PyExc_AttributeError, member->name);
        return -1;
    }
    Handle* handle = as_handle(object);
    Node* node = handle->node;
    Number number{};
    switch (member->role) {
        case Role::Data:
        case Role::Grad: {
            if (!is_number_like(value, number)) return keep_foreign(handle, member->name, value) ? 0 : -1;
            if (node->is_foreign() && !drop_foreign(handle, member->name)) return -1;
            if (member->role == Role::Data) {
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
        case Role::Op:
            if (node->is_leaf() && same_constant(value, member->empty) && !(handle->state && handle->state->op))
                return 0;
            return set_state(handle, &HandleState::op, value);
        case Role::Rule:
            return set_rule_member(member, handle, value);
        case Role::Label:
            if (same_constant(value, member->empty) && !(handle->state && handle->state->label)) return 0;
            return set_state(handle, &HandleState::label, value);
        case Role::Extra:
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
    type->tp_free(self);
    Py_DECREF(type);
}

// --- the base type of all served classes -------------------------------------------------------------------------

PyObject* served_new(PyTypeObject* type, PyObject*, PyObject*) {
    int family = family_of(type);
    Node* node = served_leaf({0.0, FloatKind}, static_cast<std::uint8_t>(family));
    if (type == families[static_cast<std::size_t>(family)].type) return new_handle(node);
    auto* handle = reinterpret_cast<Handle*>(type->tp_alloc(type, 0));
    if (!handle) {
        release(node);
        return nullptr;
    }
    node->flags |= Stateful;  // its class must come back with it
    handle->node = node;
    node->handle = handle;
    return as_object(handle);
}

int served_init(PyObject* self, PyObject* args, PyObject* kwargs) {
    const Served& own = *served_of(node_of(self));
    Py_ssize_t count = PyTuple_GET_SIZE(args);
    PyObject* bound = PyMethod_New(own.init, self);
    (void)count;
    PyObject* result = bound ? PyObject_Call(bound, args, kwargs) : nullptr;
    Py_XDECREF(bound);
    if (!result) return -1;
    bool none = result == Py_None;
    if (!none) PyErr_Format(PyExc_TypeError, "__init__() should return None, not '%.200s'", Py_TYPE(result)->tp_name);
    Py_DECREF(result);
    return none ? 0 : -1;
}

PyObject* served_vectorcall(PyObject* callable, PyObject* const* args, std::size_t nargsf, PyObject* keywords) {
    auto* type = reinterpret_cast<PyTypeObject*>(callable);
    auto family = static_cast<std::uint8_t>(family_of(type));
    const Served& own = *served[family];
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    Number number{};
    if (own.plain_init && count == 1 && !keywords && is_number_like(args[0], number)) {
        ++built_natively;
        return new_handle(served_leaf(number, family));
    }
    PyObject* self = new_handle(served_leaf({0.0, FloatKind}, family));
    if (!self) return nullptr;
    Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
    std::vector<PyObject*> all(static_cast<std::size_t>(count + named) + 1);
    all[0] = self;
    std::copy(args, args + count + named, all.begin() + 1);
    PyObject* result = PyObject_Vectorcall(own.init, all.data(), static_cast<std::size_t>(count) + 1, keywords);
    if (result && result != Py_None)
        PyErr_Format(PyExc_TypeError, "__init__() should return None, not '%.200s'", Py_TYPE(result)->tp_name);
    Py_XDECREF(result);
    if (result != Py_None) Py_CLEAR(self);
    return self;
}

int served_setattr(PyObject* self, PyObject* name, PyObject* value) {
    if (is_exact_value(self) && served_of(node_of(self))->closed) {
        PyObject* descriptor = PyObject_GetAttr(reinterpret_cast<PyObject*>(Py_TYPE(self)), name);
        bool own = descriptor && Py_TYPE(descriptor)->tp_descr_set;
        Py_XDECREF(descriptor);
        if (!own) {
            PyErr_Clear();
            PyErr_Format(PyExc_AttributeError, "'%.200s' object has no attribute '%U'", Py_TYPE(self)->tp_name, name);
            return -1;
        }
    }
    if (PyObject_GenericSetAttr(self, name, value) < 0) return -1;
    Handle* handle = as_handle(self);
    if (handle->dict) mark_state(handle, handle->dict);
    return 0;
}

PyObject* served_get_dict(PyObject* self, void*) {
    PyObject* dict = PyObject_GenericGetDict(self, nullptr);
    if (dict) mark_state(as_handle(self), dict);
    return dict;
}

PyGetSetDef served_getset[] = {
    {"__dict__", served_get_dict, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMethodDef served_methods[] = {
    {"__reduce__", value_reduce, METH_NOARGS, nullptr},
    {"__copy__", value_copy, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyTypeObject* make_type(const char* name, std::size_t size, unsigned long flags, std::vector<PyType_Slot> slots) {
    slots.push_back({0, nullptr});
    PyType_Spec spec = {name, static_cast<int>(size), 0, static_cast<unsigned>(flags), slots.data()};
    PyObject* type = PyType_FromSpec(&spec);
    if (!type) throw py::error_already_set();
    return reinterpret_cast<PyTypeObject*>(type);
}

void make_types() {
    std::vector<PyType_Slot> slots = handle_slots();
    slots.insert(slots.end(), {
                                  {Py_tp_new, reinterpret_cast<void*>(served_new)},
                                  {Py_tp_init, reinterpret_cast<void*>(served_init)},
                                  {Py_tp_free, reinterpret_cast<void*>(PyObject_GC_Del)},
                                  {Py_tp_setattro, reinterpret_cast<void*>(served_setattr)},
                                  {Py_tp_getset, served_getset},
                                  {Py_tp_methods, served_methods},
                                  {Py_nb_add, reinterpret_cast<void*>(binary_slot<Add>)},
                                  {Py_nb_multiply, reinterpret_cast<void*>(binary_slot<Multiply>)},
                                  {Py_nb_power, reinterpret_cast<void*>(power_slot)},
                              });
    served_type = make_type("kilograd._core.Served", sizeof(Handle),
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots);
    member_type = make_type("kilograd._core.Member", sizeof(Member), Py_TPFLAGS_DEFAULT,
                            {{Py_tp_dealloc, reinterpret_cast<void*>(member_dealloc)},
                             {Py_tp_descr_get, reinterpret_cast<void*>(member_get)},
                             {Py_tp_descr_set, reinterpret_cast<void*>(member_set)}});
    method_type =
        make_type("kilograd._core.Method", sizeof(Method),
                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
                  {{Py_tp_dealloc, reinterpret_cast<void*>(method_dealloc)},
                   {Py_tp_traverse, reinterpret_cast<void*>(method_traverse)},
                   {Py_tp_clear, reinterpret_cast<void*>(method_clear)},
                   {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                   {Py_tp_descr_get, reinterpret_cast<void*>(method_get)},
                   {Py_tp_getattro, reinterpret_cast<void*>(method_getattr)},
                   {Py_tp_repr, reinterpret_cast<void*>(method_repr)},
                   {Py_tp_members, method_members}});
}

// --- the table of contents, for python/kilograd/run ---------------------------------------------------------------

Served& own_of(py::handle type) {
    if (!PyType_Check(type.ptr())) throw py::type_error("a served class is expected");
    Served* own = served_of(reinterpret_cast<PyTypeObject*>(type.ptr()));
    if (!own) throw py::type_error("a served class is expected");
    return *own;
}

void keep(PyObject*& slot, py::handle value) {
    PyObject* old = slot;
    slot = value.is_none() ? nullptr : Py_NewRef(value.ptr());
    Py_XDECREF(old);
}

py::object new_served(py::str name, py::str module, py::type metaclass) {
    PyObject* type = make_family(name.ptr(), module.ptr(), true, true, served_type);
    if (!type) throw py::error_already_set();
    auto family = static_cast<std::size_t>(family_of(reinterpret_cast<PyTypeObject*>(type)));
    served[family] = std::make_unique<Served>();
    served[family]->type = reinterpret_cast<PyTypeObject*>(type);
    reinterpret_cast<PyTypeObject*>(type)->tp_vectorcall = served_vectorcall;
    auto* meta = reinterpret_cast<PyTypeObject*>(metaclass.ptr());
    // A metaclass made by Python does not inherit the vectorcall of `type` before 3.12, and has no __call__ of its own.
    meta->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
    meta->tp_vectorcall_offset = offsetof(PyTypeObject, tp_vectorcall);
    Py_INCREF(meta);
    Py_SET_TYPE(type, meta);
    return py::reinterpret_steal<py::object>(type);
}

OperatorIndex operator_index(const std::string& name) {
    if (name == "add") return Add;
    if (name == "mul") return Multiply;
    if (name == "pow") return Power;
    throw py::value_error("no such operator: " + name);
}

py::object new_member(py::str name, const std::string& role, const std::string& container, py::object empty,
                      py::object on_class) {
    static const std::pair<const char*, Role> roles[] = {
        {"data", Role::Data}, {"grad", Role::Grad}, {"children", Role::Children}, {"locals", Role::Locals},
        {"op", Role::Op},     {"rule", Role::Rule}, {"label", Role::Label},       {"extra", Role::Extra}};
    static const std::pair<const char*, Container> containers[] = {{"set", Container::Set},
                                                                   {"frozenset", Container::Frozenset},
                                                                   {"tuple", Container::Tuple},
                                                                   {"list", Container::List}};
    auto* member = reinterpret_cast<Member*>(member_type->tp_alloc(member_type, 0));
    if (!member) throw py::error_already_set();
    py::object result = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(member));
    member->name = name.inc_ref().ptr();
    PyUnicode_InternInPlace(&member->name);
    bool known = false;
    for (auto& [text, value] : roles)
        if (role == text) member->role = value, known = true;
    for (auto& [text, value] : containers)
        if (container == text) member->container = value;
    if (!known) throw py::value_error("no such role: " + role);
    // An empty container is made anew for every reader: it may be a mutable one.
    bool fresh = empty.is_none() &&
                 (member->role == Role::Children || member->role == Role::Locals || member->role == Role::Rule) &&
                 container != "none";
    if (!fresh) member->empty = empty.inc_ref().ptr();
    if (!on_class.is(py::ellipsis())) member->on_class = on_class.inc_ref().ptr();
    return result;
}

py::object new_method(py::object cls, py::str name, const std::string& recipe, py::object function, bool fixed,
                      bool numpy, const std::string& local_kind, py::object label) {
    Served& own = own_of(cls);
    auto* method = reinterpret_cast<Method*>(method_type->tp_alloc(method_type, 0));
    if (!method) throw py::error_already_set();
    py::object result = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(method));
    method->vectorcall = method_call;
    method->function = function.inc_ref().ptr();
    method->name = name.inc_ref().ptr();
    method->fixed = fixed;
    method->numpy = numpy;
    method->local_kind = local_kind == "int" ? IntKind : local_kind == "bool" ? BoolKind : FloatKind;
    method->op = Op::leaf;
    static const std::pair<const char*, ReluForm> relus[] = {{"relu: 0 if x < 0", NegativeToInt},
                                                             {"relu: 0.0 if x < 0", NegativeToFloat},
                                                             {"relu: x if x > 0 else 0", PositiveOrInt},
                                                             {"relu: x if x > 0 else 0.0", PositiveOrFloat}};
    if (recipe == "backward") {
        method->backward = true;
        return result;
    }
    static const std::pair<const char*, decltype(Method::operation)> operations[] = {
        {"add", native_or_null<Add>}, {"mul", native_or_null<Multiply>}, {"pow", native_or_null<Power>}};
    for (auto& [text, operation] : operations) {
        if (recipe != text) continue;
        method->operation = operation;
        method->reflected = fixed;
        return result;
    }
    bool found = false;
    for (auto& [text, form] : relus)
        if (recipe == text) method->relu = form, method->op = Op::relu, found = true;
    for (const Formula& formula : formulas)
        if (recipe == formula.name) method->formula = &formula, found = true;
    for (std::size_t i = first_row; !found && i < op_count; ++i)
        if (recipe == op_infos[i].name && op_infos[i].arity == Arity::Unary)
            method->op = static_cast<Op>(i), found = true;
    if (!found) throw py::value_error("no such recipe: " + recipe);
    if (!label.is_none()) {
        if (fixed || method->formula) {
            if (own.tags.size() < first_method_tag) own.tags.resize(first_method_tag, nullptr);
            own.tags.push_back(label.inc_ref().ptr());
            method->tag = static_cast<std::uint32_t>(own.tags.size() - 1);
        } else {
            keep(own.labels[static_cast<std::size_t>(method->op)], label);
        }
    }
    return result;
}

}  // namespace

bool is_served_type(PyTypeObject* type) { return PyType_IsSubtype(type, served_type); }

void drop_foreign_flag(Node* node) {
    node->kinds.foreign = 0;
    --foreign_alive;
}

void add_served(py::module_& m) {
    make_types();
    m.attr("Served") = py::handle(reinterpret_cast<PyObject*>(served_type));
    m.def("new_served", new_served, py::arg("name"), py::arg("module"), py::arg("metaclass"));
    m.def(
        "served_conventions",
        [](py::object cls, bool int_zero, bool int_one, bool depth_first, bool closed, py::object data, py::object grad,
           py::list foreign) {
            Served& own = own_of(cls);
            own.closed = closed;
            own.zero = int_zero ? IntKind : FloatKind;
            own.one = int_one ? IntKind : FloatKind;
            own.depth_first = depth_first;
            keep(own.data_name, data);
            keep(own.grad_name, grad);
            own.foreign_names.clear();  // interned and immortal, as names of attributes are
            for (py::handle name : foreign) own.foreign_names.push_back(Py_NewRef(name.ptr()));
        },
        py::arg("cls"), py::kw_only(), py::arg("int_zero"), py::arg("int_one"), py::arg("depth_first"),
        py::arg("closed"), py::arg("data"), py::arg("grad"), py::arg("foreign"));
    m.def(
        "served_init",
        [](py::object cls, py::object function, bool plain) {
            Served& own = own_of(cls);
            keep(own.init, function);
            own.plain_init = plain;
        },
        py::arg("cls"), py::arg("function"), py::arg("plain"));
    // Puts an attribute on a served class without touching the type's slots, which stay the engine's.
    m.def("served_attribute", [](py::type cls, py::str name, py::object value) {
        own_of(cls);
        auto* type = reinterpret_cast<PyTypeObject*>(cls.ptr());
        int failed = value.is(py::ellipsis()) ? PyDict_DelItem(type->tp_dict, name.ptr())
                                              : PyDict_SetItem(type->tp_dict, name.ptr(), value.ptr());
        PyType_Modified(type);
        if (failed) throw py::error_already_set();
    });
    // Gives a subclass of a served class the operators of the engine: they follow what it overrides.
    m.def("served_subclass", [](py::type cls) {
        PyNumberMethods* number = reinterpret_cast<PyTypeObject*>(cls.ptr())->tp_as_number;
        number->nb_add = binary_slot<Add>;
        number->nb_multiply = binary_slot<Multiply>;
        number->nb_power = power_slot;
    });
    m.def("served_rule", [](py::object cls, py::object function) { keep(own_of(cls).rule, function); });
    m.def(
        "served_operator",
        [](py::object cls, const std::string& name, bool reflected, py::object function, int mode, py::object label) {
            Served& own = own_of(cls);
            OperatorIndex index = operator_index(name);
            Operator& operation = own.operators[index];
            keep(reflected ? operation.reflected : operation.function, function);
            (reflected ? operation.reflected_mode : operation.mode) = static_cast<std::uint8_t>(mode);
            if (label.is_none()) return;
            constexpr Op rows[] = {Op::add, Op::mul, Op::powc};
            keep(own.labels[static_cast<std::size_t>(rows[index])], label);
            if (own.tags.size() < first_method_tag) own.tags.resize(first_method_tag, nullptr);
            keep(own.tags[index + 1u], label);
        },
        py::arg("cls"), py::arg("name"), py::arg("reflected"), py::arg("function"), py::arg("mode"), py::arg("label"));
    m.def("new_member", new_member, py::arg("name"), py::arg("role"), py::arg("container") = "tuple",
          py::arg("empty") = py::none(), py::arg("on_class") = py::ellipsis());
    m.def("new_method", new_method, py::arg("cls"), py::arg("name"), py::arg("recipe"), py::arg("function"),
          py::arg("fixed"), py::arg("numpy"), py::arg("local_kind"), py::arg("label"));
    m.def("served_nodes_built", [] { return built_natively; });
}

}  // namespace kilograd
