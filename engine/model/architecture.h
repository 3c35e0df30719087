// An Architecture is one family of models: which keys it reads and how it computes.
//
// Each is one file in engine/model/architectures and one line in the table of architecture.cc;
// docs/MODELS.md has the recipe.
#pragma once

#include <span>
#include <string_view>

#include "engine/model/graph_builder.h"
#include "engine/model/key_reader.h"
#include "engine/model/model_shape.h"

namespace fallow::engine {

struct Architecture {
  std::string_view name;  // general.architecture
  // Reads the keys. What they say and we do not compute is refused.
  void (*read_keys)(KeyReader& keys, ModelShape& shape);
  // Describes the computation of a step; the state that chooses tokens, or that is pooled.
  Value (*describe)(GraphBuilder& graph, const ModelShape& shape);
};

std::span<const Architecture* const> AllArchitectures();
// Null for one we do not know.
const Architecture* FindArchitecture(std::string_view name);

}  // namespace fallow::engine
