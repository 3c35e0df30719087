// What `fallow`'s verbs do, over the seams api.h and console.h.
//
// Each returns the exit status of a command that did its work, or an error that main shows. With
// `as_json` the result goes to standard output as JSON, the coordinator's own records; words for
// people go to standard error either way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/api.h"
#include "cli/console.h"
#include "cli/exit_status.h"

namespace fallow::cli {

struct Session {
  Api& api;
  Console& console;
  const Clock& clock;
  bool as_json = false;
};

struct OutputFiles {
  std::string results;  // empty: not wanted
  std::string errors;
};

struct SubmitOptions {
  std::string batch_file;
  std::string model;  // empty: as the lines say
  bool wait = false;  // output files imply it
  OutputFiles output;
  std::string temporary_file;  // where a copy with another model may lie meanwhile
};
Result<ExitStatus> Submit(Session session, const SubmitOptions& options);
Result<ExitStatus> WaitForJob(Session session, const std::string& job_id,
                              const OutputFiles& output);
Result<ExitStatus> ListJobs(Session session, std::uint64_t limit);
Result<ExitStatus> ShowJob(Session session, const std::string& job_id);
Result<ExitStatus> FetchResults(Session session, const std::string& job_id,
                                const OutputFiles& output);
Result<ExitStatus> CancelJob(Session session, const std::string& job_id);

Result<ExitStatus> ListModels(Session session);
Result<ExitStatus> ShowModel(Session session, const std::string& name);
// Checks the file first; a refused one is not uploaded. The first part of a split model stands for
// all of them. An empty name is the file's.
Result<ExitStatus> AddModel(Session session, const std::string& file, std::string name);
// Only checks them, without a coordinator: kExitFailed if one is refused.
Result<ExitStatus> CheckModels(Console& console, bool as_json,
                               const std::vector<std::string>& files);
Result<ExitStatus> RemoveModel(Session session, const std::string& name);

Result<ExitStatus> ListDevices(Session session);
Result<ExitStatus> RemoveDevice(Session session, const std::string& device_id);
Result<ExitStatus> ShowJoinLink(Session session, bool rotate);

struct NewKey {
  std::string name;
  std::string role = "submitter";
  std::string account;  // empty: a new one
};
Result<ExitStatus> ListKeys(Session session);
Result<ExitStatus> AddKey(Session session, const NewKey& key);
Result<ExitStatus> RemoveKey(Session session, const std::string& key_id);
Result<ExitStatus> ShowMe(Session session);

}  // namespace fallow::cli
