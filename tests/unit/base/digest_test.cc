#include "base/digest.h"

#include <gtest/gtest.h>

namespace fallow {
namespace {

// FIPS 180-4's own examples.
TEST(Sha256, GivesThePublishedDigests) {
  EXPECT_EQ(Sha256::Of("abc").Hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256::Of("").Hex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, DoesNotSeeHowBytesAreCut) {
  Sha256 hash;
  for (const char* piece : {"a", "", "bc"}) hash.Update(std::string_view(piece));
  EXPECT_EQ(hash.Finish(), Sha256::Of("abc"));
}

TEST(Sha256, StartsAnewAfterFinish) {
  Sha256 hash;
  hash.Update("something");
  hash.Finish();
  hash.Update("abc");
  EXPECT_EQ(hash.Finish(), Sha256::Of("abc"));
}

TEST(Digest, ReadsItsOwnHexadecimal) {
  const Digest digest = Sha256::Of("abc");
  EXPECT_EQ(Digest::FromHex(digest.Hex()), digest);
}

TEST(Digest, RefusesWhatIsNotOne) {
  const std::string hex = Sha256::Of("abc").Hex();
  EXPECT_FALSE(Digest::FromHex(hex.substr(1)));
  EXPECT_FALSE(Digest::FromHex(hex + "00"));
  EXPECT_FALSE(Digest::FromHex("g" + hex.substr(1)));
  EXPECT_FALSE(Digest::FromHex(""));
}

}  // namespace
}  // namespace fallow
