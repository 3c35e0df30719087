#include "agent/worker/compiled_kernel_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

namespace fallow {
namespace {

struct CompiledKernelFileTest : testing::Test {
  void SetUp() override {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::unique_ptr<CompiledKernelFile> Open() const {
    auto file = CompiledKernelFile::Open(path);
    EXPECT_TRUE(file.has_value()) << (file.has_value() ? "" : file.error().message);
    return *std::move(file);
  }
  Bytes Read() const {
    std::ifstream file(path, std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(file), {});
  }
  void Write(const Bytes& bytes) const {
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }

  std::filesystem::path folder = std::filesystem::temp_directory_path() /
                                 ("fallow-kernel-file-" + std::to_string(std::random_device()()));
  std::string path = (folder / "inner" / "kernels").string();
};

Digest Key(std::uint32_t number) {
  return Sha256::Of(std::to_string(number));
}
Bytes Kernel(std::uint32_t number, std::size_t size) {
  return Bytes(size, static_cast<std::uint8_t>(number));
}
Bytes Found(const CompiledKernelFile& file, std::uint32_t number) {
  const ByteView found = file.Find(Key(number));
  return Bytes(found.begin(), found.end());
}

TEST_F(CompiledKernelFileTest, KeepsFromOneProcessToTheNext) {
  {
    const auto file = Open();
    EXPECT_TRUE(Found(*file, 1).empty());
    file->Keep(Key(1), Kernel(1, 100));
    file->Keep(Key(2), Kernel(2, 2000));
    file->Keep(Key(1), Kernel(3, 50));
    EXPECT_EQ(Found(*file, 1), Kernel(3, 50));
  }
  const auto next = Open();
  EXPECT_EQ(Found(*next, 1), Kernel(3, 50)) << "the later one";
  EXPECT_EQ(Found(*next, 2), Kernel(2, 2000));
  EXPECT_TRUE(Found(*next, 3).empty());
  EXPECT_EQ(next->file_bytes(), Read().size());
}

// A process that is killed while it writes, or a power cut.
TEST_F(CompiledKernelFileTest, ATornEndCostsTheLastKernelAlone) {
  Open()->Keep(Key(1), Kernel(1, 40));
  const std::size_t first_bytes = Read().size();
  Open()->Keep(Key(2), Kernel(2, 40));
  const Bytes whole = Read();
  for (std::size_t size = first_bytes; size < whole.size(); ++size) {
    SCOPED_TRACE(size);
    Write(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    const auto file = Open();
    EXPECT_EQ(Found(*file, 1), Kernel(1, 40));
    EXPECT_TRUE(Found(*file, 2).empty());
    file->Keep(Key(3), Kernel(3, 10));
    EXPECT_EQ(Found(*Open(), 3), Kernel(3, 10)) << "what follows is read again";
  }
}

TEST_F(CompiledKernelFileTest, AChangedByteIsNeverHandedOn) {
  Open()->Keep(Key(1), Kernel(1, 40));
  const Bytes whole = Read();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const std::uint8_t change : {0x01, 0x80, 0xFF}) {
      Bytes changed = whole;
      changed[i] ^= change;
      Write(changed);
      const auto file = Open();
      EXPECT_TRUE(Found(*file, 1).empty()) << i;
      EXPECT_EQ(file->file_bytes(), 0u);
    }
  }
}

TEST_F(CompiledKernelFileTest, RubbishIsDropped) {
  Open();
  std::mt19937 random(1);
  for (const std::size_t size : {1, 71, 72, 73, 5000}) {
    Bytes rubbish(size);
    for (std::uint8_t& byte : rubbish) byte = static_cast<std::uint8_t>(random());
    Write(rubbish);
    EXPECT_EQ(Open()->file_bytes(), 0u);
  }
  std::filesystem::resize_file(path, kMaxKernelFileBytes + 1);
  EXPECT_EQ(Open()->file_bytes(), 0u) << "too large to be read";
}

// The latest stay, and there is room for others.
TEST_F(CompiledKernelFileTest, StaysWithinItsLimit) {
  {
    const auto file = Open();
    file->Keep(Key(0), Kernel(0, kMaxKernelBytes + 1));
    EXPECT_TRUE(Found(*file, 0).empty());
    for (std::uint32_t i = 1; i <= 20; ++i) file->Keep(Key(i), Kernel(i, kMaxKernelBytes));
    EXPECT_LE(file->file_bytes(), kMaxKernelFileBytes);
    EXPECT_TRUE(Found(*file, 20).empty());
    EXPECT_EQ(Found(*file, 15).size(), kMaxKernelBytes);
  }
  const auto next = Open();
  EXPECT_LE(next->file_bytes(), kMaxKernelFileBytes / 4);
  EXPECT_LE(Read().size(), kMaxKernelFileBytes / 4);
  next->Keep(Key(30), Kernel(30, 100));
  const auto last = Open();
  EXPECT_EQ(Found(*last, 15).size(), kMaxKernelBytes);
  EXPECT_TRUE(Found(*last, 1).empty());
  EXPECT_EQ(Found(*last, 30), Kernel(30, 100));
}

// While it is there no file of this process grows.
class FullDisk {
 public:
  FullDisk() {
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &before_), 0);
    const rlimit none{0, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  }
  ~FullDisk() {
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &before_), 0);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int) = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before_{};
};

TEST_F(CompiledKernelFileTest, OnAFullDiskNoMoreIsKept) {
  const auto file = Open();
  file->Keep(Key(1), Kernel(1, 40));
  {
    const FullDisk full;
    file->Keep(Key(2), Kernel(2, 40));
  }
  file->Keep(Key(3), Kernel(3, 40));
  EXPECT_TRUE(Found(*file, 2).empty());
  EXPECT_TRUE(Found(*file, 3).empty()) << "after half a record it would not be read again";
  EXPECT_EQ(Found(*file, 1), Kernel(1, 40));
}

TEST_F(CompiledKernelFileTest, OnAFullDiskWhatIsThereIsFound) {
  Open()->Keep(Key(1), Kernel(1, 40));
  Bytes torn = Read();
  torn.insert(torn.end(), torn.begin(), torn.begin() + 60);
  Write(torn);
  {
    const FullDisk full;
    const auto file = Open();
    EXPECT_EQ(Found(*file, 1), Kernel(1, 40));
    file->Keep(Key(2), Kernel(2, 40));
    EXPECT_TRUE(Found(*file, 2).empty());
  }
  EXPECT_EQ(Read(), torn);
  EXPECT_EQ(Found(*Open(), 1), Kernel(1, 40));
}

TEST_F(CompiledKernelFileTest, WhatIsNoFileIsRefusedAtOnce) {
  Open();
  std::filesystem::remove(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_FALSE(CompiledKernelFile::Open(path).has_value());
  EXPECT_FALSE(CompiledKernelFile::Open(folder.string()).has_value());
}

}  // namespace
}  // namespace fallow
