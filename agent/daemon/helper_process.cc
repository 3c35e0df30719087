#include "agent/daemon/helper_process.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "base/log.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstRestart{1'000};
constexpr milliseconds kMaxRestart{60'000};
// One that ran for so long was well: its end has nothing to do with those before.
constexpr milliseconds kIsWellAfter{300'000};
constexpr std::size_t kMaxLineBytes = 200;

}  // namespace

HelperProcess::HelperProcess(Loop& loop, Random& random, SubprocessLauncher& launcher,
                             std::vector<std::string> command)
    : loop_(loop),
      launcher_(launcher),
      command_(std::move(command)),
      backoff_(random, kFirstRestart, kMaxRestart) {
  Launch();
}

HelperProcess::~HelperProcess() = default;

std::optional<std::int64_t> HelperProcess::process_id() const {
  if (process_ == nullptr) return std::nullopt;
  return process_->process_id();
}

void HelperProcess::Launch() {
  gone_.reset();
  last_line_.clear();
  SubprocessOptions options;
  options.arguments = command_;
  options.on_error_line = [this](std::string_view line) {
    last_line_ = line.substr(0, kMaxLineBytes);
    LOG_INFO("session helper says: {}", last_line_);
  };
  options.on_exit = [this](SubprocessExit exit) { OnExit(exit); };
  auto process = launcher_.Launch(std::move(options));
  if (!process) return Retry(process.error().message);
  process_ = *std::move(process);
  timer_ = loop_.After(kIsWellAfter, [this] { backoff_.Reset(); });
}

void HelperProcess::OnExit(SubprocessExit exit) {
  gone_ = std::move(process_);
  std::string why = exit.signal != 0 ? fmt::format("was killed by signal {}", exit.signal)
                                     : fmt::format("ended with code {}", exit.code);
  if (!last_line_.empty()) why += fmt::format(" (its last words: {})", last_line_);
  Retry("the session helper " + why);
}

void HelperProcess::Retry(std::string why) {
  trouble_ = std::move(why);
  const milliseconds delay = backoff_.Next();
  LOG_WARN("agent: {}; next try in {} ms", trouble_, delay.count());
  timer_ = loop_.After(delay, [this] { Launch(); });
}

}  // namespace fallow
