#include "platform/local_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <thread>

#include "platform/system.h"
#include "tests/integration/platform/run_loop.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::RunUntil;
using fallow::testing::TemporaryFolder;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

int ConnectTo(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval limit{.tv_sec = 20, .tv_usec = 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  EXPECT_EQ(connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return socket;
}

struct Fixture {
  TemporaryFolder folder;
  std::string path = folder.path() + "/run/agent.sock";
  std::unique_ptr<MainLoop> loop = NewMainLoop();
  std::unique_ptr<Listener> server;

  void Serve(std::function<std::string(std::string_view)> answer) {
    auto result = ServeLocalCalls(*loop, path, std::move(answer));
    ASSERT_TRUE(result.has_value()) << result.error().message;
    server = std::move(*result);
  }
  // Runs `caller` on another thread and the loop meanwhile.
  void RunCaller(const std::function<void()>& caller) {
    std::atomic<bool> done = false;
    std::thread thread([&] {
      caller();
      done = true;
    });
    EXPECT_TRUE(RunUntil(*loop, [&] { return done.load(); }));
    thread.join();
  }
};

TEST(LocalCalls, AnswerOneRequestEach) {
  Fixture f;
  f.Serve([](std::string_view request) { return "echo " + std::string(request); });
  f.RunCaller([&] {
    EXPECT_EQ(CallLocal(f.path, "{\"a\":1}").value(), "echo {\"a\":1}");
    EXPECT_EQ(CallLocal(f.path, "").value(), "echo ");
    const std::string big(1 << 20, 'x');
    EXPECT_EQ(CallLocal(f.path, big).value(), "echo " + big);
  });
}

TEST(LocalCalls, SocketIsPrivateAndGoesWithItsServer) {
  Fixture f;
  f.Serve([](std::string_view) { return ""; });
  struct stat facts {};
  ASSERT_EQ(stat(f.path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777u, 0600u);
  f.server = nullptr;
  EXPECT_NE(stat(f.path.c_str(), &facts), 0);
}

TEST(LocalCalls, ASecondServerIsRefusedAndAStaleSocketReplaced) {
  Fixture f;
  f.Serve([](std::string_view) { return "first"; });
  const auto second = ServeLocalCalls(*f.loop, f.path, [](std::string_view) { return "second"; });
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
  f.RunCaller([&] { EXPECT_EQ(CallLocal(f.path, "").value(), "first"); });
  f.server = nullptr;

  // What a killed server leaves.
  { std::ofstream stale(f.path); }
  f.Serve([](std::string_view) { return "third"; });
  f.RunCaller([&] { EXPECT_EQ(CallLocal(f.path, "").value(), "third"); });
}

TEST(LocalCalls, NobodyThereIsUnavailable) {
  const TemporaryFolder folder;
  const auto reply = CallLocal(folder.path() + "/none.sock", "hello");
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(reply.error().message, HasSubstr("/none.sock"));
}

TEST(LocalCalls, SilentServerCostsTheCallerItsTimeoutOnly) {
  Fixture f;
  f.Serve([](std::string_view) { return ""; });
  // The loop does not run: the system accepts, nobody answers.
  const auto reply = CallLocal(f.path, "hello", milliseconds(50));
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ErrorCode::kDeadlineExceeded);
}

TEST(LocalCalls, TooLongRequestsAreRefusedOnBothSides) {
  Fixture f;
  int answers = 0;
  f.Serve([&](std::string_view) {
    ++answers;
    return "";
  });
  EXPECT_EQ(CallLocal(f.path, std::string((1 << 20) + 1, 'x')).error().code,
            ErrorCode::kInvalidArgument);
  f.RunCaller([&] {
    const int socket = ConnectTo(f.path);
    const unsigned char huge[] = {0xff, 0xff, 0xff, 0xff, 'x'};
    EXPECT_EQ(write(socket, huge, sizeof(huge)), 5);
    char byte;
    EXPECT_LE(read(socket, &byte, 1), 0) << "the server must hang up";
    close(socket);
  });
  EXPECT_EQ(answers, 0);
}

TEST(LocalCalls, CallersWhoLeaveOrDawdleHarmNobody) {
  Fixture f;
  f.Serve([](std::string_view) { return "fine"; });
  std::vector<int> dawdlers;
  f.RunCaller([&] {
    for (int i = 0; i < 10; ++i) dawdlers.push_back(ConnectTo(f.path));
    close(ConnectTo(f.path));
    EXPECT_EQ(CallLocal(f.path, "hello").value(), "fine");
  });
  for (const int socket : dawdlers) close(socket);
}

TEST(LocalCalls, AnswerMayEndTheServer) {
  Fixture f;
  f.Serve([&](std::string_view) {
    f.server = nullptr;
    return "bye";
  });
  f.RunCaller([&] { EXPECT_FALSE(CallLocal(f.path, "hello").has_value()); });
  EXPECT_EQ(f.server, nullptr);
}

TEST(LocalCalls, OverlongPathIsNamed) {
  Fixture f;
  const std::string path = f.folder.path() + "/" + std::string(120, 'p');
  EXPECT_EQ(ServeLocalCalls(*f.loop, path, nullptr).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(CallLocal(path, "").error().code, ErrorCode::kInvalidArgument);
}

// Only root can become another user and try.
TEST(LocalCalls, OtherUsersAreRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  Fixture f;
  int answers = 0;
  f.Serve([&](std::string_view) {
    ++answers;
    return "secret";
  });
  // Even if the file's mode let them in.
  ASSERT_EQ(chmod(f.path.c_str(), 0666), 0);
  ASSERT_EQ(chmod((f.folder.path() + "/run").c_str(), 0755), 0);
  ASSERT_EQ(chmod(f.folder.path().c_str(), 0755), 0);
  int exit_status = -1;
  f.RunCaller([&] {
    const pid_t child = fork();
    if (child == 0) {
      if (setuid(65534) != 0) _exit(3);
      const auto reply = CallLocal(f.path, "hello");
      _exit(reply.has_value() ? 1 : reply.error().code == ErrorCode::kUnavailable ? 0 : 2);
    }
    waitpid(child, &exit_status, 0);
  });
  ASSERT_TRUE(WIFEXITED(exit_status));
  EXPECT_EQ(WEXITSTATUS(exit_status), 0);
  EXPECT_EQ(answers, 0);
}

}  // namespace
}  // namespace fallow
