// A MultipartParser cuts a multipart/form-data body (RFC 7578) into parts as it streams by; it
// never holds a part.
//
// Invariant: on_part, any number of on_data, on_part_end, for each part in turn. The first Status
// that fails, from the parser or an event, ends it: later calls return the same error.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace fallow::http {

struct MultipartPart {
  std::string name;                     // of the form field; "expires_after[anchor]"
  std::optional<std::string> filename;  // without folders
  std::string content_type;             // empty if not given
};

struct MultipartEvents {
  std::function<Status(const MultipartPart&)> on_part;
  std::function<Status(ByteView)> on_data;
  std::function<Status()> on_part_end;
};

// The boundary of a Content-Type header; none if it is not multipart/form-data with a well-formed
// one.
std::optional<std::string> MultipartBoundary(std::string_view content_type);

class MultipartParser {
 public:
  MultipartParser(std::string_view boundary, MultipartEvents events);

  Status Feed(ByteView bytes);
  // The body has ended: kInvalidArgument unless the closing boundary has been seen.
  Status Finish();

 private:
  enum class Stage { kPreamble, kAfterBoundary, kHeaders, kData, kEpilogue };

  Status Run();
  Status TakeHeaders(std::string_view block);
  // Takes everything before the next boundary; true if the boundary was found and passed.
  Result<bool> PassBoundary();

  const std::string delimiter_;  // "\r\n--" boundary
  const MultipartEvents events_;
  Stage stage_ = Stage::kPreamble;
  std::string buffer_;
  bool header_line_end_ = false;  // buffer_ begins with the line end that closed the headers
  std::size_t part_count_ = 0;
  std::optional<Error> failure_;
};

}  // namespace fallow::http
