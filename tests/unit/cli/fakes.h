// Stand-ins for the CLI's seams: a coordinator that answers from a script, a console that
// remembers.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cli/commands.h"

namespace fallow::cli {

class FakeConsole : public Console {
 public:
  void Print(std::string_view text) override { printed += text; }
  void Note(std::string_view line) override { notes.emplace_back(line); }
  void ShowStatus(std::string_view line) override { statuses.emplace_back(line); }
  bool has_status_line() const override { return is_terminal; }
  std::size_t status_width() const override { return 100; }
  std::optional<std::size_t> table_width() const override { return std::nullopt; }
  Glyphs glyphs() const override { return Glyphs::kAscii; }

  std::string AllNotes() const {
    std::string all;
    for (const std::string& note : notes) all += note + "\n";
    return all;
  }

  bool is_terminal = false;
  std::string printed;
  std::vector<std::string> notes, statuses;
};

// Answers each "METHOD path" with its replies in turn; the last one again and again.
class FakeApi : public Api {
 public:
  void Answer(const std::string& call, Result<Json> reply) {
    replies_[call].push_back(std::move(reply));
  }

  Result<Json> Call(ApiCall call) override {
    const std::string name = call.method + " " + call.path;
    if (call.body_file.has_value()) {
      std::ifstream file(*call.body_file, std::ios::binary);
      uploaded.assign(std::istreambuf_iterator<char>(file), {});
    }
    if (!call.body_pieces.empty()) uploaded.clear();
    for (const ByteView piece : call.body_pieces) uploaded += AsText(piece);
    calls.push_back(std::move(call));
    const auto found = replies_.find(name);
    if (found == replies_.end()) return Fail(ErrorCode::kNotFound, "no such call: " + name);
    auto reply = found->second.front();
    if (found->second.size() > 1) found->second.pop_front();
    return reply;
  }
  Result<std::uint64_t> Download(const std::string& path, const std::string& destination) override {
    downloads.emplace_back(path, destination);
    return 1234;
  }
  Status Pause(std::chrono::milliseconds duration) override {
    paused += duration;
    if (pauses_until_interrupt > 0 && --pauses_until_interrupt == 0)
      return Fail(ErrorCode::kCancelled, "interrupted");
    return {};
  }

  std::vector<ApiCall> calls;
  std::string uploaded;
  std::vector<std::pair<std::string, std::string>> downloads;
  std::chrono::milliseconds paused{0};
  int pauses_until_interrupt = 0;  // 0: never

 private:
  std::map<std::string, std::deque<Result<Json>>> replies_;
};

class FixedClock : public Clock {
 public:
  WallTime Wall() const override { return WallTimeFromUnixMs(1'800'000'000'000); }
  SteadyTime Steady() const override { return {}; }
};

inline Json JobJson(const std::string& state, int completed, int failed = 0, int total = 200) {
  return Json{{"id", "batch_7"},
              {"object", "batch"},
              {"status", state},
              {"model", "field-normalizer"},
              {"input_file_id", "file-1"},
              {"output_file_id", state == "completed" && completed > 0 ? Json("file-2") : Json()},
              {"error_file_id", state == "completed" && failed > 0 ? Json("file-3") : Json()},
              {"created_at", 1'800'000'000},
              {"completed_at", state == "completed" ? Json(1'800'000'014) : Json()},
              {"request_counts", {{"total", total}, {"completed", completed}, {"failed", failed}}},
              {"usage", {{"input_tokens", 5600}, {"output_tokens", 1530}}},
              {"progress",
               {{"tokens_per_second", 1240.2},
                {"generated_tokens", 900},
                {"devices", 1},
                {"seconds_left", 2.4}}}};
}

// A folder of its own for each test, and for each that runs at the same time in another build.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::string path = (std::filesystem::path(testing::TempDir()) /
                        fmt::format("{}.{}-XXXXXX", test->test_suite_name(), test->name()))
                           .string();
    if (mkdtemp(path.data()) == nullptr) ADD_FAILURE() << "cannot make " << path;
    path_ = path;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string File(const std::string& name) const { return path_ / name; }
  std::string Write(const std::string& name, std::string_view content) const {
    std::ofstream(File(name), std::ios::binary) << content;
    return File(name);
  }
  static std::string Read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path path_;
};

}  // namespace fallow::cli
