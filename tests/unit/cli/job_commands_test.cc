#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/commands.h"
#include "tests/unit/cli/fakes.h"

namespace fallow::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

const std::string kLine =
    R"({"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m"}})";

class JobCommands : public testing::Test {
 protected:
  JobCommands() {
    api_.Answer("POST /v1/files", Json{{"id", "file-1"}});
    api_.Answer("POST /v1/batches", JobJson("validating", 0, 0, 0));
  }
  void AnswerJob(Result<Json> reply) { api_.Answer("GET /api/jobs/batch_7", std::move(reply)); }
  Session MakeSession(bool as_json = false) { return {api_, console_, clock_, as_json}; }

  TemporaryFolder folder_;
  std::string batch_ = folder_.Write("batch.jsonl", kLine + "\n");
  FakeApi api_;
  FakeConsole console_;
  FixedClock clock_;
};

TEST_F(JobCommands, SubmitUploadsThenCreatesAndPrintsTheJob) {
  EXPECT_EQ(Submit(MakeSession(), {.batch_file = batch_}).value(), kExitDone);
  EXPECT_EQ(console_.printed, "batch_7\n");
  EXPECT_EQ(api_.uploaded, kLine + "\n");
  EXPECT_THAT(api_.calls[0].form, ElementsAre(Pair("purpose", "batch")));
  EXPECT_EQ((*api_.calls[1].body)["input_file_id"], "file-1");
  EXPECT_EQ((*api_.calls[1].body)["endpoint"], "/v1/chat/completions");
  EXPECT_EQ((*api_.calls[1].body)["metadata"]["filename"], "batch.jsonl");
}

TEST_F(JobCommands, SubmitMakesTheJobForTheEndpointOfItsLines) {
  const auto batch = folder_.Write(
      "embeddings.jsonl",
      R"({"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"x"}})"
      "\n");
  EXPECT_EQ(Submit(MakeSession(), {.batch_file = batch}).value(), kExitDone);
  EXPECT_EQ((*api_.calls[1].body)["endpoint"], "/v1/embeddings");
}

TEST_F(JobCommands, AnEmbeddingsJobHasReadAndWrittenNothing) {
  Json done = JobJson("completed", 200);
  done["usage"]["output_tokens"] = 0;
  AnswerJob(done);
  EXPECT_EQ(WaitForJob(MakeSession(), "batch_7", {}).value(), kExitDone);
  EXPECT_THAT(console_.AllNotes(),
              HasSubstr("batch_7 completed: 200 of 200 done, 0 failed; 5,600 tokens read; 14 s"));
}

TEST_F(JobCommands, SubmitWaitsAndFetchesTheAnswers) {
  AnswerJob(JobJson("in_progress", 100));
  AnswerJob(JobJson("completed", 200));
  EXPECT_EQ(
      Submit(MakeSession(), {.batch_file = batch_, .output = {.results = "out.jsonl"}}).value(),
      kExitDone);
  EXPECT_THAT(api_.downloads, ElementsAre(Pair("/v1/files/file-2/content", "out.jsonl")));
  EXPECT_THAT(
      console_.AllNotes(),
      HasSubstr(
          "batch_7 completed: 200 of 200 done, 0 failed; 5,600 tokens read, 1,530 written; 14 s"));
}

TEST_F(JobCommands, FailedRequestsHaveTheirOwnExitCodeAndFile) {
  AnswerJob(JobJson("completed", 198, 2));
  EXPECT_EQ(WaitForJob(MakeSession(), "batch_7", {.errors = "errors.jsonl"}).value(),
            kExitRequestsFailed);
  EXPECT_THAT(api_.downloads, ElementsAre(Pair("/v1/files/file-3/content", "errors.jsonl")));

  EXPECT_EQ(WaitForJob(MakeSession(), "batch_7", {}).value(), kExitRequestsFailed);
  EXPECT_THAT(console_.notes.back(), HasSubstr("fallow results batch_7 --errors"));
}

