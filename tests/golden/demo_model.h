// The demo model and its batch, for tests of whole generations.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "engine/runner.h"

namespace fallow::engine {

inline std::filesystem::path DemoFolder() {
  return std::filesystem::path(FALLOW_SOURCE_DIR) / "examples" / "field-normalizer";
}

inline Bytes ReadWholeFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

inline std::vector<nlohmann::json> ReadJsonLines(const std::filesystem::path& path) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

inline std::vector<InferenceRequest> ReadDemoRequests(const std::string& file_name) {
  std::vector<InferenceRequest> requests;
  for (const nlohmann::json& line : ReadJsonLines(DemoFolder() / file_name)) {
    InferenceRequest& request = requests.emplace_back();
    request.index = requests.size() - 1;
    for (const nlohmann::json& message : line["body"]["messages"]) {
      request.messages.push_back({message["role"], message["content"]});
    }
    request.max_tokens = line["body"]["max_tokens"];
    request.sampling.temperature = line["body"]["temperature"];
  }
  return requests;
}

// Runs everything; the results by request index.
inline Result<std::vector<AttemptResult>> Generate(Model& model, const RunnerOptions& options,
                                                   const std::vector<InferenceRequest>& requests) {
  FALLOW_ASSIGN_OR_RETURN(const auto runner, Runner::Create(model, options));
  for (const InferenceRequest& request : requests) runner->Add(1, request);
  std::map<std::uint64_t, AttemptResult> results;
  const StepControl control;
  while (!runner->idle()) {
    FALLOW_ASSIGN_OR_RETURN(auto finished, runner->Step(control));
    for (FinishedRequest& one : finished) results[one.result.request_index] = std::move(one.result);
  }
  std::vector<AttemptResult> ordered;
  for (auto& [index, result] : results) ordered.push_back(std::move(result));
  return ordered;
}

}  // namespace fallow::engine
