#include "agent/daemon/paced_http_client.h"

#include <gtest/gtest.h>

#include "platform/fake/clock.h"
#include "platform/fake/fake_http_client.h"
#include "platform/fake/fake_loop.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;

struct Fixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  std::optional<HttpRequest> sent;
  PacedHttpClient http{std::make_unique<FakeHttpClient>(
      loop, [this](const std::shared_ptr<FakeCall>& call) { sent = call->request(); })};

  const HttpRequest& Send(HttpRequest request) {
    const auto exchange = http.Send(std::move(request), [](const Result<HttpReply>&) {});
    loop.RunPending();
    return *sent;
  }
};

HttpRequest Report() {
  HttpRequest request;
  request.body = Bytes(40'000);
  request.timeout = 30s;
  request.max_body_bytes = 100'000;
  return request;
}

TEST(PacedHttpClient, LeavesExchangesAsTheyAreWithoutARate) {
  Fixture f;
  const HttpRequest& sent = f.Send(Report());
  EXPECT_EQ(sent.max_receive_bytes_s, 0u);
  EXPECT_EQ(sent.max_send_bytes_s, 0u);
  EXPECT_EQ(sent.timeout, 30s);
  EXPECT_EQ(sent.stall_timeout, HttpRequest().stall_timeout);
}

// Else a report could never be delivered, however often it is tried.
TEST(PacedHttpClient, GivesAPacedExchangeTheTimeItNeeds) {
  Fixture f;
  f.http.SetRates({.receive_bytes_s = 10'000, .send_bytes_s = 1'000});
  const HttpRequest& sent = f.Send(Report());
  EXPECT_EQ(sent.max_receive_bytes_s, 10'000u);
  EXPECT_EQ(sent.max_send_bytes_s, 1'000u);
  EXPECT_GE(sent.timeout, 30s + 40s + 10s);
  EXPECT_LE(sent.timeout, 30s + 42s + 12s);
  // A piece may go at once, and the next when its time has passed.
  EXPECT_GE(sent.stall_timeout, HttpRequest().stall_timeout + 60s);
}

TEST(PacedHttpClient, LetsADownloadTakeAsLongAsItTakes) {
  Fixture f;
  f.http.SetRates({.receive_bytes_s = 10'000, .send_bytes_s = 0});
  HttpRequest download;
  download.timeout = 0ms;
  EXPECT_EQ(f.Send(download).timeout, 0ms);
}

}  // namespace
}  // namespace fallow
