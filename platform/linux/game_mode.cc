// Games that registered with Feral's GameMode, whose daemon starts with the first of them.
#include <fmt/format.h>

#include "platform/linux/bus_signal_source.h"
#include "platform/linux/foreign_text.h"

namespace fallow {
namespace {

// Of more games only the number is told.
constexpr std::size_t kMaxNamedGames = 3;

const BusObject kGameMode{"com.feralinteractive.GameMode", "/com/feralinteractive/GameMode",
                          "com.feralinteractive.GameMode"};

// "supertuxkart" of "/usr/games/supertuxkart"; of Wine's "C:\\games\\x.exe" the last part too.
std::string_view ProgramOf(std::string_view path) {
  return path.substr(path.find_last_of("/\\") + 1);
}

// The names of the games; an older daemon, which cannot list them, gives none.
Result<std::vector<std::string>> ListGames(Bus& bus) {
  FALLOW_ASSIGN_OR_RETURN(const BusMessage reply, bus.Call(kGameMode, "ListGames"));
  std::vector<std::string> names;
  int status = sd_bus_message_enter_container(reply.get(), 'a', "(io)");
  while (status > 0 && names.size() < kMaxNamedGames) {
    const char* path = nullptr;
    status = sd_bus_message_read(reply.get(), "(io)", nullptr, &path);
    if (status <= 0) break;
    const auto executable = bus.PropertyText(
        {kGameMode.service, path, "com.feralinteractive.GameMode.Game"}, "Executable");
    if (executable) names.push_back(ForeignText(ProgramOf(*executable)));
  }
  return names;
}

Result<BusSign> AskGameMode(Bus& bus) {
  const auto games = bus.PropertyI32(kGameMode, "ClientCount");
  // The first game starts the daemon: as long as it is absent, no game has registered.
  if (!games && games.error().code == ErrorCode::kUnavailable && !bus.broken()) {
    return BusSign{.active = false, .detail = games.error().message};
  }
  if (!games) return std::unexpected(games.error());
  if (*games <= 0) return BusSign{};
  const auto names = ListGames(bus);
  return BusSign{.active = true,
                 .detail = names && !names->empty()
                               ? fmt::format("{}", fmt::join(*names, ", "))
                               : fmt::format("{} game{}", *games, *games == 1 ? "" : "s")};
}

}  // namespace

Result<std::unique_ptr<SessionSignalSource>> NewGameModeSource(Loop& loop) {
  return BusSignalSource::Open(
      loop,
      {.name = "gamemode",
       .kind = SessionSignalKind::kGameMode,
       .bus = Bus::Which::kSession,
       .changes = {{kGameMode, ""}, {kGameMode, "GameRegistered"}, {kGameMode, "GameUnregistered"}},
       .ask = AskGameMode});
}

}  // namespace fallow
