// A model's weights on a backend.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/backend.h"
#include "engine/model/model_file.h"

namespace fallow::engine {

struct ModelWeights {
  // By the graph's numbers; a weight is one or the other, or is not loaded yet.
  std::vector<std::unique_ptr<Matrix>> matrices;
  std::vector<std::unique_ptr<Tensor>> rows;
  std::vector<std::unique_ptr<Tensor>> rotary_tables;
};

// Device bytes of all of them.
std::uint64_t ModelWeightBytes(const ModelFile& file, const Backend& backend);

// Uploads those that `weights` lacks. Refuses what is not finite, naming the tensor. kCancelled
// when it was stopped: those that are there stay.
Status LoadModelWeights(const ModelFile& file, Backend& backend, const StepControl& control,
                        ModelWeights& weights);

// Rows of the rotary tables: one for each position, and where requests within the original context
// turn by angles of their own, one for each position of that.
std::uint32_t RotaryTableRows(const ModelShape& shape);

}  // namespace fallow::engine
