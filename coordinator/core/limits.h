// Limits of the coordinator, each with its unit and reason.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace fallow {

// Batch files: OpenAI's limits.
inline constexpr std::uint64_t kMaxBatchFileBytes = 200ull << 20;
inline constexpr std::uint64_t kMaxBatchLines = 50'000;
// A line is parsed in memory; longer prompts than this belong to no model we run.
inline constexpr std::size_t kMaxBatchLineBytes = 1 << 20;
inline constexpr std::size_t kMaxCustomIdBytes = 512;
inline constexpr std::uint64_t kMaxBatchInputs = 50'000;  // of an embeddings batch: OpenAI's
// A line nests no deeper: body, messages, message, content parts, part.
inline constexpr std::size_t kMaxBatchLineDepth = 32;
// Enough to see what is wrong; a job's record stays small.
inline constexpr std::size_t kMaxJobErrors = 100;

// Of why a model file is refused; a file whose every tensor is wrong says so with the first ones.
inline constexpr std::size_t kMaxRefusalReasons = 20;

// One slice of a long task, so that the loop answers others in between (some milliseconds).
inline constexpr std::size_t kValidationSliceBytes = 256 << 10;
inline constexpr std::size_t kAssemblySliceRequests = 256;
// A page of requests for people shows so much of inputs and answers; the rest of it goes without.
inline constexpr std::size_t kMaxRequestsShownBytes = 4 << 20;
// No token of a vocabulary stands for so much text; an answer with more per token is a lie.
inline constexpr std::size_t kMaxTextBytesPerToken = 1024;
// How far from 1 a vector's length may be: rounding takes it a thousandth of that away.
inline constexpr double kUnitLengthTolerance = 1e-3;
// Of a request's vectors and their values, so many are shown to people.
inline constexpr std::size_t kMaxVectorsShown = 8;
inline constexpr std::size_t kMaxVectorValuesShown = 8;
// Validations and assemblies under way at once; each holds a file's ids in memory.
inline constexpr std::size_t kMaxConcurrentTasks = 4;
// Before a task that found the disk full or the store busy is tried again.
inline constexpr std::chrono::milliseconds kTaskRetryDelay{5'000};

// A shard's lines together: they are read and parsed in one turn of the loop.
inline constexpr std::uint64_t kMaxShardLineBytes = 4ull << 20;
// A shard's vectors together: a device may hold all of them while the coordinator is away.
inline constexpr std::uint64_t kMaxShardVectorBytes = 64ull << 20;
// A device whose speed is unknown starts with this many requests: a full batch and the next one.
inline constexpr std::size_t kFirstShardRequests = 64;
// … and with this many inputs, where requests ask for vectors of any number of them.
inline constexpr std::size_t kFirstShardInputs = 256;
// Shards near a job's end are not cut smaller: below it a batching device idles.
inline constexpr std::size_t kMinShardRequests = 16;
// A request of which nothing is known generates about this many tokens.
inline constexpr double kAssumedTokensPerRequest = 64;
// A job that nobody works on for so long no longer waits for devices that hold its model.
inline constexpr std::chrono::milliseconds kModelAffinityPatience{30'000};

// A request fails when so many of its attempts were unusable, by whichever devices.
inline constexpr std::uint32_t kMaxRetries = 4;
// After an unusable attempt a request waits so long for another device before its own may try
// again: twice the time of a shard, so that busy devices come to ask.
inline constexpr std::chrono::milliseconds kElsewherePatience{60'000};
// A device that sends so many results in a row that cannot be true gets no work for the pause.
inline constexpr std::size_t kMaxImplausibleResults = 3;
inline constexpr std::chrono::milliseconds kImplausibleResultPause{600'000};

// How often deadlines are looked at: much below a lease's duration.
inline constexpr std::chrono::milliseconds kDeadlineTick{1'000};
inline constexpr std::chrono::milliseconds kFileExpiryTick{60'000};
inline constexpr std::size_t kFilesExpiredPerTick = 16;

// Equal creates within this time are one job: clients repeat POSTs without a key.
inline constexpr std::chrono::milliseconds kCreateRepeatWindow{60'000};
inline constexpr std::size_t kMaxMetadataPairs = 16;
inline constexpr std::size_t kMaxMetadataNameBytes = 64;
inline constexpr std::size_t kMaxMetadataValueBytes = 512;
inline constexpr std::size_t kMaxFilenameBytes = 255;
inline constexpr std::size_t kMaxKeyNameBytes = 128;
inline constexpr std::size_t kMaxAccountBytes = 64;
inline constexpr std::size_t kMaxModelIdBytes = 128;

// An unchanged device status is written at most this often.
inline constexpr std::chrono::milliseconds kDeviceSeenInterval{5'000};
inline constexpr std::size_t kEd25519KeyBytes = 32;

}  // namespace fallow
