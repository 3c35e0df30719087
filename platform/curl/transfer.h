// One HTTP exchange as a curl easy handle: its options, its bytes, its outcome. For files of
// platform/curl alone.
//
// Threading: the loop's thread. It knows no loop: the client moves it.
#pragma once

#include <curl/curl.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "platform/curl/piece_reader.h"
#include "platform/http_client.h"

namespace fallow {

class Transfer {
 public:
  Transfer(HttpRequest request, std::function<void(Result<HttpReply>)> done)
      : request_(std::move(request)), done_(std::move(done)) {}
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Makes the handle ready to be moved. The transfer must not change its address afterwards.
  Status SetUp(const HttpClientOptions& options);

  CURL* easy() const { return easy_.get(); }
  const HttpRequest& request() const { return request_; }
  // Rises with every byte that moves.
  std::uint64_t moved_bytes() const { return received_bytes_ + sent_bytes_; }

  // Nobody waits for the outcome any more. May be called from inside a callback of this transfer.
  void Cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }

  // The outcome: of curl, or an error of ours. Calls `done`, unless cancelled. Once.
  void Finish(CURLcode code);
  void FinishStalled();
  void Fail(Error error);

 private:
  template <auto free_function>
  struct Deleter {
    template <class T>
    void operator()(T* object) const {
      free_function(object);
    }
  };

  Status SetTarget();
  Status SetTrust(const HttpClientOptions& options);
  Status SetHeaders(const HttpClientOptions& options);
  Status SetBody();
  Status SetFileBody();
  void SetPiecesBody();
  void SetUpload(std::uint64_t size);
  Status SetMultipartBody();
  void SetCallbacks();
  Error ErrorOf(CURLcode code) const;

  std::size_t OnHeader(std::string_view line);
  std::size_t OnBody(std::string_view piece);
  std::size_t OnRead(char* into, std::size_t size);
  bool OnSeek(std::uint64_t offset);
  int OnProgress(curl_off_t upload_total, curl_off_t sent);

  HttpRequest request_;
  std::function<void(Result<HttpReply>)> done_;
  std::string target_;  // "host:port", for messages
  std::optional<std::string> authority_pem_;

  std::unique_ptr<std::FILE, Deleter<std::fclose>> file_;
  PieceReader pieces_;
  std::unique_ptr<curl_slist, Deleter<curl_slist_free_all>> header_lines_;
  std::unique_ptr<CURL, Deleter<curl_easy_cleanup>> easy_;
  std::unique_ptr<curl_mime, Deleter<curl_mime_free>> parts_;  // before its handle
  char curl_message_[CURL_ERROR_SIZE] = {};

  HttpReply reply_;
  std::size_t header_bytes_ = 0;
  std::uint64_t received_bytes_ = 0;
  std::uint64_t sent_bytes_ = 0;
  std::optional<Error> error_;  // why a callback of ours ended the exchange
  bool cancelled_ = false;
};

}  // namespace fallow
