#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <ranges>
#include <utility>

#include "cli/batch_file.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/records.h"

namespace fallow::cli {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kPollPeriod = 250ms;
// Near the end a look more often costs little and ends the wait sooner.
constexpr std::chrono::milliseconds kShortestPollPeriod = 100ms;
constexpr auto kLongestRetryPause = 5s;
// A coordinator that restarts is back in seconds; one that is away for so long needs a person.
constexpr auto kOutagePatience = 10min;
// A metadata value may have 512 characters.
constexpr std::size_t kMaxMetadataColumns = 200;
// Of a file's problems, after a wait: the first tell what is wrong, more would push them off the
// screen.
constexpr std::size_t kProblemsAfterWait = 10;

std::chrono::milliseconds PollPeriod(const JobRecord& job) {
  if (job.state == "finalizing") return kShortestPollPeriod;
  if (!job.seconds_left.has_value()) return kPollPeriod;
  const double left_s = std::clamp(*job.seconds_left, 0.0, 10.0);
  const std::chrono::milliseconds quarter(static_cast<std::int64_t>(left_s * 250));
  return std::clamp(quarter, kShortestPollPeriod, kPollPeriod);
}

// The unfinished part of `fallow wait ID` that a person can go on with.
std::string HowToGoOn(const std::string& job_id) {
  return fmt::format("the job goes on; `fallow wait {}` watches it, `fallow cancel {}` ends it",
                     job_id, job_id);
}

Result<Json> FetchJob(Session& session, const std::string& job_id) {
  return session.api.Call({.path = "/api/jobs/" + PathSegment(job_id)});
}

// Follows a job to its end, through outages of the coordinator. Returns its last record.
Result<Json> Follow(Session& session, const std::string& job_id) {
  ProgressView view(session.console);
  std::chrono::milliseconds outage{0}, pause = kPollPeriod;
  while (true) {
    auto reply = FetchJob(session, job_id);
    if (reply.has_value()) {
      FALLOW_ASSIGN_OR_RETURN(const JobRecord job, ReadJob(*reply));
      view.Show(job, session.clock.Steady());
      if (job.is_final()) return reply;
      outage = 0ms;
      pause = PollPeriod(job);
    } else if (const ErrorCode code = reply.error().code; code == ErrorCode::kUnavailable ||
                                                          code == ErrorCode::kDeadlineExceeded ||
                                                          code == ErrorCode::kInternal) {
      if (outage >= kOutagePatience) return Wrap(std::move(reply).error(), "gave up waiting");
      view.ShowTrouble("trying again: " + reply.error().message, session.clock.Steady());
      pause = std::min<std::chrono::milliseconds>(pause * 2, kLongestRetryPause);
      outage += pause;
    } else {
      return reply;
    }
    FALLOW_RETURN_IF_ERROR(session.api.Pause(pause));
  }
}

Status FetchFile(Session& session, const std::optional<std::string>& file_id,
                 const std::string& destination, std::string_view nothing) {
  if (destination.empty()) return {};
  if (!file_id.has_value()) {
    session.console.Note(fmt::format("{}: not written, {}", destination, nothing));
    return {};
  }
  FALLOW_ASSIGN_OR_RETURN(
      const std::uint64_t size,
      session.api.Download("/v1/files/" + PathSegment(*file_id) + "/content", destination));
  session.console.Note(fmt::format("{}: {}", destination, BytesText(size)));
  return {};
}

Status FetchFiles(Session& session, const JobRecord& job, const OutputFiles& output) {
  FALLOW_RETURN_IF_ERROR(
      FetchFile(session, job.output_file, output.results, "no request succeeded"));
  return FetchFile(session, job.error_file, output.errors, "no request failed");
}

void NoteProblems(Console& console, const JobRecord& job, std::size_t max_count) {
  for (const JobProblem& problem : job.problems | std::views::take(max_count)) {
    const std::string place = problem.line == 0 ? "file" : fmt::format("line {}", problem.line);
    console.Note(
        fmt::format("  {}: {} ({})", place, Printable(problem.message), Printable(problem.code)));
  }
  if (job.problems.size() > max_count) {
    console.Note(fmt::format("  and {} more: `fallow jobs {}` shows them",
                             job.problems.size() - max_count, Printable(job.id)));
  }
}

std::string Summary(const JobRecord& job) {
  std::string text = fmt::format("{} {}", Printable(job.id), Printable(job.state));
  if (job.total > 0) {  // else its file was not taken, or is not read yet
    text += fmt::format(": {} of {} done, {} failed", CountText(job.completed),
                        CountText(job.total), CountText(job.failed));
  }
  if (job.prompt_tokens > 0) text += fmt::format("; {} tokens read", CountText(job.prompt_tokens));
  if (job.completion_tokens > 0)
    text += fmt::format(", {} written", CountText(job.completion_tokens));
  if (job.ended_at >= job.created_at && job.created_at > 0) {
    text += "; " + DurationText(static_cast<double>(job.ended_at - job.created_at));
  }
  return text;
}

ExitStatus StatusOfEnded(const JobRecord& job) {
  if (job.ended_badly()) return kExitJobFailed;
  return job.failed > 0 ? kExitRequestsFailed : kExitDone;
}

// Waits, fetches files and sums up.
Result<ExitStatus> Finish(Session& session, const std::string& job_id, const OutputFiles& output) {
  auto ended = Follow(session, job_id);
  if (!ended.has_value()) {
    if (ended.error().code != ErrorCode::kNotFound)
      session.console.Note(HowToGoOn(Printable(job_id)));
    return std::unexpected(std::move(ended).error());
  }
  FALLOW_ASSIGN_OR_RETURN(const JobRecord job, ReadJob(*ended));
  session.console.Note(Summary(job));
  NoteProblems(session.console, job, kProblemsAfterWait);
  FALLOW_RETURN_IF_ERROR(FetchFiles(session, job, output));
  if (job.failed > 0 && output.errors.empty()) {
    session.console.Note(fmt::format(
        "`fallow results {} --errors FILE` fetches why requests failed", Printable(job.id)));
  }
  if (session.as_json) session.console.Print(ended->dump() + "\n");
  return StatusOfEnded(job);
}

std::string WithList(const std::string& sentence, const std::vector<Json>& models) {
  if (models.empty()) return sentence + "; it has none yet: `fallow models add FILE.gguf`";
  std::string names;
  for (const Json& model : models)
    names += (names.empty() ? "" : ", ") + Printable(TextOf(model, "id"));
  return sentence + "; it has " + names;
}

Status CheckModel(Session& session, const std::string& name) {
  FALLOW_ASSIGN_OR_RETURN(const Json reply, session.api.Call({.path = "/v1/models"}));
  const std::vector<Json> models = DataOf(reply);
  for (const Json& model : models) {
    if (TextOf(model, "id") == name) return {};
  }
  return Fail(ErrorCode::kNotFound,
              WithList(fmt::format("the coordinator has no model '{}'", name), models));
}

// Removes a file when it goes out of scope.
struct TemporaryFile {
  std::string path;
  TemporaryFile() = default;
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    std::error_code ignored;
    if (!path.empty()) std::filesystem::remove(path, ignored);
  }
};

