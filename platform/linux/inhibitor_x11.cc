// Programs that hold back an X server's screen saver (XScreenSaverSuspend), as players, games and
// browsers do where no desktop takes their request.
//
// The screen-saver extension cannot be asked who did. But the server keeps such a program's wish as
// a resource of its connection, and lists each connection's resources by kind (X-Resource).
// Programs that instead touch the saver again and again (XResetScreenSaver, as xdg-screensaver
// does) look like input to the server, and so to whoever asks it for its idle time.
#include <fmt/format.h>
#include <xcb/res.h>
#include <xcb/xcb.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "platform/linux/foreign_text.h"
#include "platform/linux/kernel_files.h"
#include "platform/linux/x11_connection.h"
#include "platform/session_signals.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The kind of resource, by the name that the server registers it by.
constexpr std::string_view kSuspend = "SaverSuspend";
// The first version that tells the process of a client.
constexpr std::uint8_t kMajorVersion = 1, kMinorVersion = 2;
// More are not looked at. Servers allow 256 by default.
constexpr std::size_t kMaxClients = 512;
constexpr std::size_t kMaxCommandBytes = 64;  // of the kernel's name of a process

// How many of the `told` items that a reply speaks of are in it: xcb takes the server's word.
template <class Item, class Reply>
std::size_t CountIn(const Reply& reply, std::size_t told) {
  constexpr std::size_t kLengthUnitBytes = 4;
  return std::min(told, std::size_t{reply.length} * kLengthUnitBytes / sizeof(Item));
}

class X11InhibitorSource : public SessionSignalSource {
 public:
  X11InhibitorSource(std::string display, milliseconds good_for)
      : display_(std::move(display)), good_for_(good_for) {}

  std::string name() const override { return "x11 saver " + display_; }
  SessionSignalKind kind() const override { return SessionSignalKind::kIdleInhibitor; }

  Status Open() {
    FALLOW_ASSIGN_OR_RETURN(
        X11Connection connection,
        X11Connection::Open(display_, [this](const X11Connection& made) { return Learn(made); }));
    connection_ = std::move(connection);
    return {};
  }

  SessionSignal Read() override {
    const auto now = steady_clock::now();
    if (looked_at_ && now - *looked_at_ < good_for_) return signal_;
    looked_at_ = now;
    signal_ = {.kind = kind(), .source = name(), .known = false, .active = false, .detail = {}};
    const auto holder = Look();
    if (!holder) {
      signal_.detail = holder.error().message;
      connection_.reset();
      return signal_;
    }
    signal_.known = true;
    signal_.active = holder->has_value();
    if (signal_.active) signal_.detail = holder->value();
    return signal_;
  }

