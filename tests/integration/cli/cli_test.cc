// The `fallow` program against a real coordinator, with the exit codes that its help promises.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/split_gguf.h"
#include "tests/support/stack.h"

namespace fallow::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

// As in cli/exit_status.h; written out, because scripts lean on the numbers.
constexpr int kDone = 0, kFailed = 1, kMisused = 2, kUnreachable = 3, kRefused = 4, kJobFailed = 5,
              kRequestsFailed = 6, kInterrupted = 130;

class CommandLine : public ::testing::Test {
 protected:
  void StartCoordinator() {
    ASSERT_NO_FATAL_FAILURE(stack_.StartCoordinator());
    ASSERT_NO_FATAL_FAILURE(stack_.LogIn());
  }
  void StartAll() {
    ASSERT_NO_FATAL_FAILURE(StartCoordinator());
    ASSERT_NO_FATAL_FAILURE(stack_.AddDemoModel());
    ASSERT_NO_FATAL_FAILURE(stack_.StartAgent());
  }

  std::string At(const std::string& name) const { return stack_.folder() + "/" + name; }
  // What the command line has said to people so far.
  std::string Said() const { return ReadFile(At("cli.log")); }
  std::string SignInLink() const {
    return Json::parse(ReadFile(At("ready.json"))).at("sign_in_link").get<std::string>();
  }

  static std::string Line(const std::string& custom_id,
                          const std::string& model = "field-normalizer",
                          const std::string& cell = "time: quarter after five pm") {
    return Json{{"custom_id", custom_id},
                {"method", "POST"},
                {"url", "/v1/chat/completions"},
                {"body",
                 {{"model", model},
                  {"messages", {{{"role", "user"}, {"content", cell}}}},
                  {"temperature", 0},
                  {"max_tokens", 32}}}}
               .dump() +
           "\n";
  }
  std::string WriteBatch(const std::string& name, const std::string& lines) const {
    std::ofstream(At(name), std::ios::binary) << lines;
    return At(name);
  }
  std::string WriteLines(int count) const {
    std::string lines;
    for (int i = 0; i < count; ++i) lines += Line(fmt::format("cell-{}", i));
    return WriteBatch("batch.jsonl", lines);
  }

  Stack stack_;
};

TEST_F(CommandLine, SubmitsWaitsAndFetches) {
  ASSERT_NO_FATAL_FAILURE(StartAll());
  const auto finished =
      stack_.Run({"submit", WriteLines(20), "--wait", "-o", At("out.jsonl"), "--json"});
  ASSERT_EQ(finished.exit_code, kDone) << stack_.Logs();
  const Json job = Json::parse(finished.output);
  EXPECT_EQ(job.at("status"), "completed");
  EXPECT_EQ(job.at("request_counts").at("completed"), 20);

  std::ifstream output(At("out.jsonl"));
  std::string line;
  int count = 0;
  for (; std::getline(output, line); ++count) {
    const Json answer = Json::parse(line);
    EXPECT_EQ(answer.at("custom_id"), fmt::format("cell-{}", count));
    EXPECT_EQ(answer.at("response").at("body").at("choices").at(0).at("message").at("content"),
              "17:15");
  }
  EXPECT_EQ(count, 20);

  EXPECT_THAT(stack_.Run({"jobs"}).output, HasSubstr(job.at("id").get<std::string>()));
  EXPECT_THAT(stack_.Run({"devices"}).output, HasSubstr("cpu"));
  const std::string first = ReadFile(At("out.jsonl"));
  EXPECT_EQ(stack_.Run({"results", job.at("id"), "-o", At("again.jsonl")}).exit_code, kDone);
  EXPECT_EQ(ReadFile(At("again.jsonl")), first);
}

TEST_F(CommandLine, TellsFailedRequestsFromFailedJobs) {
  ASSERT_NO_FATAL_FAILURE(StartAll());
  const std::string too_long(2000, 'x');  // more tokens than the model's context
  const auto batch =
      WriteBatch("batch.jsonl", Line("good") + Line("long", "field-normalizer", too_long));
  EXPECT_EQ(
      stack_.Run({"submit", batch, "--wait", "-o", At("out.jsonl"), "--errors", At("errors.jsonl")})
          .exit_code,
      kRequestsFailed)
      << stack_.Logs();
  EXPECT_EQ(Json::parse(ReadFile(At("out.jsonl"))).at("custom_id"), "good");
  EXPECT_EQ(Json::parse(ReadFile(At("errors.jsonl"))).at("custom_id"), "long");
}

