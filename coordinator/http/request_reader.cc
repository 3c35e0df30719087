#include "coordinator/http/request_reader.h"

#include <string_view>

namespace fallow::http {

RequestParser::Step RequestReader::Next() {
  if (parser_ == nullptr) {
    if (!SkipEmptyLines()) return {};
    parser_ = std::make_unique<RequestParser>(max_head_bytes_);
  }
  RequestParser::Step step = parser_->Next(std::string_view(input_).substr(offset_));
  offset_ += step.consumed;
  return step;
}

// False: a request has not begun. A lone '\r' may become an empty line yet.
bool RequestReader::SkipEmptyLines() {
  std::string_view rest = std::string_view(input_).substr(offset_);
  while (rest.starts_with("\r\n")) rest.remove_prefix(2);
  offset_ = input_.size() - rest.size();
  return !rest.empty() && rest != "\r";
}

void RequestReader::Drop() {
  parser_ = nullptr;
  offset_ = input_.size();
}

void RequestReader::Compact() {
  input_.erase(0, offset_);
  offset_ = 0;
}

}  // namespace fallow::http
