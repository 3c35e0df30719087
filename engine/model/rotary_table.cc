#include "engine/model/rotary_table.h"

#include <algorithm>
#include <cmath>

#include "engine/exact.h"
#include "engine/exact_double.h"

namespace fallow::engine {
namespace {

constexpr std::uint32_t kPositionsBetweenLooks = 256;

// Which frequency turns `turns` times within the original context, as a number that need not be
// whole.
double FrequencyOfTurns(const RotarySpec& spec, double turns) {
  constexpr double kTwoPi = 6.283185307179586;
  const double ratio = spec.yarn->original_context / (turns * kTwoPi);
  return spec.size * DoubleLog(ratio) / (2 * DoubleLog(spec.base));
}

// 1 for the quick frequencies that are kept, 0 for the slow ones that are scaled.
std::vector<double> KeptShares(const RotarySpec& spec) {
  const double last = spec.size - 1;
  const double low =
      std::clamp(std::floor(FrequencyOfTurns(spec, spec.yarn->beta_fast)), 0.0, last);
  const double high =
      std::clamp(std::ceil(FrequencyOfTurns(spec, spec.yarn->beta_slow)), 0.0, last);
  const double width = std::max(0.001, high - low);
  std::vector<double> shares;
  for (std::uint32_t i = 0; i < spec.size / 2; ++i)
    shares.push_back(1 - std::clamp((i - low) / width, 0.0, 1.0));
  return shares;
}

std::vector<double> Frequencies(const RotarySpec& spec, std::span<const float> divisors) {
  std::vector<double> frequencies;
  const double log_base = DoubleLog(spec.base);
  const std::vector<double> kept =
      spec.yarn.has_value() ? KeptShares(spec) : std::vector<double>(spec.size / 2);
  for (std::uint32_t i = 0; i < spec.size / 2; ++i) {
    double frequency = DoubleExp(-log_base * (static_cast<double>(2 * i) / spec.size));
    if (!divisors.empty()) frequency = frequency / static_cast<double>(divisors[i]);
    const double scaled = frequency * spec.scale;
    frequencies.push_back(scaled * (1 - kept[i]) + frequency * kept[i]);
  }
  return frequencies;
}

}  // namespace

Status AppendRotaryTable(const RotarySpec& spec, std::span<const float> divisors,
                         std::uint32_t positions, const StepControl& control,
                         std::vector<float>& table) {
  const std::vector<double> frequencies = Frequencies(spec, divisors);
  for (std::uint32_t position = 0; position < positions; ++position) {
    if (position % kPositionsBetweenLooks == 0) FALLOW_RETURN_IF_ERROR(control.GoOn());
    for (const double frequency : frequencies) {
      const SineCosine at = DoubleSineCosine(static_cast<double>(position) * frequency);
      table.push_back(ExactSnap(static_cast<float>(at.cosine * spec.magnitude)));
      table.push_back(ExactSnap(static_cast<float>(at.sine * spec.magnitude)));
    }
  }
  return {};
}

}  // namespace fallow::engine
