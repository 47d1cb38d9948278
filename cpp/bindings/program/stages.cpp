#include "stages.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "../../program/kernels/isa.hpp"
#include "../../program/passes/compose.hpp"
#include "../../program/passes/entries.hpp"
#include "../../program/stages/gradient.hpp"
#include "../../program/stages/loop.hpp"
#include "../../program/stages/program_map.hpp"
#include "../../program/stages/sequence.hpp"
#include "../pybind.hpp"
#include "../value/handle.hpp"
#include "call.hpp"

namespace kilograd {

namespace {

using program::Dependence;
using program::Input;
using program::Kept;
using program::Map;
using program::MapPointer;
using program::Output;
using program::Rows;

struct Stage {
    using boxed = void;
    MapPointer map;
};
py::object boxed_stage(MapPointer map) { return Box<Stage>::make(std::unique_ptr<Stage>(new Stage{std::move(map)})); }

// Whose arithmetic is Python's: an object with the methods forward(x), jvp(x, v), vjp(x, w) and second(x, v, w, dw),
// which gives (vjp, its derivative along v and dw), all over rows.
class PythonMap final : public Map {
  public:
    PythonMap(py::object object, std::size_t n_inputs, std::size_t n_outputs)
        : Map(n_inputs, n_outputs), object_(std::move(object)) {}

    void forward(const Rows& rows, Input x, Output y, Kept&, bool) const override {
        const Acquired acquired;
        const py::object numbers = array(rows, x.value, n_inputs());
        store(rows, call("forward", numbers), "value", n_outputs(), y.value);
        if (y.tangent)
            store(rows, call("jvp", numbers, array(rows, x.tangent, n_inputs())), "jvp", n_outputs(), y.tangent);
    }

    void reverse(const Rows& rows, Input x, Input w, Output dx, Kept&) const override {
        const Acquired acquired;
        const py::object numbers = array(rows, x.value, n_inputs()), weights = array(rows, w.value, n_outputs());
        if (!x.dual()) return store(rows, call("vjp", numbers, weights), "vjp", n_inputs(), dx.value);
        const py::tuple both =
            call("second", numbers, array(rows, x.tangent, n_inputs()), weights, array(rows, w.tangent, n_outputs()));
        if (both.size() != 2) throw py::type_error("second() gives two arrays");
        store(rows, both[0], "vjp", n_inputs(), dx.value);
        store(rows, both[1], "second derivative", n_inputs(), dx.tangent);
    }

    // Groups of inputs, each with the outputs that depend on all of these, and whether they are linear in these while
    // the inputs of other groups stay. An object without the method depends on all.
    void depend(Dependence& dependence, const Dependence::Set* x, Dependence::Set* y,
                const std::uint8_t* wanted) const override {
        std::vector<std::vector<Dependence::Set>> parts(n_outputs());
        std::vector<Dependence::Set> sets;
        std::vector<std::uint8_t> linear;
        std::vector<std::vector<std::uint32_t>> groups_of(n_outputs());
        const auto add = [&](auto&& inputs, auto&& outputs, bool is_linear) {
            std::vector<Dependence::Set> united;
            for (std::size_t k : inputs) united.push_back(x[k]);
            const Dependence::Set set = dependence.unite(united);
            for (std::size_t k : outputs) {
                parts[k].push_back(set);
                groups_of[k].push_back(static_cast<std::uint32_t>(sets.size()));
            }
            sets.push_back(set);
            linear.push_back(is_linear);
        };
        for_groups(add);
        // Outputs of the same groups are many.
        std::set<std::vector<std::uint32_t>> crossed;
        for (std::size_t k = 0; k < n_outputs(); ++k) {
            y[k] = dependence.unite(parts[k]);
            if (!dependence.second() || !wanted[k] || !crossed.insert(groups_of[k]).second) continue;
            for (std::uint32_t a : groups_of[k])
                for (std::uint32_t b : groups_of[k])
                    if (a < b || (a == b && !linear[a])) dependence.cross(sets[a], sets[b]);
        }
    }
    void need(const std::uint8_t* wanted, std::uint8_t* x) const override {
        std::fill_n(x, n_inputs(), std::uint8_t{0});
        for_groups([&](auto&& inputs, auto&& outputs, bool) {
            if (std::any_of(outputs.begin(), outputs.end(), [&](std::size_t k) { return wanted[k] != 0; }))
                for (std::size_t k : inputs) x[k] = 1;
        });
    }

