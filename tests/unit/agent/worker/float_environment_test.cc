#include "agent/worker/float_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cfenv>

namespace fallow {
namespace {

TEST(FloatEnvironment, TheDefaultKeepsTheContract) {
  EXPECT_TRUE(CheckFloatEnvironment().has_value());
}

TEST(FloatEnvironment, AnotherRoundingModeIsRefused) {
  std::fesetround(FE_UPWARD);
  const Status status = CheckFloatEnvironment();
  std::fesetround(FE_TONEAREST);
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message, testing::HasSubstr("round to nearest"));
}

#if defined(__x86_64__)
TEST(FloatEnvironment, FlushedDenormalsAreRefused) {
  for (const unsigned bit : {0x8000u, 0x0040u}) {  // flush results to zero; take operands as zero
    const unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | bit);
    const Status status = CheckFloatEnvironment();
    __builtin_ia32_ldmxcsr(before);
    ASSERT_FALSE(status.has_value()) << bit;
    EXPECT_THAT(status.error().message, testing::HasSubstr("denormal"));
  }
}
#endif

}  // namespace
}  // namespace fallow
