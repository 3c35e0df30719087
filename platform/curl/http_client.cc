#include "platform/http_client.h"

#include <curl/curl.h>
#include <uv.h>

#include <map>
#include <memory>
#include <utility>

#include "base/check.h"
#include "platform/curl/transfer.h"
#include "platform/uv/uv_loop.h"

namespace fallow {
namespace {

// A stall is noticed by this many looks in a row that saw no byte move.
constexpr int kLooksPerStall = 4;

// The curl multi handle on the loop. Shared: a callback from inside curl may destroy the client,
// and curl's handle must not go before curl returns.
class Exchanges : public std::enable_shared_from_this<Exchanges> {
 public:
  Exchanges(Loop& loop, HttpClientOptions options)
      : loop_(loop), uv_loop_(UvLoop::Of(loop)), options_(std::move(options)) {
    static const bool initialised = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    FALLOW_CHECK(initialised);
    multi_ = curl_multi_init();
    FALLOW_CHECK(multi_ != nullptr);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(
        multi_, CURLMOPT_SOCKETFUNCTION,
        +[](CURL*, curl_socket_t socket, int what, void* self, void* watch) {
          static_cast<Exchanges*>(self)->Watch(socket, what, static_cast<SocketWatch*>(watch));
          return 0;
        });
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(
        multi_, CURLMOPT_TIMERFUNCTION, +[](CURLM*, long timeout_ms, void* self) {
          static_cast<Exchanges*>(self)->SetTimer(timeout_ms);
          return 0;
        });
  }
  ~Exchanges() {
    closing_ = true;
    for (const auto& [easy, running] : running_) curl_multi_remove_handle(multi_, easy);
    running_.clear();
    // Closes kept connections; their watches end by the socket callback.
    curl_multi_cleanup(multi_);
  }
  Exchanges(const Exchanges&) = delete;
  Exchanges& operator=(const Exchanges&) = delete;

  void StartLater(const std::shared_ptr<Transfer>& transfer);
  void RemoveLater(const std::shared_ptr<Transfer>& transfer);
  // The client has gone: no callback is called any more.
  void Close();

 private:
  struct SocketWatch {
    uv_poll_t handle{};
    Exchanges* owner = nullptr;
    curl_socket_t socket = CURL_SOCKET_BAD;
  };
  struct Running {
    std::shared_ptr<Transfer> transfer;
    std::unique_ptr<Timer> stall_watch;
  };

  void Start(const std::shared_ptr<Transfer>& transfer);
  std::unique_ptr<Timer> WatchForStall(const std::shared_ptr<Transfer>& transfer);
  void Watch(curl_socket_t socket, int what, SocketWatch* watch);
  void SetTimer(long timeout_ms);
  void Act(curl_socket_t socket, int events);
  void FinishDone();

