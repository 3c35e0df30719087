#include "coordinator/http/multipart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace fallow::http {
namespace {

constexpr std::size_t kMaxBoundaryBytes = 70;         // RFC 2046
constexpr std::size_t kMaxPartHeaderBytes = 8 << 10;  // a form's part has two short header lines
constexpr std::size_t kMaxParts = 64;  // the calls we serve have at most a handful of fields
constexpr std::size_t kMaxFilenameBytes = 255;

std::unexpected<Error> Bad(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// `head; name=value; name="quoted"`: calls `fn(name, value)` for each parameter; false if
// malformed.
bool ForEachParameter(std::string_view text, std::string& head, const auto& fn) {
  const std::size_t semicolon = text.find(';');
  head = Lower(Trim(text.substr(0, semicolon)));
  std::size_t at = semicolon;
  while (at != std::string_view::npos && at < text.size()) {
    ++at;  // the semicolon
    const std::size_t equals = text.find('=', at);
    if (equals == std::string_view::npos) return Trim(text.substr(at)).empty();
    const std::string name = Lower(Trim(text.substr(at, equals - at)));
    std::string value;
    at = equals + 1;
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
    if (at < text.size() && text[at] == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        // Browsers send a backslash as itself and a quote as %22; others escape quotes.
        if (text[at] == '\\' && at + 1 < text.size() &&
            (text[at + 1] == '"' || text[at + 1] == '\\'))
          ++at;
        value += text[at];
      }
      if (at >= text.size()) return false;
      at = text.find(';', at + 1);
    } else {
      const std::size_t end = text.find(';', at);
      value = std::string(Trim(text.substr(at, end == std::string_view::npos ? end : end - at)));
      at = end;
    }
    fn(name, value);
  }
  return true;
}

std::string BareFilename(std::string filename) {
  if (const std::size_t slash = filename.find_last_of("/\\"); slash != std::string::npos)
    filename.erase(0, slash + 1);
  std::erase_if(filename, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (filename.size() > kMaxFilenameBytes) filename.resize(kMaxFilenameBytes);
  return filename;
}

}  // namespace

std::optional<std::string> MultipartBoundary(std::string_view content_type) {
  std::string head, boundary;
  const bool sound =
      ForEachParameter(content_type, head, [&](const std::string& name, const std::string& value) {
        if (name == "boundary") boundary = value;
      });
  if (!sound || head != "multipart/form-data") return std::nullopt;
  const bool well_formed = std::ranges::all_of(boundary, [](unsigned char c) {
    return std::isalnum(c) ||
           std::string_view("'()+_,-./:=? ").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (boundary.empty() || boundary.size() > kMaxBoundaryBytes || boundary.back() == ' ' ||
      !well_formed)
    return std::nullopt;
  return boundary;
}

MultipartParser::MultipartParser(std::string_view boundary, MultipartEvents events)
    : delimiter_(fmt::format("\r\n--{}", boundary)), events_(std::move(events)), buffer_("\r\n") {
  // The body is read as if a line ended before it: its first boundary then looks like all others.
}

Status MultipartParser::Feed(ByteView bytes) {
  if (failure_.has_value()) return std::unexpected(*failure_);
  if (stage_ == Stage::kEpilogue) return {};
  buffer_.append(AsText(bytes));
  Status status = Run();
  if (!status.has_value()) failure_ = status.error();
  return status;
}

Status MultipartParser::Finish() {
  if (failure_.has_value()) return std::unexpected(*failure_);
  if (stage_ != Stage::kEpilogue)
    return Bad(fmt::format("the form's body ended inside part {}: its closing boundary is missing",
                           part_count_));
  return {};
}

Status MultipartParser::Run() {
  for (;;) {
    switch (stage_) {
      case Stage::kPreamble:
      case Stage::kData: {
        FALLOW_ASSIGN_OR_RETURN(const bool passed, PassBoundary());
        if (!passed) return {};
        if (stage_ == Stage::kData) FALLOW_RETURN_IF_ERROR(events_.on_part_end());
        stage_ = Stage::kAfterBoundary;
        break;
      }
      case Stage::kAfterBoundary: {
        // "--" closes the form; else optional blanks and the end of the line.
        const std::size_t text = buffer_.find_first_not_of(" \t");
        if (text == std::string::npos ? buffer_.size() > kMaxPartHeaderBytes
                                      : text > kMaxPartHeaderBytes)
          return Bad("a boundary line of the form is too long");
        if (text == std::string::npos || buffer_.size() < text + 2) return {};
        const std::string_view two = std::string_view(buffer_).substr(text, 2);
        if (text == 0 && two == "--") {
          stage_ = Stage::kEpilogue;
          buffer_.clear();
          return {};
        }
        if (two != "\r\n")
          return Bad("a boundary of the form is followed by other text on its line");
        // The line end stays: headers end at an empty line, and there may be none.
        buffer_.erase(0, text);
        stage_ = Stage::kHeaders;
        break;
      }
      case Stage::kHeaders: {
        const std::size_t end = buffer_.find("\r\n\r\n");
        if (end > kMaxPartHeaderBytes &&
            (end != std::string::npos || buffer_.size() > kMaxPartHeaderBytes))
          return Bad(fmt::format("the headers of part {} are longer than {} bytes", part_count_ + 1,
                                 kMaxPartHeaderBytes));
        if (end == std::string::npos) return {};
        FALLOW_RETURN_IF_ERROR(TakeHeaders(std::string_view(buffer_).substr(0, end)));
        // An empty part's boundary shares the line end that closes the headers.
        buffer_.erase(0, end + 2);
        stage_ = Stage::kData;
        break;
      }
      case Stage::kEpilogue:
        return {};
    }
  }
}

Result<bool> MultipartParser::PassBoundary() {
  // In kData the buffer begins with the headers' closing line end, which is data's only if it opens
  // the boundary.
  const std::size_t skipped = header_line_end_ ? 2 : 0;
  const std::size_t found = buffer_.find(delimiter_);
  // Without a boundary, all but what may be its beginning is data.
  const std::size_t end = found != std::string::npos
                              ? found
                              : buffer_.size() - std::min(buffer_.size(), delimiter_.size() - 1);
  if (stage_ == Stage::kData && end > skipped)
    FALLOW_RETURN_IF_ERROR(
        events_.on_data(AsBytes(std::string_view(buffer_).substr(skipped, end - skipped))));
  if (found != std::string::npos) {
    buffer_.erase(0, found + delimiter_.size());
    header_line_end_ = false;
    return true;
  }
  if (end > skipped) {
    buffer_.erase(0, end);
    header_line_end_ = false;
  }
  return false;
}

Status MultipartParser::TakeHeaders(std::string_view block) {
  if (++part_count_ > kMaxParts)
    return Bad(fmt::format("the form has more than {} parts", kMaxParts));
  MultipartPart part;
  bool disposed = false;
  while (!block.empty()) {
    block.remove_prefix(2);  // each line is preceded by its line end
    const std::size_t line_end = block.find("\r\n");
    const std::string_view line = block.substr(0, line_end);
    block = line_end == std::string_view::npos ? std::string_view() : block.substr(line_end);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos)
      return Bad(fmt::format("part {} has a malformed header", part_count_));
    const std::string name = Lower(Trim(line.substr(0, colon)));
    const std::string_view value = Trim(line.substr(colon + 1));
    if (name == "content-type") part.content_type = std::string(value);
    if (name != "content-disposition") continue;
    std::string kind;
    disposed = ForEachParameter(value, kind, [&](const std::string& key, const std::string& text) {
      if (key == "name") part.name = text;
      if (key == "filename") part.filename = BareFilename(text);
    });
    disposed = disposed && kind == "form-data";
  }
  if (!disposed || part.name.empty())
    return Bad(fmt::format("part {} has no Content-Disposition of the form: form-data; name=\"…\"",
                           part_count_));
  header_line_end_ = true;
  return events_.on_part(part);
}

}  // namespace fallow::http
