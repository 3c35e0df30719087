#include "platform/gpu_load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/fake/clock.h"
#include "platform/linux/drm_fdinfo.h"
#include "tests/unit/platform/machine_folder.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::int64_t kWorker = 77;
constexpr std::int64_t kGame = 88;
constexpr std::uint64_t kMiB = 1 << 20;

TEST(DrmFdinfo, ReadsEnginesAndMemory) {
  const auto client = ParseDrmFdinfo(
      "pos:\t0\nflags:\t02400002\nmnt_id:\t24\nino:\t1094\n"
      "drm-driver:\tamdgpu\ndrm-client-id:\t34\ndrm-pdev:\t0000:0b:00.0\n"
      "drm-memory-vram:\t2048 KiB\ndrm-memory-gtt: \t10 KiB\n"
      "drm-engine-gfx:\t1500 ns\ndrm-engine-compute:\t900 ns\ndrm-engine-capacity-compute:\t4");
  ASSERT_TRUE(client.has_value());
  EXPECT_EQ(client->pci_address, "0000:0b:00.0");
  EXPECT_EQ(client->id, "34");
  EXPECT_EQ(client->device_memory_bytes, 2 * kMiB);
  ASSERT_THAT(client->engines, SizeIs(2));
  EXPECT_EQ(client->engines.at("gfx").busy, 1500u);
  EXPECT_EQ(client->engines.at("compute").capacity, 4u);
}

TEST(DrmFdinfo, ReadsCyclesWhereTheDriverCountsThem) {
  const auto client = ParseDrmFdinfo(
      "drm-driver:\txe\ndrm-client-id:\t6\ndrm-pdev:\t0000:03:00.0\n"
      "drm-total-vram0:\t64 MiB\ndrm-resident-vram0:\t32 MiB\ndrm-resident-vram1:\t1 MiB\n"
      "drm-cycles-rcs:\t28257900\ndrm-total-cycles-rcs:\t7655183225\n"
      "drm-cycles-bcs:\t5\n");
  ASSERT_TRUE(client.has_value());
  ASSERT_THAT(client->engines, SizeIs(1));
  EXPECT_EQ(client->engines.at("rcs").busy, 28257900u);
  EXPECT_EQ(client->engines.at("rcs").passed, 7655183225u);
  EXPECT_EQ(client->device_memory_bytes, 33 * kMiB);
}

TEST(DrmFdinfo, RefusesOtherFilesAndSurvivesNonsense) {
  EXPECT_EQ(ParseDrmFdinfo(""), std::nullopt);
  EXPECT_EQ(ParseDrmFdinfo("pos:\t0\nflags:\t02\n"), std::nullopt);
  const auto client = ParseDrmFdinfo(
      "drm-client-id:\t1\ndrm-engine-gfx:\t-5 ns\ndrm-engine-:\ndrm-\ndrm-engine-a\n"
      "drm-memory-vram:\t9223372036854775807 MiB\ndrm-engine-capacity-gfx:\t0\n"
      "drm-resident-vram:\t5 bananas\n");
  ASSERT_TRUE(client.has_value());
  EXPECT_THAT(client->engines, IsEmpty());
  EXPECT_EQ(client->device_memory_bytes, 0u);
}

struct Client {
  std::string id = "1";
  std::int64_t gfx_ms = 0;
  std::int64_t compute_ms = 0;
  std::uint64_t vram_mib = 0;
};

class GpuLoad : public ::testing::Test {
 protected:
  GpuLoad() { Card("card0", "amdgpu", "0000:0b:00.0"); }

