#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>
#include <set>
#include <thread>

#include "platform/presence.h"
#include "tests/integration/platform/run_loop.h"
#include "tests/integration/platform/server_process.h"
#include "tests/integration/platform/x_server.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::FindProgram;
using fallow::testing::RunFor;
using fallow::testing::RunUntil;
using fallow::testing::ServerProcess;
using fallow::testing::StartXServer;
using fallow::testing::TemporaryFolder;
using fallow::testing::WaitUntil;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

// A wait of 200 ms, on a machine that is busy with much else.
constexpr milliseconds kBoundedWait{5'000};

// A display without a screen; its user is the test.
class X11Presence : public ::testing::Test {
 protected:
  void SetUp() override {
    if (FindProgram("Xvfb").empty()) GTEST_SKIP() << "Xvfb is not installed";
    Start({});
  }
  void Start(const std::vector<std::string>& more) {
    auto server = StartXServer(more);
    ASSERT_FALSE(server.display.empty()) << "Xvfb did not start";
    server_ = std::move(server.process);
    display_ = server.display;
  }

  // What a hand does: "mousemove 100 20", "key a".
  bool Input(const std::string& what) {
    const std::string xdotool = FindProgram("xdotool");
    if (xdotool.empty()) return false;
    const std::string command = "DISPLAY=" + display_ + " timeout 10 " + xdotool + " " + what;
    return std::system(command.c_str()) == 0;
  }

  const std::unique_ptr<MainLoop> loop_ = NewMainLoop();
  std::unique_ptr<ServerProcess> server_;
  std::string display_;
};

TEST_F(X11Presence, IdleTimeGrowsAndInputEndsIt) {
  if (FindProgram("xdotool").empty()) GTEST_SKIP() << "xdotool is not installed";
  const auto source = NewX11PresenceSource(*loop_, display_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_EQ((*source)->name(), "x11 " + display_);
  ASSERT_TRUE(WaitUntil(
      [&] {
        const auto reading = (*source)->Read();
        return reading.known && reading.idle_for >= milliseconds(700);
      },
      std::chrono::seconds(60)));
  const auto before = std::chrono::steady_clock::now();
  ASSERT_TRUE(Input("mousemove 100 20"));
  const auto reading = (*source)->Read();
  EXPECT_TRUE(reading.known) << reading.detail;
  // The server counts whole milliseconds.
  EXPECT_LE(reading.idle_for, std::chrono::steady_clock::now() - before + milliseconds(1));
}

TEST_F(X11Presence, ServersDeathIsNoticedAndItsReturnToo) {
  auto source = NewX11PresenceSource(*loop_, display_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  server_->Kill();
  for (int i = 0; i < 3; ++i) {
    const auto reading = (*source)->Read();
    EXPECT_FALSE(reading.known);
    EXPECT_THAT(reading.detail, HasSubstr(display_));
  }
  server_ = std::make_unique<ServerProcess>(std::vector<std::string>{
      FindProgram("Xvfb"), display_, "-displayfd", "3", "-nolisten", "tcp"});
  ASSERT_FALSE(server_->AwaitAnnouncement().empty());
  EXPECT_TRUE((*source)->Read().known);
}

TEST_F(X11Presence, HangingServerCostsABoundedWait) {
  auto source = NewX11PresenceSource(*loop_, display_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  server_->Signal(SIGSTOP);
  for (int i = 0; i < 2; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto reading = (*source)->Read();
    EXPECT_FALSE(reading.known);
    EXPECT_LT(std::chrono::steady_clock::now() - start, kBoundedWait);
  }
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(NewX11PresenceSource(*loop_, display_).has_value())
      << "connects, but is not greeted";
  EXPECT_LT(std::chrono::steady_clock::now() - start, kBoundedWait);
  server_->Signal(SIGCONT);
  EXPECT_TRUE(WaitUntil([&] { return (*source)->Read().known; }, std::chrono::seconds(60)));
}

TEST_F(X11Presence, ServerWithoutTheExtensionIsNamed) {
  Start({"-extension", "MIT-SCREEN-SAVER"});
  const auto source = NewX11PresenceSource(*loop_, display_);
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(source.error().message, HasSubstr("MIT-SCREEN-SAVER"));
}

TEST_F(X11Presence, InputEndsAWait) {
  if (FindProgram("xdotool").empty()) GTEST_SKIP() << "xdotool is not installed";
  const auto source = NewX11PresenceSource(*loop_, display_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  for (const std::string input : {"mousemove 100 20", "key a", "click 1", "mousemove 30 40"}) {
    int told = 0;
    EXPECT_TRUE((*source)->Read().known);
    ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
    RunFor(*loop_, milliseconds(50));
    EXPECT_EQ(told, 0) << "nobody touched anything before " << input;
    ASSERT_TRUE(Input(input));
    EXPECT_TRUE(RunUntil(*loop_, [&] { return told > 0; })) << input;
    ASSERT_TRUE(Input("mousemove 200 200"));
    RunFor(*loop_, milliseconds(50));
    EXPECT_EQ(told, 1) << "once";
  }
}

// The alarm would not ring for it.
TEST_F(X11Presence, InputBetweenAReadingAndAWaitEndsIt) {
  if (FindProgram("xdotool").empty()) GTEST_SKIP() << "xdotool is not installed";
  const auto source = NewX11PresenceSource(*loop_, display_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_TRUE(WaitUntil([&] { return (*source)->Read().idle_for >= milliseconds(100); },
                        std::chrono::seconds(10)));
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  RunFor(*loop_, milliseconds(50));
  EXPECT_EQ(told, 0) << "nobody touched anything";
  ASSERT_TRUE((*source)->AwaitInput(nullptr));
  ASSERT_TRUE(Input("mousemove 100 20"));
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  EXPECT_EQ(told, 0) << "from the loop alone";
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  RunFor(*loop_, milliseconds(50));
  EXPECT_EQ(told, 1) << "once";
}

// The alarm rings when the idle time falls; here it is low when the alarm is set.
TEST_F(X11Presence, WaitThatBeginsAmidInputIsEndedByTheNext) {
  if (FindProgram("xdotool").empty()) GTEST_SKIP() << "xdotool is not installed";
  const auto source = NewX11PresenceSource(*loop_, display_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  for (int i = 0; i < 20; ++i) {
    int told = 0;
    ASSERT_TRUE(Input("mousemove " + std::to_string(10 + i) + " 20"));
    EXPECT_TRUE((*source)->Read().known);
    ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
    ASSERT_TRUE(Input("mousemove " + std::to_string(10 + i) + " 40"));
    EXPECT_TRUE(RunUntil(*loop_, [&] { return told > 0; })) << i;
  }
}

TEST_F(X11Presence, ReadingDoesNotSwallowTheInputThatIsAwaited) {
  if (FindProgram("xdotool").empty()) GTEST_SKIP() << "xdotool is not installed";
  const auto source = NewX11PresenceSource(*loop_, display_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  ASSERT_TRUE(Input("mousemove 100 20"));
  EXPECT_TRUE((*source)->Read().known);
  EXPECT_EQ(told, 0) << "from the loop alone";
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told > 0; }));
}

TEST_F(X11Presence, ReplacedAndEndedWaitsAreNotTold) {
  if (FindProgram("xdotool").empty()) GTEST_SKIP() << "xdotool is not installed";
  auto source = NewX11PresenceSource(*loop_, display_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int replaced = 0;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++replaced; }));
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  ASSERT_TRUE(Input("mousemove 100 20"));
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told > 0; }));
  ASSERT_TRUE((*source)->AwaitInput([&] { ++replaced; }));
  EXPECT_TRUE((*source)->AwaitInput(nullptr));
  ASSERT_TRUE(Input("mousemove 30 20"));
  RunFor(*loop_, milliseconds(50));
  ASSERT_TRUE((*source)->AwaitInput([&] { ++replaced; }));
  source->reset();
  ASSERT_TRUE(Input("mousemove 100 20"));
  RunFor(*loop_, milliseconds(50));
  EXPECT_EQ(replaced, 0);
  EXPECT_EQ(told, 1);
}