  Loop& loop_;
  uv_loop_t* uv_loop_;
  HttpClientOptions options_;
  CURLM* multi_;
  std::unique_ptr<Timer> timer_;
  std::map<CURL*, Running> running_;
  bool closing_ = false;
};

void Exchanges::StartLater(const std::shared_ptr<Transfer>& transfer) {
  loop_.Post([weak = weak_from_this(), transfer] {
    const auto self = weak.lock();
    if (self != nullptr && !transfer->cancelled()) self->Start(transfer);
  });
}

void Exchanges::RemoveLater(const std::shared_ptr<Transfer>& transfer) {
  // Not at once: curl may be in the middle of this transfer.
  loop_.Post([weak = weak_from_this(), transfer] {
    const auto self = weak.lock();
    if (self == nullptr || self->running_.erase(transfer->easy()) == 0) return;
    curl_multi_remove_handle(self->multi_, transfer->easy());
  });
}

void Exchanges::Close() {
  for (const auto& [easy, running] : running_) running.transfer->Cancel();
  // Keeps this alive until curl, which may be calling us, has returned.
  loop_.Post([self = shared_from_this()] {});
}

void Exchanges::Start(const std::shared_ptr<Transfer>& transfer) {
  if (const Status status = transfer->SetUp(options_); !status) {
    return transfer->Fail(status.error());
  }
  running_[transfer->easy()] = {transfer, WatchForStall(transfer)};
  FALLOW_CHECK(curl_multi_add_handle(multi_, transfer->easy()) == CURLM_OK);
}

std::unique_ptr<Timer> Exchanges::WatchForStall(const std::shared_ptr<Transfer>& transfer) {
  const auto limit = transfer->request().stall_timeout;
  if (limit.count() <= 0) return nullptr;
  const auto period = std::max(limit / kLooksPerStall, std::chrono::milliseconds(1));
  return loop_.Every(
      period, [this, transfer = transfer.get(), seen = std::uint64_t{0}, still = 0]() mutable {
        const std::uint64_t moved = transfer->moved_bytes();
        still = moved == seen ? still + 1 : 0;
        seen = moved;
        if (still < kLooksPerStall) return;
        const auto node = running_.extract(transfer->easy());
        curl_multi_remove_handle(multi_, transfer->easy());
        node.mapped().transfer->FinishStalled();
      });
}

void Exchanges::Watch(curl_socket_t socket, int what, SocketWatch* watch) {
  if (what == CURL_POLL_REMOVE) {
    if (watch == nullptr) return;
    curl_multi_assign(multi_, socket, nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&watch->handle),
             [](uv_handle_t* handle) { delete static_cast<SocketWatch*>(handle->data); });
    return;
  }
  if (watch == nullptr) {
    watch = new SocketWatch{.owner = this, .socket = socket};
    watch->handle.data = watch;
    FALLOW_CHECK(uv_poll_init_socket(uv_loop_, &watch->handle, socket) == 0);
    curl_multi_assign(multi_, socket, watch);
  }
  const int events =
      (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
  uv_poll_start(&watch->handle, events, [](uv_poll_t* handle, int status, int seen) {
    const auto* ready = static_cast<SocketWatch*>(handle->data);
    const int flags = (status < 0 ? CURL_CSELECT_ERR : 0) |
                      (seen & UV_READABLE ? CURL_CSELECT_IN : 0) |
                      (seen & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    ready->owner->Act(ready->socket, flags);
  });
}

void Exchanges::SetTimer(long timeout_ms) {
  timer_ = nullptr;
  if (timeout_ms < 0 || closing_) return;
  timer_ =
      loop_.After(std::chrono::milliseconds(timeout_ms), [this] { Act(CURL_SOCKET_TIMEOUT, 0); });
}

void Exchanges::Act(curl_socket_t socket, int events) {
  const auto keep = shared_from_this();
  int still_running = 0;
  curl_multi_socket_action(multi_, socket, events, &still_running);
  FinishDone();
}

void Exchanges::FinishDone() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode code = message->data.result;
    const auto node = running_.extract(easy);
    curl_multi_remove_handle(multi_, easy);
    if (!node.empty()) node.mapped().transfer->Finish(code);
  }
}

class CurlExchange : public HttpExchange {
 public:
  CurlExchange(std::weak_ptr<Exchanges> exchanges, std::shared_ptr<Transfer> transfer)
      : exchanges_(std::move(exchanges)), transfer_(std::move(transfer)) {}
  ~CurlExchange() override {
    transfer_->Cancel();
    if (const auto exchanges = exchanges_.lock()) exchanges->RemoveLater(transfer_);
  }
  CurlExchange(const CurlExchange&) = delete;
  CurlExchange& operator=(const CurlExchange&) = delete;

 private:
  std::weak_ptr<Exchanges> exchanges_;
  std::shared_ptr<Transfer> transfer_;
};

class CurlHttpClient : public HttpClient {
 public:
  CurlHttpClient(Loop& loop, const HttpClientOptions& options)
      : exchanges_(std::make_shared<Exchanges>(loop, options)) {}
  ~CurlHttpClient() override { exchanges_->Close(); }
  CurlHttpClient(const CurlHttpClient&) = delete;
  CurlHttpClient& operator=(const CurlHttpClient&) = delete;

  std::unique_ptr<HttpExchange> Send(HttpRequest request,
                                     std::function<void(Result<HttpReply>)> done) override {
    auto transfer = std::make_shared<Transfer>(std::move(request), std::move(done));
    exchanges_->StartLater(transfer);
    return std::make_unique<CurlExchange>(exchanges_, std::move(transfer));
  }

 private:
  std::shared_ptr<Exchanges> exchanges_;
};

}  // namespace

std::unique_ptr<HttpClient> NewHttpClient(Loop& loop, const HttpClientOptions& options) {
  return std::make_unique<CurlHttpClient>(loop, options);
}

}  // namespace fallow