  void Card(const std::string& name, const std::string& driver, const std::string& address) {
    const std::string device = "sys/devices/pci0000:00/" + address;
    machine_.Link(device + "/driver", "../../../bus/pci/drivers/" + driver);
    machine_.MakeFolder(device + "/drm/" + name);
    machine_.Link(device + "/drm/" + name + "/device", "../../../" + address);
    machine_.Link("sys/class/drm/" + name, "../../devices/pci0000:00/" + address + "/drm/" + name);
  }
  void Device(const std::string& file, const std::string& text) {
    machine_.Write("sys/devices/pci0000:00/0000:0b:00.0/" + file, text);
  }
  // What process `id` has open under the number `file`.
  void Open(std::int64_t id, const std::string& file, const Client& client) {
    const std::string folder = "proc/" + std::to_string(id);
    machine_.Remove(folder + "/fd/" + file);
    machine_.Link(folder + "/fd/" + file, "/dev/dri/renderD128");
    machine_.Write(folder + "/fdinfo/" + file,
                   "pos:\t0\ndrm-driver:\tamdgpu\ndrm-client-id:\t" + client.id +
                       "\ndrm-pdev:\t0000:0b:00.0\ndrm-engine-gfx:\t" +
                       std::to_string(client.gfx_ms * 1'000'000) + " ns\ndrm-engine-compute:\t" +
                       std::to_string(client.compute_ms * 1'000'000) + " ns\ndrm-memory-vram:\t" +
                       std::to_string(client.vram_mib) + " MiB");
  }
  // The account of a process that ran on files only: no GPU.
  void Plain(std::int64_t id) {
    machine_.Link("proc/" + std::to_string(id) + "/fd/0", "/dev/null");
  }
  GpuLoadSensor& sensor() {
    if (sensor_ == nullptr) sensor_ = NewGpuLoadSensor(clock_, machine_.folders());
    return *sensor_;
  }
  GpuReading Read(std::vector<std::int64_t> own = {}) {
    const auto readings = sensor().Read(own);
    EXPECT_THAT(readings, SizeIs(1));
    return readings.empty() ? GpuReading{} : readings.front();
  }
  void PassSecond() { clock_.Advance(seconds(1)); }

  fallow::testing::MachineFolder machine_;
  SimulatedClock clock_;
  std::unique_ptr<GpuLoadSensor> sensor_;
};

TEST_F(GpuLoad, KnowsACardByItsDriverAndAddress) {
  const GpuReading reading = Read();
  EXPECT_EQ(reading.name, "amdgpu card0");
  EXPECT_EQ(reading.pci_address, "0000:0b:00.0");
  EXPECT_EQ(reading.drives_display, false);
  EXPECT_EQ(reading.busy_share, std::nullopt);
  EXPECT_EQ(reading.foreign_busy_share, std::nullopt);
}

TEST_F(GpuLoad, DrivesADisplayWhenAConnectorIsConnected) {
  machine_.Write("sys/class/drm/card0-DP-1/status", "disconnected");
  EXPECT_EQ(Read().drives_display, false);
  machine_.Write("sys/class/drm/card0-HDMI-A-1/status", "connected");
  EXPECT_EQ(Read().drives_display, true);
}

// Work goes on there beside the owner, so that "no display" must be certain.
TEST_F(GpuLoad, NvidiasCardWithoutConnectorsMayDriveADisplayAllTheSame) {
  Card("card1", "nvidia", "0000:01:00.0");
  EXPECT_EQ(sensor().Read({}).at(1).drives_display, std::nullopt);
  machine_.Write("sys/class/drm/card1-DP-1/status", "disconnected");
  EXPECT_EQ(sensor().Read({}).at(1).drives_display, false);
}

TEST_F(GpuLoad, DoesNotTakeAnotherCardsConnectorForItsOwn) {
  machine_.Write("sys/class/drm/card01-DP-1/status", "connected");
  EXPECT_EQ(sensor().Read({}).at(0).drives_display, false);
}

TEST_F(GpuLoad, ReadsTheCardsCounters) {
  Device("gpu_busy_percent", "37");
  Device("mem_info_vram_total", std::to_string(8192 * kMiB));
  Device("mem_info_vram_used", std::to_string(1024 * kMiB));
  Device("hwmon/hwmon5/temp1_input", "64000");
  Device("hwmon/hwmon5/power1_average", "93000000");
  Device("hwmon/hwmon5/power1_cap", "186000000");
  const GpuReading reading = Read();
  EXPECT_EQ(reading.busy_share, 0.37);
  EXPECT_EQ(reading.foreign_busy_share, 0.37);
  EXPECT_EQ(reading.memory_total_bytes, 8192 * kMiB);
  EXPECT_EQ(reading.memory_used_bytes, 1024 * kMiB);
  EXPECT_EQ(reading.foreign_memory_bytes, 1024 * kMiB);
  EXPECT_EQ(reading.celsius, 64);
  EXPECT_EQ(reading.watts, 93);
  EXPECT_EQ(reading.watts_limit, 186);
}

