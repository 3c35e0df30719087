#include "base/encoding.h"

#include <gtest/gtest.h>

namespace fallow {
namespace {

Bytes B(std::string_view text) {
  const ByteView view = AsBytes(text);
  return {view.begin(), view.end()};
}

// RFC 4648, section 10.
TEST(Base64, GivesTheRfcExamples) {
  EXPECT_EQ(ToBase64(AsBytes("")), "");
  EXPECT_EQ(ToBase64(AsBytes("f")), "Zg==");
  EXPECT_EQ(ToBase64(AsBytes("fo")), "Zm8=");
  EXPECT_EQ(ToBase64(AsBytes("foo")), "Zm9v");
  EXPECT_EQ(ToBase64(AsBytes("foobar")), "Zm9vYmFy");
}

TEST(Base64, ReadsBothAlphabetsWithAndWithoutPadding) {
  const Bytes bytes = {0xfb, 0xff, 0xfe};
  EXPECT_EQ(ToBase64(bytes), "+//+");
  EXPECT_EQ(ToBase64Url(bytes), "-__-");
  EXPECT_EQ(FromBase64("+//+"), bytes);
  EXPECT_EQ(FromBase64("-__-"), bytes);
  EXPECT_EQ(FromBase64("Zg=="), B("f"));
  EXPECT_EQ(FromBase64("Zg"), B("f"));
}

TEST(Base64, RefusesForeignCharactersAndLengths) {
  EXPECT_FALSE(FromBase64("Zm9v!"));
  EXPECT_FALSE(FromBase64("Z"));
  EXPECT_FALSE(FromBase64("Zg= ="));
}

TEST(Base64, ReturnsEveryLengthWhole) {
  Bytes bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(FromBase64(ToBase64(bytes)), bytes);
    EXPECT_EQ(FromBase64(ToBase64Url(bytes)), bytes);
    bytes.push_back(static_cast<std::uint8_t>(i * 37 % 256));
  }
}

TEST(Hex, ReadsBothCasesAndRefusesTheRest) {
  EXPECT_EQ(ToHex(Bytes{0x0f, 0xa0}), "0fa0");
  EXPECT_EQ(FromHex("0FA0"), (Bytes{0x0f, 0xa0}));
  EXPECT_FALSE(FromHex("0f0"));
  EXPECT_FALSE(FromHex("zz"));
}

}  // namespace
}  // namespace fallow