TEST_F(JobCommands, ARefusedBatchNamesItsLines) {
  Json failed = JobJson("failed", 0, 0, 0);
  failed["errors"] = {
      {"data", {{{"line", 17}, {"code", "invalid_json_line"}, {"message", "not JSON"}}}}};
  AnswerJob(failed);
  EXPECT_EQ(WaitForJob(MakeSession(), "batch_7", {.results = "out.jsonl"}).value(), kExitJobFailed);
  EXPECT_THAT(console_.AllNotes(), HasSubstr("line 17: not JSON (invalid_json_line)"));
  EXPECT_THAT(api_.downloads, IsEmpty());
}

TEST_F(JobCommands, OfManyProblemsTheFirstAreShown) {
  Json failed = JobJson("failed", 0, 0, 0);
  for (int line = 1; line <= 100; ++line)
    failed["errors"]["data"].push_back(
        {{"line", line}, {"code", "model_not_found"}, {"message", "no such model"}});
  AnswerJob(failed);
  EXPECT_EQ(WaitForJob(MakeSession(), "batch_7", {}).value(), kExitJobFailed);
  EXPECT_THAT(console_.AllNotes(), HasSubstr("line 10: "));
  EXPECT_THAT(console_.AllNotes(), Not(HasSubstr("line 11: ")));
  EXPECT_THAT(console_.AllNotes(), HasSubstr("and 90 more: `fallow jobs batch_7` shows them"));
}

TEST_F(JobCommands, WaitingForAJobThatIsNotThereDoesNotSayThatItGoesOn) {
  AnswerJob(Fail(ErrorCode::kNotFound, "no batch batch_7"));
  EXPECT_EQ(WaitForJob(MakeSession(), "batch_7", {}).error().code, ErrorCode::kNotFound);
  EXPECT_THAT(console_.AllNotes(), Not(HasSubstr("goes on")));
}

TEST_F(JobCommands, WaitingOutlastsARestartOfTheCoordinator) {
  AnswerJob(Fail(ErrorCode::kUnavailable, "connection refused"));
  AnswerJob(Fail(ErrorCode::kUnavailable, "connection refused"));
  AnswerJob(JobJson("completed", 200));
  EXPECT_EQ(WaitForJob(MakeSession(), "batch_7", {}).value(), kExitDone);
}

TEST_F(JobCommands, WaitingGivesUpOnACoordinatorThatStaysAway) {
  AnswerJob(Fail(ErrorCode::kUnavailable, "connection refused"));
  const auto status = WaitForJob(MakeSession(), "batch_7", {});
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(ExitStatusOf(status.error().code), kExitUnreachable);
  EXPECT_GE(api_.paused, std::chrono::minutes(10));
  EXPECT_LT(api_.paused, std::chrono::minutes(11));
  EXPECT_THAT(console_.AllNotes(), HasSubstr("fallow wait batch_7"));
}

TEST_F(JobCommands, ARevokedKeyEndsTheWaitAtOnce) {
  AnswerJob(Fail(ErrorCode::kUnauthenticated, "unknown key"));
  EXPECT_EQ(ExitStatusOf(WaitForJob(MakeSession(), "batch_7", {}).error().code), kExitRefused);
  EXPECT_EQ(api_.paused, std::chrono::milliseconds(0));
}

TEST_F(JobCommands, CtrlCLeavesTheJobAndSaysHowToGoOn) {
  AnswerJob(JobJson("in_progress", 100));
  api_.pauses_until_interrupt = 3;
  const auto status = WaitForJob(MakeSession(), "batch_7", {});
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(ExitStatusOf(status.error().code), kExitInterrupted);
  EXPECT_THAT(console_.AllNotes(), HasSubstr("the job goes on; `fallow wait batch_7`"));
}

TEST_F(JobCommands, SubmitWithAModelSendsACopyAndRemovesIt) {
  api_.Answer("GET /v1/models", Json{{"data", {{{"id", "other"}}}}});
  const auto copy = folder_.File("copy.jsonl");
  EXPECT_EQ(Submit(MakeSession(), {.batch_file = batch_, .model = "other", .temporary_file = copy})
                .value(),
            kExitDone);
  EXPECT_THAT(api_.uploaded, HasSubstr(R"("body":{"model":"other"})"));
  EXPECT_FALSE(std::filesystem::exists(copy));
}

