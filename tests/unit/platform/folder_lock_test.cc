#include "platform/folder_lock.h"

#include <gtest/gtest.h>

#include "tests/support/program.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;

TEST(FolderLock, HasOneHolderAtATime) {
  const testing::TemporaryFolder folder;
  auto first = LockFolder(folder.path(), 0ms);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(LockFolder(folder.path(), 0ms), nullptr);
  first.reset();
  EXPECT_NE(LockFolder(folder.path(), 0ms), nullptr);
}

TEST(FolderLock, ThereIsNoneOfAFolderThatIsNotThere) {
  const testing::TemporaryFolder folder;
  EXPECT_EQ(LockFolder(folder.path() + "/none", 0ms), nullptr);
}

}  // namespace
}  // namespace fallow
