#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/http/server.h"
#include "tests/unit/coordinator/http/connection_fixture.h"

namespace fallow::http {
namespace {

using testing::StartsWith;

TEST(CollectBody, GivesTheWholeBodyOrRefusesWith413) {
  std::string body;
  const auto handler = [&](const RequestHead&, std::shared_ptr<Responder> responder) {
    return CollectBody(4, responder, [&body, responder](std::string text) {
      body = std::move(text);
      responder->Send({});
    });
  };
  Fixture fits(handler);
  EXPECT_THAT(fits.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd"),
              StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(body, "abcd");
  Fixture exceeds(handler);
  EXPECT_THAT(exceeds.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde"),
              StartsWith("HTTP/1.1 413"));
  EXPECT_EQ(body, "abcd");
}

}  // namespace
}  // namespace fallow::http
