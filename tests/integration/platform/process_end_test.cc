#include "platform/process_end.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/log.h"
#include "platform/system.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;

void Hang() {
  while (true) ::pause();
}

TEST(ProcessEnd, AThreadThatHangsDoesNotHoldItUp) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        auto loop = NewMainLoop();
        loop->Blocking(Hang, nullptr);
        const ProcessEnd end(50ms, 7);
        loop.reset();
      },
      ::testing::ExitedWithCode(7), "");
}

// A pipe that nobody reads.
void FillStandardError() {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_NONBLOCK), 0);
  const std::string much(1 << 20, 'x');
  while (::write(ends[1], much.data(), much.size()) > 0) continue;
  ASSERT_EQ(::fcntl(ends[1], F_SETFL, 0), 0);
  ASSERT_EQ(::dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
}

TEST(ProcessEnd, ALogThatNobodyReadsDoesNotHoldItUpEither) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        ::alarm(20);
        ASSERT_TRUE(SetUpLog("test", "info").has_value());
        FillStandardError();
        const ProcessEnd end(50ms, 7);
        LOG_WARN("goodbye");
      },
      ::testing::ExitedWithCode(7), "");
}

TEST(ProcessEnd, OneThatComesInTimeIsLeftAlone) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        {
          auto loop = NewMainLoop();
          const ProcessEnd end(60s, 7);
          loop->Blocking([] {}, nullptr);
          loop.reset();
        }
        std::exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace fallow
