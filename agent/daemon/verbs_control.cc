// fallow-agent pause, resume, limits: what the owner decides.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "agent/daemon/owner_calls.h"
#include "agent/daemon/policy/durations.h"
#include "agent/daemon/policy/local_time.h"
#include "agent/daemon/policy/owner_times.h"
#include "agent/daemon/policy/setting_specs.h"
#include "agent/daemon/policy/setting_value.h"
#include "agent/daemon/policy/settings_file.h"
#include "agent/daemon/policy/settings_table.h"
#include "agent/daemon/verbs.h"
#include "platform/folder_lock.h"
#include "platform/paths.h"
#include "platform/system.h"

namespace fallow {
namespace {

// What every settings file is called, unless its owner named another.
constexpr const char* kSettingsFileName = "agent.toml";

// So long another `limits set` may take; then it is taken for one that hangs.
constexpr std::chrono::milliseconds kOthersChange{5'000};

// The file's text; empty if there is none.
Result<std::string> ReadSettingsText(const std::string& path) {
  auto text = ReadSmallFile(path, kMaxSettingsFileBytes);
  if (!text && text.error().code == ErrorCode::kNotFound) return "";
  return text;
}

void WarnIfNotKept(std::string_view answer) {
  const std::string warning = WarningOf(answer);
  if (warning.empty()) return;
  std::fprintf(stderr, "fallow-agent: done, but a restart of the agent will not know it: %s\n",
               warning.c_str());
}

// A word of a shell's command line.
std::string Quoted(std::string_view word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,%+";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return std::string(word);
  std::string quoted = "'";
  for (const char letter : word) quoted += letter == '\'' ? "'\\''" : std::string(1, letter);
  return quoted + "'";
}

// Two that change it at a time must not undo each other's, also where both make the file. Null
// where nothing can be written, as that will say.
std::unique_ptr<FolderLock> LockToChange(const std::string& path) {
  const auto folder = FolderToChangeIn(path);
  return folder ? LockFolder(*folder, kOthersChange) : nullptr;
}

bool Changes(const VerbOptions& options) {
  return !options.key.empty() && !options.shows_one;
}

// With the command that a user who may not is to type, if that is what is wrong.
Error WithWayOut(Error error, const std::string& path, const VerbOptions& options) {
  if (error.code != ErrorCode::kPermissionDenied) return error;
  error.message += fmt::format("; root may: sudo fallow-agent limits --settings {}", Quoted(path));
  if (Changes(options))
    error.message += fmt::format(" set {} {}", Quoted(options.key), Quoted(options.value));
  return error;
}

// A path that the machine's agent told, to be written to. Root, who has more rights than that
// agent, may be the one who asks: the agent is not to choose which file root makes or changes.
Result<std::string> TrustedToWrite(const std::string& path, const VerbOptions& options) {
  auto real = PathInRootsHands(path);
  if (real && std::filesystem::path(*real).filename() == kSettingsFileName) return real;
  return Fail(
      ErrorCode::kFailedPrecondition,
      fmt::format("this machine's agent says that it follows {}{}{}; if that is right, name "
                  "it: sudo fallow-agent limits --settings {} set {} {}",
                  path, real ? "" : ", but ", real ? "" : real.error().message, Quoted(path),
                  Quoted(options.key), Quoted(options.value)));
}

// "30m", "1h 30m", "until 18:00".
Result<std::chrono::milliseconds> PauseLength(std::string_view text) {
  constexpr std::string_view kUntil = "until ";
  if (text.starts_with(kUntil)) {
    const WallTime now = NewSystemClock()->Wall();
    FALLOW_ASSIGN_OR_RETURN(const WallTime end,
                            ParseComingTime(text.substr(kUntil.size()), now, LocalOffsetAt));
    if (end - now <= kMaxDuration) return end - now;
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a pause lasts at most {}; without a time it lasts until `fallow-agent "
                            "resume`",
                            ExactDuration(kMaxDuration)));
  }
  auto length = ParseDuration(text);
  if (!length) {
    return Fail(length.error().code, length.error().message + "; or a time, as in until 18:00");
  }
  if (length->count() == 0)
    return Fail(ErrorCode::kInvalidArgument, "a pause takes more than nothing");
  return length;
}

int ChangeLimits(const VerbOptions& options, const std::string& path, const std::string& text) {
  // A file that is broken already is no wrong usage of this command.
  if (auto now = ParseSettings(text, path); !now) return FailWith(now.error(), kExitFailed);
  // Without a file the owner gets one that explains itself.
  const std::string base = text.empty() ? DefaultSettingsText() : text;
  const auto changed = ChangeSetting(base, path, options.key, options.value);
  if (!changed) {
    const bool is_usage = changed.error().code == ErrorCode::kInvalidArgument;
    return FailWith(changed.error(), is_usage ? kExitUsage : kExitFailed);
  }
  if (auto written = ChangeFileAtomically(path, *changed); !written)
    return FailWith(WithWayOut(written.error(), path, options), kExitFailed);
  const auto settings = ParseSettings(*changed, path);
  if (!settings) return FailWith(settings.error(), kExitFailed);
  PrintOut("{} = {} in {}; a running agent follows it at once\n", options.key,
           SettingValue(*FindSetting(options.key), *settings), path);
  return kExitOk;
}

}  // namespace

