// Everything that observes the owner and the machine, wired to the policy: settings, session
// helpers, the daemon's own sources, sensors, sleep.
//
// Threading: the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/daemon/agent_state.h"
#include "agent/daemon/helper_process.h"
#include "agent/daemon/input_watch.h"
#include "agent/daemon/life_record.h"
#include "agent/daemon/machine_senses.h"
#include "agent/daemon/overseer.h"
#include "agent/daemon/owner_pause.h"
#include "agent/daemon/session_desk.h"
#include "agent/daemon/settings_source.h"
#include "agent/daemon/sleep_follower.h"
#include "base/clock.h"
#include "platform/source_set.h"
#include "platform/stream.h"

namespace fallow {

struct OwnerWatchOptions {
  StateFolder folder;
  std::string settings_path;
  SettingOverrides overrides;
  // For every login of the machine: helpers of any user report, and none is started here.
  bool whole_system = false;
  std::vector<std::string> helper_command;  // without its socket
};

class OwnerWatch {
 public:
  // What it asks of the work that it oversees.
  struct Work {
    // A decision; `noticed_at`: when what it follows from was seen first, by the helper if one saw
    // it.
    std::function<void(const Decision&, SteadyTime noticed_at)> act;
    std::function<std::vector<std::int64_t>()> own_processes;
    std::function<bool()> holds_memory;
    // The machine is about to sleep: everything is to be given back; then `done` is called, once.
    std::function<void(std::function<void()> done)> give_all_back;
    std::function<void()> on_settings;  // they changed
    // What else an owner should know who asks why.
    std::function<void(std::vector<std::string>& notices)> add_notices;
  };

  // All must outlive it.
  OwnerWatch(Loop& loop, const Clock& clock, Random& random, SubprocessLauncher& launcher,
             OwnerWatchOptions options, Work work);
  ~OwnerWatch();

  // Opens the helpers' socket and begins to look.
  Status Start();
  // Looks and decides no more.
  void End();

  // The owner's commands. kPermissionDenied, as OwnerPause, if the caller may not; else whether it
  // is kept across a restart.
  Result<Status> Pause(Caller caller, std::optional<std::chrono::milliseconds> duration);
  Result<Status> Resume(Caller caller);
  const OwnerPause& pause() const { return pause_; }
  // By the last decision: the pause may be over, whatever pause() says.
  bool is_paused() const;

  const Settings& settings() const { return settings_.settings(); }
  const SettingsSource& settings_source() const { return settings_; }
  Overseer& overseer() { return overseer_; }
  const Overseer& overseer() const { return overseer_; }
  std::vector<SessionDesk::HelperView> helpers() const { return desk_.helpers(); }

 private:
  void TellPresence(Signals& signals);
  bool SeenByAHelper(const std::string& session, std::int64_t user_id, LoginKind kind) const;
  void WatchClosely(bool closely);
  void Act(const Decision& decision);
  // Runs a helper of its own where one is wanted: not of a whole system, nor without an owner.
  void KeepHelper();
  // One whose time is over binds nobody, whichever clock says so.
  void ForgetOldPause();
  Status KeepAndTellPause();
  void TellPause();

  Loop& loop_;
  const Clock& clock_;
  Random& random_;
  SubprocessLauncher& launcher_;
  const OwnerWatchOptions options_;
  const Work work_;

  SettingsSource settings_;
  SessionDesk desk_;
  std::unique_ptr<Listener> helpers_;
  std::optional<HelperProcess> helper_;
  SourceSet<PresenceSource> presence_;
  InputWatch input_;
  // The input devices could be read the last time. At a login screen all input comes by them; a
  // desktop may be used from afar too.
  bool input_devices_tell_ = false;
  SourceSet<SessionSignalSource> signals_;
  MachineSenses machine_;
  std::unique_ptr<PolicyLogFiles> log_files_;
  PolicyLog log_;
  LifeRecord life_;
  OwnerPause pause_;
  Overseer overseer_;
  SleepFollower sleep_;
};

}  // namespace fallow
