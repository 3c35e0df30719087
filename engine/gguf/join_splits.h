// Joins the files of a split model into the one GGUF file they were cut from, without copying their
// tensors: a new header, and the ranges of the parts that follow it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/gguf/gguf_file.h"

namespace fallow::engine {

struct SplitPart {
  std::string name;  // for messages
  ByteView bytes;    // the whole file (memory-mapped)
};

// The joined file. Its views reach into the parts' bytes, which must outlive it. Threading:
// immutable.
class JoinedGguf {
 public:
  JoinedGguf(JoinedGguf&&) = default;
  JoinedGguf& operator=(JoinedGguf&&) = default;

  // Keys of the first part without those of splitting; the tensors of all parts in their order.
  const GgufFile& directory() const { return directory_; }
  // The file's bytes, piece after piece: its header first, then data and padding in turn. Tensors
  // have the first part's alignment.
  const std::vector<ByteView>& pieces() const { return pieces_; }
  std::uint64_t size_bytes() const { return size_bytes_; }

 private:
  friend class SplitJoiner;
  JoinedGguf() = default;

  GgufFile directory_;
  Bytes header_;
  Bytes padding_;  // zeros, as many as a tensor may need after it
  std::vector<ByteView> pieces_;
  std::uint64_t size_bytes_ = 0;
};

// `parts`: all of them, in order. kInvalidArgument names the part that is no GGUF file, that is of
// another count, number or model, or that holds a tensor another one holds too.
Result<JoinedGguf> JoinSplits(std::span<const SplitPart> parts);

}  // namespace fallow::engine
