#include "modes.hpp"

namespace kilograd {

int no_grad_blocks = 0;
thread_local int no_grad_depth = 0;
thread_local PyObject* comparisons = nullptr;

void enter_no_grad() {
    ++no_grad_blocks;
    ++no_grad_depth;
}

bool exit_no_grad() {
    if (no_grad_depth == 0) return false;
    --no_grad_blocks;
    --no_grad_depth;
    return true;
}

}  // namespace kilograd