 private:
  // The kind's number on this server.
  Status Learn(const X11Connection& connection) {
    X11Questions ask(connection);
    if (!ask.HasExtension("X-Resource")) {
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("the X server at {} lacks the X-Resource extension, so that it "
                              "cannot be asked who holds back its screen saver",
                              display_));
    }
    const auto version = ask.Await<xcb_res_query_version_reply_t>(
        xcb_res_query_version(connection.get(), kMajorVersion, kMinorVersion).sequence);
    const auto atom = ask.Await<xcb_intern_atom_reply_t>(
        xcb_intern_atom(connection.get(), 0, kSuspend.size(), kSuspend.data()).sequence);
    if (version == nullptr || atom == nullptr) return NoAnswer();
    tells_processes_ =
        version->server_major > kMajorVersion ||
        (version->server_major == kMajorVersion && version->server_minor >= kMinorVersion);
    suspend_ = atom->atom;
    return {};
  }

  std::unexpected<Error> NoAnswer() const {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("the X server at {} does not answer", display_));
  }

  // The program that holds the saver back, or nothing.
  Result<std::optional<std::string>> Look() {
    if (!connection_) FALLOW_RETURN_IF_ERROR(Open());
    X11Questions ask(*connection_);
    const auto clients = ask.Await<xcb_res_query_clients_reply_t>(
        xcb_res_query_clients(connection_->get()).sequence);
    if (clients == nullptr) return NoAnswer();
    struct Question {
      std::uint32_t client;
      unsigned sequence;
    };
    std::vector<Question> questions;
    const xcb_res_client_t* listed = xcb_res_query_clients_clients(clients.get());
    const auto count =
        std::min(CountIn<xcb_res_client_t>(*clients, clients->num_clients), kMaxClients);
    for (std::size_t i = 0; i < count; ++i) {
      const auto cookie =
          xcb_res_query_client_resources(connection_->get(), listed[i].resource_base);
      questions.push_back({listed[i].resource_base, cookie.sequence});
    }
    std::optional<std::string> holder;
    for (const Question& question : questions) {
      // One that has ended meanwhile is answered by an error.
      const auto has = ask.Await<xcb_res_query_client_resources_reply_t>(question.sequence);
      if (has != nullptr && Suspends(*has) && !holder) holder = ProgramOf(ask, question.client);
    }
    // What is left unanswered would be taken for answers to later questions.
    if (!ask.HasExtension("X-Resource")) return NoAnswer();
    DropEvents();
    return holder;
  }

  // News of the keyboard are sent to everybody.
  void DropEvents() {
    while (true) {
      const X11Reply<xcb_generic_event_t> event(xcb_poll_for_queued_event(connection_->get()));
      if (event == nullptr) return;
    }
  }

  bool Suspends(const xcb_res_query_client_resources_reply_t& reply) const {
    const xcb_res_type_t* types = xcb_res_query_client_resources_types(&reply);
    const std::size_t count = CountIn<xcb_res_type_t>(reply, reply.num_types);
    return std::any_of(types, types + count, [this](const xcb_res_type_t& type) {
      return type.resource_type == suspend_ && type.count > 0;
    });
  }

  // By its process, which the server knows of programs of this machine.
  std::string ProgramOf(X11Questions& ask, std::uint32_t client) const {
    const std::string nameless = "a program that it does not name";
    if (!tells_processes_) return nameless;
    const xcb_res_client_id_spec_t spec{.client = client,
                                        .mask = XCB_RES_CLIENT_ID_MASK_LOCAL_CLIENT_PID};
    const auto reply = ask.Await<xcb_res_query_client_ids_reply_t>(
        xcb_res_query_client_ids(connection_->get(), 1, &spec).sequence);
    // A client, the length of what is told of it, and one number.
    struct OneProcess {
      xcb_res_client_id_spec_t client;
      std::uint32_t length, process;
    };
    if (reply == nullptr || CountIn<OneProcess>(*reply, 1) == 0) return nameless;
    const auto ids = xcb_res_query_client_ids_ids_iterator(reply.get());
    if (ids.rem == 0 || xcb_res_client_id_value_value_length(ids.data) != 1) return nameless;
    const std::uint32_t process = *xcb_res_client_id_value_value(ids.data);
    const auto command = ReadKernelText(fmt::format("/proc/{}/comm", process), kMaxCommandBytes);
    return command ? ForeignText(*command) : nameless;
  }

  const std::string display_;
  const milliseconds good_for_;
  std::optional<X11Connection> connection_;  // none: the next look connects
  xcb_atom_t suspend_ = XCB_ATOM_NONE;
  bool tells_processes_ = false;
  std::optional<steady_clock::time_point> looked_at_;
  SessionSignal signal_;  // as last seen
};

}  // namespace

Result<std::unique_ptr<SessionSignalSource>> NewX11InhibitorSource(const std::string& display,
                                                                   milliseconds good_for) {
  auto source = std::make_unique<X11InhibitorSource>(display, good_for);
  FALLOW_RETURN_IF_ERROR(source->Open());
  return source;
}

}  // namespace fallow
