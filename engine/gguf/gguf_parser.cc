// Reads a GGUF file's directory: every count, length and offset is checked before it is used.
#include <fmt/format.h>

#include <algorithm>

#include "engine/gguf/gguf_file.h"
#include "engine/gguf/limits.h"
#include "engine/gguf/read_value.h"

namespace fallow::engine {
namespace {

constexpr std::uint32_t kTypeCount = static_cast<std::uint32_t>(GgufType::kF64) + 1;

}  // namespace

// Walks the file once, from the magic to the last tensor.
class GgufParser {
 public:
  explicit GgufParser(ByteView file) : file_(file) {}

  Result<GgufFile> Run() {
    std::uint64_t tensor_count = 0;
    std::uint64_t key_count = 0;
    FALLOW_RETURN_IF_ERROR(ReadHeader(tensor_count, key_count));
    for (std::uint64_t i = 0; i < key_count; ++i) FALLOW_RETURN_IF_ERROR(ReadKey(i));
    FALLOW_RETURN_IF_ERROR(ReadAlignment());
    for (std::uint64_t i = 0; i < tensor_count; ++i) FALLOW_RETURN_IF_ERROR(ReadTensorInfo(i));
    FALLOW_RETURN_IF_ERROR(PlaceTensors());
    return std::move(result_);
  }

 private:
  // Where a value stands, for messages: "key tokenizer.ggml.tokens".
  std::unexpected<Error> Bad(std::string_view what) const {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("GGUF: {} at offset {}: {}", place_, at_, what));
  }
  std::unexpected<Error> Truncated(std::uint64_t wanted_bytes) const {
    return Bad(fmt::format("the file ends; {} bytes wanted, {} left", wanted_bytes, left()));
  }
  std::uint64_t left() const { return file_.size() - at_; }

  template <class T>
  Status Read(T& value) {
    if (left() < sizeof value) return Truncated(sizeof value);
    value = ReadValue<T>(file_.data() + at_);
    at_ += sizeof value;
    return {};
  }

  Status ReadString(std::string_view& text, std::uint64_t max_bytes) {
    std::uint64_t length = 0;
    FALLOW_RETURN_IF_ERROR(Read(length));
    if (length > max_bytes) {
      return Bad(fmt::format("a string of {} bytes; at most {} are allowed", length, max_bytes));
    }
    if (length > left()) return Truncated(length);
    text = {reinterpret_cast<const char*>(file_.data() + at_), length};
    at_ += length;
    return {};
  }

  Status ReadHeader(std::uint64_t& tensor_count, std::uint64_t& key_count) {
    place_ = "header";
    std::uint32_t magic = 0;
    FALLOW_RETURN_IF_ERROR(Read(magic));
    if (magic != 0x46554747) return Bad("the magic is not \"GGUF\"");
    std::uint32_t version = 0;
    FALLOW_RETURN_IF_ERROR(Read(version));
    if (version != 0 && (version & 0xFFFF) == 0) {
      return Bad("a big-endian file; only little-endian ones are read");
    }
    if (version < kMinGgufVersion || version > kMaxGgufVersion) {
      return Bad(fmt::format("version {}; versions {} and {} are read", version, kMinGgufVersion,
                             kMaxGgufVersion));
    }
    FALLOW_RETURN_IF_ERROR(Read(tensor_count));
    FALLOW_RETURN_IF_ERROR(Read(key_count));
    if (tensor_count > kMaxGgufTensorCount) {
      return Bad(
          fmt::format("{} tensors; at most {} are allowed", tensor_count, kMaxGgufTensorCount));
    }
    if (key_count > kMaxGgufKeyCount) {
      return Bad(fmt::format("{} keys; at most {} are allowed", key_count, kMaxGgufKeyCount));
    }
    return {};
  }

  Status ReadKey(std::uint64_t index) {
    place_ = fmt::format("key number {}", index);
    std::string_view key;
    FALLOW_RETURN_IF_ERROR(ReadString(key, kMaxGgufKeyBytes));
    place_ = fmt::format("key {}", Shown(key));
    GgufValue value;
    FALLOW_RETURN_IF_ERROR(ReadType(value.type));
    value.offset = at_;
    FALLOW_RETURN_IF_ERROR(ReadTyped(value));
    value.bytes = file_.subspan(value.offset, at_ - value.offset);
    if (!result_.keys_.emplace(key, value).second) return Bad("the key is there twice");
    return {};
  }

