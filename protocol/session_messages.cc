#include "protocol/session_messages.h"

#include <fmt/format.h>

#include <utility>

#include "base/log_line.h"
#include "base/overloaded.h"
#include "base/utf8.h"
#include "generated/protocol/session.pb.h"
#include "protocol/frame_wire.h"
#include "protocol/inference_wire.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using wire::CheckText;
using wire::FieldError;
using wire::ShapeRule;

// UTF-8 within the limit that can neither begin a line of its own nor steer a terminal.
Status CheckLine(std::string_view field, std::string_view text) {
  FALLOW_RETURN_IF_ERROR(CheckText(field, text, kMaxSessionTextBytes));
  if (OneLine(text) != text)
    return FieldError(field, "has control characters; it is to be one line");
  return {};
}

// Fields that both kinds of report have.
template <class Wire>
Status CheckSource(const Wire& message) {
  if (message.source().empty()) return FieldError("source", "missing");
  // A kind that the parser does not know is absent too.
  if (!message.has_kind()) return FieldError("kind", "missing or unknown");
  FALLOW_RETURN_IF_ERROR(CheckLine("source", message.source()));
  return CheckLine("detail", message.detail());
}

Result<SteadyTime> ToSteadyTime(std::string_view field, std::uint64_t time_us) {
  if (time_us > static_cast<std::uint64_t>(microseconds(kMaxSteadyTime).count())) {
    return FieldError(field,
                      fmt::format("{} µs; at most {} days", time_us,
                                  std::chrono::floor<std::chrono::days>(kMaxSteadyTime).count()));
  }
  return SteadyTime(microseconds(time_us));
}

std::uint64_t Microseconds(SteadyTime time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

// The enumerations of values and wire count alike.
void FromValue(const PresenceReport& value, wire::PresenceReport& out) {
  out.set_source(value.source);
  out.set_known(value.known);
  out.set_idle_ms(static_cast<std::uint64_t>(value.idle_for.count()));
  out.set_detail(value.detail);
  out.set_kind(static_cast<wire::EvidenceKind>(value.kind));
}

void FromValue(const SignalReport& value, wire::SignalReport& out) {
  out.set_source(value.source);
  out.set_known(value.known);
  out.set_active(value.active);
  out.set_detail(value.detail);
  out.set_kind(static_cast<wire::SignalKind>(value.kind));
}

Result<PresenceReport> ToValue(wire::PresenceReport&& message) {
  FALLOW_RETURN_IF_ERROR(CheckSource(message));
  if (message.idle_ms() > static_cast<std::uint64_t>(kMaxIdleTime.count())) {
    return FieldError("idle_ms",
                      fmt::format("{} ms; at most {}", message.idle_ms(), kMaxIdleTime.count()));
  }
  if (!message.known() && message.idle_ms() != 0) {
    return FieldError("idle_ms", "present, but the source cannot tell");
  }
  return PresenceReport{.source = std::move(*message.mutable_source()),
                        .known = message.known(),
                        .idle_for = milliseconds(message.idle_ms()),
                        .detail = std::move(*message.mutable_detail()),
                        .kind = static_cast<PresenceReport::Kind>(message.kind())};
}

Result<SignalReport> ToValue(wire::SignalReport&& message) {
  FALLOW_RETURN_IF_ERROR(CheckSource(message));
  if (!message.known() && message.active()) {
    return FieldError("active", "set, but the source cannot tell");
  }
  return SignalReport{.source = std::move(*message.mutable_source()),
                      .known = message.known(),
                      .active = message.active(),
                      .detail = std::move(*message.mutable_detail()),
                      .kind = static_cast<SignalReport::Kind>(message.kind())};
}

template <class Value, class Repeated>
Status ReadAll(std::string_view field, Repeated& messages, std::vector<Value>& values) {
  values.reserve(static_cast<std::size_t>(messages.size()));
  for (int i = 0; i < messages.size(); ++i) {
    auto value = ToValue(std::move(*messages.Mutable(i)));
    if (!value) return Wrap(std::move(value).error(), fmt::format("{}[{}]", field, i));
    values.push_back(*std::move(value));
  }
  return {};
}

Result<FromSession> ToValue(wire::SessionHello&& message) {
  FALLOW_RETURN_IF_ERROR(CheckLine("session", message.session()));
  FALLOW_RETURN_IF_ERROR(CheckLine("session_type", message.session_type()));
  FALLOW_RETURN_IF_ERROR(CheckLine("desktop", message.desktop()));
  return SessionHello{.protocol_version = message.protocol_version(),
                      .session = std::move(*message.mutable_session()),
                      .session_type = std::move(*message.mutable_session_type()),
                      .desktop = std::move(*message.mutable_desktop())};
}

Result<FromSession> ToValue(wire::SessionReport&& message) {
  SessionReport value{.sequence = message.sequence()};
  FALLOW_ASSIGN_OR_RETURN(value.read_at, ToSteadyTime("read_at_us", message.read_at_us()));
  if (message.has_seen_input_at_us()) {
    FALLOW_ASSIGN_OR_RETURN(value.seen_input_at,
                            ToSteadyTime("seen_input_at_us", message.seen_input_at_us()));
  }
  FALLOW_RETURN_IF_ERROR(ReadAll("presence", *message.mutable_presence(), value.presence));
  FALLOW_RETURN_IF_ERROR(ReadAll("signals", *message.mutable_signals(), value.signals));
  return value;
}

Result<FromSession> Named(std::string_view name, Result<FromSession> value) {
  if (!value) return Wrap(std::move(value).error(), name);
  return value;
}

}  // namespace

