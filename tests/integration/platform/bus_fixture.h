// What the tests of sources on a bus share: a private bus, a loop, and bounded waits.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "platform/session_signals.h"
#include "platform/system.h"
#include "tests/integration/platform/played_service.h"
#include "tests/integration/platform/private_bus.h"
#include "tests/integration/platform/run_loop.h"

namespace fallow::testing {

class BusTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string lacking = PrivateBus::Lacking(); !lacking.empty())
      GTEST_SKIP() << lacking;
    ASSERT_TRUE(private_bus_.Start()) << "dbus-daemon did not start";
  }

  // How long `fn` keeps the loop.
  template <class Fn>
  static std::chrono::milliseconds TimeOf(Fn&& fn) {
    const auto start = std::chrono::steady_clock::now();
    fn();
    return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  }

  // Runs the loop until the source says that it changed, and reads it.
  SessionSignal ReadAfterChange(SessionSignalSource& source) {
    bool changed = false;
    EXPECT_TRUE(source.OnChange([&] { changed = true; }));
    EXPECT_TRUE(RunUntil(*loop_, [&] { return changed; })) << source.name() << " told no change";
    source.OnChange(nullptr);
    return source.Read();
  }

  PrivateBus private_bus_;
  std::unique_ptr<MainLoop> loop_ = NewMainLoop();
};

// A wait of 200 ms, on a machine that is busy with much else.
inline constexpr std::chrono::milliseconds kBoundedWait{5'000};
// As many waits one after the other would take twice as long as that.
inline constexpr int kManyWaits = 50;

inline void ExpectInactive(const SessionSignal& signal) {
  EXPECT_TRUE(signal.known) << signal.detail;
  EXPECT_FALSE(signal.active) << signal.detail;
}
inline void ExpectActive(const SessionSignal& signal, const std::string& detail) {
  EXPECT_TRUE(signal.known) << signal.detail;
  EXPECT_TRUE(signal.active);
  EXPECT_EQ(signal.detail, detail);
}
inline void ExpectUnknown(const SessionSignal& signal, const std::string& reason) {
  EXPECT_FALSE(signal.known);
  EXPECT_FALSE(signal.active);
  EXPECT_THAT(signal.detail, ::testing::HasSubstr(reason));
}

}  // namespace fallow::testing
