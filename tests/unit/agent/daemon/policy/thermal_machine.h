// A simulated machine that gets warm: a die on a heat sink whose fan follows late, in a room.
//
// Second order: watts heat the die, the die the sink, the sink the room. Sensors round, lag and
// tremble as real ones do. Deterministic.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <optional>

namespace fallow {

struct ThermalBody {
  double idle_watts, work_watts;  // the latter at full share
  double die_joules_per_kelvin, sink_joules_per_kelvin;
  double die_to_sink_kelvin_per_watt;
  double sink_to_room_kelvin_per_watt;  // with the fan still
  double fan_gain;                      // how many times more the fan carries away at its fastest
  double fan_lag_s = 8;
};

// Plausible bodies; the sums of their resistances give the temperatures that reviews measure.
inline constexpr ThermalBody kLaptop = {4, 35, 15, 120, 0.6, 1.6, 1.2};
inline constexpr ThermalBody kTower = {20, 120, 30, 900, 0.15, 0.42, 0.9};
inline constexpr ThermalBody kGraphicsCard = {15, 220, 60, 700, 0.08, 0.30, 1.4};

class ThermalMachine {
 public:
  ThermalMachine(const ThermalBody& body, double room_celsius)
      : body_(body), room_(room_celsius), die_(room_celsius), sink_(room_celsius) {
    for (int i = 0; i < 20'000; ++i) Step(0.1, 0);  // as it is when nobody has used it for long
  }

  void set_room(double celsius) { room_ = celsius; }
  void set_foreign_watts(double watts) { foreign_watts_ = watts; }
  double celsius() const { return die_; }
  double watts() const { return watts_; }

  // `share` of the time computed; `seconds` in small steps.
  void Run(double seconds, double share) {
    constexpr double kStep = 0.05;
    for (double done = 0; done < seconds - 1e-9; done += kStep) {
      Step(kStep, share);
      history_.push_back(die_);
      if (history_.size() > kDelaySteps) history_.pop_front();
    }
  }

  // What a sensor shows: a second late, in whole degrees, with noise of about half a degree.
  double Sensor() {
    const double noise = Noise() - 0.5;
    return std::round((history_.empty() ? die_ : history_.front()) + noise);
  }

 private:
  static constexpr std::size_t kDelaySteps = 20;  // 1 s

  void Step(double seconds, double share) {
    watts_ = body_.idle_watts + foreign_watts_ + share * body_.work_watts;
    const double wanted_fan = std::clamp((die_ - 45) / 40, 0.0, 1.0);
    fan_ += (wanted_fan - fan_) * seconds / body_.fan_lag_s;
    const double to_sink = (die_ - sink_) / body_.die_to_sink_kelvin_per_watt;
    const double to_room =
        (sink_ - room_) / body_.sink_to_room_kelvin_per_watt * (1 + body_.fan_gain * fan_);
    die_ += (watts_ - to_sink) * seconds / body_.die_joules_per_kelvin;
    sink_ += (to_sink - to_room) * seconds / body_.sink_joules_per_kelvin;
  }

  double Noise() {  // 0 to 1
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(random_ >> 40) / (1u << 24);
  }

  ThermalBody body_;
  double room_, die_, sink_;
  double fan_ = 0, foreign_watts_ = 0, watts_ = 0;
  std::deque<double> history_;
  std::uint64_t random_ = 1;
};

}  // namespace fallow
