// What a chat template may cost. A template comes with a model and its input with a request: both
// are foreign, and whatever they say, a rendering ends within these.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fallow::engine {

// Of source. The longest template known to us has some 30 KiB.
inline constexpr std::size_t kMaxTemplateBytes = 256 * 1024;
// Of statements and expressions inside one another, a chain of operators counting each operator.
inline constexpr std::uint32_t kMaxTemplateDepth = 128;
// Of expressions and statements that wait for one another while rendering, macros included; it
// bounds the stack.
inline constexpr std::uint32_t kMaxEvaluationDepth = 512;
inline constexpr std::uint32_t kMaxMacroDepth = 64;
// Of one rendering: an expression or statement is one, and so are kBytesPerStep bytes or one
// element that it reads or makes. A message of a conversation takes some 100, so this is for tens
// of thousands; what spends it all takes less than a second.
inline constexpr std::uint64_t kMaxRenderSteps = 5'000'000;
inline constexpr std::uint64_t kBytesPerStep = 16;
// Of all values that one rendering makes, whether or not it still holds them.
inline constexpr std::uint64_t kMaxRenderBytes = 128ull * 1024 * 1024;
// Of one text, the prompt included, with the marks of who wrote what (16 bytes a run).
inline constexpr std::size_t kMaxTextBytes = 16 * 1024 * 1024;
// Of a name in a template and of a dictionary's key: both are copied and compared freely.
inline constexpr std::size_t kMaxNameBytes = 1024;
// Of one list or dictionary.
inline constexpr std::size_t kMaxElements = 128 * 1024;
inline constexpr std::int64_t kMaxRangeElements = 100'000;
// Of lists and dictionaries inside one another.
inline constexpr std::uint32_t kMaxValueDepth = 64;
// Of a number that a format pads a text to, or a filter indents it by.
inline constexpr std::int64_t kMaxPaddingCharacters = 1024;
// Of what a template says when it refuses its input.
inline constexpr std::size_t kMaxRefusalBytes = 512;

static_assert(kMaxTemplateDepth < kMaxEvaluationDepth);
static_assert(kMaxTextBytes < kMaxRenderBytes);

}  // namespace fallow::engine