TEST_F(X11Presence, OneWhoIsToldMayWaitAgainOrDestroyTheSource) {
  if (FindProgram("xdotool").empty()) GTEST_SKIP() << "xdotool is not installed";
  auto source = NewX11PresenceSource(*loop_, display_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] {
    ++told;
    (*source)->AwaitInput([&] {
      ++told;
      source->reset();
    });
  }));
  ASSERT_TRUE(Input("mousemove 100 20"));
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  ASSERT_TRUE(Input("mousemove 30 20"));
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 2; }));
}

TEST_F(X11Presence, ServersDeathEndsAWait) {
  const auto source = NewX11PresenceSource(*loop_, display_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  server_->Kill();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told > 0; }));
  EXPECT_FALSE((*source)->AwaitInput([&] { ++told; })) << "it cannot tell now";
  EXPECT_FALSE((*source)->Read().known);
  RunFor(*loop_, milliseconds(20));
  EXPECT_EQ(told, 1);
}

TEST_F(X11Presence, HangingServerEndsAWaitWhenItIsRead) {
  const auto source = NewX11PresenceSource(*loop_, display_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  server_->Signal(SIGSTOP);
  EXPECT_FALSE((*source)->Read().known);
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told > 0; }));
  server_->Signal(SIGCONT);
}

class X11PresenceSource : public ::testing::Test {
 protected:
  const std::unique_ptr<MainLoop> loop_ = NewMainLoop();
};

