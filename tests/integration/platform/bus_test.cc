// The bus connection against a private bus and a service that the test plays.
#include "platform/linux/bus.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "platform/linux/service_watch.h"
#include "tests/integration/platform/bus_fixture.h"

namespace fallow {
namespace {

using fallow::testing::BusTest;
using fallow::testing::kBoundedWait;
using fallow::testing::kManyWaits;
using fallow::testing::PlayedService;
using fallow::testing::RunFor;
using fallow::testing::RunUntil;
using fallow::testing::TemporaryFolder;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

const BusObject kShop{"org.example.Shop", "/shop", "org.example.Shop"};

class BusConnection : public BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    if (IsSkipped()) return;
    shop_.On("Double", [](sd_bus_message* call, sd_bus_message* reply) {
      std::uint32_t number = 0;
      sd_bus_message_read(call, "u", &number);
      sd_bus_message_append(reply, "u", 2 * number);
    });
    shop_.Start();
    auto opened = Bus::Open(*loop_, Bus::Which::kSession);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    bus_ = *std::move(opened);
  }

  PlayedService shop_{kShop.service};
  std::unique_ptr<Bus> bus_;
};

TEST_F(BusConnection, CallsAndPropertiesAreAnswered) {
  const auto doubled = bus_->Call(kShop, "Double", "u", std::uint32_t{21});
  ASSERT_TRUE(doubled.has_value()) << doubled.error().message;
  std::uint32_t number = 0;
  ASSERT_GT(sd_bus_message_read(doubled->get(), "u", &number), 0);
  EXPECT_EQ(number, 42u);

  shop_.Set("Name", std::string("Corner"));
  shop_.Set("Open", true);
  shop_.Set("Debt", std::int32_t{-3});
  EXPECT_EQ(*bus_->PropertyText(kShop, "Name"), "Corner");
  EXPECT_EQ(*bus_->PropertyBool(kShop, "Open"), true);
  EXPECT_EQ(*bus_->PropertyI32(kShop, "Debt"), -3);
}

