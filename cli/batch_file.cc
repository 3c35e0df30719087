#include "cli/batch_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

namespace fallow::cli {

namespace {

constexpr std::string_view kChatEndpoint = "/v1/chat/completions";
// Of a file, where its first line is looked for: a line may have 1 MiB.
constexpr std::size_t kMaxHeadBytes = 2 << 20;

}  // namespace

Result<std::string> EndpointOf(const std::string& batch_file) {
  std::ifstream in(batch_file, std::ios::binary);
  if (!in)
    return Fail(ErrorCode::kNotFound, fmt::format("{}: {}", batch_file, std::strerror(errno)));
  std::string head(kMaxHeadBytes, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(in.gcount()));
  std::string_view rest = head;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
  const auto line = nlohmann::json::parse(rest.substr(0, rest.find('\n')), nullptr, false);
  if (line.is_object()) {
    const auto url = line.find("url");
    if (url != line.end() && url->is_string()) return url->get<std::string>();
  }
  return std::string(kChatEndpoint);
}

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
