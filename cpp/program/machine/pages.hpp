// Pages: memory that holds machine code. It is written first and executable afterwards, never both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace kilograd::program::machine {

class Pages {
  public:
    // Null where the system has no memory or refuses to execute any.
    static std::unique_ptr<const Pages> make(std::span<const std::uint8_t> bytes);
    ~Pages();
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;

    const void* begin() const { return begin_; }
    std::size_t size() const { return size_; }

  private:
    Pages(void* begin, std::size_t size) : begin_(begin), size_(size) {}
    void* begin_;
    std::size_t size_;
};

}  // namespace kilograd::program::machine
