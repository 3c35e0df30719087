#include "protocol/device_wire.h"

#include <utility>

#include "base/check.h"
#include "base/utf8.h"
#include "generated/protocol/agent.pb.h"
#include "protocol/inference_wire.h"
#include "protocol/limits.h"

namespace fallow {

std::string_view DeviceStateName(DeviceState state) {
  switch (state) {
    case DeviceState::kIdle:
      return "idle";
    case DeviceState::kWorking:
      return "working";
    case DeviceState::kInUse:
      return "in_use";
    case DeviceState::kPaused:
      return "paused";
    case DeviceState::kFaulty:
      return "faulty";
  }
  FALLOW_UNREACHABLE();
}

namespace wire {
namespace {

constexpr std::array<std::pair<fallow::DeviceState, DeviceState>, 5> kDeviceStates = {{
    {fallow::DeviceState::kIdle, IDLE},
    {fallow::DeviceState::kWorking, WORKING},
    {fallow::DeviceState::kInUse, IN_USE},
    {fallow::DeviceState::kPaused, PAUSED},
    {fallow::DeviceState::kFaulty, FAULTY},
}};

Status CheckSpeed(std::string_view field, double speed) {
  if (speed >= 0 && speed <= kMaxTokensPerSecond) return {};
  return FieldError(field, fmt::format("{} is not within 0 and {}", speed, kMaxTokensPerSecond));
}

Status CheckYieldTime(std::string_view field, double time_ms) {
  if (time_ms >= 0 && time_ms <= kMaxYieldMs) return {};
  return FieldError(field, fmt::format("{} is not within 0 and {}", time_ms, kMaxYieldMs));
}

Result<fallow::YieldFigures> ToValue(const YieldFigures& wire) {
  if (wire.count() == 0) return FieldError("count", "missing or 0");
  FALLOW_RETURN_IF_ERROR(CheckYieldTime("p50_ms", wire.p50_ms()));
  FALLOW_RETURN_IF_ERROR(CheckYieldTime("p99_ms", wire.p99_ms()));
  if (wire.p99_ms() < wire.p50_ms()) {
    return FieldError("p99_ms",
                      fmt::format("{} is below p50_ms, {}", wire.p99_ms(), wire.p50_ms()));
  }
  return fallow::YieldFigures{
      .count = wire.count(), .p50_ms = wire.p50_ms(), .p99_ms = wire.p99_ms()};
}

}  // namespace

void FromValue(const fallow::DeviceProfile& value, DeviceProfile& wire) {
  wire.set_hostname(value.hostname);
  wire.set_operating_system(value.operating_system);
  wire.set_agent_version(value.agent_version);
  switch (value.backend) {
    case fallow::BackendKind::kUnknown:
      wire.set_backend(UNKNOWN_BACKEND);
      break;
    case fallow::BackendKind::kCpu:
      wire.set_backend(CPU);
      break;
    case fallow::BackendKind::kVulkan:
      wire.set_backend(VULKAN);
      break;
  }
  wire.set_processor(value.processor);
  wire.set_driver(value.driver);
  wire.set_memory_bytes(value.memory_bytes);
}

void FromValue(const fallow::DeviceStatus& value, DeviceStatus& wire) {
  for (const auto& [state, wire_state] : kDeviceStates) {
    if (state == value.state) wire.set_state(wire_state);
  }
  FALLOW_CHECK(wire.has_state());
  wire.set_reason(ToValidUtf8(value.reason, kMaxShortTextBytes));
  wire.set_tokens_per_second(value.tokens_per_second);
  wire.set_embedding_tokens_per_second(value.embedding_tokens_per_second);
  if (value.yields) {
    YieldFigures& yields = *wire.mutable_yields();
    yields.set_count(value.yields->count);
    yields.set_p50_ms(value.yields->p50_ms);
    yields.set_p99_ms(value.yields->p99_ms);
  }
}

Result<fallow::DeviceProfile> ToValue(DeviceProfile&& wire) {
  FALLOW_RETURN_IF_ERROR(CheckText("hostname", wire.hostname(), kMaxShortTextBytes));
  FALLOW_RETURN_IF_ERROR(
      CheckText("operating_system", wire.operating_system(), kMaxShortTextBytes));
  FALLOW_RETURN_IF_ERROR(CheckText("agent_version", wire.agent_version(), kMaxShortTextBytes));
  FALLOW_RETURN_IF_ERROR(CheckText("processor", wire.processor(), kMaxShortTextBytes));
  FALLOW_RETURN_IF_ERROR(CheckText("driver", wire.driver(), kMaxShortTextBytes));
  fallow::DeviceProfile value;
  switch (wire.backend()) {
    case UNKNOWN_BACKEND:
      value.backend = fallow::BackendKind::kUnknown;
      break;
    case CPU:
      value.backend = fallow::BackendKind::kCpu;
      break;
    case VULKAN:
      value.backend = fallow::BackendKind::kVulkan;
      break;
  }
  value.hostname = std::move(*wire.mutable_hostname());
  value.operating_system = std::move(*wire.mutable_operating_system());
  value.agent_version = std::move(*wire.mutable_agent_version());
  value.processor = std::move(*wire.mutable_processor());
  value.driver = std::move(*wire.mutable_driver());
  value.memory_bytes = wire.memory_bytes();
  return value;
}

Result<fallow::DeviceStatus> ToValue(DeviceStatus&& wire) {
  FALLOW_RETURN_IF_ERROR(CheckText("reason", wire.reason(), kMaxShortTextBytes));
  FALLOW_RETURN_IF_ERROR(CheckSpeed("tokens_per_second", wire.tokens_per_second()));
  FALLOW_RETURN_IF_ERROR(
      CheckSpeed("embedding_tokens_per_second", wire.embedding_tokens_per_second()));
  std::optional<fallow::YieldFigures> yields;
  if (wire.has_yields()) {
    auto read = ToValue(wire.yields());
    if (!read) return Wrap(std::move(read).error(), "yields");
    yields = *read;
  }
  for (const auto& [state, wire_state] : kDeviceStates) {
    if (wire.state() == wire_state) {
      return fallow::DeviceStatus{.state = state,
                                  .reason = std::move(*wire.mutable_reason()),
                                  .tokens_per_second = wire.tokens_per_second(),
                                  .embedding_tokens_per_second = wire.embedding_tokens_per_second(),
                                  .yields = yields};
    }
  }
  return FieldError("state", "missing or unknown");
}

}  // namespace wire
}  // namespace fallow
