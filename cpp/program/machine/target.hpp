// The processor for which code is written: an Assembler and its instructions.
#pragma once

#if defined(__aarch64__)
#include "aarch64/assembler.hpp"
namespace kilograd::program::machine {
namespace target = aarch64;
}
#else
#include "x86_64/assembler.hpp"
namespace kilograd::program::machine {
namespace target = x86_64;
}
#endif
