#include "pages.hpp"

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <unordered_map>
#include <vector>

#include "threading.hpp"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#elif !defined(__EMSCRIPTEN__)
#include <sys/mman.h>
#endif

namespace kilograd {

namespace {

constexpr std::size_t region_size = std::size_t{1} << 21;  // a huge page of x86-64 and arm64
constexpr std::size_t region_blocks = region_size / page_block;
constexpr std::size_t single_blocks = (std::size_t{2} << 20) / page_block;
constexpr std::size_t reserve_regions = 1;

#ifdef _WIN32

// VirtualAlloc aligns every reservation to 64 KiB; regions would need more, so there are none.
void* map_aligned(std::size_t size) {
    return size == page_block ? VirtualAlloc(nullptr, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE) : nullptr;
}

void unmap(void* start, std::size_t) noexcept { VirtualFree(start, 0, MEM_RELEASE); }

void advise_huge(void*) {}

#elif defined(__EMSCRIPTEN__)  // which unmaps what was mapped, and no part of it

void* map_aligned(std::size_t size) { return std::aligned_alloc(size, size); }

void unmap(void* start, std::size_t) noexcept { std::free(start); }

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

Door door;  // to all that follows

// Single blocks that are mapped, and those of them that are free.
std::size_t singles = 0;
std::vector<void*> free_singles;

// Regions by their start; those that have free blocks are linked, so that nothing is allocated to give a block back.
struct Region {
    std::uintptr_t start = 0;
    std::uint32_t free = 0;  // mask of its free blocks
    Region* previous = nullptr;
    Region* next = nullptr;
};
std::unordered_map<std::uintptr_t, Region> regions;
Region* with_room = nullptr;
std::size_t empty_regions = 0;  // all of whose blocks are free

void link(Region* region) {
    region->previous = nullptr;
    region->next = with_room;
    if (with_room) with_room->previous = region;
    with_room = region;
}

void unlink(Region* region) {
    (region->previous ? region->previous->next : with_room) = region->next;
    if (region->next) region->next->previous = region->previous;
}

static_assert(region_blocks == 32);
constexpr std::uint32_t all_free = ~std::uint32_t{0};

std::uintptr_t address(void* block) { return reinterpret_cast<std::uintptr_t>(block); }

void* cut_block() {
    if (!with_room) {
        const auto give_back = [](void* start) { unmap(start, region_size); };
        std::unique_ptr<void, decltype(give_back)> mapped(map_aligned(region_size), give_back);
        if (!mapped) return nullptr;
        Region& region = regions[address(mapped.get())];
        void* start = mapped.release();
        advise_huge(start);
        region.start = address(start);
        region.free = all_free;
        ++empty_regions;
        link(&region);
    }
    Region* region = with_room;
    empty_regions -= region->free == all_free;
    int index = std::countr_zero(region->free);
    region->free &= region->free - 1;
    if (region->free == 0) unlink(region);
    return reinterpret_cast<char*>(region->start) + static_cast<std::size_t>(index) * page_block;
}

}  // namespace

void* map_block() {
    const Alone alone(door);
    if (!free_singles.empty()) {
        void* block = free_singles.back();
        free_singles.pop_back();
        return block;
    }
    if (singles >= single_blocks)
        if (void* block = cut_block()) return block;
    free_singles.reserve(single_blocks);  // unmap_block must not throw
    void* block = map_aligned(page_block);
    if (!block) throw std::bad_alloc();
    ++singles;
    return block;
}

void unmap_block(void* block) noexcept {
    const Alone alone(door);
    auto found = regions.find(address(block) & ~(region_size - 1));
    if (found == regions.end()) {
        if (free_singles.size() < single_blocks) {
            free_singles.push_back(block);
        } else {
            unmap(block, page_block);
            --singles;
        }
        return;
    }
    Region* region = &found->second;
    if (region->free == 0) link(region);
    region->free |= std::uint32_t{1} << ((address(block) - region->start) / page_block);
    if (region->free != all_free) return;
    if (empty_regions < reserve_regions) {
        ++empty_regions;
    } else {
        unlink(region);
        unmap(reinterpret_cast<void*>(region->start), region_size);
        regions.erase(found);
    }
}

std::size_t mapped_bytes() {
    const Alone alone(door);
    return singles * page_block + regions.size() * region_size;
}

}  // namespace kilograd
