#include "platform/process_end.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

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
