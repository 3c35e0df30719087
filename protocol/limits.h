// Limits of what peers may send each other, each with its unit and reason.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace fallow {

// Agent endpoints. A shard of long prompts is the largest message.
inline constexpr std::size_t kMaxAgentBodyBytes = 64 << 20;
inline constexpr std::size_t kMaxWorkerFrameBytes = 64 << 20;
inline constexpr std::size_t kMaxRequestsPerLease = 4096;
inline constexpr std::size_t kMaxResultsPerReport = 1024;
inline constexpr std::size_t kMaxLeasesPerDevice = 8;
inline constexpr std::size_t kMaxCachedModelsListed = 1024;

// One request.
inline constexpr std::size_t kMaxMessagesPerRequest = 4096;
inline constexpr std::size_t kMaxRequestTextBytes = 8 << 20;   // all messages together
inline constexpr std::size_t kMaxStopStrings = 4;              // as OpenAI's API
inline constexpr std::size_t kMaxStopStringBytes = 256;
inline constexpr std::uint32_t kMaxGeneratedTokens = 1 << 20;
inline constexpr std::size_t kMaxResultTextBytes = 8 << 20;
inline constexpr std::size_t kGeneratedTokensPerDigest = 32;

// A short text in a message: a host name, a reason, an error.
inline constexpr std::size_t kMaxShortTextBytes = 4096;

inline constexpr std::chrono::milliseconds kMaxLeaseWait{60'000};
// How far a device's clock may be from the coordinator's; beyond it a signature is refused as stale.
inline constexpr std::chrono::milliseconds kMaxSignatureAge{300'000};

}  // namespace fallow
