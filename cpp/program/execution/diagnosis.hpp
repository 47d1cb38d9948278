// diagnose(): the first error that eager code would raise in a row.
//
// Kernels say no more than that a finite operand may have met a result that is not finite. The row is then evaluated
// once more op by op, by plain arithmetic: of the program that was asked for, where another one computes its
// derivatives.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "../graph.hpp"
#include "request.hpp"

namespace kilograd::program {

// A finite operand outside an op's domain, as eager code would refuse it.
struct DomainError : std::runtime_error {
    Fault fault;
    std::string label;               // of the op
    double operand;                  // its (first) operand
    std::size_t row;                 // of the batch
    bool in_every_row;               // the op depends on no input
    std::vector<std::size_t> turns;  // of the loops around it, the innermost first
    DomainError(Fault fault_, std::string label_, double operand_, std::size_t row_, bool in_every_row_,
                std::vector<std::size_t> turns_ = {});

    // The same in a turn of a loop.
    DomainError in_turn(std::size_t turn) const;
};

// Throws a DomainError, or returns where eager code would raise nothing.
void diagnose(const Graph& graph, const Request& request, std::size_t row);

}  // namespace kilograd::program
