// Program: an optimised graph that runs over rows of inputs, with gradients, tangents and second derivatives.
//
// Immutable once made, so any number of threads may run it. Schedules are made when first asked for, one for each
// combination of wanted gradients, and kept; whoever finds one missing makes it without a lock, so that a process
// forked meanwhile waits for nobody. A caller's Watch (watch.hpp) may end a run; what has a result by then is written.
// Rows are cut into blocks that fit the cache, blocks into *shards*; the cut depends on the program and the number of
// rows only, and shards are summed in order, so that results are the same to the last bit for any number of threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>

#include "graph.hpp"
#include "passes/second_order.hpp"
#include "passes/sparsity.hpp"
#include "schedules/lane_program.hpp"
#include "schedules/row_program.hpp"

namespace kilograd::program {

// A finite operand outside an op's domain, as eager code would refuse it.
struct DomainError : std::runtime_error {
    Fault fault;
    std::string label;  // of the op
    double operand;     // its (first) operand
    std::size_t row;    // of the batch
    bool in_every_row;  // the op depends on no input
    DomainError(Fault fault_, std::string label_, double operand_, std::size_t row_, bool in_every_row_);
};

enum class Reduce : std::uint8_t { None, Sum, Mean };

// Row r takes x[(r / repeat) * row_stride + k * column_stride] as input k. With `promoted`, parameters follow as
// inputs n_inputs ... of every row. Null outputs are not computed. dx, tangents and dx_tangents are (rows, columns),
// C-ordered, with one column for each input (and promoted parameter).
struct Request {
    const double* x = nullptr;
    std::ptrdiff_t row_stride = 0, column_stride = 1;
    std::size_t rows = 1;
    std::size_t repeat = 1;
    std::size_t first = 0;  // what an error calls the first row
    const double* parameters = nullptr;

    const double* weights = nullptr;  // of the outputs, null: ones
    std::ptrdiff_t weight_row_stride = 0;
    bool unit_weights = false;  // row r differentiates output r % repeat alone
    const double* tangents = nullptr;
    bool unit_tangents = false;  // row r moves input r % repeat alone

    Reduce reduce = Reduce::None;
    bool promoted = false;
    unsigned threads = 1;
    bool check = true;

    double* values = nullptr;          // (rows, n_outputs), reduced: (n_outputs)
    double* value_tangents = nullptr;  // (rows, n_outputs), never reduced
    double* dx = nullptr;
    double* dx_tangents = nullptr;
    double* dp = nullptr;  // (n_parameters)
};

// What is made when first asked for and then kept. Threads that ask at the same time may each make it; one is kept.
template <class T>
class Lazy {
  public:
    Lazy() = default;
    ~Lazy() { delete made_.load(); }
    Lazy(const Lazy&) = delete;
    Lazy& operator=(const Lazy&) = delete;

    const T* get() const { return made_.load(std::memory_order_acquire); }
    template <class Make>  // gives a unique_ptr
    const T& get(Make&& make) {
        if (const T* made = get()) return *made;
        std::unique_ptr<const T> mine = make();
        const T* first = nullptr;
        if (!made_.compare_exchange_strong(first, mine.get())) return *first;
        return *mine.release();
    }

  private:
    std::atomic<const T*> made_{nullptr};
};

class Program {
  public:
    explicit Program(Graph graph);
    explicit Program(const Recording& recording) : Program(optimise(recording)) {}

    const Graph& graph() const { return graph_; }
    std::uint32_t n_inputs() const { return graph_.n_inputs; }
    std::uint32_t n_outputs() const { return static_cast<std::uint32_t>(graph_.outputs.size()); }
    std::uint32_t n_parameters() const { return graph_.n_parameters; }
    std::size_t bytes() const;

    void run(const Request& request) const { run(request, chosen()); }
    void run(const Request& request, const Kernels& kernels) const;

    // The Hessians (rows, columns, columns) of the weighted sum of the outputs, of all results of the request alone.
    // By a program of their entries where that is short, else by a sweep for each colour, else for each column.
    void hessian(const Request& request, double* to) const { hessian(request, to, chosen()); }
    void hessian(const Request& request, double* to, const Kernels& kernels) const;
    void hessian_by_sweeps(const Request& request, double* to, const Kernels& kernels) const;

  private:
    struct RowSchedule {
        RowProgram program;
        std::vector<std::uint32_t> outputs;                                                         // positions
        std::vector<std::pair<std::uint32_t, std::uint32_t>> input_gradients, parameter_gradients;  // position, number
    };
    // The entries of the Hessian that are not zero for every x; `program` is null where sweeps are better.
    struct Entries {
        std::unique_ptr<const Program> program;
        std::vector<std::pair<std::uint32_t, std::uint32_t>> at;  // of each output: row, column of the lower triangle
    };
    class BatchRun;

    static const Kernels& chosen();
    const LaneProgram& lanes(Wants wants) const;
    const RowSchedule& rows(Wants wants) const;
    const Colouring& colouring(bool promoted) const;
    const Entries& entries(bool promoted) const;
    std::uint32_t columns(bool promoted) const { return graph_.n_inputs + (promoted ? graph_.n_parameters : 0); }
    template <class F>
    void in_parts(const Request& given, std::size_t doubles, F&& f) const;
    void run_row(const Request& request, const Kernels& kernels) const;
    // Evaluates one row op by op and throws the first error that eager code would raise.
    void diagnose(const Request& request, std::size_t row) const;

    Graph graph_;
    bool total_;  // no op is ever refused
    mutable Lazy<LaneProgram> lanes_[Wants::key_count];
    mutable Lazy<RowSchedule> rows_[Wants::key_count];
    mutable Lazy<Colouring> colourings_[2];  // by promoted
    mutable Lazy<Entries> entries_[2];
};

// What a file holds.
struct Saved {
    Graph graph;
    std::vector<std::uint32_t> shape;  // that the outputs are to be seen in; its product is their number
    std::vector<double> parameters;    // their data
};

// A versioned binary form (format.cpp describes it), and back; throws std::invalid_argument for what is not one.
std::string serialise(const Saved& saved);
Saved deserialise(const char* bytes, std::size_t size);

}  // namespace kilograd::program