Result<std::string> Upload(Session& session, const SubmitOptions& options) {
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(options.batch_file, error);
  if (error)
    return Fail(ErrorCode::kNotFound, fmt::format("{}: {}", options.batch_file, error.message()));
  if (size == 0)
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: the file is empty", options.batch_file));

  TemporaryFile copy;
  if (!options.model.empty()) {
    FALLOW_RETURN_IF_ERROR(CheckModel(session, options.model));
    copy.path = options.temporary_file;
    FALLOW_ASSIGN_OR_RETURN(const std::uint64_t changed,
                            CopyWithModel(options.batch_file, copy.path, options.model));
    if (changed > 0)
      session.console.Note(
          fmt::format("model set to {} in {} lines", options.model, CountText(changed)));
  }
  ApiCall call{.method = "POST",
               .path = "/v1/files",
               .body_file = copy.path.empty() ? options.batch_file : copy.path,
               .form = {{"purpose", "batch"}}};
  if (session.console.has_status_line()) {
    call.on_upload = [&console = session.console](std::uint64_t sent, std::uint64_t total) {
      const double fraction =
          total == 0 ? 0 : static_cast<double>(sent) / static_cast<double>(total);
      console.ShowStatus(fmt::format("{}  uploading {} of {}", Bar(fraction, 32, console.glyphs()),
                                     BytesText(sent), BytesText(total)));
    };
  }
  FALLOW_ASSIGN_OR_RETURN(const Json file, session.api.Call(std::move(call)));
  std::string id = TextOf(file, "id");
  if (id.empty())
    return Fail(ErrorCode::kDataLoss, "the coordinator's reply to the upload names no file");
  return id;
}

}  // namespace

