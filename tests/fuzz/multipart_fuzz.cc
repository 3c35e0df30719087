// A multipart body must come apart the same way however it is cut into pieces. The first byte
// chooses the pieces' size.

#include <cstdlib>
#include <string>

#include "coordinator/http/multipart.h"

namespace {

using namespace fallow;

// Everything the parser says about `body`, as one text.
std::string Describe(ByteView body, std::size_t piece) {
  std::string said;
  http::MultipartParser parser("B", {.on_part = [&](const http::MultipartPart& part) -> Status {
                                       said += "\npart " + part.name + "|" +
                                               part.filename.value_or("-") + "|" +
                                               part.content_type + "\n";
                                       return {};
                                     },
                                     .on_data = [&](ByteView bytes) -> Status {
                                       said += AsText(bytes);
                                       return {};
                                     },
                                     .on_part_end = [&]() -> Status {
                                       said += "\nend";
                                       return {};
                                     }});
  while (!body.empty()) {
    const ByteView now = body.first(std::min(piece, body.size()));
    body = body.subspan(now.size());
    if (!parser.Feed(now).has_value()) return said + "\nfailed";
  }
  return said + (parser.Finish().has_value() ? "\nwhole" : "\ncut");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView body(data + 1, size - 1);
  const std::string whole = Describe(body, size), cut = Describe(body, data[0] + std::size_t{1});
  // Data that was given before an error was found differs with the pieces; what follows from whole
  // bodies does not.
  if (whole.ends_with("\nfailed") && cut.ends_with("\nfailed")) return 0;
  if (whole != cut) std::abort();
  (void)http::MultipartBoundary(AsText(body));
  return 0;
}
