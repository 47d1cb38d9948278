#include "single_row.hpp"

#include <algorithm>

#include "diagnosis.hpp"
#include "scratch.hpp"

namespace kilograd::program {

void run_row(const Graph& graph, const RowSchedule& schedule, const Request& request, const RowEngine& engine) {
    const Scratch scratch(Scratch::Of::Call, room_for_row(schedule));
    schedule.load_constants(1, scratch.data());
    schedule.load_parameters(request.parameters, 1, scratch.data());
    run_row_in(scratch.data(), graph, schedule, request, engine);
}

void run_row_in(double* values, const Graph& graph, const RowSchedule& schedule, const Request& request,
                const RowEngine& engine) {
    schedule.load_inputs(request.x, request.column_stride, 1, values);
    if (engine.forward(schedule, values) && request.check) diagnose(graph, request, 0);
    if (request.values)
        for (std::size_t o = 0; o < graph.outputs.size(); ++o)
            request.values[o] = values[schedule.position(graph.outputs[o])];
    if (!request.reverse()) return;
    double* adjoints = values + schedule.size();
    engine.clear(schedule, graph, adjoints);
    for (std::size_t o = 0; o < graph.outputs.size(); ++o)
        adjoints[schedule.position(graph.outputs[o])] += request.weights ? request.weights[o] : 1.0;
    engine.reverse(schedule, values, adjoints);
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
