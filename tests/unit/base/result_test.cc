#include "base/result.h"

#include <gtest/gtest.h>

namespace fallow {
namespace {

Result<int> Half(int value) {
  if (value % 2 != 0) return Fail(ErrorCode::kInvalidArgument, "odd");
  return value / 2;
}

Result<int> Quarter(int value) {
  FALLOW_ASSIGN_OR_RETURN(const int half, Half(value));
  return Half(half);
}

Status CheckEven(int value) {
  FALLOW_RETURN_IF_ERROR(Half(value));
  return {};
}

TEST(Result, CarriesAValueThroughCalls) {
  EXPECT_EQ(Quarter(12), 3);
}

TEST(Result, ReturnsTheFirstError) {
  const auto result = Quarter(6);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{ErrorCode::kInvalidArgument, "odd"}));
  EXPECT_TRUE(CheckEven(2));
  EXPECT_FALSE(CheckEven(1));
}

TEST(Result, WrapPutsThePlaceInFront) {
  const std::unexpected<Error> wrapped =
      Wrap(Error{ErrorCode::kNotFound, "no such tensor"}, "model.gguf");
  EXPECT_EQ(wrapped.error().message, "model.gguf: no such tensor");
  EXPECT_EQ(wrapped.error().code, ErrorCode::kNotFound);
}

TEST(Result, EveryCodeHasAName) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    EXPECT_FALSE(ErrorCodeName(static_cast<ErrorCode>(code)).empty());
  }
}

}  // namespace
}  // namespace fallow
