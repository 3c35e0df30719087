// Presence by an X11 server: how long ago the last input was, by the screen-saver extension; the
// next input, by an alarm of the SYNC extension.
#include <fmt/format.h>
#include <xcb/screensaver.h>
#include <xcb/sync.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "platform/linux/event_allowance.h"
#include "platform/linux/idle_mark.h"
#include "platform/linux/input_wait.h"
#include "platform/linux/x11_connection.h"
#include "platform/presence.h"
#include "platform/uv/descriptor_watch.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view kIdleCounter = "IDLETIME";
// The alarm rings when the idle counter falls to this from above. Inputs less than two milliseconds
// apart may count as one.
constexpr std::uint32_t kRingsBelowMs = 1;
// One alarm and, at times, news of a changed keyboard are all that we are sent.
constexpr int kMaxEventsPerSecond = 1'000;

std::optional<milliseconds> IdleFor(const X11Connection& connection, X11Questions& ask) {
  if (connection.root() == XCB_WINDOW_NONE) return std::nullopt;
  const auto cookie = xcb_screensaver_query_info(connection.get(), connection.root());
  const auto reply = ask.Await<xcb_screensaver_query_info_reply_t>(cookie.sequence);
  if (reply == nullptr) return std::nullopt;
  return milliseconds(reply->ms_since_user_input);
}

// The name follows its length at once. libxcb's accessor looks for it after the padding of the
// struct, two bytes too late.
std::string_view NameOf(const xcb_sync_systemcounter_t& counter) {
  return {reinterpret_cast<const char*>(&counter.name_len) + sizeof(counter.name_len),
          counter.name_len};
}

// XCB_NONE if the server has none.
xcb_sync_counter_t FindIdleCounter(const X11Connection& connection, X11Questions& ask) {
  if (!ask.HasExtension("SYNC")) return XCB_NONE;
  // Every client says first which version it speaks.
  const auto version =
      xcb_sync_initialize(connection.get(), XCB_SYNC_MAJOR_VERSION, XCB_SYNC_MINOR_VERSION);
  if (ask.Await<xcb_sync_initialize_reply_t>(version.sequence) == nullptr) return XCB_NONE;
  const auto cookie = xcb_sync_list_system_counters(connection.get());
  const auto reply = ask.Await<xcb_sync_list_system_counters_reply_t>(cookie.sequence);
  if (reply == nullptr) return XCB_NONE;
  for (auto counter = xcb_sync_list_system_counters_counters_iterator(reply.get()); counter.rem > 0;
       xcb_sync_systemcounter_next(&counter)) {
    if (NameOf(*counter.data) == kIdleCounter) return counter.data->counter;
  }
  return XCB_NONE;
}

class X11PresenceSource : public PresenceSource {
 public:
  X11PresenceSource(Loop& loop, std::string display)
      : loop_(loop), display_(std::move(display)), wait_(loop) {}

  std::string name() const override { return "x11 " + display_; }

  Status Open() {
    FALLOW_ASSIGN_OR_RETURN(
        X11Connection connection,
        X11Connection::Open(display_, [this](const X11Connection& c) { return Check(c); }));
    alarm_ = xcb_generate_id(connection.get());
    connection_ = std::move(connection);
    return {};
  }

  PresenceReading Read() override {
    PresenceReading reading{.source = name()};
    if (!connection_) {
      // The next reading may be the one that finds the server again.
      if (const Status opened = Open(); !opened) {
        reading.detail = opened.error().message;
        return reading;
      }
    }
    X11Questions ask(*connection_);
    if (const auto idle = IdleFor(*connection_, ask)) {
      reading.known = true;
      reading.idle_for = *idle;
      told_.Told(*idle, steady_clock::now());
      // The alarm may have come with the answer, and would not wake the loop again.
      HandleQueued();
      wait_.ToldByReading();
      return reading;
    }
    reading.detail = connection_->broken() ? "the X server at " + display_ + " has ended"
                                           : "the X server at " + display_ + " does not answer";
    Disconnect();
    wait_.ToldByReading();
    return reading;
  }

  bool AwaitInput(std::function<void()> on_input) override {
    StopAlarm();
    wait_.Set(std::move(on_input));
    if (!wait_.active()) return true;
    if (connection_ && idle_counter_ != XCB_NONE && StartAlarm()) return true;
    wait_.Set(nullptr);
    return false;
  }

