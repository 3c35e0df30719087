#include "agent/daemon/agent_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agent/daemon/policy/signals.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Fixture {
  fallow::testing::TemporaryFolder temporary;
  StateFolder folder{temporary.path()};

  void Write(const std::string& name, const std::string& content) {
    std::ofstream(temporary.path() + "/" + name) << content;
  }
};

TEST(AgentState, KeepsTheMembership) {
  Fixture f;
  const Membership membership{"https://c:8443", DeviceId("dev_7"), "-----BEGIN CERTIFICATE-----\n"};
  ASSERT_TRUE(f.folder.SaveMembership(membership).has_value());
  EXPECT_EQ(f.folder.LoadMembership(), membership);
  ASSERT_TRUE(f.folder.Forget().has_value());
  EXPECT_EQ(f.folder.LoadMembership().error().code, ErrorCode::kNotFound);
}

TEST(AgentState, SaysHowToJoin) {
  Fixture f;
  EXPECT_THAT(f.folder.LoadMembership().error().message, HasSubstr("fallow-agent join LINK"));
}

TEST(AgentState, ADamagedMembershipIsNamed) {
  for (const char* content :
       {"", "{", "[]", "{}",
        R"({"coordinator": 5, "device": "d", "authority_certificate": "c"})"}) {
    Fixture f;
    f.Write("agent.json", content);
    EXPECT_EQ(f.folder.LoadMembership().error().code, ErrorCode::kDataLoss) << content;
  }
}

TEST(AgentState, KeepsHeldLeasesAndShrugsAtADamagedFile) {
  Fixture f;
  EXPECT_THAT(f.folder.LoadHeldLeases(), IsEmpty());
  ASSERT_TRUE(f.folder.SaveHeldLeases({LeaseId("a"), LeaseId("b")}).has_value());
  EXPECT_THAT(f.folder.LoadHeldLeases(), ElementsAre(LeaseId("a"), LeaseId("b")));
  for (const char* content : {"", "{", R"({"a": 1})", "[1, null]"}) {
    f.Write("leases.json", content);
    EXPECT_THAT(f.folder.LoadHeldLeases(), IsEmpty()) << content;
  }
}

TEST(AgentState, KeepsTheOwnersPauseAndTakesADamagedOneAsWithoutEnd) {
  Fixture f;
  EXPECT_EQ(f.folder.LoadPause(), OwnerPause{});
  const WallTime until = WallTimeFromUnixMs(1'800'000'000'000);
  for (const OwnerPause& pause :
       {OwnerPause{.by_master = until}, OwnerPause{.by_seat = until},
        OwnerPause{.by_master = kPausedWithoutEnd, .by_seat = until}, OwnerPause{}}) {
    ASSERT_TRUE(f.folder.SavePause(pause).has_value());
    EXPECT_EQ(f.folder.LoadPause(), pause);
  }
  for (const char* content :
       {"", "{", "[]", R"({"until_ms": "soon"})", R"({"until_ms": 18446744073709551615})",
        R"({"until_ms": "soon", "seat_until_ms": 5000})"}) {
    f.Write("pause.json", content);
    EXPECT_EQ(f.folder.LoadPause().by_master, kPausedWithoutEnd) << content;
  }
  ASSERT_TRUE(f.folder.Forget().has_value());
  EXPECT_EQ(f.folder.LoadPause(), OwnerPause{});
}

TEST(AgentState, SignsOfLifeAreTheSameHoweverTheFolderIsNamed) {
  const Fixture f;
  const std::string link = f.temporary.path() + "/link";
  std::filesystem::create_directory_symlink(f.temporary.path(), link);
  const auto signs = f.folder.life_sign_paths();
  for (const std::string& name : {f.temporary.path() + "/", f.temporary.path() + "/./", link})
    EXPECT_EQ(StateFolder(name).life_sign_paths(), signs) << name;
  EXPECT_NE(StateFolder(f.temporary.path() + "/other").life_sign_paths(), signs);
}

}  // namespace
}  // namespace fallow
