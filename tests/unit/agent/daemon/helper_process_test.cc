#include "agent/daemon/helper_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/fake/fake_loop.h"
#include "platform/fake/fake_subprocess.h"
#include "platform/fake/seeded_random.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Fixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  SeededRandom random{1};
  FakeSubprocessLauncher launcher;
  HelperProcess helper{loop, random, launcher, {"/bin/fallow-session", "--socket", "/s"}};
};

TEST(HelperProcess, IsStartedAtOnce) {
  Fixture f;
  ASSERT_EQ(f.launcher.children().size(), 1u);
  EXPECT_THAT(f.launcher.last().options.arguments,
              ElementsAre("/bin/fallow-session", "--socket", "/s"));
  EXPECT_TRUE(f.helper.process_id().has_value());
}

TEST(HelperProcess, IsStartedAgainWhenItEndsAndSaysWhyItDid) {
  Fixture f;
  f.launcher.last().ErrorLine("no display");
  f.launcher.last().Exit({.code = 1, .signal = 0});
  f.loop.RunPending();
  EXPECT_EQ(f.helper.process_id(), std::nullopt);
  EXPECT_THAT(f.helper.trouble(), HasSubstr("code 1 (its last words: no display)"));
  f.loop.Advance(1s);
  EXPECT_EQ(f.launcher.children().size(), 2u);
  EXPECT_TRUE(f.helper.process_id().has_value());
}

TEST(HelperProcess, OneThatNeverStaysIsTriedOnceAMinuteAtMost) {
  Fixture f;
  for (int i = 0; i < 20; ++i) {
    f.launcher.last().Exit({.code = -1, .signal = 11});
    f.loop.RunPending();
    f.loop.Advance(60s);
  }
  EXPECT_EQ(f.launcher.children().size(), 21u);
  f.launcher.last().Exit({.code = -1, .signal = 11});
  f.loop.RunPending();
  f.loop.Advance(29s);
  EXPECT_EQ(f.launcher.children().size(), 21u);
  EXPECT_THAT(f.helper.trouble(), HasSubstr("signal 11"));
}

// Without it the machine counts as in use: one end a week is not to cost a minute.
TEST(HelperProcess, OneThatRanWellIsStartedAgainAtOnce) {
  Fixture f;
  for (int i = 0; i < 20; ++i) {
    f.launcher.last().Exit({.code = 1, .signal = 0});
    f.loop.RunPending();
    f.loop.Advance(60s);
  }
  f.loop.Advance(5min);
  f.launcher.last().Exit({.code = 1, .signal = 0});
  f.loop.RunPending();
  f.loop.Advance(1s);
  EXPECT_EQ(f.launcher.children().size(), 22u);
  EXPECT_TRUE(f.helper.process_id().has_value());
}

}  // namespace
}  // namespace fallow
