// The constant of an operation that has a whole number there: an order.
#pragma once

// What is compiled for several instruction sets has a namespace for each: of functions of one name the linker keeps
// one, which might be made of instructions that the processor lacks.
#ifndef KILOGRAD_UNIT
#define KILOGRAD_UNIT portable
#endif
namespace kilograd {
inline namespace KILOGRAD_UNIT {}
namespace scalar {
inline namespace KILOGRAD_UNIT {}
}  // namespace scalar
}  // namespace kilograd

namespace kilograd::scalar::KILOGRAD_UNIT {

inline constexpr int largest_order = 1000;  // of what a file may ask for: work grows with it

// -1 for what is none.
inline int whole_order(double order) { return order >= 0.0 && order <= largest_order ? static_cast<int>(order) : -1; }

}  // namespace kilograd::scalar::KILOGRAD_UNIT
