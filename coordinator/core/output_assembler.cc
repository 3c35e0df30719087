#include "coordinator/core/output_assembler.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/log.h"
#include "coordinator/core/completion.h"
#include "coordinator/core/limits.h"

namespace fallow {
namespace {

class OutputAssembler : public Task {
 public:
  OutputAssembler(Job job, std::chrono::milliseconds file_lifetime, Store& store,
                  ArtifactStore& artifacts, const Clock& clock, Random& random,
                  std::function<void(const Job&)> on_end)
      : job_(std::move(job)),
        file_lifetime_(file_lifetime),
        store_(store),
        artifacts_(artifacts),
        clock_(clock),
        random_(random),
        on_end_(std::move(on_end)) {}

  SliceOutcome RunSlice() override {
    auto more = WriteSlice();
    if (!more) return Failed(more.error());
    if (*more) return SliceOutcome::kMore;
    auto job = Finish();
    if (!job) return Failed(job.error());
    LOG_INFO("assembler: job={} state={} completed={} failed={}", job->id.value,
             JobStateName(job->state), job->counts.completed, job->counts.failed);
    on_end_(*job);
    return SliceOutcome::kDone;
  }

 private:
  // Writes the next requests' lines; false when there are none left.
  Result<bool> WriteSlice() {
    FALLOW_ASSIGN_OR_RETURN(
        const auto outcomes,
        store_.Outcomes(job_.id, next_index_, kAssemblySliceRequests, Answers::kWith));
    std::string output, errors;
    for (const RequestOutcome& outcome : outcomes) {
      if (outcome.result && !outcome.result->result.error) {
        output += OutputLine(job_, outcome);
      } else {
        errors += ErrorLine(job_, outcome);
      }
    }
    FALLOW_RETURN_IF_ERROR(Append(output_, output));
    FALLOW_RETURN_IF_ERROR(Append(errors_, errors));
    next_index_ += outcomes.size();
    return !outcomes.empty();
  }

  Status Append(std::unique_ptr<ArtifactWriter>& writer, std::string_view text) {
    if (text.empty()) return {};
    if (writer == nullptr) {
      FALLOW_ASSIGN_OR_RETURN(writer, artifacts_.Create());
    }
    return writer->Write(AsBytes(text));
  }

  Result<Job> Finish() {
    FALLOW_ASSIGN_OR_RETURN(const auto output, MakeFile(output_.get(), "output"));
    FALLOW_ASSIGN_OR_RETURN(const auto errors, MakeFile(errors_.get(), "errors"));
    return store_.FinishJob(job_.id, output, errors, clock_.Wall());
  }

  Result<std::optional<File>> MakeFile(ArtifactWriter* writer, std::string_view name) {
    if (writer == nullptr) return std::nullopt;
    FALLOW_ASSIGN_OR_RETURN(const ArtifactInfo info, writer->Finish());
    File file;
    file.id = FileId("file-" + random_.Hex(12));
    file.account = job_.account;
    file.purpose = FilePurpose::kBatchOutput;
    file.filename = fmt::format("{}_{}.jsonl", job_.id.value, name);
    file.artifact = info.digest;
    file.size_bytes = info.size_bytes;
    file.created_at = clock_.Wall();
    file.expires_at = file.created_at + file_lifetime_;
    return file;
  }

  SliceOutcome Failed(const Error& error) {
    output_.reset();
    errors_.reset();
    next_index_ = 0;
    // The job is gone or has ended elsewhere.
    if (error.code == ErrorCode::kNotFound || error.code == ErrorCode::kFailedPrecondition) {
      LOG_WARN("assembler: given up job={} error={}", job_.id.value, error.message);
      return SliceOutcome::kDone;
    }
    LOG_ERROR("assembler: will try again job={} error={}", job_.id.value, error.message);
    return SliceOutcome::kRetry;
  }

  Job job_;
  std::chrono::milliseconds file_lifetime_;
  Store& store_;
  ArtifactStore& artifacts_;
  const Clock& clock_;
  Random& random_;
  std::function<void(const Job&)> on_end_;
  std::uint64_t next_index_ = 0;
  std::unique_ptr<ArtifactWriter> output_, errors_;  // made when there is a first line
};

}  // namespace

std::unique_ptr<Task> NewOutputAssembler(Job job, std::chrono::milliseconds file_lifetime,
                                         Store& store, ArtifactStore& artifacts, const Clock& clock,
                                         Random& random, std::function<void(const Job&)> on_end) {
  return std::make_unique<OutputAssembler>(std::move(job), file_lifetime, store, artifacts, clock,
                                           random, std::move(on_end));
}

}  // namespace fallow
