// A machine's /sys and /proc in a temporary folder, written by a test.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "platform/sensor_folders.h"
#include "tests/support/program.h"

namespace fallow::testing {

class MachineFolder {
 public:
  MachineFolder() {
    std::filesystem::create_directories(folder_.path() + "/sys");
    std::filesystem::create_directories(folder_.path() + "/proc");
  }

  // Below the folder: "sys/class/hwmon/hwmon0/name". As in the kernel's files, with a line break.
  void Write(const std::string& path, std::string_view text) {
    WriteRaw(path, std::string(text) + "\n");
  }
  void WriteRaw(const std::string& path, std::string_view text) {
    const std::filesystem::path whole = At(path);
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole, std::ios::binary) << text;
  }
  void Link(const std::string& path, const std::string& target) {
    const std::filesystem::path whole = At(path);
    std::filesystem::create_directories(whole.parent_path());
    std::filesystem::create_symlink(target, whole);
  }
  void MakeFolder(const std::string& path) { std::filesystem::create_directories(At(path)); }
  void Remove(const std::string& path) { std::filesystem::remove_all(At(path)); }

  std::string At(const std::string& path) const { return folder_.path() + "/" + path; }
  // Without NVIDIA's library: a test names one.
  SensorFolders folders() const {
    return {.sys = At("sys"), .proc = At("proc"), .nvidia_library = ""};
  }

 private:
  TemporaryFolder folder_;
};

}  // namespace fallow::testing
