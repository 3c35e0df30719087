#include "agent/daemon/policy/policy_log.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "base/bytes.h"
#include "platform/file.h"

namespace fallow {
namespace {

class DiskPolicyLogFiles : public PolicyLogFiles {
 public:
  explicit DiskPolicyLogFiles(const std::string& folder)
      : current_(folder + "/policy-log.jsonl"), old_(folder + "/policy-log.1.jsonl") {}

  Result<std::string> ReadOld() override { return ReadAll(old_); }
  Result<std::string> ReadCurrent() override { return ReadAll(current_); }

  Result<Current> Examine() override {
    const auto file = OpenInputFile(current_);
    if (!file && file.error().code == ErrorCode::kNotFound) return Current{};
    if (!file) return std::unexpected(file.error());
    Current current{.bytes = (*file)->size_bytes()};
    if (current.bytes == 0) return current;
    std::uint8_t last = 0;
    FALLOW_RETURN_IF_ERROR((*file)->ReadAt(current.bytes - 1, std::span(&last, 1)));
    current.ends_whole = last == '\n';
    return current;
  }

  Status Append(std::string_view bytes) override {
    if (output_ == nullptr) {
      FALLOW_ASSIGN_OR_RETURN(output_, OpenFileToAppend(current_));
    }
    const Status status = output_->Write(AsBytes(bytes));
    if (!status) output_.reset();
    return status;
  }

  Status PutAside() override {
    output_.reset();
    return RenameDurably(current_, old_);
  }

 private:
  static Result<std::string> ReadAll(const std::string& path) {
    const auto file = OpenInputFile(path);
    if (!file && file.error().code == ErrorCode::kNotFound) return std::string();
    if (!file) return std::unexpected(file.error());
    std::string text(std::min<std::size_t>((*file)->size_bytes(), kMaxPolicyLogReadBytes), '\0');
    const std::span into(reinterpret_cast<std::uint8_t*>(text.data()), text.size());
    FALLOW_ASSIGN_OR_RETURN(const std::size_t count, (*file)->ReadAt(0, into));
    text.resize(count);
    return text;
  }

  const std::string current_, old_;
  std::unique_ptr<OutputFile> output_;
};

std::optional<Reason> FirstReason(const Decision& decision) {
  return decision.reasons.empty() ? std::nullopt : std::optional(decision.reasons[0].reason);
}

}  // namespace

std::unique_ptr<PolicyLogFiles> NewPolicyLogFiles(const std::string& folder) {
  return std::make_unique<DiskPolicyLogFiles>(folder);
}

Result<std::string> ReadPolicyLog(PolicyLogFiles& files) {
  FALLOW_ASSIGN_OR_RETURN(std::string text, files.ReadOld());
  FALLOW_ASSIGN_OR_RETURN(const std::string current, files.ReadCurrent());
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text + current;
}

PolicyLog::PolicyLog(PolicyLogFiles& files) : files_(files) {}

bool PolicyLog::IsTransition(const PolicyEntry& entry, std::string_view settings_digest) const {
  if (!last_) return true;
  const Decision& now = entry.decision;
  const Decision& before = last_->decision;
  if (settings_digest != last_->settings_digest || now.action != before.action ||
      now.only_gpus != before.only_gpus || now.keep_memory != before.keep_memory) {
    return true;
  }
  const bool other_reason = FirstReason(now) != FirstReason(before);
  if (now.action == Action::kPause) return other_reason;
  // Held back, the share and what limits it move all the time.
  return (other_reason || std::abs(now.share - before.share) > kRecordedShareChange) &&
         entry.moment.steady - last_->recorded_at >= kShareRecordPeriod;
}

Result<bool> PolicyLog::Record(const PolicyEntry& entry) {
  const std::string settings_digest = SettingsDigest(entry.settings);
  if (!IsTransition(entry, settings_digest)) return false;
  last_ = Last{.decision = entry.decision,
               .settings_digest = settings_digest,
               .recorded_at = entry.moment.steady};
  FALLOW_RETURN_IF_ERROR(Write(EntryLine(entry), &entry));
  return true;
}

Status PolicyLog::Mark(const RunMark& mark) {
  return Write(RunMarkLine(mark), nullptr);
}

Status PolicyLog::Write(const std::string& line, const PolicyEntry* entry) {
  Status written = Append(line, entry);
  if (!written) open_ = false;  // part of a line may be there
  return written;
}

Status PolicyLog::Append(const std::string& line, const PolicyEntry* entry) {
  std::string lines;
  if (!open_) {
    FALLOW_ASSIGN_OR_RETURN(const PolicyLogFiles::Current current, files_.Examine());
    current_bytes_ = current.bytes;
    written_digest_.clear();
    if (!current.ends_whole) lines = "\n";  // a crash tore the last line: it ends here
    open_ = true;
  }
  const std::string digest = entry != nullptr ? SettingsDigest(entry->settings) : "";
  const auto with_settings = [&] {
    if (entry != nullptr && written_digest_ != digest) lines += SettingsLine(entry->settings);
    lines += line;
  };
  with_settings();
  if (current_bytes_ > 0 && current_bytes_ + lines.size() > kMaxPolicyLogBytes) {
    FALLOW_RETURN_IF_ERROR(files_.PutAside());
    current_bytes_ = 0;
    written_digest_.clear();
    lines.clear();
    with_settings();
  }
  FALLOW_RETURN_IF_ERROR(files_.Append(lines));
  current_bytes_ += lines.size();
  if (entry != nullptr) written_digest_ = digest;
  return {};
}

PolicyEntry DecideEntry(const Settings& settings, const Signals& signals, const Moment& now,
                        PolicyMemory& memory) {
  PolicyEntry entry{.moment = now,
                    .settings = settings,
                    .signals = Bounded(signals),
                    .before = memory,
                    .decision = {}};
  entry.decision = Decide(settings, entry.signals, now, memory);
  return entry;
}

}  // namespace fallow
