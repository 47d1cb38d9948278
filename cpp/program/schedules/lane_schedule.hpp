// LaneSchedule: a graph scheduled for blocks of rows, one vector instruction for several rows.
//
// What depends on no row (parameters, constants, and what is made of them alone) is *uniform*: a RowSchedule makes
// it once per call. The rest are instructions over *slots* (kernels.hpp). Sums of products of uniform coefficients
// and varying values that have the same varying operands become one linear group, a small matrix product in which
// each operand is loaded once for several outputs: 2.5 times faster on an MLP than one dot product after the other.
//
// One timeline runs through the forward and then the reverse sweep; values and adjoints take slots from one pool
// and give them back when last read. A schedule serves one combination of wanted gradients.
#pragma once

#include <vector>

#include "../graph.hpp"
#include "../kernels/kernels.hpp"
#include "row_schedule.hpp"
#include "wants.hpp"

namespace kilograd::program {

struct LaneInstruction {
    enum class Kind : std::uint8_t { Elementwise, Dot, Linear } kind;
    Code code;
    bool fresh_a = false, fresh_b = false;
    bool reverse = false;
    Ref a{none, false}, b{none, false};
    double c = 0.0;
    std::uint32_t y = none, dy = none, da = none, db = none;
    std::uint32_t first = 0, last = 0;  // Dot: terms; Linear: the group's number
    std::uint32_t count = 1;            // Elementwise: so many alike, whose slots follow each other
};

struct LinearGroup {
    std::vector<std::uint32_t> x, y, dx, dy;  // slots; dx: none where nobody asks
    std::vector<std::uint8_t> accumulate;     // by dx
    std::uint32_t coefficients = 0;           // first of y.size() * x.size() packed uniforms, then the biases
    bool has_bias = false;
    bool sums = false;      // some coefficient's gradient is wanted
    std::uint32_t sum = 0;  // first of the sums, in the order of the coefficients
};

class LaneSchedule {
  public:
    LaneSchedule(const Graph& graph, Wants wants);

    struct Load {
        std::uint32_t slot, number;  // numbers from n_inputs on are promoted parameters
    };
    struct Output {
        Ref value;
        std::uint32_t adjoint;  // a slot, a sum (uniform), or none
        bool fresh;             // the first output that this adjoint belongs to
    };

    std::vector<LaneInstruction> instructions;
    std::vector<DotTerm> terms;
    std::vector<LinearGroup> groups;
    std::vector<Load> loads;      // before the forward sweep
    std::vector<Load> gradients;  // after the reverse sweep: adjoint slots of the inputs, in order
    std::vector<Output> outputs;
    std::uint32_t slot_count = 0;

    RowSchedule uniform;
    std::vector<std::uint32_t> spread;  // positions in `uniform` of what instructions read as vectors
    std::vector<double> packed;         // coefficients and biases, those that are constant
    struct Fill {
        std::uint32_t place, position;
    };
    std::vector<Fill> fills;          // of the others: positions in `uniform`
    std::vector<std::uint32_t> sums;  // positions that the sums belong to, the spread ones first; none: dropped

    std::size_t bytes() const;

  private:
    class Builder;
    LaneSchedule(const Graph& graph, Wants wants, const std::vector<std::uint8_t>& varying,
                 const std::vector<std::uint8_t>& wanted);
};

}  // namespace kilograd::program
