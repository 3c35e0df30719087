// Reads a sequence of byte ranges as if they lay one after the other. For files of platform/curl
// alone.
//
// The ranges must outlive it. Threading: one thread.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>

#include "base/bytes.h"

namespace fallow {

class PieceReader {
 public:
  PieceReader() = default;
  explicit PieceReader(std::span<const ByteView> pieces) : pieces_(pieces) {
    for (const ByteView piece : pieces) size_bytes_ += piece.size();
  }

  std::uint64_t size_bytes() const { return size_bytes_; }

  // How many bytes it gave: `size`, or what is left, 0 at the end.
  std::size_t Read(char* into, std::size_t size) {
    std::size_t given = 0;
    while (given < size && piece_ < pieces_.size()) {
      const ByteView rest = pieces_[piece_].subspan(offset_);
      const std::size_t count = std::min(rest.size(), size - given);
      if (count > 0) std::memcpy(into + given, rest.data(), count);
      given += count;
      offset_ += count;
      if (count == rest.size()) {
        ++piece_;
        offset_ = 0;
      }
    }
    return given;
  }

  // The next byte to read is number `offset` of all. False: there are not so many.
  bool Seek(std::uint64_t offset) {
    if (offset > size_bytes_) return false;
    for (piece_ = 0; piece_ < pieces_.size() && offset >= pieces_[piece_].size(); ++piece_) {
      offset -= pieces_[piece_].size();
    }
    offset_ = offset;
    return true;
  }

 private:
  std::span<const ByteView> pieces_;
  std::uint64_t size_bytes_ = 0;
  std::size_t piece_ = 0;
  std::size_t offset_ = 0;  // in it
};

}  // namespace fallow
