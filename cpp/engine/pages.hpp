// Memory straight from the operating system, so that what is given back is given back at once.
//
// Every request is for one block of `page_block` bytes, aligned to its size: from any address inside a block its start
// is one mask away. A small process gets its blocks one by one. Beyond `single_blocks` they are cut from regions of one
// huge page each, which halves the time of a graph of 10^6 nodes: building it is bound by page faults, sweeping it by
// the TLB.
#pragma once

#include <cstddef>

namespace kilograd {

inline constexpr std::size_t page_block = std::size_t{1} << 16;
inline constexpr std::size_t region_size = std::size_t{1} << 21;  // a huge page of x86-64 and arm64

void* map_block();  // throws std::bad_alloc
void unmap_block(void* block) noexcept;

std::size_t mapped_bytes();  // all that is mapped now, cut and uncut

}  // namespace kilograd
