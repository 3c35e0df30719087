// What a coordinator may say to the command line, and what a person may paste into it.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "cli/link.h"
#include "cli/progress.h"
#include "cli/records.h"
#include "cli/text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fallow::cli;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)ParseSignInLink(text);
  (void)ErrorOfReply(500, text);

  const std::string printable = Printable(text);
  FALLOW_CHECK(Printable(printable) == printable);
  constexpr std::size_t kWidth = 20;
  FALLOW_CHECK(DisplayWidth(Shorten(printable, kWidth)) <= kWidth);

  const Json json = Json::parse(text, nullptr, false);
  if (const auto job = ReadJob(json); job.has_value()) {
    FALLOW_CHECK(DisplayWidth(ProgressLine(*job, kWidth, Glyphs::kUnicode)) <= kWidth);
    (void)ProgressText(*job);
  }
  Table table({{"A"}, {"B", Align::kRight}});
  const DeviceRecord device = ReadDevice(json);
  table.AddRow({device.reason, RateText(device.tokens_per_second)});
  if (device.yields) table.AddRow({MillisecondsText(device.yields->p99_ms), ""});
  const ModelRecord model = ReadModel(json);
  table.AddRow({model.weight_types, BytesText(model.size_bytes)});
  (void)table.Render(kWidth);
  (void)DataOf(json);
  return 0;
}
