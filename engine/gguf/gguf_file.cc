#include "engine/gguf/gguf_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/gguf/read_value.h"

namespace fallow::engine {
namespace {

constexpr std::array<std::string_view, 13> kTypeNames = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};

std::unexpected<Error> WrongType(std::string_view key, const GgufValue& value,
                                 std::string_view wanted) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("key {} at offset {}: expected {}, found {}", Shown(key), value.offset,
                          wanted, GgufTypeName(value.type)));
}

std::unexpected<Error> Missing(std::string_view key) {
  return Fail(ErrorCode::kInvalidArgument, fmt::format("key {} is missing", key));
}

template <class T>
Result<T> Required(Result<std::optional<T>> found, std::string_view key) {
  if (!found.has_value()) return std::unexpected(std::move(found).error());
  if (!found->has_value()) return Missing(key);
  return **std::move(found);
}

}  // namespace

std::string Shown(std::string_view text) {
  constexpr std::size_t kMaxShownBytes = 64;
  std::string shown(text.substr(0, kMaxShownBytes));
  for (char& c : shown) {
    if (c < ' ' || c > '~') c = '?';
  }
  if (text.size() > kMaxShownBytes) shown += "...";
  return shown;
}

std::string_view GgufTypeName(GgufType type) {
  return kTypeNames[static_cast<std::uint32_t>(type)];
}

const GgufTensor* GgufFile::FindTensor(std::string_view name) const {
  const auto found = tensor_places_.find(name);
  return found == tensor_places_.end() ? nullptr : &tensors_[found->second];
}

const GgufValue* GgufFile::Find(std::string_view key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? nullptr : &found->second;
}

std::vector<GgufFile::Key> GgufFile::KeysInFileOrder() const {
  std::vector<Key> keys;
  keys.reserve(keys_.size());
  for (const auto& [name, value] : keys_) keys.push_back({name, &value});
  std::ranges::sort(keys, {}, [](const Key& key) { return key.value->offset; });
  return keys;
}

Result<std::optional<std::uint64_t>> GgufFile::FindUint(std::string_view key) const {
  const GgufValue* found = Find(key);
  if (found == nullptr) return std::nullopt;
  if (const auto* value = std::get_if<std::uint64_t>(&found->value)) return *value;
  if (const auto* value = std::get_if<std::int64_t>(&found->value);
      value != nullptr && *value >= 0) {
    return static_cast<std::uint64_t>(*value);
  }
  return WrongType(key, *found, "an unsigned integer");
}

Result<std::optional<double>> GgufFile::FindFloat(std::string_view key) const {
  const GgufValue* found = Find(key);
  if (found == nullptr) return std::nullopt;
  const auto* value = std::get_if<double>(&found->value);
  if (value == nullptr || !std::isfinite(*value)) return WrongType(key, *found, "a finite float");
  return *value;
}

Result<std::optional<bool>> GgufFile::FindBool(std::string_view key) const {
  const GgufValue* found = Find(key);
  if (found == nullptr) return std::nullopt;
  if (const auto* value = std::get_if<bool>(&found->value)) return *value;
  return WrongType(key, *found, "a bool");
}

Result<std::optional<std::string_view>> GgufFile::FindString(std::string_view key) const {
  const GgufValue* found = Find(key);
  if (found == nullptr) return std::nullopt;
  if (const auto* value = std::get_if<std::string_view>(&found->value)) return *value;
  return WrongType(key, *found, "a string");
}

Result<std::optional<std::vector<std::string_view>>> GgufFile::FindStrings(
    std::string_view key) const {
  const GgufValue* found = Find(key);
  if (found == nullptr) return std::nullopt;
  const auto* array = std::get_if<GgufArray>(&found->value);
  if (array == nullptr || array->element_type != GgufType::kString) {
    return WrongType(key, *found, "an array of strings");
  }
  std::vector<std::string_view> strings;
  strings.reserve(array->count);
  const std::uint8_t* at = array->bytes.data();
  for (std::uint64_t i = 0; i < array->count; ++i) {
    const auto length = ReadValue<std::uint64_t>(at);
    strings.emplace_back(reinterpret_cast<const char*>(at + 8), length);
    at += 8 + length;
  }
  return strings;
}

Result<std::optional<std::vector<std::int64_t>>> GgufFile::FindIntegers(
    std::string_view key) const {
  const GgufValue* found = Find(key);
  if (found == nullptr) return std::nullopt;
  const auto* array = std::get_if<GgufArray>(&found->value);
  if (array == nullptr) return WrongType(key, *found, "an array of integers");
  std::vector<std::int64_t> integers(array->count);
  const std::uint8_t* at = array->bytes.data();
  for (std::uint64_t i = 0; i < array->count; ++i) {
    switch (array->element_type) {
      case GgufType::kU8:
        integers[i] = at[i];
        break;
      case GgufType::kI8:
        integers[i] = static_cast<std::int8_t>(at[i]);
        break;
      case GgufType::kU16:
        integers[i] = ReadValue<std::uint16_t>(at + i * 2);
        break;
      case GgufType::kI16:
        integers[i] = ReadValue<std::int16_t>(at + i * 2);
        break;
      case GgufType::kU32:
        integers[i] = ReadValue<std::uint32_t>(at + i * 4);
        break;
      case GgufType::kI32:
        integers[i] = ReadValue<std::int32_t>(at + i * 4);
        break;
      case GgufType::kI64:
        integers[i] = ReadValue<std::int64_t>(at + i * 8);
        break;
      default:
        return WrongType(key, *found, "an array of integers");
    }
  }
  return integers;
}

Result<std::uint64_t> GgufFile::RequireUint(std::string_view key) const {
  return Required(FindUint(key), key);
}
Result<double> GgufFile::RequireFloat(std::string_view key) const {
  return Required(FindFloat(key), key);
}
Result<std::string_view> GgufFile::RequireString(std::string_view key) const {
  return Required(FindString(key), key);
}
Result<std::vector<std::string_view>> GgufFile::RequireStrings(std::string_view key) const {
  return Required(FindStrings(key), key);
}

}  // namespace fallow::engine
