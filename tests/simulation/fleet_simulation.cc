#include "tests/simulation/fleet_simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "coordinator/artifacts/memory/memory_artifact_store.h"
#include "coordinator/store/memory/memory_store.h"
#include "platform/fake/clock.h"
#include "platform/fake/fake_loop.h"
#include "tests/simulation/simulated_device.h"

namespace fallow::simulation {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kStep = 500ms;
constexpr int kStepsBetweenChecks = 40;
const AccountId kAccounts[] = {AccountId("acct_a"), AccountId("acct_b")};

std::string BatchText(std::size_t count, std::uint64_t salt) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += fmt::format(
        R"({{"custom_id":"r{}","method":"POST","url":"/v1/chat/completions","body":{{"model":"tiny",)"
        R"("messages":[{{"role":"user","content":"question {} of {}"}}],"temperature":0,"max_tokens":8}}}})"
        "\n",
        i, i, salt);
  }
  return text;
}

// A coordinator with its store and disk, which outlive it.
class Host {
 public:
  explicit Host(Random& random) : random_(random), store_(NewMemoryStore()) {}

  Status Start() {
    FALLOW_ASSIGN_OR_RETURN(coordinator_,
                            NewCoordinator(loop_, clock_, random_, *store_, artifacts_, {}));
    return {};
  }
  // As SIGKILL: what is in the store stays, everything else is gone.
  void Kill() { coordinator_.reset(); }

  Status AddModel() {
    Model model;
    model.id = ModelId("tiny");
    model.artifact = Sha256::Of("weights");
    model.size_bytes = 1000;
    model.card_json = R"({"context_length":64})";
    model.created_at = clock_.Wall();
    return store_->AddModel(model);
  }

  Result<Job> Submit(const std::string& text, const AccountId& account) {
    FALLOW_ASSIGN_OR_RETURN(auto upload, coordinator_->files().StartUpload());
    FALLOW_RETURN_IF_ERROR(upload->Write(AsBytes(text)));
    FALLOW_ASSIGN_OR_RETURN(const File file,
                            upload->Finish(account, FilePurpose::kBatch, "batch.jsonl"));
    return coordinator_->jobs().Create({account, file.id, "/v1/chat/completions", "24h", {}});
  }

  Result<std::string> Content(const std::optional<FileId>& id) {
    if (!id.has_value()) return std::string();
    FALLOW_ASSIGN_OR_RETURN(const auto file, store_->FindFile(*id));
    if (!file.has_value()) return Fail(ErrorCode::kDataLoss, "the store has no file " + id->value);
    FALLOW_ASSIGN_OR_RETURN(const auto reader, artifacts_.Open(file->artifact));
    std::string text(file->size_bytes, '\0');
    FALLOW_RETURN_IF_ERROR(
        reader->ReadAt(0, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()}));
    return text;
  }

  Coordinator* coordinator() { return coordinator_.get(); }
  Store& store() { return *store_; }
  MemoryArtifactStore& artifacts() { return artifacts_; }
  SimulatedClock& clock() { return clock_; }
  FakeLoop& loop() { return loop_; }

 private:
  Random& random_;
  SimulatedClock clock_;
  FakeLoop loop_{clock_};
  std::unique_ptr<Store> store_;
  MemoryArtifactStore artifacts_;
  std::unique_ptr<Coordinator> coordinator_;
};

