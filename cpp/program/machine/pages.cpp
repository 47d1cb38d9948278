#include "pages.hpp"

#ifdef KILOGRAD_MACHINE_CODE
#include <cstring>

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

#if defined(KILOGRAD_MACHINE_CODE) && defined(_WIN32)

std::unique_ptr<const Pages> Pages::make(std::span<const std::uint8_t> bytes) {
    void* begin = VirtualAlloc(nullptr, bytes.size(), MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    if (!begin) return nullptr;
    std::memcpy(begin, bytes.data(), bytes.size());
    DWORD before;
    if (!VirtualProtect(begin, bytes.size(), PAGE_EXECUTE_READ, &before)) {
        VirtualFree(begin, 0, MEM_RELEASE);
        return nullptr;
    }
    FlushInstructionCache(GetCurrentProcess(), begin, bytes.size());
    return std::unique_ptr<const Pages>(new Pages(begin, bytes.size()));
}

Pages::~Pages() { VirtualFree(begin_, 0, MEM_RELEASE); }

#elif defined(KILOGRAD_MACHINE_CODE)

std::unique_ptr<const Pages> Pages::make(std::span<const std::uint8_t> bytes) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t size = (bytes.size() + page - 1) / page * page;
#if defined(__APPLE__) && defined(__aarch64__)
    // Which of the two such memory is, is a state of the thread.
    void* begin = mmap(nullptr, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_JIT, -1, 0);
    if (begin == MAP_FAILED) return nullptr;
    pthread_jit_write_protect_np(0);
    std::memcpy(begin, bytes.data(), bytes.size());
    pthread_jit_write_protect_np(1);
    sys_icache_invalidate(begin, size);
#else
    void* begin = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (begin == MAP_FAILED) return nullptr;
    std::memcpy(begin, bytes.data(), bytes.size());
#ifdef __aarch64__
    __builtin___clear_cache(static_cast<char*>(begin), static_cast<char*>(begin) + size);
#endif
    if (mprotect(begin, size, PROT_READ | PROT_EXEC) != 0) {
        munmap(begin, size);
        return nullptr;
    }
#endif
    return std::unique_ptr<const Pages>(new Pages(begin, size));
}

Pages::~Pages() { munmap(begin_, size_); }

#else

std::unique_ptr<const Pages> Pages::make(std::span<const std::uint8_t>) { return nullptr; }

Pages::~Pages() = default;

#endif

}  // namespace kilograd::program::machine
