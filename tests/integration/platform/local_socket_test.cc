#include "platform/local_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <list>
#include <optional>
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
  timeval limit{.tv_sec = 60, .tv_usec = 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  EXPECT_EQ(connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return socket;
}

// An answer that does not look at who asks.
std::function<std::string(std::string_view, const LocalPeer&)> ForAll(
    std::function<std::string(std::string_view)> answer) {
  return [answer = std::move(answer)](std::string_view request, const LocalPeer&) {
    return answer(request);
  };
}

struct Fixture {
  TemporaryFolder folder;
  std::string path = folder.path() + "/run/agent.sock";
  std::unique_ptr<MainLoop> loop = NewMainLoop();
  std::unique_ptr<Listener> server;

  void Serve(std::function<std::string(std::string_view)> answer) {
    ServeAs(LocalCallers::kSameUser, {.answer = ForAll(std::move(answer))});
  }
  void ServeAs(LocalCallers callers, LocalCallService service) {
    auto result = ServeLocalCalls(*loop, path, callers, std::move(service));
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
  const std::string long_reply(4 << 20, 'y');
  f.Serve([&](std::string_view request) {
    return request == "much" ? long_reply : "echo " + std::string(request);
  });
  f.RunCaller([&] {
    EXPECT_TRUE(CallLocal(f.path, "much").value() == long_reply);
    EXPECT_EQ(CallLocal(f.path, "{\"a\":1}").value(), "echo {\"a\":1}");
    EXPECT_EQ(CallLocal(f.path, "").value(), "echo ");
    const std::string big(kMaxLocalRequestBytes, 'x');
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
  const auto second =
      ServeLocalCalls(*f.loop, f.path, LocalCallers::kSameUser,
                      {.answer = ForAll([](std::string_view) { return "second"; })});
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
  EXPECT_EQ(CallLocal(f.path, std::string(kMaxLocalRequestBytes + 1, 'x')).error().code,
            ErrorCode::kInvalidArgument);
  f.RunCaller([&] {
    const int socket = ConnectTo(f.path);
    const unsigned char huge[] = {0xff, 0xff, 0xff, 0xff, 'x'};
    EXPECT_EQ(write(socket, huge, sizeof(huge)), 5);
    char byte;
    EXPECT_LE(read(socket, &byte, 1), 0) << "the server must hang up";
    close(socket);
    const int nested = ConnectTo(f.path);
    const unsigned char length[] = {0, 0, (kMaxLocalRequestBytes + 1) >> 8, 1};
    EXPECT_EQ(write(nested, length, sizeof(length)), 4);
    EXPECT_LE(read(nested, &byte, 1), 0) << "without waiting for all of it";
    close(nested);
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
  EXPECT_EQ(ServeLocalCalls(*f.loop, path, LocalCallers::kSameUser, {}).error().code,
            ErrorCode::kInvalidArgument);
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
      _exit(reply.has_value() ? 1 : reply.error().code == ErrorCode::kResourceExhausted ? 0 : 2);
    }
    waitpid(child, &exit_status, 0);
  });
  ASSERT_TRUE(WIFEXITED(exit_status));
  EXPECT_EQ(WEXITSTATUS(exit_status), 0);
  EXPECT_EQ(answers, 0);
}

// The agent of a whole machine has a user of its own, whom nobody is.
TEST(LocalCalls, RootMayCallTheServerOfAnotherUser) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  const TemporaryFolder folder;
  ASSERT_EQ(chmod(folder.path().c_str(), 0777), 0);
  const std::string path = folder.path() + "/run/agent.sock";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (setuid(65534) != 0) _exit(3);
    const auto loop = NewMainLoop();
    const auto server =
        ServeLocalCalls(*loop, path, LocalCallers::kSameUser,
                        {.answer = ForAll([](std::string_view) { return "served"; })});
    if (server) fallow::testing::RunFor(*loop, std::chrono::seconds(120));
    _exit(2);
  }
  std::string answer;
  EXPECT_TRUE(fallow::testing::WaitUntil(
      [&] {
        answer = CallLocal(path, "hello").value_or("");
        return !answer.empty();
      },
      std::chrono::seconds(60)));
  EXPECT_EQ(answer, "served");
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

// A caller of the socket at `path` in a process of its own, under another user's name.
class OtherUser {
 public:
  OtherUser(uid_t user, const std::function<int()>& act) {
    child_ = fork();
    if (child_ != 0) return;
    if (setuid(user) != 0) _exit(255);
    _exit(act());
  }
  // Its exit status, once it has ended.
  bool Ended(int* exit_status) const {
    int status = 0;
    if (waitpid(child_, &status, WNOHANG) != child_) return false;
    *exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return true;
  }

 private:
  pid_t child_ = -1;
};

// A server for any user, at a path that others can reach.
struct OpenFixture : Fixture {
  void ServeAll(LocalCallService service) {
    ServeAs(LocalCallers::kAnyUser, std::move(service));
    ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
  }
  // How the call of a user ends: 0 answered, 1 hung up on.
  int CallAs(uid_t user) {
    const OtherUser caller(user, [this] {
      const auto reply = CallLocal(path, "hello");
      if (reply) return 0;
      return reply.error().code == ErrorCode::kResourceExhausted ? 1 : 2;
    });
    int exit_status = -1;
    EXPECT_TRUE(RunUntil(*loop, [&] { return caller.Ended(&exit_status); }));
    return exit_status;
  }
};

TEST(LocalCalls, TheServerKnowsWhoAsks) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  OpenFixture f;
  std::vector<LocalPeer> callers;
  f.ServeAll({.answer = [&](std::string_view, const LocalPeer& caller) {
    callers.push_back(caller);
    return std::string();
  }});
  EXPECT_EQ(f.CallAs(4321), 0);
  EXPECT_EQ(f.CallAs(0), 0);
  ASSERT_EQ(callers.size(), 2u);
  EXPECT_EQ(callers[0].user_id, 4321);
  EXPECT_FALSE(callers[0].is_ours);
  EXPECT_TRUE(callers[1].is_ours);
}

// Connections that are open and say nothing, of a user who ends when this does.
class Dawdlers {
 public:
  Dawdlers(Fixture& f, uid_t user, std::size_t count) {
    EXPECT_EQ(pipe(ends_), 0);
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    user_.emplace(user, [&] {
      close(ends_[1]);
      for (std::size_t i = 0; i < count; ++i) ConnectTo(f.path);
      char byte = 0;
      if (write(ready[1], &byte, 1) != 1) return 1;
      return read(ends_[0], &byte, 1) == 0 ? 0 : 1;  // until the other end is closed
    });
    close(ends_[0]);
    close(ready[1]);
    f.RunCaller([&] {
      char byte = 0;
      EXPECT_EQ(read(ready[0], &byte, 1), 1);
    });
    close(ready[0]);
  }
  ~Dawdlers() {
    close(ends_[1]);
    int exit_status = -1;
    EXPECT_TRUE(fallow::testing::WaitUntil([&] { return user_->Ended(&exit_status); },
                                           std::chrono::seconds(60)));
    EXPECT_EQ(exit_status, 0);
  }

 private:
  int ends_[2] = {-1, -1};
  std::optional<OtherUser> user_;
};

TEST(LocalCalls, AUserWhoTakesAllPlacesTakesNoneOfOthers) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  OpenFixture f;
  f.ServeAll({.answer = ForAll([](std::string_view) { return "fine"; })});
  const Dawdlers greedy(f, 4321, 3 * kMaxOpenCallsOfUser);
  EXPECT_EQ(f.CallAs(4321), 1) << "such a user has no place left";
  EXPECT_EQ(f.CallAs(4322), 0);
  EXPECT_EQ(f.CallAs(0), 0);
}

