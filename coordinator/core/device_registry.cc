#include "coordinator/core/device_registry.h"

#include <fmt/format.h>

#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "coordinator/core/limits.h"

namespace fallow {
namespace {

constexpr std::string_view kJoinTokenSetting = "join_token";
constexpr std::size_t kJoinTokenBytes = 32;

// Takes the same time wherever the texts differ: hashes are compared, all bytes of them.
bool EqualInConstantTime(std::string_view a, std::string_view b) {
  const Digest left = Sha256::Of(a);
  const Digest right = Sha256::Of(b);
  unsigned difference = 0;
  for (std::size_t i = 0; i < left.bytes.size(); ++i)
    difference |= static_cast<unsigned>(left.bytes[i] ^ right.bytes[i]);
  return difference == 0;
}

}  // namespace

Result<std::string> DeviceRegistry::JoinToken() {
  FALLOW_ASSIGN_OR_RETURN(auto token, store_.Setting(kJoinTokenSetting));
  if (token) return *std::move(token);
  return RotateJoinToken();
}

Result<std::string> DeviceRegistry::RotateJoinToken() {
  Bytes bytes(kJoinTokenBytes);
  random_.Fill(bytes);
  std::string token = ToBase64Url(bytes);
  FALLOW_RETURN_IF_ERROR(store_.PutSetting(kJoinTokenSetting, token));
  return token;
}

Result<Device> DeviceRegistry::Enroll(const EnrollRequest& request) {
  FALLOW_ASSIGN_OR_RETURN(const std::string token, JoinToken());
  if (!EqualInConstantTime(request.join_token, token)) {
    return Fail(ErrorCode::kUnauthenticated,
                "the join token is wrong or has been replaced: ask for a new join link");
  }
  if (request.public_key.size() != kEd25519KeyBytes) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the public key has {} bytes, Ed25519 has {}",
                            request.public_key.size(), kEd25519KeyBytes));
  }
  Device device;
  device.id = DeviceId("dev_" + random_.Hex(12));
  device.public_key = request.public_key;
  device.profile = request.profile;
  device.status = {.state = DeviceState::kPaused,
                   .reason = "it has joined; its agent has not run yet"};
  device.enrolled_at = device.last_seen_at = clock_.Wall();
  FALLOW_ASSIGN_OR_RETURN(Device enrolled, store_.EnrollDevice(device));
  LOG_INFO("devices: enrolled device={} host={}", enrolled.id.value, enrolled.profile.hostname);
  events_.Publish(DeviceChanged{enrolled.id});
  return enrolled;
}

Status DeviceRegistry::Remove(const DeviceId& id) {
  FALLOW_ASSIGN_OR_RETURN(const auto ended, store_.RemoveDevice(id, clock_.Wall()));
  LOG_INFO("devices: removed device={} leases={}", id.value, ended.size());
  events_.Publish(DeviceChanged{id});
  if (!ended.empty()) events_.Publish(WorkAvailable{});
  return {};
}

Status DeviceRegistry::SetStatus(const DeviceId& id, const DeviceStatus& status) {
  FALLOW_RETURN_IF_ERROR(Heard(id, status, nullptr));
  return {};
}

Result<Device> DeviceRegistry::Heard(const DeviceId& id, const DeviceStatus& status,
                                     const DeviceProfile* profile) {
  FALLOW_ASSIGN_OR_RETURN(auto device, store_.FindDevice(id));
  if (!device) return Fail(ErrorCode::kNotFound, fmt::format("no device {}", id.value));
  const WallTime now = clock_.Wall();
  const bool changed = device->status != status || (profile && device->profile != *profile);
  if (!changed && now - device->last_seen_at < kDeviceSeenInterval) return *std::move(device);
  device->status = status;
  if (profile != nullptr) device->profile = *profile;
  device->last_seen_at = now;
  FALLOW_RETURN_IF_ERROR(store_.UpdateDevice(id, device->profile, status, now));
  events_.Publish(DeviceChanged{id});
  return *std::move(device);
}

}  // namespace fallow
