// Writes GGUF files for tests: sound ones, and ones that lie.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace fallow {

class GgufWriter {
 public:
  static constexpr std::uint32_t kU16 = 2, kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8,
                                 kArray = 9, kU64 = 10;

  // Keys, in order. `payload` is a value as it lies in the file.
  GgufWriter& Key(std::string_view key, std::uint32_t type, const Bytes& payload) {
    AppendString(keys_, key);
    Append(keys_, type);
    keys_.insert(keys_.end(), payload.begin(), payload.end());
    ++key_count;
    return *this;
  }
  GgufWriter& U16(std::string_view key, std::uint16_t value) {
    return Key(key, kU16, Value(value));
  }
  GgufWriter& U32(std::string_view key, std::uint32_t value) {
    return Key(key, kU32, Value(value));
  }
  GgufWriter& F32(std::string_view key, float value) { return Key(key, kF32, Value(value)); }
  GgufWriter& Bool(std::string_view key, bool value) {
    return Key(key, kBool, {std::uint8_t{value}});
  }
  GgufWriter& String(std::string_view key, std::string_view value) {
    Bytes payload;
    AppendString(payload, value);
    return Key(key, kString, payload);
  }
  GgufWriter& Strings(std::string_view key, const std::vector<std::string>& values) {
    Bytes payload = Value(kString);
    Append(payload, std::uint64_t{values.size()});
    for (const std::string& value : values) AppendString(payload, value);
    return Key(key, kArray, payload);
  }
  GgufWriter& Integers(std::string_view key, const std::vector<std::int32_t>& values) {
    Bytes payload = Value(kI32);
    Append(payload, std::uint64_t{values.size()});
    for (const std::int32_t value : values) Append(payload, value);
    return Key(key, kArray, payload);
  }

  // A tensor at the next free place of the data section.
  GgufWriter& Tensor(std::string_view name, const std::vector<std::uint64_t>& dimensions,
                     std::uint32_t type, const Bytes& data) {
    data_.resize((data_.size() + 31) / 32 * 32);
    TensorInfo(name, dimensions, type, data_.size());
    data_.insert(data_.end(), data.begin(), data.end());
    return *this;
  }
  // A tensor's entry alone.
  GgufWriter& TensorInfo(std::string_view name, const std::vector<std::uint64_t>& dimensions,
                         std::uint32_t type, std::uint64_t offset) {
    AppendString(infos_, name);
    Append(infos_, static_cast<std::uint32_t>(dimensions.size()));
    for (const std::uint64_t dimension : dimensions) Append(infos_, dimension);
    Append(infos_, type);
    Append(infos_, offset);
    ++tensor_count;
    return *this;
  }

  Bytes Write() const {
    Bytes file = {'G', 'G', 'U', 'F'};
    Append(file, version);
    Append(file, tensor_count);
    Append(file, key_count);
    file.insert(file.end(), keys_.begin(), keys_.end());
    file.insert(file.end(), infos_.begin(), infos_.end());
    file.resize((file.size() + 31) / 32 * 32);
    file.insert(file.end(), data_.begin(), data_.end());
    return file;
  }

  template <class T>
  static void Append(Bytes& bytes, T value) {
    const std::size_t at = bytes.size();
    bytes.resize(at + sizeof value);
    std::memcpy(bytes.data() + at, &value, sizeof value);
  }
  template <class T>
  static Bytes Value(T value) {
    Bytes bytes;
    Append(bytes, value);
    return bytes;
  }
  static void AppendString(Bytes& bytes, std::string_view text) {
    Append(bytes, std::uint64_t{text.size()});
    bytes.insert(bytes.end(), text.begin(), text.end());
  }

  std::uint32_t version = 3;
  std::uint64_t tensor_count = 0;  // counted; may be overwritten to lie
  std::uint64_t key_count = 0;

 private:
  Bytes keys_;
  Bytes infos_;
  Bytes data_;
};

}  // namespace fallow
