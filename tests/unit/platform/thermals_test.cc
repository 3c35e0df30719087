#include "platform/thermals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/fake/clock.h"
#include "platform/linux/rapl.h"
#include "tests/unit/platform/machine_folder.h"

namespace fallow {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Thermals : public ::testing::Test {
 protected:
  void Hwmon(const std::string& number, const std::string& driver) {
    machine_.Write("sys/class/hwmon/hwmon" + number + "/name", driver);
  }
  void Channel(const std::string& number, int channel, const std::string& label,
               const std::string& milli, const std::string& critical = "") {
    const std::string base = "sys/class/hwmon/hwmon" + number + "/temp" + std::to_string(channel);
    machine_.Write(base + "_input", milli);
    if (!label.empty()) machine_.Write(base + "_label", label);
    if (!critical.empty()) machine_.Write(base + "_crit", critical);
  }
  void Zone(int number, const std::string& type, const std::string& milli) {
    const std::string folder = "sys/class/thermal/thermal_zone" + std::to_string(number);
    machine_.Write(folder + "/type", type);
    machine_.Write(folder + "/temp", milli);
  }
  std::unique_ptr<ThermalSensor> Sensor() { return NewThermalSensor(clock_, machine_.folders()); }
  std::vector<Temperature> Temperatures() { return Sensor()->Read().temperatures; }

