// The explain log: every transition of the policy, and when agents began and ended, kept on disk
// within 2 MiB.
//
// A file of lines, policy-log.jsonl, that is put aside once it is full; one that was put aside is
// kept. A line that a crash tore is ignored when it is read. Threading: one thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/daemon/policy/policy_entry.h"
#include "base/result.h"

namespace fallow {

inline constexpr std::size_t kMaxPolicyLogBytes = 1024 * 1024;  // of each of the two files
// What is read of each, and of both together.
inline constexpr std::size_t kMaxPolicyLogReadBytes = kMaxPolicyLogBytes + 2 * kMaxEntryBytes;
inline constexpr std::size_t kMaxPolicyLogTextBytes = 2 * kMaxPolicyLogReadBytes + 1;
// While work goes on, a change of the share is recorded if it is this large, and this rarely.
inline constexpr double kRecordedShareChange = 0.1;
inline constexpr std::chrono::milliseconds kShareRecordPeriod{60'000};

// Where the lines are kept.
class PolicyLogFiles {
 public:
  virtual ~PolicyLogFiles() = default;
  virtual Result<std::string> ReadOld() = 0;      // empty if there is none
  virtual Result<std::string> ReadCurrent() = 0;  // likewise
  struct Current {
    std::size_t bytes = 0;
    bool ends_whole = true;  // with a newline, or empty
  };
  virtual Result<Current> Examine() = 0;
  virtual Status Append(std::string_view bytes) = 0;
  virtual Status PutAside() = 0;  // current becomes old, in place of the one before
};
// STATE/policy-log.jsonl and policy-log.1.jsonl in `folder`, which must be there.
std::unique_ptr<PolicyLogFiles> NewPolicyLogFiles(const std::string& folder);
// The lines of both, the old ones first; of a longer file its beginning.
Result<std::string> ReadPolicyLog(PolicyLogFiles& files);

class PolicyLog {
 public:
  // `files` must outlive the log.
  explicit PolicyLog(PolicyLogFiles& files);

  // Keeps the entry if it is a transition: another action or first reason, other GPUs, other
  // settings, a model given back; while it works held back, a share or a cause that changed much,
  // once a minute. Returns whether it did. An error leaves the log usable; the entry is lost.
  Result<bool> Record(const PolicyEntry& entry);
  // A line of its own, whenever it comes.
  Status Mark(const RunMark& mark);

 private:
  struct Last {
    Decision decision;
    std::string settings_digest;
    SteadyTime recorded_at;
  };
  bool IsTransition(const PolicyEntry& entry, std::string_view settings_digest) const;
  // `entry`: what the line needs the settings of, if it needs any.
  Status Write(const std::string& line, const PolicyEntry* entry);
  Status Append(const std::string& line, const PolicyEntry* entry);

  PolicyLogFiles& files_;
  bool open_ = false;
  std::size_t current_bytes_ = 0;
  std::string written_digest_;  // of the settings last written to the current file
  std::optional<Last> last_;
};

// Decides: what PolicyLog::Record takes.
PolicyEntry DecideEntry(const Settings& settings, const Signals& signals, const Moment& now,
                        PolicyMemory& memory);

}  // namespace fallow