// The files a job must end with: those of one device that nothing disturbs.
struct Expected {
  std::string output, errors;
};
Result<Expected> RunUndisturbed(const std::string& text) {
  Dice dice(1);
  SimulationReport ignored;
  Host host(dice.random());
  FALLOW_RETURN_IF_ERROR(host.Start());
  FALLOW_RETURN_IF_ERROR(host.AddModel());
  FALLOW_ASSIGN_OR_RETURN(const Job job, host.Submit(text, kAccounts[0]));
  SimulatedDevice device(1, dice, ignored, [](const JobId&, const std::vector<AttemptResult>&) {});
  constexpr int kMaxSteps = 100'000;
  for (int i = 0; i < kMaxSteps; ++i) {
    host.loop().Advance(kStep);
    FALLOW_RETURN_IF_ERROR(device.Live(host.coordinator(), host.clock().Steady(), kStep, false));
    FALLOW_ASSIGN_OR_RETURN(const auto now, host.store().FindJob(job.id));
    if (!now.has_value() || !IsFinal(now->state)) continue;
    Expected expected;
    FALLOW_ASSIGN_OR_RETURN(expected.output, host.Content(now->output_file));
    FALLOW_ASSIGN_OR_RETURN(expected.errors, host.Content(now->error_file));
    return expected;
  }
  return Fail(ErrorCode::kDeadlineExceeded, "a job that nothing disturbs does not end");
}

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options)
      : options_(options), dice_(options.seed), host_(dice_.random()) {}

  SimulationReport Run() {
    Check(host_.Start());
    Check(host_.AddModel());
    for (std::size_t i = 0; i < options_.job_count; ++i) {
      plans_.push_back({.text = BatchText(dice_.Between(1, options_.max_requests_per_job), i),
                        .account = kAccounts[dice_.Below(std::size(kAccounts))],
                        .submit_at = std::chrono::seconds(dice_.Below(Seconds(options_.trouble))),
                        .cancel_after = dice_.OneIn(6) ? std::optional(std::chrono::seconds(
                                                             dice_.Between(1, 300)))
                                                       : std::nullopt});
    }
    for (std::size_t i = 0; i < options_.device_count; ++i) {
      devices_.push_back(std::make_unique<SimulatedDevice>(
          i + 1, dice_, report_,
          [this](const JobId& job, const std::vector<AttemptResult>& results) {
            Remember(job, results);
          }));
    }
    const SteadyTime start = host_.clock().Steady();
    while (report_.violations.empty()) {
      const auto elapsed = host_.clock().Steady() - start;
      report_.simulated = std::chrono::duration_cast<std::chrono::seconds>(elapsed);
      const bool trouble = elapsed < options_.trouble;
      if (!trouble && AllEnded()) break;
      if (elapsed > options_.trouble + options_.patience) {
        Violate("{} after the trouble ended, not all jobs have", options_.patience.count());
        break;
      }
      Step(elapsed, trouble);
    }
    if (report_.violations.empty()) CheckLeasesAndAcknowledged();
    for (const Plan& plan : plans_) {
      if (report_.violations.empty()) CheckEnd(plan);
    }
    return std::move(report_);
  }

 private:
  struct Plan {
    std::string text;
    AccountId account;
    std::chrono::seconds submit_at;
    std::optional<std::chrono::seconds> cancel_after;
    std::optional<JobId> job = std::nullopt;
  };

  static std::uint64_t Seconds(std::chrono::seconds duration) {
    return static_cast<std::uint64_t>(duration.count());
  }

  template <class... Parts>
  void Violate(fmt::format_string<Parts...> format, Parts&&... parts) {
    report_.violations.push_back(fmt::format("at {} s: ", report_.simulated.count()) +
                                 fmt::format(format, std::forward<Parts>(parts)...));
  }
  void Check(const Status& status) {
    if (!status.has_value()) Violate("{}", status.error().message);
  }

  void Step(SteadyTime::duration elapsed, bool trouble) {
    host_.loop().Advance(kStep);
    MeetTrouble(trouble);
    for (Plan& plan : plans_) Act(plan, elapsed);
    for (const auto& device : devices_) {
      Check(device->Live(host_.coordinator(), host_.clock().Steady(), kStep, trouble));
    }
    if (++steps_ % kStepsBetweenChecks == 0) CheckLeasesAndAcknowledged();
  }

  void MeetTrouble(bool trouble) {
    constexpr std::uint64_t kKillChances = 600, kDiskChances = 2000;
    const SteadyTime now = host_.clock().Steady();
    if (trouble && host_.coordinator() != nullptr && dice_.OneIn(kKillChances)) {
      ++report_.restarts;
      host_.Kill();
      down_until_ = now + std::chrono::seconds(dice_.Between(0, 120));
    }
    if (host_.coordinator() == nullptr && (now >= down_until_ || !trouble)) Check(host_.Start());
    if (trouble && now >= disk_full_until_ && dice_.OneIn(kDiskChances)) {
      ++report_.full_disks;
      disk_full_until_ = now + std::chrono::seconds(dice_.Between(1, 120));
    }
    host_.artifacts().SetDiskFull(trouble && now < disk_full_until_);
  }

  // Submits and cancels when it is time; a submitter tries again until it works.
  void Act(Plan& plan, SteadyTime::duration elapsed) {
    if (host_.coordinator() == nullptr) return;
    if (!plan.job.has_value()) {
      if (elapsed < plan.submit_at) return;
      const auto job = host_.Submit(plan.text, plan.account);
      if (job.has_value()) {
        plan.job = job->id;
        report_.requests +=
            static_cast<std::uint64_t>(std::count(plan.text.begin(), plan.text.end(), '\n'));
      } else if (job.error().code != ErrorCode::kResourceExhausted) {
        Violate("submitting failed: {}", job.error().message);
      }
    } else if (plan.cancel_after.has_value() && elapsed > plan.submit_at + *plan.cancel_after) {
      plan.cancel_after.reset();
      const auto job = host_.coordinator()->jobs().Cancel(plan.account, *plan.job);
      if (job.has_value()) ++report_.cancelled_jobs;  // else it had ended
    }
  }

  void Remember(const JobId& job, const std::vector<AttemptResult>& results) {
    for (const AttemptResult& result : results) acknowledged_[job].insert(result.request_index);
  }

  bool AllEnded() {
    for (const Plan& plan : plans_) {
      if (!plan.job.has_value()) return false;
      const auto job = host_.store().FindJob(*plan.job);
      if (!job.has_value() || !job->has_value() || !IsFinal((*job)->state)) return false;
    }
    return true;
  }

  // Rule 1: a request is under one live lease at most. Rule 2: what was acknowledged is settled,
  // for ever. Rule 3: a job's counts are those of its settled requests.
  void CheckLeasesAndAcknowledged() {
    std::set<std::pair<JobId, std::uint64_t>> leased;
    const auto leases = host_.store().LiveLeases();
    if (!leases.has_value()) return Violate("{}", leases.error().message);
    for (const Lease& lease : *leases) {
      for (const std::uint64_t index : lease.request_indices) {
        if (!leased.emplace(lease.job, index).second) {
          Violate("request {} of {} is under two live leases", index, lease.job.value);
        }
      }
    }
    for (const Plan& plan : plans_) {
      if (plan.job.has_value()) CheckSettled(*plan.job);
    }
  }

  void CheckSettled(const JobId& id) {
    const auto job = host_.store().FindJob(id);
    const auto outcomes =
        host_.store().Outcomes(id, 0, options_.max_requests_per_job, Answers::kWith);
    if (!job.has_value() || !job->has_value() || !outcomes.has_value())
      return Violate("{} is lost", id.value);
    std::uint64_t completed = 0, failed = 0;
    for (const RequestOutcome& outcome : *outcomes) {
      const std::uint64_t index = outcome.request.index;
      if (!outcome.result.has_value()) {
        if (acknowledged_[id].contains(index))
          Violate("request {} of {} was acknowledged and is lost", index, id.value);
        continue;
      }
      ++(outcome.result->result.error.has_value() ? failed : completed);
    }
    const JobCounts& counts = (*job)->counts;
    if (counts.completed != completed || counts.failed != failed) {
      Violate("{} counts {} completed and {} failed requests, it has {} and {}", id.value,
              counts.completed, counts.failed, completed, failed);
    }
  }

  // Rule 4: a job's files are those of an undisturbed run; a cancelled one's answers are some of
  // them, in order.
  void CheckEnd(const Plan& plan) {
    const auto job = host_.store().FindJob(*plan.job);
    const auto expected = RunUndisturbed(plan.text);
    if (!expected.has_value()) return Violate("{}", expected.error().message);
    const auto output = host_.Content((*job)->output_file),
               errors = host_.Content((*job)->error_file);
    if (!output.has_value()) return Violate("{}", output.error().message);
    if (!errors.has_value()) return Violate("{}", errors.error().message);
    const std::string& id = plan.job->value;
    switch ((*job)->state) {
      case JobState::kCompleted:
        if (*output != expected->output)
          Violate("{}: its output is not that of an undisturbed run", id);
        if (*errors != expected->errors)
          Violate("{}: its errors are not those of an undisturbed run", id);
        return;
      case JobState::kCancelled:
        if (!IsSubsequence(*output, expected->output))
          Violate("{}: a cancelled job's answers are not right", id);
        return;
      default:
        Violate("{} ended as {}", id, JobStateName((*job)->state));
    }
  }

  // Whether `part`'s lines are lines of `whole`, in the same order.
  static bool IsSubsequence(const std::string& part, const std::string& whole) {
    std::istringstream parts(part), wholes(whole);
    std::string wanted, line;
    while (std::getline(parts, wanted)) {
      do {
        if (!std::getline(wholes, line)) return false;
      } while (line != wanted);
    }
    return true;
  }

  const SimulationOptions options_;
  Dice dice_;
  SimulationReport report_;
  Host host_;
  std::vector<Plan> plans_;
  std::vector<std::unique_ptr<SimulatedDevice>> devices_;
  std::map<JobId, std::set<std::uint64_t>> acknowledged_;
  SteadyTime down_until_{}, disk_full_until_{};
  std::uint64_t steps_ = 0;
};

}  // namespace

SimulationReport Simulate(const SimulationOptions& options) {
  return Simulation(options).Run();
}

}  // namespace fallow::simulation
