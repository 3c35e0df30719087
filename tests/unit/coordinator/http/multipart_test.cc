#include "coordinator/http/multipart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fallow::http {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Parses `body` in pieces of `piece_bytes`, as "name(filename)[type]=data" texts.
Result<std::vector<std::string>> Parse(std::string_view body, std::size_t piece_bytes,
                                       std::string_view boundary = "B") {
  std::vector<std::string> parts;
  MultipartParser parser(
      boundary,
      {.on_part = [&](const MultipartPart& part) -> Status {
         parts.push_back(part.name + (part.filename ? "(" + *part.filename + ")" : "") +
                         (part.content_type.empty() ? "" : "[" + part.content_type + "]") + "=");
         return {};
       },
       .on_data = [&](ByteView bytes) -> Status {
         parts.back() += AsText(bytes);
         return {};
       },
       .on_part_end = [&]() -> Status {
         parts.back() += ".";
         return {};
       }});
  for (std::size_t at = 0; at < body.size(); at += piece_bytes)
    FALLOW_RETURN_IF_ERROR(parser.Feed(AsBytes(body.substr(at, piece_bytes))));
  FALLOW_RETURN_IF_ERROR(parser.Finish());
  return parts;
}

constexpr std::string_view kForm =
    "--B\r\n"
    "Content-Disposition: form-data; name=\"file\"; filename=\"batch.jsonl\"\r\n"
    "Content-Type: application/octet-stream\r\n"
    "\r\n"
    "line 1\r\n--bogus\r\n--not\r\n\r\n--\r\n"
    "\r\n--B\r\n"
    "content-disposition: form-data; name=\"purpose\"\r\n"
    "\r\n"
    "batch"
    "\r\n--B\r\n"
    "Content-Disposition: form-data; name=\"expires_after[anchor]\"\r\n"
    "\r\n"
    "\r\n--B--\r\n";

// Wherever the network cuts the body, the parts are the same; look-alikes of the boundary stay
// data.
TEST(Multipart, GivesTheSamePartsForEveryCut) {
  for (std::size_t piece = 1; piece <= kForm.size(); ++piece) {
    const auto parts = Parse(kForm, piece);
    ASSERT_TRUE(parts.has_value()) << piece << parts.error().message;
    EXPECT_THAT(
        *parts,
        ElementsAre(
            "file(batch.jsonl)[application/octet-stream]=line 1\r\n--bogus\r\n--not\r\n\r\n--\r\n.",
            "purpose=batch.", "expires_after[anchor]=."));
  }
}

TEST(Multipart, TakesAPreambleAndIgnoresWhatFollowsTheEnd) {
  const auto parts = Parse(
      "hello\r\n--B  \r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--B--\r\nanything "
      "--B\r\n",
      7);
  ASSERT_TRUE(parts.has_value());
  EXPECT_THAT(*parts, ElementsAre("a=1."));
}

TEST(Multipart, KeepsOnlyTheLastPartOfAFilename) {
  const auto parts = Parse(
      "--B\r\nContent-Disposition: form-data; name=\"f\"; "
      "filename=\"../../etc/pass\\\"wd\"\r\n\r\n\r\n--B--",
      1000);
  ASSERT_TRUE(parts.has_value());
  EXPECT_THAT(*parts, ElementsAre("f(pass\"wd)=."));
}

TEST(Multipart, NamesWhatIsWrong) {
  EXPECT_THAT(Parse("--B\r\nContent-Disposition: form-data; name=a\r\n\r\ndata", 5).error().message,
              HasSubstr("closing boundary is missing"));
  EXPECT_THAT(Parse("--B\r\nX: y\r\n\r\ndata\r\n--B--", 5).error().message,
              HasSubstr("no Content-Disposition"));
  EXPECT_THAT(Parse("--Bogus\r\n", 5).error().message, HasSubstr("followed by other text"));
  EXPECT_THAT(Parse("--B\r\nno colon\r\n\r\ndata\r\n--B--", 5).error().message,
              HasSubstr("malformed header"));
  EXPECT_THAT(Parse("--B\r\nX: " + std::string(9000, 'x'), 100).error().message,
              HasSubstr("longer than 8192 bytes"));
  EXPECT_FALSE(Parse("", 1).has_value());
  std::string many;
  for (int i = 0; i < 65; ++i) many += "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n";
  EXPECT_THAT(Parse(many + "--B--", 100).error().message, HasSubstr("more than 64 parts"));
}

TEST(Multipart, StopsAtTheFirstErrorOfItsUser) {
  int calls = 0;
  MultipartParser parser("B", {.on_part = [](const MultipartPart&) -> Status { return {}; },
                               .on_data = [&](ByteView) -> Status {
                                 ++calls;
                                 return Fail(ErrorCode::kResourceExhausted, "full");
                               },
                               .on_part_end = []() -> Status { return {}; }});
  const std::string part =
      "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n" + std::string(1000, 'x');
  EXPECT_EQ(parser.Feed(AsBytes(part)).error().message, "full");
  EXPECT_EQ(parser.Feed(AsBytes(part)).error().message, "full");
  EXPECT_EQ(parser.Finish().error().message, "full");
  EXPECT_EQ(calls, 1);
}

TEST(MultipartBoundary, ReadsTheContentType) {
  EXPECT_EQ(MultipartBoundary("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(MultipartBoundary("Multipart/Form-Data; charset=x; Boundary=\"a b'c\""), "a b'c");
  EXPECT_EQ(MultipartBoundary("multipart/form-data"), std::nullopt);
  EXPECT_EQ(MultipartBoundary("multipart/mixed; boundary=abc"), std::nullopt);
  EXPECT_EQ(MultipartBoundary("multipart/form-data; boundary=\"abc"), std::nullopt);
  EXPECT_EQ(MultipartBoundary("multipart/form-data; boundary=" + std::string(71, 'x')),
            std::nullopt);
  EXPECT_EQ(MultipartBoundary("multipart/form-data; boundary=\"a\r\nb\""), std::nullopt);
  EXPECT_EQ(MultipartBoundary("application/json"), std::nullopt);
}

}  // namespace
}  // namespace fallow::http
