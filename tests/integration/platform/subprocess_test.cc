#include "platform/subprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "platform/system.h"
#include "tests/integration/platform/run_loop.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::RunFor;
using fallow::testing::RunUntil;
using fallow::testing::WaitUntil;
using std::chrono::milliseconds;
using ::testing::ElementsAre;

Bytes ToBytes(std::string_view text) {
  return {AsBytes(text).begin(), AsBytes(text).end()};
}

// A process that is not even a zombie any more.
bool IsGone(pid_t process) {
  return kill(process, 0) != 0;
}

// A process that no longer runs; somebody else's zombie counts as ended.
bool HasEnded(pid_t process) {
  if (IsGone(process)) return true;
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string text;
  std::getline(file, text);
  const auto end_of_name = text.rfind(')');
  return end_of_name == std::string::npos || text[end_of_name + 2] == 'Z';
}

struct Fixture {
  std::unique_ptr<MainLoop> loop = NewMainLoop();
  std::unique_ptr<SubprocessLauncher> launcher = NewSubprocessLauncher(*loop);
  std::string output;
  std::vector<std::string> error_lines;
  std::optional<SubprocessExit> exit;
  std::unique_ptr<Subprocess> process;

  SubprocessOptions Options(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     std::string(FALLOW_BINARY_DIR) + "/tests/platform_test_child");
    SubprocessOptions options;
    options.arguments = std::move(arguments);
    options.on_output = [this](ByteView bytes) { output += AsText(bytes); };
    options.on_error_line = [this](std::string_view line) { error_lines.emplace_back(line); };
    options.on_exit = [this](SubprocessExit how) {
      EXPECT_FALSE(exit.has_value()) << "on_exit came twice";
      exit = how;
    };
    return options;
  }
  void Launch(std::vector<std::string> arguments) {
    auto launched = launcher->Launch(Options(std::move(arguments)));
    ASSERT_TRUE(launched.has_value()) << launched.error().message;
    process = std::move(*launched);
  }
  bool RunUntilExit() {
    return RunUntil(*loop, [this] { return exit.has_value(); });
  }
};

TEST(Subprocess, EchoesMegabytesThroughItsPipes) {
  Fixture f;
  f.Launch({"echo"});
  std::string sent;
  for (int i = 0; i < 64; ++i) {
    const std::string piece(64 << 10, static_cast<char>('a' + i % 26));
    f.process->Write(ToBytes(piece));
    sent += piece;
  }
  f.process->CloseInput();
  f.process->Write(ToBytes("ignored"));
  ASSERT_TRUE(f.RunUntilExit());
  EXPECT_EQ(f.exit->code, 0);
  EXPECT_EQ(f.exit->signal, 0);
  EXPECT_TRUE(f.output == sent) << f.output.size() << " of " << sent.size() << " bytes";
}

TEST(Subprocess, ReportsExitCodes) {
  Fixture f;
  f.Launch({"exit", "7"});
  ASSERT_TRUE(f.RunUntilExit());
  EXPECT_EQ(f.exit->code, 7);
  EXPECT_EQ(f.exit->signal, 0);
}

TEST(Subprocess, ReportsTheSignalOfACrash) {
  Fixture f;
  f.Launch({"abort"});
  ASSERT_TRUE(f.RunUntilExit());
  EXPECT_EQ(f.exit->code, -1);
  EXPECT_EQ(f.exit->signal, SIGABRT);
}

TEST(Subprocess, SplitsStandardErrorIntoLines) {
  Fixture f;
  f.Launch({"complain"});
  ASSERT_TRUE(f.RunUntilExit());
  EXPECT_THAT(f.error_lines, ElementsAre("first line", "", "third line", "unfinished"));
}

TEST(Subprocess, EndlessErrorLineComesInBoundedPieces) {
  Fixture f;
  f.Launch({"flood"});
  ASSERT_TRUE(f.RunUntilExit());
  std::size_t total = 0;
  for (const std::string& line : f.error_lines) {
    EXPECT_LE(line.size(), 16u << 10);
    total += line.size();
  }
  EXPECT_EQ(total, 4u << 20);
}

