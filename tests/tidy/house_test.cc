// The house rules that a program can check: who includes whom, which libraries live where, what a
// source may not hold.
//
// The table below is the floor plan of docs/ARCHITECTURE.md as code. A rule's failure names file,
// line and rule.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Room {
  std::string_view path;  // a file belongs to the room with the longest matching path
  std::vector<std::string_view> includes;  // rooms it may include beside itself
};

const std::vector<Room>& Rooms() {
  static const std::vector<Room> rooms = {
      {"base", {}},
      {"protocol", {"base"}},
      {"platform", {"base"}},
      {"shaders", {"base"}},
      {"engine",
       {"base", "protocol/inference.h", "protocol/limits.h", "shaders/include/exact.inc"}},
      {"engine/vulkan", {"base", "engine", "shaders"}},
      {"agent/daemon", {"base", "protocol", "platform"}},
      {"agent/session", {"base", "protocol", "platform"}},
      {"agent/worker", {"base", "protocol", "platform", "engine"}},
      {"coordinator/store", {"base", "protocol", "coordinator/core/records.h"}},
      {"coordinator/artifacts", {"base", "platform"}},
      {"coordinator/core",
       {"base", "protocol", "platform", "engine/model/model.h", "engine/model/card_json.h",
        "coordinator/store/store.h", "coordinator/artifacts/artifact_store.h"}},
      {"coordinator/http", {"base", "platform"}},
      {"coordinator/api",
       {"base", "protocol", "platform", "coordinator/core",
        "coordinator/artifacts/artifact_store.h", "coordinator/http"}},
      {"coordinator", {"base", "protocol", "platform", "coordinator"}},
      // Looks at model files before they are uploaded.
      {"cli",
       {"base", "protocol", "platform", "engine/gguf", "engine/model/model.h",
        "engine/model/card_json.h"}},
      {"tests", {""}},
  };
  return rooms;
}

// A library's headers, and the only places that may include them.
struct Library {
  std::string_view header_prefix;
  std::vector<std::string_view> places;
};

const std::vector<Library>& Libraries() {
  static const std::vector<Library> libraries = {
      {"uv.h", {"platform/uv", "platform/curl"}},
      {"curl/", {"platform/curl"}},
      {"openssl/", {"base", "platform", "tests"}},
      {"volk.h", {"engine/vulkan", "tests"}},
      {"vulkan/", {"engine/vulkan", "tests"}},
      {"sqlite3.h", {"coordinator/store/sqlite", "tests"}},
      {"libpq-fe.h", {"coordinator/store/postgres", "tests"}},
      {"google/protobuf", {"protocol"}},
      {"boost/beast", {"coordinator/http", "coordinator/api"}},
      {"pcre2.h", {"engine/tokenizer"}},
      {"utf8proc.h", {"engine/chat/jinja", "engine/tokenizer"}},
      {"systemd/", {"platform/linux", "tests"}},
      {"toml++/", {"agent/daemon/policy"}},
      {"xcb/", {"platform/linux", "tests"}},
      {"wayland-", {"platform/linux", "tests"}},
      {"simdjson.h", {"coordinator/core", "coordinator/api", "cli"}},
      {"unistd.h", {"platform/linux", "tests"}},
      {"fcntl.h", {"platform/linux", "tests"}},
      {"signal.h", {"platform/linux", "platform/uv", "tests"}},
      {"sys/", {"platform/linux", "tests"}},
      {"netinet/", {"platform/linux", "tests"}},
      {"pwd.h", {"platform/linux"}},
      {"dlfcn.h", {"platform/linux", "tests"}},
      {"windows.h", {"platform/windows"}},
  };
  return libraries;
}

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool IsUnder(std::string_view path, std::string_view place) {
  return place.empty() || path == place ||
         (StartsWith(path, place) && (path.size() == place.size() || path[place.size()] == '/'));
}

struct SourceFile {
  std::string path;  // from the root, with '/'
  std::vector<std::string> lines;
};

std::vector<SourceFile> ReadSources() {
  const fs::path root = FALLOW_SOURCE_DIR;
  static const std::set<std::string> kEndings = {".h", ".cc", ".inc", ".comp", ".glsl", ".proto"};
  std::vector<SourceFile> files;
  for (const char* top : {"base", "protocol", "platform", "shaders", "engine", "agent",
                          "coordinator", "cli", "tests"}) {
    if (!fs::exists(root / top)) continue;
    for (auto it = fs::recursive_directory_iterator(root / top);
         it != fs::recursive_directory_iterator(); ++it) {
      if (it->path().filename() == "node_modules") {
        it.disable_recursion_pending();
        continue;
      }
      if (!it->is_regular_file() || !kEndings.contains(it->path().extension().string())) continue;
      SourceFile file{fs::relative(it->path(), root).generic_string(), {}};
      std::ifstream in(it->path());
      for (std::string line; std::getline(in, line);) file.lines.push_back(line);
      files.push_back(std::move(file));
    }
  }
  return files;
}

const Room* RoomOf(std::string_view path) {
  const Room* best = nullptr;
  for (const Room& room : Rooms()) {
    if (IsUnder(path, room.path) && (best == nullptr || room.path.size() > best->path.size()))
      best = &room;
  }
  return best;
}

struct Include {
  std::string target;
  bool quoted;
};

