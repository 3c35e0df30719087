// A session desk whose helpers the test plays.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/daemon/session_desk.h"
#include "platform/fake/clock.h"
#include "platform/fake/fake_loop.h"
#include "platform/fake/fake_stream.h"
#include "protocol/limits.h"
#include "protocol/session_messages.h"

namespace fallow {

inline constexpr std::int64_t kAnna = 1000;
inline constexpr std::int64_t kBen = 1001;

// One helper's end of a connection.
struct FakeHelper {
  std::unique_ptr<FakeStream> stream;
  std::string read;
  std::uint64_t sequence = 0;
  bool ended = false;

  // The wishes of the desk so far.
  std::vector<bool> Wishes() const {
    FrameReader reader(kMaxSessionFrameBytes);
    reader.Feed(AsBytes(read));
    std::vector<bool> wishes;
    while (const auto payload = reader.Next().value()) {
      wishes.push_back(std::get<WatchInput>(DecodeToSession(*payload).value()).closely);
    }
    return wishes;
  }
};

struct SessionDeskFixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  int changes = 0;
  SessionDeskOptions options{
      .user_name = [](std::int64_t id) { return id == kAnna ? "anna" : fmt::to_string(id); }};
  std::unique_ptr<SessionDesk> desk =
      std::make_unique<SessionDesk>(loop, clock, options, [this] { ++changes; });
  std::deque<FakeHelper> helpers;

  FakeHelper& Connect(std::int64_t user = kAnna) {
    auto [ours, theirs] = FakeStream::MakePair(loop);
    FakeHelper& helper = helpers.emplace_back();
    helper.stream = std::move(ours);
    helper.stream->SetHandler(
        {.on_data = [&helper](ByteView bytes) { helper.read += AsText(bytes); },
         .on_end = [&helper](const Status&) { helper.ended = true; },
         .on_writable = nullptr});
    desk->Accept(std::move(theirs), user, 77);
    loop.RunPending();
    return helper;
  }
  void Say(FakeHelper& helper, const FromSession& message) {
    helper.stream->Write(EncodeFrame(message));
    loop.RunPending();
  }
  SessionReport Report(FakeHelper& helper, std::chrono::milliseconds idle_for) {
    return {.sequence = ++helper.sequence,
            .read_at = clock.Steady(),
            .presence = {{.source = "x11 :0", .known = true, .idle_for = idle_for}}};
  }
  // A helper that has said hello and reported.
  FakeHelper& Introduce(std::chrono::milliseconds idle_for, std::int64_t user = kAnna,
                        std::string session = "2") {
    FakeHelper& helper = Connect(user);
    Say(helper, SessionHello{.session = std::move(session), .session_type = "x11"});
    Say(helper, Report(helper, idle_for));
    return helper;
  }
  int TakeChanges() { return std::exchange(changes, 0); }
};

inline auto IsDistrusted(const std::string& why) {
  return ::testing::AllOf(
      ::testing::Field(&PresenceReading::kind, PresenceKind::kDistrusted),
      ::testing::Field(&PresenceReading::known, true),
      ::testing::Field(&PresenceReading::idle_for, std::chrono::milliseconds(0)),
      ::testing::Field(&PresenceReading::source, ::testing::HasSubstr("session helper (")),
      ::testing::Field(&PresenceReading::detail, ::testing::HasSubstr(why)));
}
inline auto IsIdleFor(std::chrono::milliseconds idle_for) {
  return ::testing::AllOf(::testing::Field(&PresenceReading::kind, PresenceKind::kInput),
                          ::testing::Field(&PresenceReading::known, true),
                          ::testing::Field(&PresenceReading::idle_for, idle_for));
}

}  // namespace fallow
