// The coordinator as commands see it: calls that wait for their answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace fallow::cli {

using Json = nlohmann::ordered_json;

struct ApiCall {
  std::string method = "GET";
  std::string path;  // "/api/jobs?limit=20"
  std::optional<Json> body;
  std::optional<std::string> body_file;  // instead: streamed from disk
  std::vector<ByteView> body_pieces;     // instead: one after the other; they outlive the call
  std::vector<std::pair<std::string, std::string>>
      form;  // with it `body_file` becomes the form's part "file"
  std::function<void(std::uint64_t sent, std::uint64_t total)> on_upload = nullptr;
};

class Api {
 public:
  virtual ~Api() = default;
  // The JSON of a 2xx reply (null if it is empty). Any other status is an error whose message is
  // the coordinator's own. kUnavailable: nobody answered or the coordinator cannot serve now;
  // kCancelled: the user interrupted.
  virtual Result<Json> Call(ApiCall call) = 0;
  // Streams a file's content to `destination`, which appears as a whole or not at all. Returns its
  // size in bytes.
  virtual Result<std::uint64_t> Download(const std::string& path,
                                         const std::string& destination) = 0;
  // Waits. kCancelled when the user interrupts.
  virtual Status Pause(std::chrono::milliseconds duration) = 0;
};

// A reply's status as an error; `body` is the reply's.
Error ErrorOfReply(int status, std::string_view body);

// `name` as one segment of a path: "org/name" becomes "org%2Fname".
std::string PathSegment(std::string_view name);

}  // namespace fallow::cli
