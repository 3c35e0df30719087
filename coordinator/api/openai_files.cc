// /v1/files: uploads stream through to the file service; nothing of a file is held here.

#include <fmt/format.h>

#include <algorithm>

#include "coordinator/api/artifact_stream.h"
#include "coordinator/api/context.h"
#include "coordinator/http/multipart.h"

namespace fallow::api {
namespace {

constexpr std::uint64_t kMaxFileBytes = 512ull << 20;       // OpenAI's, for any file
constexpr std::uint64_t kMaxBatchFileBytes = 200ull << 20;  // OpenAI's, for a batch's input
constexpr std::uint64_t kMaxFormOverheadBytes = 1 << 20;  // boundaries, part headers, other fields
constexpr std::size_t kMaxFieldBytes = 1 << 10;
constexpr std::size_t kMaxListedFiles = 10'000;  // OpenAI's

http::Response TooLarge(std::uint64_t limit, std::string_view what) {
  return http::ErrorResponse({.status = 413,
                              .message = fmt::format("{} is limited to {} MiB.", what, limit >> 20),
                              .param = "file",
                              .code = "file_too_large"});
}

// One upload. The file part usually comes before the purpose, so it is spooled before we know what
// it is for.
class UploadSink final : public http::BodySink {
 public:
  UploadSink(FileService& files, AccountId account, std::string_view boundary,
             std::shared_ptr<http::Responder> responder)
      : files_(files),
        account_(std::move(account)),
        responder_(std::move(responder)),
        parser_(boundary,
                {.on_part = [this](const http::MultipartPart& part) { return OnPart(part); },
                 .on_data = [this](ByteView bytes) { return OnPartData(bytes); },
                 .on_part_end = []() -> Status { return {}; }}) {}

  void OnData(ByteView bytes) override {
    if (responder_ == nullptr) return;
    if (const Status status = parser_.Feed(bytes); !status.has_value()) Refuse(status.error());
  }

  void OnEnd() override {
    if (responder_ == nullptr) return;
    if (const Status status = parser_.Finish(); !status.has_value()) {
      Refuse(status.error());
    } else {
      Finish();
    }
  }

 private:
  Status OnPart(const http::MultipartPart& part) {
    field_ = part.name;
    if (part.name == "file") {
      if (upload_ != nullptr)
        return Fail(ErrorCode::kInvalidArgument, "the form has two parts named \"file\"");
      filename_ = part.filename.value_or("");
      FALLOW_ASSIGN_OR_RETURN(upload_, files_.StartUpload());
      return {};
    }
    if (part.name == "purpose") return {};
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the form field \"{}\" is not supported here", part.name));
  }

  Status OnPartData(ByteView bytes) {
    if (field_ == "file") {
      size_bytes_ += bytes.size();
      if (size_bytes_ > limit()) {
        reply_ = TooLarge(limit(), limit() == kMaxFileBytes ? "A file" : "A batch's input file");
        return Fail(ErrorCode::kResourceExhausted, "too large");
      }
      return upload_->Write(bytes);
    }
    if (purpose_.size() + bytes.size() > kMaxFieldBytes)
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the form field \"{}\" is too long", field_));
    purpose_.append(AsText(bytes));
    return {};
  }

  std::uint64_t limit() const { return purpose_ == "batch" ? kMaxBatchFileBytes : kMaxFileBytes; }

  void Finish() {
    const auto responder = std::exchange(responder_, nullptr);
    if (upload_ == nullptr) {
      RefuseField(*responder, "file", "The form has no part named \"file\".",
                  "missing_required_parameter");
    } else if (purpose_.empty()) {
      RefuseField(*responder, "purpose", "The form has no field \"purpose\".",
                  "missing_required_parameter");
    } else if (purpose_ != "batch") {
      RefuseField(*responder, "purpose",
                  fmt::format("purpose must be \"batch\"; \"{}\" has no use here.", purpose_));
    } else if (size_bytes_ > limit()) {
      responder->Send(TooLarge(limit(), "A batch's input file"));
    } else {
      SendResult(
          *responder,
          upload_->Finish(account_, FilePurpose::kBatch, filename_.empty() ? "file" : filename_),
          FileJson);
    }
    upload_ = nullptr;
  }

  void Refuse(const Error& error) {
    upload_ = nullptr;
    std::exchange(responder_, nullptr)
        ->Send(reply_.has_value() ? *std::move(reply_) : http::ErrorResponse(error));
  }

  FileService& files_;
  const AccountId account_;
  std::shared_ptr<http::Responder> responder_;
  http::MultipartParser parser_;
  std::unique_ptr<FileUpload> upload_;
  std::string filename_, field_, purpose_;
  std::uint64_t size_bytes_ = 0;
  std::optional<http::Response> reply_;
};

// Every page of a list, oldest first, for `order=asc`.
Result<std::vector<File>> ListOldestFirst(FileService& files, const AccountId& account,
                                          std::optional<FilePurpose> purpose) {
  std::vector<File> all;
  PageRequest request{.limit = kMaxListedFiles};
  for (;;) {
    FALLOW_ASSIGN_OR_RETURN(Page<File> page, files.List(account, request, purpose));
    for (File& file : page.items) all.push_back(std::move(file));
    if (!page.has_more || page.items.empty()) break;
    request.after = all.back().id.value;
  }
  std::ranges::reverse(all);
  return all;
}

