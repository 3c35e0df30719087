// The models that batches may name.
#pragma once

#include "base/clock.h"
#include "coordinator/artifacts/artifact_store.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/store/store.h"

namespace fallow {

class ModelRegistry : public ModelService {
 public:
  ModelRegistry(Store& store, ArtifactStore& artifacts, const Clock& clock)
      : store_(store), artifacts_(artifacts), clock_(clock) {}

  Result<Model> Add(const ModelId& id, const Digest& artifact) override;
  Result<std::optional<Model>> Find(const ModelId& id) override { return store_.FindModel(id); }
  Result<std::vector<Model>> List() override { return store_.Models(); }
  Status Remove(const ModelId& id) override;

 private:
  Result<Model> Read(const ModelId& id, const Digest& artifact);
  void RemoveIfUnused(const Digest& artifact);

  Store& store_;
  ArtifactStore& artifacts_;
  const Clock& clock_;
};

}  // namespace fallow
