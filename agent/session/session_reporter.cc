#include "agent/session/session_reporter.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;

// Two readings of one idle clock differ by so much without any input between them.
constexpr milliseconds kReadingJitter{50};

PresenceReport::Kind KindOf(PresenceKind kind) {
  switch (kind) {
    case PresenceKind::kInput:
      return PresenceReport::Kind::kInput;
    case PresenceKind::kGamepad:
      return PresenceReport::Kind::kGamepad;
    case PresenceKind::kRemote:
      return PresenceReport::Kind::kRemote;
    case PresenceKind::kDistrusted:
      break;
  }
  return PresenceReport::Kind::kDistrusted;
}

SignalReport::Kind KindOf(SessionSignalKind kind) {
  switch (kind) {
    case SessionSignalKind::kFullScreen:
      return SignalReport::Kind::kFullScreen;
    case SessionSignalKind::kGameMode:
      return SignalReport::Kind::kGameMode;
    case SessionSignalKind::kIdleInhibitor:
      break;
  }
  return SignalReport::Kind::kIdleInhibitor;
}

std::string SourceName(const std::string& name) {
  std::string text = ReportableText(name);
  return text.empty() ? "unnamed" : text;
}

PresenceReport ToReport(const PresenceReading& reading) {
  return {.source = SourceName(reading.source),
          .known = reading.known,
          .idle_for = reading.known ? std::clamp(reading.idle_for, milliseconds(0), kMaxIdleTime)
                                    : milliseconds(0),
          .detail = ReportableText(reading.detail),
          .kind = KindOf(reading.kind)};
}

SignalReport ToReport(const SessionSignal& signal) {
  return {.source = SourceName(signal.source),
          .known = signal.known,
          .active = signal.known && signal.active,
          .detail = ReportableText(signal.detail),
          .kind = KindOf(signal.kind)};
}

}  // namespace

SessionReporter::SessionReporter(Loop& loop, const Clock& clock, SessionHello hello,
                                 std::vector<PresenceSet::Kind> presence,
                                 std::vector<SignalSet::Kind> signals,
                                 SessionReporterOptions options)
    : loop_(loop),
      clock_(clock),
      hello_(std::move(hello)),
      options_(options),
      presence_(clock, std::move(presence)),
      signals_(clock, std::move(signals)) {
  presence_.OnOpen([this](std::size_t place, PresenceSource& source) {
    if (closely_) AwaitInputOf(place, source);
  });
  signals_.OnOpen([this](std::size_t, SessionSignalSource& source) {
    source.OnChange([this] { OnSignalChange(); });
  });
}

SessionReporter::~SessionReporter() = default;

// ---- The daemon ---------------------------------------------------------------------------------

void SessionReporter::Attach(std::unique_ptr<ByteStream> daemon, OnLost on_lost) {
  daemon_ = std::move(daemon);
  on_lost_ = std::move(on_lost);
  reader_.emplace(kMaxSessionFrameBytes);
  last_ = SessionReport{};
  daemon_->SetHandler(
      {.on_data = [this](ByteView bytes) { OnData(bytes); },
       .on_end =
           [this](const Status& status) { Lose(status ? "it hung up" : status.error().message); },
       .on_writable = nullptr});
  heartbeat_timer_ = loop_.Every(options_.heartbeat, [this] { Heartbeat(); });
  Send(hello_);
  ReadAndReport(std::nullopt);
}

void SessionReporter::Heartbeat() {
  ReadAndReport(std::nullopt);
  if (!closely_ && options_.at_rest) options_.at_rest();
}

void SessionReporter::SayGoodbye() {
  if (daemon_ == nullptr) return;
  WatchClosely(false);
  heartbeat_timer_.reset();
  gap_timer_.reset();
  Send(SessionGoodbye{});
  daemon_->Shutdown();
}

void SessionReporter::Lose(const std::string& why) {
  if (daemon_ == nullptr) return;
  WatchClosely(false);
  heartbeat_timer_.reset();
  gap_timer_.reset();
  daemon_.reset();
  if (const auto call = std::exchange(on_lost_, nullptr)) call(why);
}

void SessionReporter::Send(const FromSession& message) {
  if (daemon_ == nullptr) return;
  // A daemon that reads nothing hears nothing: the connection is of no use.
  if (daemon_->pending_write_bytes() > kMaxSessionFrameBytes) return Lose("it does not listen");
  daemon_->Write(EncodeFrame(message));
}

void SessionReporter::OnData(ByteView bytes) {
  reader_->Feed(bytes);
  while (daemon_ != nullptr) {
    const auto payload = reader_->Next();
    if (payload && !*payload) return;
    const auto message =
        payload ? DecodeToSession(**payload) : Result<ToSession>(std::unexpected(payload.error()));
    if (!message) return Lose("it sent what cannot be read: " + message.error().message);
    WatchClosely(std::get<WatchInput>(*message).closely);
  }
}

