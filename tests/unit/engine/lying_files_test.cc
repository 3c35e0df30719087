// Every lie is refused by an error of its own that names what it is about, and costs no more memory
// than its file's size allows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "engine/model/model.h"
#include "tests/support/counted_memory.h"
#include "tests/unit/engine/lies.h"

namespace fallow::engine {
namespace {

using ::testing::HasSubstr;

const ModelParts& Sound() {
  static const ModelParts parts = [] {
    TinyModel model;
    model.layers = 1;
    return ModelParts::Of(model.Write());
  }();
  return parts;
}

std::vector<Lie> AllLies() {
  std::vector<Lie> all;
  for (auto lies : {HeaderLies(), KeyLies(), TensorLies(), ShapeLies(), TextLies(), LargeLies()})
    all.insert(all.end(), lies.begin(), lies.end());
  return all;
}

// The refusal that names the lie; the first one if none does.
std::string RefusalOf(const Lie& lie, const ModelReport& report) {
  for (const Error& refusal : report.refusals) {
    if (refusal.message.find(lie.expected) != std::string::npos) return refusal.message;
  }
  return report.refusals.empty() ? "accepted" : report.refusals.front().message;
}

TEST(LyingFiles, TheFileTheyAreMadeOfIsSound) {
  const ModelReport report = ReadModelReport(Sound().Write());
  EXPECT_TRUE(report.refusals.empty()) << report.refusals.front().message;
}

TEST(LyingFiles, EachIsRefusedByAnErrorOfItsOwn) {
  std::map<std::string, std::string> lie_of_error;
  for (const Lie& lie : AllLies()) {
    const std::string refusal = RefusalOf(lie, ReadModelReport(lie.tell(Sound())));
    EXPECT_THAT(refusal, HasSubstr(lie.expected)) << lie.name;
    const auto [other, is_new] = lie_of_error.emplace(refusal, lie.name);
    EXPECT_TRUE(is_new) << lie.name << " and " << other->second << " are both told: " << refusal;
  }
  EXPECT_GE(lie_of_error.size(), 50u);
}

TEST(LyingFiles, NoMessageIsLongOrSteersATerminal) {
  constexpr std::size_t kMaxMessageBytes = 1024;  // a list of all word rules has 900
  for (const Lie& lie : AllLies()) {
    for (const Error& refusal : ReadModelReport(lie.tell(Sound())).refusals) {
      EXPECT_LE(refusal.message.size(), kMaxMessageBytes) << lie.name << ": " << refusal.message;
      EXPECT_EQ(refusal.message.find_first_of("\n\r\x1b"), std::string::npos) << lie.name;
    }
  }
}

std::size_t TemplateBytes(const Bytes& bytes) {
  const auto file = GgufFile::Parse(bytes);
  if (!file.has_value()) return 0;
  const auto text = file->FindString("tokenizer.chat_template");
  return text.has_value() ? text->value_or("").size() : 0;
}

// A token of a vocabulary takes a dozen bytes of a file at least, and nodes and strings of about a
// hundred in memory; a template, whose length has a limit of its own, about as much for each of
// its words while it is read; nothing else takes more for its size. What grows by what a file only
// says is a bomb.
TEST(LyingFiles, NoneTakesMoreMemoryThanItsSizeAllows) {
  constexpr std::size_t kAtLeastBytes = 256 << 10;
  constexpr std::size_t kTimesTheFile = 10;
  constexpr std::size_t kTimesTheTemplate = 160;
  for (const Lie& lie : AllLies()) {
    const Bytes file = lie.tell(Sound());
    const std::size_t allowed =
        kAtLeastBytes + kTimesTheFile * file.size() + kTimesTheTemplate * TemplateBytes(file);
    const std::size_t before = CountedBytes();
    ResetCountedPeak();
    (void)ReadModelReport(file);
    EXPECT_LE(CountedPeakBytes() - before, allowed)
        << lie.name << ", a file of " << file.size() << " bytes";
    EXPECT_EQ(CountedBytes(), before) << lie.name << " leaves something behind";
  }
}

}  // namespace
}  // namespace fallow::engine
