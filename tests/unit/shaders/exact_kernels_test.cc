#include <gmock/gmock.h>

#include <algorithm>

#include "shaders/kernels.h"
#include "shaders/spirv_module.h"

namespace fallow::shaders {
namespace {

using testing::IsEmpty;

// Every kernel of this project is exact: one undecorated addition would give other bits on another
// driver.
TEST(ExactKernels, KeepTheRulesOfTheContract) {
  ASSERT_THAT(AllKernels(), testing::SizeIs(testing::Ge(18)));
  for (const Kernel& kernel : AllKernels()) {
    const auto broken = BrokenExactRules(kernel.words);
    ASSERT_TRUE(broken.has_value()) << kernel.name << ": " << broken.error().message;
    EXPECT_THAT(*broken, IsEmpty()) << kernel.name;
  }
}

TEST(ExactKernels, KeepTheRulesWithTheRoundingModeAdded) {
  for (const Kernel& kernel : AllKernels()) {
    const auto words = WithRoundingModeRte(kernel.words);
    ASSERT_TRUE(words.has_value()) << kernel.name;
    EXPECT_EQ(words->size(), kernel.words.size() + 6) << kernel.name;
    const auto broken = BrokenExactRules(*words);
    ASSERT_TRUE(broken.has_value()) << kernel.name;
    EXPECT_THAT(*broken, IsEmpty()) << kernel.name;
  }
}

TEST(ExactKernels, HaveDifferentNames) {
  std::vector<std::string_view> names;
  for (const Kernel& kernel : AllKernels()) names.push_back(kernel.name);
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
}

}  // namespace
}  // namespace fallow::shaders
