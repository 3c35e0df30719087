// Devices and keys: what operators look after.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/records.h"
#include "cli/reply_output.h"

namespace fallow::cli {

namespace {

std::string AgoText(std::int64_t unix_seconds, const Clock& clock) {
  if (unix_seconds == 0) return "never";
  const std::int64_t age_s = UnixSeconds(clock.Wall()) - unix_seconds;
  constexpr std::int64_t kNow_s = 5;
  return age_s < kNow_s ? "now" : DurationText(static_cast<double>(age_s)) + " ago";
}

// "8.2 ms, 31 ms": within the first half of the times, within the second 99 of 100.
std::string YieldsText(const std::optional<YieldRecord>& yields) {
  if (!yields) return "not measured";
  return MillisecondsText(yields->p50_ms) + ", " + MillisecondsText(yields->p99_ms);
}

}  // namespace

Result<ExitStatus> ListDevices(Session session) {
  FALLOW_ASSIGN_OR_RETURN(const Json reply, session.api.Call({.path = "/api/devices"}));
  if (PrintedAsJson(session, reply)) return kExitDone;
  Table table({{"DEVICE"},
               {"HOST"},
               {"STATE"},
               {"REASON"},
               {"RUNS ON"},
               {"TOKENS/S", Align::kRight},
               {"GIVES BACK IN", Align::kRight},
               {"REQUESTS", Align::kRight},
               {"SEEN"}});
  const std::vector<Json> devices = DataOf(reply);
  for (const Json& json : devices) {
    const DeviceRecord device = ReadDevice(json);
    table.AddRow(
        {device.id, device.hostname, device.state, device.reason,
         device.backend.empty() ? "not known yet" : device.backend + " " + device.processor,
         RateText(device.tokens_per_second), YieldsText(device.yields),
         CountText(device.completed_requests), AgoText(device.last_seen_at, session.clock)});
  }
  if (devices.empty()) {
    session.console.Note(
        "no devices yet: run `fallow-agent join LINK` on one, with the link of `fallow join-link`");
  } else {
    session.console.Print(table.Render(session.console.table_width()));
  }
  return kExitDone;
}

Result<ExitStatus> RemoveDevice(Session session, const std::string& device_id) {
  return Remove(session, "/api/devices/" + PathSegment(device_id), device_id);
}

Result<ExitStatus> ShowJoinLink(Session session, bool rotate) {
  FALLOW_ASSIGN_OR_RETURN(
      const Json reply,
      session.api.Call(rotate ? ApiCall{.method = "POST", .path = "/api/join/rotate"}
                              : ApiCall{.path = "/api/join"}));
  if (!PrintedAsJson(session, reply))
    session.console.Print(Printable(TextOf(reply, "link")) + "\n");
  return kExitDone;
}

Result<ExitStatus> ListKeys(Session session) {
  FALLOW_ASSIGN_OR_RETURN(const Json reply, session.api.Call({.path = "/api/keys"}));
  if (PrintedAsJson(session, reply)) return kExitDone;
  Table table(
      {{"KEY"}, {"NAME"}, {"ROLE"}, {"ACCOUNT"}, {"BEGINS WITH"}, {"CREATED"}, {"REVOKED"}});
  for (const Json& json : DataOf(reply)) {
    const KeyRecord key = ReadKey(json);
    table.AddRow({key.id, key.name, key.role, key.account, key.prefix, TimeText(key.created_at),
                  key.revoked_at == 0 ? "" : TimeText(key.revoked_at)});
  }
  session.console.Print(table.Render(session.console.table_width()));
  return kExitDone;
}

Result<ExitStatus> AddKey(Session session, const NewKey& key) {
  Json body{{"name", key.name}, {"role", key.role}};
  if (!key.account.empty()) body["account"] = key.account;
  FALLOW_ASSIGN_OR_RETURN(const Json reply,
                          session.api.Call({.method = "POST", .path = "/api/keys", .body = body}));
  if (PrintedAsJson(session, reply)) return kExitDone;
  session.console.Print(Printable(TextOf(reply, "secret")) + "\n");
  session.console.Note("this is the key's only showing: the coordinator keeps its hash alone");
  return kExitDone;
}

Result<ExitStatus> RemoveKey(Session session, const std::string& key_id) {
  return Remove(session, "/api/keys/" + PathSegment(key_id), key_id);
}

Result<ExitStatus> ShowMe(Session session) {
  FALLOW_ASSIGN_OR_RETURN(const Json reply, session.api.Call({.path = "/api/me"}));
  if (PrintedAsJson(session, reply)) return kExitDone;
  const std::string text = fmt::format(
      "{} ({}), account {}, key {}; coordinator {}", TextOf(reply, "name"), TextOf(reply, "role"),
      TextOf(reply, "account"), TextOf(reply, "key_id"), TextOf(reply, "coordinator_version"));
  session.console.Print(Printable(text) + "\n");
  return kExitDone;
}

}  // namespace fallow::cli
