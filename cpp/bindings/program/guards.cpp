#include "guards.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <unordered_map>

#include "../../engine/order.hpp"
#include "../boxed.hpp"
#include "../numbering.hpp"
#include "../numbers.hpp"
#include "../value/value.hpp"

namespace py = pybind11;

namespace kilograd {

namespace {

// What has to hold of two numbers. Between NaN and anything none does but Same and its reverse.
enum class Test : std::uint8_t { Less, LessEqual, Equal, Differ, Same, NotSame };

inline bool passes(Test test, double x, double y) {
    switch (test) {
        case Test::Less:
            return x < y;
        case Test::LessEqual:
            return x <= y;
        case Test::Equal:
            return x == y;
        case Test::Differ:
            return x < y || y < x;
        default:  // -0.0 is not 0.0: whoever reads .data may see the sign
            const bool same = std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y) || (x != x && y != y);
            return same == (test == Test::Same);
    }
}

// The test of a note, of its operands or of these in reverse order.
struct Reading {
    Test test;
    bool reversed;
};
Reading reading_of(const std::string& symbol, bool result) {
    static const std::unordered_map<std::string, std::pair<Reading, Reading>> readings = {
        {"<", {{Test::Less, false}, {Test::LessEqual, true}}}, {"<=", {{Test::LessEqual, false}, {Test::Less, true}}},
        {">", {{Test::Less, true}, {Test::LessEqual, false}}}, {">=", {{Test::LessEqual, true}, {Test::Less, false}}},
        {"==", {{Test::Equal, false}, {Test::Differ, false}}}, {"!=", {{Test::Differ, false}, {Test::Equal, false}}},
        {"is", {{Test::Same, false}, {Test::NotSame, false}}}};
    auto found = readings.find(symbol);
    if (found == readings.end()) throw py::value_error("a guard cannot be made of the note '" + symbol + "'");
    return result ? found->second.first : found->second.second;
}

using Note = std::tuple<std::string, py::object, py::object, bool>;

class Guards {
  public:
    using boxed = void;
    Guards(const std::vector<Note>& notes, const std::vector<py::object>& inputs) {
        const std::vector<double> constants = constants_of(notes);  // may run Python: before any node is looked up
        std::vector<Node*> roots;
        for (const py::object& input : inputs) {
            if (!is_value(input.ptr()) || !node_of(input.ptr())->is_leaf())
                throw py::type_error("the inputs of guards must be Values that are leaves");
            roots.push_back(node_of(input.ptr()));
        }
        for (const auto& [symbol, left, right, result] : notes)
            for (const py::object& operand : {left, right})
                if (is_value(operand.ptr())) roots.push_back(node_of(operand.ptr()));
        const Ancestry graph = ancestors(roots.data(), roots.size());
        for (Node* node : graph.interior)
            if (node->has_fan() || node->is_fixed()) refuse_rule(node);

        const Numbering number(graph);
        std::vector<bool> is_input(graph.leaves.size());
        for (std::size_t k = 0; k < inputs.size(); ++k) {
            inputs_.push_back(number[roots[k]]);
            is_input[inputs_.back()] = true;
        }
        for (std::uint32_t k = 0; k < graph.leaves.size(); ++k)
            if (graph.leaves[k]->handle && !is_input[k])  // Python can change it: read at each call
                parameters_.emplace_back(k, py::reinterpret_steal<py::object>(handle_of(graph.leaves[k])));
        for (const Node* node : number.nodes()) {
            initial_.push_back(node->data);
            if (node->is_leaf()) continue;
            const bool divides = is_quotient(node);
            const Node* b = divides ? node->b->a : node->b;
            steps_.push_back({node->op, number[node->a], b ? number[b] : 0, b ? 0.0 : node->constant, divides});
        }
        first_step_ = static_cast<std::uint32_t>(graph.leaves.size());
        auto constant = constants.begin();
        const auto place = [&](const py::object& operand) {
            if (is_value(operand.ptr())) return number[node_of(operand.ptr())];
            initial_.push_back(*constant++);
            return static_cast<std::uint32_t>(initial_.size() - 1);
        };
        for (const auto& [symbol, left, right, result] : notes) {
            const std::uint32_t first = place(left), second = place(right);
            const auto [test, reversed] = reading_of(symbol, result);
            checks_.push_back({test, reversed ? second : first, reversed ? first : second});
        }
    }

    std::size_t size() const { return checks_.size(); }

    // 1 where a row satisfies every guard, 0 where it does not, -1 where an operation is refused before that is known.
    py::array_t<std::int8_t> holds(const py::array_t<double, py::array::c_style | py::array::forcecast>& rows) const {
        if (rows.ndim() != 2 || static_cast<std::size_t>(rows.shape(1)) != inputs_.size())
            throw py::value_error("guards need rows of shape (batch, " + std::to_string(inputs_.size()) + ")");
        py::array_t<std::int8_t> result(rows.shape(0));
        const std::vector<std::pair<std::uint32_t, double>> parameters = read_parameters();
        const double* x = rows.data();
        std::int8_t* out = result.mutable_data();
        const auto count = static_cast<std::size_t>(rows.shape(0));
        const Released released;
        if (count == 1)
            look_at<1>(x, 1, parameters, out);
        else
            look_at<several>(x, count, parameters, out);
        return result;
    }

