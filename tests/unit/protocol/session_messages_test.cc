#include "protocol/session_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/utf8.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

ByteView PayloadOf(const Bytes& frame) {
  return ByteView(frame).subspan(kFrameHeaderBytes);
}

SessionReport SampleReport() {
  return {.sequence = 7,
          .read_at = SteadyTime(3600s),
          .presence = {{.source = "wayland-0", .known = true, .idle_for = 1500ms, .detail = "é"},
                       {.source = "gamepads",
                        .detail = "none is plugged in",
                        .kind = PresenceReport::Kind::kGamepad},
                       {.source = "wayland-1",
                        .detail = "floods",
                        .kind = PresenceReport::Kind::kDistrusted}},
          .signals = {{.source = "x11 :0",
                       .known = true,
                       .active = true,
                       .detail = "Firefox",
                       .kind = SignalReport::Kind::kFullScreen},
                      {.source = "gamemode", .kind = SignalReport::Kind::kGameMode}},
          .seen_input_at = SteadyTime(3599s)};
}

// The message of the error that the daemon meets `report` with.
std::string Refusal(const SessionReport& report) {
  const Bytes frame = EncodeFrame(FromSession(report));
  const auto decoded = DecodeFromSession(PayloadOf(frame));
  return decoded ? "taken" : decoded.error().message;
}

TEST(SessionMessages, EveryMessageSurvivesTheWire) {
  SessionReport quiet;
  quiet.read_at = SteadyTime(1us);
  for (const FromSession& message : std::initializer_list<FromSession>{
           SessionHello{.session = "2", .session_type = "wayland", .desktop = "GNOME"},
           SessionHello{.protocol_version = 9}, SampleReport(), quiet, SessionGoodbye{}}) {
    EXPECT_EQ(DecodeFromSession(PayloadOf(EncodeFrame(message))), message) << message.index();
  }
  for (const ToSession& message : {ToSession(WatchInput{true}), ToSession(WatchInput{false})}) {
    EXPECT_EQ(DecodeToSession(PayloadOf(EncodeFrame(message))), message);
  }
}

TEST(SessionMessages, EmptyAndUnknownMessagesAreNamed) {
  EXPECT_EQ(DecodeFromSession({}).error().message,
            "message from session: empty or of an unknown kind");
  const Bytes unknown = {0x7A, 0x00};  // field 15, length 0
  EXPECT_EQ(DecodeToSession(unknown).error().message,
            "message to session: empty or of an unknown kind");
  EXPECT_THAT(DecodeFromSession(Bytes(kMaxSessionFrameBytes + 1)).error().message,
              HasSubstr("at most 65536"));
}

TEST(SessionMessages, TextsAreBoundedAndOneLineOfUtf8) {
  SessionReport report = SampleReport();
  report.presence[1].source = std::string(kMaxSessionTextBytes + 1, 'x');
  EXPECT_EQ(Refusal(report), "report: presence[1]: source: 513 bytes; at most 512");
  report.presence[1].source = "";
  EXPECT_THAT(Refusal(report), HasSubstr("presence[1]: source: missing"));
  report = SampleReport();
  report.signals[0].detail = "two\nlines";
  EXPECT_THAT(Refusal(report), HasSubstr("signals[0]: detail: has control characters"));
  report.signals[0].detail = "\xff";
  EXPECT_THAT(Refusal(report), HasSubstr("signals[0]: detail: not UTF-8"));
  const auto hello =
      DecodeFromSession(PayloadOf(EncodeFrame(FromSession(SessionHello{.session = "\x1b[2J"}))));
  EXPECT_THAT(hello.error().message, HasSubstr("hello: session: has control characters"));
}

TEST(SessionMessages, AbsurdNumbersAreNamed) {
  SessionReport report = SampleReport();
  report.presence[0].idle_for = kMaxIdleTime + 1ms;
  EXPECT_THAT(Refusal(report), HasSubstr("presence[0]: idle_ms: 3155760000001 ms; at most"));
  report.presence[0].idle_for = -1ms;
  EXPECT_THAT(Refusal(report), HasSubstr("presence[0]: idle_ms: 18446744073709551615 ms"));
  report = SampleReport();
  report.read_at = SteadyTime(kMaxSteadyTime + 1ms);
  EXPECT_THAT(Refusal(report), HasSubstr("read_at_us"));
  report = SampleReport();
  report.seen_input_at = SteadyTime(-1us);
  EXPECT_THAT(Refusal(report), HasSubstr("seen_input_at_us"));
}

TEST(SessionMessages, ASourceThatCannotTellClaimsNothing) {
  SessionReport report = SampleReport();
  report.presence[0].known = false;
  EXPECT_THAT(Refusal(report), HasSubstr("presence[0]: idle_ms: present, but"));
  report = SampleReport();
  report.signals[0].known = false;
  EXPECT_THAT(Refusal(report), HasSubstr("signals[0]: active: set, but"));
}

TEST(SessionMessages, SourcesAreCountedBeforeTheyAreParsed) {
  SessionReport report = SampleReport();
  report.presence.resize(kMaxSessionSources + 1, report.presence[0]);
  EXPECT_THAT(Refusal(report), HasSubstr("report: presence: more than 16"));
  report = SampleReport();
  report.signals.resize(kMaxSessionSources + 1, report.signals[0]);
  EXPECT_THAT(Refusal(report), HasSubstr("report: signals: more than 16"));
}

TEST(SessionMessages, TheLargestReportFitsItsFrame) {
  SessionReport report = SampleReport();
  const std::string longest(kMaxSessionTextBytes, 'x');
  report.presence.assign(
      kMaxSessionSources,
      {.source = longest, .known = true, .idle_for = kMaxIdleTime, .detail = longest});
  report.signals.assign(kMaxSessionSources, {.source = longest, .detail = longest});
  EXPECT_EQ(Refusal(report), "taken");
}

TEST(SessionMessages, DamagedPayloadsNeverDoMoreThanFail) {
  const Bytes frame = EncodeFrame(FromSession(SampleReport()));
  const Bytes good(PayloadOf(frame).begin(), PayloadOf(frame).end());
  std::size_t failures = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    failures += !DecodeFromSession(ByteView(good).first(at)).has_value();
    for (const std::uint8_t bits : {0x01, 0x80, 0xFF}) {
      Bytes bad = good;
      bad[at] ^= bits;
      failures += !DecodeFromSession(bad).has_value();
    }
  }
  EXPECT_GT(failures, good.size());
}

TEST(SessionMessages, WhateverASourceSaysCanBeMadeReportable) {
  EXPECT_EQ(ReportableText("a\nb\xff"), "a?b?");
  const std::string cut = ReportableText(std::string(kMaxSessionTextBytes - 1, 'x') + "é…");
  EXPECT_LE(cut.size(), kMaxSessionTextBytes);
  EXPECT_TRUE(IsValidUtf8(cut));
  EXPECT_THAT(cut, StartsWith("xxx"));
}

}  // namespace
}  // namespace fallow
