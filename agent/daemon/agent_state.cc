#include "agent/daemon/agent_state.h"

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/daemon/policy/signals.h"
#include "base/digest.h"
#include "platform/file.h"
#include "platform/paths.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

// In pause.json.
constexpr const char* kMasterUntil = "until_ms";
constexpr const char* kSeatUntil = "seat_until_ms";

}  // namespace

std::vector<std::string> StateFolder::life_sign_paths() const {
  // However the folder is named: with a '/' at its end, from elsewhere or by a link.
  std::error_code error;
  const std::string real = std::filesystem::weakly_canonical(path_, error).string();
  const std::string name = "/alive-" + Sha256::Of(error ? path_ : real).Hex().substr(0, 16);
  // Of an agent of the whole machine, whose folder a user's may not write to; and of a user's.
  return {"/run/fallow" + name, RuntimeDirectory() + name};
}

Status StateFolder::Make() const {
  return MakePrivateDirectory(path_);
}

Result<Membership> StateFolder::LoadMembership() const {
  const auto text = ReadSmallFile(membership_path());
  if (!text) {
    if (text.error().code != ErrorCode::kNotFound) return std::unexpected(text.error());
    return Fail(
        ErrorCode::kNotFound,
        fmt::format(
            "this agent has not joined a coordinator (nothing in {}): run `fallow-agent join LINK`",
            path_));
  }
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  const auto field = [&](const char* name) -> std::string {
    const bool there = json.is_object() && json.contains(name) && json[name].is_string();
    return there ? json[name].get<std::string>() : "";
  };
  Membership membership{.coordinator_url = field("coordinator"),
                        .device = DeviceId(field("device")),
                        .authority_pem = field("authority_certificate")};
  if (membership.coordinator_url.empty() || membership.device.empty() ||
      membership.authority_pem.empty()) {
    return Fail(
        ErrorCode::kDataLoss,
        fmt::format("{} is damaged: run `fallow-agent join LINK` again", membership_path()));
  }
  return membership;
}

Status StateFolder::SaveMembership(const Membership& membership) const {
  const nlohmann::json json = {{"coordinator", membership.coordinator_url},
                               {"device", membership.device.value},
                               {"authority_certificate", membership.authority_pem}};
  return WriteFileAtomically(membership_path(), json.dump(2) + "\n");
}

std::vector<LeaseId> StateFolder::LoadHeldLeases() const {
  const auto text = ReadSmallFile(leases_path());
  const auto json = nlohmann::json::parse(text.value_or("[]"), nullptr, /*allow_exceptions=*/false);
  std::vector<LeaseId> leases;
  if (!json.is_array()) return leases;
  for (const auto& id : json) {
    if (id.is_string() && leases.size() < kMaxLeasesPerDevice)
      leases.emplace_back(id.get<std::string>());
  }
  return leases;
}

Status StateFolder::SaveHeldLeases(const std::vector<LeaseId>& leases) const {
  auto json = nlohmann::json::array();
  for (const LeaseId& lease : leases) json.push_back(lease.value);
  return WriteFileAtomically(leases_path(), json.dump() + "\n");
}

OwnerPause StateFolder::LoadPause() const {
  const auto text = ReadSmallFile(pause_path());
  if (!text && text.error().code == ErrorCode::kNotFound) return {};
  const auto json = nlohmann::json::parse(text.value_or(""), nullptr, /*allow_exceptions=*/false);
  // One that cannot be read is without end.
  const auto time = [&](const char* key) -> std::optional<WallTime> {
    if (!json.is_object() || !json.contains(key)) return std::nullopt;
    const auto& value = json[key];
    const bool fits = value.is_number_unsigned()
                          ? std::in_range<std::int64_t>(value.get<std::uint64_t>())
                          : value.is_number_integer();
    return fits ? WallTimeFromUnixMs(value.get<std::int64_t>()) : kPausedWithoutEnd;
  };
  const OwnerPause pause{.by_master = time(kMasterUntil), .by_seat = time(kSeatUntil)};
  return pause.until() ? pause : OwnerPause{.by_master = kPausedWithoutEnd};
}

Status StateFolder::SavePause(const OwnerPause& pause) const {
  if (!pause.until()) return RemoveFileIfAny(pause_path());
  nlohmann::json json;
  if (pause.by_master) json[kMasterUntil] = UnixMs(*pause.by_master);
  if (pause.by_seat) json[kSeatUntil] = UnixMs(*pause.by_seat);
  return WriteFileAtomically(pause_path(), json.dump() + "\n");
}

Status StateFolder::Forget() const {
  FALLOW_RETURN_IF_ERROR(RemoveFileIfAny(pause_path()));
  FALLOW_RETURN_IF_ERROR(RemoveFileIfAny(leases_path()));
  FALLOW_RETURN_IF_ERROR(RemoveFileIfAny(membership_path()));
  return RemoveFileIfAny(key_path());
}

}  // namespace fallow
