#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/commands.h"
#include "engine/gguf/gguf_file.h"
#include "tests/support/split_gguf.h"
#include "tests/unit/cli/fakes.h"
#include "tests/unit/engine/tiny_model.h"

namespace fallow::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ModelCommands : public testing::Test {
 protected:
  Session MakeSession(bool as_json = false) { return {api_, console_, clock_, as_json}; }

  std::string WriteFile(const std::string& name, const Bytes& bytes) {
    return folder_.Write(name, AsText(bytes));
  }
  std::string WriteModel(const std::string& name) { return WriteFile(name, model_.Write()); }

  std::vector<std::string> WriteParts() {
    std::vector<std::string> paths;
    for (const Bytes& part : SplitGguf(model_.Write(), 3)) {
      paths.push_back(WriteFile(fmt::format("big-{:05}-of-00003.gguf", paths.size() + 1), part));
    }
    return paths;
  }

  std::string AddRefusal(const std::string& file) {
    const auto status = AddModel(MakeSession(), file, "");
    EXPECT_TRUE(api_.calls.empty()) << "it was uploaded all the same";
    return status.has_value() ? "added" : status.error().message;
  }

  TemporaryFolder folder_;
  engine::TinyModel model_;
  FakeApi api_;
  FakeConsole console_;
  FixedClock clock_;
};

