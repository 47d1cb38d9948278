// Memory straight from the operating system, so that what is given back is given back at once.
//
// Every request is for `page_block` bytes, aligned to `page_block`: from any address inside a block its start is one
// mask away. Linux maps the block with its pages present, which costs half of what touching them one by one does.
#pragma once

#include <cstddef>

namespace kilograd {

inline constexpr std::size_t page_block = std::size_t{1} << 16;

void* map_block();  // throws std::bad_alloc
void unmap_block(void* block) noexcept;

}  // namespace kilograd
