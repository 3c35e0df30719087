#include "coordinator/core/input_validator.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/log.h"
#include "coordinator/core/batch_line.h"
#include "coordinator/core/completion.h"
#include "coordinator/core/embedding_model.h"
#include "coordinator/core/limits.h"
#include "coordinator/core/line_splitter.h"
#include "coordinator/core/model_facts.h"

namespace fallow {
namespace {

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t") == std::string_view::npos;
}

class InputValidator : public Task {
 public:
  InputValidator(Job job, Store& store, ArtifactStore& artifacts, const Clock& clock,
                 std::function<void(const Job&)> on_end)
      : job_(std::move(job)),
        store_(store),
        artifacts_(artifacts),
        clock_(clock),
        on_end_(std::move(on_end)) {}

  SliceOutcome RunSlice() override {
    if (progress_ == nullptr) {
      auto reader = artifacts_.Open(job_.input_artifact);
      if (!reader) return InputLost(reader.error());
      progress_ = std::make_unique<Progress>(*std::move(reader));
    }
    Bytes& slice = progress_->slice;
    slice.resize(kValidationSliceBytes);
    const auto count = progress_->reader->ReadAt(progress_->offset, slice);
    if (!count) return InputLost(count.error());
    progress_->offset += *count;
    const auto on_line = [this](const SplitLine& line) { return OnLine(line); };
    progress_->splitter.Feed(ByteView(slice).first(*count), on_line);
    if (store_error_) return StoreFailed(*std::exchange(store_error_, std::nullopt));
    const bool ended = progress_->offset >= progress_->reader->size_bytes();
    if (!ended && !progress_->stopped) return SliceOutcome::kMore;
    if (ended && !progress_->stopped) progress_->splitter.Finish(on_line);
    if (store_error_) return StoreFailed(*std::exchange(store_error_, std::nullopt));
    return End();
  }

 private:
  // All that a restart forgets.
  struct Progress {
    explicit Progress(std::unique_ptr<ArtifactReader> input) : reader(std::move(input)) {}

    std::unique_ptr<ArtifactReader> reader;
    Bytes slice;
    std::uint64_t offset = 0;
    LineSplitter splitter{kMaxBatchLineBytes};
    bool stopped = false;  // there are errors enough
    std::vector<Request> requests;
    std::unordered_map<std::string, std::uint64_t> line_of_custom_id;
    std::optional<Model> model;  // the job's
    std::uint32_t context_length = 0;
    std::uint64_t input_count = 0;  // of all lines
    std::vector<JobError> errors;
  };

  bool OnLine(const SplitLine& line) {
    if (line.number > kMaxBatchLines) {
      AddError({"too_many_lines", fmt::format("a batch has at most {} lines", kMaxBatchLines), "",
                line.number});
      progress_->stopped = true;
    } else if (line.too_long) {
      AddError({"line_too_long",
                fmt::format("the line has {} bytes, at most {} are allowed", line.length,
                            kMaxBatchLineBytes),
                "", line.number});
    } else if (!IsBlank(line.text)) {
      CheckLine(line);
    }
    return !progress_->stopped && !store_error_;
  }

  void CheckLine(const SplitLine& line) {
    auto parsed = ParseBatchLine(line.text, job_.endpoint);
    if (!parsed) {
      parsed.error().line = line.number;
      return AddError(std::move(parsed).error());
    }
    if (!CheckModel(parsed->model, line.number)) return;
    if (job_.asks_for_vectors() && !CheckInputs(*parsed, line.number)) return;
    const auto [earlier, is_new] =
        progress_->line_of_custom_id.try_emplace(parsed->custom_id, line.number);
    if (!is_new) {
      return AddError({"duplicate_custom_id",
                       fmt::format("custom_id \"{}\" was used on line {} already",
                                   parsed->custom_id, earlier->second),
                       "custom_id", line.number});
    }
    Request request;
    request.index = progress_->requests.size();
    request.custom_id = std::move(parsed->custom_id);
    request.offset = line.offset;
    request.length = static_cast<std::uint32_t>(line.length);
    request.assigned_seed = AssignedSeed(job_.input_artifact, request.index);
    if (job_.asks_for_vectors()) {
      request.input_count = static_cast<std::uint32_t>(parsed->request.inputs.size());
      request.vector_encoding = parsed->vector_encoding;
    } else {
      request.max_tokens =
          EffectiveMaxTokens(parsed->request.max_tokens, progress_->context_length);
    }
    progress_->requests.push_back(std::move(request));
  }

