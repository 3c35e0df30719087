// The coordinator's services, as its API calls them. Each is a room of its own in coordinator/core.
//
// Threading: the coordinator's loop. Calls do bounded work on the store and return; long work
// (validating a file, assembling outputs) goes on in slices on the loop and shows in the job's
// state. Errors of the kinds kInvalidArgument, kNotFound, kAlreadyExists, kPermissionDenied and
// kFailedPrecondition are the caller's and their messages are shown to them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "coordinator/core/records.h"
#include "protocol/agent_messages.h"

namespace fallow {

class ArtifactStore;
class Loop;
class Store;

// A page of a list, newest first, as OpenAI's API cuts it: `after` is the last id of the page
// before.
struct PageRequest {
  std::size_t limit = 20;  // 1 … 100; files up to 10,000
  std::optional<std::string> after;
};
template <class T>
struct Page {
  std::vector<T> items;
  bool has_more = false;
};

// --- API keys
// ------------------------------------------------------------------------------------------------------

class KeyService {
 public:
  virtual ~KeyService() = default;
  struct NewKey {
    ApiKey key;
    std::string secret;  // "sk-fallow-…", 256 bits; shown once, never stored
  };
  virtual Result<NewKey> Create(const AccountId& account, Role role, std::string name) = 0;
  // The live key of a secret; none if unknown or revoked.
  virtual Result<std::optional<ApiKey>> Find(std::string_view secret) = 0;
  virtual Result<std::vector<ApiKey>> List() = 0;
  virtual Status Revoke(const KeyId& id) = 0;
};

// --- Files
// -----------------------------------------------------------------------------------------------------------

// A file on its way in. Destroying it before Finish leaves nothing behind.
class FileUpload {
 public:
  virtual ~FileUpload() = default;
  // kResourceExhausted when the file limit or the disk is reached.
  virtual Status Write(ByteView bytes) = 0;
  // Durable when it returns.
  virtual Result<File> Finish(const AccountId& account, FilePurpose purpose,
                              std::string filename) = 0;
};

class FileService {
 public:
  virtual ~FileService() = default;
  virtual Result<std::unique_ptr<FileUpload>> StartUpload() = 0;
  virtual Result<File> Get(const AccountId& account, const FileId& id) = 0;
  // Whoever's it is, for operators.
  virtual Result<File> GetAny(const FileId& id) = 0;
  virtual Result<Page<File>> List(const AccountId& account, const PageRequest& page,
                                  std::optional<FilePurpose> purpose) = 0;
  // kFailedPrecondition while an unfinished job reads it.
  virtual Status Delete(const AccountId& account, const FileId& id) = 0;
};

// --- Models
// ----------------------------------------------------------------------------------------------------------

class ModelService {
 public:
  virtual ~ModelService() = default;
  // Takes a finished upload's artifact as a model: reads and checks the whole GGUF structure,
  // tokenizer and template. kInvalidArgument says why a file is refused; kAlreadyExists if the name
  // is taken by another file.
  virtual Result<Model> Add(const ModelId& id, const Digest& artifact) = 0;
  virtual Result<std::optional<Model>> Find(const ModelId& id) = 0;
  virtual Result<std::vector<Model>> List() = 0;
  // kFailedPrecondition while an unfinished job uses it.
  virtual Status Remove(const ModelId& id) = 0;
};

// --- Jobs
// ------------------------------------------------------------------------------------------------------------

struct NewJob {
  AccountId account;
  FileId input_file;
  std::string endpoint;
  std::string completion_window;
  std::map<std::string, std::string> metadata;
};

class JobService {
 public:
  virtual ~JobService() = default;
  // Starts validation and returns the job at once. A create that equals one of the last minute by
  // the same account returns that job: clients repeat POSTs.
  virtual Result<Job> Create(const NewJob& job) = 0;
  virtual Result<Job> Get(const AccountId& account, const JobId& id) = 0;
  // Whoever's it is, for operators.
  virtual Result<Job> GetAny(const JobId& id) = 0;
  virtual Result<Page<Job>> List(const AccountId& account, const PageRequest& page) = 0;
  // Every account's, for operators.
  virtual Result<Page<Job>> ListAll(const PageRequest& page) = 0;
  virtual Result<Job> Cancel(const AccountId& account, const JobId& id) = 0;

