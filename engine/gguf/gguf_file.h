// A GgufFile is the checked directory of a GGUF file: its keys and where its tensors lie. Versions
// 2 and 3 are read; they differ in nothing but what they say of big-endian files, which are not.
//
// Invariant: every view lies inside the file's bytes; keys and tensor names are unique; tensors are
// aligned and do not overlap. Nothing is copied: the bytes must outlive the directory. Threading:
// immutable.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/gguf/limits.h"
#include "engine/gguf/tensor_types.h"

namespace fallow::engine {

enum class GgufType : std::uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};
std::string_view GgufTypeName(GgufType type);  // "u32", "string", …

struct GgufArray {
  GgufType element_type = GgufType::kU8;
  std::uint64_t count = 0;
  ByteView bytes;  // the elements as they lie in the file, all checked
};

struct GgufValue {
  GgufType type = GgufType::kU8;
  // Integers are u64 or i64 by sign, floats are double.
  std::variant<std::uint64_t, std::int64_t, double, bool, std::string_view, GgufArray> value;
  std::uint64_t offset = 0;  // in the file, for messages
  ByteView bytes;            // the value as it lies in the file, after its type
};

struct GgufTensor {
  std::string_view name;
  const GgufTensorType* type = nullptr;
  std::uint32_t dimension_count = 0;
  std::array<std::uint64_t, 4> dimensions{1, 1, 1, 1};  // the first is contiguous
  ByteView bytes;

  std::uint64_t element_count() const {
    return dimensions[0] * dimensions[1] * dimensions[2] * dimensions[3];
  }
};

class GgufFile {
 public:
  // Errors name the key or tensor and the offset.
  static Result<GgufFile> Parse(ByteView file);

  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* FindTensor(std::string_view name) const;
  const GgufValue* Find(std::string_view key) const;

  struct Key {
    std::string_view name;
    const GgufValue* value = nullptr;  // of this directory
  };
  std::vector<Key> KeysInFileOrder() const;
  std::uint64_t alignment() const { return alignment_; }  // of the tensors' data, bytes

  // Typed access. None when the key is absent; an error when it holds something else.
  Result<std::optional<std::uint64_t>> FindUint(
      std::string_view key) const;  // any integer type, not negative
  Result<std::optional<double>> FindFloat(std::string_view key) const;  // f32 or f64, finite
  Result<std::optional<bool>> FindBool(std::string_view key) const;
  Result<std::optional<std::string_view>> FindString(std::string_view key) const;
  Result<std::optional<std::vector<std::string_view>>> FindStrings(std::string_view key) const;
  Result<std::optional<std::vector<std::int64_t>>> FindIntegers(
      std::string_view key) const;  // any integer type

  // The same, where the key must be there: kInvalidArgument names it.
  Result<std::uint64_t> RequireUint(std::string_view key) const;
  Result<double> RequireFloat(std::string_view key) const;
  Result<std::string_view> RequireString(std::string_view key) const;
  Result<std::vector<std::string_view>> RequireStrings(std::string_view key) const;

 private:
  friend class GgufParser;
  friend class SplitJoiner;

  // Ordered: names that a hostile file makes up may all have one hash.
  std::map<std::string_view, GgufValue> keys_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string_view, std::size_t> tensor_places_;
  std::uint64_t alignment_ = kDefaultGgufAlignmentBytes;
};

// Foreign text for an error message: printable ASCII, cut to 64 bytes.
std::string Shown(std::string_view text);

}  // namespace fallow::engine