TEST_F(CommandLine, SetsTheModelOfEveryLine) {
  ASSERT_NO_FATAL_FAILURE(StartAll());
  const auto batch = WriteBatch("batch.jsonl", Line("a", "gpt-9") + Line("b", "other"));
  EXPECT_EQ(stack_.Run({"submit", batch, "--model", "field-normalizer", "--wait"}).exit_code, kDone)
      << stack_.Logs();
  EXPECT_EQ(stack_.Run({"submit", batch, "--model", "gpt-9"}).exit_code, kFailed);
  EXPECT_THAT(Said(), HasSubstr("no model 'gpt-9'; it has field-normalizer"));
}

TEST_F(CommandLine, NamesTheLinesOfABatchThatWasRefused) {
  ASSERT_NO_FATAL_FAILURE(StartCoordinator());
  ASSERT_NO_FATAL_FAILURE(stack_.AddDemoModel());
  std::string lines;
  for (int i = 1; i <= 20; ++i) lines += i == 17 ? "{broken\n" : Line(fmt::format("cell-{}", i));
  EXPECT_EQ(stack_.Run({"submit", WriteBatch("broken.jsonl", lines), "--wait"}).exit_code,
            kJobFailed);
  EXPECT_THAT(Said(), HasSubstr("line 17: "));
  EXPECT_THAT(Said(), HasSubstr("(invalid_json_line)"));

  EXPECT_EQ(
      stack_.Run({"submit", WriteBatch("twice.jsonl", Line("a") + Line("a")), "--wait"}).exit_code,
      kJobFailed);
  EXPECT_THAT(Said(), HasSubstr("(duplicate_custom_id)"));

  EXPECT_EQ(
      stack_.Run({"submit", WriteBatch("model.jsonl", Line("a", "gpt-9")), "--wait"}).exit_code,
      kJobFailed);
  EXPECT_THAT(Said(), HasSubstr("(model_not_found)"));
}

TEST_F(CommandLine, CancelEndsAJobThatWaits) {
  ASSERT_NO_FATAL_FAILURE(StartCoordinator());
  ASSERT_NO_FATAL_FAILURE(stack_.AddDemoModel());
  const auto submitted = stack_.Run({"submit", WriteLines(5), "--json"});
  ASSERT_EQ(submitted.exit_code, kDone) << stack_.Logs();
  const std::string id = Json::parse(submitted.output).at("id");
  EXPECT_EQ(stack_.Run({"cancel", id}).exit_code, kDone) << stack_.Logs();
  EXPECT_EQ(stack_.Run({"wait", id}).exit_code, kJobFailed) << stack_.Logs();
  EXPECT_THAT(Said(), HasSubstr(id + " cancelled"));
}

TEST_F(CommandLine, AnInterruptedWaitLeavesTheJob) {
  ASSERT_NO_FATAL_FAILURE(StartCoordinator());
  ASSERT_NO_FATAL_FAILURE(stack_.AddDemoModel());
  Program submit(
      {.arguments = {"fallow", "submit", WriteLines(5), "--wait"},
       .environment = {"XDG_CONFIG_HOME=" + At("config"), "XDG_CACHE_HOME=" + At("cache")},
       .log_path = At("cli.log")});
  ASSERT_TRUE(WaitUntil([&] { return Said().find("0 of 5 done") != std::string::npos; },
                        std::chrono::seconds(60)))
      << stack_.Logs();
  EXPECT_EQ(submit.Terminate(), kInterrupted);
  EXPECT_THAT(Said(), HasSubstr("the job goes on"));

  const Json jobs = Json::parse(stack_.Run({"jobs", "--json"}).output);
  ASSERT_EQ(jobs.at("data").size(), 1u);
  EXPECT_EQ(jobs.at("data").at(0).at("status"), "in_progress");
  ASSERT_NO_FATAL_FAILURE(stack_.StartAgent());
  EXPECT_EQ(stack_.Run({"wait", jobs.at("data").at(0).at("id")}).exit_code, kDone) << stack_.Logs();
}