    bool keeps() const override { return false; }
    std::size_t kept_per_row() const override { return 0; }
    std::size_t cost() const override { return 1 << 15; }  // which is looked up after
    std::size_t bytes() const override { return sizeof *this; }

  private:
    template <class... Arrays>
    py::object call(const char* name, const Arrays&... arrays) const {
        const py::object method = object_.attr(name);
        const py::tuple arguments = py::make_tuple(arrays...);
        const Outside outside;
        return checked(PyObject_CallObject(method.ptr(), arguments.ptr()));
    }
    template <class F>
    void for_groups(F&& f) const {
        const Acquired acquired;
        using Numbers = std::vector<std::size_t>;
        const auto all = [](std::size_t count) {
            Numbers numbers(count);
            std::iota(numbers.begin(), numbers.end(), std::size_t{0});
            return numbers;
        };
        if (!py::hasattr(object_, "groups")) return f(all(n_inputs()), all(n_outputs()), false);
        for (const py::handle group : object_.attr("groups")()) {
            const auto [inputs, outputs, is_linear] = py::cast<std::tuple<Numbers, Numbers, bool>>(group);
            const auto beyond = [](const Numbers& numbers, std::size_t count) {
                return std::any_of(numbers.begin(), numbers.end(), [&](std::size_t k) { return k >= count; });
            };
            if (beyond(inputs, n_inputs()) || beyond(outputs, n_outputs()))
                throw py::value_error("groups() gives numbers of inputs and of outputs");
            f(inputs, outputs, is_linear);
        }
    }
    static py::object array(const Rows& rows, const double* from, std::size_t columns) {
        Doubles copy({static_cast<py::ssize_t>(rows.count), static_cast<py::ssize_t>(columns)});
        std::copy_n(from, rows.count * columns, copy.mutable_data());
        return copy;
    }
    static void store(const Rows& rows, const py::object& found, const char* what, std::size_t columns, double* to) {
        const py::array numbers = contiguous(found, what);
        const Shape shape{static_cast<py::ssize_t>(rows.count), static_cast<py::ssize_t>(columns)};
        if (!has_shape(numbers, shape)) refuse_shape(what, numbers, kilograd::text_of(shape));
        std::copy_n(static_cast<const double*>(numbers.data()), rows.count * columns, to);
    }

    const py::object object_;
};

// A call: rows of inputs, behind which the data of parameters stand. Rows go through in blocks, for what is kept of
// them has to fit into memory.
class StageCall {
  public:
    StageCall(const Stage& stage, const py::tuple& parameters, py::handle x, bool check)
        : map_(*stage.map), check_(check) {
        for (py::handle value : parameters) {
            if (!is_value(value.ptr())) throw py::type_error("parameters must be Values");
            parameters_.push_back(data_of_value(value.ptr()));
        }
        if (parameters_.size() > map_.n_inputs()) throw py::value_error("wrong number of parameters");
        n_ = map_.n_inputs() - parameters_.size();
        x_ = rows_of(x, n_, "x", true);
    }

    bool batched() const { return batched_; }
    std::size_t inputs() const { return n_; }
    std::size_t outputs() const { return map_.n_outputs(); }

    void set_tangents(py::handle v) { v_ = rows_of(v, n_, "v", false); }
    void set_weights(py::handle w) { w_ = rows_of(w, outputs(), "weights", false); }
    Doubles result(std::size_t columns) const {
        const auto width = static_cast<py::ssize_t>(columns);
        return batched_ ? Doubles({static_cast<py::ssize_t>(count_), width}) : Doubles(width);
    }

