// Shapes and argument checks for cpp/nn/losses and elementwise_losses. Everything is checked before the first node is
// built.
#include "losses.hpp"

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "../nn/elementwise_losses.hpp"
#include "../nn/losses.hpp"
#include "terms.hpp"

namespace py = pybind11;

namespace kilograd {

namespace {

using nn::Builder;
using nn::Term;
using nn::Terms;

using TensorShape = std::vector<std::size_t>;

// Nested sequences of numbers and Values, flattened in order.
struct Tensor {
    Terms terms;
    std::vector<PyObject*> objects;  // borrowed from `owner`; filled in place of terms when only objects are wanted
    TensorShape shape;
    std::vector<py::object> owners;  // tuples, which keep the nodes' handles alive
};

std::string text(const TensorShape& shape) {
    std::string out = "(";
    for (std::size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
    return out + (shape.size() == 1 ? ",)" : ")");
}

[[noreturn]] void refuse(const std::string& message) { throw py::value_error(message); }

class TensorReader {
  public:
    TensorReader(Tensor& out, const char* what, bool as_terms) : out_(out), what_(what), as_terms_(as_terms) {}

    void read(PyObject* object, std::size_t depth) {
        if (is_element(object)) {
            leave(depth);
            return;
        }
        if (depth == 32) refuse(std::string(what_) + " are nested more than 32 deep");
        py::object items = sequence(object);
        if (!PyTuple_CheckExact(items.ptr())) {  // of an array without dimensions
            if (!is_element(items.ptr())) not_a_number(items.ptr());
            out_.owners.push_back(std::move(items));
            leave(depth);
            return;
        }
        auto count = static_cast<std::size_t>(PyTuple_GET_SIZE(items.ptr()));
        if (depth == out_.shape.size() && !leaf_depth_) {
            out_.shape.push_back(count);
        } else if (depth >= out_.shape.size() || out_.shape[depth] != count) {
            ragged();
        }
        PyObject* const tuple = items.ptr();
        out_.owners.push_back(std::move(items));
        for (std::size_t i = 0; i < count; ++i) read(PyTuple_GET_ITEM(tuple, static_cast<Py_ssize_t>(i)), depth + 1);
    }

  private:
    bool is_element(PyObject* object) {
        if (as_terms_) return to_term(object, out_.terms);
        Number number{};
        if (!is_value(object)) {
            Conversion conversion = to_number(object, number);
            if (conversion == Conversion::Error) throw py::error_already_set();
            if (conversion == Conversion::NotANumber) return false;
        }
        out_.objects.push_back(object);
        return true;
    }

    // The items as a tuple, which Python cannot change while they are read; or the one element of a 0-d array.
    py::object sequence(PyObject* object) {
        if (PyTuple_CheckExact(object)) return py::reinterpret_borrow<py::object>(object);
        if (PyUnicode_Check(object) || PyBytes_Check(object)) not_a_number(object);
        PyObject* list = PyList_CheckExact(object) ? Py_NewRef(object) : listed(object, what_);
        if (!list) throw py::error_already_set();
        const py::object held = py::reinterpret_steal<py::object>(list);
        if (!PyList_CheckExact(list)) return held;
        PyObject* tuple = PyList_AsTuple(list);
        if (!tuple) throw py::error_already_set();
        return py::reinterpret_steal<py::object>(tuple);
    }

    [[noreturn]] void not_a_number(PyObject* object) const {
        throw py::type_error(std::string(what_) +
                             ": numbers and Values are needed, in lists, arrays or tables, and not " +
                             Py_TYPE(object)->tp_name);
    }
    [[noreturn]] void ragged() const {
        refuse(std::string(what_) + " are ragged: lists side by side differ in length");
    }

    void leave(std::size_t depth) {
        if (!leaf_depth_) leaf_depth_ = depth;
        if (depth != *leaf_depth_ || depth != out_.shape.size()) ragged();
    }

    Tensor& out_;
    const char* what_;
    bool as_terms_;
    std::optional<std::size_t> leaf_depth_;
};

Tensor read(const py::handle& object, const char* what) {
    Tensor tensor;
    TensorReader(tensor, what, true).read(object.ptr(), 0);
    return tensor;
}

Tensor read_some(const py::handle& object, const char* what) {
    Tensor tensor = read(object, what);
    if (tensor.terms.empty()) refuse(std::string(what) + " are empty");
    return tensor;
}

// A result as a Value, also where only numbers went in.
py::object finish(Term term) {
    if (term.is_number()) return to_py(Term::own(new_leaf(term.data(), term.kind(), 0, 0)));
    return to_py(std::move(term));
}

// The terms as nested lists of a shape.
py::object nest(Terms& terms, const TensorShape& shape, std::size_t depth, std::size_t& next) {
    if (depth == shape.size()) return finish(std::move(terms[next++]));
    py::list list(shape[depth]);
    for (std::size_t i = 0; i < shape[depth]; ++i) list[i] = nest(terms, shape, depth + 1, next);
    return list;
}

py::object nested(Terms terms, const TensorShape& shape) {
    std::size_t next = 0;
    return nest(terms, shape, 0, next);
}

py::object reduce(const Builder& g, Terms losses, const TensorShape& shape, const std::string& reduction) {
    if (reduction == "none") return nested(std::move(losses), shape);
    if (reduction == "sum") return finish(nn::total(g, losses, Term(0.0, IntKind)));
    return finish(nn::mean(g, losses));
}

void check_reduction(const std::string& reduction) {
    if (reduction != "mean" && reduction != "sum" && reduction != "none")
        refuse("reduction is 'mean', 'sum' or 'none', not '" + reduction + "'");
}

// The path through a traced function is one on which its Values are in these ranges.
void note_range(const Term& term, const nn::Range& range) {
    const auto note_that = [](const Term& size, const char* symbol, double bound) {
        if (!note(symbol, to_py(size.again()).ptr(), py::float_(bound).ptr(), true)) throw py::error_already_set();
    };
    const Term size = range.of_magnitude ? Builder(recording()).apply(Op::abs, term) : term.again();
    if (range.low == range.high) return note_that(size, "==", range.low);
    note_that(size, ">=", range.low);
    note_that(size, "<=", range.high);
}

// The first of the terms that is out of range.
const Term* refused(const Tensor& tensor, const nn::Range& range) {
    if (!range.text) return nullptr;
    for (const Term& each : tensor.terms) {
        if (!range.allows(each.data())) return &each;
        if (tracing() && !each.is_number()) note_range(each, range);
    }
    return nullptr;
}

[[noreturn]] void refuse_number(const char* what, const Term& term, const nn::Range& range) {
    refuse(std::string(what) + " is " + std::to_string(term.data()) + ", and has to be " + range.text + range.remedy);
}

// Applies fn(row) to the entries along the last axis.
template <class Fn>
void for_rows(const Tensor& x, Fn&& fn) {
    std::size_t width = x.shape.back();
    for (std::size_t start = 0; start < x.terms.size(); start += width) fn(nn::View(x.terms).subspan(start, width));
}

Tensor read_rows(const py::object& object, const char* what) {
    Tensor x = read_some(object, what);
    if (x.shape.empty()) refuse(std::string(what) + " are one number, where a list is needed");
    return x;
}

TensorShape without_last(TensorShape shape) {
    shape.pop_back();
    return shape;
}

py::object rows_to_rows(const py::object& object, Terms (*fn)(const Builder&, nn::View)) {
    Tensor x = read_rows(object, "the values");
    Builder g(recording());
    Terms out;
    for_rows(x, [&](nn::View row) {
        for (Term& each : fn(g, row)) out.push_back(std::move(each));
    });
    return nested(std::move(out), x.shape);
}

std::size_t class_index(const Term& target, std::size_t classes) {
    double index = target.data();
    if (!(index >= 0.0 && index < static_cast<double>(classes) && index == std::floor(index)))
        refuse("a target is " + std::to_string(index) + ", and has to be the index of one of the " +
               std::to_string(classes) + " classes, 0 to " + std::to_string(classes - 1));
    return static_cast<std::size_t>(index);
}

py::object cross_entropy(const py::object& logits, const py::object& targets, const std::string& reduction) {
    check_reduction(reduction);
    Tensor x = read_rows(logits, "the logits"), t = read_some(targets, "the targets");
    std::size_t classes = x.shape.back();
    Builder g(recording());
    Terms losses;
    std::size_t row_index = 0;
    if (t.shape == x.shape) {
        for_rows(x, [&](nn::View row) {
            losses.push_back(nn::cross_entropy(g, row, nn::View(t.terms).subspan(classes * row_index++, classes)));
        });
    } else {
        if (t.shape != without_last(x.shape))
            refuse("the logits have the shape " + text(x.shape) + " and the targets " + text(t.shape) +
                   ": targets are class indices, one for each row of logits, or probabilities, one for each logit");
        std::vector<std::size_t> indices;
        for (const Term& each : t.terms) {
            if (!each.is_number())
                throw py::type_error("class indices are ints; Values as targets are probabilities, one for each logit");
            indices.push_back(class_index(each, classes));
        }
        for_rows(x, [&](nn::View row) { losses.push_back(nn::cross_entropy(g, row, indices[row_index++])); });
    }
    return reduce(g, std::move(losses), without_last(x.shape), reduction);
}

py::object dot(const py::object& w, const py::object& x, const py::object& b) {
    Tensor left = read(w, "the weights"), right = read(x, "the inputs"), start = read(b, "the bias");
    if (left.shape.size() != 1 || right.shape.size() != 1 || !start.shape.empty())
        refuse("dot() takes two lists and a number: the shapes are " + text(left.shape) + ", " + text(right.shape) +
               " and " + text(start.shape));
    if (left.shape != right.shape)
        refuse("dot() of lists that differ in length: " + std::to_string(left.terms.size()) + " and " +
               std::to_string(right.terms.size()));
    Builder g(recording());
    return finish(nn::dot(g, left.terms, right.terms, std::move(start.terms[0])));
}

// --- losses that go element by element ---------------------------------------------------------------------------

py::object elementwise(const nn::ElementwiseLoss& loss, py::handle predictions, py::handle targets, double setting,
                       const std::string& reduction) {
    if (loss.setting.name && !(setting > 0.0 && std::isfinite(setting)))
        refuse(std::string(loss.setting.name) + " has to be a positive number");
    const Tensor p = read_some(predictions, "the predictions"), t = read_some(targets, "the targets");
    check_reduction(reduction);
    if (p.shape != t.shape)
        refuse("the predictions have the shape " + text(p.shape) + " and the targets " + text(t.shape));
    if (const Term* target = refused(t, loss.targets)) refuse_number("a target", *target, loss.targets);
    if (const Term* prediction = refused(p, loss.predictions))
        refuse_number("a prediction", *prediction, loss.predictions);
    Builder g(recording());
    Terms losses;
    losses.reserve(p.terms.size());
    for (std::size_t i = 0; i < p.terms.size(); ++i) losses.push_back(loss.build(g, p.terms[i], t.terms[i], setting));
    return reduce(g, std::move(losses), p.shape, reduction);
}

template <std::size_t row>
PyObject* call_elementwise(PyObject*, PyObject* arguments, PyObject* keywords) {
    constexpr const nn::ElementwiseLoss& loss = nn::elementwise_losses[row];
    PyObject *prediction, *target;
    double setting = loss.setting.standard;
    const char* reduction = "mean";
    bool parsed;
    if constexpr (loss.setting.name != nullptr) {
        static constexpr const char* names[] = {loss.prediction, "target", loss.setting.name, "reduction", nullptr};
        parsed = PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|$ds", const_cast<char**>(names), &prediction,
                                             &target, &setting, &reduction);
    } else {
        static constexpr const char* names[] = {loss.prediction, "target", "reduction", nullptr};
        parsed = PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|$s", const_cast<char**>(names), &prediction,
                                             &target, &reduction);
    }
    if (!parsed) return nullptr;
    return guarded([&] { return elementwise(loss, prediction, target, setting, reduction); });
}

// Signature and docstring.
std::string text_of(const nn::ElementwiseLoss& loss) {
    const auto numbers = [](const nn::Range& range) {
        return "Values and numbers" + (range.text ? std::string(" ") + range.text : "");
    };
    const auto& setting = loss.setting;
    const std::string standard = setting.name ? std::string(py::repr(py::float_(setting.standard))) : "";
    std::string text = std::string(loss.name) + "(" + loss.prediction + ", target, *, ";
    if (setting.name) text += std::string(setting.name) + "=" + standard + ", ";
    text += std::string("reduction='mean')\n--\n\n") + loss.doc + "\n\nParameters\n----------\n";
    text += loss.prediction + (" : " + numbers(loss.predictions)) + "\n";
    text += "target : " + numbers(loss.targets) + ", of the same shape\n";
    if (setting.name)
        text += std::string(setting.name) + " : float, default " + standard + "\n    " + setting.doc + "\n";
    return text + "reduction : {\"mean\", \"sum\", \"none\"}";
}

template <std::size_t... rows>
void add_elementwise(py::module_& m, std::index_sequence<rows...>) {
    static const std::string texts[] = {text_of(nn::elementwise_losses[rows])...};
    static PyMethodDef functions[] = {
        method<call_elementwise<rows>>(nn::elementwise_losses[rows].name, METH_VARARGS | METH_KEYWORDS,
                                       texts[rows].c_str())...,
        {nullptr, nullptr, 0, nullptr}};
    if (PyModule_AddFunctions(m.ptr(), functions) < 0) throw py::error_already_set();
}

// (name, range of the predictions, range of the targets); a range is (low, high, whether of the magnitude), or None.
py::list loss_table() {
    const auto shown = [](const nn::Range& range) -> py::object {
        if (!range.text) return py::none();
        return py::make_tuple(range.low, range.high, range.of_magnitude);
    };
    py::list rows;
    for (const nn::ElementwiseLoss& loss : nn::elementwise_losses)
        rows.append(py::make_tuple(loss.name, shown(loss.predictions), shown(loss.targets)));
    return rows;
}

// Runs a builder for pybind11: faults become Python's errors, and what the terms gave up is freed.
template <class Fn>
py::object built(Fn&& body) {
    PyObject* result = guarded(std::forward<Fn>(body));
    if (!result) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(result);
}

}  // namespace

