#include "cli/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "tests/unit/cli/fakes.h"

namespace fallow::cli {
namespace {

using testing::HasSubstr;

const Access kStored{.url = "https://home:8443", .key = "stored-key", .authority_pem = "PEM"};

Result<Access> Resolve(const AccessOptions& options,
                       const std::map<std::string, std::string>& environment,
                       const std::optional<Access>& stored) {
  return ResolveAccess(
      options,
      [&](const std::string& name) -> std::optional<std::string> {
        const auto found = environment.find(name);
        if (found == environment.end()) return std::nullopt;
        return found->second;
      },
      stored);
}

TEST(Access, IsTheStoredOneByDefault) {
  const auto access = Resolve({}, {}, kStored);
  ASSERT_TRUE(access.has_value());
  EXPECT_EQ(*access, kStored);
}

TEST(Access, OptionsGoBeforeEnvironmentBeforeStored) {
  const auto access = Resolve({.key = "option"}, {{"FALLOW_API_KEY", "environment"}}, kStored);
  ASSERT_TRUE(access.has_value());
  EXPECT_EQ(access->key, "option");
  EXPECT_EQ(access->url, kStored.url);
  EXPECT_EQ(Resolve({}, {{"FALLOW_API_KEY", "environment"}}, kStored)->key, "environment");
}

TEST(Access, NeverSendsTheStoredKeyElsewhere) {
  const auto elsewhere = Resolve({.url = "https://elsewhere:1"}, {}, kStored);
  ASSERT_FALSE(elsewhere.has_value());
  EXPECT_THAT(elsewhere.error().message, HasSubstr("no API key for https://elsewhere:1"));

  const auto own_key = Resolve({.url = "https://elsewhere:1", .key = "k"}, {}, kStored);
  ASSERT_TRUE(own_key.has_value());
  EXPECT_EQ(own_key->authority_pem, std::nullopt);
}

TEST(Access, WithoutAnyTellsHowToSignIn) {
  const auto access = Resolve({}, {}, std::nullopt);
  ASSERT_FALSE(access.has_value());
  EXPECT_THAT(access.error().message, HasSubstr("fallow login"));
}

TEST(Access, RefusesAKeyThatWouldBreakTheHeader) {
  EXPECT_FALSE(Resolve({}, {{"FALLOW_API_KEY", "k\r\nX-Other: 1"}}, kStored).has_value());
}

TEST(Access, ReadsTheAuthorityFromTheNamedFile) {
  TemporaryFolder folder;
  const auto file = folder.Write("ca.pem", "OTHER PEM");
  EXPECT_EQ(Resolve({}, {{"FALLOW_CA", file}}, kStored)->authority_pem, "OTHER PEM");
  EXPECT_FALSE(Resolve({.authority_file = folder.File("none")}, {}, kStored).has_value());
}

TEST(AccessFile, ReturnsWhatWasStoredAndIsPrivate) {
  TemporaryFolder folder;
  const auto path = folder.File("fallow/access.json");
  EXPECT_EQ(LoadAccess(path).value(), std::nullopt);
  ASSERT_TRUE(StoreAccess(path, kStored).has_value());
  EXPECT_EQ(LoadAccess(path).value(), kStored);
  EXPECT_EQ(std::filesystem::status(path).permissions() & std::filesystem::perms::all,
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST(AccessFile, DamagedSaysToSignInAgain) {
  TemporaryFolder folder;
  for (const char* content : {"", "{", "[]", "{\"url\": 1}"}) {
    const auto access = LoadAccess(folder.Write("access.json", content));
    ASSERT_FALSE(access.has_value()) << content;
    EXPECT_THAT(access.error().message, HasSubstr("fallow login"));
  }
}

}  // namespace
}  // namespace fallow::cli
