#include "agent/daemon/owner_calls.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "agent/daemon/policy/durations.h"
#include "base/log_line.h"

namespace fallow {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

std::string AnswerPause(const Json& call, const OwnerCallHandlers& handlers) {
  if (!call.contains("for_ms")) return handlers.pause(std::nullopt);
  const Json& duration = call["for_ms"];
  const bool fits = duration.is_number_integer() && duration.get<std::int64_t>() > 0 &&
                    duration.get<std::int64_t>() <= kMaxDuration.count();
  if (!fits) {
    return ErrorAnswer(
        fmt::format("a pause takes more than nothing and at most {}", ShortDuration(kMaxDuration)));
  }
  return handlers.pause(milliseconds(duration.get<std::int64_t>()));
}

// Why the caller may not; empty if it may.
std::string Refusal(Caller caller, std::string_view name) {
  if (caller == Caller::kMaster || (caller == Caller::kAtSeat && name != "stop")) return "";
  return fmt::format(
      "this machine's agent takes `{}` only from root{}: use sudo", name,
      name == "stop" ? "" : " and from whoever is logged in at this machine's own screen");
}

// Fit for a terminal; empty if there are none.
std::string WordsIn(std::string_view answer, const char* key) {
  const Json json = Json::parse(answer, nullptr, /*allow_exceptions=*/false);
  const bool there = json.is_object() && json.contains(key) && json[key].is_string();
  return there ? OneLine(json[key].get<std::string>()) : "";
}

}  // namespace

Caller CallerOf(const LocalPeer& peer, const std::function<bool(std::int64_t user_id)>& sits_here) {
  if (peer.is_ours) return Caller::kMaster;
  return sits_here(peer.user_id) ? Caller::kAtSeat : Caller::kStranger;
}

std::string AnswerOwnerCall(std::string_view call, Caller caller,
                            const OwnerCallHandlers& handlers) {
  const Json json = Json::parse(call, nullptr, /*allow_exceptions=*/false);
  const bool has_name = json.is_object() && json.contains("call") && json["call"].is_string();
  const std::string name = has_name ? json["call"].get<std::string>() : "";
  const auto handler = [&]() -> std::function<std::string()> {
    if (name == "status") return handlers.status;
    if (name == "why") return handlers.why;
    if (name == "log") return handlers.log;
    if (name == "pause") return [&] { return AnswerPause(json, handlers); };
    if (name == "resume") return handlers.resume;
    if (name == "stop") return handlers.stop;
    return nullptr;
  }();
  if (handler == nullptr) {
    return ErrorAnswer(
        "an unknown call: the running agent is of another version than this command; restart it");
  }
  const std::string refusal = Refusal(caller, name);
  return refusal.empty() ? handler() : ErrorAnswer(refusal);
}

std::string SimpleCall(std::string_view name) {
  return Json{{"call", name}}.dump();
}

std::string PauseCall(std::optional<milliseconds> duration) {
  Json call = {{"call", "pause"}};
  if (duration) call["for_ms"] = duration->count();
  return call.dump();
}

std::string ErrorAnswer(std::string_view text) {
  return Json{{"error", text}}.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string DoneAnswer(const Status& kept, std::string_view note) {
  Json answer = Json::object();
  if (!kept) answer["warning"] = kept.error().message;
  if (!note.empty()) answer["note"] = note;
  return answer.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string WarningOf(std::string_view answer) {
  return WordsIn(answer, "warning");
}

std::string NoteOf(std::string_view answer) {
  return WordsIn(answer, "note");
}

Status CheckAnswer(std::string_view answer) {
  const Json json = Json::parse(answer, nullptr, /*allow_exceptions=*/false);
  if (json.is_object() && json.contains("error") && json["error"].is_string())
    return Fail(ErrorCode::kFailedPrecondition, OneLine(json["error"].get<std::string>()));
  return {};
}

}  // namespace fallow
