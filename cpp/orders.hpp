// The constant of an operation that has a whole number there: an order.
#pragma once

namespace kilograd::scalar {

inline constexpr int largest_order = 1000;  // of what a file may ask for: work grows with it

// -1 for what is none.
inline int whole_order(double order) { return order >= 0.0 && order <= largest_order ? static_cast<int>(order) : -1; }

}  // namespace kilograd::scalar
