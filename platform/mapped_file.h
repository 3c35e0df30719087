// A file mapped into memory, read-only. A file that shrinks while mapped is a broken machine, not
// an error we handle.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace fallow {

class MappedFile {
 public:
  virtual ~MappedFile() = default;
  virtual ByteView bytes() const = 0;
};

Result<std::unique_ptr<MappedFile>> MapFile(const std::string& path);

}  // namespace fallow
