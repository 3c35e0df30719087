// Models, devices, keys: what operators look after.
#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "cli/commands.h"
#include "cli/records.h"

namespace fallow::cli {

namespace {

// Prints `reply` if JSON was asked for.
bool PrintedAsJson(Session& session, const Json& reply) {
  if (!session.as_json) return false;
  session.console.Print(reply.dump() + "\n");
  return true;
}

Result<Json> Delete(Session& session, const std::string& path) {
  return session.api.Call({.method = "DELETE", .path = path});
}

// Deletes and says so.
Result<ExitStatus> Remove(Session& session, const std::string& path, const std::string& what) {
  FALLOW_RETURN_IF_ERROR(Delete(session, path));
  if (session.as_json) {
    session.console.Print(Json{{"removed", what}}.dump() + "\n");
  } else {
    session.console.Note("removed " + Printable(what));
  }
  return kExitDone;
}

std::string AgoText(std::int64_t unix_seconds, const Clock& clock) {
  if (unix_seconds == 0) return "never";
  const std::int64_t age_s = UnixSeconds(clock.Wall()) - unix_seconds;
  constexpr std::int64_t kNow_s = 5;
  return age_s < kNow_s ? "now" : DurationText(static_cast<double>(age_s)) + " ago";
}

std::string ModelFacts(const ModelRecord& model) {
  std::string text;
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) text += fmt::format("{:<13} {}\n", name, Printable(value));
  };
  add("name", model.id);
  add("title", model.title);
  add("architecture", model.architecture);
  add("parameters", CountText(model.parameter_count));
  add("layers", fmt::format("{} of width {}", CountText(model.layer_count),
                            CountText(model.embedding_length)));
  add("context", CountText(model.context_length) + " tokens");
  add("weights", model.weight_types);
  add("tokenizer", fmt::format("{}, {} tokens", model.tokenizer, CountText(model.vocabulary_size)));
  add("chat", model.chat);
  add("size", BytesText(model.size_bytes));
  add("sha256", model.digest);
  add("added", TimeText(model.created_at));
  return text;
}

}  // namespace

Result<ExitStatus> ListModels(Session session) {
  FALLOW_ASSIGN_OR_RETURN(const Json reply, session.api.Call({.path = "/api/models"}));
  if (PrintedAsJson(session, reply)) return kExitDone;
  Table table({{"MODEL"},
               {"ARCHITECTURE"},
               {"PARAMETERS", Align::kRight},
               {"CONTEXT", Align::kRight},
               {"WEIGHTS"},
               {"SIZE", Align::kRight},
               {"ADDED"}});
  const std::vector<Json> models = DataOf(reply);
  for (const Json& json : models) {
    const ModelRecord model = ReadModel(json);
    table.AddRow({model.id, model.architecture, ShortCountText(model.parameter_count),
                  CountText(model.context_length), model.weight_types, BytesText(model.size_bytes),
                  TimeText(model.created_at)});
  }
  if (models.empty()) {
    session.console.Note("no models yet: `fallow models add FILE.gguf` adds one");
  } else {
    session.console.Print(table.Render(session.console.table_width()));
  }
  return kExitDone;
}

Result<ExitStatus> ShowModel(Session session, const std::string& name) {
  FALLOW_ASSIGN_OR_RETURN(const Json reply, session.api.Call({.path = "/api/models"}));
  for (const Json& json : DataOf(reply)) {
    if (TextOf(json, "id") != name) continue;
    if (!PrintedAsJson(session, json)) session.console.Print(ModelFacts(ReadModel(json)));
    return kExitDone;
  }
  return Fail(ErrorCode::kNotFound,
              fmt::format("the coordinator has no model '{}'; `fallow models` lists them", name));
}

Result<ExitStatus> AddModel(Session session, const std::string& file, std::string name) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error) && !error) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: not a file", file));
  }
  if (error) return Fail(ErrorCode::kNotFound, fmt::format("{}: {}", file, error.message()));
  if (name.empty()) name = std::filesystem::path(file).stem();
  ApiCall call{.method = "PUT", .path = "/api/models/" + PathSegment(name), .body_file = file};
  if (session.console.has_status_line()) {
    call.on_upload = [&console = session.console](std::uint64_t sent, std::uint64_t total) {
      const double fraction =
          total == 0 ? 0 : static_cast<double>(sent) / static_cast<double>(total);
      console.ShowStatus(fmt::format("{}  uploading {} of {}", Bar(fraction, 32, console.glyphs()),
                                     BytesText(sent), BytesText(total)));
    };
  }
  auto reply = session.api.Call(std::move(call));
  if (!reply.has_value()) return Wrap(std::move(reply).error(), file);
  if (!PrintedAsJson(session, *reply)) session.console.Print(ModelFacts(ReadModel(*reply)));
  return kExitDone;
}

Result<ExitStatus> RemoveModel(Session session, const std::string& name) {
  return Remove(session, "/api/models/" + PathSegment(name), name);
}

Result<ExitStatus> ListDevices(Session session) {
  FALLOW_ASSIGN_OR_RETURN(const Json reply, session.api.Call({.path = "/api/devices"}));
  if (PrintedAsJson(session, reply)) return kExitDone;
  Table table({{"DEVICE"},
               {"HOST"},
               {"STATE"},
               {"REASON"},
               {"RUNS ON"},
               {"TOKENS/S", Align::kRight},
               {"REQUESTS", Align::kRight},
               {"SEEN"}});
  const std::vector<Json> devices = DataOf(reply);
  for (const Json& json : devices) {
    const DeviceRecord device = ReadDevice(json);
    table.AddRow(
        {device.id, device.hostname, device.state, device.reason,
         device.backend.empty() ? "not known yet" : device.backend + " " + device.processor,
         RateText(device.tokens_per_second), CountText(device.completed_requests),
         AgoText(device.last_seen_at, session.clock)});
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
