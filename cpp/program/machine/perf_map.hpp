// The names of machine code for `perf`: lines of the file /tmp/perf-PID.map, where KILOGRAD_PERF_MAP asks for it.
#pragma once

#include <cstddef>
#include <string>

namespace kilograd::program::machine {

// Adds a line, whatever is in the file: Python and other compilers of code write theirs there, too. A process that was
// forked has a file of its own, for what it makes itself. Nothing where there is no file to be had.
void name_code(const void* begin, std::size_t size, const std::string& name);

}  // namespace kilograd::program::machine
