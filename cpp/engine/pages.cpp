#include "pages.hpp"

#include <cstdint>
#include <new>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <sys/mman.h>
#endif

namespace kilograd {

#ifdef _WIN32

// VirtualAlloc aligns every reservation to 64 KiB.
void* map_block() {
    void* block = VirtualAlloc(nullptr, page_block, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    if (!block) throw std::bad_alloc();
    return block;
}

void unmap_block(void* block) noexcept { VirtualFree(block, 0, MEM_RELEASE); }

#else

namespace {
#ifdef MAP_POPULATE
constexpr int present = MAP_POPULATE;
#else
constexpr int present = 0;
#endif

void* map(void* hint, std::size_t size, int extra) {
    void* block = mmap(hint, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | extra, -1, 0);
    return block == MAP_FAILED ? nullptr : block;
}

bool aligned(void* block) { return reinterpret_cast<std::uintptr_t>(block) % page_block == 0; }
}  // namespace

void* map_block() {
    // The kernel places mappings downwards, next to each other: below an aligned block there is usually room.
    static char* below = nullptr;
    void* block = map(below, page_block, present);
    if (block && !aligned(block)) {
        munmap(block, page_block);
        char* wide = static_cast<char*>(map(nullptr, 2 * page_block, 0));
        if (!wide) throw std::bad_alloc();
        std::size_t head = (page_block - reinterpret_cast<std::uintptr_t>(wide) % page_block) % page_block;
        if (head) munmap(wide, head);
        munmap(wide + head + page_block, page_block - head);
        block = wide + head;
    }
    if (!block) throw std::bad_alloc();
    below = static_cast<char*>(block) - page_block;
    return block;
}

void unmap_block(void* block) noexcept { munmap(block, page_block); }

#endif

}  // namespace kilograd
