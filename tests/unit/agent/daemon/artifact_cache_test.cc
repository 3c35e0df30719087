#include "agent/daemon/artifact_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "platform/fake/clock.h"
#include "platform/fake/fake_http_client.h"
#include "platform/fake/fake_loop.h"
#include "platform/fake/seeded_random.h"
#include "tests/support/program.h"
#include "tests/unit/agent/daemon/fake_key.h"

namespace fallow {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

std::string Content(std::size_t size, char seed) {
  std::string content(size, seed);
  for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<char>(seed + i % 23);
  return content;
}

ModelArtifact ArtifactOf(const std::string& content, const std::string& name = "m") {
  return {.model = ModelId(name), .digest = Sha256::Of(content), .size_bytes = content.size()};
}

struct Fixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  FakeHttpClient http{loop};
  FakeKey key;
  SeededRandom random;
  RequestSigner signer{key, clock, "https://c", DeviceId("dev_1")};
  fallow::testing::TemporaryFolder folder;
  std::unique_ptr<ArtifactCache> cache;
  std::optional<Result<std::string>> result;
  std::unique_ptr<ArtifactFetch> fetch;

  explicit Fixture(std::uint64_t max_bytes = 1 << 20) { Reopen(max_bytes); }
  void Reopen(std::uint64_t max_bytes = 1 << 20) {
    cache = *ArtifactCache::Open(loop, http, signer, random, folder.path() + "/models", max_bytes);
  }
  void Fetch(const ModelArtifact& artifact) {
    result.reset();
    fetch = cache->Fetch(artifact, [this](Result<std::string> r) { result = std::move(r); });
    loop.RunPending();
  }
  std::string Range() const {
    for (const auto& [name, value] : http.calls().back()->request().headers) {
      if (name == "Range") return value;
    }
    return "";
  }
  void Piece(std::string_view piece) {
    http.last().SendPiece(piece);
    loop.RunPending();
  }
  void Answer(int status) {
    http.last().Answer(status);
    loop.RunPending();
  }
  void Break() {
    http.last().Fail(ErrorCode::kUnavailable, "connection reset");
    loop.RunPending();
  }
  std::string Path(const ModelArtifact& artifact) const {
    return folder.path() + "/models/" + artifact.digest.Hex();
  }
  // Puts a complete file into the cache.
  void Bring(const std::string& content) {
    Fetch(ArtifactOf(content));
    Piece(content);
    Answer(200);
    ASSERT_TRUE(result && result->has_value());
  }
};

TEST(ArtifactCache, FetchesChecksAndKeeps) {
  Fixture f;
  const std::string content = Content(5000, 'a');
  f.Fetch(ArtifactOf(content));
  EXPECT_EQ(f.http.last().request().url,
            "https://c/agent/v1/artifacts/" + Sha256::Of(content).Hex());
  EXPECT_EQ(f.Range(), "");
  f.Piece(content.substr(0, 3000));
  EXPECT_EQ(f.fetch->received_bytes(), 3000u);
  EXPECT_FALSE(fs::exists(f.Path(ArtifactOf(content)))) << "never partially visible";
  f.Piece(content.substr(3000));
  f.Answer(200);
  ASSERT_TRUE(f.result && f.result->has_value());
  EXPECT_EQ(fallow::testing::ReadFile(**f.result), content);
  EXPECT_EQ(f.cache->Cached(), std::vector{Sha256::Of(content)});
  f.Fetch(ArtifactOf(content));
  EXPECT_TRUE(f.result && f.result->has_value());
  EXPECT_EQ(f.http.calls().size(), 1u);
}

TEST(ArtifactCache, GoesOnWhereADownloadBrokeOff) {
  Fixture f;
  const std::string content = Content(5000, 'a');
  f.Fetch(ArtifactOf(content));
  f.Piece(content.substr(0, 3000));
  f.Break();
  f.loop.Advance(1s);
  ASSERT_EQ(f.http.calls().size(), 2u);
  EXPECT_EQ(f.Range(), "bytes=3000-");
  f.Piece(content.substr(3000));
  f.Answer(206);
  ASSERT_TRUE(f.result && f.result->has_value());
  EXPECT_EQ(fallow::testing::ReadFile(**f.result), content);
}