Result<Page<File>> ListFiles(FileService& files, const AccountId& account,
                             const PageRequest& request, std::optional<FilePurpose> purpose,
                             bool oldest_first) {
  if (!oldest_first) return files.List(account, request, purpose);
  FALLOW_ASSIGN_OR_RETURN(std::vector<File> all, ListOldestFirst(files, account, purpose));
  auto begin = all.begin();
  if (request.after.has_value()) {
    begin = std::ranges::find(all, FileId(*request.after), &File::id);
    if (begin == all.end())
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("after: there is no file \"{}\"", *request.after));
    ++begin;
  }
  const auto count =
      std::min<std::size_t>(request.limit, static_cast<std::size_t>(all.end() - begin));
  Page<File> page;
  page.has_more = begin + static_cast<std::ptrdiff_t>(count) != all.end();
  page.items.assign(std::make_move_iterator(begin),
                    std::make_move_iterator(begin + static_cast<std::ptrdiff_t>(count)));
  return page;
}

// A name for the Content-Disposition header (RFC 6266): quoted ASCII.
std::string AttachmentName(const std::string& filename) {
  std::string name;
  for (const char c : filename) name += (c < 0x20 || c > 0x7e || c == '"' || c == '\\') ? '_' : c;
  return name;
}

}  // namespace

void AddFileRoutes(http::Router& router, Context& context) {
  const auto keyed = [&](KeyedHandler handler) {
    return WithKey(context.access, Access::By::kKeyOrSession, std::move(handler));
  };
  FileService& files = context.coordinator.files();

  router.Add(
      "POST", "/v1/files",
      keyed([&files](
                const http::Call& call, const ApiKey& key,
                std::shared_ptr<http::Responder> responder) -> std::unique_ptr<http::BodySink> {
        const auto boundary = http::MultipartBoundary(call.head.Header("content-type"));
        if (!boundary.has_value()) {
          responder->Send(http::ErrorResponse(
              {.status = 400,
               .message =
                   "An upload's Content-Type must be multipart/form-data with a boundary."}));
          return nullptr;
        }
        const std::string_view length = call.head.Header("content-length");
        if (!length.empty() &&
            std::stoull(std::string(length)) > kMaxFileBytes + kMaxFormOverheadBytes) {
          responder->Send(TooLarge(kMaxFileBytes, "A file"));
          return nullptr;
        }
        return std::make_unique<UploadSink>(files, key.account, *boundary, std::move(responder));
      }));

  router.Add("GET", "/v1/files",
             keyed([&files](const http::Call& call, const ApiKey& key,
                            std::shared_ptr<http::Responder> responder) {
               const auto page = ReadPage(call, kMaxListedFiles, kMaxListedFiles, *responder);
               if (!page.has_value()) return nullptr;
               std::optional<FilePurpose> purpose;
               if (const auto name = call.Query("purpose")) {
                 if (*name == "batch")
                   purpose = FilePurpose::kBatch;
                 else if (*name == "batch_output")
                   purpose = FilePurpose::kBatchOutput;
                 else {
                   responder->Send(
                       JsonResponse(200, ListJson(Page<File>{}, FileJson)));  // there can be none
                   return nullptr;
                 }
               }
               const std::string order = call.Query("order").value_or("desc");
               if (order != "asc" && order != "desc") {
                 RefuseField(*responder, "order", "order must be \"asc\" or \"desc\".");
                 return nullptr;
               }
               SendResult(*responder, ListFiles(files, key.account, *page, purpose, order == "asc"),
                          [](const Page<File>& list) { return ListJson(list, FileJson); });
               return nullptr;
             }));

  router.Add("GET", "/v1/files/{}",
             keyed([&files](const http::Call& call, const ApiKey& key,
                            std::shared_ptr<http::Responder> responder) {
               SendResult(*responder, files.Get(key.account, FileId(call.captures[0])), FileJson);
               return nullptr;
             }));

  router.Add("DELETE", "/v1/files/{}",
             keyed([&files](const http::Call& call, const ApiKey& key,
                            std::shared_ptr<http::Responder> responder) {
               const Status status = files.Delete(key.account, FileId(call.captures[0]));
               responder->Send(status.has_value() ? JsonResponse(200, {{"id", call.captures[0]},
                                                                       {"object", "file"},
                                                                       {"deleted", true}})
                                                  : http::ErrorResponse(status.error()));
               return nullptr;
             }));

  router.Add("GET", "/v1/files/{}/content",
             keyed([&context, &files](const http::Call& call, const ApiKey& key,
                                      std::shared_ptr<http::Responder> responder) {
               const FileId id(call.captures[0]);
               const auto file =
                   key.role == Role::kOperator ? files.GetAny(id) : files.Get(key.account, id);
               if (!file.has_value()) {
                 responder->Send(http::ErrorResponse(file.error()));
                 return nullptr;
               }
               auto reader = context.coordinator.artifacts().Open(file->artifact);
               if (!reader.has_value()) {
                 responder->Send(http::ErrorResponse(reader.error()));
                 return nullptr;
               }
               StreamArtifact(
                   context.loop, *std::move(reader),
                   {{"content-type", "application/octet-stream"},
                    {"x-content-type-options", "nosniff"},
                    {"content-disposition",
                     fmt::format("attachment; filename=\"{}\"", AttachmentName(file->filename))}},
                   std::move(responder));
               return nullptr;
             }));
}

}  // namespace fallow::api
