#include <gtest/gtest.h>

#include <cerrno>

#include "platform/os.h"
#include "platform/system.h"

namespace fallow {
namespace {

TEST(SystemFacts, AreThere) {
  EXPECT_FALSE(HostName().empty());
  EXPECT_FALSE(OperatingSystemName().empty());
  EXPECT_EQ(OperatingSystemName().find('"'), std::string::npos);
  EXPECT_GT(PhysicalMemoryBytes(), 64u << 20);
}

TEST(SystemFacts, UsersHaveNamesOrElseNumbers) {
  EXPECT_EQ(UserName(0), "root");
  EXPECT_EQ(UserName(4'000'000'000), "4000000000");
}

TEST(SystemClock, SteadyTimeNeverStepsBack) {
  const auto clock = NewSystemClock();
  SteadyTime last = clock->Steady();
  for (int i = 0; i < 1000; ++i) {
    const SteadyTime now = clock->Steady();
    EXPECT_GE(now, last);
    last = now;
  }
  EXPECT_GT(UnixSeconds(clock->Wall()), 1'700'000'000);
}

TEST(SystemRandom, FillsWithDifferentBytes) {
  const auto random = NewSystemRandom();
  EXPECT_NE(random->Hex(32), random->Hex(32));
  EXPECT_EQ(random->Hex(3).size(), 6u);
}

TEST(SystemError, TellsWhatACallerCanDo) {
  const Error full = os::SystemError("cannot write /data/file", ENOSPC);
  EXPECT_EQ(full.code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(full.message, "cannot write /data/file: No space left on device");
  EXPECT_EQ(os::SystemError("x", ENOENT).code, ErrorCode::kNotFound);
  EXPECT_EQ(os::SystemError("x", EACCES).code, ErrorCode::kPermissionDenied);
}

}  // namespace
}  // namespace fallow
