// /api: what operators, `fallow` and the dashboard ask.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "coordinator/api/context.h"
#include "coordinator/artifacts/artifact_store.h"

namespace fallow::api {
namespace {

constexpr std::size_t kMaxListedJobs = 100;
constexpr std::size_t kMaxListedRequests = 100;
constexpr std::size_t kMaxKeyNameBytes = 100;
constexpr std::size_t kMaxModelNameBytes = 128;
constexpr std::size_t kAccountIdBytes = 12;

// A job the caller may see: his account's, or anybody's for an operator.
Result<Job> FindJob(Context& context, const ApiKey& key, const JobId& id) {
  JobService& jobs = context.coordinator.jobs();
  return key.role == Role::kOperator ? jobs.GetAny(id) : jobs.Get(key.account, id);
}

bool ReadNumber(const std::optional<std::string>& text, std::uint64_t& value) {
  if (!text.has_value()) return true;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  return !text->empty() && error == std::errc() && end == text->data() + text->size();
}

void SendRequests(Context& context, const http::Call& call, const ApiKey& key,
                  http::Responder& responder) {
  std::uint64_t first = 0, count = 20;
  if (!ReadNumber(call.Query("first"), first))
    return RefuseField(responder, "first", "first must be a number.");
  if (!ReadNumber(call.Query("count"), count) || count < 1 || count > kMaxListedRequests)
    return RefuseField(responder, "count",
                       fmt::format("count must be a number from 1 to {}.", kMaxListedRequests));
  const auto job = FindJob(context, key, JobId(call.captures[0]));
  if (!job.has_value()) return responder.Send(http::ErrorResponse(job.error()));
  SendResult(responder, context.coordinator.jobs().Requests(job->account, job->id, first, count),
             [](const std::vector<JobService::RequestView>& views) {
               Json data = Json::array();
               for (const auto& view : views) data.push_back(RequestJson(view));
               return Json{{"data", std::move(data)}};
             });
}

void AddJobRoutes(http::Router& router, Context& context) {
  const auto keyed = [&](KeyedHandler handler) {
    return WithKey(context.access, Access::By::kKeyOrSession, std::move(handler));
  };
  router.Add(
      "GET", "/api/jobs",
      keyed([&context](const http::Call& call, const ApiKey& key,
                       std::shared_ptr<http::Responder> responder) {
        const auto page = ReadPage(call, 20, kMaxListedJobs, *responder);
        if (!page.has_value()) return nullptr;
        JobService& jobs = context.coordinator.jobs();
        SendResult(
            *responder,
            key.role == Role::kOperator ? jobs.ListAll(*page) : jobs.List(key.account, *page),
            [&](const Page<Job>& list) {
              return Json{{"data", context.feed.JobsJson(list.items)}, {"has_more", list.has_more}};
            });
        return nullptr;
      }));
  router.Add("GET", "/api/jobs/{}",
             keyed([&context](const http::Call& call, const ApiKey& key,
                              std::shared_ptr<http::Responder> responder) {
               SendResult(*responder, FindJob(context, key, JobId(call.captures[0])),
                          [&](const Job& job) { return context.feed.JobJson(job); });
               return nullptr;
             }));
  router.Add("POST", "/api/jobs/{}/cancel",
             keyed([&context](const http::Call& call, const ApiKey& key,
                              std::shared_ptr<http::Responder> responder) {
               const auto job = FindJob(context, key, JobId(call.captures[0]));
               const auto cancelled =
                   job.has_value() ? context.coordinator.jobs().Cancel(job->account, job->id) : job;
               SendResult(*responder, cancelled,
                          [&](const Job& now) { return context.feed.JobJson(now); });
               return nullptr;
             }));
  router.Add("GET", "/api/jobs/{}/requests",
             keyed([&context](const http::Call& call, const ApiKey& key,
                              std::shared_ptr<http::Responder> responder) {
               SendRequests(context, call, key, *responder);
               return nullptr;
             }));
  router.Add("GET", "/api/events",
             keyed([&context](const http::Call& call, const ApiKey& key,
                              std::shared_ptr<http::Responder> responder) {
               context.feed.Watch(
                   key,
                   [&context, head = call.head] {
                     return context.access.StillValid(head, Access::By::kKeyOrSession);
                   },
                   std::move(responder));
               return nullptr;
             }));
}

void AddDeviceRoutes(http::Router& router, Context& context) {
  router.Add("GET", "/api/devices",
             ForOperators(context.access, [&context](const http::Call&, const ApiKey&,
                                                     std::shared_ptr<http::Responder> responder) {
               SendResult(*responder, context.feed.DevicesJson(), [](const Json& list) {
                 return Json{{"data", list}};
               });
               return nullptr;
             }));
  router.Add("DELETE", "/api/devices/{}",
             ForOperators(context.access, [&context](const http::Call& call, const ApiKey&,
                                                     std::shared_ptr<http::Responder> responder) {
               const Status status =
                   context.coordinator.devices().Remove(DeviceId(call.captures[0]));
               responder->Send(status.has_value() ? http::Response{.status = 204}
                                                  : http::ErrorResponse(status.error()));
               return nullptr;
             }));
  const auto send_link = [&context](const Result<std::string>& token, http::Responder& responder) {
    SendResult(responder, token, [&](const std::string& text) {
      return Json{{"link", JoinLink(context.options, text)}};
    });
  };
  router.Add("GET", "/api/join",
             ForOperators(context.access,
                          [&context, send_link](const http::Call&, const ApiKey&,
                                                std::shared_ptr<http::Responder> responder) {
                            send_link(context.coordinator.devices().JoinToken(), *responder);
                            return nullptr;
                          }));
  router.Add("POST", "/api/join/rotate",
             ForOperators(context.access,
                          [&context, send_link](const http::Call&, const ApiKey&,
                                                std::shared_ptr<http::Responder> responder) {
                            send_link(context.coordinator.devices().RotateJoinToken(), *responder);
                            return nullptr;
                          }));
}

// A model file on its way in: straight to an artifact, then to the model service to be checked.
class ModelSink final : public http::BodySink {
 public:
  ModelSink(ModelService& models, ModelId id, std::unique_ptr<ArtifactWriter> writer,
            std::shared_ptr<http::Responder> responder)
      : models_(models),
        id_(std::move(id)),
        writer_(std::move(writer)),
        responder_(std::move(responder)) {}

