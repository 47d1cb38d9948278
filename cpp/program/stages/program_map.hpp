// ProgramMap: a Program without parameters as a Map.
#pragma once

#include "../execution/single_row.hpp"
#include "../program.hpp"
#include "map.hpp"

namespace kilograd::program {

class ProgramMap final : public Map {
  public:
    explicit ProgramMap(std::shared_ptr<const Program> program)
        : Map(program->n_inputs(), program->n_outputs()), program_(std::move(program)) {}

    void forward(const Rows& rows, Input x, Output y, Kept& kept, bool) const override {
        Request request = request_of(rows, x);
        request.values = y.value;
        if (n_inputs() != 0)
            request.value_tangents = y.tangent;
        else if (y.tangent)
            std::fill_n(y.tangent, rows.count * n_outputs(), 0.0);
        run(request, rows.kernels, kept);
    }

    void reverse(const Rows& rows, Input x, Input w, Output dx, Kept& kept) const override {
        if (n_inputs() == 0) return;
        Request request = request_of(rows, x);
        request.check = false;
        differentiate(request, w, dx);
        run(request, rows.kernels, kept);
    }

    void both(const Rows& rows, Input x, Output y, Input w, Output dx, Kept& kept) const override {
        if (n_inputs() == 0) return forward(rows, x, y, kept, false);
        Request request = request_of(rows, x);
        request.values = y.value;
        request.value_tangents = y.tangent;
        differentiate(request, w, dx);
        run(request, rows.kernels, kept);
    }

    void depend(Dependence& dependence, const Dependence::Set* x, Dependence::Set* y,
                const std::uint8_t* wanted) const override {
        const Graph& graph = program_->graph();
        Dependence::Mask live(graph.nodes.size(), 0);
        if (dependence.second()) mark(wanted, live);
        std::vector<Dependence::Set> sets(graph.nodes.size(), Dependence::nothing), parts;
        for (std::uint32_t n = 0; n < graph.nodes.size(); ++n) {
            const Node& node = graph.nodes[n];
            if (node.code == Code::input) sets[n] = x[node.a];
            parts.clear();
            for_varying_operands(graph, node, [&](std::uint32_t operand) { parts.push_back(sets[operand]); });
            if (!parts.empty()) sets[n] = dependence.unite(parts);
            if (live[n])
                for_crossings(graph, n, [&](std::uint32_t a, std::uint32_t b) { dependence.cross(sets[a], sets[b]); });
        }
        dependence.spend(graph.nodes.size());
        for (std::size_t k = 0; k < n_outputs(); ++k) y[k] = sets[graph.outputs[k]];
    }

    void need(const std::uint8_t* wanted, std::uint8_t* x) const override {
        const Graph& graph = program_->graph();
        Dependence::Mask live(graph.nodes.size(), 0);
        mark(wanted, live);
        std::fill_n(x, n_inputs(), std::uint8_t{0});
        for (std::size_t n = 0; n < live.size(); ++n)
            if (live[n] && graph.nodes[n].code == Code::input) x[graph.nodes[n].a] = 1;
    }

    const Program* program() const override { return program_.get(); }
    bool keeps() const override { return false; }
    std::size_t kept_per_row() const override { return 0; }
    std::size_t cost() const override { return program_->graph().nodes.size(); }
    std::size_t bytes() const override { return program_->bytes(); }

  private:
    // A single row over and over keeps its memory, with the constants in it.
    void run(const Request& request, const Kernels& kernels, Kept& kept) const {
        if (request.rows != 1 || request.dual()) return program_->run(request, kernels);
        const bool back = request.reverse();
        const RowSchedule& schedule = program_->row(request.wants());
        kept.buffers.resize(2);
        const RowEngine engine{kernels, program_->machine(request.wants(), kernels, false, 1)};
        double* values = kept.buffers[back].take(room_for_row(schedule), false).value;
        if (!kept.loaded[back]) schedule.load_constants(1, values);
        kept.loaded[back] = true;
        run_row_in(values, program_->graph(), schedule, request, engine);
    }

    // Which nodes the derivatives of wanted outputs are made of.
    void mark(const std::uint8_t* wanted, Dependence::Mask& live) const {
        const Graph& graph = program_->graph();
        for (std::size_t k = 0; k < n_outputs(); ++k)
            if (wanted[k]) live[graph.outputs[k]] = 1;
        for (std::size_t n = live.size(); n-- > 0;)
            if (live[n]) for_varying_operands(graph, graph.nodes[n], [&](std::uint32_t operand) { live[operand] = 1; });
    }

    Request request_of(const Rows& rows, Input x) const {
        Request request;
        request.x = x.value;
        request.row_stride = static_cast<std::ptrdiff_t>(n_inputs());
        request.rows = rows.count;
        request.first = rows.first;
        request.check = rows.check;
        if (n_inputs() != 0) request.tangents = x.tangent;
        return request;
    }

    void differentiate(Request& request, Input w, Output dx) const {
        request.weights = w.value;
        request.weight_tangents = w.tangent;
        request.weight_row_stride = static_cast<std::ptrdiff_t>(n_outputs());
        request.dx = dx.value;
        request.dx_tangents = dx.tangent;
    }

    const std::shared_ptr<const Program> program_;
};

}  // namespace kilograd::program
