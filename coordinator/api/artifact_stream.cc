#include "coordinator/api/artifact_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "coordinator/http/error_response.h"

namespace fallow::api {
namespace {

constexpr std::size_t kPieceBytes = 128 << 10;
// Others get the loop after this much.
constexpr std::size_t kBytesPerTurn = 1 << 20;

// Kept alive by the responder's on_writable and by posted turns; the end of the reply lets go of
// both.
class Pump : public std::enable_shared_from_this<Pump> {
 public:
  Pump(Loop& loop, std::unique_ptr<ArtifactReader> reader, std::uint64_t begin, std::uint64_t end,
       std::shared_ptr<http::Responder> responder)
      : loop_(loop),
        reader_(std::move(reader)),
        at_(begin),
        end_(end),
        responder_(std::move(responder)) {}

  void Start() {
    responder_->OnWritable([self = shared_from_this()] { self->Turn(); });
    Turn();
  }

 private:
  void Turn() {
    if (posted_ || responder_ == nullptr) return;
    std::size_t sent = 0;
    Bytes piece(std::min<std::uint64_t>(kPieceBytes, end_ - at_));
    while (at_ < end_ && !responder_->gone() && !responder_->slow()) {
      if (sent >= kBytesPerTurn) {
        posted_ = true;
        loop_.Post([self = shared_from_this()] {
          self->posted_ = false;
          self->Turn();
        });
        return;
      }
      const std::size_t wanted = std::min<std::uint64_t>(piece.size(), end_ - at_);
      const auto read = reader_->ReadAt(at_, std::span(piece).first(wanted));
      if (!read.has_value() || *read == 0) {
        LOG_ERROR("api: an artifact broke off while it was sent offset_bytes={} error=\"{}\"", at_,
                  read.has_value() ? "it is shorter than it was" : read.error().message);
        Finish();  // fewer bytes than promised: the connection is cut
        return;
      }
      responder_->Write(std::span(piece).first(*read));
      at_ += *read;
      sent += *read;
    }
    if (at_ >= end_ || responder_->gone()) Finish();
  }

  void Finish() {
    const auto self = shared_from_this();
    const auto responder = std::exchange(responder_, nullptr);
    responder->End();
  }

  Loop& loop_;
  const std::unique_ptr<ArtifactReader> reader_;
  std::uint64_t at_;
  const std::uint64_t end_;
  std::shared_ptr<http::Responder> responder_;
  bool posted_ = false;
};

void Stream(Loop& loop, std::unique_ptr<ArtifactReader> reader, std::uint64_t begin,
            std::uint64_t end, int status, HeaderList headers,
            std::shared_ptr<http::Responder> responder) {
  responder->Start(status, std::move(headers), end - begin);
  std::make_shared<Pump>(loop, std::move(reader), begin, end, std::move(responder))->Start();
}

struct ByteRange {
  std::uint64_t begin = 0, end = 0;  // [begin, end)
};
enum class RangeKind { kWhole, kPart, kUnsatisfiable };

std::optional<std::uint64_t> ParseNumber(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A header that is malformed or asks for several ranges is ignored, as the RFC allows.
RangeKind ParseRange(std::string_view header, std::uint64_t size, ByteRange& range) {
  constexpr std::string_view kUnit = "bytes=";
  if (!header.starts_with(kUnit)) return RangeKind::kWhole;
  header.remove_prefix(kUnit.size());
  const std::size_t dash = header.find('-');
  if (dash == std::string_view::npos || header.find(',') != std::string_view::npos)
    return RangeKind::kWhole;
  const auto first = ParseNumber(header.substr(0, dash)),
             last = ParseNumber(header.substr(dash + 1));
  const bool has_first = dash > 0, has_last = dash + 1 < header.size();
  if ((has_first && !first) || (has_last && !last) || (!has_first && !has_last))
    return RangeKind::kWhole;
  if (!has_first) {  // the last `*last` bytes
    if (*last == 0 || size == 0) return RangeKind::kUnsatisfiable;
    range = {size - std::min(*last, size), size};
    return RangeKind::kPart;
  }
  if (has_last && *last < *first) return RangeKind::kWhole;
  if (*first >= size) return RangeKind::kUnsatisfiable;
  range = {*first, has_last && *last < size ? *last + 1 : size};
  return RangeKind::kPart;
}

}  // namespace

void StreamArtifact(Loop& loop, std::unique_ptr<ArtifactReader> reader, HeaderList headers,
                    std::shared_ptr<http::Responder> responder) {
  const std::uint64_t size = reader->size_bytes();
  Stream(loop, std::move(reader), 0, size, 200, std::move(headers), std::move(responder));
}

void StreamArtifactRange(Loop& loop, std::unique_ptr<ArtifactReader> reader, const Digest& digest,
                         const http::RequestHead& head, HeaderList headers,
                         std::shared_ptr<http::Responder> responder) {
  const std::uint64_t size = reader->size_bytes();
  const std::string etag = fmt::format("\"{}\"", digest.Hex());
  headers.emplace_back("accept-ranges", "bytes");
  headers.emplace_back("etag", etag);
  ByteRange range;
  RangeKind kind = RangeKind::kWhole;
  const std::string_view if_range = head.Header("if-range");
  if (if_range.empty() || if_range == etag) kind = ParseRange(head.Header("range"), size, range);
  if (kind == RangeKind::kUnsatisfiable) {
    http::Response response = http::ErrorResponse(
        {.status = 416,
         .message = fmt::format("The artifact has {} bytes; the range begins beyond.", size)});
    response.headers.emplace_back("content-range", fmt::format("bytes */{}", size));
    responder->Send(std::move(response));
  } else if (kind == RangeKind::kPart) {
    headers.emplace_back("content-range",
                         fmt::format("bytes {}-{}/{}", range.begin, range.end - 1, size));
    Stream(loop, std::move(reader), range.begin, range.end, 206, std::move(headers),
           std::move(responder));
  } else {
    Stream(loop, std::move(reader), 0, size, 200, std::move(headers), std::move(responder));
  }
}

}  // namespace fallow::api
