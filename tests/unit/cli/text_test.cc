#include "cli/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace fallow::cli {
namespace {

TEST(Printable, LetsNothingSteerTheTerminal) {
  EXPECT_EQ(Printable("a\x1b[2Jb\r\n"), "a?[2Jb??");
  EXPECT_EQ(Printable("caf\xC3\xA9"), "café");
  EXPECT_EQ(Printable("\xC2\x9B"), "?");            // the one-byte escape sequence in C1
  EXPECT_EQ(Printable("\xE2\x80\xAEgpj"), "?gpj");  // right-to-left override
}

TEST(Printable, ReplacesMalformedUtf8ByteByByte) {
  EXPECT_EQ(Printable("\xC3"), "?");
  EXPECT_EQ(Printable("\xC0\xAF"), "??");            // overlong
  EXPECT_EQ(Printable("\xED\xA0\x80"), "???");       // surrogate
  EXPECT_EQ(Printable("\xF4\x90\x80\x80"), "????");  // beyond U+10FFFF
  EXPECT_EQ(Printable("\xF0\x9F\x9A\x80"), "\xF0\x9F\x9A\x80");
}

TEST(DisplayWidth, CountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth("abc"), 3u);
  EXPECT_EQ(DisplayWidth("é"), 1u);
  EXPECT_EQ(DisplayWidth("e\xCC\x81"), 1u);  // letter and combining accent
  EXPECT_EQ(DisplayWidth("日本"), 4u);
  EXPECT_EQ(DisplayWidth("🚀"), 2u);
}

TEST(Shorten, NeverExceedsTheWidth) {
  EXPECT_EQ(Shorten("abcdef", 6), "abcdef");
  EXPECT_EQ(Shorten("abcdef", 5), "abcd…");
  EXPECT_EQ(Shorten("日本語", 5), "日本…");
  EXPECT_EQ(Shorten("日本語", 4), "日…");  // half a letter does not fit
  EXPECT_EQ(Shorten("abc", 0), "");
}

TEST(Numbers, ReadWell) {
  EXPECT_EQ(BytesText(0), "0 B");
  EXPECT_EQ(BytesText(999), "999 B");
  EXPECT_EQ(BytesText(2'675'968), "2.7 MB");
  EXPECT_EQ(BytesText(999'999), "1.0 MB");
  EXPECT_EQ(BytesText(200'000'000), "200 MB");
  EXPECT_EQ(ShortCountText(2'500'000), "2.5 M");
  EXPECT_EQ(ShortCountText(270), "270");
  EXPECT_EQ(CountText(0), "0");
  EXPECT_EQ(CountText(999), "999");
  EXPECT_EQ(CountText(1'953), "1,953");
  EXPECT_EQ(CountText(1'234'567), "1,234,567");
  EXPECT_EQ(RateText(0.44), "0.4");
  EXPECT_EQ(RateText(1240.2), "1,240");
  EXPECT_EQ(RateText(-1), "0.0");
}

TEST(MillisecondsText, KeepsTheDigitsThatTellSomething) {
  EXPECT_EQ(MillisecondsText(8.24), "8.2 ms");
  EXPECT_EQ(MillisecondsText(9.96), "10 ms");
  EXPECT_EQ(MillisecondsText(31.4), "31 ms");
  EXPECT_EQ(MillisecondsText(2540), "2.5 s");
  EXPECT_EQ(MillisecondsText(-1), "0.0 ms");
  EXPECT_EQ(MillisecondsText(std::nan("")), "0.0 ms");
}

TEST(DurationText, KeepsTwoUnits) {
  EXPECT_EQ(DurationText(2.44), "2.4 s");
  EXPECT_EQ(DurationText(9.96), "10 s");
  EXPECT_EQ(DurationText(59.6), "1 min 00 s");
  EXPECT_EQ(DurationText(125), "2 min 05 s");
  EXPECT_EQ(DurationText(11'520), "3 h 12 min");
  EXPECT_EQ(DurationText(352'800), "4 d 2 h");
  EXPECT_EQ(DurationText(-3), "0 s");
  EXPECT_EQ(DurationText(4), "4 s");  // no more digits than are known
}

TEST(Bar, FillsByHalfColumns) {
  EXPECT_EQ(Bar(0, 4, Glyphs::kAscii), "....");
  EXPECT_EQ(Bar(0.5, 4, Glyphs::kAscii), "##..");
  EXPECT_EQ(Bar(0.63, 4, Glyphs::kAscii), "##-.");
  EXPECT_EQ(Bar(1, 4, Glyphs::kUnicode), "━━━━");
  EXPECT_EQ(Bar(7, 4, Glyphs::kAscii), "####");
  EXPECT_EQ(DisplayWidth(Bar(0.3, 21, Glyphs::kUnicode)), 21u);
}

TEST(Table, AlignsByDisplayWidth) {
  Table table({{"NAME"}, {"DONE", Align::kRight}});
  table.AddRow({"日本", "7"});
  table.AddRow({"cafe", "1,953"});
  EXPECT_EQ(table.Render(),
            "NAME   DONE\n"
            "日本      7\n"
            "cafe  1,953\n");
}

TEST(Table, ShrinksItsWidestTextToFit) {
  Table table({{"ID"}, {"REASON"}, {"N", Align::kRight}});
  table.AddRow({"dev_1", "the owner is at the machine", "123456789012"});
  EXPECT_EQ(table.Render(40),
            "ID     REASON                          N\n"
            "dev_1  the owner is at th…  123456789012\n");
}

TEST(Table, StopsShrinkingBeforeNothingCanBeRead) {
  Table table({{"A"}});
  table.AddRow({"0123456789abcdef"});
  EXPECT_EQ(table.Render(3), "A\n0123456…\n");
}

TEST(Table, MakesCellsPrintable) {
  Table table({{"A"}});
  table.AddRow({"x\x1b[31m\n"});
  EXPECT_EQ(table.Render(), "A\nx?[31m?\n");
}

}  // namespace
}  // namespace fallow::cli