TEST_F(X11PresenceSource, WrongDisplaysAreNamed) {
  EXPECT_EQ(NewX11PresenceSource(*loop_, "").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(NewX11PresenceSource(*loop_, "localhost:10.0").error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(NewX11PresenceSource(*loop_, ":banana").error().code, ErrorCode::kInvalidArgument);
  const auto nobody = NewX11PresenceSource(*loop_, ":59999");
  ASSERT_FALSE(nobody.has_value());
  EXPECT_EQ(nobody.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(nobody.error().message, HasSubstr(":59999"));
}

// XWayland cannot be started without a Wayland compositor. A server that says in the words of the
// X11 protocol what XWayland says stands in for it: it greets, and answers whether it has an
// extension, which devices it has and that there was input just now.
class PlayedXServer {
 public:
  explicit PlayedXServer(std::set<std::string> extensions, std::string device = "")
      : extensions_(std::move(extensions)), device_(std::move(device)) {
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    // Above those of StartXServer, and below those where tests want nobody.
    for (number_ = 50'000; !Bind() && number_ < 59'000;) ++number_;
    EXPECT_EQ(listen(listener_, 1), 0);
    thread_ = std::thread([this] {
      client_ = accept(listener_, nullptr, nullptr);
      if (Greet()) {
        while (AnswerOne()) {
        }
      }
      close(client_);
    });
  }
  ~PlayedXServer() {
    shutdown(listener_, SHUT_RDWR);  // wakes a server that nobody visited
    thread_.join();
    close(listener_);
  }
  PlayedXServer(const PlayedXServer&) = delete;
  PlayedXServer& operator=(const PlayedXServer&) = delete;

  std::string display() const { return ":" + std::to_string(number_); }

 private:
  static constexpr unsigned char kXInput = 131;

  bool Bind() {
    const std::string name = "/tmp/.X11-unix/X" + std::to_string(number_);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    return bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0;
  }
  bool Receive(void* into, std::size_t size) {
    return recv(client_, into, size, MSG_WAITALL) == static_cast<ssize_t>(size);
  }
  bool Send(const std::string& bytes) {
    return send(client_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  bool Greet() {
    char greeting[12];
    // Success, protocol 11.0, 18 words more; no vendor, no formats, one screen.
    std::string setup("\x01\0\x0b\0\0\0\x12\0", 8);
    setup.resize(80);
    setup[14] = '\x20';              // what our ids begin with
    setup[16] = setup[17] = '\xff';  // and the part that is ours
    setup[26] = setup[27] = '\xff';  // the longest request, in words
    setup[28] = 1;                   // screens
    setup[40] = 1;                   // the first one's root
    return Receive(greeting, sizeof(greeting)) && Send(setup);
  }
  bool AnswerOne() {
    unsigned char head[4];
    if (!Receive(head, sizeof(head))) return false;
    std::string rest((head[2] + 256 * head[3] - 1) * 4, '\0');
    if (!Receive(rest.data(), rest.size())) return false;
    std::string reply(32, '\0');
    reply[0] = 1;
    reply[2] = static_cast<char>(++sequence_);
    if (head[0] == 98) {  // QueryExtension
      const std::string name = rest.substr(4, static_cast<unsigned char>(rest[0]));
      reply[8] = static_cast<char>(extensions_.contains(name));
      reply[9] = static_cast<char>(kXInput);
    } else if (head[0] == kXInput && head[1] == 47) {  // XIQueryVersion
      reply[8] = 2;
    } else if (head[0] == kXInput && head[1] == 48) {  // XIQueryDevice: one, with a name
      std::string device(12, '\0');
      device[8] = static_cast<char>(device_.size());
      device += device_;
      device.resize((device.size() + 3) / 4 * 4);
      reply[4] = static_cast<char>(device.size() / 4);
      reply[8] = 1;
      reply += device;
    }
    return Send(reply);
  }

  std::set<std::string> extensions_;
  std::string device_;
  int number_ = 0;
  int listener_ = -1;
  int client_ = -1;
  int sequence_ = 0;
  std::thread thread_;
};

TEST_F(X11PresenceSource, XwaylandIsRefused) {
  const PlayedXServer server({"XWAYLAND", "MIT-SCREEN-SAVER"});
  const auto source = NewX11PresenceSource(*loop_, server.display());
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(source.error().message, HasSubstr("is XWayland"));
}

TEST_F(X11PresenceSource, OldXwaylandIsKnownByItsDevices) {
  const PlayedXServer server({"XInputExtension", "MIT-SCREEN-SAVER"}, "xwayland-pointer:11");
  const auto source = NewX11PresenceSource(*loop_, server.display());
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(source.error().message, HasSubstr("is XWayland"));
}

TEST_F(X11PresenceSource, ServerWithoutAnIdleCounterMustBeReadAgainAndAgain) {
  const PlayedXServer server({"MIT-SCREEN-SAVER"});
  const auto source = NewX11PresenceSource(*loop_, server.display());
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_TRUE((*source)->Read().known);
  EXPECT_FALSE((*source)->AwaitInput([] {}));
  EXPECT_TRUE((*source)->AwaitInput(nullptr)) << "there is nothing to end";
}

}  // namespace
}  // namespace fallow
