// /v1/batches and /v1/models.

#include <fmt/format.h>

#include "coordinator/api/context.h"

namespace fallow::api {
namespace {

constexpr std::size_t kMaxMetadataPairs =
    16;  // OpenAI's, as are the next two; characters there, bytes here
constexpr std::size_t kMaxMetadataKeyBytes = 64;
constexpr std::size_t kMaxMetadataValueBytes = 512;
constexpr std::size_t kMaxListedBatches = 100;

// A string field of a body; answers 400 and gives none if it is missing or no string.
std::optional<std::string> RequiredText(const Json& body, const char* name,
                                        http::Responder& responder) {
  const auto found = body.find(name);
  if (found == body.end() || found->is_null()) {
    RefuseField(responder, name, fmt::format("The body has no \"{}\".", name),
                "missing_required_parameter");
    return std::nullopt;
  }
  if (!found->is_string()) {
    RefuseField(responder, name, fmt::format("\"{}\" must be a string.", name));
    return std::nullopt;
  }
  return found->get<std::string>();
}

std::optional<std::map<std::string, std::string>> ReadMetadata(const Json& body,
                                                               http::Responder& responder) {
  std::map<std::string, std::string> metadata;
  const auto found = body.find("metadata");
  if (found == body.end() || found->is_null()) return metadata;
  const auto refuse = [&](std::string message) {
    RefuseField(responder, "metadata", std::move(message));
    return std::nullopt;
  };
  if (!found->is_object()) return refuse("\"metadata\" must be an object of strings.");
  if (found->size() > kMaxMetadataPairs)
    return refuse(fmt::format("\"metadata\" may have at most {} pairs.", kMaxMetadataPairs));
  for (const auto& [key, value] : found->items()) {
    if (!value.is_string())
      return refuse(fmt::format("\"metadata\": the value of \"{}\" must be a string.", key));
    const std::string text = value.get<std::string>();
    if (key.size() > kMaxMetadataKeyBytes || text.size() > kMaxMetadataValueBytes)
      return refuse(fmt::format("\"metadata\": keys are limited to {} bytes and values to {}.",
                                kMaxMetadataKeyBytes, kMaxMetadataValueBytes));
    metadata[key] = text;
  }
  return metadata;
}

// The job that a body asks for; answers 400 and gives none if it cannot be.
std::optional<NewJob> ReadNewJob(const Json& body, const AccountId& account,
                                 http::Responder& responder) {
  NewJob job{.account = account};
  const auto input_file = RequiredText(body, "input_file_id", responder);
  if (!input_file.has_value()) return std::nullopt;
  const auto endpoint = RequiredText(body, "endpoint", responder);
  if (!endpoint.has_value()) return std::nullopt;
  const auto window = RequiredText(body, "completion_window", responder);
  if (!window.has_value()) return std::nullopt;
  if (!IsEndpoint(*endpoint)) {
    RefuseField(
        responder, "endpoint",
        fmt::format("endpoint must be \"{}\" or \"{}\".", kChatEndpoint, kEmbeddingsEndpoint));
    return std::nullopt;
  }
  if (*window != "24h") {
    RefuseField(responder, "completion_window", "completion_window must be \"24h\".");
    return std::nullopt;
  }
  if (const auto expiry = body.find("output_expires_after");
      expiry != body.end() && !expiry->is_null()) {
    RefuseField(responder, "output_expires_after",
                "output_expires_after is not supported: outputs are kept 30 days.",
                "unsupported_parameter");
    return std::nullopt;
  }
  auto metadata = ReadMetadata(body, responder);
  if (!metadata.has_value()) return std::nullopt;
  job.input_file = FileId(*input_file);
  job.endpoint = *endpoint;
  job.completion_window = *window;
  job.metadata = *std::move(metadata);
  return job;
}

}  // namespace

void AddBatchRoutes(http::Router& router, Context& context) {
  const auto keyed = [&](KeyedHandler handler) {
    return WithKey(context.access, Access::By::kKeyOrSession, std::move(handler));
  };
  JobService& jobs = context.coordinator.jobs();

  router.Add("POST", "/v1/batches",
             keyed([&jobs](const http::Call&, const ApiKey& key,
                           std::shared_ptr<http::Responder> responder) {
               return CollectJson(responder,
                                  [&jobs, account = key.account, responder](const Json& body) {
                                    const auto job = ReadNewJob(body, account, *responder);
                                    if (job.has_value())
                                      SendResult(*responder, jobs.Create(*job), BatchJson);
                                  });
             }));
  router.Add("GET", "/v1/batches",
             keyed([&jobs](const http::Call& call, const ApiKey& key,
                           std::shared_ptr<http::Responder> responder) {
               if (const auto page = ReadPage(call, 20, kMaxListedBatches, *responder))
                 SendResult(*responder, jobs.List(key.account, *page),
                            [](const Page<Job>& list) { return ListJson(list, BatchJson); });
               return nullptr;
             }));
  router.Add("GET", "/v1/batches/{}",
             keyed([&jobs](const http::Call& call, const ApiKey& key,
                           std::shared_ptr<http::Responder> responder) {
               SendResult(*responder, jobs.Get(key.account, JobId(call.captures[0])), BatchJson);
               return nullptr;
             }));
  router.Add("POST", "/v1/batches/{}/cancel",
             keyed([&jobs](const http::Call& call, const ApiKey& key,
                           std::shared_ptr<http::Responder> responder) {
               SendResult(*responder, jobs.Cancel(key.account, JobId(call.captures[0])), BatchJson);
               return nullptr;
             }));
}

void AddModelRoutes(http::Router& router, Context& context) {
  ModelService& models = context.coordinator.models();
  router.Add("GET", "/v1/models",
             WithKey(context.access, Access::By::kKeyOrSession,
                     [&models](const http::Call&, const ApiKey&,
                               std::shared_ptr<http::Responder> responder) {
                       SendResult(*responder, models.List(), [](const std::vector<Model>& list) {
                         Json data = Json::array();
                         for (const Model& model : list) data.push_back(ModelJson(model));
                         return Json{{"object", "list"}, {"data", std::move(data)}};
                       });
                       return nullptr;
                     }));
  router.Add("GET", "/v1/models/{}",
             WithKey(context.access, Access::By::kKeyOrSession,
                     [&models](const http::Call& call, const ApiKey&,
                               std::shared_ptr<http::Responder> responder) {
                       const auto model = models.Find(ModelId(call.captures[0]));
                       if (!model.has_value()) {
                         responder->Send(http::ErrorResponse(model.error()));
                       } else if (!model->has_value()) {
                         responder->Send(http::ErrorResponse(
                             {.status = 404,
                              .message = fmt::format("There is no model \"{}\".", call.captures[0]),
                              .code = "model_not_found"}));
                       } else {
                         responder->Send(JsonResponse(200, ModelJson(**model)));
                       }
                       return nullptr;
                     }));
}

}  // namespace fallow::api
