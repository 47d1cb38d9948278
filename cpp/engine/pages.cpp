#include "pages.hpp"

#include <bit>
#include <cstdint>
#include <new>
#include <unordered_map>
#include <vector>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <sys/mman.h>
#endif

namespace kilograd {

namespace {

constexpr std::size_t region_blocks = region_size / page_block;
constexpr std::size_t single_blocks = (std::size_t{4} << 20) / page_block;

#ifdef _WIN32

// VirtualAlloc aligns every reservation to 64 KiB; regions would need more, so there are none.
void* map_aligned(std::size_t size) {
    return size == page_block ? VirtualAlloc(nullptr, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE) : nullptr;
}

void unmap(void* start, std::size_t) noexcept { VirtualFree(start, 0, MEM_RELEASE); }

void advise_huge(void*) {}

#else

void* map_aligned(std::size_t size) {
    constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    void* wide = mmap(nullptr, 2 * size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (wide == MAP_FAILED) return nullptr;
    auto* start = static_cast<char*>(wide);
    std::size_t head = (size - reinterpret_cast<std::uintptr_t>(start) % size) % size;
    if (head) munmap(start, head);
    munmap(start + head + size, size - head);
    return start + head;
}

void unmap(void* start, std::size_t size) noexcept { munmap(start, size); }

void advise_huge([[maybe_unused]] void* region) {
#ifdef MADV_HUGEPAGE
    madvise(region, region_size, MADV_HUGEPAGE);
#endif
}

#endif

std::size_t singles = 0;
std::unordered_map<std::uintptr_t, std::uint32_t> regions;  // start of a region -> mask of its free blocks
std::vector<std::uintptr_t> with_room;                      // regions that have free blocks, and stale entries

static_assert(region_blocks == 32);
constexpr std::uint32_t all_free = ~std::uint32_t{0};

std::uintptr_t region_of(void* block) { return reinterpret_cast<std::uintptr_t>(block) & ~(region_size - 1); }

// A block of a region that has room, or of a new one; null where there is none to be had.
void* cut_block() {
    while (!with_room.empty()) {
        std::uintptr_t start = with_room.back();
        auto region = regions.find(start);
        if (region == regions.end() || region->second == 0) {
            with_room.pop_back();
            continue;
        }
        int index = std::countr_zero(region->second);
        region->second &= region->second - 1;
        return reinterpret_cast<char*>(start) + static_cast<std::size_t>(index) * page_block;
    }
    void* region = map_aligned(region_size);
    if (!region) return nullptr;
    advise_huge(region);
    regions.emplace(reinterpret_cast<std::uintptr_t>(region), all_free & ~std::uint32_t{1});
    with_room.push_back(reinterpret_cast<std::uintptr_t>(region));
    return region;
}

}  // namespace

void* map_block() {
    if (singles >= single_blocks)
        if (void* block = cut_block()) return block;
    void* block = map_aligned(page_block);
    if (!block) throw std::bad_alloc();
    ++singles;
    return block;
}

void unmap_block(void* block) noexcept {
    std::uintptr_t start = region_of(block);
    auto region = regions.find(start);
    if (region == regions.end()) {
        unmap(block, page_block);
        --singles;
        return;
    }
    if (region->second == 0) with_room.push_back(start);
    region->second |= std::uint32_t{1} << ((reinterpret_cast<std::uintptr_t>(block) - start) / page_block);
    if (region->second != all_free) return;
    regions.erase(region);
    unmap(reinterpret_cast<void*>(start), region_size);
}

std::size_t mapped_bytes() { return singles * page_block + regions.size() * region_size; }

}  // namespace kilograd
