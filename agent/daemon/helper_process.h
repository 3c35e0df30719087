// The session helper of the user who runs the daemon: started with it, and again whenever it ends.
//
// A daemon of the whole system has none: each login starts its own. Threading: the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/daemon/backoff.h"
#include "base/random.h"
#include "platform/loop.h"
#include "platform/subprocess.h"

namespace fallow {

class HelperProcess {
 public:
  // Starts it. `command`: the program's path and its arguments. All must outlive this.
  HelperProcess(Loop& loop, Random& random, SubprocessLauncher& launcher,
                std::vector<std::string> command);
  ~HelperProcess();  // ends it

  std::optional<std::int64_t> process_id() const;
  const std::string& trouble() const { return trouble_; }  // why it ended last; empty if never

 private:
  void Launch();
  void OnExit(SubprocessExit exit);
  void Retry(std::string why);

  Loop& loop_;
  SubprocessLauncher& launcher_;
  const std::vector<std::string> command_;
  Backoff backoff_;
  std::unique_ptr<Subprocess> process_;
  std::unique_ptr<Subprocess> gone_;  // ended inside its callback; destroyed before the next
  std::unique_ptr<Timer> timer_;  // until the next start; while it runs, until it counts as well
  std::string last_line_;
  std::string trouble_;
};

}  // namespace fallow