Bytes EncodeFrame(const FromSession& value) {
  wire::FromSession message;
  std::visit(Overloaded{
                 [&](const SessionHello& hello) {
                   wire::SessionHello& out = *message.mutable_hello();
                   out.set_protocol_version(hello.protocol_version);
                   out.set_session(hello.session);
                   out.set_session_type(hello.session_type);
                   out.set_desktop(hello.desktop);
                 },
                 [&](const SessionReport& report) {
                   wire::SessionReport& out = *message.mutable_report();
                   out.set_sequence(report.sequence);
                   out.set_read_at_us(Microseconds(report.read_at));
                   for (const auto& reading : report.presence)
                     FromValue(reading, *out.add_presence());
                   for (const auto& signal : report.signals) FromValue(signal, *out.add_signals());
                   if (report.seen_input_at)
                     out.set_seen_input_at_us(Microseconds(*report.seen_input_at));
                 },
                 [&](const SessionGoodbye&) { message.mutable_goodbye(); },
             },
             value);
  return wire::Frame(message);
}

Bytes EncodeFrame(const ToSession& value) {
  wire::ToSession message;
  message.mutable_watch_input()->set_closely(std::get<WatchInput>(value).closely);
  return wire::Frame(message);
}

Result<FromSession> DecodeFromSession(ByteView payload) {
  static const std::array kReportRules = {
      ShapeRule{wire::SessionReport::kPresenceFieldNumber, "presence", kMaxSessionSources},
      ShapeRule{wire::SessionReport::kSignalsFieldNumber, "signals", kMaxSessionSources}};
  static const std::array kRules = {
      ShapeRule{wire::FromSession::kReportFieldNumber, "report", 1, kReportRules}};
  auto parsed = wire::Parse<wire::FromSession>(payload, kMaxSessionFrameBytes, kRules);
  if (!parsed) return Wrap(std::move(parsed).error(), "message from session");
  switch (parsed->message_case()) {
    case wire::FromSession::kHello:
      return Named("hello", ToValue(std::move(*parsed->mutable_hello())));
    case wire::FromSession::kReport:
      return Named("report", ToValue(std::move(*parsed->mutable_report())));
    case wire::FromSession::kGoodbye:
      return SessionGoodbye{};
    case wire::FromSession::MESSAGE_NOT_SET:
      break;
  }
  return FieldError("message from session", "empty or of an unknown kind");
}

Result<ToSession> DecodeToSession(ByteView payload) {
  auto parsed = wire::Parse<wire::ToSession>(payload, kMaxSessionFrameBytes, {});
  if (!parsed) return Wrap(std::move(parsed).error(), "message to session");
  if (!parsed->has_watch_input()) {
    return FieldError("message to session", "empty or of an unknown kind");
  }
  return WatchInput{parsed->watch_input().closely()};
}

std::string ReportableText(std::string_view text) {
  return OneLine(ToValidUtf8(text, kMaxSessionTextBytes));
}

}  // namespace fallow