TEST_F(GpuLoad, KnowsNothingOfCountersThatLie) {
  Device("gpu_busy_percent", "165");
  Device("mem_info_vram_total", "1000");
  Device("mem_info_vram_used", "2000");
  Device("hwmon/hwmon5/temp1_input", "511000");
  Device("hwmon/hwmon5/power1_input", "-1");
  Device("hwmon/hwmon5/power1_cap", "0");
  const GpuReading reading = Read();
  EXPECT_EQ(reading.busy_share, std::nullopt);
  EXPECT_EQ(reading.foreign_busy_share, std::nullopt);
  EXPECT_EQ(reading.memory_used_bytes, std::nullopt);
  EXPECT_EQ(reading.celsius, std::nullopt);
  EXPECT_EQ(reading.watts, std::nullopt);
  EXPECT_EQ(reading.watts_limit, std::nullopt);
}

TEST_F(GpuLoad, TellsOursFromTheOthersByTheirAccounts) {
  Device("gpu_busy_percent", "100");
  Device("mem_info_vram_total", std::to_string(8192 * kMiB));
  Device("mem_info_vram_used", std::to_string(3000 * kMiB));
  Open(kWorker, "7", {.id = "1", .compute_ms = 0, .vram_mib = 2000});
  Open(kGame, "9", {.id = "2", .gfx_ms = 0, .vram_mib = 700});
  EXPECT_EQ(Read({kWorker}).foreign_busy_share, std::nullopt);
  PassSecond();
  Open(kWorker, "7", {.id = "1", .compute_ms = 800, .vram_mib = 2000});
  Open(kGame, "9", {.id = "2", .gfx_ms = 250, .vram_mib = 700});
  const GpuReading reading = Read({kWorker});
  EXPECT_EQ(reading.busy_share, 1.0);
  EXPECT_EQ(reading.foreign_busy_share, 0.25);
  EXPECT_EQ(reading.foreign_memory_bytes, 1000 * kMiB);
}

// The worker computes elsewhere, or on the processor.
TEST_F(GpuLoad, IsAllTheOthersWhereWeAreNoClient) {
  Device("gpu_busy_percent", "42");
  Plain(kWorker);
  EXPECT_EQ(Read({kWorker}).foreign_busy_share, 0.42);
}

TEST_F(GpuLoad, TakesTheBusiestKindOfEngine) {
  Open(kGame, "9", {.id = "2"});
  Open(kGame + 1, "3", {.id = "3"});
  Read();
  PassSecond();
  Open(kGame, "9", {.id = "2", .gfx_ms = 300, .compute_ms = 350});
  Open(kGame + 1, "3", {.id = "3", .gfx_ms = 200});
  const GpuReading reading = Read();
  EXPECT_EQ(reading.foreign_busy_share, 0.5);
  EXPECT_EQ(reading.busy_share, 0.5);
}

// A file that was copied, or handed to the display server, is one client.
TEST_F(GpuLoad, CountsAClientOnce) {
  Open(kGame, "9", {.id = "2"});
  Open(kGame, "10", {.id = "2"});
  Open(kGame + 1, "4", {.id = "2"});
  Read();
  PassSecond();
  Open(kGame, "9", {.id = "2", .gfx_ms = 400});
  Open(kGame, "10", {.id = "2", .gfx_ms = 400});
  Open(kGame + 1, "4", {.id = "2", .gfx_ms = 400});
  EXPECT_EQ(Read().foreign_busy_share, 0.4);
}

TEST_F(GpuLoad, CountsASharedClientAsOurs) {
  Open(kWorker - 1, "4", {.id = "1"});
  Open(kWorker, "9", {.id = "1"});
  Read({kWorker});
  PassSecond();
  Open(kWorker - 1, "4", {.id = "1", .compute_ms = 900});
  Open(kWorker, "9", {.id = "1", .compute_ms = 900});
  EXPECT_EQ(Read({kWorker}).foreign_busy_share, 0.0);
}