  // The first known model is the job's.
  bool CheckModel(const ModelId& id, std::uint64_t line_number) {
    if (progress_->model && progress_->model->id == id) return true;
    auto found = store_.FindModel(id);
    if (!found) {
      store_error_ = found.error();
      return false;
    }
    if (!*found) {
      AddError({"model_not_found", fmt::format("there is no model \"{}\"", id.value), "body.model",
                line_number});
      return false;
    }
    if (!progress_->model) {
      if (auto problem = WrongEndpoint(**found, job_.endpoint)) {
        problem->line = line_number;
        AddError(*std::move(problem));
        progress_->stopped = true;  // it is so of every line
        return false;
      }
      progress_->context_length = ContextLength(**found);
      progress_->model = *std::move(*found);
      return true;
    }
    AddError({"mixed_models",
              fmt::format("the line asks for model \"{}\", lines before it for \"{}\": a batch has "
                          "one model",
                          id.value, progress_->model->id.value),
              "body.model", line_number});
    return false;
  }

  bool CheckInputs(const BatchLine& line, std::uint64_t line_number) {
    if (auto problem = WrongVectors(*progress_->model, line)) {
      problem->line = line_number;
      AddError(*std::move(problem));
      return false;
    }
    progress_->input_count += line.request.inputs.size();
    if (progress_->input_count <= kMaxBatchInputs) return true;
    AddError({"too_many_inputs",
              fmt::format("with this line the batch has more than {} inputs", kMaxBatchInputs),
              "body.input", line_number});
    progress_->stopped = true;
    return false;
  }

  void AddError(JobError error) {
    progress_->errors.push_back(std::move(error));
    if (progress_->errors.size() >= kMaxJobErrors) progress_->stopped = true;
  }

  SliceOutcome End() {
    if (progress_->errors.empty() && progress_->requests.empty())
      AddError({"empty_file", "the file has no requests", "", 0});
    if (!progress_->errors.empty()) return Fail(progress_->errors);
    const Model& model = *progress_->model;
    return Ended(
        store_.StartJob(job_.id, model.id, model.artifact, progress_->requests, clock_.Wall()));
  }

  SliceOutcome Fail(std::vector<JobError> errors) {
    return Ended(store_.FailJob(job_.id, errors, clock_.Wall()));
  }

  SliceOutcome Ended(Result<Job> job) {
    if (job) {
      LOG_INFO("validator: job={} state={} requests={} errors={}", job_.id.value,
               JobStateName(job->state), job->counts.total, job->errors.size());
      on_end_(*job);
      return SliceOutcome::kDone;
    }
    if (job.error().code == ErrorCode::kNotFound) return SliceOutcome::kDone;
    if (job.error().code == ErrorCode::kFailedPrecondition) {
      // Cancelled meanwhile, or the model went away: looking again tells which.
      const auto now = store_.FindJob(job_.id);
      if (now && *now && (*now)->state != JobState::kValidating) return SliceOutcome::kDone;
    }
    return StoreFailed(job.error());
  }

  SliceOutcome InputLost(const Error& error) {
    if (error.code == ErrorCode::kResourceExhausted || error.code == ErrorCode::kUnavailable)
      return StoreFailed(error);
    LOG_ERROR("validator: cannot read the input job={} error={}", job_.id.value, error.message);
    return Fail(
        {{"input_file_unreadable", "the input file cannot be read: upload it again", "", 0}});
  }

  SliceOutcome StoreFailed(const Error& error) {
    LOG_WARN("validator: will try again job={} error={}", job_.id.value, error.message);
    progress_.reset();
    return SliceOutcome::kRetry;
  }

  Job job_;
  Store& store_;
  ArtifactStore& artifacts_;
  const Clock& clock_;
  std::function<void(const Job&)> on_end_;
  std::unique_ptr<Progress> progress_;
  std::optional<Error> store_error_;
};

}  // namespace

std::unique_ptr<Task> NewInputValidator(Job job, Store& store, ArtifactStore& artifacts,
                                        const Clock& clock,
                                        std::function<void(const Job&)> on_end) {
  return std::make_unique<InputValidator>(std::move(job), store, artifacts, clock,
                                          std::move(on_end));
}

}  // namespace fallow
