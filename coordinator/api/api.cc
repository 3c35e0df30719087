#include "coordinator/api/api.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "coordinator/api/context.h"
#include "coordinator/api/lease_polls.h"

namespace fallow::api {
namespace {

constexpr std::size_t kRequestIdBytes = 8;

// Puts the request's id on its reply and into the log.
class TaggingResponder final : public http::Responder {
 public:
  TaggingResponder(std::shared_ptr<http::Responder> inner, const http::RequestHead& head,
                   std::string id)
      : inner_(std::move(inner)), id_(std::move(id)), method_(head.method), path_(head.path) {}

  void Send(http::Response response) override {
    Tag(response.status, response.headers);
    inner_->Send(std::move(response));
  }
  void Start(int status, std::vector<std::pair<std::string, std::string>> headers,
             std::optional<std::uint64_t> content_length) override {
    Tag(status, headers);
    inner_->Start(status, std::move(headers), content_length);
  }
  void Write(ByteView bytes) override { inner_->Write(bytes); }
  void End() override { inner_->End(); }
  bool slow() const override { return inner_->slow(); }
  bool gone() const override { return inner_->gone(); }
  void OnWritable(std::function<void()> fn) override { inner_->OnWritable(std::move(fn)); }
  void OnGone(std::function<void()> fn) override { inner_->OnGone(std::move(fn)); }

 private:
  void Tag(int status, std::vector<std::pair<std::string, std::string>>& headers) const {
    headers.emplace_back("x-request-id", id_);
    LOG_DEBUG("api: answered method={} path={} status={} request_id={}", method_, path_, status,
              id_);
  }

  const std::shared_ptr<http::Responder> inner_;
  const std::string id_, method_, path_;
};

class LocalApi final : public Api {
 public:
  LocalApi(Loop& loop, const Clock& clock, Random& random, Coordinator& coordinator,
           ApiOptions options)
      : random_(random),
        options_(std::move(options)),
        access_(clock, random, coordinator.keys()),
        feed_(loop, clock, coordinator),
        polls_(loop, coordinator.devices(), coordinator.leases(), coordinator.events()),
        context_{loop, clock, random, coordinator, access_, feed_, options_} {
    AddFileRoutes(router_, context_);
    AddBatchRoutes(router_, context_);
    AddModelRoutes(router_, context_);
    AddAgentRoutes(router_, context_, polls_);
    AddSessionRoutes(router_, context_);
    AddAdminRoutes(router_, context_);
    AddStaticRoutes(router_, context_);
  }

  std::unique_ptr<http::BodySink> Handle(const http::RequestHead& head,
                                         std::shared_ptr<http::Responder> responder) override {
    return router_.Handle(
        head, std::make_shared<TaggingResponder>(std::move(responder), head,
                                                 "req_" + random_.Hex(kRequestIdBytes)));
  }

  void Stop() override {
    polls_.Stop();
    feed_.Stop();
  }

 private:
  Random& random_;
  const ApiOptions options_;
  Access access_;
  LiveFeed feed_;
  LeasePolls polls_;
  Context context_;
  http::Router router_;
};

}  // namespace

std::unique_ptr<Api> NewApi(Loop& loop, const Clock& clock, Random& random,
                            Coordinator& coordinator, ApiOptions options) {
  return std::make_unique<LocalApi>(loop, clock, random, coordinator, std::move(options));
}

std::string SignInLink(const ApiOptions& options, std::string_view key_secret) {
  return fmt::format("{}/#key={}&pin={}", options.url, key_secret, options.pin);
}

std::string JoinLink(const ApiOptions& options, std::string_view join_token) {
  return fmt::format("{}/#join={}&pin={}", options.url, join_token, options.pin);
}

}  // namespace fallow::api
