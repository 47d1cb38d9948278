// Methods of served classes: callables that compute natively what was found to agree with the author's method, and hand
// everything else to it. To whoever looks at one (inspect, functools, a comparison) it is the author's function.
#include "../../engine/backward.hpp"
#include "class.hpp"

#include <structmember.h>

#include <string_view>

namespace kilograd {

namespace {

// A function of one number; NaN where Python would raise, or NumPy warn.
using Function = double (*)(double x);

// A value and a local derivative as authors write them, where that is not the op table's way to the last bit.
struct Formula {
    const char* name;
    Op op;
    Function value;
    Slope slope;
};

double checked_exp(double x) {
    double y = std::exp(x);
    return std::isfinite(y) ? y : std::nan("");
}

double by_numpy(const char* function, double x) {
    double y;
    const Conversion done = call_numpy(function, x, y);
    if (done == Conversion::Error) PyErr_Clear();
    return done == Conversion::Ok ? y : std::nan("");
}
// Beyond, the exponential may neither overflow nor underflow.
double numpy_exp(double x) { return std::fabs(x) < 700.0 ? by_numpy("exp", x) : std::nan(""); }
double numpy_log(double x) { return x > 0.0 ? by_numpy("log", x) : std::nan(""); }
double numpy_sqrt(double x) { return x > 0.0 ? by_numpy("sqrt", x) : std::nan(""); }
double numpy_tanh(double x) { return by_numpy("tanh", x); }

template <Function exp>
double tanh_by_exp(double x) {
    const double e = exp(2.0 * x);
    return (e - 1.0) / (e + 1.0);
}
double tanh_by_math(double x) { return std::tanh(x); }
template <Function exp>
double logistic_by_exp(double x) {
    return 1.0 / (1.0 + exp(-x));
}
// A constant exponent would be compiled into y * y, which differs from Python's y**2 in one case of a thousand.
volatile double two = 2.0;

constexpr Formula formulas[] = {
    {"tanh_by_exp, 1 - t**2", Op::tanh, tanh_by_exp<checked_exp>, Slope::OneMinusPower},
    {"tanh_by_exp, 1 - t*t", Op::tanh, tanh_by_exp<checked_exp>, Slope::OneMinusProduct},
    {"math.tanh, 1 - t**2", Op::tanh, tanh_by_math, Slope::OneMinusPower},
    {"math.tanh, 1 - t*t", Op::tanh, tanh_by_math, Slope::OneMinusProduct},
    {"logistic_by_exp, s * (1 - s)", Op::sigmoid, logistic_by_exp<checked_exp>, Slope::Logistic},
    {"numpy.tanh, 1 - t**2", Op::tanh, numpy_tanh, Slope::OneMinusPower},
    {"numpy.tanh, 1 - t*t", Op::tanh, numpy_tanh, Slope::OneMinusProduct},
    {"numpy.tanh_by_exp, 1 - t**2", Op::tanh, tanh_by_exp<numpy_exp>, Slope::OneMinusPower},
    {"numpy.tanh_by_exp, 1 - t*t", Op::tanh, tanh_by_exp<numpy_exp>, Slope::OneMinusProduct},
    {"numpy.logistic_by_exp, s * (1 - s)", Op::sigmoid, logistic_by_exp<numpy_exp>, Slope::Logistic},
};
// With the op table's own derivative.
constexpr std::pair<Op, Function> numpy_functions[] = {
    {Op::exp, numpy_exp}, {Op::log, numpy_log}, {Op::sqrt, numpy_sqrt}};
constexpr std::string_view numpy_prefix = "numpy.";

// What the negative half of a ReLU gives, and which half zero is in.
enum ReluForm : std::uint8_t { NotRelu, NegativeToInt, NegativeToFloat, PositiveOrInt, PositiveOrFloat, Maximum };

struct Method {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyObject* function;  // the author's
    PyObject* name;
    const Formula* formula;
    Function numpy_function;  // of NumPy, in place of the op table's
    Op op;
    bool fixed;         // the local gradient is computed with the value
    bool numpy;         // tried with NumPy's numbers too
    bool gives_numpy;   // computes by NumPy's functions
    std::uint8_t relu;  // ReluForm
    bool asks_operand;  // of a relu or an exp: see engine/node.hpp
    LogRule log_rule;
    std::uint8_t local_kind;
    bool local_of_data;  // a fixed local gradient is computed of the data, in its arithmetic
    bool backward;
    bool reflected;
    NativeOperation operation;  // of `__add__` and its like
    Composition* composition;   // of a method that applies operators; owned
    std::uint32_t tag;          // of nodes with a fan, where another method shows something else for the same row
};

Node* fixed_unary(Method* method, double y, Kind kind, Node* a, Local local) {
    Node* node = served_fixed(method->op, y, kind, a, nullptr, local);
    if (!method->tag) return node;
    give_fan(node);
    node->fan->tag = method->tag;
    return node;
}

Node* native_relu(Method* method, Node* a) {
    const Served& own = *served_of(a);
    const double x = a->data;
    const auto of_operand = static_cast<Kind>(a->kinds.data);
    const bool strict = method->relu >= PositiveOrInt;
    const bool kept = strict ? x > 0.0 : !(x < 0.0);
    const bool to_int = method->relu == NegativeToInt || method->relu == PositiveOrInt;
    Number y{kept ? x : 0.0, kept ? of_operand : to_int ? IntKind : FloatKind};
    if (method->relu == Maximum) {  // of two zeros, NumPy takes either
        if (of_operand == BoolKind || x == 0.0) return nullptr;
        y.kind = is_numpy(of_operand) ? of_operand : is_integral(of_operand) ? NumpyIntKind : NumpyKind;
        if (!own.holds(y.kind)) return nullptr;
    }
    if (!make_number(own, y)) return nullptr;
    if (!method->fixed)
        return served_node(Op::relu, y.value, y.kind, a, nullptr, 0.0, method->asks_operand ? asks_operand : FloatKind);
    if (method->local_kind == BoolKind && (is_numpy(of_operand) || is_numpy(y.kind)))
        return nullptr;  // it would be a numpy.bool
    return fixed_unary(method, y.value, y.kind, a, {y.value > 0.0 ? 1.0 : 0.0, method->local_kind});
}

Node* native_unary(Method* method, Node* a) {
    const Served& own = *served_of(a);
    const double x = a->data;
    if (!std::isfinite(x) || (is_numpy(a->kinds.data) && !method->numpy)) return nullptr;
    if (method->relu) return native_relu(method, a);
    // NumPy computes with singles in their precision, and with truths in half of it.
    if (method->gives_numpy && (!own.numpy || a->kinds.data == SingleKind || a->kinds.data == BoolKind)) return nullptr;
    Number y{0.0, method->gives_numpy ? NumpyKind : FloatKind};
    if (method->formula) {
        y.value = method->formula->value(x);
    } else if (method->numpy_function) {
        y.value = method->numpy_function(x);
    } else {
        Fault fault;
        y.value = evaluate(method->op, x, 0.0, 0.0, fault);
        if (fault != Fault::None) return nullptr;
    }
    const Number computed = y;
    if (!std::isfinite(y.value) || !make_number(own, y)) return nullptr;
    if (method->formula) {
        const Number& read = method->fixed ? computed : y;
        const double local = slope_of(method->formula->slope, read.value);
        if (!std::isfinite(local) || read.kind == SingleKind) return nullptr;
        return fixed_unary(method, y.value, y.kind, a, {local, read.kind});
    }
    const Kind rule = method->asks_operand ? asks_operand : static_cast<Kind>(method->log_rule);
    Node* node = served_node(method->op, y.value, y.kind, a, nullptr, 0.0, rule);
    const Local local{locals_of(node).da, method->local_of_data ? local_kind(node, false) : FloatKind};
    if (std::isfinite(local.value) && !method->fixed) return node;
    release(node);
    --built_natively;
    if (!std::isfinite(local.value) || local.kind == SingleKind) return nullptr;
    return fixed_unary(method, y.value, y.kind, a, local);
}

PyObject* method_call(PyObject* callable, PyObject* const* args, std::size_t nargsf, PyObject* keywords) {
    auto* method = reinterpret_cast<Method*>(callable);
    if (method->operation) {
        const Py_ssize_t operands = method->operation == native_operations[Negate] ? 1 : 2;
        if (PyVectorcall_NARGS(nargsf) == operands && !keywords && PyObject_TypeCheck(args[0], served_type)) {
            PyObject* result = method->operation(args[0], operands == 2 ? args[1] : nullptr, method->reflected);
            if (result || PyErr_Occurred()) return result;
        }
        return PyObject_Vectorcall(method->function, args, nargsf, keywords);
    }
    bool alone = PyVectorcall_NARGS(nargsf) == 1 && (!keywords || PyTuple_GET_SIZE(keywords) == 0);
    if (alone && PyObject_TypeCheck(args[0], served_type) && (method->backward || is_exact_value(args[0]))) [[likely]] {
        Node* node = node_of(args[0]);
        if (method->backward) {
            PyObject* result = native_backward(args[0]);
            if (result || PyErr_Occurred()) return result;
        } else if (method->composition) {
            PyObject* result = composed(*method->composition, args[0], nullptr);
            if (result || PyErr_Occurred()) return result;
        } else if (!node->is_foreign() && recording() && !served_of(node)->is_paused()) {
            if (Node* made = native_unary(method, node)) return wrap(made);
        }
    }
    return PyObject_Vectorcall(method->function, args, nargsf, keywords);
}

// On the class it is the author's function: that may be wrapped, compared, and put elsewhere.
PyObject* method_get(PyObject* self, PyObject* object, PyObject*) {
    if (object && object != Py_None) return PyMethod_New(self, object);
    return Py_NewRef(reinterpret_cast<Method*>(self)->function);
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
    delete reinterpret_cast<Method*>(self)->composition;
    type->tp_free(self);
    Py_DECREF(type);
}

PyMemberDef method_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Method, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyTypeObject* method_type = nullptr;

}  // namespace

static bool same_text(PyObject* one, PyObject* other) {
    return PyUnicode_Check(one) && PyUnicode_Check(other) && PyUnicode_Compare(one, other) == 0;
}

double slope_of(Slope slope, double y) {
    switch (slope) {
        case Slope::OneMinusPower:
            return 1.0 - std::pow(y, two);
        case Slope::OneMinusProduct:
            return 1.0 - y * y;
        case Slope::Logistic:
            return y * (1.0 - y);
        case Slope::None:
            break;
    }
    return 0.0;
}

PyObject* slope_object(Slope slope, PyObject* y) {
    const Owned one(PyLong_FromLong(1)), exponent(PyLong_FromLong(2));
    if (!one || !exponent) return nullptr;
    if (slope == Slope::Logistic) {
        const Owned rest(PyNumber_Subtract(one.get(), y));
        return rest ? PyNumber_Multiply(y, rest.get()) : nullptr;
    }
    const Owned square(slope == Slope::OneMinusPower ? PyNumber_Power(y, exponent.get(), Py_None)
                                                     : PyNumber_Multiply(y, y));
    return square ? PyNumber_Subtract(one.get(), square.get()) : nullptr;
}

bool refresh_slope(Node* node, Number number) {
    const Slope slope = late_slope(node);
    if (slope == Slope::None) return true;
    const double local = slope_of(slope, number.value);
    if ((number.kind != FloatKind && number.kind != NumpyKind) || !std::isfinite(local)) return false;
    node->fan->begin()->local = local;
    node->fan->begin()->kind = number.kind;
    return true;
}

PyTypeObject* make_method_type() {
    method_type = make_type("kilograd._core.Method", sizeof(Method),
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                                Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                            {{Py_tp_dealloc, reinterpret_cast<void*>(method_dealloc)},
                             {Py_tp_traverse, reinterpret_cast<void*>(method_traverse)},
                             {Py_tp_clear, reinterpret_cast<void*>(method_clear)},
                             {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                             slot<method_get>(Py_tp_descr_get),
                             slot<method_getattr>(Py_tp_getattro),
                             slot<method_repr>(Py_tp_repr),
                             {Py_tp_members, method_members}});
    return method_type;
}

PyObject* new_method(Served& own, PyObject* name, const std::string& whole_recipe, PyObject* function, bool fixed,
                     bool numpy, const std::string& local_kind, PyObject* label, PyObject* steps) {
    auto* method = reinterpret_cast<Method*>(method_type->tp_alloc(method_type, 0));
    if (!method) return nullptr;
    Owned result(reinterpret_cast<PyObject*>(method));
    method->vectorcall = Slot<method_call>::call;
    method->function = Py_NewRef(function);
    method->name = Py_NewRef(name);
    method->fixed = fixed;
    method->numpy = numpy;
    method->local_kind = local_kind == "int" ? IntKind : local_kind == "bool" ? BoolKind : FloatKind;
    method->local_of_data = local_kind == "data";
    method->op = Op::leaf;
    method->gives_numpy = whole_recipe.starts_with(numpy_prefix);
    const std::string recipe = method->gives_numpy ? whole_recipe.substr(numpy_prefix.size()) : whole_recipe;
    static const std::pair<const char*, ReluForm> relus[] = {{"relu: 0 if x < 0", NegativeToInt},
                                                             {"relu: 0.0 if x < 0", NegativeToFloat},
                                                             {"relu: x if x > 0 else 0", PositiveOrInt},
                                                             {"relu: x if x > 0 else 0.0", PositiveOrFloat},
                                                             {"relu: maximum", Maximum}};
    if (recipe == "backward") {
        method->backward = true;
        return result.release();
    }
    if (steps != Py_None) {
        method->composition = read_composition(steps).release();
        return method->composition ? result.release() : nullptr;
    }
    constexpr const char* operators[operator_count] = {"add", "mul", "pow", "sub", "truediv", "neg"};
    for (std::size_t i = 0; i < operator_count; ++i) {
        if (recipe != operators[i]) continue;
        method->operation = native_operations[i];
        method->reflected = fixed;
        return result.release();
    }
    bool found = false;
    for (auto& [text, form] : relus) {
        const bool of_operand = recipe == std::string(text) + ", slope of x";
        if (recipe != text && !of_operand) continue;
        method->relu = form, method->op = Op::relu, method->asks_operand = of_operand, found = true;
    }
    static const std::pair<const char*, LogRule> logs[] = {{"log: gradient / x", LogRule::Quotient},
                                                           {"log: x**-1", LogRule::Power}};
    for (auto& [text, rule] : logs)
        if (recipe == text) method->op = Op::log, method->log_rule = rule, found = true;
    if (recipe == "exp, slope of x") method->op = Op::exp, method->asks_operand = true, found = true;
    for (const Formula& formula : formulas)
        if (whole_recipe == formula.name) method->formula = &formula, method->op = formula.op, found = true;
    for (std::size_t i = first_row; !found && i < op_count; ++i)
        if (recipe == op_infos[i].name && op_infos[i].arity == Arity::Unary)
            method->op = static_cast<Op>(i), found = true;
    for (const auto& [op, function_of] : numpy_functions)
        if (method->gives_numpy && !method->formula && method->op == op) method->numpy_function = function_of;
    if (!found || (method->gives_numpy && !method->formula && !method->relu && !method->numpy_function)) {
        PyErr_Format(PyExc_ValueError, "no such recipe: %s", whole_recipe.c_str());
        return nullptr;
    }
    const auto row = static_cast<std::size_t>(method->op);
    if (method->formula && !fixed) {
        own.tags.push_back(label == Py_None ? nullptr : Py_NewRef(label));
        method->tag = static_cast<std::uint32_t>(own.tags.size() - 1);
        own.late.resize(own.tags.size(), Slope::None);
        own.late[method->tag] = method->formula->slope;
    } else if (!fixed) {
        if (label != Py_None) keep(own.labels[row], label);
    } else if (!own.tagged[row]) {
        own.tagged[row] = true;
        keep(own.tags[row], label);
    } else if (own.tags[row] ? !same_text(own.tags[row], label) : label != Py_None) {
        own.tags.push_back(label == Py_None ? nullptr : Py_NewRef(label));
        method->tag = static_cast<std::uint32_t>(own.tags.size() - 1);
    }
    return result.release();
}

}  // namespace kilograd