TEST(ArtifactCache, GoesOnAfterTheOwnerInterruptedOrTheAgentDied) {
  Fixture f;
  const std::string content = Content(5000, 'a');
  f.Fetch(ArtifactOf(content));
  f.Piece(content.substr(0, 1000));
  f.fetch.reset();
  f.Reopen();
  f.Fetch(ArtifactOf(content));
  EXPECT_EQ(f.Range(), "bytes=1000-");
  f.Piece(content.substr(1000));
  f.Answer(206);
  EXPECT_TRUE(f.result && f.result->has_value());
}

TEST(ArtifactCache, GivesUpAfterTriesThatBringNothing) {
  Fixture f;
  f.Fetch(ArtifactOf(Content(5000, 'a')));
  for (int i = 0; i < 20 && !f.result; ++i) {
    if (!f.http.last().answered()) f.Break();
    f.loop.Advance(60s);
  }
  ASSERT_TRUE(f.result && !f.result->has_value());
  EXPECT_EQ(f.result->error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(f.http.calls().size(), static_cast<std::size_t>(ArtifactCache::kMaxFruitlessTries));
}

TEST(ArtifactCache, RefusesWhatHasAnotherDigest) {
  Fixture f;
  const std::string content = Content(5000, 'a');
  f.Fetch(ArtifactOf(content));
  f.Piece(Content(5000, 'b'));
  f.Answer(200);
  ASSERT_TRUE(f.result && !f.result->has_value());
  EXPECT_EQ(f.result->error().code, ErrorCode::kDataLoss);
  EXPECT_TRUE(f.cache->Cached().empty());
  EXPECT_EQ(f.cache->size_bytes(), 0u);
}

TEST(ArtifactCache, StartsOverWhenThePartFromBeforeWasDamaged) {
  Fixture f;
  const std::string content = Content(5000, 'a');
  std::ofstream(f.Path(ArtifactOf(content)) + ".part") << Content(2000, 'x');
  f.Fetch(ArtifactOf(content));
  EXPECT_EQ(f.Range(), "bytes=2000-");
  f.Piece(content.substr(2000));
  f.Answer(206);
  ASSERT_FALSE(f.result.has_value());
  EXPECT_EQ(f.Range(), "");
  f.Piece(content);
  f.Answer(200);
  ASSERT_TRUE(f.result && f.result->has_value());
  EXPECT_EQ(fallow::testing::ReadFile(**f.result), content);
}

TEST(ArtifactCache, StartsOverWhenTheServerSendsTheWholeInsteadOfTheRest) {
  Fixture f;
  const std::string content = Content(5000, 'a');
  std::ofstream(f.Path(ArtifactOf(content)) + ".part") << content.substr(0, 2000);
  f.Fetch(ArtifactOf(content));
  f.Piece(content);  // 2000 bytes too many
  f.Answer(200);
  f.loop.Advance(1s);
  EXPECT_EQ(f.Range(), "");
  f.Piece(content);
  f.Answer(200);
  ASSERT_TRUE(f.result && f.result->has_value());
}

TEST(ArtifactCache, FetchesAnewWhatWasDamagedOnDisk) {
  Fixture f;
  const std::string content = Content(5000, 'a');
  std::ofstream(f.Path(ArtifactOf(content))) << Content(5000, 'x');
  f.Fetch(ArtifactOf(content));
  ASSERT_EQ(f.http.calls().size(), 1u);
  f.Piece(content);
  f.Answer(200);
  EXPECT_TRUE(f.result && f.result->has_value());
}

TEST(ArtifactCache, RemovesTheLeastRecentlyUsedToMakeRoom) {
  Fixture f(12'000);
  const std::string a = Content(5000, 'a'), b = Content(5000, 'b'), c = Content(5000, 'c');
  f.Bring(a);
  f.Bring(b);
  const auto earlier = fs::file_time_type::clock::now() - 1h;
  fs::last_write_time(f.Path(ArtifactOf(a)), earlier - 1h);
  fs::last_write_time(f.Path(ArtifactOf(b)), earlier);
  f.Fetch(ArtifactOf(a));  // now b is the older one
  f.Bring(c);
  EXPECT_TRUE(fs::exists(f.Path(ArtifactOf(a))));
  EXPECT_FALSE(fs::exists(f.Path(ArtifactOf(b))));
  EXPECT_LE(f.cache->size_bytes(), 12'000u);
}

TEST(ArtifactCache, ALowerLimitTakesTheLeastRecentlyUsedAtOnceButNoDownload) {
  Fixture f(20'000);
  const std::string a = Content(5000, 'a'), b = Content(5000, 'b'), c = Content(5000, 'c');
  f.Bring(a);
  f.Bring(b);
  fs::last_write_time(f.Path(ArtifactOf(a)), fs::file_time_type::clock::now() - 1h);
  f.Fetch(ArtifactOf(c));
  f.Piece(c.substr(0, 1000));
  f.cache->SetMaxBytes(12'000);
  EXPECT_TRUE(fs::exists(f.Path(ArtifactOf(a)))) << "11,000 bytes are within it";
  f.cache->SetMaxBytes(8'000);
  EXPECT_FALSE(fs::exists(f.Path(ArtifactOf(a))));
  EXPECT_EQ(f.cache->Cached(), std::vector{Sha256::Of(b)});
  f.cache->SetMaxBytes(500);
  EXPECT_TRUE(f.cache->Cached().empty());
  f.Piece(c.substr(1000));
  f.Answer(200);
  EXPECT_TRUE(f.result && f.result->has_value()) << "a download goes on";
}

TEST(ArtifactCache, RefusesAModelAboveItsLimitByName) {
  Fixture f(4'000);
  f.Fetch(ArtifactOf(Content(5000, 'a'), "large-model"));
  ASSERT_TRUE(f.result && !f.result->has_value());
  EXPECT_EQ(f.result->error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(f.result->error().message, HasSubstr("large-model"));
  EXPECT_THAT(f.result->error().message, HasSubstr("limits.disk_gib"));
  EXPECT_TRUE(f.http.calls().empty());
}

TEST(ArtifactCache, AFullDiskIsNamed) {
  Fixture f(UINT64_MAX);
  ModelArtifact huge = ArtifactOf("x", "huge");
  huge.size_bytes = std::uint64_t{1} << 60;
  f.Fetch(huge);
  ASSERT_TRUE(f.result && !f.result->has_value());
  EXPECT_EQ(f.result->error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(f.result->error().message, HasSubstr("is full: model huge needs"));
}

TEST(ArtifactCache, AFileThatCannotBeWrittenIsNamed) {
  Fixture f;
  const ModelArtifact artifact = ArtifactOf(Content(5000, 'a'));
  fs::create_directory(f.Path(artifact) + ".part");  // stands where the download would go
  f.Fetch(artifact);
  ASSERT_TRUE(f.result && !f.result->has_value());
  EXPECT_THAT(f.result->error().message, HasSubstr("cannot write"));
}

TEST(ArtifactCache, ARefusalEndsTheFetch) {
  Fixture f;
  f.Fetch(ArtifactOf(Content(5000, 'a')));
  f.http.last().Answer(404, R"({"error": {"message": "no such artifact"}})");
  f.loop.RunPending();
  ASSERT_TRUE(f.result && !f.result->has_value());
  EXPECT_THAT(f.result->error().message, HasSubstr("no such artifact"));
}

TEST(ArtifactCache, RefusesMoreBytesThanTheArtifactHas) {
  Fixture f;
  const std::string content = Content(5000, 'a');
  f.Fetch(ArtifactOf(content));
  f.Piece(content + "!");
  f.Answer(200);
  ASSERT_TRUE(f.result && !f.result->has_value());
  EXPECT_EQ(f.result->error().code, ErrorCode::kDataLoss);
}

}  // namespace
}  // namespace fallow
