#include "pages.hpp"

#include <new>

#ifdef KILOGRAD_MACHINE_CODE
#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <sys/mman.h>
#include <unistd.h>
#endif

#if defined(__APPLE__) && defined(__aarch64__)
#include <libkern/OSCacheControl.h>
#include <pthread.h>
#endif
#endif

namespace kilograd::program::machine {

namespace {

#if defined(KILOGRAD_MACHINE_CODE) && defined(_WIN32)

std::size_t page() {
    SYSTEM_INFO system;
    GetSystemInfo(&system);
    return system.dwPageSize;
}

void* take(std::size_t size) { return VirtualAlloc(nullptr, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE); }

void give_back(void* begin, std::size_t) { VirtualFree(begin, 0, MEM_RELEASE); }

bool execute_pages(std::uint8_t* begin, std::size_t kept, std::size_t size) {
    DWORD before;
    if (!VirtualProtect(begin, kept, PAGE_EXECUTE_READ, &before)) return false;
    if (kept < size) VirtualFree(begin + kept, size - kept, MEM_DECOMMIT);
    FlushInstructionCache(GetCurrentProcess(), begin, kept);
    return true;
}

#elif defined(KILOGRAD_MACHINE_CODE)

std::size_t page() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

void give_back(void* begin, std::size_t size) { munmap(begin, size); }

#if defined(__APPLE__) && defined(__aarch64__)

// Which of the two such memory is, is a state of the thread.
void* take(std::size_t size) {
    void* begin = mmap(nullptr, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_JIT, -1, 0);
    if (begin == MAP_FAILED) return nullptr;
    pthread_jit_write_protect_np(0);
    return begin;
}

bool execute_pages(std::uint8_t* begin, std::size_t kept, std::size_t size) {
    pthread_jit_write_protect_np(1);
    sys_icache_invalidate(begin, kept);
    if (kept < size) munmap(begin + kept, size - kept);
    return true;
}

#else

void* take(std::size_t size) {
    void* begin = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return begin == MAP_FAILED ? nullptr : begin;
}

bool execute_pages(std::uint8_t* begin, std::size_t kept, std::size_t size) {
#ifdef __aarch64__
    __builtin___clear_cache(reinterpret_cast<char*>(begin), reinterpret_cast<char*>(begin + kept));
#endif
    if (mprotect(begin, kept, PROT_READ | PROT_EXEC) != 0) return false;
    if (kept < size) munmap(begin + kept, size - kept);
    return true;
}

#endif

#else  // to be read

std::size_t page() { return 64; }

void* take(std::size_t size) { return ::operator new(size); }

void give_back(void* begin, std::size_t) { ::operator delete(begin); }

bool execute_pages(std::uint8_t*, std::size_t, std::size_t) { return false; }

#endif

std::size_t whole_pages(std::size_t size) {
    static const std::size_t one = page();
    return (size + one - 1) / one * one;
}

}  // namespace

Pages::Pages(std::size_t size) : begin_(static_cast<std::uint8_t*>(take(whole_pages(size)))), size_(whole_pages(size)) {
    if (!begin_) throw std::bad_alloc();
}

Pages::~Pages() {
    if (begin_) give_back(begin_, size_);
}

bool Pages::execute(std::size_t used) {
    const std::size_t kept = whole_pages(used);
    if (!execute_pages(begin_, kept, size_)) return false;
    size_ = kept;
    return true;
}

}  // namespace kilograd::program::machine
