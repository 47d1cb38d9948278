// Quotients of served classes whose `/` has a rule of its own (see python/kilograd/run/quotients.py): the author's
// arithmetic, in his order, on doubles where Python's numbers would give the same, and on Python's where not.
#include <algorithm>
#include <array>
#include <cmath>

#include "../../engine/typed.hpp"
#include "class.hpp"

namespace kilograd {

namespace {

constexpr std::size_t deepest_quotient = 10;  // numbers that wait

// What the formulas read: the operands' data, the result's, and its gradient.
enum Input : std::uint8_t { Left, Right, Result, Gradient, inputs };

// Whether doubles can do for it: for an int, a float or one of NumPy's floats of 64 bits.
bool to_plain(double value, std::uint8_t kind, Typed& out) {
    out = {value, kind};
    return kind != SingleKind && kind != NumpyIntKind && std::isfinite(value);
}

// False where Python's numbers have to do it: they may raise, or outgrow a double.
bool combine(QuotientStep::Kind kind, Typed x, Typed y, Typed& out) {
    const Kind joined = join_kinds(x.kind, y.kind), quotient = joined == IntKind ? FloatKind : joined;
    switch (kind) {
        case QuotientStep::Add:
            out = {x.value + y.value, joined};
            break;
        case QuotientStep::Subtract:
            out = {x.value - y.value, joined};
            break;
        case QuotientStep::Multiply:
            out = {x.value * y.value, joined};
            break;
        case QuotientStep::Divide:
            if (y.value == 0.0) return false;
            out = {x.value / y.value, quotient};
            break;
        default:
            if ((x.value == 0.0 && y.value < 0.0) || (x.value < 0.0 && y.value != std::trunc(y.value))) return false;
            out = {Row<Op::powc>::value(x.value, 0.0, y.value), y.value < 0.0 ? quotient : joined};
    }
    if (out.kind == IntKind) out.value += 0.0;  // an integer zero has no sign
    return std::isfinite(out.value) && (out.kind != IntKind || std::fabs(out.value) < exact_integers);
}

bool evaluate_plain(const std::vector<QuotientStep>& steps, const std::array<Typed, inputs>& given, Typed& out) {
    std::array<Typed, deepest_quotient> stack{};
    std::size_t size = 0;
    for (const QuotientStep& step : steps) {
        if (step.kind < QuotientStep::Constant) {
            stack[size++] = given[step.kind];
        } else if (step.kind == QuotientStep::Constant) {
            stack[size++] = {step.value, PyLong_CheckExact(step.object) ? IntKind : FloatKind};
        } else if (step.kind == QuotientStep::Negative) {
            Typed& top = stack[size - 1];
            const bool integer = (top.kind & IntKind) != 0;  // -True is an int, and an integer zero has no sign
            top = {integer ? 0.0 - top.value : -top.value, integer ? std::uint8_t{IntKind} : top.kind};
        } else {
            --size;
            if (!combine(step.kind, stack[size - 1], stack[size], stack[size - 1])) return false;
        }
    }
    out = stack[0];
    return true;
}

PyObject* apply(QuotientStep::Kind kind, PyObject* x, PyObject* y) {
    switch (kind) {
        case QuotientStep::Add:
            return PyNumber_Add(x, y);
        case QuotientStep::Subtract:
            return PyNumber_Subtract(x, y);
        case QuotientStep::Multiply:
            return PyNumber_Multiply(x, y);
        case QuotientStep::Divide:
            return PyNumber_TrueDivide(x, y);
        default:
            return PyNumber_Power(x, y, Py_None);
    }
}

// Null with an error set.
Owned evaluate_objects(const std::vector<QuotientStep>& steps, const std::array<Owned, inputs>& given) {
    std::array<Owned, deepest_quotient> stack;
    std::size_t size = 0;
    for (const QuotientStep& step : steps) {
        if (step.kind <= QuotientStep::Constant) {
            PyObject* object =
                step.kind == QuotientStep::Constant ? step.object : given[static_cast<std::size_t>(step.kind)].get();
            stack[size++] = Owned(Py_NewRef(object));
            continue;
        }
        if (step.kind == QuotientStep::Negative) {
            stack[size - 1] = Owned(PyNumber_Negative(stack[size - 1].get()));
        } else {
            --size;
            stack[size - 1] = Owned(apply(step.kind, stack[size - 1].get(), stack[size].get()));
        }
        if (!stack[size - 1]) return {};
    }
    return std::move(stack[0]);
}

bool run_objects(Node* node, const QuotientRule& rule) {
    PyObject *const data = served_of(node)->data_name, *const grad = served_of(node)->grad_name;
    Fan::Edge* edges = node->fan->begin();
    const Owned self(handle_of(node));
    std::array<Owned, 2> operands{Owned(handle_of(edges[0].operand)), Owned(handle_of(edges[1].operand))};
    if (!self || !operands[0] || !operands[1]) return false;
    for (std::size_t i = 0; i < 2; ++i) {
        const Owned old(PyObject_GetAttr(operands[i].get(), grad));
        std::array<Owned, inputs> given;
        for (std::size_t input = 0; old && input < inputs; ++input) {
            PyObject* owner = input < Result ? operands[input].get() : self.get();
            given[input] = Owned(PyObject_GetAttr(owner, input == Gradient ? grad : data));
            if (!given[input]) return false;
        }
        const Owned term(old ? evaluate_objects(rule.steps[i], given) : Owned());
        if (!term) return false;
        const Owned sum(rule.minus[i] ? PyNumber_InPlaceSubtract(old.get(), term.get())
                                      : PyNumber_InPlaceAdd(old.get(), term.get()));
        if (!sum || PyObject_SetAttr(operands[i].get(), grad, sum.get()) < 0) return false;
    }
    return true;
}

bool read_steps(PyObject* steps, std::vector<QuotientStep>& out) {
    static constexpr const char* names[] = {"left", "right",    "result",   "gradient", "number", "negative",
                                            "add",  "subtract", "multiply", "divide",   "power"};
    std::size_t depth = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(steps); ++i) {
        const char* text = nullptr;
        PyObject* what = nullptr;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(steps, i), "sO", &text, &what)) return false;
        const auto* known = std::find_if(std::begin(names), std::end(names),
                                         [&](const char* name) { return std::string(name) == text; });
        const auto kind = static_cast<QuotientStep::Kind>(known - std::begin(names));
        depth += kind <= QuotientStep::Constant;
        depth -= kind > QuotientStep::Negative && known != std::end(names);
        if (known == std::end(names) || depth == 0 || depth > deepest_quotient) {
            PyErr_SetString(PyExc_ValueError, "the steps of a rule are others");
            return false;
        }
        const double value = kind == QuotientStep::Constant ? PyFloat_AsDouble(what) : 0.0;
        out.push_back({kind, value, Py_NewRef(what)});
    }
    return depth == 1;
}

}  // namespace

