// What a served class is to the engine, and the parts of its type, each in a file of its own.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../../engine/fixed.hpp"
#include "../../engine/order.hpp"
#include "../modes.hpp"
#include "../numbers.hpp"
#include "../python.hpp"
#include "../value/handle.hpp"

namespace kilograd {

enum OperatorMode : std::uint8_t {
    Nodes = 1,       // native between nodes
    Numbers = 2,     // native with a number
    Swapped = 4,     // the reflected form puts the node first
    Captured = 8,    // local gradients are fixed when the node is made
    FloatUnit = 16,  // the local gradient of + is 1.0 and not 1; of - and unary minus it is -1.0 and not -1
    // Of - and unary minus that are no compositions: how the gradient of what is subtracted comes about.
    Negated = 64,     // += -gradient
    Subtracted = 128  // -= gradient
};

// What a method does that only applies operators to its operands: steps for a machine with a stack.
struct Composition {
    enum Kind : std::uint8_t { Operand, Lifted, Constant, Negative, Call, Add, Subtract, Multiply, Divide, Power };
    struct Step {
        Kind kind;
        bool second;       // of the operands; lifted: the class called on it
        PyObject* object;  // the number, or the name of the method: for as long as the process lives
    };
    std::vector<Step> steps;
    bool lifts = false;  // a number as its other operand is a leaf from the beginning
};

struct Operator {
    PyObject* function = nullptr;  // the author's method, or null where the class has none
    PyObject* reflected = nullptr;
    std::uint8_t mode = 0;
    std::uint8_t reflected_mode = 0;
    std::uint32_t tag = 0;  // of what - and unary minus make where they are no compositions: fans
    std::unique_ptr<Composition> composition;
    std::unique_ptr<Composition> reflected_composition;
};

// A local gradient that authors compute of the result's data when gradients flow. It is kept with the node, and anew
// where the data is changed.
enum class Slope : std::uint8_t { None, OneMinusPower, OneMinusProduct, Logistic };
double slope_of(Slope slope, double y);
PyObject* slope_object(Slope slope, PyObject* y);

// How the rule of a difference goes from its gradient to its operands' in Python's arithmetic: by products with the
// local gradients, or as its author wrote it, where the first operand gets the gradient itself.
enum class Minus : std::uint8_t { Products, Product, Negated, Subtracted };
inline Minus minus_of(std::uint8_t mode) {
    return mode & Captured     ? Minus::Products
           : mode & Subtracted ? Minus::Subtracted
           : mode & Negated    ? Minus::Negated
                               : Minus::Product;
}

// The arithmetic of a quotient's rule, for a machine with a stack; the numbers live as long as the process.
struct QuotientStep {
    enum Kind : std::uint8_t {
        Left,
        Right,
        Result,
        Gradient,
        Constant,
        Negative,
        Add,
        Subtract,
        Multiply,
        Divide,
        Power
    };
    Kind kind;
    double value;
    PyObject* object;
};
struct QuotientRule {
    bool fixed = false;                              // the terms are local gradients of the moment the node is made
    std::array<bool, 2> minus{};                     // the term is subtracted
    std::array<std::vector<QuotientStep>, 2> steps;  // for each operand
};

// Negate has one operand, and no reflected form.
enum OperatorIndex { Add, Multiply, Power, Subtract, Divide, Negate, operator_count };

// A truth that the program keeps in a module or on another object, and what it was when the class was judged.
struct Switch {
    PyObject* variables;  // the module's, or the attributes of the object
    PyObject* name;
    PyObject* usual;
    PyObject* hiding;  // where an attribute of the name would be seen instead: the object's class; or null
    bool as_judged() const {
        return PyDict_GetItemWithError(variables, name) == usual && (!hiding || !PyDict_GetItemWithError(hiding, name));
    }
};

struct Served final : Conventions {
    PyTypeObject* type = nullptr;
    PyObject* init = nullptr;
    PyObject* rule = nullptr;  // the author's `_backward`, where it is a method and no attribute
    bool plain_init = false;   // Class(number) only stores the number
    bool bare = false;         // its objects begin without attributes: all that they get is in __dict__
    Kind zero = IntKind;
    Kind one = IntKind;
    bool paused = false;          // all that is done is the author's, for the time being: see is_paused()
    std::optional<Kind> makes;    // what its constructor makes of every number, if it is always the same
    bool numpy = true;            // what it does with NumPy's numbers neither warns nor raises while they are finite
    bool numpy_ints = false;      // it does with numpy.int64 what the engine would
    bool singles = false;         // the same of numpy.float32
    bool numpy_left = false;      // NumPy's scalars on the left may leave their operators to its nodes
    bool closed = false;          // its objects take no attributes but their own (`__slots__`)
    bool closures = false;        // its rules are closures over the node and its operands
    bool fixes_products = false;  // some of its nodes are products with fixed local gradients, or were
    // What results of + and * of two of its nodes are, where all numbers are floats; no operation where none is native
    // whatever the program has done.
    std::array<Tag, 2> plain_results{};
    Order order = Order::Tape;  // in which backward() visits nodes: depth first where they keep operands in a tuple
    std::array<Operator, operator_count> operators;
    std::array<PyObject*, op_count> labels{};  // what the op attribute shows for a row; "{}" is the exponent
    // The same for nodes with fixed local gradients. Those without a fan are at the number of their row; what follows
    // is for methods that share a row with another and show something else.
    std::vector<PyObject*> tags = std::vector<PyObject*>(op_count);
    std::array<bool, op_count> tagged{};                   // a method has claimed the row's
    std::vector<Slope> late;                               // by tag, where the local gradient follows the data
    std::vector<Minus> minuses;                            // by tag, of differences
    std::vector<std::unique_ptr<QuotientRule>> quotients;  // by tag
    PyObject* data_name = nullptr;
    PyObject* grad_name = nullptr;
    std::vector<PyObject*> foreign_names;  // attributes that may hold what the engine cannot
    std::vector<PyObject*> names;          // all attributes, as the author's constructor sets them
    std::vector<Switch> switches;          // while one of them is not as it was, the class is paused

