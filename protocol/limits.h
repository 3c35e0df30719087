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
inline constexpr std::size_t kMaxRequestTextBytes = 8 << 20;  // all messages together
inline constexpr std::size_t kMaxStopStrings = 4;             // as OpenAI's API
inline constexpr std::size_t kMaxStopStringBytes = 256;
inline constexpr std::uint32_t kMaxGeneratedTokens = 1 << 20;
inline constexpr std::size_t kMaxResultTextBytes = 8 << 20;
inline constexpr std::size_t kGeneratedTokensPerDigest = 32;
// Of an embedding request, all inputs together.
inline constexpr std::size_t kMaxEmbeddingInputs = 2048;  // as OpenAI's API
inline constexpr std::size_t kMaxInputTokenIds = 1 << 20;
// 2,048 vectors of 2,048 values, or fewer that are longer: 16 MiB. A message holds at least three
// such results, so its own limit is not reached.
inline constexpr std::size_t kMaxEmbeddingValues = 4 << 20;
inline constexpr std::size_t kMaxEmbeddingLength = 1 << 16;  // values of one vector

// A short text in a message: a host name, a reason, an error.
inline constexpr std::size_t kMaxShortTextBytes = 4096;
// An id, a model's name, a join token.
inline constexpr std::size_t kMaxIdBytes = 256;
// A path in LoadModel.
inline constexpr std::size_t kMaxPathBytes = 4096;
// The least share of the time that SetPace may ask a worker to compute.
inline constexpr double kMinPaceShare = 0.02;
// Faster than any device; beyond it a claimed speed is a lie or a fault.
inline constexpr double kMaxTokensPerSecond = 1e9;
// A worker that does not stop is killed within a second; ten minutes are not a yield but a fault.
inline constexpr double kMaxYieldMs = 600'000;

// Session helper to daemon. A login has a few sources of each kind; a report of as many as may be,
// with the longest texts, is within the frame.
inline constexpr std::size_t kMaxSessionSources = 16;  // of presence, and as many of signals
inline constexpr std::size_t kMaxSessionTextBytes = 512;
inline constexpr std::size_t kMaxSessionFrameBytes = 64 << 10;
static_assert(2 * kMaxSessionSources * (2 * kMaxSessionTextBytes + 64) < kMaxSessionFrameBytes);
// A century: beyond it a time is a lie or a fault, and below it no sum overflows.
inline constexpr std::chrono::milliseconds kMaxIdleTime{std::chrono::days(36'525)};
inline constexpr std::chrono::milliseconds kMaxSteadyTime{std::chrono::days(36'525)};

inline constexpr std::chrono::milliseconds kMaxLeaseWait{60'000};
// A lease is renewed by every report and heartbeat, so a long one only delays the return of a lost
// shard.
inline constexpr std::chrono::milliseconds kMaxLeaseDuration{86'400'000};
// How far a device's clock may be from the coordinator's; beyond it a signature is refused as
// stale.
inline constexpr std::chrono::milliseconds kMaxSignatureAge{300'000};

}  // namespace fallow
