// Methods that apply operators to their operands and do nothing else (see python/kilograd/run/composed.py): the same
// operators, applied from here. Each is Python's own, so results are those of the author's method by construction, and
// where anything raises, the author's method runs again and raises from its own line.
#include <algorithm>
#include <array>
#include <string>

#include "class.hpp"

namespace kilograd {

namespace {

constexpr std::size_t deepest = 8;  // operands that wait

// What is at work: owned references.
struct Stack {
    std::array<PyObject*, deepest> items{};
    std::size_t size = 0;
    ~Stack() {
        while (size) Py_DECREF(items[--size]);
    }
    void push(PyObject* object) { items[size++] = object; }
    PyObject* pop() { return items[--size]; }
};

bool is_plain(const Served& own, PyObject* object) {
    Number number{};
    if (Py_TYPE(object) == own.type) return !node_of(object)->is_foreign();
    return is_held(own, object, number);
}

PyObject* applied(Composition::Kind kind, PyObject* left, PyObject* right) {
    switch (kind) {
        case Composition::Add:
            return PyNumber_Add(left, right);
        case Composition::Subtract:
            return PyNumber_Subtract(left, right);
        case Composition::Multiply:
            return PyNumber_Multiply(left, right);
        case Composition::Divide:
            return PyNumber_TrueDivide(left, right);
        default:
            return PyNumber_Power(left, right, Py_None);
    }
}

PyObject* evaluated(const Composition& composition, const Served& own, PyObject* const* operands) {
    Stack stack;
    for (const Composition::Step& step : composition.steps) {
        PyObject* result = nullptr;
        if (step.kind == Composition::Operand) {
            result = Py_NewRef(operands[step.second]);
        } else if (step.kind == Composition::Lifted) {
            result = PyObject_CallOneArg(reinterpret_cast<PyObject*>(own.type), operands[step.second]);
        } else if (step.kind == Composition::Constant) {
            result = Py_NewRef(step.object);
        } else if (step.kind == Composition::Negative || step.kind == Composition::Call) {
            const Owned operand(stack.pop());
            result = step.kind == Composition::Negative ? PyNumber_Negative(operand.get())
                                                        : PyObject_CallMethodNoArgs(operand.get(), step.object);
        } else {
            const Owned right(stack.pop()), left(stack.pop());
            result = applied(step.kind, left.get(), right.get());
        }
        if (!result) return nullptr;
        stack.push(result);
    }
    return stack.pop();
}

}  // namespace

PyObject* composed(const Composition& composition, PyObject* self, PyObject* other) {
    const Served* own = served_of(node_of(self));
    if (!own || Py_TYPE(self) != own->type || !is_plain(*own, self) || (other && !is_plain(*own, other)) ||
        own->is_paused())
        return nullptr;
    PyObject* result = nullptr;
    if (composition.lifts && Py_TYPE(other) != own->type) {
        const Owned leaf(PyObject_CallOneArg(reinterpret_cast<PyObject*>(own->type), other));
        PyObject* operands[] = {self, leaf.get()};
        if (leaf) result = evaluated(composition, *own, operands);
    } else {
        PyObject* operands[] = {self, other};
        result = evaluated(composition, *own, operands);
    }
    if (!result && PyErr_ExceptionMatches(PyExc_Exception) && !PyErr_ExceptionMatches(PyExc_RecursionError))
        PyErr_Clear();
    return result;
}

std::unique_ptr<Composition> read_composition(PyObject* steps) {
    static const std::pair<const char*, Composition::Kind> kinds[] = {
        {"operand", Composition::Operand},   {"lifted", Composition::Lifted},     {"number", Composition::Constant},
        {"negative", Composition::Negative}, {"call", Composition::Call},         {"add", Composition::Add},
        {"subtract", Composition::Subtract}, {"multiply", Composition::Multiply}, {"divide", Composition::Divide},
        {"power", Composition::Power}};
    if (!PyTuple_Check(steps)) {
        PyErr_SetString(PyExc_TypeError, "the steps of a method must be a tuple");
        return nullptr;
    }
    auto result = std::make_unique<Composition>();
    std::size_t depth = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(steps); ++i) {
        const char* text = nullptr;
        PyObject* what = nullptr;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(steps, i), "sO", &text, &what)) return nullptr;
        if (std::string(text) == "lift") {
            result->lifts = true;
            continue;
        }
        const auto* known = std::find_if(std::begin(kinds), std::end(kinds),
                                         [&](auto& kind) { return kind.first == std::string(text); });
        if (known == std::end(kinds)) {
            PyErr_Format(PyExc_ValueError, "no such step: %s", text);
            return nullptr;
        }
        const Composition::Kind kind = known->second;
        const bool operand = kind == Composition::Operand || kind == Composition::Lifted;
        depth += operand || kind == Composition::Constant;
        depth -= kind >= Composition::Add;
        if (depth == 0 || depth > deepest) {
            PyErr_SetString(PyExc_ValueError, "the steps need more room than there is");
            return nullptr;
        }
        const bool second = operand && PyLong_AsLong(what) == 1;
        result->steps.push_back({kind, second, Py_NewRef(what)});
    }
    return result;
}

}  // namespace kilograd
