#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "protocol/worker_messages.h"

namespace fallow {
namespace {

using testing::ElementsAre;

Bytes RawFrame(const std::string& payload) {
  Bytes frame(4 + payload.size());
  frame[0] = static_cast<std::uint8_t>(payload.size());
  std::ranges::copy(payload, frame.begin() + 4);
  return frame;
}

// Everything the reader has now; fails the test on an error.
std::vector<std::string> Drain(FrameReader& reader) {
  std::vector<std::string> payloads;
  while (true) {
    const auto next = reader.Next();
    EXPECT_TRUE(next.has_value()) << next.error().message;
    if (!next || !*next) return payloads;
    payloads.emplace_back(AsText(**next));
  }
}

TEST(FrameReader, CutsAStreamOfAnyChunkSizes) {
  Bytes stream;
  for (const char* payload : {"one", "", "three", "a longer payload than the others"}) {
    const Bytes frame = RawFrame(payload);
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  for (std::size_t chunk = 1; chunk <= stream.size(); ++chunk) {
    FrameReader reader(64);
    std::vector<std::string> payloads;
    for (std::size_t at = 0; at < stream.size(); at += chunk) {
      reader.Feed(ByteView(stream).subspan(at, std::min(chunk, stream.size() - at)));
      for (std::string& payload : Drain(reader)) payloads.push_back(std::move(payload));
    }
    EXPECT_THAT(payloads, ElementsAre("one", "", "three", "a longer payload than the others"))
        << chunk;
  }
}

TEST(FrameReader, KeepsAnUnfinishedFrame) {
  FrameReader reader(64);
  reader.Feed(Bytes{3, 0, 0, 0, 'a', 'b'});
  EXPECT_TRUE(Drain(reader).empty());
  reader.Feed(Bytes{'c'});
  EXPECT_THAT(Drain(reader), ElementsAre("abc"));
}

TEST(FrameReader, TakesThePayloadAtTheLimitAndFailsForGoodAboveIt) {
  FrameReader reader(4);
  reader.Feed(RawFrame("four"));
  EXPECT_THAT(Drain(reader), ElementsAre("four"));
  reader.Feed(RawFrame("fives"));
  for (int i = 0; i < 3; ++i) {
    const auto next = reader.Next();
    ASSERT_FALSE(next.has_value());
    EXPECT_EQ(next.error().message, "frame: payload of 5 bytes; at most 4");
    reader.Feed(RawFrame("four"));
  }
}

TEST(FrameReader, ReadsTheLengthAsUnsignedLittleEndian) {
  FrameReader reader(1 << 20);
  reader.Feed(Bytes{0xFF, 0xFF, 0xFF, 0xFF});
  const auto next = reader.Next();
  ASSERT_FALSE(next.has_value());
  EXPECT_EQ(next.error().message, "frame: payload of 4294967295 bytes; at most 1048576");
}

}  // namespace
}  // namespace fallow
