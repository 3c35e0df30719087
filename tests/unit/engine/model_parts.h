// A sound model file taken apart, so that a test can make each of its parts lie and put it together
// again.
#pragma once

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/gguf/gguf_file.h"
#include "tests/support/gguf_writer.h"
#include "tests/unit/engine/tiny_model.h"

namespace fallow::engine {

struct KeyPart {
  std::string name;
  std::uint32_t type = 0;
  Bytes payload;  // the value as it lies in the file
};

struct TensorPart {
  std::string name;
  std::vector<std::uint64_t> dimensions;
  std::uint32_t type = 0;
  Bytes data;
  std::optional<std::uint64_t> offset;  // of the entry; none: where the data is
};

struct ModelParts {
  std::uint32_t version = 3;
  std::optional<std::uint64_t> tensor_count, key_count;  // none: counted
  std::vector<KeyPart> keys;
  std::vector<TensorPart> tensors;

  static ModelParts Of(const Bytes& bytes) {
    ModelParts parts;
    const auto file = GgufFile::Parse(bytes);
    if (!file.has_value()) throw std::logic_error(file.error().message);
    for (const auto& [name, value] : file->KeysInFileOrder()) {
      parts.keys.push_back({std::string(name),
                            static_cast<std::uint32_t>(value->type),
                            {value->bytes.begin(), value->bytes.end()}});
    }
    for (const GgufTensor& tensor : file->tensors()) {
      parts.tensors.push_back(
          {std::string(tensor.name),
           {tensor.dimensions.begin(), tensor.dimensions.begin() + tensor.dimension_count},
           tensor.type->id,
           {tensor.bytes.begin(), tensor.bytes.end()},
           std::nullopt});
    }
    return parts;
  }

  KeyPart& Key(std::string_view name) {
    const auto found = std::ranges::find(keys, name, &KeyPart::name);
    if (found == keys.end()) throw std::logic_error("no key " + std::string(name));
    return *found;
  }
  TensorPart& Tensor(std::string_view name) {
    const auto found = std::ranges::find(tensors, name, &TensorPart::name);
    if (found == tensors.end()) throw std::logic_error("no tensor " + std::string(name));
    return *found;
  }

  // Sets a key, or adds it.
  void Set(std::string_view name, std::uint32_t type, Bytes payload) {
    const auto found = std::ranges::find(keys, name, &KeyPart::name);
    KeyPart& key = found == keys.end() ? keys.emplace_back() : *found;
    key = {std::string(name), type, std::move(payload)};
  }
  void SetU32(std::string_view name, std::uint32_t value) {
    Set(name, GgufWriter::kU32, GgufWriter::Value(value));
  }
  void SetI32(std::string_view name, std::int32_t value) {
    Set(name, GgufWriter::kI32, GgufWriter::Value(value));
  }
  void SetF32(std::string_view name, float value) {
    Set(name, GgufWriter::kF32, GgufWriter::Value(value));
  }
  void SetString(std::string_view name, std::string_view value) {
    Bytes payload;
    GgufWriter::AppendString(payload, value);
    Set(name, GgufWriter::kString, std::move(payload));
  }
  void SetStrings(std::string_view name, const std::vector<std::string>& values) {
    Bytes payload = GgufWriter::Value(GgufWriter::kString);
    GgufWriter::Append(payload, std::uint64_t{values.size()});
    for (const std::string& value : values) GgufWriter::AppendString(payload, value);
    Set(name, GgufWriter::kArray, std::move(payload));
  }
  // An array's head alone: it says that `count` elements follow.
  void SetArrayHead(std::string_view name, std::uint32_t element_type, std::uint64_t count) {
    Bytes payload = GgufWriter::Value(element_type);
    GgufWriter::Append(payload, count);
    Set(name, GgufWriter::kArray, std::move(payload));
  }
  // A key of one byte, without looking whether it is there.
  void SetAtEnd(const std::string& name) { keys.push_back({name, 0, {0}}); }
  void Remove(std::string_view key) {
    std::erase_if(keys, [&](const KeyPart& part) { return part.name == key; });
  }
  void RemoveTensor(std::string_view name) {
    std::erase_if(tensors, [&](const TensorPart& part) { return part.name == name; });
  }

  Bytes Write() const {
    GgufWriter writer;
    for (const KeyPart& key : keys) writer.Key(key.name, key.type, key.payload);
    Bytes data;
    for (const TensorPart& tensor : tensors) {
      data.resize((data.size() + 31) / 32 * 32);
      writer.TensorInfo(tensor.name, tensor.dimensions, tensor.type,
                        tensor.offset.value_or(data.size()));
      data.insert(data.end(), tensor.data.begin(), tensor.data.end());
    }
    writer.version = version;
    writer.tensor_count = tensor_count.value_or(tensors.size());
    writer.key_count = key_count.value_or(keys.size());
    Bytes file = writer.Write();
    file.insert(file.end(), data.begin(), data.end());
    return file;
  }
};

}  // namespace fallow::engine
