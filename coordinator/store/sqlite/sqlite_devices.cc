// Device records in SQLite.
#include <fmt/format.h>

#include "coordinator/store/sqlite/sqlite_store_internal.h"

namespace fallow::sqlite {
namespace {

constexpr std::string_view kDeviceColumns =
    "id, public_key, hostname, operating_system, agent_version, backend, processor, driver, "
    "memory_bytes, state, reason, tokens_per_second, enrolled_at_ms, last_seen_at_ms, "
    "completed_request_count, generated_token_count, embedding_tokens_per_second, yield_count, "
    "yield_p50_ms, yield_p99_ms";

Device TakeDevice(Rows& rows) {
  Device device;
  device.id = rows.Take<DeviceId>();
  device.public_key = rows.Take<Bytes>();
  device.profile.hostname = rows.Take<std::string>();
  device.profile.operating_system = rows.Take<std::string>();
  device.profile.agent_version = rows.Take<std::string>();
  device.profile.backend = rows.Take<BackendKind>();
  device.profile.processor = rows.Take<std::string>();
  device.profile.driver = rows.Take<std::string>();
  device.profile.memory_bytes = rows.Take<std::uint64_t>();
  device.status.state = rows.Take<DeviceState>();
  device.status.reason = rows.Take<std::string>();
  device.status.tokens_per_second = rows.Take<double>();
  device.enrolled_at = rows.Take<WallTime>();
  device.last_seen_at = rows.Take<WallTime>();
  device.completed_request_count = rows.Take<std::uint64_t>();
  device.generated_token_count = rows.Take<std::uint64_t>();
  device.status.embedding_tokens_per_second = rows.Take<double>();
  YieldFigures yields;
  yields.count = rows.Take<std::uint64_t>();
  yields.p50_ms = rows.Take<double>();
  yields.p99_ms = rows.Take<double>();
  if (yields.count > 0) device.status.yields = yields;
  return device;
}

}  // namespace

Result<Device> SqliteStore::EnrollDevice(const Device& device) {
  static const std::string select =
      fmt::format("SELECT {} FROM device WHERE public_key = ?", kDeviceColumns);
  static const std::string insert = fmt::format(
      "INSERT INTO device ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?)",
      kDeviceColumns);
  Transaction transaction(*db_, Durability::kAtCommit);
  std::optional<Device> known;
  {
    Rows rows = db_->Query(select, device.public_key);
    if (rows.Next()) known = TakeDevice(rows);
  }
  const DeviceProfile& profile = device.profile;
  if (known) {
    known->profile = profile;
    known->last_seen_at = device.last_seen_at;
    db_->Run(
        "UPDATE device SET hostname = ?, operating_system = ?, agent_version = ?, backend = ?, "
        "processor = ?, driver = ?, memory_bytes = ?, last_seen_at_ms = ? WHERE id = ?",
        profile.hostname, profile.operating_system, profile.agent_version, profile.backend,
        profile.processor, profile.driver, profile.memory_bytes, device.last_seen_at, known->id);
  } else {
    const YieldFigures yields = device.status.yields.value_or(YieldFigures{});
    db_->Run(insert, device.id, device.public_key, profile.hostname, profile.operating_system,
             profile.agent_version, profile.backend, profile.processor, profile.driver,
             profile.memory_bytes, device.status.state, device.status.reason,
             device.status.tokens_per_second, device.enrolled_at, device.last_seen_at,
             device.completed_request_count, device.generated_token_count,
             device.status.embedding_tokens_per_second, yields.count, yields.p50_ms, yields.p99_ms);
  }
  FALLOW_RETURN_IF_ERROR(transaction.Commit());
  return known.value_or(device);
}

Result<std::optional<Device>> SqliteStore::FindDevice(const DeviceId& id) {
  static const std::string sql = fmt::format("SELECT {} FROM device WHERE id = ?", kDeviceColumns);
  std::optional<Device> device;
  {
    Rows rows = db_->Query(sql, id);
    if (rows.Next()) device = TakeDevice(rows);
  }
  return db_->Take(std::move(device));
}

Result<std::vector<Device>> SqliteStore::Devices() {
  static const std::string sql = fmt::format("SELECT {} FROM device ORDER BY seq", kDeviceColumns);
  std::vector<Device> devices;
  {
    Rows rows = db_->Query(sql);
    while (rows.Next()) devices.push_back(TakeDevice(rows));
  }
  return db_->Take(std::move(devices));
}

Result<std::vector<EndedLease>> SqliteStore::RemoveDevice(const DeviceId& id, WallTime now) {
  Transaction transaction(*db_, Durability::kAtCommit);
  std::vector<LeaseRow> live;
  {
    Rows rows = db_->Query(
        "SELECT lease.seq, job_seq, lease.id, device, job.id, request_indices, granted_at_ms, "
        "lease.expires_at_ms, ended_at_ms FROM lease JOIN job ON job.seq = job_seq "
        "WHERE device = ? AND ended_at_ms IS NULL",
        id);
    while (rows.Next()) live.push_back(TakeLease(rows));
  }
  auto ended = EndLeases(live, now);
  if (db_->Run("DELETE FROM device WHERE id = ?", id) == 0)
    return db_->Refuse(ErrorCode::kNotFound, fmt::format("no device {}", id.value));
  FALLOW_RETURN_IF_ERROR(transaction.Commit());
  return ended;
}

Status SqliteStore::UpdateDevice(const DeviceId& id, const DeviceProfile& profile,
                                 const DeviceStatus& status, WallTime last_seen_at) {
  const YieldFigures yields = status.yields.value_or(YieldFigures{});
  Transaction transaction(*db_, Durability::kSoon);
  const auto changed = db_->Run(
      "UPDATE device SET hostname = ?, operating_system = ?, agent_version = ?, backend = ?, "
      "processor = ?, driver = ?, memory_bytes = ?, state = ?, reason = ?, tokens_per_second = ?, "
      "embedding_tokens_per_second = ?, yield_count = ?, yield_p50_ms = ?, yield_p99_ms = ?, "
      "last_seen_at_ms = ? WHERE id = ?",
      profile.hostname, profile.operating_system, profile.agent_version, profile.backend,
      profile.processor, profile.driver, profile.memory_bytes, status.state, status.reason,
      status.tokens_per_second, status.embedding_tokens_per_second, yields.count, yields.p50_ms,
      yields.p99_ms, last_seen_at, id);
  if (changed == 0) return db_->Refuse(ErrorCode::kNotFound, fmt::format("no device {}", id.value));
  return transaction.Commit();
}

}  // namespace fallow::sqlite
