// What every Store promises of settings, keys, files, models and devices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/conformance/store_conformance.h"

namespace fallow {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

INSTANTIATE_TEST_SUITE_P(Stores, StoreConformance,
                         testing::Values(StoreKind::kMemory, StoreKind::kSqlite),
                         [](const auto& store) { return StoreKindName(store.param); });

TEST_P(StoreConformance, KeepsSettings) {
  EXPECT_EQ(store().Setting("x")->has_value(), false);
  ASSERT_TRUE(store().PutSetting("x", "1").has_value());
  ASSERT_TRUE(store().PutSetting("x", "2").has_value());
  EXPECT_EQ(store().Setting("x")->value(), "2");
}

TEST_P(StoreConformance, KeepsKeysAndWhenTheyWereRevoked) {
  ApiKey key{KeyId("key_1"), kAlice, Role::kOperator, "laptop", "sk-fallow-ab", Sha256::Of("s"),
             kNow,           {}};
  ASSERT_TRUE(store().AddKey(key).has_value());
  EXPECT_EQ(store().AddKey(key).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(store().FindKey(Sha256::Of("s"))->value(), key);
  EXPECT_FALSE(store().FindKey(Sha256::Of("t"))->has_value());
  EXPECT_EQ(store().RevokeKey(KeyId("key_2"), kNow).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(store().RevokeKey(key.id, kNow).has_value());
  ASSERT_TRUE(store().RevokeKey(key.id, kNow + seconds(9)).has_value());
  EXPECT_EQ(store().FindKey(Sha256::Of("s"))->value().revoked_at, kNow);
  EXPECT_EQ(store().Keys()->size(), 1u);
}

TEST_P(StoreConformance, ListsFilesNewestFirstByAccountAndPurpose) {
  ASSERT_TRUE(store().AddFile(MakeFile("file-2", kBob)).has_value());
  File output = MakeFile("file-3");
  output.purpose = FilePurpose::kBatchOutput;
  ASSERT_TRUE(store().AddFile(output).has_value());
  EXPECT_EQ(store().AddFile(output).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(store().FindFile(FileId("file-3"))->value(), output);
  const auto ids = [&](const ListQuery& query, std::optional<FilePurpose> purpose) {
    std::vector<std::string> found;
    const auto files = store().Files(query, purpose);
    for (const File& file : *files) found.push_back(file.id.value);
    return found;
  };
  EXPECT_THAT(ids({kAlice, {}, 10}, {}), ElementsAre("file-3", "file-1"));
  EXPECT_THAT(ids({{}, {}, 2}, {}), ElementsAre("file-3", "file-2"));
  EXPECT_THAT(ids({kAlice, "file-3", 10}, {}), ElementsAre("file-1"));
  EXPECT_THAT(ids({kAlice, {}, 10}, FilePurpose::kBatch), ElementsAre("file-1"));
  EXPECT_EQ(store().Files({kAlice, "file-9", 10}, {}).error().code, ErrorCode::kInvalidArgument);
}

TEST_P(StoreConformance, SaysWhetherARemovedFilesBytesAreStillNeeded) {
  File twin = MakeFile("file-2");
  twin.artifact = MakeFile("file-1").artifact;
  ASSERT_TRUE(store().AddFile(twin).has_value());
  EXPECT_FALSE(store().RemoveFile(FileId("file-2"))->unused);
  EXPECT_TRUE(*store().ArtifactUsed(twin.artifact));
  const auto removed = store().RemoveFile(FileId("file-1"));
  EXPECT_TRUE(removed->unused);
  EXPECT_EQ(removed->artifact, twin.artifact);
  EXPECT_FALSE(*store().ArtifactUsed(twin.artifact));
  EXPECT_EQ(store().RemoveFile(FileId("file-1")).error().code, ErrorCode::kNotFound);
}

TEST_P(StoreConformance, KeepsFilesAndModelsOfOpenJobs) {
  StartJob("batch_1", 1);
  EXPECT_EQ(store().RemoveFile(FileId("file-1")).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(store().RemoveModel(ModelId("tiny")).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(*store().ExpiredFiles(kNow + seconds(1000), 10), IsEmpty());
  ASSERT_TRUE(store().StopJob(JobId("batch_1"), StopReason::kCancel, kNow).has_value());
  ASSERT_TRUE(store().FinishJob(JobId("batch_1"), {}, {}, kNow).has_value());
  EXPECT_THAT(*store().ExpiredFiles(kNow + seconds(100), 10), ElementsAre(FileId("file-1")));
  EXPECT_THAT(*store().ExpiredFiles(kNow + seconds(99), 10), IsEmpty());
  EXPECT_TRUE(store().RemoveFile(FileId("file-1")).has_value());
  EXPECT_TRUE(store().RemoveModel(ModelId("tiny")).has_value());
}

TEST_P(StoreConformance, KeepsAModelsNameForOneFile) {
  EXPECT_TRUE(store().AddModel(MakeModel()).has_value());
  Model other = MakeModel();
  other.artifact = Sha256::Of("other");
  EXPECT_EQ(store().AddModel(other).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(store().FindModel(ModelId("tiny"))->value(), MakeModel());
  EXPECT_THAT(*store().Models(), ElementsAre(MakeModel()));
  EXPECT_EQ(store().RemoveModel(ModelId("none")).error().code, ErrorCode::kNotFound);
}

TEST_P(StoreConformance, GivesAKnownKeyItsDeviceBack) {
  Device again = MakeDevice(DeviceId("dev_new"), 1);
  again.profile.hostname = "renamed";
  const auto enrolled = store().EnrollDevice(again);
  EXPECT_EQ(enrolled->id, kDevice);
  EXPECT_EQ(store().FindDevice(kDevice)->value().profile.hostname, "renamed");
  EXPECT_FALSE(store().FindDevice(DeviceId("dev_new"))->has_value());
  EXPECT_EQ(store().Devices()->size(), 2u);
  EXPECT_FALSE(store().FindDevice(kDevice)->value().status.yields.has_value());
  const DeviceStatus status{DeviceState::kInUse, "a key was pressed", 12.5, 900.25,
                            YieldFigures{214, 8.25, 31.5}};
  ASSERT_TRUE(
      store().UpdateDevice(kDevice, enrolled->profile, status, kNow + seconds(5)).has_value());
  EXPECT_EQ(store().FindDevice(kDevice)->value().status, status);
  EXPECT_EQ(store().UpdateDevice(DeviceId("x"), {}, {}, kNow).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace fallow
