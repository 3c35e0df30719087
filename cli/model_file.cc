#include "cli/model_file.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

namespace fallow::cli {
namespace {

Result<std::unique_ptr<MappedFile>> Map(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error) && !error) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: not a file", path));
  }
  if (error) return Fail(ErrorCode::kNotFound, fmt::format("{}: {}", path, error.message()));
  return MapFile(path);
}

std::unexpected<Error> Bad(const std::string& path, const std::string& what) {
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", path, what));
}

// The name's own account of the part must be that of the keys: it leads to the others.
Result<engine::SplitName> NameOfFirstPart(const std::string& path,
                                          const engine::SplitPlace& place) {
  auto name = engine::ParseSplitName(path);
  if (!name.has_value() || name->count != place.count || name->number != place.number + 1) {
    return Bad(path, fmt::format("its keys make it part {0} of {1} of a split model, its name does "
                                 "not, so the others cannot be found: name them "
                                 "NAME-00001-of-{1:05}.gguf and so on",
                                 place.number + 1, place.count));
  }
  if (place.number != 0) {
    engine::SplitName first = *name;
    first.number = 1;
    return Bad(path, fmt::format("part {} of {} of a split model; give the first, {}",
                                 place.number + 1, place.count, engine::FormatSplitName(first)));
  }
  return *std::move(name);
}

// kNotFound names every part that is not there.
Status CheckAllThere(const std::vector<std::string>& paths) {
  std::string missing;
  std::error_code error;
  for (const std::string& path : paths) {
    if (!std::filesystem::exists(path, error)) missing += (missing.empty() ? "" : ", ") + path;
  }
  if (missing.empty()) return {};
  return Fail(ErrorCode::kNotFound, fmt::format("of the {} parts of a split model these are "
                                                "missing: {}",
                                                paths.size(), missing));
}

}  // namespace

Result<ModelFile> ModelFile::Open(const std::string& path) {
  ModelFile model;
  FALLOW_ASSIGN_OR_RETURN(auto file, Map(path));
  const ByteView bytes = file->bytes();
  model.parts_.push_back(std::move(file));
  model.name_ = std::filesystem::path(path).stem();
  // A file whose directory cannot be read is refused by the report.
  if (const auto directory = engine::GgufFile::Parse(bytes); directory.has_value()) {
    auto place = engine::FindSplitPlace(*directory);
    if (!place.has_value()) return Wrap(std::move(place).error(), path);
    if (place->has_value()) {
      FALLOW_RETURN_IF_ERROR(model.OpenOtherParts(path, **place));
      model.report_ =
          engine::ReadModelReport(model.joined_->directory(), model.joined_->size_bytes());
      return model;
    }
  }
  model.report_ = engine::ReadModelReport(bytes);
  return model;
}

Status ModelFile::OpenOtherParts(const std::string& path, const engine::SplitPlace& place) {
  FALLOW_ASSIGN_OR_RETURN(engine::SplitName name, NameOfFirstPart(path, place));
  name_ = std::filesystem::path(name.stem).filename();
  std::vector<std::string> paths;
  for (name.number = 1; name.number <= name.count; ++name.number) {
    paths.push_back(engine::FormatSplitName(name));
  }
  FALLOW_RETURN_IF_ERROR(CheckAllThere(paths));
  std::vector<engine::SplitPart> parts = {{path, parts_.front()->bytes()}};
  for (std::size_t i = 1; i < paths.size(); ++i) {
    FALLOW_ASSIGN_OR_RETURN(auto file, Map(paths[i]));
    parts.push_back({paths[i], file->bytes()});
    parts_.push_back(std::move(file));
  }
  FALLOW_ASSIGN_OR_RETURN(joined_, engine::JoinSplits(parts));
  return {};
}

std::uint64_t ModelFile::size_bytes() const {
  return joined_.has_value() ? joined_->size_bytes() : parts_.front()->bytes().size();
}

std::vector<ByteView> ModelFile::pieces() const {
  if (joined_.has_value()) return joined_->pieces();
  return {parts_.front()->bytes()};
}

}  // namespace fallow::cli