int PauseVerb(const VerbOptions& options) {
  std::optional<std::chrono::milliseconds> duration;
  if (!options.duration.empty()) {
    const auto parsed = PauseLength(fmt::format("{}", fmt::join(options.duration, " ")));
    if (!parsed) return FailWith(parsed.error(), kExitUsage);
    duration = *parsed;
  }
  int code = kExitOk;
  const auto answer = AskDaemon(options, PauseCall(duration), &code);
  if (!answer) return FailWith(answer.error(), code);
  WarnIfNotKept(answer->text);
  const std::string_view who = answer->of_machine ? "this machine's agent is " : "";
  const std::string note = NoteOf(answer->text);
  if (!duration) {
    PrintOut("{}paused until `fallow-agent resume`{}{}\n", who, note.empty() ? "" : "; ", note);
    return kExitOk;
  }
  const WallTime end = NewSystemClock()->Wall() + *duration;
  PrintOut("{}paused until {}; {}\n", who, LocalDateTime(end, LocalOffsetAt(end)),
           note.empty() ? "`fallow-agent resume` ends it" : note);
  return kExitOk;
}

int ResumeVerb(const VerbOptions& options) {
  int code = kExitOk;
  const auto answer = AskDaemon(options, SimpleCall("resume"), &code);
  if (!answer) return FailWith(answer.error(), code);
  WarnIfNotKept(answer->text);
  const std::string note = NoteOf(answer->text);
  PrintOut("{}; `fallow-agent why` tells what it does now\n",
           !note.empty()        ? note
           : answer->of_machine ? "the pause of this machine's agent is over"
                                : "the pause is over");
  return kExitOk;
}

int LimitsVerb(const VerbOptions& options) {
  if (options.print_defaults) {
    PrintOut("{}", DefaultSettingsText());
    return kExitOk;
  }
  auto path = MeantSettings(options);
  if (!path) return FailWith(path.error(), kExitFailed);
  const bool told = *path != options.settings_path;
  if (told && Changes(options)) path = TrustedToWrite(*path, options);
  if (!path) return FailWith(path.error(), kExitFailed);
  const auto lock = Changes(options) ? LockToChange(*path) : nullptr;
  const auto text = ReadSettingsText(*path);
  if (!text) return FailWith(WithWayOut(text.error(), *path, options), kExitFailed);
  if (Changes(options)) return ChangeLimits(options, *path, *text);
  const auto settings = ParseSettings(*text, *path);
  if (!settings) return FailWith(settings.error(), kExitFailed);
  auto rows = SettingsTable(*settings, *text);
  if (options.shows_one) {
    std::erase_if(rows, [&](const SettingRow& row) { return row.key != options.key; });
    if (rows.empty())
      return FailWith({ErrorCode::kInvalidArgument, UnknownSetting(options.key)}, kExitUsage);
    PrintOut("{}", options.json ? SettingsTableJson(rows) : rows[0].value + "\n");
    return kExitOk;
  }
  if (options.json) {
    PrintOut("{}", SettingsTableJson(rows));
    return kExitOk;
  }
  PrintOut("{}\nfrom {}{}\nchange one with `fallow-agent limits set KEY VALUE`\n",
           SettingsTableText(rows), *path, text->empty() ? " (not there yet: all defaults)" : "");
  return kExitOk;
}

}  // namespace fallow