std::optional<Include> ParseInclude(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  if (!StartsWith(line, "#include ")) return std::nullopt;
  line.remove_prefix(9);
  if (line.empty() || (line[0] != '"' && line[0] != '<')) return std::nullopt;
  const bool quoted = line[0] == '"';
  const auto end = line.find(quoted ? '"' : '>', 1);
  if (end == std::string_view::npos) return std::nullopt;
  return Include{std::string(line.substr(1, end - 1)), quoted};
}

bool MayInclude(const Room& room, std::string_view from, std::string_view target) {
  if (StartsWith(target, "generated/")) return true;
  if (IsUnder(target, room.path) && RoomOf(target) == &room) return true;
  // A parent room's headers are its children's interfaces.
  const Room* owner = RoomOf(target);
  if (owner != nullptr && owner != &room && IsUnder(room.path, owner->path) &&
      std::ranges::any_of(room.includes, [&](auto place) { return place == owner->path; })) {
    return true;
  }
  (void)from;
  return std::ranges::any_of(room.includes,
                             [&](std::string_view place) { return IsUnder(target, place); });
}

class House : public testing::Test {
 protected:
  static void SetUpTestSuite() { sources_ = new std::vector<SourceFile>(ReadSources()); }
  static const std::vector<SourceFile>& sources() { return *sources_; }

 private:
  static inline std::vector<SourceFile>* sources_ = nullptr;
};

TEST_F(House, HasSources) {
  EXPECT_GT(sources().size(), 20u);
}

TEST_F(House, RoomsIncludeOnlyLowerFloors) {
  for (const SourceFile& file : sources()) {
    const Room* room = RoomOf(file.path);
    ASSERT_NE(room, nullptr) << file.path << " is in no room";
    if (file.path.ends_with(".comp") || file.path.ends_with(".glsl") || file.path.ends_with(".inc"))
      continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      const auto include = ParseInclude(file.lines[i]);
      if (!include || !include->quoted) continue;
      EXPECT_TRUE(MayInclude(*room, file.path, include->target)) << fmt::format(
          "{}:{}: room '{}' may not include \"{}\"", file.path, i + 1, room->path, include->target);
    }
  }
}

TEST_F(House, LibrariesStayInTheirRooms) {
  for (const SourceFile& file : sources()) {
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      const auto include = ParseInclude(file.lines[i]);
      if (!include || include->quoted) continue;
      for (const Library& library : Libraries()) {
        if (!StartsWith(include->target, library.header_prefix)) continue;
        EXPECT_TRUE(std::ranges::any_of(library.places, [&](auto place) {
          return IsUnder(file.path, place);
        })) << fmt::format("{}:{}: <{}> belongs elsewhere", file.path, i + 1, include->target);
      }
    }
  }
}

TEST_F(House, NoOperatingSystemSwitchOutsidePlatform) {
  for (const SourceFile& file : sources()) {
    if (IsUnder(file.path, "platform") || IsUnder(file.path, "tests")) continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      const std::string& line = file.lines[i];
      if (!StartsWith(line, "#if")) continue;
      for (const char* name : {"_WIN32", "__linux__", "__APPLE__", "__unix__"}) {
        EXPECT_EQ(line.find(name), std::string::npos)
            << fmt::format("{}:{}: {} belongs to platform/", file.path, i + 1, name);
      }
    }
  }
}

TEST_F(House, HeadersOpenWithASentence) {
  for (const SourceFile& file : sources()) {
    if (!file.path.ends_with(".h")) continue;
    ASSERT_FALSE(file.lines.empty()) << file.path;
    EXPECT_TRUE(StartsWith(file.lines[0], "//"))
        << file.path << ": say what it is in the first line";
    EXPECT_TRUE(std::ranges::any_of(file.lines,
                                    [](const std::string& line) { return line == "#pragma once"; }))
        << file.path << ": lacks #pragma once";
  }
}

TEST_F(House, NothingIsLeftForLater) {
  for (const SourceFile& file : sources()) {
    if (file.path == "tests/tidy/house_test.cc") continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      for (const char* mark : {"FIXME", "XXX:", "HACK", "not implemented yet"}) {
        EXPECT_EQ(file.lines[i].find(mark), std::string::npos)
            << fmt::format("{}:{}: {}", file.path, i + 1, mark);
      }
    }
  }
}

TEST_F(House, FilesCanBeReadInOneSitting) {
  constexpr std::size_t kMaxLines = 800;
  for (const SourceFile& file : sources()) {
    EXPECT_LE(file.lines.size(), kMaxLines) << file.path << ": look for the second idea in it";
  }
}

TEST_F(House, EverySourceIsBuilt) {
  // A source that no CMakeLists.txt names is only a comment.
  for (const SourceFile& file : sources()) {
    if (!file.path.ends_with(".cc") && !file.path.ends_with(".comp")) continue;
    const fs::path path = fs::path(FALLOW_SOURCE_DIR) / file.path;
    bool named = false;
    const std::string name = path.filename().string();
    for (fs::path folder = path.parent_path(); !named; folder = folder.parent_path()) {
      for (const fs::path& list : {folder / "CMakeLists.txt", folder / "cmake" / "fallow.cmake"}) {
        if (!fs::exists(list)) continue;
        std::ifstream in(list);
        const std::string text{std::istreambuf_iterator<char>(in), {}};
        named = named || text.find(file.path.ends_with(".comp") ? path.stem().string() : name) !=
                             std::string::npos;
      }
      if (folder == fs::path(FALLOW_SOURCE_DIR)) break;
    }
    EXPECT_TRUE(named) << file.path << " is in no CMakeLists.txt";
  }
}

}  // namespace
