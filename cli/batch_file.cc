#include "cli/batch_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

namespace fallow::cli {

std::optional<std::string> LineWithModel(std::string_view line, std::string_view model) {
  // Key order is kept; a number beyond 64 bits would change, but no field that counts holds one.
  auto json = nlohmann::ordered_json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("body") || !json["body"].is_object()) return std::nullopt;
  auto& field = json["body"]["model"];
  if (field.is_string() && field.get_ref<const std::string&>() == model) return std::nullopt;
  field = model;
  return json.dump();
}

Result<std::uint64_t> CopyWithModel(const std::string& source, const std::string& destination,
                                    std::string_view model) {
  std::ifstream in(source, std::ios::binary);
  if (!in) return Fail(ErrorCode::kNotFound, fmt::format("{}: {}", source, std::strerror(errno)));
  std::ofstream out(destination, std::ios::binary | std::ios::trunc);
  std::uint64_t changed = 0;
  std::string line;
  while (std::getline(in, line)) {
    if (const auto rewritten = LineWithModel(line, model); rewritten.has_value()) {
      out << *rewritten;
      ++changed;
    } else {
      out << line;
    }
    if (!in.eof()) out << '\n';
  }
  if (in.bad())
    return Fail(ErrorCode::kInternal, fmt::format("{}: cannot be read to its end", source));
  out.close();
  if (!out) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{}: cannot be written; is the disk full?", destination));
  }
  return changed;
}

}  // namespace fallow::cli