  void OnData(ByteView bytes) override {
    if (writer_ == nullptr) return;
    if (const Status status = writer_->Write(bytes); !status.has_value()) {
      writer_ = nullptr;
      responder_->Send(http::ErrorResponse(status.error()));
    }
  }
  void OnEnd() override {
    if (writer_ == nullptr) return;
    const auto artifact = writer_->Finish();
    writer_ = nullptr;
    if (!artifact.has_value()) {
      responder_->Send(http::ErrorResponse(artifact.error()));
    } else {
      SendResult(*responder_, models_.Add(id_, artifact->digest), ModelCardJson);
    }
  }

 private:
  ModelService& models_;
  const ModelId id_;
  std::unique_ptr<ArtifactWriter> writer_;
  const std::shared_ptr<http::Responder> responder_;
};

bool IsModelName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxModelNameBytes && name.front() != '-' &&
         std::ranges::all_of(name, [](unsigned char c) {
           return std::isalnum(c) ||
                  std::string_view("._:/-").find(static_cast<char>(c)) != std::string_view::npos;
         });
}

std::unique_ptr<http::BodySink> StartModelUpload(Context& context, const std::string& name,
                                                 std::shared_ptr<http::Responder> responder) {
  if (!IsModelName(name)) {
    RefuseField(*responder, "name",
                fmt::format("A model's name has at most {} letters, digits and . _ : / -, and does "
                            "not begin with -.",
                            kMaxModelNameBytes));
    return nullptr;
  }
  auto writer = context.coordinator.artifacts().Create();
  if (!writer.has_value()) {
    responder->Send(http::ErrorResponse(writer.error()));
    return nullptr;
  }
  return std::make_unique<ModelSink>(context.coordinator.models(), ModelId(name),
                                     *std::move(writer), std::move(responder));
}

void AddModelAdminRoutes(http::Router& router, Context& context) {
  router.Add("GET", "/api/models",
             WithKey(context.access, Access::By::kKeyOrSession,
                     [&context](const http::Call&, const ApiKey&,
                                std::shared_ptr<http::Responder> responder) {
                       SendResult(*responder, context.coordinator.models().List(),
                                  [](const std::vector<Model>& models) {
                                    Json data = Json::array();
                                    for (const Model& model : models)
                                      data.push_back(ModelCardJson(model));
                                    return Json{{"data", std::move(data)}};
                                  });
                       return nullptr;
                     }));
  router.Add("PUT", "/api/models/{}",
             ForOperators(context.access, [&context](const http::Call& call, const ApiKey&,
                                                     std::shared_ptr<http::Responder> responder) {
               return StartModelUpload(context, call.captures[0], std::move(responder));
             }));
  router.Add("DELETE", "/api/models/{}",
             ForOperators(context.access, [&context](const http::Call& call, const ApiKey&,
                                                     std::shared_ptr<http::Responder> responder) {
               const Status status = context.coordinator.models().Remove(ModelId(call.captures[0]));
               responder->Send(status.has_value() ? http::Response{.status = 204}
                                                  : http::ErrorResponse(status.error()));
               return nullptr;
             }));
}

void CreateKey(Context& context, const Json& body, http::Responder& responder) {
  const auto text = [&](const char* name) -> std::optional<std::string> {
    const auto found = body.find(name);
    if (found == body.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
  };
  const auto name = text("name"), role = text("role"), account = text("account");
  if (!name.has_value() || name->empty() || name->size() > kMaxKeyNameBytes)
    return RefuseField(responder, "name",
                       fmt::format("name must be a text of 1 to {} bytes.", kMaxKeyNameBytes));
  if (role != "operator" && role != "submitter")
    return RefuseField(responder, "role", "role must be \"operator\" or \"submitter\".");
  if (account.has_value() && !account->starts_with("acct_"))
    return RefuseField(responder, "account", "account must be an id that begins with \"acct_\".");
  const AccountId owner(account.value_or("acct_" + context.random.Hex(kAccountIdBytes)));
  SendResult(responder,
             context.coordinator.keys().Create(
                 owner, role == "operator" ? Role::kOperator : Role::kSubmitter, *name),
             [](const KeyService::NewKey& made) {
               Json json = KeyJson(made.key);
               json["secret"] = made.secret;
               return json;
             });
}

void AddKeyRoutes(http::Router& router, Context& context) {
  router.Add("GET", "/api/keys",
             ForOperators(context.access, [&context](const http::Call&, const ApiKey&,
                                                     std::shared_ptr<http::Responder> responder) {
               SendResult(*responder, context.coordinator.keys().List(),
                          [](const std::vector<ApiKey>& keys) {
                            Json data = Json::array();
                            for (const ApiKey& key : keys) data.push_back(KeyJson(key));
                            return Json{{"data", std::move(data)}};
                          });
               return nullptr;
             }));
  router.Add("POST", "/api/keys",
             ForOperators(context.access, [&context](const http::Call&, const ApiKey&,
                                                     std::shared_ptr<http::Responder> responder) {
               return CollectJson(responder, [&context, responder](const Json& body) {
                 CreateKey(context, body, *responder);
               });
             }));
  router.Add("DELETE", "/api/keys/{}",
             ForOperators(context.access, [&context](const http::Call& call, const ApiKey&,
                                                     std::shared_ptr<http::Responder> responder) {
               const Status status = context.coordinator.keys().Revoke(KeyId(call.captures[0]));
               responder->Send(status.has_value() ? http::Response{.status = 204}
                                                  : http::ErrorResponse(status.error()));
               return nullptr;
             }));
}

}  // namespace

void AddAdminRoutes(http::Router& router, Context& context) {
  AddJobRoutes(router, context);
  AddDeviceRoutes(router, context);
  AddModelAdminRoutes(router, context);
  AddKeyRoutes(router, context);
}

}  // namespace fallow::api