const Json kModel{{"id", "field-normalizer"},
                  {"digest", "abcd"},
                  {"size_bytes", 2'675'968},
                  {"created_at", 1'800'000'000},
                  {"card",
                   {{"architecture", "llama"},
                    {"name", "Field normalizer"},
                    {"license", "apache-2.0"},
                    {"parameter_count", 494'032'768},
                    {"context_length", 32'768},
                    {"layer_count", 6},
                    {"embedding_length", 256},
                    {"vocabulary_size", 270},
                    {"weight_types", "Q8_0 43, F32 13"},
                    {"tokenizer", "gpt2 (gpt-2)"},
                    {"chat", true},
                    {"pooling", "none"},
                    {"memory",
                     {{{"sequences", 1}, {"tokens", 2048}, {"bytes", 600'000'000}},
                      {{"sequences", 32}, {"tokens", 2048}, {"bytes", 1'400'000'000}},
                      {{"sequences", 1}, {"tokens", 32'768}, {"bytes", 1'000'000'000}},
                      {{"sequences", 32}, {"tokens", 32'768}, {"bytes", 14'000'000'000}}}}}}};

// As the first coordinators kept it.
const Json kOldModel{{"id", "old"},
                     {"digest", "abcd"},
                     {"size_bytes", 2'675'968},
                     {"card", {{"architecture", "llama"}, {"weight_types", {"F32", "Q8_0"}}}}};

TEST_F(ModelCommands, ShowSaysWhatTheModelIsAndTakes) {
  api_.Answer("GET /api/models", Json{{"data", {kModel}}});
  EXPECT_EQ(ShowModel(MakeSession(), "field-normalizer").value(), kExitDone);
  EXPECT_THAT(console_.printed, HasSubstr("parameters     494 M (494,032,768)\n"));
  EXPECT_THAT(console_.printed, HasSubstr("weights        Q8_0 43, F32 13\n"));
  EXPECT_THAT(console_.printed, HasSubstr("context        32,768 tokens\n"));
  EXPECT_THAT(console_.printed, HasSubstr("use            generates text\n"));
  EXPECT_THAT(console_.printed, HasSubstr("chat template  yes\n"));
  EXPECT_THAT(console_.printed, HasSubstr("licence        apache-2.0\n"));
  EXPECT_THAT(console_.printed, HasSubstr("\n"
                                          "MEMORY FOR    2,048 TOKENS EACH  32,768 TOKENS EACH\n"
                                          "1 sequence               600 MB              1.0 GB\n"
                                          "32 sequences             1.4 GB             14.0 GB\n"));
  EXPECT_EQ(ShowModel(MakeSession(), "other").error().code, ErrorCode::kNotFound);
}

TEST_F(ModelCommands, ShowSaysHowAModelEmbeds) {
  Json model = kModel;
  model["card"]["pooling"] = "cls";
  model["card"]["chat"] = false;
  api_.Answer("GET /api/models", Json{{"data", {model}}});
  EXPECT_EQ(ShowModel(MakeSession(), "field-normalizer").value(), kExitDone);
  EXPECT_THAT(console_.printed,
              HasSubstr("use            embeds texts as 256 values (cls pooling)"));
  EXPECT_THAT(console_.printed, Not(HasSubstr("chat template")));
}

TEST_F(ModelCommands, ShowLeavesOutWhatAnOlderCardDoesNotSay) {
  api_.Answer("GET /api/models", Json{{"data", {kOldModel}}});
  EXPECT_EQ(ShowModel(MakeSession(), "old").value(), kExitDone);
  EXPECT_EQ(console_.printed,
            "name           old\n"
            "architecture   llama\n"
            "weights        F32 Q8_0\n"
            "size           2.7 MB\n"
            "sha256         abcd\n");
}

TEST_F(ModelCommands, ListIsATable) {
  api_.Answer("GET /api/models", Json{{"data", {kModel}}});
  EXPECT_EQ(ListModels(MakeSession()).value(), kExitDone);
  EXPECT_THAT(
      console_.printed,
      HasSubstr("field-normalizer  llama              494 M   32,768  Q8_0 43, F32 13  2.7 MB"));
}

TEST_F(ModelCommands, AddTakesTheNameFromTheFile) {
  api_.Answer("PUT /api/models/tiny.q8", kModel);
  EXPECT_EQ(AddModel(MakeSession(), WriteModel("tiny.q8.gguf"), "").value(), kExitDone);
  EXPECT_EQ(api_.uploaded, AsText(model_.Write()));
  EXPECT_THAT(console_.printed, HasSubstr("llama"));
}

TEST_F(ModelCommands, AddShowsABarWhileItUploads) {
  console_.is_terminal = true;
  api_.Answer("PUT /api/models/x", kModel);
  ASSERT_TRUE(AddModel(MakeSession(), WriteModel("tiny.gguf"), "x").has_value());
  api_.calls[0].on_upload(500, 2'000'000);
  api_.calls[0].on_upload(1'000'000, 2'000'000);
  api_.calls[0].on_upload(2'000'000, 2'000'000);
  ASSERT_EQ(console_.statuses.size(), 3u);
  EXPECT_EQ(console_.statuses[1], "################................   50%  1.0 MB of 2.0 MB");
  EXPECT_THAT(console_.statuses[2], HasSubstr("2.0 MB sent; the coordinator checks it"));
}

TEST_F(ModelCommands, AddNamesTheFileThatTheCoordinatorRefused) {
  api_.Answer("PUT /api/models/x", Fail(ErrorCode::kResourceExhausted, "the disk is full"));
  const auto status = AddModel(MakeSession(), WriteModel("tiny.gguf"), "x");
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message, HasSubstr("tiny.gguf: the disk is full"));
}

TEST_F(ModelCommands, AddUploadsNothingThatIsRefused) {
  EXPECT_THAT(AddRefusal(folder_.Write("bad.gguf", "GGUF")),
              HasSubstr("bad.gguf: not uploaded, for the reason above"));
  EXPECT_THAT(console_.AllNotes(), AllOf(HasSubstr("bad.gguf: "), HasSubstr("the file ends")));
  EXPECT_THAT(AddRefusal(folder_.File("none.gguf")), HasSubstr("none.gguf"));
  EXPECT_THAT(AddRefusal(folder_.File(".")), HasSubstr("not a file"));
  EXPECT_THAT(AddRefusal(folder_.Write("empty.gguf", "")), HasSubstr("empty.gguf"));
}

TEST_F(ModelCommands, AddSaysAllReasonsInItsErrorWhenJsonIsWanted) {
  const auto status = AddModel(MakeSession(true), folder_.Write("bad.gguf", "GGUF"), "");
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message, AllOf(HasSubstr("bad.gguf: "), HasSubstr("the file ends")));
  EXPECT_EQ(console_.AllNotes(), "");
}

TEST_F(ModelCommands, AddJoinsTheFilesOfASplitModel) {
  const std::vector<std::string> parts = WriteParts();
  api_.Answer("PUT /api/models/big", kModel);
  const auto status = AddModel(MakeSession(), parts[0], "");
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_THAT(console_.AllNotes(), HasSubstr("3 parts go as one file of "));
  EXPECT_EQ(api_.uploaded, AsText(model_.Write()));
}

TEST_F(ModelCommands, AddNamesThePartsThatAreMissing) {
  const std::vector<std::string> parts = WriteParts();
  for (const int part : {1, 2}) std::filesystem::remove(parts[part]);
  EXPECT_THAT(AddRefusal(parts[0]),
              AllOf(HasSubstr("of the 3 parts"), HasSubstr("big-00002-of-00003.gguf, "),
                    HasSubstr("big-00003-of-00003.gguf"), Not(HasSubstr("big-00001"))));
}

TEST_F(ModelCommands, AddWantsTheFirstPart) {
  const std::vector<std::string> parts = WriteParts();
  EXPECT_THAT(AddRefusal(parts[1]),
              AllOf(HasSubstr("part 2 of 3"), HasSubstr("give the first"), HasSubstr(parts[0])));
  const std::string renamed = folder_.File("renamed.gguf");
  std::filesystem::rename(parts[0], renamed);
  EXPECT_THAT(AddRefusal(renamed),
              AllOf(HasSubstr("renamed.gguf"), HasSubstr("NAME-00001-of-00003.gguf")));
}

TEST_F(ModelCommands, CheckNeedsNoCoordinatorAndShowsTheCard) {
  const std::string file = WriteModel("tiny.gguf");
  EXPECT_EQ(CheckModels(console_, false, {file}).value(), kExitDone);
  EXPECT_THAT(console_.printed,
              AllOf(HasSubstr("tiny.gguf: fits\n"), HasSubstr("architecture   llama\n"),
                    HasSubstr("context        600 tokens\n"), HasSubstr("600 TOKENS EACH"),
                    Not(HasSubstr("sha256"))));
}

TEST_F(ModelCommands, CheckFailsIfOneFileIsRefused) {
  const std::string sound = WriteModel("tiny.gguf");
  const std::string bad = folder_.Write("bad.gguf", "GGUF");
  EXPECT_EQ(CheckModels(console_, false, {bad, sound, folder_.File("none.gguf")}).value(),
            kExitFailed);
  EXPECT_THAT(console_.printed,
              AllOf(HasSubstr("bad.gguf: refused, 1 reason\n"), HasSubstr("refused: GGUF: header"),
                    HasSubstr("tiny.gguf: fits\n"), HasSubstr("none.gguf: refused, 1 reason\n")));
}

TEST_F(ModelCommands, CheckAsJsonIsALineAFile) {
  const std::string sound = WriteModel("tiny.gguf");
  const std::string bad = folder_.Write("bad.gguf", "GGUF");
  EXPECT_EQ(CheckModels(console_, true, {sound, bad}).value(), kExitFailed);
  const std::size_t end = console_.printed.find('\n');
  const Json first = Json::parse(console_.printed.substr(0, end));
  const Json second = Json::parse(console_.printed.substr(end + 1));
  EXPECT_EQ(first.at("fits"), true);
  EXPECT_EQ(first.at("card").at("architecture"), "llama");
  EXPECT_EQ(first.at("card").at("pooling"), "none");
  EXPECT_EQ(first.at("refusals"), Json::array());
  EXPECT_EQ(second.at("fits"), false);
  EXPECT_EQ(second.at("refusals").at(0).at("code"), "invalid_argument");
}

TEST_F(ModelCommands, CheckReadsASplitModelAsOne) {
  const std::vector<std::string> parts = WriteParts();
  EXPECT_EQ(CheckModels(console_, false, {parts[0]}).value(), kExitDone);
  EXPECT_THAT(console_.printed, HasSubstr("name           big\n"));
}

}  // namespace
}  // namespace fallow::cli
