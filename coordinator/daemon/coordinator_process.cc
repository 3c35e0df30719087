#include "coordinator/daemon/coordinator_process.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "base/log.h"
#include "coordinator/api/api.h"
#include "coordinator/artifacts/directory/directory_store.h"
#include "coordinator/dashboard/dashboard_files.h"
#include "coordinator/http/server.h"
#include "coordinator/store/sqlite/sqlite_store.h"
#include "platform/file.h"
#include "platform/paths.h"
#include "platform/tls.h"

namespace fallow {
namespace {

// After the API has ended what waits, replies need a moment to get out.
constexpr std::chrono::milliseconds kFarewell{200};

// A coordinator runs for years and its certificate for one.
constexpr std::chrono::hours kCertificateCheckPeriod{24};

class LocalCoordinatorProcess final : public CoordinatorProcess {
 public:
  LocalCoordinatorProcess(Loop& loop, const Clock& clock, Random& random,
                          CoordinatorProcessOptions options)
      : loop_(loop), clock_(clock), random_(random), options_(std::move(options)) {}

  ~LocalCoordinatorProcess() override {
    listener_ = nullptr;
    connections_.clear();  // before the API that serves them
  }

  Status Start() {
    const DataFolder& folder = options_.folder;
    FALLOW_RETURN_IF_ERROR(MakePrivateDirectory(folder.path));
    // The store first: it is held by one coordinator at a time, so nothing below happens twice at
    // once.
    FALLOW_RETURN_IF_ERROR(OpenStore());
    FALLOW_ASSIGN_OR_RETURN(artifacts_, OpenDirectoryStore(folder.artifacts(), {}));
    FALLOW_ASSIGN_OR_RETURN(coordinator_,
                            NewCoordinator(loop_, clock_, random_, *store_, *artifacts_, {}));
    FALLOW_ASSIGN_OR_RETURN(const bool has_served, FileExists(folder.address()));
    FALLOW_ASSIGN_OR_RETURN(const OperatorKey key,
                            PrepareOperatorKey(folder, coordinator_->keys(), random_));

    hosts_ = CertificateHosts(options_.listen, options_.hosts, HostName());
    FALLOW_ASSIGN_OR_RETURN(const Certificates certificates,
                            PrepareCertificates(folder, hosts_, clock_.Wall()));
    FALLOW_ASSIGN_OR_RETURN(const Digest pin, CertificatePin(certificates.authority));
    // Connections are accepted from here on but served no sooner than the loop runs, when the API
    // is there.
    FALLOW_RETURN_IF_ERROR(Listen(certificates.server, options_.listen.port));

    const api::ApiOptions api_options{
        .version = options_.version,
        .url = PublicUrl(options_.listen, options_.hosts, HostName(), listener_->port()),
        .authority_pem = certificates.authority,
        .pin = pin.Hex(),
        .dashboard = DashboardFiles()};
    api_ = api::NewApi(loop_, clock_, random_, *coordinator_, api_options);
    FALLOW_ASSIGN_OR_RETURN(const std::string token, coordinator_->devices().JoinToken());
    links_ = {.url = api_options.url,
              .port = listener_->port(),
              .sign_in_link = key.secret.transform(
                  [&](const std::string& secret) { return api::SignInLink(api_options, secret); }),
              .join_link = api::JoinLink(api_options, token),
              .ca_file = folder.authority_certificate(),
              .first_start = !has_served};
    certificate_check_ = loop_.Every(kCertificateCheckPeriod, [this] { RenewCertificate(); });
    return {};
  }

  const CoordinatorLinks& links() const override { return links_; }

  void Stop(std::function<void()> done) override {
    certificate_check_ = nullptr;
    listener_ = nullptr;
    api_->Stop();
    farewell_ = loop_.After(kFarewell, std::move(done));
  }

 private:
  Status OpenStore() {
    auto store = OpenSqliteStore(options_.folder.store(), {});
    if (!store.has_value() && store.error().code == ErrorCode::kUnavailable)
      return Fail(
          ErrorCode::kFailedPrecondition,
          fmt::format("another coordinator runs on {}; stop it, or choose another --data-dir",
                      options_.folder.path));
    if (!store.has_value()) return std::unexpected(store.error());
    store_ = *std::move(store);
    return {};
  }

  Status Listen(const CertificateAndKey& server, std::uint16_t port) {
    server_certificate_ = server.certificate;
    auto listener =
        ListenTls(loop_, {.address = options_.listen.address, .port = port, .server = server},
                  [this](std::unique_ptr<ByteStream> stream) { Serve(std::move(stream)); });
    if (!listener.has_value()) {
      Error error = std::move(listener).error();
      error.message += "; --listen chooses another address or port";
      return std::unexpected(std::move(error));
    }
    listener_ = *std::move(listener);
    return {};
  }

  void Serve(std::unique_ptr<ByteStream> stream) {
    const std::uint64_t number = ++connection_count_;
    connections_[number] = http::ServeConnection(
        loop_, std::move(stream),
        [this](const http::RequestHead& head, std::shared_ptr<http::Responder> responder) {
          return api_->Handle(head, std::move(responder));
        },
        {}, [this, number] { connections_.erase(number); });
  }

  // Open connections keep the certificate they began with.
  void RenewCertificate() {
    const auto certificates = PrepareCertificates(options_.folder, hosts_, clock_.Wall());
    if (!certificates.has_value()) {
      LOG_ERROR("coordinator: the server certificate was not renewed error=\"{}\"",
                certificates.error().message);
      return;
    }
    if (certificates->server.certificate == server_certificate_) return;
    listener_ = nullptr;
    const Status status = Listen(certificates->server, links_.port);
    if (status.has_value()) {
      LOG_INFO("coordinator: renewed the server certificate");
    } else {
      LOG_ERROR(
          "coordinator: cannot listen again with the new certificate; restart it error=\"{}\"",
          status.error().message);
    }
  }

  Loop& loop_;
  const Clock& clock_;
  Random& random_;
  const CoordinatorProcessOptions options_;
  std::vector<std::string> hosts_;
  std::string server_certificate_;
  CoordinatorLinks links_;

  std::unique_ptr<Store> store_;
  std::unique_ptr<ArtifactStore> artifacts_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<api::Api> api_;
  std::map<std::uint64_t, std::unique_ptr<http::Connection>> connections_;
  std::uint64_t connection_count_ = 0;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Timer> certificate_check_, farewell_;
};

}  // namespace

Result<std::unique_ptr<CoordinatorProcess>> StartCoordinator(
    Loop& loop, const Clock& clock, Random& random, const CoordinatorProcessOptions& options) {
  auto process = std::make_unique<LocalCoordinatorProcess>(loop, clock, random, options);
  FALLOW_RETURN_IF_ERROR(process->Start());
  return process;
}

}  // namespace fallow
