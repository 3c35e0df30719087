// Splits a sound GGUF file into parts as a model hub has them: the keys in the first, the tensors
// in runs over all. Link engine_gguf.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/gguf/gguf_file.h"
#include "tests/support/gguf_writer.h"

namespace fallow {

inline std::vector<Bytes> SplitGguf(const Bytes& whole, std::uint16_t count) {
  const auto file = engine::GgufFile::Parse(whole).value();
  const std::size_t total = file.tensors().size();
  std::vector<Bytes> parts;
  for (std::uint16_t part = 0; part < count; ++part) {
    GgufWriter writer;
    if (part == 0) {
      for (const auto& [name, value] : file.KeysInFileOrder()) {
        writer.Key(name, static_cast<std::uint32_t>(value->type),
                   {value->bytes.begin(), value->bytes.end()});
      }
    }
    writer.U16("split.no", part)
        .U16("split.count", count)
        .Key("split.tensors.count", GgufWriter::kI32,
             GgufWriter::Value(static_cast<std::int32_t>(total)));
    for (std::size_t i = total * part / count; i < total * (part + 1) / count; ++i) {
      const engine::GgufTensor& tensor = file.tensors()[i];
      writer.Tensor(tensor.name,
                    {tensor.dimensions.begin(), tensor.dimensions.begin() + tensor.dimension_count},
                    tensor.type->id, {tensor.bytes.begin(), tensor.bytes.end()});
    }
    parts.push_back(writer.Write());
  }
  return parts;
}

}  // namespace fallow