 private:
  Status Check(const X11Connection& connection) {
    // A server that hangs or dies among these answers each further one with "no": the last decides.
    X11Questions ask(connection);
    if (ask.IsXwayland()) {
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("{} is XWayland, which sees only input to X11 windows", display_));
    }
    idle_counter_ = FindIdleCounter(connection, ask);
    const bool has_extension = ask.HasExtension("MIT-SCREEN-SAVER");
    if (has_extension && IdleFor(connection, ask)) return {};
    return Fail(
        ErrorCode::kUnavailable,
        has_extension || connection.broken()
            ? fmt::format("the X server at {} does not answer", display_)
            : fmt::format("the X server at {} lacks the MIT-SCREEN-SAVER extension", display_));
  }

  // False, and the connection is lost, if the server does not confirm it.
  bool StartAlarm() {
    const xcb_sync_create_alarm_value_list_t alarm{
        .counter = idle_counter_,
        .valueType = XCB_SYNC_VALUETYPE_ABSOLUTE,
        .value = {.hi = 0, .lo = kRingsBelowMs},
        .testType = XCB_SYNC_TESTTYPE_NEGATIVE_TRANSITION,
        .delta = {.hi = 0, .lo = 0},
        .events = 1,
    };
    constexpr std::uint32_t kAllFields = XCB_SYNC_CA_COUNTER | XCB_SYNC_CA_VALUE_TYPE |
                                         XCB_SYNC_CA_VALUE | XCB_SYNC_CA_TEST_TYPE |
                                         XCB_SYNC_CA_DELTA | XCB_SYNC_CA_EVENTS;
    alarm_request_ =
        xcb_sync_create_alarm_aux(connection_->get(), alarm_, kAllFields, &alarm).sequence;
    const auto cookie = xcb_sync_query_alarm(connection_->get(), alarm_);
    X11Questions ask(*connection_);
    const auto confirmed = ask.Await<xcb_sync_query_alarm_reply_t>(cookie.sequence);
    // The alarm rings for what comes after it was set. What came before shows in the idle time.
    const auto asked_at = steady_clock::now();
    const auto idle = confirmed != nullptr ? IdleFor(*connection_, ask) : std::nullopt;
    if (!idle) {
      connection_.reset();
      return false;
    }
    watch_ = WatchDescriptor(loop_, connection_->descriptor(), [this] { HandleEvents(); });
    HandleQueued();
    if (wait_.active() && told_.Passed(*idle, asked_at)) TellInput();
    return true;
  }

  void TellInput() {
    StopAlarm();
    told_.Told(milliseconds(0), steady_clock::now());
    wait_.Tell();
  }

  // From then on nothing wakes us.
  void StopAlarm() {
    if (watch_ == nullptr) return;
    watch_.reset();
    xcb_sync_destroy_alarm(connection_->get(), alarm_);
    xcb_flush(connection_->get());
  }

  void HandleEvents() {
    // Reads what is there, once: a server that goes on sending is met again at the next turn.
    const X11Reply<xcb_generic_event_t> first(xcb_poll_for_event(connection_->get()));
    Handle(first.get());
    HandleQueued();
    if (connection_ && connection_->broken()) Disconnect();
  }

  void HandleQueued() {
    while (connection_) {
      const X11Reply<xcb_generic_event_t> event(xcb_poll_for_queued_event(connection_->get()));
      if (event == nullptr) return;
      Handle(event.get());
    }
  }

  void Handle(const xcb_generic_event_t* event) {
    if (event == nullptr) return;
    if (!allowance_.Take(1, steady_clock::now())) return Disconnect();
    if (watch_ != nullptr && IsAlarm(*event)) TellInput();
  }

  bool IsAlarm(const xcb_generic_event_t& event) const {
    const int first_event = xcb_get_extension_data(connection_->get(), &xcb_sync_id)->first_event;
    if ((event.response_type & 0x7f) != first_event + XCB_SYNC_ALARM_NOTIFY) return false;
    const auto& notice = reinterpret_cast<const xcb_sync_alarm_notify_event_t&>(event);
    // Earlier alarms had the same id: theirs were sent before the server saw this one's request.
    const auto since_request = static_cast<std::int32_t>(event.full_sequence - alarm_request_);
    return notice.alarm == alarm_ && notice.state == XCB_SYNC_ALARMSTATE_ACTIVE &&
           since_request >= 0;
  }

  // A server that has ended, is late or floods. Whoever waits is told.
  void Disconnect() {
    watch_.reset();
    connection_.reset();
    wait_.Tell();
  }

  Loop& loop_;
  std::string display_;
  std::optional<X11Connection> connection_;  // none: the next reading connects
  xcb_sync_counter_t idle_counter_ = XCB_NONE;
  xcb_sync_alarm_t alarm_ = XCB_NONE;
  unsigned alarm_request_ = 0;  // the sequence number of the request that set it
  EventAllowance allowance_{kMaxEventsPerSecond};
  IdleMark told_;
  InputWait wait_;
  std::unique_ptr<DescriptorWatch> watch_;  // while the alarm is set
};

}  // namespace

Result<std::unique_ptr<PresenceSource>> NewX11PresenceSource(Loop& loop,
                                                             const std::string& display) {
  auto source = std::make_unique<X11PresenceSource>(loop, display);
  FALLOW_RETURN_IF_ERROR(source->Open());
  return source;
}

}  // namespace fallow