TEST_F(BusConnection, WrongAnswersAreNamed) {
  shop_.Set("Name", std::string("Corner"));
  const auto wrong_type = bus_->PropertyU32(kShop, "Name");
  ASSERT_FALSE(wrong_type.has_value());
  EXPECT_EQ(wrong_type.error().code, ErrorCode::kDataLoss);
  EXPECT_THAT(wrong_type.error().message, HasSubstr("org.example.Shop: Name is not of type u"));

  EXPECT_EQ(bus_->PropertyU32(kShop, "Nothing").error().code, ErrorCode::kNotFound);
  const auto absent = bus_->Call({"org.example.Nobody", "/", "org.example.Nobody"}, "Hello");
  ASSERT_FALSE(absent.has_value());
  EXPECT_EQ(absent.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(absent.error().message, "org.example.Nobody is not running");
}

TEST_F(BusConnection, CallsTogetherCostOnePatience) {
  shop_.FallSilent();
  const auto taken = TimeOf([&] {
    const Bus::Together together(*bus_);
    for (int i = 0; i < kManyWaits; ++i) {
      const auto answer = bus_->Call(kShop, "Double", "u", std::uint32_t{1});
      ASSERT_FALSE(answer.has_value());
      EXPECT_EQ(answer.error().code, ErrorCode::kDeadlineExceeded);
      EXPECT_THAT(answer.error().message, HasSubstr("org.example.Shop does not answer Double"));
    }
  });
  EXPECT_GE(taken, milliseconds(190));
  EXPECT_LT(taken, kBoundedWait);
  // A late answer is not taken for another question's.
  shop_.FallSilent(false);
  const auto doubled = bus_->Call(kShop, "Double", "u", std::uint32_t{4});
  ASSERT_TRUE(doubled.has_value()) << doubled.error().message;
  std::uint32_t number = 0;
  ASSERT_GT(sd_bus_message_read(doubled->get(), "u", &number), 0);
  EXPECT_EQ(number, 8u);
}

TEST_F(BusConnection, SignalsReachTheirSubscriberAlone) {
  int opened = 0, moved = 0;
  const auto on_opened = bus_->OnSignal(kShop, "Opened", [&](sd_bus_message*) { ++opened; });
  const auto on_moved = bus_->OnSignal(
      kShop, "Moved", [&](sd_bus_message*) { ++moved; }, "north");
  ASSERT_TRUE(on_opened.has_value() && on_moved.has_value());
  ASSERT_TRUE(bus_->Call(kShop, "Double", "u", std::uint32_t{1}).has_value());  // they are set up
  shop_.Emit("/other", kShop.interface, "Opened");
  shop_.Emit(kShop.path, kShop.interface, "Moved", "s", "south");
  shop_.Emit(kShop.path, kShop.interface, "Moved", "s", "north");
  shop_.Emit(kShop.path, kShop.interface, "Opened");
  EXPECT_TRUE(RunUntil(*loop_, [&] { return opened > 0; }));
  EXPECT_EQ(opened, 1);
  EXPECT_EQ(moved, 1);
}

TEST_F(BusConnection, SignalsThatCameDuringAFailedCallAreNotLost) {
  int opened = 0;
  const auto subscription = bus_->OnSignal(kShop, "Opened", [&](sd_bus_message*) { ++opened; });
  ASSERT_TRUE(subscription.has_value());
  ASSERT_TRUE(bus_->Call(kShop, "Double", "u", std::uint32_t{1}).has_value());
  shop_.FallSilent();
  shop_.Emit(kShop.path, kShop.interface, "Opened");
  EXPECT_FALSE(bus_->Call(kShop, "Double", "u", std::uint32_t{1}).has_value());
  EXPECT_EQ(opened, 0) << "signals come from the loop alone";
  EXPECT_TRUE(RunUntil(*loop_, [&] { return opened == 1; }));
}

TEST_F(BusConnection, HandlerMayEndItsOwnSubscriptionAndTheBus) {
  Bus::Subscription subscription;
  bool called = false;
  auto made = bus_->OnSignal(kShop, "Opened", [&](sd_bus_message*) {
    called = true;
    subscription = nullptr;
    bus_ = nullptr;
  });
  ASSERT_TRUE(made.has_value());
  subscription = *std::move(made);
  ASSERT_TRUE(bus_->Call(kShop, "Double", "u", std::uint32_t{1}).has_value());
  shop_.Emit(kShop.path, kShop.interface, "Opened");
  EXPECT_TRUE(RunUntil(*loop_, [&] { return called; }));
  EXPECT_EQ(bus_, nullptr);
}

TEST_F(BusConnection, OwnersComingAndGoingIsTold) {
  int changes = 0;
  const auto subscription = bus_->OnOwnerChanged("org.example.Stall", [&] { ++changes; });
  ASSERT_TRUE(subscription.has_value());
  ASSERT_TRUE(bus_->Call(kShop, "Double", "u", std::uint32_t{1}).has_value());
  PlayedService other("org.example.Kiosk");
  other.Start();
  PlayedService stall("org.example.Stall");
  stall.Start();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return changes == 1; }));
  stall.Stop();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return changes == 2; }));
}

TEST_F(BusConnection, LossIsToldOnceAndCallsFailFromThenOn) {
  int told = 0;
  bus_->OnBroken([&] { ++told; });
  private_bus_.Kill();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told > 0; }));
  EXPECT_TRUE(bus_->broken());
  EXPECT_EQ(bus_->Call(kShop, "Double", "u", std::uint32_t{1}).error().code,
            ErrorCode::kUnavailable);
  EXPECT_FALSE(bus_->OnSignal(kShop, "Opened", [](sd_bus_message*) {}).has_value());
  RunFor(*loop_, milliseconds(20));
  EXPECT_EQ(told, 1);
}

TEST_F(BusConnection, HangingBusCostsABoundedWait) {
  private_bus_.Signal(SIGSTOP);
  EXPECT_LT(TimeOf([&] {
              EXPECT_EQ(bus_->Call(kShop, "Double", "u", std::uint32_t{1}).error().code,
                        ErrorCode::kDeadlineExceeded);
            }),
            kBoundedWait);
  EXPECT_LT(TimeOf([&] {
              const auto second = Bus::Open(*loop_, Bus::Which::kSystem);
              ASSERT_FALSE(second.has_value());
              EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
              EXPECT_THAT(second.error().message, HasSubstr("the system bus"));
            }),
            kBoundedWait);
  private_bus_.Signal(SIGCONT);
}

