#include "engine/gguf/join_splits.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "engine/gguf/limits.h"
#include "engine/gguf/split_part.h"
#include "engine/gguf/write_value.h"

namespace fallow::engine {
namespace {

constexpr std::string_view kSplitKeys = "split.";

std::unexpected<Error> Bad(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

std::uint64_t PaddingAfter(std::uint64_t bytes, std::uint64_t alignment) {
  return (alignment - bytes % alignment) % alignment;
}

}  // namespace

class SplitJoiner {
 public:
  explicit SplitJoiner(std::span<const SplitPart> parts) : parts_(parts) {}

  Result<JoinedGguf> Run() {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      auto added = AddPart(i);
      if (!added.has_value()) return Wrap(std::move(added).error(), parts_[i].name);
    }
    FALLOW_RETURN_IF_ERROR(CheckTensorCount());
    WriteHeader();
    ListPieces();
    return std::move(joined_);
  }

 private:
  Status AddPart(std::size_t index) {
    FALLOW_ASSIGN_OR_RETURN(GgufFile file, GgufFile::Parse(parts_[index].bytes));
    FALLOW_ASSIGN_OR_RETURN(const auto place, FindSplitPlace(file));
    if (!place.has_value()) return Bad("no part of a split model: its split.count is not above 1");
    if (place->count != parts_.size()) {
      return Bad(
          fmt::format("split.count tells of {} parts; {} are named", place->count, parts_.size()));
    }
    if (place->number != index) {
      return Bad(fmt::format("split.no makes it part {}; it stands in the place of part {}",
                             place->number + 1, index + 1));
    }
    if (index == 0) {
      TakeKeys(file);
      tensor_count_ = place->tensor_count;
    } else {
      FALLOW_RETURN_IF_ERROR(CheckSameModel(file));
    }
    return TakeTensors(index, file);
  }

  void TakeKeys(GgufFile& file) {
    GgufFile& directory = joined_.directory_;
    directory.alignment_ = file.alignment_;
    directory.keys_ = std::move(file.keys_);
    std::erase_if(directory.keys_,
                  [](const auto& key) { return key.first.starts_with(kSplitKeys); });
  }

  // Later parts hold few keys or none beside those of splitting, but they are the first's.
  Status CheckSameModel(const GgufFile& file) const {
    for (const auto& [name, value] : file.keys_) {
      const GgufValue* const first = joined_.directory_.Find(name);
      if (first != nullptr &&
          (first->type != value.type || !std::ranges::equal(first->bytes, value.bytes))) {
        return Bad(fmt::format("key {} differs from that of {}: a part of another model?",
                               Shown(name), parts_.front().name));
      }
    }
    return {};
  }

  Status TakeTensors(std::size_t index, const GgufFile& file) {
    GgufFile& directory = joined_.directory_;
    for (const GgufTensor& tensor : file.tensors_) {
      if (directory.tensors_.size() == kMaxGgufTensorCount) {
        return Bad(fmt::format("more than {} tensors in all parts", kMaxGgufTensorCount));
      }
      const auto [place, is_new] =
          directory.tensor_places_.emplace(tensor.name, directory.tensors_.size());
      if (!is_new) {
        return Bad(fmt::format("tensor {} is in {} too", Shown(tensor.name),
                               parts_[part_of_tensor_[place->second]].name));
      }
      directory.tensors_.push_back(tensor);
      part_of_tensor_.push_back(index);
    }
    return {};
  }

  Status CheckTensorCount() const {
    const std::size_t found = joined_.directory_.tensors_.size();
    if (tensor_count_.value_or(found) == found) return {};
    return Bad(fmt::format("{}: split.tensors.count tells of {} tensors; the {} parts hold {}",
                           parts_.front().name, *tensor_count_, parts_.size(), found));
  }

  void WriteHeader() {
    const GgufFile& directory = joined_.directory_;
    Bytes& header = joined_.header_;
    AppendText(header, "GGUF");
    AppendValue(header, kMaxGgufVersion);
    AppendValue<std::uint64_t>(header, directory.tensors_.size());
    AppendValue<std::uint64_t>(header, directory.keys_.size());
    for (const GgufFile::Key& key : directory.KeysInFileOrder()) {
      AppendString(header, key.name);
      AppendValue(header, static_cast<std::uint32_t>(key.value->type));
      header.insert(header.end(), key.value->bytes.begin(), key.value->bytes.end());
    }
    std::uint64_t offset = 0;
    for (const GgufTensor& tensor : directory.tensors_) {
      AppendTensorInfo(tensor, offset);
      offset += tensor.bytes.size() + PaddingAfter(tensor.bytes.size(), directory.alignment_);
    }
    header.resize(header.size() + PaddingAfter(header.size(), directory.alignment_));
  }

  void AppendTensorInfo(const GgufTensor& tensor, std::uint64_t offset) {
    Bytes& header = joined_.header_;
    AppendString(header, tensor.name);
    AppendValue(header, tensor.dimension_count);
    for (std::uint32_t i = 0; i < tensor.dimension_count; ++i) {
      AppendValue(header, tensor.dimensions[i]);
    }
    AppendValue(header, tensor.type->id);
    AppendValue(header, offset);
  }

  void ListPieces() {
    const std::uint64_t alignment = joined_.directory_.alignment_;
    joined_.padding_.resize(alignment);
    AddPiece(joined_.header_);
    for (const GgufTensor& tensor : joined_.directory_.tensors_) {
      AddPiece(tensor.bytes);
      AddPiece(ByteView(joined_.padding_).first(PaddingAfter(tensor.bytes.size(), alignment)));
    }
  }

  void AddPiece(ByteView piece) {
    if (piece.empty()) return;
    joined_.pieces_.push_back(piece);
    joined_.size_bytes_ += piece.size();
  }

  std::span<const SplitPart> parts_;
  std::vector<std::size_t> part_of_tensor_;
  std::optional<std::uint64_t> tensor_count_;  // as the first part says
  JoinedGguf joined_;
};

Result<JoinedGguf> JoinSplits(std::span<const SplitPart> parts) {
  FALLOW_CHECK(!parts.empty());
  return SplitJoiner(parts).Run();
}

}  // namespace fallow::engine
