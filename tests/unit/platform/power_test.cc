#include "platform/power.h"

#include <gtest/gtest.h>

#include "tests/unit/platform/machine_folder.h"

namespace fallow {
namespace {

class Power : public ::testing::Test {
 protected:
  void Supply(const std::string& name,
              std::initializer_list<std::pair<const char*, const char*>> files) {
    for (const auto& [file, text] : files) {
      machine_.Write("sys/class/power_supply/" + name + "/" + file, text);
    }
  }
  PowerReading Read() { return NewPowerSensor(machine_.folders())->Read(); }

  fallow::testing::MachineFolder machine_;
};

TEST_F(Power, HasNoBatteryWhereNoneIsListed) {
  const PowerReading reading = Read();
  EXPECT_EQ(reading.on_battery, std::nullopt);
  EXPECT_EQ(reading.charge_percent, std::nullopt);
  EXPECT_EQ(reading.power_saver, std::nullopt);
  EXPECT_FALSE(reading.detail.empty());
}

TEST_F(Power, IsOnBatteryWhenItDischargesAndNothingElseFeeds) {
  Supply("ADP1", {{"type", "Mains"}, {"online", "0"}});
  Supply("BAT0", {{"type", "Battery"}, {"status", "Discharging"}, {"capacity", "57"}});
  const PowerReading reading = Read();
  EXPECT_EQ(reading.on_battery, true);
  EXPECT_EQ(reading.charge_percent, 57);
  EXPECT_EQ(reading.detail, "BAT0 discharging");
}

TEST_F(Power, IsOnBatteryWhereNoAdapterIsListed) {
  Supply("BAT0", {{"type", "Battery"}, {"status", "Discharging"}, {"capacity", "57"}});
  EXPECT_EQ(Read().on_battery, true);
}

// The load is more than the charger gives: the battery shrinks, but the mains are there.
TEST_F(Power, IsNotOnBatteryWithAWeakCharger) {
  Supply("ACAD", {{"type", "Mains"}, {"online", "1"}});
  Supply("BAT1", {{"type", "Battery"}, {"status", "Discharging"}, {"capacity", "80"}});
  const PowerReading reading = Read();
  EXPECT_EQ(reading.on_battery, false);
  EXPECT_EQ(reading.detail, "BAT1 discharging though ACAD is online");
}

TEST_F(Power, CountsAUsbChargerAsMains) {
  Supply("AC", {{"type", "Mains"}, {"online", "0"}});
  Supply("ucsi-source-psy-USBC000:001", {{"type", "USB"}, {"online", "1"}, {"scope", "System"}});
  Supply("BAT0", {{"type", "Battery"}, {"status", "Discharging"}, {"scope", "System"}});
  EXPECT_EQ(Read().on_battery, false);
}

TEST_F(Power, LeavesOutTheBatteryOfAMouse) {
  Supply("hidpp_battery_0",
         {{"type", "Battery"}, {"scope", "Device"}, {"status", "Discharging"}, {"capacity", "5"}});
  const PowerReading reading = Read();
  EXPECT_EQ(reading.on_battery, std::nullopt);
  EXPECT_EQ(reading.charge_percent, std::nullopt);
}

// A laptop whose battery was taken out, with a mouse beside it.
TEST_F(Power, LeavesOutABatteryThatIsNotThere) {
  Supply("ADP0", {{"type", "Mains"}, {"online", "1"}});
  Supply("BAT0", {{"type", "Battery"}, {"present", "0"}, {"status", "Discharging"}});
  Supply("hid-mouse", {{"type", "Battery"}, {"scope", "Device"}, {"status", "Discharging"}});
  EXPECT_EQ(Read().on_battery, std::nullopt);
}

TEST_F(Power, LeavesOutAUps) {
  Supply("ups", {{"type", "UPS"}, {"status", "Discharging"}, {"capacity", "90"}});
  EXPECT_EQ(Read().on_battery, std::nullopt);
}

TEST_F(Power, LeavesOutABatteryThatKnowsNothingOfItself) {
  Supply("BAT0", {{"type", "Battery"}, {"present", "1"}, {"status", "Unknown"}});
  EXPECT_EQ(Read().on_battery, std::nullopt);
}

// Some laptops say "Unknown" at a charging threshold, and for a moment after each change.
TEST_F(Power, JudgesAChargedBatteryInAnUnknownStateByTheMains) {
  Supply("BAT0", {{"type", "Battery"}, {"status", "Unknown"}, {"capacity", "80"}});
  EXPECT_EQ(Read().on_battery, std::nullopt);
  Supply("AC", {{"type", "Mains"}, {"online", "1"}});
  EXPECT_EQ(Read().on_battery, false);
  Supply("AC", {{"type", "Mains"}, {"online", "0"}});
  EXPECT_EQ(Read().on_battery, true);
}

TEST_F(Power, IsNotOnBatteryWhileItIsFullOrCharging) {
  for (const char* status : {"Full", "Charging", "Not charging"}) {
    Supply("BAT0", {{"type", "Battery"}, {"status", status}, {"capacity", "99"}});
    EXPECT_EQ(Read().on_battery, false) << status;
  }
}

TEST_F(Power, IsOnBatteryWhenOneOfTwoDischarges) {
  Supply("AC", {{"type", "Mains"}, {"online", "0"}});
  Supply("BAT0", {{"type", "Battery"}, {"status", "Unknown"}, {"capacity", "80"}});
  Supply("BAT1", {{"type", "Battery"}, {"status", "Discharging"}, {"capacity", "40"}});
  EXPECT_EQ(Read().on_battery, true);
  EXPECT_EQ(Read().charge_percent, 60);
}

TEST_F(Power, WeighsBatteriesByTheirSize) {
  Supply("BAT0", {{"type", "Battery"},
                  {"status", "Discharging"},
                  {"capacity", "100"},
                  {"energy_full", "20000000"}});
  Supply("BAT1", {{"type", "Battery"},
                  {"status", "Not charging"},
                  {"capacity", "0"},
                  {"energy_full", "60000000"}});
  EXPECT_EQ(Read().charge_percent, 25);
}

TEST_F(Power, TakesTheChargeFromEnergyWhereTheCapacityIsNonsense) {
  Supply("BAT0", {{"type", "Battery"},
                  {"status", "Discharging"},
                  {"capacity", "4711"},
                  {"charge_now", "1500000"},
                  {"charge_full", "3000000"}});
  EXPECT_EQ(Read().charge_percent, 50);
}

TEST_F(Power, SavesPowerWhenTheOwnerChoseTo) {
  machine_.Write("sys/firmware/acpi/platform_profile", "low-power");
  EXPECT_EQ(Read().power_saver, true);
  machine_.Write("sys/firmware/acpi/platform_profile", "quiet");
  EXPECT_EQ(Read().power_saver, false);
}

}  // namespace
}  // namespace fallow
