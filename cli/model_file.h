// A model on this machine's disk, to be looked at and uploaded: one GGUF file, or all parts of a
// split one as the one file they make.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/gguf/join_splits.h"
#include "engine/gguf/split_part.h"
#include "engine/model/model.h"
#include "platform/mapped_file.h"

namespace fallow::cli {

class ModelFile {
 public:
  // `path`: the file, or the first part of a split model, whose other parts lie beside it. Errors
  // name the file that is missing, cannot be read, or is no part of this model. Whether Fallow can
  // run the model is the report's matter.
  static Result<ModelFile> Open(const std::string& path);

  const engine::ModelReport& report() const { return report_; }
  // What the file is called, without folders, ending and part number.
  const std::string& name() const { return name_; }
  std::uint64_t size_bytes() const;
  std::size_t part_count() const { return parts_.size(); }
  // The whole model's bytes, piece after piece, mapped: they live as long as this.
  std::vector<ByteView> pieces() const;

 private:
  ModelFile() = default;
  Status OpenOtherParts(const std::string& path, const engine::SplitPlace& place);

  std::string name_;
  std::vector<std::unique_ptr<MappedFile>> parts_;  // one: the file is whole
  std::optional<engine::JoinedGguf> joined_;        // of several parts
  engine::ModelReport report_;
};

}  // namespace fallow::cli