TEST_F(JobCommands, SubmitWithAnUnknownModelNamesThoseThereAre) {
  api_.Answer("GET /v1/models", Json{{"data", {{{"id", "a"}}, {{"id", "b"}}}}});
  const auto status = Submit(
      MakeSession(), {.batch_file = batch_, .model = "c", .temporary_file = folder_.File("copy")});
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message, HasSubstr("no model 'c'; it has a, b"));
  EXPECT_EQ(api_.calls.size(), 1u);
}

TEST_F(JobCommands, SubmitNamesAFileThatIsNotThereOrEmpty) {
  EXPECT_THAT(Submit(MakeSession(), {.batch_file = folder_.File("none")}).error().message,
              HasSubstr("none"));
  const auto empty = Submit(MakeSession(), {.batch_file = folder_.Write("empty", "")});
  EXPECT_THAT(empty.error().message, HasSubstr("the file is empty"));
  EXPECT_THAT(api_.calls, IsEmpty());
}

TEST_F(JobCommands, JsonIsTheCoordinatorsRecordAlone) {
  AnswerJob(JobJson("completed", 200));
  EXPECT_EQ(WaitForJob(MakeSession(true), "batch_7", {}).value(), kExitDone);
  EXPECT_EQ(Json::parse(console_.printed), JobJson("completed", 200));
}

TEST_F(JobCommands, ResultsOfARunningJobSayHowToWait) {
  AnswerJob(JobJson("in_progress", 100));
  const auto status = FetchResults(MakeSession(), "batch_7", {.results = "out.jsonl"});
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message, HasSubstr("fallow wait batch_7"));
}

TEST_F(JobCommands, ListShowsAJobALine) {
  api_.Answer("GET /api/jobs?limit=20",
              Json{{"data", {JobJson("in_progress", 126, 2)}}, {"has_more", false}});
  EXPECT_EQ(ListJobs(MakeSession(), 20).value(), kExitDone);
  EXPECT_THAT(console_.printed,
              HasSubstr("batch_7  in_progress  field-normalizer   126       2       200"));
}

TEST_F(JobCommands, AReplyThatIsNoJobIsAnErrorNotACrash) {
  for (const Json& reply :
       {Json(), Json(7), Json::array(), Json{{"id", 3}}, Json{{"id", "x"}, {"status", nullptr}}}) {
    FakeApi api;
    api.Answer("GET /api/jobs/batch_7", reply);
    EXPECT_EQ(ShowJob({api, console_, clock_}, "batch_7").error().code, ErrorCode::kDataLoss)
        << reply;
  }
}

TEST(ErrorOfReply, TakesTheCoordinatorsWordsAndAddsTheWayOut) {
  const Error error =
      ErrorOfReply(401, R"({"error": {"message": "unknown key", "code": "invalid_api_key"}})");
  EXPECT_EQ(error.code, ErrorCode::kUnauthenticated);
  EXPECT_THAT(error.message, HasSubstr("unknown key"));
  EXPECT_THAT(error.message, HasSubstr("fallow login"));
  EXPECT_EQ(ErrorOfReply(401, R"({"error": {"message": "The key is unknown."}})").message,
            "The key is unknown; to sign in anew: `fallow login LINK`");
  EXPECT_EQ(ErrorOfReply(503, "<html>").message, "the coordinator answered with HTTP status 503");
}

TEST(PathSegment, KeepsAnyNameInOneSegment) {
  EXPECT_EQ(PathSegment("field-normalizer"), "field-normalizer");
  EXPECT_EQ(PathSegment("org/name:Q4_K_M"), "org%2Fname%3AQ4_K_M");
  EXPECT_EQ(PathSegment("a?b#ü"), "a%3Fb%23%C3%BC");
}

}  // namespace
}  // namespace fallow::cli
