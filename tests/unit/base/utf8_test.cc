#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace fallow {
namespace {

TEST(Utf8, TakesWhatIsWellFormed) {
  for (const char* text :
       {"", "plain", "Grüße", "世界", "\xF0\x9F\x98\x80", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(IsValidUtf8(text)) << text;
  }
  EXPECT_TRUE(IsValidUtf8(std::string_view("a\0b", 3)));
}

// Each with ASCII of every length around it, since long runs of ASCII take a path of their own.
TEST(Utf8, RefusesWhatIsNot) {
  for (const std::string bad :
       {"\x80", "\xC0\xAF", "\xC1\xBF", "\xC3", "\xE0\x9F\xBF", "\xE4\xB8", "\xED\xA0\x80",
        "\xF0\x8F\xBF\xBF", "\xF0\x9F\x98", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    for (std::size_t before = 0; before < 20; ++before) {
      EXPECT_FALSE(IsValidUtf8(std::string(before, 'x') + bad));
      EXPECT_FALSE(IsValidUtf8(std::string(before, 'x') + bad + std::string(before, 'y')));
    }
  }
}

TEST(Utf8, MakesAnythingValidAndCutsBetweenCharacters) {
  EXPECT_EQ(ToValidUtf8("Grüße", 100), "Grüße");
  EXPECT_EQ(ToValidUtf8("a\xFF"
                        "b\xC3",
                        100),
            "a?b?");
  EXPECT_EQ(ToValidUtf8("aé", 2), "a");
  EXPECT_EQ(ToValidUtf8("aé", 3), "aé");
  EXPECT_EQ(ToValidUtf8("abc", 0), "");
}

}  // namespace
}  // namespace fallow
