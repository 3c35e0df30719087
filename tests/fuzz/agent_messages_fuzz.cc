// Bodies of the agent endpoints. The first byte picks the message. What decodes must encode to
// something that decodes to the same.
#include "base/check.h"
#include "protocol/agent_messages.h"

namespace fallow {
namespace {

template <class Message>
void Try(Result<Message> (*decode)(ByteView), ByteView body) {
  const Result<Message> message = decode(body);
  if (message) FALLOW_CHECK(decode(Encode(*message)) == message);
}

}  // namespace
}  // namespace fallow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fallow;
  if (size == 0) return 0;
  const ByteView body(data + 1, size - 1);
  switch (data[0] % 9) {
    case 0:
      Try(&DecodeEnrollRequest, body);
      break;
    case 1:
      Try(&DecodeEnrollReply, body);
      break;
    case 2:
      Try(&DecodeLeaseRequest, body);
      break;
    case 3:
      Try(&DecodeLeaseReply, body);
      break;
    case 4:
      Try(&DecodeReportRequest, body);
      break;
    case 5:
      Try(&DecodeReportReply, body);
      break;
    case 6:
      Try(&DecodeHeartbeatRequest, body);
      break;
    case 7:
      Try(&DecodeHeartbeatReply, body);
      break;
    case 8:
      Try(&DecodeReleaseRequest, body);
      break;
  }
  return 0;
}
