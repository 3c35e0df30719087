// What a submitter hears of a bad file, line by line; and that a huge one costs time, not memory or
// answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/core/limits.h"
#include "tests/unit/coordinator/coordinator_world.h"

namespace fallow {
namespace {

using testing::HasSubstr;

class InputValidatorTest : public testing::Test {
 protected:
  void SetUp() override {
    world_.Start();
    world_.AddModel();
  }
  // The errors of a file that must fail, as "line code".
  std::vector<std::string> Errors(const std::string& text) {
    const Job job = world_.Submit(text);
    EXPECT_EQ(job.state, JobState::kFailed);
    EXPECT_TRUE(job.failed_at.has_value());
    std::vector<std::string> errors;
    for (const JobError& error : job.errors)
      errors.push_back(fmt::format("{} {}", error.line, error.code));
    return errors;
  }
  CoordinatorWorld world_;
};

using Lines = std::vector<std::string>;

TEST_F(InputValidatorTest, NamesABrokenLineByItsNumber) {
  std::string text;
  for (int i = 1; i <= 20; ++i)
    text += (i == 17 ? "{\"custom_id\": oops" : BatchLineText(fmt::format("r{}", i))) + "\n";
  EXPECT_EQ(Errors(text), (Lines{"17 invalid_json_line"}));
}

TEST_F(InputValidatorTest, ReportsAllThatIsWrongAtOnce) {
  const std::string text = BatchLineText("a") + "\n" +                            // 1
                           BatchLineText("b", "hi", "unknown") + "\n" +           // 2
                           "\n" +                                                 // 3: blank, fine
                           BatchLineText("a") + "\n" +                            // 4
                           BatchLineText("c", "hi", "tiny", ",\"n\":2") + "\n" +  // 5
                           "{\"custom_id\":\"\xff\"}\n" +                         // 6
                           BatchLineText("d");                                    // 7
  EXPECT_EQ(Errors(text), (Lines{"2 model_not_found", "4 duplicate_custom_id",
                                 "5 unsupported_parameter", "6 invalid_json_line"}));
  const Job job = world_.Submit(BatchLineText("a") + "\n" + BatchLineText("a"));
  EXPECT_THAT(job.errors.at(0).message, HasSubstr("line 1"));
}

TEST_F(InputValidatorTest, WantsOneModelABatch) {
  world_.AddModel("other");
  EXPECT_EQ(Errors(BatchLineText("a") + "\n" + BatchLineText("b", "hi", "other")),
            (Lines{"2 mixed_models"}));
}

TEST_F(InputValidatorTest, SkipsATenMegabyteLineAndGoesOn) {
  const std::string text =
      BatchLineText("a") + "\n" + std::string(10 << 20, 'x') + "\n" + BatchLineText("a") + "\n";
  EXPECT_EQ(Errors(text), (Lines{"2 line_too_long", "3 duplicate_custom_id"}));
}

TEST_F(InputValidatorTest, RefusesAFileWithoutRequests) {
  EXPECT_EQ(Errors(""), (Lines{"0 empty_file"}));
  EXPECT_EQ(Errors("\n \n\r\n"), (Lines{"0 empty_file"}));
}

TEST_F(InputValidatorTest, RefusesTooManyLines) {
  std::string text;
  for (std::uint64_t i = 0; i <= kMaxBatchLines; ++i)
    text += BatchLineText(fmt::format("r{}", i)) + "\n";
  EXPECT_EQ(Errors(text), (Lines{fmt::format("{} too_many_lines", kMaxBatchLines + 1)}));
}

TEST_F(InputValidatorTest, CollectsAtMostAHundredErrors) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "{}\n";
  EXPECT_EQ(Errors(text).size(), kMaxJobErrors);
}

TEST_F(InputValidatorTest, ReadsWindowsFilesWithByteOrderMarks) {
  const std::string text = "\xEF\xBB\xBF" + BatchLineText("a") + "\r\n" + BatchLineText("b");
  const Job job = world_.Submit(text);
  ASSERT_EQ(job.state, JobState::kInProgress);
  // The lines are found again when they are leased.
  const auto grant = world_.Grant(world_.Enroll(1));
  ASSERT_TRUE(grant.has_value());
  EXPECT_EQ(grant->requests.size(), 2u);
}

TEST_F(InputValidatorTest, StopsQuietlyWhenTheJobIsCancelled) {
  const auto file = world_.Upload(BatchText(2));
  const auto job = world_.CreateJob(file->id);
  ASSERT_EQ(world_.coordinator->jobs().Cancel(CoordinatorWorld::kAlice, job->id)->state,
            JobState::kCancelled);
  world_.loop.RunPending();
  EXPECT_EQ(world_.Look(job->id).state, JobState::kCancelled);
}

// Others are answered between two slices of a large file.
TEST_F(InputValidatorTest, LetsTheLoopTurnBetweenSlices) {
  std::string text;
  for (int i = 0; i < 2000; ++i)
    text += BatchLineText(fmt::format("r{}", i), std::string(1000, 'x')) + "\n";
  const auto file = world_.Upload(text);
  const auto job = world_.CreateJob(file->id);
  int turns = 0;
  std::unique_ptr<Timer> timer;
  std::function<void()> count = [&] {
    if (world_.Look(job->id).state != JobState::kValidating) return;
    ++turns;
    timer = world_.loop.After(std::chrono::milliseconds(0), [&] { count(); });
  };
  count();
  world_.loop.RunPending();
  EXPECT_EQ(world_.Look(job->id).state, JobState::kInProgress);
  EXPECT_GE(turns, static_cast<int>(text.size() / kValidationSliceBytes));
}

}  // namespace
}  // namespace fallow
