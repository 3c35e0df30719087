// Artifacts in a directory, and stores on disks that are full or read-only.
#include "coordinator/artifacts/directory/directory_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "coordinator/store/sqlite/sqlite_store.h"
#include "tests/support/stores.h"
#include "tests/unit/coordinator/coordinator_world.h"

namespace fallow {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class DirectoryStoreTest : public testing::Test {
 protected:
  std::unique_ptr<ArtifactStore> Open(std::uint64_t max_artifact_bytes = 1 << 20) {
    auto store = OpenDirectoryStore(root_, {max_artifact_bytes});
    EXPECT_TRUE(store.has_value()) << store.error().message;
    return *std::move(store);
  }
  static ArtifactInfo Put(ArtifactStore& store, std::string_view text) {
    auto writer = store.Create();
    EXPECT_TRUE((*writer)->Write(AsBytes(text)).has_value());
    return *(*writer)->Finish();
  }
  std::size_t FileCount() const {
    std::size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(root_))
      count += entry.is_regular_file();
    return count;
  }
  ScratchDirectory scratch_;
  std::string root_ = scratch_.path() + "/artifacts";
};

TEST_F(DirectoryStoreTest, KeepsBytesUnderTheirDigest) {
  auto store = Open();
  const ArtifactInfo info = Put(*store, "hello");
  EXPECT_EQ(info.digest, Sha256::Of("hello"));
  EXPECT_EQ(info.size_bytes, 5u);
  store = Open();
  const auto reader = store->Open(info.digest);
  ASSERT_TRUE(reader.has_value());
  Bytes bytes(10);
  EXPECT_EQ(*(*reader)->ReadAt(1, bytes), 4u);
  EXPECT_EQ(AsText(bytes).substr(0, 4), "ello");
  EXPECT_EQ(*(*reader)->ReadAt(5, bytes), 0u);
  EXPECT_TRUE(fs::exists(**store->LocalPath(info.digest)));
}

TEST_F(DirectoryStoreTest, KeepsEqualArtifactsOnce) {
  auto store = Open();
  Put(*store, "same");
  Put(*store, "same");
  EXPECT_EQ(FileCount(), 1u);
  ASSERT_TRUE(store->Remove(Sha256::Of("same")).has_value());
  ASSERT_TRUE(store->Remove(Sha256::Of("same")).has_value());
  EXPECT_EQ(store->Open(Sha256::Of("same")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store->LocalPath(Sha256::Of("same")).error().code, ErrorCode::kNotFound);
}

TEST_F(DirectoryStoreTest, LeavesNothingOfAnUnfinishedArtifact) {
  auto store = Open();
  {
    auto writer = store->Create();
    ASSERT_TRUE((*writer)->Write(AsBytes("half")).has_value());
    EXPECT_EQ(FileCount(), 1u);
  }
  EXPECT_EQ(FileCount(), 0u);
  std::ofstream(root_ + "/incoming/7") << "left by a crash";
  store = Open();
  EXPECT_EQ(FileCount(), 0u);
}

TEST_F(DirectoryStoreTest, RefusesMoreThanItsLimit) {
  auto store = Open(10);
  auto writer = store->Create();
  ASSERT_TRUE((*writer)->Write(AsBytes("0123456789")).has_value());
  EXPECT_EQ((*writer)->Write(AsBytes("x")).error().code, ErrorCode::kResourceExhausted);
}

TEST_F(DirectoryStoreTest, SeesThatAnArtifactWasCutShort) {
  auto store = Open();
  const ArtifactInfo info = Put(*store, "0123456789");
  const auto reader = store->Open(info.digest);
  fs::resize_file(**store->LocalPath(info.digest), 4);
  Bytes bytes(10);
  EXPECT_EQ((*reader)->ReadAt(0, bytes).error().code, ErrorCode::kDataLoss);
}

// The database may not grow: every call says so, nothing is half done, and with space the work goes
// on.
TEST(FullDisk, IsANamedErrorAndTheCoordinatorSurvives) {
  ScratchDirectory scratch;
  const std::string path = scratch.path() + "/coordinator.db";
  auto store = OpenSqliteStore(path, {.max_bytes = 300'000});
  ASSERT_TRUE(store.has_value()) << store.error().message;
  CoordinatorWorld world(*std::move(store));
  world.Start();
  world.AddModel();
  const Job small = world.Submit(BatchText(5));
  ASSERT_EQ(small.state, JobState::kInProgress);
  // Too many requests for the space: the job waits in validation.
  const Job large = world.Submit(BatchText(5000));
  EXPECT_EQ(large.state, JobState::kValidating);
  EXPECT_TRUE(world.store->Outcomes(large.id, 0, 10, Answers::kWith)->empty());

  Error error;
  for (int i = 0; i < 5000 && error.message.empty(); ++i) {
    const auto put = world.store->PutSetting(fmt::format("s{}", i), std::string(1000, 'x'));
    if (!put) error = put.error();
  }
  EXPECT_EQ(error.code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(error.message, HasSubstr("full"));
  EXPECT_EQ(world.Look(small.id).state, JobState::kInProgress);
  // An upload whose record finds no room leaves no bytes behind either.
  bool refused = false;
  for (int i = 0; i < 500 && !refused; ++i) {
    const std::string text = fmt::format("upload {}", i);
    const auto file = world.Upload(text);
    refused = !file.has_value();
    if (!refused) continue;
    EXPECT_EQ(file.error().code, ErrorCode::kResourceExhausted);
    EXPECT_EQ(world.artifacts->Open(Sha256::Of(text)).error().code, ErrorCode::kNotFound);
  }
  EXPECT_TRUE(refused);

  world.coordinator.reset();
  world.store.reset();
  world.store = OpenSqliteStore(path, {}).value();
  world.Start();
  world.loop.RunPending();
  EXPECT_EQ(world.Look(large.id).state, JobState::kInProgress);
  world.WorkOff(world.Enroll(1));
  EXPECT_EQ(world.Look(small.id).state, JobState::kCompleted);
  EXPECT_EQ(world.Look(large.id).counts.completed, 5000u);
}

TEST(SqliteStore, RefusesASecondCoordinatorOnOneFile) {
  ScratchDirectory scratch;
  const auto first = OpenStore(StoreKind::kSqlite, scratch);
  const auto second = OpenSqliteStore(scratch.path() + "/coordinator.db", {});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr("another coordinator"));
}

TEST(SqliteStore, RefusesWhatIsNotAStore) {
  ScratchDirectory scratch;
  const std::string path = scratch.path() + "/coordinator.db";
  std::ofstream(path) << std::string(10'000, 'x');
  EXPECT_EQ(OpenSqliteStore(path, {}).error().code, ErrorCode::kDataLoss);
  EXPECT_FALSE(OpenSqliteStore(scratch.path() + "/none/coordinator.db", {}).has_value());
}

}  // namespace
}  // namespace fallow
