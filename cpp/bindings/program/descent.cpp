#include "descent.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "../../nn/update.hpp"
#include "../../program/kernels/isa.hpp"
#include "../update.hpp"
#include "../value/handle.hpp"
#include "call.hpp"

namespace kilograd {

py::tuple descend(const Recorded& self, const py::tuple& parameters, py::handle x, py::handle reduce, py::ssize_t batch,
                  py::handle threads, bool check, const py::list& trained, py::handle kernel, const py::tuple& settings,
                  py::handle clip_norm, py::handle clip_value, const py::array_t<double, py::array::c_style>& rates,
                  py::array_t<double, py::array::c_style> losses, bool finite, py::handle stop_flag) {
    constexpr std::size_t patience = 1 << 16;  // row times op: some tens of microseconds
    if (self.n_outputs() != 1) throw py::value_error("a program of one output is needed");
    if (losses.size() != rates.size() || batch < 1) throw py::value_error("wrong number of losses or rows");
    Call call(self, parameters, x, threads, check);
    call.set_reduce(reduce);
    const StopFlag stop(stop_flag);
    const Signals signals(&stop);
    const py::tuple kept(trained);  // Python that runs meanwhile may change the list
    for (py::handle value : kept)
        if (!is_value(value.ptr())) throw py::type_error("parameters must be Values");
    std::unique_ptr<BoundUpdate> update;
    if (!kernel.is_none()) {
        update = BoundUpdate::read(py::cast<std::string>(kernel).c_str(), settings.ptr(), kept.size(), clip_norm.ptr(),
                                   clip_value.ptr());
        if (!update) throw py::error_already_set();
    }
    // To be looked up anew wherever Python code may have run, which can give a Value another node and free this one.
    std::vector<Node*> zeroed(kept.size()), nodes(parameters.size());
    const auto look_up = [&] {
        for (std::size_t k = 0; k < zeroed.size(); ++k) zeroed[k] = node_at(kept, k);
        for (std::size_t k = 0; k < nodes.size(); ++k) nodes[k] = node_at(parameters, k);
    };
    const auto is_leaf = [](const Node* node) { return node->is_leaf(); };
    std::vector<double> data(nodes.size() + 1), gradient(nodes.size() + 1);

    program::Request& request = call.request;
    const program::Kernels& kernels = program::chosen_kernels();
    const double* first = request.x;
    const std::size_t rows = call.rows(), ops = self.program.graph().nodes.size();
    request.parameters = data.data();
    request.dp = gradient.data();
    std::size_t from = 0, work = 0;
    py::ssize_t done = 0;
    bool begun = false;
    py::object error = py::none();
    for (; done < rates.size(); ++done) {
        if (PyErr_CheckSignals() < 0) {
            error = py::error_already_set().value();
            break;
        }
        if (stop.raised() && done) break;
        look_up();
        request.rows = std::min(static_cast<std::size_t>(batch), rows - from);
        request.x = first + static_cast<std::ptrdiff_t>(from) * request.row_stride;
        request.values = losses.mutable_data() + done;
        for (std::size_t k = 0; k < nodes.size(); ++k) data[k] = nodes[k]->data;
        work += request.rows * ops;
        try {
            if (work > patience) {
                work = 0;
                const py::gil_scoped_release released;
                self.program.run(request, kernels);
            } else {
                self.program.run(request, kernels);
            }
        } catch (const program::DomainError&) {
            break;
        } catch (const Signals::Stopped&) {
            break;
        } catch (const py::error_already_set& raised) {
            error = raised.value();
            break;
        }
        if (finite && !std::isfinite(*request.values)) break;
        look_up();
        if (update && !std::all_of(zeroed.begin(), zeroed.end(), is_leaf)) break;
        begun = true;
        nn::zero_grad(zeroed);
        for (std::size_t k = 0; k < nodes.size(); ++k) {
            nodes[k]->grad += gradient[k];
            nodes[k]->kinds.grad = FloatKind;
        }
        if (update) {
            if (!update->step(rates.data()[done], zeroed)) break;
            const auto is_finite = [](const Node* node) { return std::isfinite(node->data); };
            if (finite && !std::all_of(zeroed.begin(), zeroed.end(), is_finite)) break;
        }
        begun = false;
        from += request.rows;
        if (from == rows) from = 0;
    }
    return py::make_tuple(done, begun, error);
}

}  // namespace kilograd
