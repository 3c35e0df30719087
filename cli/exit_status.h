// The exit codes of `fallow`, documented in its help. Scripts lean on them: never renumber.
#pragma once

#include "base/result.h"

namespace fallow::cli {

enum ExitStatus : int {
  kExitDone = 0,
  kExitFailed = 1,       // anything not below; the message says what
  kExitMisused = 2,      // unknown option, missing argument
  kExitUnreachable = 3,  // no answer from the coordinator
  kExitRefused =
      4,  // the key is unknown, or may not do that; or the certificate is not the one we trust
  kExitJobFailed = 5,       // the job failed, expired or was cancelled
  kExitRequestsFailed = 6,  // the job completed, but some of its requests failed
  kExitInterrupted = 130,   // Ctrl-C; a job that was submitted goes on
};

ExitStatus ExitStatusOf(ErrorCode code);

}  // namespace fallow::cli