    // Where results go; null: not wanted.
    double *values = nullptr, *value_tangents = nullptr, *dx = nullptr, *dx_tangents = nullptr;

    void run() {
        const program::Kernels& kernels = program::chosen_kernels();
        const Signals signals;
        const Released released;
        const bool dual = v_.ptr() != nullptr, reverse = dx || dx_tangents;
        // Numbers kept: less memory that is new to the call, and written and read again by a reverse sweep, as far as
        // that leaves rows for a vector.
        constexpr std::size_t most = std::size_t{1} << 22, small = std::size_t{1} << 18, vector = 8;
        const std::size_t row = map_.kept_per_row() + 1, fitting = most / row;
        const std::size_t wanted = reverse ? std::max(small / row, vector) : fitting;
        const std::size_t block = std::clamp<std::size_t>(std::min(wanted, fitting), 1, 4096);
        for (std::size_t first = 0; first < count_; first += block) {
            const Rows rows{std::min(block, count_ - first), first, check_, kernels};
            run_block(rows, dual, reverse);
            program::look_up();
        }
    }

  private:
    py::array rows_of(py::handle object, std::size_t columns, const char* what, bool tells) {
        py::array array = contiguous(object, what);
        if (tells) {
            batched_ = array.ndim() == 2;
            count_ = batched_ ? static_cast<std::size_t>(array.shape(0)) : 1;
        }
        Shape shape{static_cast<py::ssize_t>(columns)};
        if (batched_) shape.insert(shape.begin(), static_cast<py::ssize_t>(count_));
        if (!has_shape(array, shape)) refuse_shape(what, array, kilograd::text_of(shape));
        return array;
    }
    static const double* at(const py::array& array, const Rows& rows, std::size_t columns) {
        return static_cast<const double*>(array.data()) + rows.first * columns;
    }
    static void store(const Rows& rows, const double* from, std::size_t width, double* to, std::size_t columns) {
        if (!to) return;
        for (std::size_t r = 0; r < rows.count; ++r)
            std::copy_n(from + r * width, columns, to + (rows.first + r) * columns);
    }

    void run_block(const Rows& rows, bool dual, bool reverse) {
        const std::size_t width = map_.n_inputs(), m = outputs();
        const Output x = x_rows_.zeros(rows.count * width, dual), y = y_rows_.take(rows.count * m, dual);
        for (std::size_t r = 0; r < rows.count; ++r) {
            std::copy_n(at(x_, rows, n_) + r * n_, n_, x.value + r * width);
            std::copy(parameters_.begin(), parameters_.end(), x.value + r * width + n_);
            if (dual) std::copy_n(at(v_, rows, n_) + r * n_, n_, x.tangent + r * width);
        }
        map_.forward(rows, x, y, kept_, reverse);
        store(rows, y.value, m, values, m);
        store(rows, y.tangent, m, value_tangents, m);
        if (!reverse) return;
        const Output w = w_rows_.zeros(rows.count * m, dual), dx_rows = dx_rows_.zeros(rows.count * width, dual);
        std::copy_n(at(w_, rows, m), rows.count * m, w.value);
        map_.reverse(rows, x, w, dx_rows, kept_);
        store(rows, dx_rows.value, width, dx, n_);
        store(rows, dx_rows.tangent, width, dx_tangents, n_);
    }

