#include "agent/daemon/join_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fallow {
namespace {

using testing::HasSubstr;

const std::string kPin(64, 'a');

TEST(JoinLink, GivesUrlTokenAndPin) {
  const auto link = ParseJoinLink("https://attic.local:8443/#join=abc-123&pin=" + kPin);
  ASSERT_TRUE(link.has_value()) << link.error().message;
  EXPECT_EQ(link->coordinator_url, "https://attic.local:8443");
  EXPECT_EQ(link->token, "abc-123");
  EXPECT_EQ(link->pin.Hex(), kPin);
}

TEST(JoinLink, TakesPartsInAnyOrderAndAddressesInBrackets) {
  const auto link = ParseJoinLink("https://[::1]:8443#pin=" + kPin + "&join=t");
  ASSERT_TRUE(link.has_value()) << link.error().message;
  EXPECT_EQ(link->coordinator_url, "https://[::1]:8443");
}

TEST(JoinLink, SaysWhatIsWrong) {
  const auto error = [](const std::string& link) {
    const auto parsed = ParseJoinLink(link);
    return parsed ? "" : parsed.error().message;
  };
  EXPECT_THAT(error("http://h:1/#join=t&pin=" + kPin), HasSubstr("https://"));
  EXPECT_THAT(error("https://h:1/"), HasSubstr("behind '#'"));
  EXPECT_THAT(error("https://h:1/#join=t"), HasSubstr("no valid pin"));
  EXPECT_THAT(error("https://h:1/#join=t&pin=1234"), HasSubstr("no valid pin"));
  EXPECT_THAT(error("https://h:1/#pin=" + kPin), HasSubstr("no join token"));
  EXPECT_THAT(error("https://h:1/#key=sk-fallow-x&pin=" + kPin),
              AllOf(HasSubstr("to sign in with"), Not(HasSubstr("sk-fallow-x"))));
  EXPECT_THAT(error(" \n"), HasSubstr("https://"));
  EXPECT_THAT(error(""), HasSubstr("https://"));
  EXPECT_THAT(error("https://h:1/#join=&pin=" + kPin), HasSubstr("no join token"));
  EXPECT_THAT(error("https:///#join=t&pin=" + kPin), HasSubstr("host"));
  EXPECT_THAT(error("https://h:1/path/#join=t&pin=" + kPin), HasSubstr("host"));
  EXPECT_THAT(error("https://user@h:1/#join=t&pin=" + kPin), HasSubstr("host"));
}

}  // namespace
}  // namespace fallow