  struct RequestView {
    Request request;
    std::string line;  // the input line
    std::optional<CanonicalResult> result;
    // The chat completion as in the output file, or the head of the embeddings; empty without one.
    std::string response_json;
  };
  // Requests `first` … `first` + `count` - 1 with what has come of them. count at most 100.
  virtual Result<std::vector<RequestView>> Requests(const AccountId& account, const JobId& id,
                                                    std::uint64_t first, std::size_t count) = 0;
};

// --- Devices and leases
// ------------------------------------------------------------------------------------------------

class DeviceService {
 public:
  virtual ~DeviceService() = default;
  // The secret of join links; made at the first start, replaced by RotateJoinToken.
  virtual Result<std::string> JoinToken() = 0;
  virtual Result<std::string> RotateJoinToken() = 0;
  // kUnauthenticated for a wrong token. A key that is already enrolled gets its device back.
  virtual Result<Device> Enroll(const EnrollRequest& request) = 0;
  virtual Result<std::optional<Device>> Find(const DeviceId& id) = 0;
  virtual Result<std::vector<Device>> List() = 0;
  // Ends its leases; it must enrol anew.
  virtual Status Remove(const DeviceId& id) = 0;
  virtual Status SetStatus(const DeviceId& id, const DeviceStatus& status) = 0;
};

class LeaseService {
 public:
  virtual ~LeaseService() = default;
  // The best shard for the device, cut to fit it; none if nothing suits now.
  virtual Result<std::optional<LeaseGrant>> Grant(const DeviceId& device,
                                                  const LeaseRequest& request) = 0;
  // Records finished requests in one transaction; durable when it returns. Results that came
  // before, of requests that are settled or never were in the lease, change nothing. False: the
  // lease is not live.
  virtual Result<ReportReply> Report(const DeviceId& device, const ReportRequest& report) = 0;
  virtual Result<HeartbeatReply> Heartbeat(const DeviceId& device,
                                           const HeartbeatRequest& heartbeat) = 0;
  virtual Status Release(const DeviceId& device, const ReleaseRequest& release) = 0;
  virtual Result<std::vector<Lease>> Live() = 0;
};

// --- Events
// ------------------------------------------------------------------------------------------------------------

// What changed, for whoever waits: long polls and the dashboard. Delivered on the loop, after the
// change is durable.
struct JobChanged {
  JobId job;
  AccountId account;
};
struct DeviceChanged {
  DeviceId device;
};
struct WorkAvailable {};
using Event = std::variant<JobChanged, DeviceChanged, WorkAvailable>;

class Subscription {
 public:
  virtual ~Subscription() = default;  // ends it
};

class EventBus {
 public:
  virtual ~EventBus() = default;
  [[nodiscard]] virtual std::unique_ptr<Subscription> Subscribe(
      std::function<void(const Event&)> on_event) = 0;
};

// --- All of it
// -----------------------------------------------------------------------------------------------------------

struct CoordinatorOptions {
  std::chrono::milliseconds lease_duration{60'000};
  std::chrono::milliseconds target_shard_time{
      30'000};  // a shard is cut to about this much of a device's speed
  std::chrono::hours job_lifetime{24};
  std::chrono::hours file_lifetime{24 * 30};
};

class Coordinator {
 public:
  virtual ~Coordinator() = default;
  virtual KeyService& keys() = 0;
  virtual FileService& files() = 0;
  virtual ModelService& models() = 0;
  virtual JobService& jobs() = 0;
  virtual DeviceService& devices() = 0;
  virtual LeaseService& leases() = 0;
  virtual EventBus& events() = 0;
  virtual ArtifactStore& artifacts() = 0;
};

// Everything passed in must outlive the coordinator. Takes up where the store left off: unfinished
// validations and assemblies start again, lease deadlines go on.
Result<std::unique_ptr<Coordinator>> NewCoordinator(Loop& loop, const Clock& clock, Random& random,
                                                    Store& store, ArtifactStore& artifacts,
                                                    const CoordinatorOptions& options);

}  // namespace fallow
