#include "platform/curl/piece_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fallow {
namespace {

std::vector<ByteView> Pieces() {
  return {AsBytes("ab"), AsBytes(""), AsBytes("cdefg"), AsBytes("h")};
}

std::string ReadAll(PieceReader& reader, std::size_t step) {
  std::string all, buffer(step, '\0');
  while (const std::size_t count = reader.Read(buffer.data(), step)) all += buffer.substr(0, count);
  return all;
}

TEST(PieceReader, GivesThePiecesAsOneInStepsOfAnySize) {
  const std::vector<ByteView> pieces = Pieces();
  for (std::size_t step = 1; step <= 9; ++step) {
    PieceReader reader(pieces);
    EXPECT_EQ(reader.size_bytes(), 8u);
    EXPECT_EQ(ReadAll(reader, step), "abcdefgh") << step;
  }
}

TEST(PieceReader, GoesOnFromWhereverItIsSetTo) {
  const std::vector<ByteView> pieces = Pieces();
  PieceReader reader(pieces);
  for (std::size_t offset = 0; offset <= 8; ++offset) {
    ASSERT_TRUE(reader.Seek(offset));
    EXPECT_EQ(ReadAll(reader, 3), std::string("abcdefgh").substr(offset)) << offset;
  }
  EXPECT_FALSE(reader.Seek(9));
}

TEST(PieceReader, NoPiecesAreEmpty) {
  PieceReader reader;
  char byte = 0;
  EXPECT_EQ(reader.Read(&byte, 1), 0u);
  EXPECT_TRUE(reader.Seek(0));
}

}  // namespace
}  // namespace fallow