TEST(Subprocess, MissingProgramIsNotFound) {
  Fixture f;
  SubprocessOptions options;
  options.arguments = {"/nowhere/fallow-worker"};
  const auto launched = f.launcher->Launch(std::move(options));
  ASSERT_FALSE(launched.has_value());
  EXPECT_EQ(launched.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(launched.error().message, ::testing::HasSubstr("/nowhere/fallow-worker"));
  RunFor(*f.loop, milliseconds(10));
}

TEST(Subprocess, FileThatIsNoProgramIsRefused) {
  Fixture f;
  SubprocessOptions options;
  options.arguments = {"/etc/passwd"};
  const auto launched = f.launcher->Launch(std::move(options));
  ASSERT_FALSE(launched.has_value());
  EXPECT_EQ(launched.error().code, ErrorCode::kPermissionDenied);
}

TEST(Subprocess, EnvironmentIsAddedToOurs) {
  Fixture f;
  SubprocessOptions options = f.Options({"getenv", "FALLOW_TEST_VALUE"});
  options.environment = {"FALLOW_TEST_VALUE=42"};
  f.process = f.launcher->Launch(std::move(options)).value();
  ASSERT_TRUE(f.RunUntilExit());
  EXPECT_EQ(f.output, "42");

  f.exit.reset();
  f.output.clear();
  f.Launch({"getenv", "PATH"});
  ASSERT_TRUE(f.RunUntilExit());
  EXPECT_EQ(f.output, getenv("PATH"));
}

TEST(Subprocess, ChildHoldsNoFilesOfOurs) {
  int leaky[2];
  ASSERT_EQ(pipe(leaky), 0) << "made without the close-on-exec mark, as careless libraries do";
  Fixture f;
  f.Launch({"files"});
  ASSERT_TRUE(f.RunUntilExit());
  EXPECT_EQ(f.output, "0\n1\n2\n");
  close(leaky[0]);
  close(leaky[1]);
}

TEST(Subprocess, KillEndsItAtOnce) {
  Fixture f;
  f.Launch({"wait"});
  ASSERT_TRUE(RunUntil(*f.loop, [&] { return f.output == "waiting\n"; }));
  f.process->Kill();
  ASSERT_TRUE(f.RunUntilExit());
  EXPECT_EQ(f.exit->signal, SIGKILL);
  f.process->Kill();
}

TEST(Subprocess, DestructionKillsReapsAndSilences) {
  Fixture f;
  f.Launch({"wait"});
  ASSERT_TRUE(RunUntil(*f.loop, [&] { return f.output == "waiting\n"; }));
  const auto process_id = static_cast<pid_t>(f.process->process_id());
  f.process = nullptr;
  EXPECT_TRUE(RunUntil(*f.loop, [&] { return IsGone(process_id); }));
  EXPECT_FALSE(f.exit.has_value());
}

TEST(Subprocess, LoopsEndReapsAKilledChild) {
  pid_t process_id = 0;
  {
    Fixture f;
    f.Launch({"wait"});
    process_id = static_cast<pid_t>(f.process->process_id());
  }
  EXPECT_TRUE(IsGone(process_id));
}

TEST(Subprocess, MayBeDestroyedFromItsCallbacks) {
  Fixture f;
  SubprocessOptions options = f.Options({"wait"});
  options.on_output = [&](ByteView) { f.process = nullptr; };
  f.process = f.launcher->Launch(std::move(options)).value();
  EXPECT_TRUE(RunUntil(*f.loop, [&] { return f.process == nullptr; }));

  options = f.Options({"exit", "0"});
  options.on_exit = [&](SubprocessExit) { f.process = nullptr; };
  f.process = f.launcher->Launch(std::move(options)).value();
  EXPECT_TRUE(RunUntil(*f.loop, [&] { return f.process == nullptr; }));
}

TEST(Subprocess, GrandchildThatHoldsThePipeDelaysExitOnlyBriefly) {
  Fixture f;
  f.Launch({"grandchild"});
  ASSERT_TRUE(f.RunUntilExit());
  const pid_t grandchild = std::atoi(f.output.c_str());
  ASSERT_GT(grandchild, 1);
  kill(grandchild, SIGKILL);
}

TEST(Subprocess, WritingToADeadChildIsIgnored) {
  Fixture f;
  f.Launch({"exit", "0"});
  for (int i = 0; i < 100; ++i) f.process->Write(Bytes(64 << 10));
  ASSERT_TRUE(f.RunUntilExit());
  f.process->Write(ToBytes("more"));
  RunFor(*f.loop, milliseconds(5));
  EXPECT_EQ(f.exit->code, 0);
}

// A child that called DieWithParent must not outlive a parent that was killed without warning.
TEST(Subprocess, BoundChildDiesWithItsParent) {
  Fixture f;
  f.Launch({"leave-bound-child"});
  ASSERT_TRUE(f.RunUntilExit());
  EXPECT_EQ(f.exit->signal, SIGKILL);
  const pid_t bound = std::atoi(f.output.c_str());
  ASSERT_GT(bound, 1);
  EXPECT_TRUE(WaitUntil([&] { return HasEnded(bound); }, std::chrono::seconds(60)));
}

}  // namespace
}  // namespace fallow
