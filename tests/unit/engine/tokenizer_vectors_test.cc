// Vocabularies of public models, and the ids that their own tokenizers give for a set of texts.
// They are not part of the project: FALLOW_TOKENIZER_VECTORS names their folder, or they lie beside
// the source tree.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>

#include "engine/gguf/gguf_file.h"
#include "engine/tokenizer/load_tokenizer.h"
#include "engine/tokenizer/utf8.h"

namespace fallow::engine {
namespace {

namespace fs = std::filesystem;

class PublicVocabularies : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* named = std::getenv("FALLOW_TOKENIZER_VECTORS");
    const fs::path folder = named != nullptr ? fs::path(named)
                                             : fs::path(FALLOW_SOURCE_DIR).parent_path() /
                                                   "shared/peer/tokenizer-vectors";
    if (!fs::is_directory(folder)) {
      GTEST_SKIP() << "no vocabularies: FALLOW_TOKENIZER_VECTORS is not set, and there is no "
                   << folder;
    }
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".gguf" && fs::exists(entry.path().string() + ".out"))
        vocabularies_.push_back(entry.path());
    }
    std::ranges::sort(vocabularies_);
    ASSERT_FALSE(vocabularies_.empty()) << folder << " holds no vocabulary with a .out file";
  }

  static std::string Read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static Result<std::unique_ptr<Tokenizer>> Load(const fs::path& path) {
    const std::string bytes = Read(path);
    const auto file = GgufFile::Parse(AsBytes(bytes));
    if (!file.has_value()) return std::unexpected(file.error());
    return LoadTokenizer(*file);
  }

  std::vector<fs::path> vocabularies_;
};

TEST_F(PublicVocabularies, GiveTheIdsOfTheirOwnTokenizers) {
  constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
  for (const fs::path& path : vocabularies_) {
    SCOPED_TRACE(path.filename());
    const auto tokenizer = Load(path);
    ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
    std::string texts = Read(path.string() + ".inp");
    std::istringstream ids(Read(path.string() + ".out"));
    int count = 0;
    for (std::string line; std::getline(ids, line); ++count) {
      const std::size_t end = std::min(texts.find(kSeparator), texts.size());
      std::istringstream numbers(line);
      const std::vector<std::uint32_t> wanted(std::istream_iterator<std::uint32_t>(numbers), {});
      EXPECT_EQ((*tokenizer)->Encode(texts.substr(0, end)), wanted) << texts.substr(0, end);
      texts.erase(0, end + kSeparator.size());
    }
    EXPECT_GT(count, 30);
  }
}

// Characters of many kinds, so that every rule meets its boundaries.
std::string RandomText(std::mt19937& random) {
  std::string text;
  for (std::uint32_t left = random() % 60; left > 0; --left) {
    switch (random() % 6) {
      case 0:
        AppendUtf8(random() % 0x3000, text);
        break;
      case 1:
        AppendUtf8(0x3000 + random() % 0xA000, text);
        break;
      case 2:
        AppendUtf8(0x10000 + random() % 0x100000, text);
        break;
      default:
        text += "aeSt 19'\n<|_.\t"[random() % 14];
    }
  }
  return text;
}

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

// What a vocabulary makes of a text, by its own account: see sentence_piece.h.
std::string AsDecoded(std::string text, bool sentence_piece) {
  for (std::size_t at; sentence_piece && (at = text.find(kSpaceMark)) != text.npos;)
    text.replace(at, kSpaceMark.size(), " ");
  return text;
}

// Some vocabularies have no token for bytes of rare characters.
bool KnowsCharacters(const Tokenizer& tokenizer, std::string_view text) {
  while (!text.empty()) {
    const std::string_view character = text.substr(0, ReadUtf8(text).length);
    if (tokenizer.Encode(character).empty() ||
        (character != kSpaceMark && tokenizer.Decode(tokenizer.Encode(character)) != character))
      return false;
    text.remove_prefix(character.size());
  }
  return true;
}

TEST_F(PublicVocabularies, GiveTextsBack) {
  constexpr int kTexts = 3000;
  for (const fs::path& path : vocabularies_) {
    SCOPED_TRACE(path.filename());
    const std::string bytes = Read(path);
    const auto file = GgufFile::Parse(AsBytes(bytes));
    ASSERT_TRUE(file.has_value());
    const auto model = file->RequireString("tokenizer.ggml.model");
    ASSERT_TRUE(model.has_value());
    if (*model == "bert") continue;  // normalises
    const auto tokenizer = LoadTokenizer(*file);
    ASSERT_TRUE(tokenizer.has_value());
    std::mt19937 random(1);
    int given_back = 0;
    for (int i = 0; i < kTexts; ++i) {
      const std::string text = RandomText(random);
      if (!KnowsCharacters(**tokenizer, text)) continue;
      ++given_back;
      ASSERT_EQ((*tokenizer)->Decode((*tokenizer)->Encode(text)),
                AsDecoded(text, *model == "llama"));
    }
    EXPECT_GT(given_back, kTexts / 4);
  }
}

}  // namespace
}  // namespace fallow::engine