// ---- Reports ------------------------------------------------------------------------------------

void SessionReporter::ReadAndReport(std::optional<SteadyTime> seen_input_at) {
  // Taken before: what is read later may only have seen more.
  const SteadyTime read_at = clock_.Steady();
  const std::vector<PresenceReading> presence = presence_.Read();
  const std::vector<SessionSignal> signals = signals_.Read();
  last_.presence.clear();
  last_.signals.clear();
  for (const PresenceReading& reading : presence) last_.presence.push_back(ToReport(reading));
  for (const SessionSignal& signal : signals) last_.signals.push_back(ToReport(signal));
  last_.read_at = read_at;
  KeepToToldInput();
  last_.seen_input_at = seen_input_at;
  ++last_.sequence;
  Send(last_);
}

// A wait also ends when its source does not answer for a moment, and that was told as input. Were
// it taken back, the daemon would believe this login nothing for a long while.
void SessionReporter::KeepToToldInput() {
  for (const auto& [place, told_at] : told_input_) {
    if (place >= last_.presence.size() || !last_.presence[place].known) continue;
    milliseconds& idle_for = last_.presence[place].idle_for;
    idle_for = std::min(idle_for, std::chrono::floor<milliseconds>(last_.read_at - told_at));
  }
}

void SessionReporter::ReportInput(std::size_t place) {
  if (!reporting()) return;
  const SteadyTime now = clock_.Steady();
  if (gap_timer_ != nullptr) {
    to_tell_ = true;
    to_tell_input_ = now;
    return;
  }
  // Idle times grow with the clock until somebody reads them anew.
  const auto passed = std::chrono::floor<milliseconds>(now - last_.read_at);
  for (PresenceReport& reading : last_.presence) {
    if (reading.known) reading.idle_for = std::min(reading.idle_for + passed, kMaxIdleTime);
  }
  if (place < last_.presence.size()) {
    last_.presence[place].known = true;
    last_.presence[place].idle_for = milliseconds(0);
  }
  told_input_[place] = now;
  last_.read_at += passed;
  last_.seen_input_at = now;
  ++last_.sequence;
  gap_timer_ = loop_.After(options_.urgent_gap, [this] { OnGapOver(); });
  Send(last_);
}

void SessionReporter::OnSignalChange() {
  // Not from inside the source's call: reading may destroy it.
  loop_.Post([this, alive = std::weak_ptr<int>(alive_)] {
    if (!alive.expired() && reporting()) TellSoon();
  });
}

void SessionReporter::TellSoon() {
  if (gap_timer_ != nullptr) {
    to_tell_ = true;
    return;
  }
  gap_timer_ = loop_.After(options_.urgent_gap, [this] { OnGapOver(); });
  to_tell_ = false;
  ReadAndReport(std::exchange(to_tell_input_, std::nullopt));
}

void SessionReporter::OnGapOver() {
  gap_timer_.reset();
  if (to_tell_) TellSoon();
  if (closely_) AwaitInput();
}

// ---- Input --------------------------------------------------------------------------------------

void SessionReporter::WatchClosely(bool closely) {
  if (std::exchange(closely_, closely) == closely) return;
  if (closely) {
    // First, so that what came before is told with its time. What comes in between ends the wait.
    ReadAndReport(std::nullopt);
    AwaitInput();
    return;
  }
  presence_.ForEach([](std::size_t, PresenceSource& source) { source.AwaitInput(nullptr); });
  polled_.clear();
  poll_timer_.reset();
}

void SessionReporter::AwaitInput() {
  polled_.clear();
  presence_.ForEach(
      [this](std::size_t place, PresenceSource& source) { AwaitInputOf(place, source); });
  if (polled_.empty()) poll_timer_.reset();
}

void SessionReporter::AwaitInputOf(std::size_t place, PresenceSource& source) {
  if (source.AwaitInput([this, place] { ReportInput(place); })) return;
  polled_.push_back(place);
  if (poll_timer_ == nullptr) {
    poll_timer_ = loop_.Every(options_.poll_period, [this] { Poll(); });
  }
}

void SessionReporter::Poll() {
  std::optional<std::size_t> touched;
  presence_.ForEach([&](std::size_t place, PresenceSource& source) {
    if (std::ranges::find(polled_, place) == polled_.end()) return;
    if (place >= last_.presence.size() || !last_.presence[place].known) return;
    const PresenceReading reading = source.Read();
    const SteadyTime told = last_.read_at - last_.presence[place].idle_for;
    // One that cannot tell any more counts as use, like the input that it may not have seen.
    const bool is_input =
        !reading.known || clock_.Steady() - reading.idle_for > told + kReadingJitter;
    if (is_input) touched = place;
  });
  if (touched) ReportInput(*touched);
}

}  // namespace fallow
