// Keys, devices and models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "coordinator/core/limits.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/stores.h"
#include "tests/unit/coordinator/coordinator_world.h"

namespace fallow {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class RegistriesTest : public testing::Test {
 protected:
  void SetUp() override { world_.Start(); }
  ScratchDirectory scratch_;
  CoordinatorWorld world_{OpenStore(StoreKind::kSqlite, scratch_),
                          OpenArtifacts(StoreKind::kSqlite, scratch_)};
};

TEST_F(RegistriesTest, MakesKeysThatAreFoundByTheirSecretUntilRevoked) {
  KeyService& keys = world_.coordinator->keys();
  const auto made = keys.Create(CoordinatorWorld::kAlice, Role::kSubmitter, "laptop");
  ASSERT_TRUE(made.has_value());
  EXPECT_THAT(made->secret, StartsWith("sk-fallow-"));
  EXPECT_EQ(made->secret.size(), 10u + 43u);
  EXPECT_THAT(made->secret, StartsWith(made->key.prefix));
  EXPECT_LT(made->key.prefix.size(), 20u);
  EXPECT_EQ(keys.Find(made->secret)->value(), made->key);
  EXPECT_FALSE(keys.Find(made->secret + "x")->has_value());
  EXPECT_FALSE(keys.Find("")->has_value());
  ASSERT_TRUE(keys.Revoke(made->key.id).has_value());
  EXPECT_FALSE(keys.Find(made->secret)->has_value());
  EXPECT_EQ(keys.List()->size(), 1u);
  EXPECT_EQ(keys.Create(AccountId(""), Role::kSubmitter, "").error().code,
            ErrorCode::kInvalidArgument);
}

TEST_F(RegistriesTest, EnrolsDevicesThatKnowTheToken) {
  DeviceService& devices = world_.coordinator->devices();
  EnrollRequest request;
  request.join_token = *devices.JoinToken();
  request.public_key = Bytes(32, 1);
  const auto first = devices.Enroll(request);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(devices.Enroll(request)->id, first->id);
  request.public_key.pop_back();
  EXPECT_EQ(devices.Enroll(request).error().code, ErrorCode::kInvalidArgument);
  request.public_key = Bytes(32, 2);
  request.join_token.back() ^= 1;
  EXPECT_EQ(devices.Enroll(request).error().code, ErrorCode::kUnauthenticated);
  request.join_token = *devices.JoinToken();
  ASSERT_TRUE(devices.RotateJoinToken().has_value());
  EXPECT_EQ(devices.Enroll(request).error().code, ErrorCode::kUnauthenticated);
  EXPECT_EQ(devices.List()->size(), 1u);
  ASSERT_TRUE(devices.Remove(first->id).has_value());
  EXPECT_FALSE(devices.Find(first->id)->has_value());
  EXPECT_EQ(devices.SetStatus(first->id, {}).error().code, ErrorCode::kNotFound);
}

class ModelRegistryTest : public RegistriesTest {
 protected:
  Digest Store(std::string_view bytes) {
    auto writer = world_.artifacts->Create();
    EXPECT_TRUE((*writer)->Write(AsBytes(bytes)).has_value());
    return (*writer)->Finish()->digest;
  }
  std::string DemoModel() {
    std::ifstream file(FALLOW_SOURCE_DIR "/examples/field-normalizer/field-normalizer-q8_0.gguf",
                       std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(ModelRegistryTest, TakesAModelAndShowsItsCard) {
  const std::string bytes = DemoModel();
  ASSERT_FALSE(bytes.empty());
  const auto model = world_.coordinator->models().Add(ModelId("field-normalizer"), Store(bytes));
  ASSERT_TRUE(model.has_value()) << model.error().message;
  EXPECT_EQ(model->size_bytes, bytes.size());
  for (const char* fact : {R"("architecture":"llama")", R"("license":"")", R"("pooling":"none")",
                           R"("chat":true)", R"({"sequences":32,"tokens":256,"bytes":)"}) {
    EXPECT_THAT(model->card_json, HasSubstr(fact));
  }
  EXPECT_EQ(world_.coordinator->models().Add(model->id, model->artifact)->created_at,
            model->created_at);
  EXPECT_EQ(world_.coordinator->models().Find(model->id)->value(), *model);
  ASSERT_TRUE(world_.coordinator->models().Remove(model->id).has_value());
  EXPECT_EQ(world_.artifacts->Open(model->artifact).error().code, ErrorCode::kNotFound);
}

TEST_F(ModelRegistryTest, RefusesWhatIsNotAModelAndKeepsNothingOfIt) {
  const Digest artifact = Store("this is not GGUF");
  const auto model = world_.coordinator->models().Add(ModelId("bad"), artifact);
  EXPECT_EQ(model.error().code, ErrorCode::kInvalidArgument) << model.error().message;
  EXPECT_EQ(world_.artifacts->Open(artifact).error().code, ErrorCode::kNotFound);
  const std::string truncated = DemoModel().substr(0, 100'000);
  EXPECT_FALSE(world_.coordinator->models().Add(ModelId("bad"), Store(truncated)).has_value());
}

// One round is to be enough to put a file right.
TEST_F(ModelRegistryTest, SaysEveryReasonWhyAModelIsRefused) {
  const Bytes bytes = GgufWriter().String("general.architecture", "llama").Write();
  const auto model = world_.coordinator->models().Add(ModelId("bad"), Store(AsText(bytes)));
  ASSERT_FALSE(model.has_value());
  EXPECT_THAT(model.error().message,
              AllOf(HasSubstr("bad: refused for "), HasSubstr(" reasons: (1) "),
                    HasSubstr("key tokenizer.ggml.model is missing"),
                    HasSubstr("key llama.context_length is missing"),
                    HasSubstr("key llama.attention.head_count is missing")));
}

TEST_F(ModelRegistryTest, RefusesNamesThatDoNotTravel) {
  for (const char* name : {"", "-x", "a b", "a\n", "\xff", "a?b"}) {
    EXPECT_EQ(world_.coordinator->models().Add(ModelId(name), Digest{}).error().code,
              ErrorCode::kInvalidArgument)
        << name;
  }
}

}  // namespace
}  // namespace fallow