  Status ReadType(GgufType& type) {
    std::uint32_t number = 0;
    FALLOW_RETURN_IF_ERROR(Read(number));
    if (number >= kTypeCount) return Bad(fmt::format("unknown value type {}", number));
    type = static_cast<GgufType>(number);
    return {};
  }

  template <class T, class Wide>
  Status ReadScalar(GgufValue& value) {
    T scalar{};
    FALLOW_RETURN_IF_ERROR(Read(scalar));
    value.value = static_cast<Wide>(scalar);
    return {};
  }

  Status ReadTyped(GgufValue& value) {
    switch (value.type) {
      case GgufType::kU8:
        return ReadScalar<std::uint8_t, std::uint64_t>(value);
      case GgufType::kI8:
        return ReadScalar<std::int8_t, std::int64_t>(value);
      case GgufType::kU16:
        return ReadScalar<std::uint16_t, std::uint64_t>(value);
      case GgufType::kI16:
        return ReadScalar<std::int16_t, std::int64_t>(value);
      case GgufType::kU32:
        return ReadScalar<std::uint32_t, std::uint64_t>(value);
      case GgufType::kI32:
        return ReadScalar<std::int32_t, std::int64_t>(value);
      case GgufType::kU64:
        return ReadScalar<std::uint64_t, std::uint64_t>(value);
      case GgufType::kI64:
        return ReadScalar<std::int64_t, std::int64_t>(value);
      case GgufType::kF32:
        return ReadScalar<float, double>(value);
      case GgufType::kF64:
        return ReadScalar<double, double>(value);
      case GgufType::kBool: {
        std::uint8_t byte = 0;
        FALLOW_RETURN_IF_ERROR(Read(byte));
        if (byte > 1) return Bad(fmt::format("a bool of value {}", byte));
        value.value = byte == 1;
        return {};
      }
      case GgufType::kString: {
        std::string_view text;
        FALLOW_RETURN_IF_ERROR(ReadString(text, kMaxGgufStringBytes));
        value.value = text;
        return {};
      }
      case GgufType::kArray: {
        GgufArray array;
        FALLOW_RETURN_IF_ERROR(ReadArray(array, 1));
        value.value = array;
        return {};
      }
    }
    return Bad("unknown value type");
  }

  static std::uint64_t ScalarBytes(GgufType type) {
    switch (type) {
      case GgufType::kU8:
      case GgufType::kI8:
      case GgufType::kBool:
        return 1;
      case GgufType::kU16:
      case GgufType::kI16:
        return 2;
      case GgufType::kU32:
      case GgufType::kI32:
      case GgufType::kF32:
        return 4;
      case GgufType::kU64:
      case GgufType::kI64:
      case GgufType::kF64:
        return 8;
      case GgufType::kString:
      case GgufType::kArray:
        return 0;
    }
    return 0;
  }

  Status ReadArray(GgufArray& array, std::uint32_t depth) {
    if (depth > kMaxGgufArrayNesting) {
      return Bad(fmt::format("arrays nested deeper than {}", kMaxGgufArrayNesting));
    }
    FALLOW_RETURN_IF_ERROR(ReadType(array.element_type));
    FALLOW_RETURN_IF_ERROR(Read(array.count));
    if (array.count > kMaxGgufArrayElements) {
      return Bad(fmt::format("an array of {} elements; at most {} are allowed", array.count,
                             kMaxGgufArrayElements));
    }
    const std::uint64_t start = at_;
    if (const std::uint64_t element_bytes = ScalarBytes(array.element_type); element_bytes != 0) {
      if (array.count * element_bytes > left()) return Truncated(array.count * element_bytes);
      at_ += array.count * element_bytes;
    } else {
      for (std::uint64_t i = 0; i < array.count; ++i) {
        FALLOW_RETURN_IF_ERROR(SkipElement(array.element_type, depth));
      }
    }
    array.bytes = file_.subspan(start, at_ - start);
    return {};
  }

  Status SkipElement(GgufType type, std::uint32_t depth) {
    if (type == GgufType::kString) {
      std::string_view text;
      return ReadString(text, kMaxGgufStringBytes);
    }
    GgufArray array;
    return ReadArray(array, depth + 1);
  }

  Status ReadAlignment() {
    constexpr std::string_view kKey = "general.alignment";
    place_ = "key general.alignment";
    FALLOW_ASSIGN_OR_RETURN(const auto alignment, result_.FindUint(kKey));
    const std::uint64_t bytes = alignment.value_or(kDefaultGgufAlignmentBytes);
    if (bytes == 0 || bytes % 8 != 0 || bytes > kMaxGgufAlignmentBytes) {
      return Bad(fmt::format("an alignment of {}; it must be a multiple of 8 up to {}", bytes,
                             kMaxGgufAlignmentBytes));
    }
    result_.alignment_ = bytes;
    return {};
  }