const QuotientRule* quotient_rule(const Node* node) {
    if (node->op != Op::linear || node->fan->count != 2) return nullptr;
    const auto& rules = served_of(node)->quotients;
    const QuotientRule* rule = node->fan->tag < rules.size() ? rules[node->fan->tag].get() : nullptr;
    return rule && !rule->fixed ? rule : nullptr;
}

bool run_quotient_plainly(Node* node, const QuotientRule& rule) {
    Fan::Edge* edges = node->fan->begin();
    const std::array<Node*, 2> operands{edges[0].operand, edges[1].operand};
    std::array<Typed, inputs> given{};
    if (!to_plain(operands[0]->data, operands[0]->kinds.data, given[Left]) ||
        !to_plain(operands[1]->data, operands[1]->kinds.data, given[Right]) ||
        !to_plain(node->data, node->kinds.data, given[Result]) ||
        !to_plain(node->grad, node->kinds.grad, given[Gradient]))
        return false;
    std::array<Typed, 2> sums{};
    for (std::size_t i = 0; i < 2; ++i) {
        Typed term;
        if (i == 1 && operands[1] == operands[0]) {
            sums[1] = sums[0];
        } else if (!to_plain(operands[i]->grad, operands[i]->kinds.grad, sums[i])) {
            return false;
        }
        const auto operation = rule.minus[i] ? QuotientStep::Subtract : QuotientStep::Add;
        if (!evaluate_plain(rule.steps[i], given, term) || !combine(operation, sums[i], term, sums[i])) return false;
    }
    for (std::size_t i = 0; i < 2; ++i) {
        operands[i]->grad = sums[i].value;
        operands[i]->kinds.grad = sums[i].kind;
    }
    return true;
}

bool run_quotient_rule(Node* node, const QuotientRule& rule) {
    if (!(foreign_alive && any_foreign(node)) && run_quotient_plainly(node, rule)) return true;
    return run_objects(node, rule);
}

PyObject* native_quotient(Node* a, Node* b, const Operator& operation) {
    const Served& own = *served_of(a);
    const QuotientRule* rule = operation.tag < own.quotients.size() ? own.quotients[operation.tag].get() : nullptr;
    if (!rule || b->data == 0.0) return nullptr;
    Kind kind = join_kinds(a->kinds.data, b->kinds.data);
    if (is_integral(kind)) kind = is_numpy(kind) ? NumpyKind : FloatKind;  // 0 / -2 is -0.0
    const double y = kind == SingleKind ? static_cast<float>(a->data) / static_cast<float>(b->data) : a->data / b->data;
    Number made{y, kind};
    if (!std::isfinite(y) || !make_number(own, made)) return nullptr;
    // What a copy that was pickled has for its rule; the gradient of the fixed ones is these.
    std::array<Typed, 2> locals{Typed{1.0 / b->data, FloatKind}, Typed{-a->data / b->data / b->data, FloatKind}};
    if (rule->fixed) {
        std::array<Typed, inputs> given{};
        if (!to_plain(a->data, a->kinds.data, given[Left]) || !to_plain(b->data, b->kinds.data, given[Right]) ||
            !evaluate_plain(rule->steps[0], given, locals[0]) || !evaluate_plain(rule->steps[1], given, locals[1]))
            return nullptr;
    } else {
        rules_computed = true;
    }
    Fan* fan = new_fan(2);
    fan->tag = operation.tag;
    fan->begin()[0] = {a, locals[0].value, locals[0].kind};
    fan->begin()[1] = {b, locals[1].value, locals[1].kind};
    Node* node = record_fan(Op::linear, made.value, made.kind, fan, a->family, ExactInts);
    node->kinds.grad = own.zero;
    ++built_natively;
    return wrap(node);
}

std::unique_ptr<QuotientRule> read_quotient_rule(PyObject* object) {
    auto rule = std::make_unique<QuotientRule>();
    int fixed = 0;
    std::array<int, 2> minus{};
    std::array<PyObject*, 2> steps{};
    if (!PyArg_ParseTuple(object, "p((pO!)(pO!))", &fixed, &minus[0], &PyTuple_Type, &steps[0], &minus[1],
                          &PyTuple_Type, &steps[1]))
        return nullptr;
    rule->fixed = fixed != 0;
    for (std::size_t i = 0; i < 2; ++i) {
        rule->minus[i] = minus[i] != 0;
        if (!read_steps(steps[i], rule->steps[i])) return nullptr;
    }
    return rule;
}

}  // namespace kilograd
