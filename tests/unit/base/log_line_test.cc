#include "base/log_line.h"

#include <gtest/gtest.h>

namespace fallow {
namespace {

using namespace std::string_view_literals;

TEST(OneLine, ReplacesWhatWouldBeginALineOrSteerATerminal) {
  EXPECT_EQ(OneLine("gone\n2026-01-01 info coordinator: all is well"),
            "gone?2026-01-01 info coordinator: all is well");
  EXPECT_EQ(OneLine("\x1b[2J\r\t\x7f\0x"sv), "?[2J????x");
  EXPECT_EQ(OneLine("\xc2\x9b"
                    "31m"),
            "?31m");
}

TEST(OneLine, LeavesOrdinaryTextAlone) {
  for (const std::string_view text :
       {""sv, "plain"sv, "größer, 中文 \xc2\xa0 €"sv, "\xc2"sv, "\xff"sv})
    EXPECT_EQ(OneLine(text), text);
}

}  // namespace
}  // namespace fallow