TEST(Bus, NoBusIsNamed) {
  setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus", 1);
  const auto loop = NewMainLoop();
  const auto bus = Bus::Open(*loop, Bus::Which::kSession);
  unsetenv("DBUS_SESSION_BUS_ADDRESS");
  ASSERT_FALSE(bus.has_value());
  EXPECT_EQ(bus.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(bus.error().message, HasSubstr("the session bus"));
}

// A watch that asks the shop for its stock, and counts how often.
class WatchedShop : public BusConnection {
 protected:
  const Status& Look() { return LookBy(watch_); }
  const Status& LookBy(ServiceWatch& watch) {
    return watch.Refresh([this](Bus& bus) -> Status {
      ++asked_;
      FALLOW_ASSIGN_OR_RETURN(stock_, bus.PropertyI32(kShop, "Stock"));
      return {};
    });
  }
  // The watch tells a change, and a look finds it.
  bool Await(const std::function<bool()>& found) {
    watch_.OnChange([this] { Look(); });
    return RunUntil(*loop_, found);
  }

  ServiceWatch watch_{*loop_, Bus::Which::kSession, {{kShop, ""}}, milliseconds(100)};
  int asked_ = 0;
  std::int32_t stock_ = 0;
};

TEST_F(WatchedShop, IsAskedOnceAndAgainAfterAChange) {
  shop_.Set("Stock", std::int32_t{5});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Look().has_value());
  EXPECT_EQ(stock_, 5);
  EXPECT_EQ(asked_, 1);
  shop_.Set("Stock", std::int32_t{6});
  shop_.EmitPropertiesChanged(kShop.path, kShop.interface);
  EXPECT_TRUE(Await([&] { return stock_ == 6; }));
}

TEST_F(WatchedShop, AbsenceIsNotAskedAboutAgainUntilItComes) {
  shop_.Stop();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Look().error().message, "org.example.Shop is not running");
  EXPECT_EQ(asked_, 1);
  shop_.Set("Stock", std::int32_t{7});
  shop_.Start();
  EXPECT_TRUE(Await([&] { return stock_ == 7; }));
}

TEST_F(WatchedShop, HangingServiceIsLeftAloneForAWhile) {
  shop_.FallSilent();
  ServiceWatch patient(*loop_, Bus::Which::kSession, {{kShop, ""}}, std::chrono::hours(1));
  EXPECT_LT(TimeOf([&] {
              for (int i = 0; i < kManyWaits; ++i) EXPECT_FALSE(LookBy(patient).has_value());
            }),
            kBoundedWait);
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(Look().error().code, ErrorCode::kDeadlineExceeded);
  shop_.Set("Stock", std::int32_t{8});
  shop_.FallSilent(false);
  EXPECT_TRUE(Await([&] { return stock_ == 8; }));
}

TEST_F(WatchedShop, ServiceThatIsNotReadyYetIsAskedAgain) {
  EXPECT_EQ(Look().error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(Look().has_value());
  EXPECT_EQ(asked_, 1) << "it is left alone for a while";
  shop_.Set("Stock", std::int32_t{8});  // and it tells nobody
  EXPECT_TRUE(Await([&] { return stock_ == 8; }));
}

TEST_F(WatchedShop, LostBusIsFoundAgain) {
  shop_.Set("Stock", std::int32_t{1});
  ASSERT_TRUE(Look().has_value());
  private_bus_.Kill();
  shop_.Stop();
  bool failed = false;
  watch_.OnChange([&] { failed = failed || !Look(); });
  EXPECT_TRUE(RunUntil(*loop_, [&] { return failed; }));
  ASSERT_TRUE(private_bus_.Start());
  shop_.Set("Stock", std::int32_t{9});
  shop_.Start();
  EXPECT_TRUE(Await([&] { return stock_ == 9; }));
}

}  // namespace
}  // namespace fallow
