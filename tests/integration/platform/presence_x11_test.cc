#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "platform/presence.h"
#include "tests/integration/platform/server_process.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::FindProgram;
using fallow::testing::ServerProcess;
using fallow::testing::TemporaryFolder;
using fallow::testing::WaitUntil;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

// A display without a screen, on a free number; its user is the test.
class X11Presence : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string xvfb = FindProgram("Xvfb");
    if (xvfb.empty()) GTEST_SKIP() << "Xvfb is not installed";
    server_ = std::make_unique<ServerProcess>(std::vector<std::string>{
        xvfb, "-displayfd", "3", "-screen", "0", "640x480x24", "-nolisten", "tcp"});
    const std::string number = server_->AwaitAnnouncement();
    ASSERT_FALSE(number.empty()) << "Xvfb did not start";
    display_ = ":" + number;
  }

  // What a hand on the mouse does.
  bool MoveMouse(int x) {
    const std::string xdotool = FindProgram("xdotool");
    if (xdotool.empty()) return false;
    const std::string command = "DISPLAY=" + display_ + " timeout 10 " + xdotool + " mousemove " +
                                std::to_string(x) + " 20";
    return std::system(command.c_str()) == 0;
  }

  std::unique_ptr<ServerProcess> server_;
  std::string display_;
};

TEST_F(X11Presence, IdleTimeGrowsAndInputEndsIt) {
  if (FindProgram("xdotool").empty()) GTEST_SKIP() << "xdotool is not installed";
  const auto source = NewX11PresenceSource(display_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_EQ((*source)->name(), "x11 " + display_);
  ASSERT_TRUE(WaitUntil(
      [&] {
        const auto reading = (*source)->Read();
        return reading.known && reading.idle_for >= milliseconds(700);
      },
      std::chrono::seconds(10)));
  ASSERT_TRUE(MoveMouse(100));
  const auto reading = (*source)->Read();
  EXPECT_TRUE(reading.known) << reading.detail;
  EXPECT_LT(reading.idle_for, milliseconds(600));
}

TEST_F(X11Presence, ServersDeathIsNoticedAndItsReturnToo) {
  auto source = NewX11PresenceSource(display_);
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
  auto source = NewX11PresenceSource(display_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  server_->Signal(SIGSTOP);
  for (int i = 0; i < 2; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto reading = (*source)->Read();
    EXPECT_FALSE(reading.known);
    EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(1500));
  }
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(NewX11PresenceSource(display_).has_value()) << "connects, but is not greeted";
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(1500));
  server_->Signal(SIGCONT);
  EXPECT_TRUE(WaitUntil([&] { return (*source)->Read().known; }, std::chrono::seconds(10)));
}

TEST_F(X11Presence, ServerWithoutTheExtensionIsNamed) {
  server_ = std::make_unique<ServerProcess>(
      std::vector<std::string>{FindProgram("Xvfb"), "-displayfd", "3", "-nolisten", "tcp",
                               "-extension", "MIT-SCREEN-SAVER"});
  const std::string display = ":" + server_->AwaitAnnouncement();
  const auto source = NewX11PresenceSource(display);
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(source.error().message, HasSubstr("MIT-SCREEN-SAVER"));
}

TEST(X11PresenceSource, WrongDisplaysAreNamed) {
  EXPECT_EQ(NewX11PresenceSource("").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(NewX11PresenceSource("localhost:10.0").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(NewX11PresenceSource(":banana").error().code, ErrorCode::kInvalidArgument);
  const auto nobody = NewX11PresenceSource(":59999");
  ASSERT_FALSE(nobody.has_value());
  EXPECT_EQ(nobody.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(nobody.error().message, HasSubstr(":59999"));
}

// XWayland cannot be started without a Wayland compositor. A server that says "yes" to the question
// for the extension, in the words of the X11 protocol, stands in for it.
TEST(X11PresenceSource, XwaylandIsRefused) {
  const int number = 40'000 + getpid() % 20'000;
  const std::string name = "/tmp/.X11-unix/X" + std::to_string(number);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  std::thread server([&] {
    const int client = accept(listener, nullptr, nullptr);
    timeval limit{.tv_sec = 5, .tv_usec = 0};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    unsigned char greeting[12];
    if (recv(client, greeting, sizeof(greeting), MSG_WAITALL) != sizeof(greeting)) return;
    // Success, protocol 11.0, 8 words more; no vendor, no formats, no screens.
    unsigned char setup[8 + 32] = {1, 0, 11, 0, 0, 0, 8, 0};
    setup[8 + 18] = 0xff;  // the longest request, in words: 0xffff
    setup[8 + 19] = 0xff;
    if (write(client, setup, sizeof(setup)) != sizeof(setup)) return;
    unsigned char question[16];  // QueryExtension "XWAYLAND"
    if (recv(client, question, sizeof(question), MSG_WAITALL) != sizeof(question)) return;
    EXPECT_EQ(question[0], 98);
    EXPECT_EQ(std::string(reinterpret_cast<char*>(question) + 8, 8), "XWAYLAND");
    unsigned char answer[32] = {1, 0, 1, 0, 0, 0, 0, 0, 1, 150};
    if (write(client, answer, sizeof(answer)) != sizeof(answer)) return;
    char rest[64];
    while (read(client, rest, sizeof(rest)) > 0) {
    }
    close(client);
  });
  const auto source = NewX11PresenceSource(":" + std::to_string(number));
  EXPECT_FALSE(source.has_value());
  if (!source) {
    EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(source.error().message, HasSubstr("XWayland"));
  }
  server.join();
  close(listener);
}

}  // namespace
}  // namespace fallow
