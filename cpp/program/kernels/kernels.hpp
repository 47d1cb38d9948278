// The kernels of a program: what one instruction does to a block of rows, once per instruction set.
//
// A Kernels table is filled by kernels.cpp, which is compiled for each instruction set with its own flags; the rest
// of the library is compiled for the baseline and calls through the table. All arguments are plain pointers.
//
// A *slot* holds one value of every row of the block: `rows` doubles, a whole number of vectors. With tangents
// (dual numbers) it holds 2 * rows, tangents last. A *uniform* operand has the same value in every row; it is kept
// as one vector of equal numbers (with tangents: a second vector) and read with step 0.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../codes.hpp"

namespace kilograd::program {

struct ForwardArguments {
    double* y;
    const double* a;
    const double* b;
    double c;
    std::ptrdiff_t step_a, step_b;  // doubles from one vector to the next: the vector's width, or 0 for a uniform
    std::ptrdiff_t rows;            // of the block, padding included
};

struct ReverseArguments : ForwardArguments {
    const double* dy;
    double* da;  // null where nobody asks for it
    double* db;
    bool fresh_a, fresh_b;  // first contribution: assign instead of add
};

// A reference to a slot or to a uniform.
struct Ref {
    std::uint32_t index;
    bool uniform;
};

struct DotTerm {
    Ref a, b;              // b.index == none: the term is a alone
    std::uint32_t da, db;  // adjoint slots (or uniform sums), none where nobody asks
    bool fresh_a, fresh_b;
};

struct DotArguments {
    double* values;    // slots
    double* adjoints;  // adjoint slots
    const double* uniforms;
    double* uniform_sums;
    const DotTerm* terms;
    std::size_t term_count;
    std::uint32_t y, dy;
    std::ptrdiff_t rows;
};

// y[o] = bias[o] + sum over n of coefficients[o * out_stride + n * in_stride] * x[n], for all rows.
struct LinearArguments {
    const double* coefficients;
    std::ptrdiff_t out_stride, in_stride;
    const double* bias;  // null: zero, or what y holds already where accumulate[o]
    const double* x_base;
    const std::uint32_t* x;
    std::size_t x_count;
    double* y_base;
    const std::uint32_t* y;          // none: skipped
    const std::uint8_t* accumulate;  // null: assign all
    std::size_t y_count;
    std::ptrdiff_t rows;
    std::ptrdiff_t slot_size;  // doubles from slot to slot
};

// sums[o * x_count + n] += sum over rows of d[o] * x[n], lane by lane; bias_sums[o] += sum over rows of d[o].
struct OuterArguments {
    const double* d_base;
    const std::uint32_t* d;
    std::size_t d_count;
    const double* x_base;
    const std::uint32_t* x;
    std::size_t x_count;
    double* sums;
    double* bias_sums;  // null where nobody asks
    std::ptrdiff_t rows;
    std::ptrdiff_t slot_size;
};

enum class Fused : std::uint8_t { No, Add, Subtract };  // a * b + d, a * b - d

// `count` nodes of one code at positions begin, begin + 1, ...
struct Run {
    Code code;
    Fused fused;   // of code dot
    bool reverse;  // some wanted leaf needs these
    std::uint32_t begin, count;
    std::uint32_t local = none, local_b = none;  // where the local derivatives of its nodes stand, of functions
};

// Nodes of one function, from any runs: `first` and the next in a list of positions. Their local derivatives stand side
// by side from `local` on, by the first operand and then by the second, if there is one, each so many as fill vectors.
struct Alike {
    Code code;
    double c;
    std::uint32_t first, count, local;
    std::uint32_t padded() const { return (count + 7) / 8 * 8; }
};

// Runs of so many functions are evaluated node by node (row_kernels.hpp).
inline constexpr std::uint32_t few_alike = 2;

// A leaf: where it stands in a row schedule, and its number among the inputs or parameters.
struct Leaf {
    std::uint32_t position, number;
};

// A row schedule: values by position, leaves first, then the nodes in order of execution.
struct RowCode {
    const Run* runs;
    std::size_t run_count;
    const std::uint32_t* a;  // by position; dot: first term
    const std::uint32_t* b;  // dot: one past the last term
    const std::uint32_t* d;  // fused: the addend
    const double* c;
    const Term* terms;
    const Alike* alike;
    std::size_t alike_count;
    const std::uint32_t* locals;  // positions of nodes
};

// How machine code calls functions, and is called, on all processors of the x86-64 family: Windows has another
// convention.
#if defined(_WIN32) && defined(__x86_64__)
#define KILOGRAD_SYSTEM_V __attribute__((sysv_abi))
#else
#define KILOGRAD_SYSTEM_V
#endif

// Functions of the op table, of one number, by arithmetic that gives it what the vectors of an instruction set give it.
// `c` is the constant of those that have one; a finite operand that may have met an error sets `suspects`.
struct Functions {
    double(KILOGRAD_SYSTEM_V* value[code_count])(double a, double b, double y, const double* c, unsigned* suspects);
};

// The same of a vector, and the local derivatives by the first and by the second operand, called in the same way. For
// machine code: which takes them for what they are.
struct VectorFunctions {
    using Any = void (*)();
    Any value[code_count], da[code_count], db[code_count];
    bool keep_high;  // they leave the registers from the sixteenth on as they are
};

struct Kernels {
    const char* name;
    int width;
    // Return whether a finite operand may have met an error: diagnose() then looks closer.
    bool (*forward[code_count])(const ForwardArguments&);
    bool (*forward_dual[code_count])(const ForwardArguments&);
    void (*reverse[code_count])(const ReverseArguments&);
    void (*reverse_dual[code_count])(const ReverseArguments&);
    void (*dot)(const DotArguments&);
    void (*dot_dual)(const DotArguments&);
    void (*dot_reverse)(const DotArguments&);
    void (*dot_reverse_dual)(const DotArguments&);
    void (*linear)(const LinearArguments&);
    void (*outer)(const OuterArguments&);
    // sums[k] = the sum of the elements of vector k
    void (*sum_lanes)(const double* vectors, std::size_t count, double* sums);
    bool (*row_forward)(const RowCode&, double* values);
    void (*row_reverse)(const RowCode&, const double* values, double* adjoints, double* local);
    // The same for `width` rows: each value a vector.
    bool (*rows_forward)(const RowCode&, double* values);
    void (*rows_reverse)(const RowCode&, const double* values, double* adjoints);
    // Between such values and a table of which row r has leaf k at [r * row_step + k * column_step].
    void (*rows_load)(const Leaf*, std::size_t count, const double* table, std::ptrdiff_t row_step,
                      std::ptrdiff_t column_step, double* values);
    void (*rows_store)(const Leaf*, std::size_t count, const double* values, double* table, std::ptrdiff_t row_step,
                       std::ptrdiff_t column_step);
    // To the vectors of `sums` by the leaves' numbers.
    void (*rows_add)(const Leaf*, std::size_t count, const double* values, double* sums);
    // What row_reverse() makes first, in `local`; and one run of row_forward(), of functions.
    void(KILOGRAD_SYSTEM_V* row_locals)(const RowCode&, const double* values, double* local);
    bool(KILOGRAD_SYSTEM_V* row_functions)(const RowCode&, const Run&, double* values);
    const Functions* ones;
    const VectorFunctions* vectors;  // null where there is no machine code
};

}  // namespace kilograd::program