    // The same of one row, the numbers of an array of any shape, without an array for what is found.
    int hold_at(const py::array_t<double, py::array::c_style | py::array::forcecast>& row) const {
        if (static_cast<std::size_t>(row.size()) != inputs_.size())
            throw py::value_error("guards need " + std::to_string(inputs_.size()) + " numbers");
        std::int8_t held = 0;
        look_at<1>(row.data(), 1, read_parameters(), &held);
        return held;
    }

  private:
    std::vector<std::pair<std::uint32_t, double>> read_parameters() const {
        std::vector<std::pair<std::uint32_t, double>> parameters;
        for (const auto& [number, parameter] : parameters_)
            parameters.emplace_back(number, data_of_value(parameter.ptr()));
        return parameters;
    }

    struct Step {
        Op op;
        std::uint32_t a, b;
        double c;
        bool divides;
    };
    struct Check {
        Test test;
        std::uint32_t left, right;
    };

    static std::vector<double> constants_of(const std::vector<Note>& notes) {
        std::vector<double> constants;
        for (const auto& [symbol, left, right, result] : notes) {
            for (const py::object& operand : {left, right}) {
                Number number{};
                if (is_value(operand.ptr())) continue;
                if (!require_number(operand.ptr(), "an operand of a guard", number)) throw py::error_already_set();
                constants.push_back(number.value);
            }
        }
        return constants;
    }

    [[noreturn]] static void refuse_rule(Node* node) {
        py::object label = py::reinterpret_steal<py::object>(op_label(node));
        throw py::type_error("the operation '" + std::string(py::str(label)) +
                             "' is a rule in Python and cannot be recorded: build it from kilograd's "
                             "operations, or call the function without kilograd.compile");
    }

    static constexpr std::size_t several = 8;

    // `width` rows at a time, side by side.
    template <std::size_t width>
    void look_at(const double* x, std::size_t count, const std::vector<std::pair<std::uint32_t, double>>& parameters,
                 std::int8_t* out) const {
        std::vector<double> values(initial_.size() * width);
        for (std::size_t k = 0; k < initial_.size(); ++k) std::fill_n(&values[k * width], width, initial_[k]);
        for (const auto& [number, data] : parameters) std::fill_n(&values[number * width], width, data);
        for (std::size_t first = 0; first < count; first += width) {
            const std::size_t rows = std::min(width, count - first);
            for (std::size_t r = 0; r < width; ++r) {  // beyond the last, that one again
                const double* row = x + (first + std::min(r, rows - 1)) * inputs_.size();
                for (std::uint32_t input : inputs_) values[input * width + r] = *row++;
            }
            std::int8_t held[width];
            hold<width>(values.data(), held);
            for (std::size_t r = 0; r < rows; ++r) out[first + r] = held[r];
        }
    }

    template <std::size_t width>
    void hold(double* values, std::int8_t* held) const {
        std::fill_n(held, width, std::int8_t{1});
        std::size_t left = width;
        const auto settle = [&](std::size_t r, std::int8_t as) {
            held[r] = as;
            --left;
        };
        std::uint32_t next = first_step_;
        for (const Check& check : checks_) {
            for (std::uint32_t operand : {check.left, check.right}) {
                if (operand >= first_step_ + steps_.size()) continue;  // a number
                for (; next <= operand; ++next) {
                    const Step& step = steps_[next - first_step_];
                    const double *a = values + step.a * width, *b = values + step.b * width;
                    double* y = values + next * width;
                    if (step.divides) {  // the reciprocal was a step of its own, and refused what cannot be divided by
                        for (std::size_t r = 0; r < width; ++r) y[r] = a[r] / b[r];
                    } else if (step.op == Op::add) {
                        for (std::size_t r = 0; r < width; ++r) y[r] = a[r] + b[r];
                    } else if (step.op == Op::mul) {
                        for (std::size_t r = 0; r < width; ++r) y[r] = a[r] * b[r];
                    } else {
                        for (std::size_t r = 0; r < width; ++r) {
                            if (held[r] != 1) continue;
                            Fault fault;
                            y[r] = evaluate(step.op, a[r], b[r], step.c, fault);
                            if (fault == Fault::None) continue;
                            settle(r, -1);
                            if (!left) return;
                        }
                    }
                }
            }
            const double *x = values + check.left * width, *y = values + check.right * width;
            for (std::size_t r = 0; r < width; ++r)
                if (!passes(check.test, x[r], y[r]) && held[r] == 1) {
                    settle(r, 0);
                    if (!left) return;
                }
        }
    }

    std::vector<std::uint32_t> inputs_;
    std::vector<double> initial_;  // by place: leaves, steps, numbers
    std::vector<std::pair<std::uint32_t, py::object>> parameters_;
    std::vector<Step> steps_;
    std::uint32_t first_step_;
    std::vector<Check> checks_;
};

}  // namespace

void add_guards(py::module_& m) {
    BoxedType<Guards>("kilograd._core.Guards", "The conditions of a recorded path.")
        .def("__len__", &Guards::size)
        .def("hold_at", &Guards::hold_at)
        .def("holds", &Guards::holds);
    m.def("_dead_interior", within([] { return arena().dead_interior(); }));
    m.def("_guards", within([](const std::vector<Note>& notes, const std::vector<py::object>& inputs) {
              return Box<Guards>::make(std::make_unique<Guards>(notes, inputs));
          }));
}

}  // namespace kilograd