TEST_F(CommandLine, TrustsOnlyThePinnedAuthority) {
  ASSERT_NO_FATAL_FAILURE(stack_.StartCoordinator());
  std::string link = SignInLink();
  char& digit = link[link.find("pin=") + 4];
  digit = digit == '0' ? '1' : '0';
  EXPECT_EQ(stack_.Run({"login", link}).exit_code, kRefused);
  EXPECT_THAT(Said(), HasSubstr("somebody else answers there"));
  EXPECT_EQ(stack_.Run({"jobs"}).exit_code, kFailed);
  EXPECT_THAT(Said(), HasSubstr("fallow login"));
}

TEST_F(CommandLine, KeysOpenWhatTheirRoleMay) {
  ASSERT_NO_FATAL_FAILURE(StartCoordinator());
  const auto made = stack_.Run({"keys", "add", "anna", "--json"});
  ASSERT_EQ(made.exit_code, kDone) << stack_.Logs();
  const Json key = Json::parse(made.output);
  const std::string secret = key.at("secret");
  EXPECT_EQ(stack_.Run({"jobs", "--key", secret}).exit_code, kDone) << stack_.Logs();
  EXPECT_EQ(stack_.Run({"devices", "--key", secret}).exit_code, kRefused);
  EXPECT_EQ(stack_.Run({"keys", "remove", key.at("id")}).exit_code, kDone);
  EXPECT_EQ(stack_.Run({"jobs", "--key", secret}).exit_code, kRefused);
  EXPECT_THAT(Said(), Not(HasSubstr(secret)));
}

TEST_F(CommandLine, ATruncatedModelIsRefusedByName) {
  ASSERT_NO_FATAL_FAILURE(StartCoordinator());
  const std::string whole = ReadFile(std::string(FALLOW_SOURCE_DIR) +
                                     "/examples/field-normalizer/field-normalizer-q8_0.gguf");
  ASSERT_FALSE(whole.empty());
  const auto file = WriteBatch("cut.gguf", whole.substr(0, whole.size() / 2));
  EXPECT_EQ(stack_.Run({"models", "add", file}).exit_code, kFailed);
  EXPECT_THAT(Said(), HasSubstr("cut.gguf: "));
  EXPECT_EQ(Json::parse(stack_.Run({"models", "--json"}).output).at("data").size(), 0u);
}

TEST_F(CommandLine, ASplitModelIsTheOneItWasCutFrom) {
  ASSERT_NO_FATAL_FAILURE(StartCoordinator());
  ASSERT_NO_FATAL_FAILURE(stack_.AddDemoModel());
  const std::string whole = ReadFile(std::string(FALLOW_SOURCE_DIR) +
                                     "/examples/field-normalizer/field-normalizer-q8_0.gguf");
  std::string first;
  int number = 0;
  for (const Bytes& part : SplitGguf({AsBytes(whole).begin(), AsBytes(whole).end()}, 3)) {
    ++number;
    const auto file =
        WriteBatch(fmt::format("cut-{:05}-of-00003.gguf", number), std::string(AsText(part)));
    if (first.empty()) first = file;
  }
  EXPECT_EQ(stack_.Run({"models", "check", first}).exit_code, kDone) << stack_.Logs();
  EXPECT_EQ(stack_.Run({"models", "add", first}).exit_code, kDone) << stack_.Logs();
  const Json models = Json::parse(stack_.Run({"models", "--json"}).output).at("data");
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].at("id"), "cut");
  EXPECT_EQ(models[0].at("digest"), models[1].at("digest"));
}

TEST_F(CommandLine, SaysWhenNobodyAnswers) {
  ASSERT_NO_FATAL_FAILURE(StartCoordinator());
  stack_.coordinator().Kill();
  EXPECT_EQ(stack_.Run({"jobs"}).exit_code, kUnreachable);
  EXPECT_EQ(stack_.Run({"nonsense"}).exit_code, kMisused);
  EXPECT_EQ(stack_.Run({}).exit_code, kMisused);
}

}  // namespace
}  // namespace fallow::testing
