// Memory straight from the operating system, so that what is given back is given back at once, but for a reserve: 4
// MiB, and what shares a region with blocks in use. A graph of 70,000 nodes that is built anew each time maps no
// memory.
//
// Every request is for one block of `page_block` bytes, aligned to its size: from any address inside a block its start
// is one mask away. A small process gets its blocks one by one. Beyond 2 MiB they are cut from regions of one huge page
// each, which halves the time of a graph of 10^6 nodes: building it is bound by page faults, sweeping it by the TLB.
#pragma once

#include <cstddef>

namespace kilograd {

inline constexpr std::size_t page_block = std::size_t{1} << 16;

void* map_block();  // throws std::bad_alloc
void unmap_block(void* block) noexcept;

std::size_t mapped_bytes();  // all that is mapped now, in use or not

}  // namespace kilograd
