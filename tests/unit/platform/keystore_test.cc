#include "platform/keystore.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/encoding.h"
#include "platform/paths.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::TemporaryFolder;

TEST(Keystore, MakesAKeyOnceAndFindsItAgain) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/deep/device.key";
  const auto made = LoadOrMakeSigningKey(path);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  const auto found = LoadOrMakeSigningKey(path);
  ASSERT_TRUE(found.has_value()) << found.error().message;
  EXPECT_EQ((*made)->public_key(), (*found)->public_key());
  EXPECT_EQ((*made)->public_key().size(), 32u);
  struct stat facts {};
  ASSERT_EQ(stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777u, 0600u);
}

TEST(Keystore, SignatureVerifiesOnlyForItsMessageAndKey) {
  const TemporaryFolder folder;
  const auto key = LoadOrMakeSigningKey(folder.path() + "/a.key").value();
  const auto other = LoadOrMakeSigningKey(folder.path() + "/b.key").value();
  const Bytes signature = key->Sign(AsBytes("lease please"));
  EXPECT_EQ(signature.size(), 64u);
  EXPECT_TRUE(VerifySignature(key->public_key(), AsBytes("lease please"), signature));
  EXPECT_FALSE(VerifySignature(key->public_key(), AsBytes("lease pleasf"), signature));
  EXPECT_FALSE(VerifySignature(other->public_key(), AsBytes("lease please"), signature));
  Bytes bent = signature;
  bent[10] ^= 1;
  EXPECT_FALSE(VerifySignature(key->public_key(), AsBytes("lease please"), bent));
  EXPECT_FALSE(VerifySignature({}, AsBytes("lease please"), signature));
  EXPECT_FALSE(VerifySignature(key->public_key(), AsBytes("lease please"), {}));
}

// RFC 8032, section 7.1, test 2.
TEST(Keystore, VerifiesThePublishedVector) {
  const Bytes key = *FromHex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const Bytes message = *FromHex("72");
  const Bytes signature = *FromHex(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  EXPECT_TRUE(VerifySignature(key, message, signature));
}

TEST(Keystore, RefusesAKeyThatOthersMayRead) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/device.key";
  ASSERT_TRUE(LoadOrMakeSigningKey(path).has_value());
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  const auto key = LoadOrMakeSigningKey(path);
  ASSERT_FALSE(key.has_value());
  EXPECT_EQ(key.error().code, ErrorCode::kPermissionDenied);
  EXPECT_NE(key.error().message.find("chmod 600 " + path), std::string::npos);
}

TEST(Keystore, NeverReplacesADamagedKey) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/device.key";
  ASSERT_TRUE(WriteFileAtomically(path, "not a key").has_value());
  const auto key = LoadOrMakeSigningKey(path);
  ASSERT_FALSE(key.has_value());
  EXPECT_EQ(key.error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(ReadSmallFile(path).value(), "not a key");
}

}  // namespace
}  // namespace fallow
