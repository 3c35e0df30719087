// What filters and methods do to texts, under a rendering's budget.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/chat/jinja/text_builder.h"

namespace fallow::engine::jinja {

// `characters` none or None: white space.
Result<Value> StripText(const Text& text, Ends ends, const std::optional<Value>& characters,
                        Budget& budget);
Result<Value> ChangeTextCase(const Text& text, Case wanted, Budget& budget);
// The first `count` occurrences, all if none or negative. An empty `old` is found between
// characters.
Result<Value> ReplaceText(const Text& text, const Text& old, const Text& fresh,
                          std::optional<std::int64_t> count, Budget& budget);
// At line ends, which are not part of the lines; no empty line after the last.
std::vector<Text> SplitLines(const Text& text);

enum class From : std::uint8_t { kLeft, kRight };
// The parts between separators, cut `count` times at most (negative: everywhere) from one side.
Result<Value> SplitAt(const Text& text, const Text& separator, std::int64_t count, From side,
                      Budget& budget);
// The parts between runs of white space, none empty.
Result<Value> SplitAtSpace(const Text& text, std::int64_t count, From side, Budget& budget);
// (before, separator, after) around the first or last separator.
Result<Value> PartitionText(const Text& text, const Text& separator, From side, Budget& budget);

}  // namespace fallow::engine::jinja
