#include "cli/access.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/link.h"
#include "platform/paths.h"

namespace fallow::cli {

std::string AccessPath() {
  return ConfigDirectory() + "/access.json";
}

Result<std::optional<Access>> LoadAccess(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  FALLOW_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const auto field = [&](const char* name) -> std::optional<std::string> {
    if (!json.is_object() || !json.contains(name) || !json[name].is_string()) return std::nullopt;
    return json[name].get<std::string>();
  };
  const auto url = field("url"), key = field("key");
  if (!url.has_value() || !key.has_value()) {
    return Fail(
        ErrorCode::kDataLoss,
        fmt::format("{}: not what `fallow login` writes; run `fallow login LINK` again", path));
  }
  return Access{.url = *url, .key = *key, .authority_pem = field("authority_pem")};
}

Status StoreAccess(const std::string& path, const Access& access) {
  FALLOW_RETURN_IF_ERROR(MakePrivateDirectory(std::filesystem::path(path).parent_path()));
  nlohmann::ordered_json json = {{"url", access.url}, {"key", access.key}};
  if (access.authority_pem.has_value()) json["authority_pem"] = *access.authority_pem;
  return WriteFileAtomically(path, json.dump(2) + "\n");
}

Result<Access> ResolveAccess(
    const AccessOptions& options,
    const std::function<std::optional<std::string>(const std::string&)>& environment,
    const std::optional<Access>& stored) {
  const auto chosen = [&](const std::string& option, const char* variable) {
    return option.empty() ? environment(variable).value_or("") : option;
  };
  const std::string url = chosen(options.url, "FALLOW_URL");
  const std::string key = chosen(options.key, "FALLOW_API_KEY");
  const std::string authority_file = chosen(options.authority_file, "FALLOW_CA");

  Access access;
  if (!url.empty()) {
    FALLOW_ASSIGN_OR_RETURN(access.url, ParseCoordinatorUrl(url));
  } else if (stored.has_value()) {
    access.url = stored->url;
  } else {
    return Fail(ErrorCode::kFailedPrecondition,
                "no coordinator: run `fallow login LINK` with its sign-in link, or set FALLOW_URL "
                "and FALLOW_API_KEY");
  }
  const bool stored_counts = stored.has_value() && stored->url == access.url;
  if (!key.empty()) {
    access.key = key;
  } else if (stored_counts) {
    access.key = stored->key;
  } else {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("no API key for {}: run `fallow login LINK` with its sign-in link, or "
                            "set FALLOW_API_KEY",
                            access.url));
  }
  FALLOW_RETURN_IF_ERROR(CheckKey(access.key));
  if (!authority_file.empty()) {
    FALLOW_ASSIGN_OR_RETURN(access.authority_pem, ReadSmallFile(authority_file));
  } else if (stored_counts) {
    access.authority_pem = stored->authority_pem;
  }
  return access;
}

}  // namespace fallow::cli
