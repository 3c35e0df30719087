#include "cli/link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fallow::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kPin(64, 'a');

std::string ErrorOf(const std::string& link) {
  const auto parsed = ParseSignInLink(link);
  return parsed.has_value() ? "no error" : parsed.error().message;
}

TEST(SignInLink, CarriesAddressKeyAndPin) {
  const auto link =
      ParseSignInLink(" https://host.example:8443/#key=sk-fallow-x&pin=" + kPin + "\n");
  ASSERT_TRUE(link.has_value()) << link.error().message;
  EXPECT_EQ(link->url, "https://host.example:8443");
  EXPECT_EQ(link->key, "sk-fallow-x");
  EXPECT_EQ(link->pin.Hex(), kPin);
}

TEST(SignInLink, TakesIpv6AndAnyOrderOfFields) {
  const auto link = ParseSignInLink("https://[::1]:8443/#pin=" + kPin + "&later=1&key=k");
  ASSERT_TRUE(link.has_value()) << link.error().message;
  EXPECT_EQ(link->url, "https://[::1]:8443");
  EXPECT_EQ(link->key, "k");
}

TEST(SignInLink, TellsWhatTheShellCutOff) {
  EXPECT_THAT(ErrorOf("https://h:1/"), HasSubstr("in quotes"));
  EXPECT_THAT(ErrorOf("https://h:1/#key=sk-fallow-x"), HasSubstr("pin= is missing"));
  EXPECT_THAT(ErrorOf("https://h:1/#pin=" + kPin), HasSubstr("key= is missing"));
}

TEST(SignInLink, SendsDevicesToTheAgent) {
  EXPECT_THAT(ErrorOf("https://h:1/#join=T&pin=" + kPin), HasSubstr("fallow-agent join"));
}

TEST(SignInLink, RefusesWhatIsNotOne) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("#"));
  EXPECT_THAT(ErrorOf("http://h:1/#key=k&pin=" + kPin), HasSubstr("https://"));
  EXPECT_THAT(ErrorOf("https:///#key=k&pin=" + kPin), HasSubstr("HOST:PORT"));
  EXPECT_THAT(ErrorOf("https://user@h:1/#key=k&pin=" + kPin), HasSubstr("HOST:PORT"));
  EXPECT_THAT(ErrorOf("https://h:1/path#key=k&pin=" + kPin), HasSubstr("HOST:PORT"));
  EXPECT_THAT(ErrorOf("https://h:1/#key=k&pin=abc"), HasSubstr("64 hexadecimal digits"));
  EXPECT_THAT(ErrorOf("https://h:1/#key=a b&pin=" + kPin), HasSubstr("without spaces"));
  EXPECT_THAT(ErrorOf(std::string(5000, 'x')), HasSubstr("5000 bytes"));
}

TEST(SignInLink, ErrorsNeverRepeatTheKey) {
  EXPECT_THAT(ErrorOf("https://h:1/#key=sk-fallow-secret&pin=zz"), Not(HasSubstr("secret")));
  EXPECT_THAT(ErrorOf("https://h:1/#key=sk-fallow-sec\x01ret&pin=" + kPin),
              Not(HasSubstr("sk-fallow")));
}

}  // namespace
}  // namespace fallow::cli
