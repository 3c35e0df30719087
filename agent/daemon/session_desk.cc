#include "agent/daemon/session_desk.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <utility>

#include "agent/daemon/departed_helpers.h"
#include "agent/daemon/report_values.h"
#include "agent/daemon/session_trust.h"
#include "base/log.h"
#include "base/overloaded.h"
#include "protocol/limits.h"
#include "protocol/session_messages.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFloodWindow{10'000};
// Input that was seen longer ago than this was not told at once: when it came here counts.
constexpr milliseconds kMaxToldLate{2'000};
// A process that connects again and again fills no log.
constexpr milliseconds kRefusalLogPeriod{60'000};

// One connection.
struct Helper {
  std::unique_ptr<ByteStream> stream;
  std::int64_t user_id = 0;
  std::int64_t process_id = 0;
  std::string user;  // by name
  SteadyTime connected_at;
  FrameReader reader{kMaxSessionFrameBytes};
  SteadyTime window_start;
  std::size_t window_count = 0;  // messages since then

  std::optional<SessionHello> hello;
  std::optional<SessionReport> report;  // the last one
  SteadyTime heard_at;                  // when that came
  SessionTrust trust;
  std::string lie;  // or other misdeed: the last one, which counts until `lie_until`
  SteadyTime lie_until;
  bool told_stale = false;  // the policy knows of the silence
};

bool SeesInput(const SessionReport& report) {
  return std::ranges::any_of(report.presence, [](const PresenceReport& told) {
    return told.known && told.kind == PresenceReport::Kind::kInput;
  });
}

DepartedHelper OfHelper(const Helper& helper, DepartedHelper one) {
  one.user_id = helper.user_id;
  one.user = helper.user;
  if (helper.hello) one.session = helper.hello->session;
  return one;
}

}  // namespace

struct SessionDesk::Impl {
  using Place = std::list<Helper>::iterator;
  using Cause = DepartedHelper::Cause;

  Impl(Loop& the_loop, const Clock& the_clock, SessionDeskOptions the_options,
       std::function<void()> the_on_change)
      : loop(the_loop),
        clock(the_clock),
        options(std::move(the_options)),
        on_change(std::move(the_on_change)),
        departed(2 * options.max_helpers) {}

  void Accept(std::unique_ptr<ByteStream> stream, std::int64_t user_id, std::int64_t process_id);
  void OnData(Place helper, ByteView bytes);
  void OnEnd(Place helper);
  // Each of these: false if the connection has been ended.
  bool Handle(Place helper, const FromSession& message);
  bool HandleHello(Place helper, const SessionHello& hello);
  bool HandleReport(Place helper, const SessionReport& report);
  void TellWish(Helper& helper);  // whether to watch closely

  // Ends the connection for a reason that counts as use.
  void Misbehaved(Place helper, std::string why);
  // Ends the connection; what is remembered of it counts as use.
  void Leave(Place helper, std::optional<DepartedHelper> remembered);
  void Depart(DepartedHelper one);
  bool IsRefused(std::int64_t user_id, SteadyTime now);

  // Why a helper is not believed; empty if it is.
  std::string TroubleOf(const Helper& helper, SteadyTime now) const;
  bool IsStale(const Helper& helper, SteadyTime now) const {
    return helper.report && now - helper.report->read_at > options.stale_after;
  }
  // Does what time alone makes due, and comes again when more may be.
  void LookAtTheTime();
  void ScheduleLook();
  void TellChange() {
    ScheduleLook();
    if (std::exchange(changed, false)) on_change();
  }

  Loop& loop;
  const Clock& clock;
  const SessionDeskOptions options;
  const std::function<void()> on_change;
  std::list<Helper> helpers;
  DepartedHelpers departed;
  std::optional<SteadyTime> last_input;
  std::optional<SteadyTime> refusal_logged_at;
  bool closely = false;
  bool changed = false;
  SteadyTime look_at;
  std::unique_ptr<Timer> look_timer;
};

// ---- Connections --------------------------------------------------------------------------------

bool SessionDesk::Impl::IsRefused(std::int64_t user_id, SteadyTime now) {
  if (departed.Misbehaved(user_id, now)) return true;  // which counts as use already
  const auto of_user =
      static_cast<std::size_t>(std::ranges::count(helpers, user_id, &Helper::user_id));
  std::string why;
  if (of_user >= options.max_helpers_per_user) {
    why = fmt::format("{} helpers of this user report already, which is the limit", of_user);
  } else if (helpers.size() >= options.max_helpers) {
    why = fmt::format("{} helpers report already, which is the limit", helpers.size());
  } else {
    return false;
  }
  // Somebody is there whom nobody watches.
  const std::string user = ReportableText(options.user_name(user_id));
  if (!refusal_logged_at || now - *refusal_logged_at >= kRefusalLogPeriod) {
    refusal_logged_at = now;
    LOG_WARN("agent: refused a session helper user={}: {}", user, why);
  }
  Depart({.cause = Cause::kRefused,
          .user_id = user_id,
          .user = user,
          .why = why,
          .until = now + options.distrust_for});
  return true;
}

void SessionDesk::Impl::Accept(std::unique_ptr<ByteStream> stream, std::int64_t user_id,
                               std::int64_t process_id) {
  const SteadyTime now = clock.Steady();
  if (IsRefused(user_id, now)) return TellChange();
  const Place helper = helpers.emplace(helpers.end());
  helper->stream = std::move(stream);
  helper->user_id = user_id;
  helper->process_id = process_id;
  helper->user = ReportableText(options.user_name(user_id));
  helper->connected_at = helper->window_start = now;
  helper->stream->SetHandler({.on_data = [this, helper](ByteView bytes) { OnData(helper, bytes); },
                              .on_end = [this, helper](const Status&) { OnEnd(helper); },
                              .on_writable = nullptr});
  TellChange();
}

void SessionDesk::Impl::OnData(Place helper, ByteView bytes) {
  helper->reader.Feed(bytes);
  while (true) {
    auto payload = helper->reader.Next();
    if (payload && !*payload) break;
    const auto message = payload ? DecodeFromSession(**payload)
                                 : Result<FromSession>(std::unexpected(payload.error()));
    if (!message) {
      Misbehaved(helper, fmt::format("sent what cannot be read: {}", message.error().message));
      break;
    }
    if (!Handle(helper, *message)) break;
  }
  TellChange();
}

void SessionDesk::Impl::OnEnd(Place helper) {
  // One that never reported leaves nothing to remember.
  if (helper->report) {
    LOG_WARN("agent: a session helper vanished user={} session={} pid={}", helper->user,
             helper->hello->session, helper->process_id);
    Leave(helper, DepartedHelper{.cause = Cause::kVanished,
                                 .why = "vanished without a farewell",
                                 .until = helper->report->read_at + options.stale_after});
  } else {
    helpers.erase(helper);
  }
  TellChange();
}

void SessionDesk::Impl::Misbehaved(Place helper, std::string why) {
  LOG_WARN("agent: disconnected a session helper user={} session={} pid={}: it {}", helper->user,
           helper->hello ? helper->hello->session : "", helper->process_id, why);
  Leave(helper, DepartedHelper{.cause = Cause::kMisbehaved,
                               .why = std::move(why),
                               .until = clock.Steady() + options.distrust_for});
}

void SessionDesk::Impl::Leave(Place helper, std::optional<DepartedHelper> remembered) {
  changed = true;
  // Neither a farewell nor a new connection makes a lie forgotten.
  if (helper->lie_until > clock.Steady()) {
    Depart(OfHelper(*helper,
                    {.cause = Cause::kMisbehaved, .why = helper->lie, .until = helper->lie_until}));
  }
  if (remembered) Depart(OfHelper(*helper, *std::move(remembered)));
  helpers.erase(helper);
}

void SessionDesk::Impl::Depart(DepartedHelper one) {
  changed = true;
  departed.Add(std::move(one));
}

// ---- Messages -----------------------------------------------------------------------------------

bool SessionDesk::Impl::Handle(Place helper, const FromSession& message) {
  const SteadyTime now = clock.Steady();
  if (now - helper->window_start >= kFloodWindow) {
    helper->window_start = now;
    helper->window_count = 0;
  }
  if (++helper->window_count > options.max_messages_per_10_s) {
    Misbehaved(helper, fmt::format("sent more than {} messages within 10 s",
                                   options.max_messages_per_10_s));
    return false;
  }
  return std::visit(
      Overloaded{[&](const SessionHello& hello) { return HandleHello(helper, hello); },
                 [&](const SessionReport& report) { return HandleReport(helper, report); },
                 [&](const SessionGoodbye&) {
                   Leave(helper, std::nullopt);
                   return false;
                 }},
      message);
}

bool SessionDesk::Impl::HandleHello(Place helper, const SessionHello& hello) {
  if (helper->hello) {
    Misbehaved(helper, "introduced itself twice");
    return false;
  }
  if (hello.protocol_version != kSessionProtocolVersion) {
    Misbehaved(helper, fmt::format("speaks version {} of the session protocol, this agent version "
                                   "{}: log in anew, or restart it",
                                   hello.protocol_version, kSessionProtocolVersion));
    return false;
  }
  helper->hello = hello;
  LOG_INFO("agent: session helper user={} session={} type={} desktop={} pid={}", helper->user,
           hello.session, hello.session_type, hello.desktop, helper->process_id);
  if (closely) TellWish(*helper);
  return true;
}

bool SessionDesk::Impl::HandleReport(Place helper, const SessionReport& report) {
  if (!helper->hello) {
    Misbehaved(helper, "reported before it introduced itself");
    return false;
  }
  const SteadyTime now = clock.Steady();
  const bool was_believed = helper->report && TroubleOf(*helper, now).empty();
  const auto contradiction = helper->trust.FindContradiction(report, now);
  if (contradiction) {
    // Said once, not at each report of a helper that is off for good.
    if (helper->lie_until <= now) {
      LOG_WARN("agent: a session helper is not believed user={} session={} pid={}: it {}",
               helper->user, helper->hello->session, helper->process_id, *contradiction);
    }
    helper->lie = *contradiction;
    helper->lie_until = now + options.distrust_for;
  }
  changed = changed || !was_believed || contradiction || IsNews(*helper->report, report);
  helper->report = report;
  helper->report->read_at = std::min(report.read_at, now);
  helper->heard_at = now;
  helper->told_stale = false;
  if (contradiction) return true;
  departed.ForgetVanished(helper->user_id, helper->hello->session);
  if (report.seen_input_at) {
    const SteadyTime seen =
        now - *report.seen_input_at <= kMaxToldLate ? *report.seen_input_at : now;
    last_input = std::max(last_input.value_or(seen), seen);
  }
  return true;
}

void SessionDesk::Impl::TellWish(Helper& helper) {
  if (helper.stream->pending_write_bytes() > kMaxSessionFrameBytes) {
    helper.lie = "does not read what it is told";
    helper.lie_until = clock.Steady() + options.distrust_for;
    ScheduleLook();
    return;
  }
  helper.stream->Write(EncodeFrame(ToSession(WatchInput{closely})));
}

// ---- Time ---------------------------------------------------------------------------------------

std::string SessionDesk::Impl::TroubleOf(const Helper& helper, SteadyTime now) const {
  if (helper.lie_until > now) return helper.lie;
  if (IsStale(helper, now)) {
    return fmt::format("has said nothing for more than {} s",
                       std::chrono::floor<std::chrono::seconds>(options.stale_after).count());
  }
  return "";
}

void SessionDesk::Impl::LookAtTheTime() {
  look_timer = nullptr;
  const SteadyTime now = clock.Steady();
  changed = departed.Expire(now) || changed;
  for (Place next = helpers.begin(); next != helpers.end();) {
    const Place helper = next++;
    if (!helper->report && now - helper->connected_at > options.stale_after) {
      Misbehaved(helper, "connected, but does not report");
    } else if (IsStale(*helper, now) && !std::exchange(helper->told_stale, true)) {
      LOG_WARN("agent: a session helper fell silent user={} session={} pid={}", helper->user,
               helper->hello->session, helper->process_id);
      changed = true;
    } else if (!helper->lie.empty() && helper->lie_until <= now) {
      helper->lie.clear();
      changed = true;
    }
  }
  TellChange();
}

void SessionDesk::Impl::ScheduleLook() {
  // A moment late: the things above are due once their time has passed.
  constexpr milliseconds kMoment{1};
  std::optional<SteadyTime> due = departed.next_end();
  const auto consider = [&](SteadyTime time) { due = std::min(due.value_or(time), time); };
  for (const Helper& helper : helpers) {
    if (!helper.report) {
      consider(helper.connected_at + options.stale_after);
    } else if (!helper.told_stale) {
      consider(helper.report->read_at + options.stale_after);
    }
    if (!helper.lie.empty()) consider(helper.lie_until);
  }
  if (!due) {
    look_timer = nullptr;
    return;
  }
  // A timer that comes too early sets the next one; that is cheaper than a new one at each report.
  if (look_timer != nullptr && look_at <= *due) return;
  look_at = *due;
  look_timer = loop.After(
      std::chrono::ceil<milliseconds>(std::max(*due - clock.Steady(), SteadyTime::duration(0))) +
          kMoment,
      [this] { LookAtTheTime(); });
}

// ---- The desk -----------------------------------------------------------------------------------

SessionDesk::SessionDesk(Loop& loop, const Clock& clock, SessionDeskOptions options,
                         std::function<void()> on_change)
    : impl_(std::make_unique<Impl>(loop, clock, std::move(options), std::move(on_change))) {}

SessionDesk::~SessionDesk() = default;

void SessionDesk::Accept(std::unique_ptr<ByteStream> stream, std::int64_t user_id,
                         std::int64_t process_id) {
  impl_->Accept(std::move(stream), user_id, process_id);
}

void SessionDesk::Dismiss(std::int64_t process_id) {
  for (auto next = impl_->helpers.begin(); next != impl_->helpers.end();) {
    const auto helper = next++;
    if (helper->process_id == process_id) impl_->Leave(helper, std::nullopt);
  }
  impl_->TellChange();
}

void SessionDesk::WatchClosely(bool closely) {
  if (std::exchange(impl_->closely, closely) == closely) return;
  for (Helper& helper : impl_->helpers) {
    if (helper.hello) impl_->TellWish(helper);
  }
}

std::vector<PresenceReading> SessionDesk::presence() const {
  const SteadyTime now = impl_->clock.Steady();
  std::vector<PresenceReading> readings;
  for (const Helper& helper : impl_->helpers) {
    if (!helper.report) continue;
    if (const std::string trouble = impl_->TroubleOf(helper, now); !trouble.empty()) {
      readings.push_back(DistrustedReading(helper.user, trouble));
      continue;
    }
    for (const PresenceReport& told : helper.report->presence) {
      readings.push_back(ToReading(told, helper.user));
    }
  }
  impl_->departed.AddReadings(now, readings);
  return readings;
}

std::vector<SessionSignal> SessionDesk::signals() const {
  const SteadyTime now = impl_->clock.Steady();
  std::vector<SessionSignal> signals;
  for (const Helper& helper : impl_->helpers) {
    if (!helper.report || !impl_->TroubleOf(helper, now).empty()) continue;
    for (const SignalReport& told : helper.report->signals) {
      signals.push_back(ToSignal(told, helper.user));
    }
  }
  return signals;
}

std::optional<SteadyTime> SessionDesk::last_input() const {
  return impl_->last_input;
}

// One that was not started by its login does not know the session's id. It sees its user's display
// all the same, but who works from afar may have another.
bool SessionDesk::HelperView::SeesInputOf(const std::string& login, std::int64_t of_user,
                                          LoginKind kind) const {
  if (!sees_input || of_user != user_id) return false;
  return session.empty() ? kind != LoginKind::kRemote : session == login;
}

std::vector<SessionDesk::HelperView> SessionDesk::helpers() const {
  const SteadyTime now = impl_->clock.Steady();
  std::vector<HelperView> views;
  for (const Helper& helper : impl_->helpers) {
    const SteadyTime heard_at = helper.report ? helper.heard_at : helper.connected_at;
    const std::string trouble = impl_->TroubleOf(helper, now);
    views.push_back({.user_id = helper.user_id,
                     .process_id = helper.process_id,
                     .user = helper.user,
                     .session = helper.hello ? helper.hello->session : "",
                     .heard_ago = std::chrono::duration_cast<milliseconds>(now - heard_at),
                     .trouble = trouble,
                     .sees_input = trouble.empty() && helper.report && SeesInput(*helper.report)});
  }
  return views;
}

}  // namespace fallow