    const Map& map_;
    const bool check_;
    bool batched_ = false;
    std::size_t count_ = 1, n_ = 0;
    std::vector<double> parameters_;
    py::array x_, v_{py::reinterpret_steal<py::array>(nullptr)}, w_{v_};
    Kept kept_;
    program::Buffer x_rows_, y_rows_, w_rows_, dx_rows_;
};

py::object stage_forward(const Stage& self, const py::tuple& parameters, py::handle x, bool check) {
    StageCall call(self, parameters, x, check);
    Doubles values = call.result(call.outputs());
    call.values = values.mutable_data();
    call.run();
    return values;
}

// (values, gradient of their weighted sum)
py::tuple stage_vjp(const Stage& self, const py::tuple& parameters, py::handle x, py::handle weights, bool check) {
    StageCall call(self, parameters, x, check);
    call.set_weights(weights);
    Doubles values = call.result(call.outputs()), dx = call.result(call.inputs());
    call.values = values.mutable_data();
    call.dx = dx.mutable_data();
    call.run();
    return py::make_tuple(values, dx);
}

py::object stage_jvp(const Stage& self, const py::tuple& parameters, py::handle x, py::handle v, bool check) {
    StageCall call(self, parameters, x, check);
    call.set_tangents(v);
    Doubles tangents = call.result(call.outputs());
    call.value_tangents = tangents.mutable_data();
    call.run();
    return tangents;
}

py::object stage_hvp(const Stage& self, const py::tuple& parameters, py::handle x, py::handle v, py::handle weights,
                     bool check) {
    StageCall call(self, parameters, x, check);
    call.set_tangents(v);
    call.set_weights(weights);
    Doubles tangents = call.result(call.inputs());
    call.dx_tangents = tangents.mutable_data();
    call.run();
    return tangents;
}

// (starts, columns) of the entries that may differ from zero, as in a CSR matrix, and how sweeps give them:
// (whether columns are grouped, rows that are alone, colours of columns), or of rows, and columns that are alone.
py::tuple stage_pattern(const Stage& self, bool second, py::handle wrt) {
    const program::Columns columns = columns_of(self.map->n_inputs(), wrt);
    const Signals signals;
    program::Pattern pattern;
    program::Groups groups;
    bool by_columns = true;
    {
        const Released released;
        pattern = program::pattern_of(*self.map, second, columns);
        groups = program::group_columns(pattern, second);
        if (!second) {
            program::Groups of_rows = program::group_columns(program::transposed(pattern), false);
            if (of_rows.sweeps() <= groups.sweeps()) {  // of two that are as many, reverse sweeps over a row cost less
                groups = std::move(of_rows);
                by_columns = false;
            }
        }
    }
    return py::make_tuple(signed_array(pattern.starts), signed_array(pattern.columns), by_columns,
                          signed_array(groups.alone), signed_array(groups.colours));
}

// As a stage a program has no parameters; the Python object lives as long as it is one.
py::object program_stage(const py::object& recorded) {
    const Recorded& found = Box<Recorded>::expect(recorded.ptr());
    if (found.program.n_parameters() != 0) throw py::value_error("a stage has no parameters");
    return boxed_stage(std::make_shared<program::ProgramMap>(
        std::shared_ptr<const program::Program>(&found.program, [recorded](const program::Program*) {})));
}

MapPointer program_map(program::Graph graph) {
    return std::make_shared<program::ProgramMap>(std::make_shared<const program::Program>(std::move(graph)));
}

// Places, as (first, count) of neighbours.
using Stretches = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
std::vector<std::uint32_t> places_of(const Stretches& stretches) {
    std::vector<std::uint32_t> places;
    for (const auto& [first, count] : stretches)
        for (std::uint32_t k = 0; k < count; ++k) places.push_back(first + k);
    return places;
}

py::object sequence_stage(std::size_t n_inputs, const std::vector<std::pair<py::object, Stretches>>& steps,
                          const Stretches& outputs) {
    constexpr std::size_t most = 100'000;  // ops of a composition
    std::vector<program::Part> parts;
    std::size_t ops = 0;
    for (const auto& [stage, inputs] : steps)
        if (const program::Program* part = Box<Stage>::expect(stage.ptr()).map->program()) {
            parts.push_back({&part->graph(), places_of(inputs)});
            ops += part->graph().nodes.size();
        }
    if (!steps.empty() && parts.size() == steps.size() && ops <= most) {
        const auto count = static_cast<std::uint32_t>(n_inputs);
        return boxed_stage(program_map(program::compose(count, parts, places_of(outputs))));
    }
    std::vector<program::Sequence::Step> made;
    for (const auto& [stage, inputs] : steps)
        made.push_back({Box<Stage>::expect(stage.ptr()).map, program::Places(places_of(inputs)), 0});
    return boxed_stage(
        std::make_shared<program::Sequence>(n_inputs, std::move(made), program::Places(places_of(outputs))));
}

py::object loop_stage(const Stage& body, py::object condition, std::size_t carried, std::vector<std::size_t> varying,
                      const py::array_t<double, py::array::c_style | py::array::forcecast>& constants,
                      std::optional<double> first_count, std::size_t shared, std::size_t results, std::size_t turns,
                      bool backwards, bool checkpoints) {
    program::LoopShape shape;
    shape.carried = carried;
    shape.varying = std::move(varying);
    shape.constant = constants.ndim() == 2 ? static_cast<std::size_t>(constants.shape(1)) : 0;
    shape.counted = first_count.has_value();
    shape.first_count = first_count.value_or(0.0);
    shape.shared = shared;
    shape.results = results;
    shape.turns = turns;
    shape.backwards = backwards;
    shape.checkpoints = checkpoints;
    const MapPointer test = condition.is_none() ? nullptr : Box<Stage>::expect(condition.ptr()).map;
    return boxed_stage(std::make_shared<program::Loop>(
        body.map, test, shape, std::vector<double>(constants.data(), constants.data() + constants.size())));
}

py::object gradient_stage(const Stage& stage, std::size_t count) {
    if (stage.map->n_outputs() != 1 || count > stage.map->n_inputs())
        throw py::value_error("a gradient is that of one number");
    if (const program::Program* inner = stage.map->program()) {
        std::vector<program::Stretch> stretches;
        if (count != 0) stretches.push_back({0, static_cast<std::uint32_t>(count)});
        return boxed_stage(program_map(program::with_gradient(inner->graph(), program::Columns(stretches))));
    }
    return boxed_stage(std::make_shared<program::Gradient>(stage.map, count));
}

py::object python_stage(py::object object, std::size_t n_inputs, std::size_t n_outputs) {
    return boxed_stage(std::make_shared<PythonMap>(std::move(object), n_inputs, n_outputs));
}

}  // namespace

void add_stages(py::module_& m) {
    using py::arg;
    BoxedType<Stage>("kilograd._core._Stage", "A differentiable function of rows, as a stage of others.")
        .def("forward", stage_forward)
        .def("vjp", stage_vjp)
        .def("jvp", stage_jvp)
        .def("hvp", stage_hvp)
        .def("pattern", stage_pattern)
        .def_property_readonly("nbytes", [](const Stage& self) { return self.map->bytes(); })
        .def_property_readonly("order", [](const Stage& self) { return self.map->order(); })
        .def_property_readonly("n_inputs", [](const Stage& self) { return self.map->n_inputs(); })
        .def_property_readonly("n_outputs", [](const Stage& self) { return self.map->n_outputs(); });
    m.def("_program_stage", program_stage, arg("program"), "A program without parameters as a stage.");
    m.def("_sequence_stage", sequence_stage, arg("n_inputs"), arg("steps"), arg("outputs"),
          "Stages one after the other, each with the places of its inputs as (first, count), and the places of the "
          "outputs.");
    m.def("_loop_stage", loop_stage, arg("body"), arg("condition"), arg("carried"), arg("varying"), arg("constants"),
          arg("first_count"), arg("shared"), arg("results"), arg("turns"), arg("backwards"), arg("checkpoints"),
          "A loop: see cpp/program/stages/loop.hpp.");
    m.def("_gradient_stage", gradient_stage, arg("stage"), arg("count"),
          "A stage with one output, and its derivatives by the first so many of its inputs.");
    m.def("_python_stage", python_stage, arg("object"), arg("n_inputs"), arg("n_outputs"),
          "A stage whose sweeps are methods of an object.");
}

}  // namespace kilograd