TEST_F(GpuLoad, CountsWhatANewClientDoesOnlyFromItsSecondReading) {
  Open(kGame, "9", {.id = "2"});
  Read();
  PassSecond();
  Open(kGame + 1, "3", {.id = "3", .gfx_ms = 60'000});
  EXPECT_EQ(Read().foreign_busy_share, 0.0);
  PassSecond();
  Open(kGame + 1, "3", {.id = "3", .gfx_ms = 60'500});
  EXPECT_EQ(Read().foreign_busy_share, 0.5);
}

TEST_F(GpuLoad, IgnoresAnAccountThatStepsBack) {
  Open(kGame, "9", {.id = "2", .gfx_ms = 5000});
  Read();
  PassSecond();
  Open(kGame, "9", {.id = "2", .gfx_ms = 10});
  EXPECT_EQ(Read().foreign_busy_share, 0.0);
}

TEST_F(GpuLoad, IsNeverMoreThanTheWholeCard) {
  Open(kGame, "9", {.id = "2"});
  Read();
  PassSecond();
  Open(kGame, "9", {.id = "2", .compute_ms = 3000});
  EXPECT_EQ(Read().foreign_busy_share, 1.0);
}

TEST_F(GpuLoad, KeepsItsAnswerWhenAskedTwiceInAMoment) {
  Open(kGame, "9", {.id = "2"});
  Read();
  PassSecond();
  Open(kGame, "9", {.id = "2", .gfx_ms = 500});
  EXPECT_EQ(Read().foreign_busy_share, 0.5);
  clock_.Advance(milliseconds(10));
  Open(kGame, "9", {.id = "2", .gfx_ms = 510});
  EXPECT_EQ(Read().foreign_busy_share, 0.5);
}

TEST_F(GpuLoad, FallsToZeroWhenTheLastClientLeaves) {
  Open(kGame, "9", {.id = "2"});
  Read();
  machine_.Remove("proc/88");
  PassSecond();
  EXPECT_EQ(Read().foreign_busy_share, 0.0);
}

// A process opens the card when it is some seconds old, and one much older does so as well.
TEST_F(GpuLoad, FindsACardFileThatIsOpenedLater) {
  Open(kGame, "9", {.id = "2"});
  Plain(kGame + 1);
  for (int i = 0; i < 20; ++i) {
    PassSecond();
    Read();
  }
  Open(kGame + 1, "3", {.id = "3", .gfx_ms = 0});
  std::int64_t busy_ms = 0;
  std::optional<double> share;
  for (int i = 0; i < 14 && share.value_or(0) == 0; ++i) {
    PassSecond();
    Open(kGame + 1, "3", {.id = "3", .gfx_ms = busy_ms += 500});
    share = Read().foreign_busy_share;
  }
  EXPECT_EQ(share, 0.5);
}

TEST_F(GpuLoad, LeavesASleepingCardAsleep) {
  Device("power/runtime_status", "suspended");
  Device("gpu_busy_percent", "0");
  Device("hwmon/hwmon5/temp1_input", "30000");
  const GpuReading reading = Read();
  EXPECT_EQ(reading.name, "amdgpu card0");
  EXPECT_EQ(reading.busy_share, std::nullopt);
  EXPECT_EQ(reading.celsius, std::nullopt);
}

TEST_F(GpuLoad, IsEmptyWithoutACard) {
  machine_.Remove("sys/class/drm/card0");
  EXPECT_THAT(sensor().Read({}), IsEmpty());
}

TEST_F(GpuLoad, KeepsTwoCardsApart) {
  Card("card1", "i915", "0000:00:02.0");
  Open(kGame, "9", {.id = "2"});
  sensor().Read({});
  PassSecond();
  Open(kGame, "9", {.id = "2", .gfx_ms = 500});
  const auto readings = sensor().Read({});
  ASSERT_THAT(readings, SizeIs(2));
  EXPECT_EQ(readings[0].foreign_busy_share, 0.5);
  EXPECT_EQ(readings[1].foreign_busy_share, std::nullopt);
}

}  // namespace
}  // namespace fallow
