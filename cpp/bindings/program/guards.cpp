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
#include "../numbers.hpp"
#include "../value/value.hpp"

namespace py = pybind11;

namespace kilograd {

namespace {

enum class Relation : std::uint8_t { Less, LessEqual, Equal, NotEqual, Greater, GreaterEqual, Same };

Relation relation_of(const std::string& symbol) {
    static const std::unordered_map<std::string, Relation> relations = {
        {"<", Relation::Less},    {"<=", Relation::LessEqual},    {"==", Relation::Equal}, {"!=", Relation::NotEqual},
        {">", Relation::Greater}, {">=", Relation::GreaterEqual}, {"is", Relation::Same}};
    auto found = relations.find(symbol);
    if (found == relations.end()) throw py::value_error("a guard cannot be made of the note '" + symbol + "'");
    return found->second;
}

bool compare(Relation relation, double x, double y) {
    switch (relation) {
        case Relation::Less:
            return x < y;
        case Relation::LessEqual:
            return x <= y;
        case Relation::Equal:
            return x == y;
        case Relation::NotEqual:
            return x != y;
        case Relation::Greater:
            return x > y;
        case Relation::GreaterEqual:
            return x >= y;
        case Relation::Same:  // -0.0 is not 0.0: whoever reads .data may see the sign
            break;
    }
    return std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y) || (x != x && y != y);
}

using Note = std::tuple<std::string, py::object, py::object, bool>;

class Guards {
  public:
    using boxed = void;
    Guards(const std::vector<Note>& notes, const std::vector<py::object>& inputs) : n_inputs_(inputs.size()) {
        for (const py::object& input : inputs) {
            if (!is_value(input.ptr())) throw py::type_error("the inputs of guards must be Values");
            number_of_.emplace(node_of(input.ptr()), push(0.0));
        }
        add_nodes(notes);
        for (const auto& [symbol, left, right, result] : notes)
            checks_.push_back({relation_of(symbol), place(left), place(right), result});
        number_of_.clear();
    }

    std::size_t size() const { return checks_.size(); }

    // 1 where a row satisfies every guard, 0 where it does not, -1 where an operation is refused before that is known.
    py::array_t<std::int8_t> holds(const py::array_t<double, py::array::c_style | py::array::forcecast>& rows) const {
        if (rows.ndim() != 2 || static_cast<std::size_t>(rows.shape(1)) != n_inputs_)
            throw py::value_error("guards need rows of shape (batch, " + std::to_string(n_inputs_) + ")");
        py::array_t<std::int8_t> result(rows.shape(0));
        std::vector<double> values = initial_;
        for (const auto& [number, parameter] : parameters_) values[number] = node_of(parameter.ptr())->data;
        const double* x = rows.data();
        std::int8_t* out = result.mutable_data();
        const auto count = static_cast<std::size_t>(rows.shape(0));
        py::gil_scoped_release release;
        for (std::size_t row = 0; row < count; ++row, x += n_inputs_) {
            std::copy(x, x + n_inputs_, values.begin());
            out[row] = holds_for(values);
        }
        return result;
    }

  private:
    struct Step {
        Op op;
        std::uint32_t result, a, b;
        double c;
        bool divides;
    };
    struct Check {
        Relation relation;
        std::uint32_t left, right;
        bool result;
    };

    std::uint32_t push(double value) {
        initial_.push_back(value);
        return static_cast<std::uint32_t>(initial_.size() - 1);
    }

    void add_nodes(const std::vector<Note>& notes) {
        std::vector<Node*> roots;
        for (const auto& [symbol, left, right, result] : notes)
            for (const py::object& operand : {left, right})
                if (is_value(operand.ptr())) roots.push_back(node_of(operand.ptr()));
        if (roots.empty()) return;
        Ancestry found = ancestors(roots.data(), roots.size());
        for (Node* leaf : found.leaves) {
            if (!number_of_.emplace(leaf, static_cast<std::uint32_t>(initial_.size())).second) continue;
            std::uint32_t number = push(leaf->data);
            if (leaf->handle)  // Python can change it: read at each call
                parameters_.emplace_back(number, py::reinterpret_steal<py::object>(handle_of(leaf)));
        }
        first_step_ = static_cast<std::uint32_t>(initial_.size());
        std::for_each(found.interior.rbegin(), found.interior.rend(), [&](Node* node) {
            if (node->has_fan()) {
                py::object label = py::reinterpret_steal<py::object>(op_label(node));
                throw py::type_error("the operation '" + std::string(py::str(label)) +
                                     "' is a rule in Python and cannot be recorded: build it from kilograd's "
                                     "operations, or call the function without kilograd.compile");
            }
            std::uint32_t b = node->b ? number_of_.at(node->b) : 0;
            std::uint32_t number = push(node->data);
            if (is_quotient(node)) b = number_of_.at(node->b->a);
            steps_.push_back(
                {node->op, number, number_of_.at(node->a), b, node->b ? 0.0 : node->constant, is_quotient(node)});
            number_of_.emplace(node, number);
        });
        last_step_ = static_cast<std::uint32_t>(initial_.size());
    }

    std::uint32_t place(const py::object& operand) {
        if (is_value(operand.ptr())) return number_of_.at(node_of(operand.ptr()));
        Number number{};
        if (!require_number(operand.ptr(), "an operand of a guard", number)) throw py::error_already_set();
        return push(number.value);
    }

    std::int8_t holds_for(std::vector<double>& values) const {
        std::uint32_t next = first_step_;
        for (const Check& check : checks_) {
            for (std::uint32_t operand : {check.left, check.right}) {
                if (operand >= last_step_) continue;  // a number
                for (; next <= operand; ++next) {
                    const Step& step = steps_[next - first_step_];
                    if (step.divides) {  // the reciprocal was a step of its own, and refused what cannot be divided by
                        values[next] = values[step.a] / values[step.b];
                        continue;
                    }
                    Fault fault;
                    values[next] = evaluate(step.op, values[step.a], values[step.b], step.c, fault);
                    if (fault != Fault::None) return -1;
                }
            }
            const double x = values[check.left], y = values[check.right];
            const bool unordered = check.relation != Relation::Same && (std::isnan(x) || std::isnan(y));
            if (unordered || compare(check.relation, x, y) != check.result) return 0;
        }
        return 1;
    }

    std::size_t n_inputs_;
    std::vector<double> initial_;  // by number: inputs, other leaves, steps, numbers
    std::vector<std::pair<std::uint32_t, py::object>> parameters_;
    std::vector<Step> steps_;
    std::uint32_t first_step_ = 0, last_step_ = 0;
    std::vector<Check> checks_;
    std::unordered_map<const Node*, std::uint32_t> number_of_;  // while building
};

}  // namespace

void add_guards(py::module_& m) {
    BoxedType<Guards>("kilograd._core.Guards", "The conditions of a recorded path.")
        .def("__len__", &Guards::size)
        .def("holds", &Guards::holds);
    m.def("_dead_interior", [] { return arena.dead_interior(); });
    m.def("_guards", [](const std::vector<Note>& notes, const std::vector<py::object>& inputs) {
        return Box<Guards>::make(std::make_unique<Guards>(notes, inputs));
    });
}

}  // namespace kilograd