TEST(LocalCalls, AUserWhoAsksWithoutEndIsSoonNotHeard) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  OpenFixture f;
  std::size_t answers = 0;
  f.ServeAll({.answer = ForAll([&](std::string_view) {
                ++answers;
                return "fine";
              })});
  const auto start = std::chrono::steady_clock::now();
  const OtherUser greedy(4321, [&f] {
    for (std::size_t i = 0; i < 20 * kMaxCallsOfUserPer10S; ++i) {
      const auto reply = CallLocal(f.path, "again");
      if (!reply) return reply.error().code == ErrorCode::kResourceExhausted ? 0 : 2;
    }
    return 1;
  });
  int exit_status = -1;
  EXPECT_TRUE(RunUntil(*f.loop, [&] { return greedy.Ended(&exit_status); }));
  EXPECT_EQ(exit_status, 0);
  EXPECT_GE(answers, kMaxCallsOfUserPer10S);
  // On a machine that is slower, counting has begun anew.
  if (std::chrono::steady_clock::now() - start < std::chrono::seconds(10)) {
    EXPECT_EQ(answers, kMaxCallsOfUserPer10S);
  }
  EXPECT_EQ(f.CallAs(4322), 0);
}

// One person may have many numbers: those of the containers that it runs.
TEST(LocalCalls, AllWhomTheServerDoesNotKnowShareOneUsersPlaces) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  OpenFixture f;
  f.ServeAll({.answer = ForAll([](std::string_view) { return "fine"; }),
              .is_known = [](const LocalPeer& caller) { return caller.user_id == 4321; }});
  EXPECT_EQ(f.CallAs(100'000), 0);
  const Dawdlers greedy(f, 100'001, kMaxOpenCallsOfUser);
  EXPECT_EQ(f.CallAs(100'002), 1);
  EXPECT_EQ(f.CallAs(4321), 0);
}

// A listener that keeps what connects, and what each end of a connection received.
struct Listening {
  struct Connection {
    std::unique_ptr<ByteStream> stream;
    LocalPeer peer;
    std::string received;
    bool ended = false;
  };
  TemporaryFolder folder;
  std::string path = folder.path() + "/run/session.sock";
  std::unique_ptr<MainLoop> loop = NewMainLoop();
  std::list<Connection> connections;
  std::unique_ptr<Listener> listener;

  Status Listen(LocalCallers callers) {
    FALLOW_ASSIGN_OR_RETURN(listener,
                            ListenLocal(*loop, path, callers,
                                        [this](std::unique_ptr<ByteStream> stream, LocalPeer peer) {
                                          Add(std::move(stream)).peer = peer;
                                        }));
    return {};
  }
  Connection& Add(std::unique_ptr<ByteStream> stream) {
    Connection& connection = connections.emplace_back();
    connection.stream = std::move(stream);
    connection.stream->SetHandler(
        {.on_data = [&connection](ByteView bytes) { connection.received += AsText(bytes); },
         .on_end = [&connection](const Status&) { connection.ended = true; },
         .on_writable = nullptr});
    return connection;
  }
};

Bytes ToBytes(std::string_view text) {
  return {AsBytes(text).begin(), AsBytes(text).end()};
}

TEST(LocalStreams, CarryBytesBothWaysAndTellWhoCame) {
  Listening f;
  ASSERT_TRUE(f.Listen(LocalCallers::kSameUser).has_value());
  auto ours = ConnectLocal(*f.loop, f.path);
  ASSERT_TRUE(ours.has_value()) << ours.error().message;
  auto& client = f.Add(*std::move(ours));
  client.stream->Write(ToBytes("ping"));
  ASSERT_TRUE(RunUntil(*f.loop, [&] { return f.connections.back().received == "ping"; }));
  auto& server = f.connections.back();
  EXPECT_EQ(server.peer.user_id, std::int64_t{geteuid()});
  EXPECT_EQ(server.peer.process_id, std::int64_t{getpid()});
  server.stream->Write(ToBytes("pong"));
  EXPECT_TRUE(RunUntil(*f.loop, [&] { return client.received == "pong"; }));
  server.stream = nullptr;
  EXPECT_TRUE(RunUntil(*f.loop, [&] { return client.ended; }));
}

TEST(LocalStreams, SocketForAnyUserCanBeReachedByAll) {
  Listening f;
  ASSERT_TRUE(f.Listen(LocalCallers::kAnyUser).has_value());
  struct stat facts {};
  ASSERT_EQ(stat(f.path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777u, 0666u);
  ASSERT_EQ(stat((f.folder.path() + "/run").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777u, 0755u) << "others may come in, not write";
  f.listener = nullptr;
  EXPECT_NE(stat(f.path.c_str(), &facts), 0);
}

TEST(LocalStreams, NobodyThereIsUnavailable) {
  Listening f;
  const auto none = ConnectLocal(*f.loop, f.path);
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kUnavailable);
  ASSERT_TRUE(f.Listen(LocalCallers::kSameUser).has_value());
  Listening second{.path = f.path};
  EXPECT_EQ(second.Listen(LocalCallers::kSameUser).error().code, ErrorCode::kAlreadyExists);
  // A killed server leaves its socket.
  f.listener = nullptr;
  { std::ofstream stale(f.path); }
  EXPECT_EQ(ConnectLocal(*f.loop, f.path).error().code, ErrorCode::kUnavailable);
}

TEST(LocalStreams, AConnectionMayEndTheListener) {
  Listening f;
  auto listener =
      ListenLocal(*f.loop, f.path, LocalCallers::kSameUser,
                  [&f](std::unique_ptr<ByteStream>, LocalPeer) { f.listener = nullptr; });
  ASSERT_TRUE(listener.has_value());
  f.listener = *std::move(listener);
  auto& client = f.Add(ConnectLocal(*f.loop, f.path).value());
  EXPECT_TRUE(RunUntil(*f.loop, [&] { return client.ended; }));
  EXPECT_EQ(f.listener, nullptr);
}

TEST(LocalStreams, ManyWhoConnectDoNotKeepTheLoopFromItsOtherWork) {
  constexpr std::size_t kMany = 300;
  Listening f;
  ASSERT_TRUE(f.Listen(LocalCallers::kSameUser).has_value());
  std::vector<int> sockets;
  for (std::size_t i = 0; i < kMany; ++i) sockets.push_back(ConnectTo(f.path));
  // Once a turn of the loop.
  std::size_t seen = 0, most_in_turn = 0;
  const std::function<void()> look = [&] {
    most_in_turn = std::max(most_in_turn, f.connections.size() - seen);
    seen = f.connections.size();
    if (seen < kMany) f.loop->Post(look);
  };
  f.loop->Post(look);
  EXPECT_TRUE(RunUntil(*f.loop, [&] { return seen == kMany; }));
  EXPECT_LT(most_in_turn, kMany / 3);
  for (const int socket : sockets) close(socket);
}

// Connects as another user; whether the server spoke to it.
bool OtherUserIsServed(Listening& f) {
  EXPECT_EQ(chmod(f.folder.path().c_str(), 0755), 0);
  EXPECT_EQ(chmod((f.folder.path() + "/run").c_str(), 0755), 0);
  EXPECT_EQ(chmod(f.path.c_str(), 0666), 0) << "even if the file's mode lets them in";
  const pid_t child = fork();
  if (child == 0) {
    if (setuid(65534) != 0) _exit(3);
    const int socket = ConnectTo(f.path);
    char byte = 0;
    _exit(recv(socket, &byte, 1, 0) == 1 ? 1 : 0);
  }
  int status = 0;
  EXPECT_TRUE(RunUntil(*f.loop, [&] {
    for (auto& connection : f.connections) {
      EXPECT_EQ(connection.peer.user_id, 65534);
      if (connection.stream->pending_write_bytes() == 0) connection.stream->Write(ToBytes("!"));
    }
    return waitpid(child, &status, WNOHANG) == child;
  }));
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_LE(WEXITSTATUS(status), 1);
  return WEXITSTATUS(status) == 1;
}

// Only root can become another user and try.
TEST(LocalStreams, OtherUsersAreServedOnlyWhereTheyMay) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  Listening own;
  ASSERT_TRUE(own.Listen(LocalCallers::kSameUser).has_value());
  EXPECT_FALSE(OtherUserIsServed(own));
  EXPECT_TRUE(own.connections.empty());
  Listening open;
  ASSERT_TRUE(open.Listen(LocalCallers::kAnyUser).has_value());
  EXPECT_TRUE(OtherUserIsServed(open));
}

}  // namespace
}  // namespace fallow
