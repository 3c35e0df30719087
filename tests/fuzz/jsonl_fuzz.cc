// Any bytes as a batch file: the splitter must keep its books, the parser must answer.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "coordinator/core/batch_line.h"
#include "coordinator/core/line_splitter.h"

namespace fallow {
namespace {

void CheckLine(const std::expected<BatchLine, JobError>& parsed, std::string_view endpoint) {
  if (!parsed) {
    FALLOW_CHECK(!parsed.error().code.empty() && !parsed.error().message.empty());
    return;
  }
  FALLOW_CHECK(!parsed->custom_id.empty() && !parsed->model.empty());
  FALLOW_CHECK(parsed->request.messages.empty() == (endpoint == kEmbeddingsEndpoint));
  FALLOW_CHECK(parsed->request.inputs.empty() == (endpoint == kChatEndpoint));
  FALLOW_CHECK(parsed->request.sampling.top_p > 0);
  for (const EmbeddingInput& input : parsed->request.inputs)
    FALLOW_CHECK(input.text.empty() != input.token_ids.empty());
}

}  // namespace
}  // namespace fallow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fallow;
  // The first byte says how the stream is cut, the second how long a line may be.
  if (size < 2) return 0;
  const std::size_t piece_bytes = data[0] + 1u;
  const std::size_t max_line_bytes = 16u * (data[1] + 1u);
  const ByteView stream(data + 2, size - 2);
  const std::string_view text = AsText(stream);

  std::uint64_t number = 0;
  LineSplitter splitter(max_line_bytes);
  const auto on_line = [&](const SplitLine& line) {
    FALLOW_CHECK(line.number == ++number);
    FALLOW_CHECK(line.offset + line.length <= text.size());
    if (line.too_long) return true;
    FALLOW_CHECK(line.length <= max_line_bytes);
    FALLOW_CHECK(line.text == text.substr(line.offset, line.length));
    for (const std::string_view endpoint : {kChatEndpoint, kEmbeddingsEndpoint})
      CheckLine(ParseBatchLine(line.text, endpoint), endpoint);
    return true;
  };
  for (std::size_t at = 0; at < stream.size(); at += piece_bytes)
    splitter.Feed(stream.subspan(at, std::min(piece_bytes, stream.size() - at)), on_line);
  splitter.Finish(on_line);
  return 0;
}
