// NVIDIA's cards, by a library of the test's own.
#include "platform/linux/nvml.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/fake/clock.h"
#include "tests/unit/platform/fake_nvml.h"
#include "tests/unit/platform/machine_folder.h"

namespace fallow {
namespace {

using std::chrono::seconds;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::int64_t kWorker = 77;
constexpr std::uint64_t kGiB = 1ull << 30;
const std::string kLibrary = FALLOW_BINARY_DIR "/tests/libfallow_fake_nvml.so";

class NvidiaCards : public ::testing::Test {
 protected:
  void SetUp() override {
    handle_ = ::dlopen(kLibrary.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(handle_, nullptr) << ::dlerror();
    using State = fallow::testing::FakeNvmlState* (*)();
    state_ = reinterpret_cast<State>(::dlsym(handle_, "fake_nvml_state"))();
    *state_ = {};
    Card("nvidia");
    folders_ = machine_.folders();
    folders_.nvidia_library = kLibrary;
  }
  void TearDown() override {
    cards_.reset();
    if (handle_ != nullptr) ::dlclose(handle_);
  }

  void Card(const std::string& driver) {
    machine_.Remove(kDevice);
    machine_.Write(kDevice + "/vendor", "0x10de");
    machine_.Write(kDevice + "/class", "0x030000");
    machine_.Link(kDevice + "/driver", "../../../../bus/pci/drivers/" + driver);
  }
  std::vector<GpuReading> Read(std::vector<std::int64_t> own = {}) {
    if (cards_ == nullptr) cards_ = std::make_unique<NvidiaGpus>(folders_);
    return cards_->Read(own, clock_.Steady());
  }
  GpuReading ReadOne(std::vector<std::int64_t> own = {}) {
    const auto readings = Read(std::move(own));
    EXPECT_THAT(readings, SizeIs(1));
    return readings.empty() ? GpuReading{} : readings.front();
  }

  const std::string kDevice = "sys/bus/pci/devices/0000:01:00.0";
  fallow::testing::MachineFolder machine_;
  SensorFolders folders_;
  SimulatedClock clock_;
  void* handle_ = nullptr;
  fallow::testing::FakeNvmlState* state_ = nullptr;
  std::unique_ptr<NvidiaGpus> cards_;
};

TEST_F(NvidiaCards, TellWhatTheLibraryTells) {
  state_->busy_percent = 40;
  state_->display_active = 1;
  const GpuReading reading = ReadOne();
  EXPECT_EQ(reading.pci_address, "0000:01:00.0");
  EXPECT_EQ(reading.name, "NVIDIA GeForce RTX 4070");
  EXPECT_EQ(reading.busy_share, 0.4);
  EXPECT_EQ(reading.foreign_busy_share, 0.4);
  EXPECT_EQ(reading.memory_total_bytes, 8 * kGiB);
  EXPECT_EQ(reading.memory_used_bytes, kGiB);
  EXPECT_EQ(reading.foreign_memory_bytes, kGiB);
  EXPECT_EQ(reading.drives_display, true);
  EXPECT_EQ(reading.celsius, 50);
  EXPECT_EQ(reading.watts, 30);
  EXPECT_EQ(reading.watts_limit, 200);
}

TEST_F(NvidiaCards, TellOurMemoryFromTheOthers) {
  state_->memory_used = 5 * kGiB;
  state_->computing = {{kWorker, 3 * kGiB}, {88, kGiB}};
  state_->drawing = {{kWorker, 3 * kGiB}, {99, kGiB / 2}};
  EXPECT_EQ(ReadOne({kWorker}).foreign_memory_bytes, 2 * kGiB);
}

TEST_F(NvidiaCards, DoNotGuessOurMemoryWhereTheDriverHidesIt) {
  state_->computing = {{kWorker, ~0ull}};
  EXPECT_EQ(ReadOne({kWorker}).foreign_memory_bytes, std::nullopt);
}

TEST_F(NvidiaCards, TellOurWorkFromTheOthersBySamples) {
  state_->busy_percent = 95;
  state_->computing = {{kWorker, kGiB}};
  state_->samples = {{kWorker, 1000, 70}, {88, 1000, 10}, {88, 2000, 30}};
  EXPECT_DOUBLE_EQ(ReadOne({kWorker}).foreign_busy_share.value(), 0.2);
}

TEST_F(NvidiaCards, CountASampleOnce) {
  state_->busy_percent = 95;
  state_->computing = {{kWorker, kGiB}};
  state_->samples = {{88, 1000, 90}};
  EXPECT_EQ(ReadOne({kWorker}).foreign_busy_share, 0.9);
  state_->samples.push_back({kWorker, 2000, 95});
  EXPECT_EQ(ReadOne({kWorker}).foreign_busy_share, 0.0);
}

TEST_F(NvidiaCards, DoNotGuessWhoseWorkItIsWithoutSamples) {
  state_->busy_percent = 95;
  state_->computing = {{kWorker, kGiB}};
  EXPECT_EQ(ReadOne({kWorker}).foreign_busy_share, std::nullopt);
  EXPECT_EQ(ReadOne({kWorker}).busy_share, 0.95);
}

TEST_F(NvidiaCards, AreOthersAloneWhereWeDoNotRun) {
  state_->busy_percent = 60;
  state_->computing = {{88, kGiB}};
  EXPECT_EQ(ReadOne({kWorker}).foreign_busy_share, 0.6);
}

TEST_F(NvidiaCards, KnowNothingOfWhatIsOutOfRange) {
  state_->busy_percent = 4'000'000;
  state_->memory_used = 9 * kGiB;
  state_->celsius = 4'294'967'295u;
  state_->milliwatts = 4'294'967'295u;
  state_->limit_milliwatts = 0;
  const GpuReading reading = ReadOne();
  EXPECT_EQ(reading.busy_share, std::nullopt);
  EXPECT_EQ(reading.foreign_busy_share, std::nullopt);
  EXPECT_EQ(reading.memory_used_bytes, std::nullopt);
  EXPECT_EQ(reading.foreign_memory_bytes, std::nullopt);
  EXPECT_EQ(reading.celsius, std::nullopt);
  EXPECT_EQ(reading.watts, std::nullopt);
  EXPECT_EQ(reading.watts_limit, std::nullopt);
}

TEST_F(NvidiaCards, DistrustAListWithProcessesThatCannotBe) {
  state_->computing = {{kWorker, kGiB}, {0, kGiB}};
  EXPECT_EQ(ReadOne({kWorker}).foreign_memory_bytes, std::nullopt);
}

TEST_F(NvidiaCards, SurviveMoreProcessesThanExpected) {
  for (unsigned i = 1; i <= 1000; ++i) state_->drawing.push_back({1000 + i, 1});
  state_->computing = {{kWorker, kGiB / 2}};
  EXPECT_EQ(ReadOne({kWorker}).foreign_memory_bytes, kGiB / 2);
}

TEST_F(NvidiaCards, AreNotThereWhenTheCardIsLost) {
  EXPECT_THAT(Read(), SizeIs(1));
  state_->status = 15;
  clock_.Advance(seconds(21));
  EXPECT_THAT(Read(), IsEmpty());
}

TEST_F(NvidiaCards, AreAskedForAgainAMinuteAfterTheLibraryFailed) {
  state_->init_status = 18;
  EXPECT_THAT(Read(), IsEmpty());
  state_->init_status = 0;
  EXPECT_THAT(Read(), IsEmpty());
  EXPECT_EQ(state_->inits, 1);
  clock_.Advance(seconds(61));
  EXPECT_THAT(Read(), SizeIs(1));
}

TEST_F(NvidiaCards, AreNoneWithoutTheLibrary) {
  folders_.nvidia_library = machine_.At("no-such-library.so");
  EXPECT_THAT(Read(), IsEmpty());
}

// The library of another maker, or a broken installation.
TEST_F(NvidiaCards, AreNoneWhenTheLibraryLacksWhatIsNeeded) {
  folders_.nvidia_library = "libc.so.6";
  EXPECT_THAT(Read(), IsEmpty());
}

TEST_F(NvidiaCards, DoNotOpenTheLibraryForAnotherDriver) {
  Card("nouveau");
  EXPECT_THAT(Read(), IsEmpty());
  EXPECT_EQ(state_->inits, 0);
}

TEST_F(NvidiaCards, AreLeftAsleep) {
  machine_.Write(kDevice + "/power/control", "auto");
  machine_.Write(kDevice + "/power/runtime_status", "suspended");
  const GpuReading reading = ReadOne();
  EXPECT_EQ(reading.name, "nvidia 0000:01:00.0");
  EXPECT_EQ(reading.busy_share, std::nullopt);
  EXPECT_EQ(state_->inits, 0);
}

// An open library holds memory and keeps the card awake.
TEST_F(NvidiaCards, AreLeftAloneForAWhileWhenTheyDoNothing) {
  ReadOne();
  EXPECT_EQ(state_->inits, 1);
  EXPECT_EQ(state_->shutdowns, 1);
  clock_.Advance(seconds(5));
  EXPECT_EQ(ReadOne().busy_share, 0.0);
  EXPECT_EQ(state_->inits, 1);
  clock_.Advance(seconds(20));
  ReadOne();
  EXPECT_EQ(state_->inits, 2);
}

TEST_F(NvidiaCards, AreAskedEachTimeWhileOthersUseThem) {
  state_->busy_percent = 30;
  ReadOne();
  EXPECT_EQ(state_->shutdowns, 1);
  state_->busy_percent = 80;
  EXPECT_EQ(ReadOne().busy_share, 0.8);
}

TEST_F(NvidiaCards, AreAskedAtOnceWhenWeBegin) {
  ReadOne();
  state_->busy_percent = 80;
  EXPECT_EQ(ReadOne({kWorker}).busy_share, 0.8);
}

TEST_F(NvidiaCards, KeepTheLibraryOpenWhileWeUseOne) {
  state_->computing = {{kWorker, kGiB}};
  ReadOne({kWorker});
  ReadOne({kWorker});
  EXPECT_EQ(state_->inits, 1);
  EXPECT_EQ(state_->shutdowns, 0);
  state_->computing.clear();
  ReadOne({kWorker});
  EXPECT_EQ(state_->shutdowns, 1);
}

}  // namespace
}  // namespace fallow
