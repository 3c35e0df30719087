// A store that an earlier coordinator left is one that the present coordinator goes on with.
#include "coordinator/store/migrations/sqlite_migrations.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <string>

#include "coordinator/store/sqlite/sqlite_store.h"
#include "tests/support/stores.h"

namespace fallow {
namespace {

// A store as it was after the first `step_count` steps, with what `rows` insert.
void MakeStore(const std::string& path, std::size_t step_count, const std::string& rows) {
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &handle), SQLITE_OK);
  std::string script;
  for (const char* step : SqliteMigrations().first(step_count)) script += step;
  script += rows + fmt::format("; PRAGMA user_version = {};", step_count);
  char* error = nullptr;
  EXPECT_EQ(sqlite3_exec(handle, script.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
  sqlite3_close(handle);
}

TEST(SqliteMigrations, KeepAChatBatchAndADeviceOfTheFirstSchema) {
  const ScratchDirectory scratch;
  const std::string path = scratch.path() + "/coordinator.db";
  MakeStore(path, 1, R"sql(
    INSERT INTO device VALUES (1, 'dev_1', x'01', 'attic', 'Debian', '0.1.0', 1, 'a CPU', '',
      1000, 1, 'waiting', 12.5, 0, 0, 1, 3);
    INSERT INTO job (seq, id, account, endpoint, completion_window, input_file, input_artifact,
      model, model_artifact, state, total_count, completed_count, failed_count, prompt_tokens,
      completion_tokens, errors_json, metadata_json, created_at_ms, expires_at_ms, pending_count,
      leased_count, fingerprint)
      VALUES (1, 'batch_1', 'alice', '/v1/chat/completions', '24h', 'file-1', zeroblob(32), 'tiny',
      zeroblob(32), 3, 2, 1, 0, 5, 1, '[]', '{}', 0, 1000, 1, 0, zeroblob(32));
    INSERT INTO lease VALUES (1, 'lease_1', 'dev_1', 1, '0', 0, 1000, 500);
    INSERT INTO request VALUES (1, 0, 'r0', 0, 99, 7, 8, 3, 0, NULL, 1);
    INSERT INTO request VALUES (1, 1, 'r1', 100, 99, 8, 8, 1, 0, NULL, NULL);
    INSERT INTO attempt VALUES (1, 0, 'att_1', 400, 1, NULL, NULL, 1, 'an answer', x'07000000',
      zeroblob(32), 5))sql");

  const auto store = OpenSqliteStore(path, {});
  ASSERT_TRUE(store.has_value()) << store.error().message;
  const auto outcomes = (*store)->Outcomes(JobId("batch_1"), 0, 10, Answers::kWith);
  ASSERT_TRUE(outcomes.has_value()) << outcomes.error().message;
  ASSERT_EQ(outcomes->size(), 2u);
  EXPECT_EQ(outcomes->at(0).request, (Request{0, "r0", 0, 99, 7, 8, RequestState::kDone}));
  EXPECT_EQ(outcomes->at(0).request.input_count, 0u);
  EXPECT_EQ(outcomes->at(0).result->result.text, "an answer");
  EXPECT_TRUE(outcomes->at(0).result->result.embeddings.empty());
  const DeviceStatus status = (*store)->FindDevice(DeviceId("dev_1"))->value().status;
  EXPECT_EQ(status, (DeviceStatus{DeviceState::kIdle, "waiting", 12.5, 0, std::nullopt}));
  // And it goes on.
  const auto granted =
      (*store)->GrantLease({LeaseId("lease_2"), DeviceId("dev_1"), JobId("batch_1"), 10, 1000,
                            WallTimeFromUnixMs(600), WallTimeFromUnixMs(900)});
  ASSERT_TRUE(granted.has_value() && granted->has_value());
  EXPECT_EQ((*granted)->lease.request_indices, std::vector<std::uint64_t>{1});
}

}  // namespace
}  // namespace fallow
