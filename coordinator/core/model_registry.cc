#include "coordinator/core/model_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "coordinator/core/limits.h"
#include "engine/model/card_json.h"
#include "engine/model/model.h"
#include "platform/mapped_file.h"

namespace fallow {
namespace {

// What a name may hold goes through URLs, shells and file lists unharmed.
bool IsModelName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxModelIdBytes && name.front() != '-' &&
         std::ranges::all_of(name, [](unsigned char character) {
           return (character >= '0' && character <= '9') ||
                  (character >= 'a' && character <= 'z') ||
                  (character >= 'A' && character <= 'Z') ||
                  std::string_view("-_.:/").find(static_cast<char>(character)) !=
                      std::string_view::npos;
         });
}

// Every reason in one message: one round is to be enough to put a file right.
Error RefusalOf(const std::vector<Error>& reasons) {
  if (reasons.size() == 1) return reasons.front();
  std::string message = fmt::format("refused for {} reasons: ", reasons.size());
  const std::size_t shown = std::min(reasons.size(), kMaxRefusalReasons);
  for (std::size_t i = 0; i < shown; ++i) {
    message += fmt::format("{}({}) {}", i == 0 ? "" : "; ", i + 1, reasons[i].message);
  }
  if (shown < reasons.size()) message += fmt::format("; and {} more", reasons.size() - shown);
  return {reasons.front().code, std::move(message)};
}

}  // namespace

Result<Model> ModelRegistry::Add(const ModelId& id, const Digest& artifact) {
  auto model = Read(id, artifact);
  if (model) {
    if (auto added = store_.AddModel(*model); !added)
      model = std::unexpected(std::move(added).error());
  }
  if (!model) {
    RemoveIfUnused(artifact);
    return model;
  }
  LOG_INFO("models: added model={} digest={}", id.value, artifact.Hex());
  return model;
}

Result<Model> ModelRegistry::Read(const ModelId& id, const Digest& artifact) {
  if (!IsModelName(id.value)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a model's name has 1 to {} letters, digits and -_.:/, and does not "
                            "start with -",
                            kMaxModelIdBytes));
  }
  FALLOW_ASSIGN_OR_RETURN(auto known, store_.FindModel(id));
  if (known && known->artifact == artifact) return *std::move(known);
  FALLOW_ASSIGN_OR_RETURN(const auto path, artifacts_.LocalPath(artifact));
  if (!path)
    return Fail(ErrorCode::kUnimplemented,
                "models must be in a store on the coordinator's machine");
  FALLOW_ASSIGN_OR_RETURN(const auto file, MapFile(*path));
  const engine::ModelReport report = engine::ReadModelReport(file->bytes());
  if (!report.refusals.empty()) return Wrap(RefusalOf(report.refusals), id.value);
  Model model;
  model.id = id;
  model.artifact = artifact;
  model.size_bytes = file->bytes().size();
  model.card_json = engine::CardJson(report.card);
  model.created_at = clock_.Wall();
  return model;
}

Status ModelRegistry::Remove(const ModelId& id) {
  FALLOW_ASSIGN_OR_RETURN(const RemovedArtifact removed, store_.RemoveModel(id));
  if (removed.unused) RemoveIfUnused(removed.artifact);
  return {};
}

void ModelRegistry::RemoveIfUnused(const Digest& artifact) {
  const auto used = store_.ArtifactUsed(artifact);
  if (!used || *used) return;
  if (auto gone = artifacts_.Remove(artifact); !gone) LOG_WARN("models: {}", gone.error().message);
}

}  // namespace fallow
