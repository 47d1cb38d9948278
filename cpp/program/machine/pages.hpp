// Pages: memory that holds machine code. It is written first and executable afterwards, never both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace kilograd::program::machine {

class Pages {
  public:
    // At least so many bytes, to be written. Throws std::bad_alloc.
    explicit Pages(std::size_t size);
    Pages(Pages&& other) noexcept : begin_(std::exchange(other.begin_, nullptr)), size_(other.size_) {}
    Pages& operator=(Pages&& other) noexcept {
        std::swap(begin_, other.begin_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Pages();

    std::uint8_t* begin() const { return begin_; }
    std::size_t size() const { return size_; }

    // From now on executable, and not writable. What is behind the bytes in use goes back to the system. False where
    // the system refuses to execute any.
    bool execute(std::size_t used);

  private:
    std::uint8_t* begin_;
    std::size_t size_;
};

}  // namespace kilograd::program::machine