  Status ReadTensorInfo(std::uint64_t index) {
    place_ = fmt::format("tensor number {}", index);
    GgufTensor tensor;
    FALLOW_RETURN_IF_ERROR(ReadString(tensor.name, kMaxGgufTensorNameBytes));
    place_ = fmt::format("tensor {}", Shown(tensor.name));
    FALLOW_RETURN_IF_ERROR(Read(tensor.dimension_count));
    if (tensor.dimension_count == 0 || tensor.dimension_count > kMaxGgufDimensions) {
      return Bad(fmt::format("{} dimensions; 1 to {} are allowed", tensor.dimension_count,
                             kMaxGgufDimensions));
    }
    std::uint64_t elements = 1;
    for (std::uint32_t i = 0; i < tensor.dimension_count; ++i) {
      FALLOW_RETURN_IF_ERROR(Read(tensor.dimensions[i]));
      if (tensor.dimensions[i] == 0) return Bad("a dimension of 0");
      if (tensor.dimensions[i] > kMaxGgufTensorElements / elements) {
        return Bad(fmt::format("more than {} elements", kMaxGgufTensorElements));
      }
      elements *= tensor.dimensions[i];
    }
    std::uint32_t type = 0;
    FALLOW_RETURN_IF_ERROR(Read(type));
    tensor.type = FindGgufTensorType(type);
    if (tensor.type == nullptr) {
      return Bad(fmt::format("unknown tensor type {}; those up to {} are known", type,
                             AllGgufTensorTypes().back().id));
    }
    if (tensor.dimensions[0] % tensor.type->block_elements != 0) {
      return Bad(fmt::format("rows of {} do not split into blocks of {} ({})", tensor.dimensions[0],
                             tensor.type->block_elements, tensor.type->name));
    }
    std::uint64_t offset = 0;
    FALLOW_RETURN_IF_ERROR(Read(offset));
    if (offset % result_.alignment_ != 0) {
      return Bad(
          fmt::format("its data at {} is not aligned to {} bytes", offset, result_.alignment_));
    }
    if (!result_.tensor_places_.emplace(tensor.name, result_.tensors_.size()).second) {
      return Bad("the tensor is there twice");
    }
    result_.tensors_.push_back(tensor);
    offsets_.push_back(offset);
    return {};
  }

  Status PlaceTensors() {
    place_ = "data section";
    const std::uint64_t padding =
        (result_.alignment_ - at_ % result_.alignment_) % result_.alignment_;
    if (!offsets_.empty() && padding > left()) return Truncated(padding);
    const std::uint64_t start = at_ + std::min(padding, left());
    for (std::size_t i = 0; i < offsets_.size(); ++i) {
      GgufTensor& tensor = result_.tensors_[i];
      const std::uint64_t bytes =
          tensor.element_count() / tensor.type->block_elements * tensor.type->block_bytes;
      const std::uint64_t room = file_.size() - start;
      if (offsets_[i] > room || bytes > room - offsets_[i]) {
        place_ = fmt::format("tensor {}", Shown(tensor.name));
        return Bad(fmt::format("its {} bytes at {} of the data section reach beyond the file",
                               bytes, offsets_[i]));
      }
      tensor.bytes = file_.subspan(start + offsets_[i], bytes);
    }
    return CheckOverlaps();
  }

  Status CheckOverlaps() {
    std::vector<const GgufTensor*> ordered;
    for (const GgufTensor& tensor : result_.tensors_) ordered.push_back(&tensor);
    std::ranges::sort(ordered, {}, [](const GgufTensor* tensor) { return tensor->bytes.data(); });
    for (std::size_t i = 1; i < ordered.size(); ++i) {
      const GgufTensor& before = *ordered[i - 1];
      if (before.bytes.data() + before.bytes.size() <= ordered[i]->bytes.data()) continue;
      place_ = fmt::format("tensor {}", Shown(ordered[i]->name));
      return Bad(fmt::format("its data overlaps that of {}", Shown(before.name)));
    }
    return {};
  }

  ByteView file_;
  std::uint64_t at_ = 0;
  std::string place_;
  std::vector<std::uint64_t> offsets_;
  GgufFile result_;
};

Result<GgufFile> GgufFile::Parse(ByteView file) {
  return GgufParser(file).Run();
}

}  // namespace fallow::engine
