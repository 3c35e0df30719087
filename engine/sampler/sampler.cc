#include "engine/sampler/sampler.h"

#include <algorithm>
#include <numeric>

#include "engine/exact_double.h"

namespace fallow::engine {
namespace {

// Above the largest noise that 52 bits can give (36.74): what lies further below the best score
// cannot win.
constexpr double kMaxNoise = 37.0;
// The exponential of anything lower adds nothing to a sum that holds a 1.
constexpr double kMinExponent = -600.0;

// Higher logit first, lower id first among equals.
struct Ranking {
  std::span<const float> logits;
  bool operator()(std::uint32_t a, std::uint32_t b) const {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  }
};

std::uint32_t Greedy(std::span<const float> logits) {
  std::uint32_t best = 0;
  for (std::uint32_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  return best;
}

}  // namespace

std::array<std::uint32_t, 4> Philox(const std::array<std::uint32_t, 4>& counter,
                                    const std::array<std::uint32_t, 2>& key) {
  auto c = counter;
  auto k = key;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t first = std::uint64_t{0xD2511F53} * c[0];
    const std::uint64_t second = std::uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<std::uint32_t>(second >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(second),
         static_cast<std::uint32_t>(first >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(first)};
    k[0] += 0x9E3779B9;
    k[1] += 0xBB67AE85;
  }
  return c;
}

double GumbelNoise(std::uint64_t seed, std::uint64_t position, std::uint32_t token) {
  const auto random = Philox(
      {static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32), token, 0},
      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  const std::uint64_t bits = (std::uint64_t{random[1]} << 32 | random[0]) >> 12;
  const double uniform = static_cast<double>(2 * bits + 1) * 0x1p-53;  // in (0, 1), exact
  return -DoubleLog(-DoubleLog(uniform));
}

void Sampler::KeepTopK(std::span<const float> logits, std::uint32_t top_k) {
  if (top_k >= candidates_.size()) return;
  std::nth_element(candidates_.begin(), candidates_.begin() + top_k, candidates_.end(),
                   Ranking{logits});
  candidates_.resize(top_k);
}

void Sampler::KeepTopP(std::span<const float> logits, double temperature, double top_p) {
  std::ranges::sort(candidates_, Ranking{logits});
  const double largest = static_cast<double>(logits[candidates_[0]]) / temperature;
  const auto weight = [&](std::uint32_t token) {
    return DoubleExp(
        std::max(static_cast<double>(logits[token]) / temperature - largest, kMinExponent));
  };
  double total = 0;
  for (const std::uint32_t token : candidates_) total += weight(token);
  double kept = 0;
  std::size_t count = 0;
  while (count < candidates_.size() && (count == 0 || kept < top_p * total))
    kept += weight(candidates_[count++]);
  candidates_.resize(count);
}

std::uint32_t Sampler::Choose(std::span<const float> logits, const Sampling& sampling,
                              std::uint64_t position) {
  if (!(sampling.temperature > 0.0f)) return Greedy(logits);
  const double temperature = sampling.temperature;
  candidates_.resize(logits.size());
  std::iota(candidates_.begin(), candidates_.end(), 0u);
  if (sampling.top_k > 0) KeepTopK(logits, sampling.top_k);
  if (sampling.top_p < 1.0f) KeepTopP(logits, temperature, sampling.top_p);

  std::uint32_t best = candidates_[0];
  double best_score = 0;
  bool none = true;
  for (const std::uint32_t token : candidates_) {
    const double scaled = static_cast<double>(logits[token]) / temperature;
    if (!none && scaled + kMaxNoise < best_score) continue;
    const double score = scaled + GumbelNoise(sampling.seed, position, token);
    if (none || score > best_score || (score == best_score && token < best)) {
      best = token;
      best_score = score;
      none = false;
    }
  }
  return best;
}

}  // namespace fallow::engine
