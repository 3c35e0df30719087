#include "coordinator/http/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/http/error_response.h"

namespace fallow::http {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

struct RecordingResponder : Responder {
  void Send(Response sent) override { response = std::move(sent); }
  void Start(int, std::vector<std::pair<std::string, std::string>>,
             std::optional<std::uint64_t>) override {}
  void Write(ByteView) override {}
  void End() override {}
  bool slow() const override { return false; }
  bool gone() const override { return false; }
  void OnWritable(std::function<void()>) override {}
  void OnGone(std::function<void()>) override {}
  Response response;
};

struct Fixture {
  Fixture() {
    router.Add("GET", "/v1/models/{}", Record("model"));
    router.Add("POST", "/v1/batches/{}/cancel", Record("cancel"));
    router.Add("GET", "/v1/batches", Record("list"));
    router.Add("POST", "/v1/batches", Record("create"));
  }
  RouteHandler Record(std::string name) {
    return [this, name](const Call& call, std::shared_ptr<Responder>) {
      reached = name;
      for (const std::string& capture : call.captures) reached += " " + capture;
      return nullptr;
    };
  }
  Response Ask(std::string method, std::string path) {
    reached.clear();
    auto responder = std::make_shared<RecordingResponder>();
    router.Handle({.method = std::move(method), .path = std::move(path)}, responder);
    return responder->response;
  }
  Router router;
  std::string reached;
};

TEST(Router, RoutesFirstAndDecodesThen) {
  Fixture f;
  f.Ask("GET", "/v1/models/org%2Fname:Q4_K_M");
  EXPECT_EQ(f.reached, "model org/name:Q4_K_M");
  f.Ask("HEAD", "/v1/models/a%20b");
  EXPECT_EQ(f.reached, "model a b");
  f.Ask("POST", "/v1/batches/batch_1/cancel");
  EXPECT_EQ(f.reached, "cancel batch_1");
}

TEST(Router, TellsUnknownPathsFromWrongMethods) {
  Fixture f;
  EXPECT_EQ(f.Ask("GET", "/v1/nothing").status, 404);
  EXPECT_EQ(f.Ask("GET", "/v1/models/").status, 404);
  const Response wrong = f.Ask("DELETE", "/v1/batches");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_THAT(wrong.headers, testing::Contains(Pair("allow", "GET, POST")));
  EXPECT_THAT(wrong.body, HasSubstr("\"param\":null"));
  EXPECT_EQ(f.reached, "");
}

TEST(Router, RefusesMalformedEscapes) {
  Fixture f;
  EXPECT_EQ(f.Ask("GET", "/v1/models/%zz").status, 400);
  EXPECT_EQ(f.Ask("GET", "/v1/models/%0").status, 400);
  EXPECT_EQ(f.Ask("GET", "/v1/models/%00").status, 400);
}

TEST(ErrorResponse, KeepsTheCoordinatorsPathsToItself) {
  const Response full = ErrorResponse(
      Error{ErrorCode::kResourceExhausted, "/srv/fallow/artifacts/incoming/3: cannot write: full"});
  EXPECT_EQ(full.status, 507);
  EXPECT_THAT(full.body, HasSubstr("its disk is full"));
  EXPECT_THAT(full.body, Not(HasSubstr("/srv")));
}

TEST(ParseQuery, DecodesPairsAndDropsMalformedOnes) {
  EXPECT_THAT(
      ParseQuery("limit=20&after=a%2Fb&x=a+b&flag&bad=%zz&=v"),
      ElementsAre(Pair("limit", "20"), Pair("after", "a/b"), Pair("x", "a b"), Pair("flag", "")));
}

}  // namespace
}  // namespace fallow::http
