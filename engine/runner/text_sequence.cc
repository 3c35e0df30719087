#include "engine/runner/text_sequence.h"

#include <cmath>

#include "base/check.h"
#include "base/digest.h"
#include "engine/exact.h"

namespace fallow::engine {

bool TextSequence::WantsState(std::uint32_t position) const {
  switch (pooling_) {
    case Pooling::kMean:
      return true;
    case Pooling::kFirst:
      return position == 0;
    case Pooling::kLast:
      return position + 1 == token_count();
    case Pooling::kNone:
      break;
  }
  FALLOW_UNREACHABLE();
}

bool TextSequence::Take(std::uint32_t position, std::span<const float> hidden,
                        std::span<const float>) {
  if (!AllFinite(hidden)) {
    request().FailWith(
        {ErrorCode::kInternal, "the model's state is not finite: it overflowed on this request"});
    return true;
  }
  sums_.resize(hidden.size());
  for (std::size_t i = 0; i < hidden.size(); ++i) sums_[i] += static_cast<double>(hidden[i]);
  const bool more = pooling_ == Pooling::kMean && position + 1 < token_count();
  return more ? false : End();
}

bool TextSequence::End() {
  if (pooling_ == Pooling::kMean) {
    for (double& sum : sums_) sum /= token_count();
  }
  double squares = 0;
  for (const double sum : sums_) squares += sum * sum;
  const double length = std::sqrt(squares);
  std::vector<float>& vector = request().result.embeddings[index_];
  for (const double sum : sums_)
    vector.push_back(ExactSnap(static_cast<float>(length > 0 ? sum / length : 0.0)));
  Sha256 hash;
  hash.Update(ByteView(reinterpret_cast<const std::uint8_t*>(vector.data()),
                       vector.size() * sizeof(float)));
  request().result.state_digests[index_] = hash.Finish();
  return true;
}

}  // namespace fallow::engine