  fallow::testing::MachineFolder machine_;
  SimulatedClock clock_;
};

TEST_F(Thermals, SayNothingWhereThereIsNoSensor) {
  const ThermalReading reading = Sensor()->Read();
  EXPECT_EQ(reading, ThermalReading{});
}

TEST_F(Thermals, TakeThePackageForItsCores) {
  Hwmon("3", "coretemp");
  Channel("3", 1, "Package id 0", "61000", "100000");
  Channel("3", 2, "Core 0", "59000", "100000");
  Channel("3", 10, "Core 8", "60000", "100000");
  EXPECT_THAT(Temperatures(),
              ElementsAre(Temperature{HeatedPart::kProcessor, "coretemp Package id 0", 61, 100}));
}

TEST_F(Thermals, TakeTheDieBeforeTheFanControlsTemperature) {
  Hwmon("0", "k10temp");
  Channel("0", 1, "Tctl", "87000");
  Channel("0", 2, "Tdie", "60000");
  Channel("0", 3, "Tccd1", "58000");
  EXPECT_THAT(Temperatures(),
              ElementsAre(Temperature{HeatedPart::kProcessor, "k10temp Tdie", 60, std::nullopt}));
}

TEST_F(Thermals, TakeTheFanControlsTemperatureWhereNoDieIsNamed) {
  Hwmon("0", "k10temp");
  Channel("0", 1, "Tctl", "55125");
  Channel("0", 3, "Tccd1", "48000");
  EXPECT_THAT(Temperatures(), ElementsAre(Temperature{HeatedPart::kProcessor, "k10temp Tctl",
                                                      55.125, std::nullopt}));
}

TEST_F(Thermals, TakeAllOfAGraphicsCard) {
  Hwmon("1", "amdgpu");
  Channel("1", 1, "edge", "45000", "100000");
  Channel("1", 2, "junction", "52000", "110000");
  EXPECT_THAT(Temperatures(),
              ElementsAre(Temperature{HeatedPart::kGpu, "amdgpu edge", 45, 100},
                          Temperature{HeatedPart::kGpu, "amdgpu junction", 52, 110}));
}

TEST_F(Thermals, LeaveOutWhatIsNeitherProcessorNorGraphics) {
  int number = 0;
  for (const char* driver : {"nvme", "acpitz", "BAT0", "iwlwifi_1", "spd5118", "drivetemp"}) {
    Hwmon(std::to_string(number), driver);
    Channel(std::to_string(number++), 1, "", "90000");
  }
  Zone(0, "acpitz", "127000");
  Zone(1, "iwlwifi_1", "90000");
  EXPECT_THAT(Temperatures(), IsEmpty());
}

TEST_F(Thermals, TakeAZoneWhereNoDriverSpeaksForThePart) {
  Zone(0, "acpitz", "16800");
  Zone(1, "x86_pkg_temp", "48000");
  machine_.Write("sys/class/thermal/thermal_zone1/trip_point_0_type", "passive");
  machine_.Write("sys/class/thermal/thermal_zone1/trip_point_0_temp", "80000");
  machine_.Write("sys/class/thermal/thermal_zone1/trip_point_1_type", "critical");
  machine_.Write("sys/class/thermal/thermal_zone1/trip_point_1_temp", "105000");
  Zone(2, "gpu-thermal", "39000");
  EXPECT_THAT(Temperatures(),
              ElementsAre(Temperature{HeatedPart::kProcessor, "x86_pkg_temp", 48, 105},
                          Temperature{HeatedPart::kGpu, "gpu-thermal", 39, std::nullopt}));
  Hwmon("0", "coretemp");
  Channel("0", 1, "Package id 0", "49000");
  EXPECT_THAT(Temperatures(), SizeIs(2));
  EXPECT_EQ(Temperatures()[0].sensor, "coretemp Package id 0");
}

TEST_F(Thermals, AreReadAnewEachTime) {
  Hwmon("0", "zenpower");
  Channel("0", 1, "Tdie", "40000");
  const auto sensor = Sensor();
  EXPECT_EQ(sensor->Read().temperatures.at(0).celsius, 40);
  Channel("0", 1, "Tdie", "101500");
  EXPECT_EQ(sensor->Read().temperatures.at(0).celsius, 101.5);
}

TEST_F(Thermals, RefuseWhatNoSensorCanMeanAndNameIt) {
  for (const char* milli : {"-273150", "255000", "garbage", ""}) {
    Hwmon("2", "nouveau");
    Channel("2", 1, "", milli);
    const ThermalReading reading = Sensor()->Read();
    EXPECT_THAT(reading.temperatures, IsEmpty()) << milli;
    EXPECT_THAT(reading.troubles, ElementsAre(HasSubstr("hwmon2 (nouveau)"))) << milli;
  }
}

TEST_F(Thermals, IgnoreACriticalTemperatureThatIsNone) {
  Hwmon("0", "coretemp");
  Channel("0", 1, "Package id 0", "50000", "0");
  EXPECT_EQ(Temperatures().at(0).critical_celsius, std::nullopt);
}

// A folder in the place of a sensor's file can be opened and not read, as a device that has gone.
TEST_F(Thermals, SurviveASensorThatCannotBeRead) {
  Hwmon("0", "k10temp");
  Channel("0", 1, "Tctl", "50000");
  Hwmon("1", "nouveau");
  machine_.MakeFolder("sys/class/hwmon/hwmon1/temp1_input");
  const ThermalReading reading = Sensor()->Read();
  EXPECT_THAT(reading.temperatures, SizeIs(1));
  EXPECT_THAT(reading.troubles,
              ElementsAre(AllOf(HasSubstr("hwmon1 (nouveau)"), HasSubstr("cannot read"))));
}

TEST_F(Thermals, FindASensorAgainUnderAnotherNumber) {
  Hwmon("1", "nouveau");
  machine_.MakeFolder("sys/class/hwmon/hwmon1/temp1_input");
  const auto sensor = Sensor();
  EXPECT_THAT(sensor->Read().troubles, SizeIs(1));
  machine_.Remove("sys/class/hwmon/hwmon1");
  Hwmon("2", "nouveau");
  Channel("2", 1, "", "44000");
  ThermalReading reading;
  for (int i = 0; i < 10 && reading.temperatures.empty(); ++i) reading = sensor->Read();
  EXPECT_THAT(reading.temperatures, SizeIs(1));
  EXPECT_THAT(reading.troubles, IsEmpty());
}

TEST_F(Thermals, LeaveASleepingGraphicsCardAsleep) {
  Hwmon("4", "amdgpu");
  Channel("4", 1, "edge", "45000");
  machine_.Write("sys/class/hwmon/hwmon4/device/power/runtime_status", "suspended");
  const auto sensor = Sensor();
  EXPECT_EQ(sensor->Read(), ThermalReading{});
  machine_.Write("sys/class/hwmon/hwmon4/device/power/runtime_status", "active");
  EXPECT_THAT(sensor->Read().temperatures, SizeIs(1));
}

TEST_F(Thermals, HoldALimitedNumberOfSensors) {
  Hwmon("0", "amdgpu");
  for (int channel = 1; channel <= 300; ++channel) Channel("0", channel, "", "40000");
  EXPECT_THAT(Temperatures(), SizeIs(128));
}

class ProcessorWatts : public Thermals {
 protected:
  void Package(const std::string& zone, const std::string& name, std::int64_t energy_uj) {
    const std::string folder = "sys/class/powercap/" + zone;
    machine_.Write(folder + "/name", name);
    machine_.Write(folder + "/max_energy_range_uj", "262143328850");
    machine_.Write(folder + "/energy_uj", std::to_string(energy_uj));
  }
};

TEST_F(ProcessorWatts, AreTheEnergyOverTheTime) {
  Package("intel-rapl:0", "package-0", 1'000'000);
  Package("intel-rapl:1", "package-1", 5'000'000);
  Package("intel-rapl:0:0", "core", 9);
  Package("intel-rapl-mmio:0", "package-0", 9);
  Package("intel-rapl:2", "psys", 9);
  PackagePower power(machine_.At("sys"));
  EXPECT_EQ(power.Watts(clock_.Steady()), std::nullopt);
  clock_.Advance(seconds(2));
  Package("intel-rapl:0", "package-0", 1'000'000 + 30'000'000);
  Package("intel-rapl:1", "package-1", 5'000'000 + 10'000'000);
  EXPECT_EQ(power.Watts(clock_.Steady()), 20.0);
}

TEST_F(ProcessorWatts, SurviveTheEndOfTheCountersRange) {
  Package("intel-rapl:0", "package-0", 262'143'328'850 - 4'000'000);
  PackagePower power(machine_.At("sys"));
  power.Watts(clock_.Steady());
  clock_.Advance(seconds(1));
  Package("intel-rapl:0", "package-0", 6'000'000);
  EXPECT_EQ(power.Watts(clock_.Steady()), 10.0);
}

TEST_F(ProcessorWatts, AreNoneWhenTheCounterStartedAnew) {
  Package("intel-rapl:0", "package-0", 100'000'000'000);
  PackagePower power(machine_.At("sys"));
  power.Watts(clock_.Steady());
  clock_.Advance(seconds(5));
  Package("intel-rapl:0", "package-0", 1'000'000);
  EXPECT_EQ(power.Watts(clock_.Steady()), std::nullopt);
  clock_.Advance(seconds(1));
  Package("intel-rapl:0", "package-0", 8'000'000);
  EXPECT_EQ(power.Watts(clock_.Steady()), 7.0);
}

TEST_F(ProcessorWatts, AreNoneAfterAGapInWhichTheCounterMayHaveGoneRoundTwice) {
  Package("intel-rapl:0", "package-0", 0);
  PackagePower power(machine_.At("sys"));
  power.Watts(clock_.Steady());
  clock_.Advance(std::chrono::hours(1));
  Package("intel-rapl:0", "package-0", 60'000'000);
  EXPECT_EQ(power.Watts(clock_.Steady()), std::nullopt);
}

TEST_F(ProcessorWatts, AreNoTroubleWhereTheyMayNotBeRead) {
  machine_.Write("sys/class/powercap/intel-rapl:0/name", "package-0");
  machine_.Write("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850");
  const ThermalReading reading = Sensor()->Read();
  EXPECT_EQ(reading.processor_watts, std::nullopt);
  EXPECT_THAT(reading.troubles, IsEmpty());
}

}  // namespace
}  // namespace fallow
