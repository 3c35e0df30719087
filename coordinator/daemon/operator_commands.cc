#include "coordinator/daemon/operator_commands.h"

#include <fmt/format.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "coordinator/api/api.h"
#include "coordinator/artifacts/directory/directory_store.h"
#include "coordinator/store/sqlite/sqlite_store.h"
#include "platform/file.h"
#include "platform/http_client.h"
#include "platform/paths.h"
#include "platform/system.h"

namespace fallow {
namespace {

using Json = nlohmann::json;

constexpr std::chrono::milliseconds kCallTimeout{10'000};
constexpr std::size_t kAccountIdBytes = 12;

// The links of the coordinator that has the folder, or had it last.
Result<api::ApiOptions> ReadAddress(const DataFolder& folder) {
  const auto text = ReadSmallFile(folder.address());
  if (!text.has_value())
    return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format(
            "no coordinator has run on {} yet; start one with `fallow-coordinator --data-dir {}`",
            folder.path, folder.path));
  const Json address = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  FALLOW_ASSIGN_OR_RETURN(const std::string authority,
                          ReadSmallFile(folder.authority_certificate()));
  FALLOW_ASSIGN_OR_RETURN(const Digest pin, CertificatePin(authority));
  if (!address.is_object() || !address.contains("url") || !address["url"].is_string())
    return Fail(ErrorCode::kDataLoss,
                fmt::format("{} is damaged; start the coordinator anew", folder.address()));
  return api::ApiOptions{
      .url = address["url"].get<std::string>(), .authority_pem = authority, .pin = pin.Hex()};
}

// One call to the running coordinator, as its first operator.
Result<Json> Ask(const DataFolder& folder, const api::ApiOptions& address,
                 const std::string& method, const std::string& path, const Json& body) {
  const auto secret = ReadSmallFile(folder.operator_key());
  if (!secret.has_value())
    return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format(
            "a coordinator runs on {} and there is no {} to ask it with; stop it first, or use "
            "`fallow` or the dashboard",
            folder.path, folder.operator_key()));
  const auto loop = NewMainLoop();
  const auto client = NewHttpClient(*loop, {.authority_pem = address.authority_pem});
  HttpRequest request{
      .method = method,
      .url = address.url + path,
      .headers = {{"authorization", "Bearer " + *secret}, {"content-type", "application/json"}},
      .timeout = kCallTimeout};
  if (!body.is_null()) {
    const std::string text = body.dump(-1, ' ', false, Json::error_handler_t::replace);
    request.body.assign(text.begin(), text.end());
  }
  Result<HttpReply> reply = Fail(ErrorCode::kInternal, "no reply");
  const auto exchange = client->Send(std::move(request), [&](Result<HttpReply> got) {
    reply = std::move(got);
    loop->Stop();
  });
  loop->Run();
  if (!reply.has_value())
    return Wrap(reply.error(), fmt::format("asking the coordinator at {}", address.url));
  Json json = Json::parse(AsText(reply->body), nullptr, /*allow_exceptions=*/false);
  if (reply->status == 200 && json.is_object()) return json;
  const bool has_message = json.is_object() && json.contains("error") &&
                           json["error"].is_object() &&
                           json["error"].value("message", Json()).is_string();
  return Fail(ErrorCode::kFailedPrecondition,
              fmt::format("the coordinator at {} refused: {}", address.url,
                          has_message ? json["error"]["message"].get<std::string>()
                                      : fmt::format("status {}", reply->status)));
}

// Calls `fn` with the services of a folder that no coordinator runs on; kUnavailable if one does.
Status WithServices(const DataFolder& folder,
                    const std::function<Status(Coordinator&, Random&)>& fn) {
  FALLOW_RETURN_IF_ERROR(MakePrivateDirectory(folder.path));
  const auto loop = NewMainLoop();
  const auto clock = NewSystemClock();
  const auto random = NewSystemRandom();
  FALLOW_ASSIGN_OR_RETURN(const auto store, OpenSqliteStore(folder.store(), {}));
  FALLOW_ASSIGN_OR_RETURN(const auto artifacts, OpenDirectoryStore(folder.artifacts(), {}));
  FALLOW_ASSIGN_OR_RETURN(const auto coordinator,
                          NewCoordinator(*loop, *clock, *random, *store, *artifacts, {}));
  return fn(*coordinator, *random);
}

std::string SignInLinkOrNone(const Result<api::ApiOptions>& address,
                             const std::optional<std::string>& secret) {
  return address.has_value() && secret.has_value() ? api::SignInLink(*address, *secret) : "";
}

}  // namespace

Result<LinksReply> ShowLinks(const DataFolder& folder) {
  FALLOW_ASSIGN_OR_RETURN(const auto address, ReadAddress(folder));
  LinksReply links{.url = address.url};
  const Status offline = WithServices(folder, [&](Coordinator& coordinator, Random&) -> Status {
    FALLOW_ASSIGN_OR_RETURN(const std::string token, coordinator.devices().JoinToken());
    links.join_link = api::JoinLink(address, token);
    const auto secret = ReadSmallFile(folder.operator_key());
    if (!secret.has_value()) return {};
    FALLOW_ASSIGN_OR_RETURN(const auto key, coordinator.keys().Find(*secret));
    if (key.has_value()) links.sign_in_link = api::SignInLink(address, *secret);
    return {};
  });
  if (offline.has_value()) return links;
  if (offline.error().code != ErrorCode::kUnavailable) return std::unexpected(offline.error());

  FALLOW_ASSIGN_OR_RETURN(const Json reply, Ask(folder, address, "GET", "/api/join", nullptr));
  links.running = true;
  links.join_link = reply.value("link", "");
  FALLOW_ASSIGN_OR_RETURN(const std::string secret, ReadSmallFile(folder.operator_key()));
  links.sign_in_link = api::SignInLink(address, secret);
  return links;
}

Result<CreatedKey> CreateKey(const DataFolder& folder, const std::string& name, Role role) {
  const auto address = ReadAddress(folder);
  CreatedKey created;
  const Status offline =
      WithServices(folder, [&](Coordinator& coordinator, Random& random) -> Status {
        FALLOW_ASSIGN_OR_RETURN(const auto made,
                                coordinator.keys().Create(
                                    AccountId("acct_" + random.Hex(kAccountIdBytes)), role, name));
        created = {.id = made.key.id.value,
                   .secret = made.secret,
                   .sign_in_link = SignInLinkOrNone(address, made.secret)};
        return {};
      });
  if (offline.has_value()) return created;
  if (offline.error().code != ErrorCode::kUnavailable) return std::unexpected(offline.error());

  if (!address.has_value()) return std::unexpected(address.error());
  FALLOW_ASSIGN_OR_RETURN(
      const Json reply,
      Ask(folder, *address, "POST", "/api/keys",
          {{"name", name}, {"role", role == Role::kOperator ? "operator" : "submitter"}}));
  created.id = reply.value("id", "");
  created.secret = reply.value("secret", "");
  created.sign_in_link = api::SignInLink(*address, created.secret);
  return created;
}

}  // namespace fallow
