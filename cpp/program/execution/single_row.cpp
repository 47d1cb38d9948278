#include "single_row.hpp"

#include <algorithm>

#include "diagnosis.hpp"
#include "scratch.hpp"

namespace kilograd::program {

void run_row(const Graph& graph, const RowSchedule& schedule, const Request& request, const Kernels& kernels) {
    const Scratch scratch(Scratch::Of::Call, room_for_row(schedule));
    schedule.load_constants(1, scratch.data());
    schedule.load_parameters(request.parameters, 1, scratch.data());
    run_row_in(scratch.data(), graph, schedule, request, kernels);
}

void run_row_in(double* values, const Graph& graph, const RowSchedule& schedule, const Request& request,
                const Kernels& kernels) {
    const bool reverse = request.reverse();
    const std::size_t size = schedule.size();
    const RowCode code = schedule.code();
    schedule.load_inputs(request.x, request.column_stride, 1, values);
    if (kernels.row_forward(code, values) && request.check) diagnose(graph, request, 0);
    if (request.values)
        for (std::size_t o = 0; o < graph.outputs.size(); ++o)
            request.values[o] = values[schedule.position(graph.outputs[o])];
    if (!reverse) return;
    double* adjoints = values + size + 8;
    std::fill(adjoints, adjoints + size, 0.0);
    for (std::size_t o = 0; o < graph.outputs.size(); ++o)
        adjoints[schedule.position(graph.outputs[o])] += request.weights ? request.weights[o] : 1.0;
    kernels.row_reverse(code, values, adjoints, adjoints + size + 8);
    if (request.dx) {  // one row is the same in either order, with a step of 1
        std::fill(request.dx, request.dx + graph.n_inputs, 0.0);
        schedule.store_inputs(adjoints, request.dx);
    }
    if (request.dp) {
        std::fill(request.dp, request.dp + graph.n_parameters, 0.0);
        schedule.store_parameters(adjoints, request.dp);
    }
}

}  // namespace kilograd::program