    void prepare_results();  // after its operators, its zero or its switches have changed
    bool is_paused() const {
        return paused ||
               !std::all_of(switches.begin(), switches.end(), [](const Switch& one) { return one.as_judged(); });
    }

    PyObject* op_pattern(const Node* node) const override;  // with "{}" for an exponent
    void note_op_pattern(Node* node, PyObject* pattern) override;
    bool copy_shares_rule(const Node* node) const override;
    bool share_rule(Node* original, Node* copy) override;
    bool holds(std::uint8_t kind) const override {
        return !is_numpy(kind) || (numpy && (kind == NumpyIntKind ? numpy_ints : kind != SingleKind || singles));
    }
};

extern std::array<std::unique_ptr<Served>, 256> served;  // by family
extern PyTypeObject* served_type;                        // the base of all served classes
extern std::uint64_t built_natively;

inline Served* served_of(const Node* node) { return served[node->family].get(); }
inline Served* served_of(PyTypeObject* type) { return served[static_cast<std::size_t>(family_of(type))].get(); }

// Of None it keeps nothing.
inline void keep(PyObject*& slot, PyObject* value) { Py_XSETREF(slot, value == Py_None ? nullptr : Py_NewRef(value)); }

inline bool is_served(PyTypeObject* type) { return PyType_IsSubtype(type, served_type); }

// --- foreign state -----------------------------------------------------------------------------------------------

PyObject* foreign_value(Node* node, PyObject* name);  // borrowed or null
bool keep_in_dict(Handle* handle, PyObject* name, PyObject* value);
bool keep_foreign(Handle* handle, PyObject* name, PyObject* value);
// Forgets a foreign object under `name`; the node is an ordinary one again when it was the last.
bool drop_foreign(Handle* handle, PyObject* name);

// Whether the engine can hold a number as this class would.
inline bool is_held(const Served& own, PyObject* object, Number& out) {
    return is_exact_number(object, out) && own.holds(out.kind);
}

// What this class's constructor makes of a number; false where NumPy would warn.
inline bool make_number(const Served& own, Number& number) {
    if (!own.makes) return true;
    number.kind = *own.makes;
    if (number.kind != SingleKind) return true;
    const bool finite = std::isfinite(number.value);
    number.value = static_cast<float>(number.value);
    return std::isfinite(number.value) == finite;
}

inline bool any_foreign(const Node* node) {
    bool found = node->is_foreign();
    for_each_operand(node, [&](Node* operand) { found |= operand->is_foreign(); });
    return found;
}

inline Slope late_slope(const Node* node) {
    if (node->op != Op::linear) return Slope::None;
    const std::vector<Slope>& late = served_of(node)->late;
    return node->fan->tag < late.size() ? late[node->fan->tag] : Slope::None;
}

// The data of a node is about to become `number`; false where its local gradient is no longer the engine's.
bool refresh_slope(Node* node, Number number);

// --- building ----------------------------------------------------------------------------------------------------

inline Node* served_leaf(Number number, std::uint8_t family) {
    Node* node = new_leaf(number.value, number.kind, family, ExactInts);
    node->kinds.grad = served[family]->zero;
    return node;
}

inline Node* served_node(Op op, double y, Kind kind, Node* a, Node* b, double c, Kind constant) {
    Node* node = record(op, y, kind, a, b, c, constant, a);
    node->kinds.grad = served_of(a)->zero;
    ++built_natively;
    return node;
}

struct Local {
    double value;
    std::uint8_t kind;
};

// A sum with the local gradients 1.0, a product whose own are its operands' present data, or an op of one operand.
inline Node* served_fixed(Op op, double y, Kind kind, Node* a, Node* b, Local local = {}) {
    Node* node = served_node(op, y, kind, a, b, local.value, static_cast<Kind>(local.kind));
    node->refs.set(References::Fixed, true);
    return node;
}

// --- the parts of the type ---------------------------------------------------------------------------------------

// Null with an error set.
PyTypeObject* make_type(const char* name, std::size_t size, unsigned long flags, std::vector<PyType_Slot> slots);

// type.cpp: making objects and setting attributes
bool make_served_type();  // false with an error set
PyObject* served_vectorcall(PyObject* type, PyObject* const* args, std::size_t nargsf, PyObject* keywords);

// operators.cpp
void add_operator_slots(std::vector<PyType_Slot>& slots);
void give_operators(PyTypeObject* type);  // to a subclass
// Lets the slot of an operator that not every class has do what this class's methods do.
void set_operator_slot(const Served& own, OperatorIndex index);
// Native results for the methods of the same meaning (`__add__`, ...); null without an error where the author's has to
// do it.
using NativeOperation = PyObject* (*)(PyObject* self, PyObject* other, bool reflected);
extern const NativeOperation native_operations[operator_count];

// numpy_left.cpp: NumPy's scalars on the left of a node
bool add_numpy_priority();  // to the base of served classes; false with an error set
void ask_numpy_left(Served& own, bool asked);
// What one of NumPy's scalars makes of a node; null without an error where the left operand is none, or leaves it to
// it.
PyObject* numpy_operation(OperatorIndex index, PyObject* left, PyObject* right);

// quotients.cpp
std::unique_ptr<QuotientRule> read_quotient_rule(PyObject* rule);        // null with an error set
PyObject* native_quotient(Node* a, Node* b, const Operator& operation);  // null where the author's method has to do it
const QuotientRule* quotient_rule(const Node* node);  // of a quotient whose rule is computed when gradients flow
bool run_quotient_rule(Node* node, const QuotientRule& rule);     // false with an error set
bool run_quotient_plainly(Node* node, const QuotientRule& rule);  // false with nothing done where objects have to do it

// composed.cpp
std::unique_ptr<Composition> read_composition(PyObject* steps);  // null with an error set
// Null without an error where the author's method has to do it.
PyObject* composed(const Composition& composition, PyObject* self, PyObject* other);

// methods.cpp: methods of one operand, `backward` and the operators' methods
PyTypeObject* make_method_type();  // which lives as long as the process; null with an error set
PyObject* new_method(Served& own, PyObject* name, const std::string& recipe, PyObject* function, bool fixed, bool numpy,
                     const std::string& local_kind, PyObject* label, PyObject* steps);

// backward.cpp
PyObject* native_backward(PyObject* self);                // null without an error where the author's has to do it
PyObject* run_served_rule(Node* node);                    // of one node, in Python arithmetic where it is foreign
PyObject* local_object(Node* node, std::uint32_t index);  // d node / d operand, as the author would see it

// attributes.cpp: the author's names for what the engine holds
bool make_member_type();  // false with an error set
PyObject* new_member(PyObject* name, const std::string& role, const std::string& container,
                     const std::string& leaf_container, PyObject* empty, PyObject* on_class, PyObject* live,
                     bool watched);
bool is_member(PyObject* descriptor);
int set_member(PyObject* member, PyObject* object, PyObject* value);
bool set_method_rule(Handle* handle);
bool make_bare(Handle* handle);  // a new object of a class that is served no longer
bool expose(Handle* handle);     // the program looks into the object's __dict__, or deletes an attribute
inline bool is_exposed(const Handle* handle) { return handle->state && handle->state->exposed; }

}  // namespace kilograd