void add_losses(py::module_& m) {
    using namespace py::literals;
    m.def(
        "flatten",
        [](const py::object& values, const std::string& what) {
            Tensor tensor;
            TensorReader(tensor, what.c_str(), false).read(values.ptr(), 0);
            py::list flat(tensor.objects.size());
            for (std::size_t i = 0; i < tensor.objects.size(); ++i)
                flat[i] = py::reinterpret_borrow<py::object>(tensor.objects[i]);
            py::tuple shape(tensor.shape.size());
            for (std::size_t i = 0; i < tensor.shape.size(); ++i) shape[i] = tensor.shape[i];
            return py::make_tuple(flat, shape);
        },
        "values"_a, "what"_a, "The numbers and Values of nested sequences, in order, and their shape.");
    m.def(
        "dot",
        [](const py::object& w, const py::object& x, const py::object& b) {
            return built([&] { return dot(w, x, b); });
        },
        "w"_a, "x"_a, "b"_a);
    m.def(
        "sum",
        [](const py::object& values, const py::object& start) {
            return built([&] {
                Tensor x = read(values, "the values"), s = read(start, "the start");
                if (!s.shape.empty()) refuse("the start is one number or Value");
                Builder g(recording());
                return finish(nn::total(g, x.terms, std::move(s.terms[0])));
            });
        },
        "values"_a, "start"_a);
    m.def(
        "mean",
        [](const py::object& values) {
            return built([&] {
                Tensor x = read_some(values, "the values");
                Builder g(recording());
                return finish(nn::mean(g, x.terms));
            });
        },
        "values"_a);
    m.def(
        "logsumexp",
        [](const py::object& values) {
            return built([&] {
                Tensor x = read_rows(values, "the values");
                Builder g(recording());
                Terms out;
                for_rows(x, [&](nn::View row) { out.push_back(nn::logsumexp(g, row)); });
                return nested(std::move(out), without_last(x.shape));
            });
        },
        "values"_a);
    m.def(
        "softmax", [](const py::object& x) { return built([&] { return rows_to_rows(x, nn::softmax); }); }, "values"_a);
    m.def(
        "log_softmax", [](const py::object& x) { return built([&] { return rows_to_rows(x, nn::log_softmax); }); },
        "values"_a);
    add_elementwise(m, std::make_index_sequence<std::size(nn::elementwise_losses)>());
    m.def("losses", loss_table,
          "The losses that go element by element: (name, range of the predictions, range of the targets) of each.");
    m.def(
        "cross_entropy",
        [](const py::object& x, const py::object& t, const std::string& reduction) {
            return built([&] { return cross_entropy(x, t, reduction); });
        },
        "logits"_a, "target"_a, "reduction"_a);
    m.def(
        "l2",
        [](const py::object& values, double alpha) {
            return built([&] {
                Tensor x = read(values, "the values");
                Builder g(recording());
                return finish(nn::l2(g, x.terms, alpha));
            });
        },
        "values"_a, "alpha"_a);
}

}  // namespace kilograd