Result<ExitStatus> Submit(Session session, const SubmitOptions& options) {
  auto file_id = Upload(session, options);
  if (!file_id.has_value()) return Wrap(std::move(file_id).error(), "nothing was submitted");
  FALLOW_ASSIGN_OR_RETURN(const std::string endpoint, EndpointOf(options.batch_file));
  const std::string filename = std::filesystem::path(options.batch_file).filename();
  FALLOW_ASSIGN_OR_RETURN(
      const Json created,
      session.api.Call(
          {.method = "POST",
           .path = "/v1/batches",
           .body = Json{{"input_file_id", *file_id},
                        {"endpoint", endpoint},
                        {"completion_window", "24h"},
                        {"metadata",
                         Json{{"filename", Shorten(Printable(filename), kMaxMetadataColumns)}}}}}));
  FALLOW_ASSIGN_OR_RETURN(const JobRecord job, ReadJob(created));
  session.console.Note("submitted " + Printable(job.id));
  if (!options.wait && options.output.results.empty() && options.output.errors.empty()) {
    if (session.as_json) {
      session.console.Print(created.dump() + "\n");
    } else {
      session.console.Print(Printable(job.id) + "\n");
    }
    return kExitDone;
  }
  return Finish(session, job.id, options.output);
}

Result<ExitStatus> WaitForJob(Session session, const std::string& job_id,
                              const OutputFiles& output) {
  return Finish(session, job_id, output);
}

Result<ExitStatus> ListJobs(Session session, std::uint64_t limit) {
  FALLOW_ASSIGN_OR_RETURN(const Json reply,
                          session.api.Call({.path = fmt::format("/api/jobs?limit={}", limit)}));
  if (session.as_json) {
    session.console.Print(reply.dump() + "\n");
    return kExitDone;
  }
  Table table({{"JOB"},
               {"STATE"},
               {"MODEL"},
               {"DONE", Align::kRight},
               {"FAILED", Align::kRight},
               {"REQUESTS", Align::kRight},
               {"CREATED"}});
  const std::vector<Json> jobs = DataOf(reply);
  for (const Json& json : jobs) {
    FALLOW_ASSIGN_OR_RETURN(const JobRecord job, ReadJob(json));
    table.AddRow({job.id, job.state, job.model, CountText(job.completed), CountText(job.failed),
                  CountText(job.total), TimeText(job.created_at)});
  }
  if (jobs.empty()) {
    session.console.Note("no jobs yet: `fallow submit batch.jsonl` makes one");
    return kExitDone;
  }
  session.console.Print(table.Render(session.console.table_width()));
  if (FlagOf(reply, "has_more"))
    session.console.Note(fmt::format("these are the newest {}; --limit shows more", limit));
  return kExitDone;
}

Result<ExitStatus> ShowJob(Session session, const std::string& job_id) {
  FALLOW_ASSIGN_OR_RETURN(const Json reply, FetchJob(session, job_id));
  if (session.as_json) {
    session.console.Print(reply.dump() + "\n");
    return kExitDone;
  }
  FALLOW_ASSIGN_OR_RETURN(const JobRecord job, ReadJob(reply));
  session.console.Print(Summary(job) + "\n");
  if (!job.is_final()) session.console.Print(ProgressText(job) + "\n");
  std::string facts = fmt::format(
      "model {}, endpoint {}, created {}, input {}", job.model.empty() ? "?" : job.model,
      job.endpoint.empty() ? "?" : job.endpoint, TimeText(job.created_at), job.input_file);
  if (job.output_file.has_value()) facts += ", output " + *job.output_file;
  if (job.error_file.has_value()) facts += ", errors " + *job.error_file;
  session.console.Print(Printable(facts) + "\n");
  NoteProblems(session.console, job, job.problems.size());
  return kExitDone;
}

Result<ExitStatus> FetchResults(Session session, const std::string& job_id,
                                const OutputFiles& output) {
  FALLOW_ASSIGN_OR_RETURN(const Json reply, FetchJob(session, job_id));
  FALLOW_ASSIGN_OR_RETURN(const JobRecord job, ReadJob(reply));
  if (!job.is_final()) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("{} is {}: {}; `fallow wait {}` waits for its end", Printable(job.id),
                            Printable(job.state), ProgressText(job), Printable(job.id)));
  }
  FALLOW_RETURN_IF_ERROR(FetchFiles(session, job, output));
  if (session.as_json) session.console.Print(reply.dump() + "\n");
  return StatusOfEnded(job);
}

Result<ExitStatus> CancelJob(Session session, const std::string& job_id) {
  FALLOW_ASSIGN_OR_RETURN(
      const Json reply,
      session.api.Call({.method = "POST", .path = "/api/jobs/" + PathSegment(job_id) + "/cancel"}));
  FALLOW_ASSIGN_OR_RETURN(const JobRecord job, ReadJob(reply));
  if (session.as_json) {
    session.console.Print(reply.dump() + "\n");
  } else {
    session.console.Note(Summary(job));
  }
  return kExitDone;
}

}  // namespace fallow::cli
