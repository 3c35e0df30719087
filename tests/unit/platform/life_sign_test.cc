#include "platform/life_sign.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::ReadFile;
using fallow::testing::TemporaryFolder;

// Linux' own folder in memory, which any user may write to.
constexpr const char* kMemory = "/dev/shm";

class LifeSignTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::is_directory(kMemory)) GTEST_SKIP() << "there is no " << kMemory;
  }

  const TemporaryFolder folder_{kMemory};
  const std::string path_ = folder_.path() + "/alive";
};

TEST_F(LifeSignTest, TheMomentNotedLastStaysWhenWhoeverNotedItIsGone) {
  EXPECT_EQ(ReadLifeSign(path_), std::nullopt);
  for (const std::int64_t unix_ms : {1'785'232'800'000L, 1'785'232'805'000L, 7L}) {
    auto sign = OpenLifeSign(path_);
    ASSERT_TRUE(sign.has_value()) << sign.error().message;
    (*sign)->Note(WallTimeFromUnixMs(unix_ms));
    sign->reset();
    EXPECT_EQ(ReadLifeSign(path_), WallTimeFromUnixMs(unix_ms));
  }
}

TEST_F(LifeSignTest, WhatIsNoMomentIsNone) {
  for (const char* text : {"", "\n", "x\n", "12", "12 \n", "12\n13\n", "99999999999999999999\n"}) {
    std::ofstream(path_) << text;
    EXPECT_EQ(ReadLifeSign(path_), std::nullopt) << text;
  }
}

TEST_F(LifeSignTest, ALinkIsNotFollowed) {
  const TemporaryFolder folder;
  const std::string victim = folder.path() + "/victim";
  std::ofstream(victim) << "theirs";
  std::filesystem::create_symlink(victim, path_);
  EXPECT_FALSE(OpenLifeSign(path_).has_value());
  EXPECT_EQ(ReadFile(victim), "theirs");
}

TEST_F(LifeSignTest, ANamedPipeHoldsNobodyUp) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_FALSE(OpenLifeSign(path_).has_value());
  EXPECT_EQ(ReadLifeSign(path_), std::nullopt);
}

TEST(LifeSign, NothingIsWrittenToADisk) {
  const std::string path = "/proc/self/comm";  // a file system that is none in memory, anywhere
  const auto sign = OpenLifeSign(path);
  ASSERT_FALSE(sign.has_value());
  EXPECT_EQ(sign.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(sign.error().message.find(path), std::string::npos);
}

TEST(LifeSign, AFolderThatIsMissingIsNamed) {
  const auto sign = OpenLifeSign("/none/alive");
  ASSERT_FALSE(sign.has_value());
  EXPECT_NE(sign.error().message.find("/none/alive"), std::string::npos);
}

}  // namespace
}  // namespace fallow
