#include "platform/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "platform/paths.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::TemporaryFolder;

TEST(MappedFile, ShowsTheFilesBytes) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/file";
  ASSERT_TRUE(WriteFileAtomically(path, "some bytes").has_value());
  const auto file = MapFile(path);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(AsText((*file)->bytes()), "some bytes");
}

TEST(MappedFile, EmptyFileIsEmpty) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/file";
  ASSERT_TRUE(WriteFileAtomically(path, "").has_value());
  const auto file = MapFile(path);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_TRUE((*file)->bytes().empty());
}

TEST(MappedFile, NamesWhatIsMissingOrNoFile) {
  const TemporaryFolder folder;
  const auto missing = MapFile(folder.path() + "/none");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_NE(missing.error().message.find("/none"), std::string::npos);

  const auto directory = MapFile(folder.path());
  ASSERT_FALSE(directory.has_value());
  EXPECT_EQ(directory.error().code, ErrorCode::kInvalidArgument);

  const std::string pipe = folder.path() + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const auto fifo = MapFile(pipe);
  ASSERT_FALSE(fifo.has_value());
  EXPECT_EQ(fifo.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace fallow
