// Where things live, by the XDG base directory specification. Files: directories are made on
// demand, private (0700).
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace fallow {

std::string ConfigDirectory();  // $XDG_CONFIG_HOME/fallow or ~/.config/fallow
std::string StateDirectory();   // $XDG_STATE_HOME/fallow or ~/.local/state/fallow
std::string CacheDirectory();   // $XDG_CACHE_HOME/fallow or ~/.cache/fallow
std::string
RuntimeDirectory();  // $XDG_RUNTIME_DIR/fallow, or the state directory where there is none

// The folder of the running program, to find its companions.
std::string ProgramDirectory();

// The file that `path` leads to, if none but root decides what is there: each folder above it is
// root's, and no other may write to it. Else kPermissionDenied, with the folder's name.
Result<std::string> PathInRootsHands(const std::string& path);

Status MakePrivateDirectory(const std::string& path);
Result<std::string> ReadSmallFile(const std::string& path, std::size_t max_bytes = 1 << 20);
// Replaces the file as a whole or not at all, durable when it returns. Readable by the user alone
// (0600).
Status WriteFileAtomically(const std::string& path, std::string_view content);
// Likewise, for a file that belongs to a person: its owner and its rights stay, and where the path
// is a link, the link stays and what it points to is replaced. A new one is readable by everybody,
// and so is a new folder that root makes for it.
Status ChangeFileAtomically(const std::string& path, std::string_view content);
// The folder where that is done, made likewise if there is none.
Result<std::string> FolderToChangeIn(const std::string& path);

}  // namespace fallow
