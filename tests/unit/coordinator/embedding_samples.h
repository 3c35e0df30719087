// Lines that ask for vectors, and what an honest device makes of them.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "platform/fake/seeded_random.h"
#include "protocol/agent_messages.h"

namespace fallow {

inline constexpr std::uint32_t kVectorLength = 6;

inline std::string EmbeddingLine(const std::string& custom_id, const std::string& input,
                                 const std::string& more = "",
                                 const std::string& model = "vectors") {
  return fmt::format(
      R"({{"custom_id":"{}","method":"POST","url":"/v1/embeddings","body":{{"model":"{}",)"
      R"("input":{}{}}}}})"
      "\n",
      custom_id, model, input, more);
}

// A vector of length 1, different for each input, with values that are awkward to print.
inline std::vector<float> VectorOf(const EmbeddingInput& input, std::uint32_t length) {
  SeededRandom random(input.text.size() + 31 * input.token_ids.size() + 7);
  std::vector<float> vector(length);
  double square_sum = 0;
  for (float& value : vector) {
    value = static_cast<float>(static_cast<std::int32_t>(random.Next())) * 1e-9f;
    square_sum += double{value} * double{value};
  }
  for (float& value : vector) value = static_cast<float>(value / std::sqrt(square_sum));
  return vector;
}

inline AttemptResult HonestVectors(const LeaseGrant& grant, const InferenceRequest& request,
                                   std::uint32_t length = kVectorLength) {
  AttemptResult result;
  result.attempt = AttemptId(fmt::format("att_{}_{}", grant.lease.value, request.index));
  result.request_index = request.index;
  for (const EmbeddingInput& input : request.inputs) {
    result.embeddings.push_back(VectorOf(input, length));
    result.state_digests.push_back(VectorDigest(result.embeddings.back()));
  }
  result.prompt_token_count = static_cast<std::uint32_t>(4 * request.inputs.size());
  return result;
}

}  // namespace fallow
