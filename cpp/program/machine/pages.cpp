#include "pages.hpp"

#ifdef KILOGRAD_MACHINE_CODE
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#endif

namespace kilograd::program::machine {

#ifdef KILOGRAD_MACHINE_CODE

std::unique_ptr<const Pages> Pages::make(const std::vector<std::uint8_t>& bytes) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t size = (bytes.size() + page - 1) / page * page;
    void* begin = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (begin == MAP_FAILED) return nullptr;
    std::memcpy(begin, bytes.data(), bytes.size());
    if (mprotect(begin, size, PROT_READ | PROT_EXEC) != 0) {
        munmap(begin, size);
        return nullptr;
    }
    return std::unique_ptr<const Pages>(new Pages(begin, size));
}

Pages::~Pages() { munmap(begin_, size_); }

#else

std::unique_ptr<const Pages> Pages::make(const std::vector<std::uint8_t>&) { return nullptr; }

Pages::~Pages() = default;

#endif

}  // namespace kilograd::program::machine
