// Which instruction set the kernels of this process use: the best of the machine, or what KILOGRAD_ISA asks for.
#pragma once

#include <string>
#include <vector>

#include "kernels.hpp"

namespace kilograd::program {

// The tables that this machine can run, best first; the last one needs nothing.
const std::vector<const Kernels*>& available_kernels();

// The table by name ("sse2", "avx2", "avx512", "neon", "scalar"); throws std::invalid_argument that names the choices.
const Kernels& kernels_named(const std::string& name);

// The table of the environment variable KILOGRAD_ISA if set, else the best. Read anew at each call.
const Kernels& chosen_kernels();

}  // namespace kilograd::program
