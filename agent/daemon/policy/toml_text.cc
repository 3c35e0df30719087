#include "agent/daemon/policy/toml_text.h"

#include <fmt/format.h>

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>
#include <optional>

#include "base/utf8.h"

namespace fallow {
namespace {

TextPlace PlaceOf(const toml::source_position& position) {
  return {std::max<std::size_t>(position.line, 1), std::max<std::size_t>(position.column, 1)};
}

// Lists of anything but texts are no value of ours.
SettingRaw RawOfArray(const toml::array& array) {
  std::vector<std::string> texts;
  for (const toml::node& item : array) {
    const auto* text = item.as_string();
    if (text == nullptr) return OtherValue{"a list of other things than texts"};
    texts.push_back(FromTomlAscii(text->get()));
  }
  return texts;
}

SettingRaw RawOf(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::boolean:
      return node.as_boolean()->get();
    case toml::node_type::integer:
      return node.as_integer()->get();
    case toml::node_type::floating_point:
      return node.as_floating_point()->get();
    case toml::node_type::string:
      return FromTomlAscii(node.as_string()->get());
    case toml::node_type::array:
      return RawOfArray(*node.as_array());
    case toml::node_type::table:
      return OtherValue{"a table"};
    default:
      return OtherValue{"a date or time"};
  }
}

struct Node {
  toml::source_region key;
  toml::source_region value;
};

// Where `section.name` stands; none if it is not there.
std::optional<Node> Find(const toml::table& root, std::string_view section, std::string_view name) {
  const toml::table* table = root[section].as_table();
  if (table == nullptr) return std::nullopt;
  for (const auto& [key, value] : *table)
    if (key.str() == name) return Node{key.source(), value.source()};
  return std::nullopt;
}

// Byte offset of a place in ASCII.
std::size_t OffsetOf(std::string_view text, const toml::source_position& position) {
  std::size_t at = 0;
  for (std::size_t line = 1; line < position.line; ++line) {
    const auto end = text.find('\n', at);
    if (end == text.npos) return text.size();
    at = end + 1;
  }
  return std::min(text.size(), at + position.column - 1);
}

std::size_t LineBegin(std::string_view text, std::size_t at) {
  const auto before = at == 0 ? text.npos : text.rfind('\n', at - 1);
  return before == text.npos ? 0 : before + 1;
}
// Behind the line's newline.
std::size_t LineEnd(std::string_view text, std::size_t at) {
  const auto end = text.find('\n', at);
  return end == text.npos ? text.size() : end + 1;
}

std::string_view Trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool IsHeaderOf(std::string_view line, std::string_view section) {
  line = Trimmed(line);
  if (!line.starts_with('[') || line.starts_with("[[")) return false;
  const auto close = line.find(']');
  return close != line.npos && Trimmed(line.substr(1, close - 1)) == section;
}

// "#idle_after = …"
bool IsCommentedOut(std::string_view line, std::string_view name) {
  line = Trimmed(line);
  if (!line.starts_with('#')) return false;
  line = Trimmed(line.substr(1));
  return line.starts_with(name) && Trimmed(line.substr(name.size())).starts_with('=');
}

// Where a new line of the section goes, by its header; none if no line is its header.
std::optional<std::size_t> PlaceInSection(std::string_view text, std::string_view section,
                                          std::string_view name) {
  std::optional<std::size_t> place;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = LineEnd(text, at);
    const std::string_view line = text.substr(at, end - at);
    if (Trimmed(line).starts_with('[') && inside) break;
    if (IsHeaderOf(line, section)) inside = true;
    if (inside && IsCommentedOut(line, name)) return end;
    if (inside && !Trimmed(line).empty()) place = end;
    at = end;
  }
  return place;
}

std::string Inserted(std::string_view text, std::size_t at, std::string_view line) {
  const std::string_view newline = text.contains("\r\n") ? "\r\n" : "\n";
  const bool begins_line = at == 0 || text[at - 1] == '\n';
  return fmt::format("{}{}{}{}{}", text.substr(0, at), begins_line ? "" : newline, line, newline,
                     text.substr(at));
}

std::pair<std::string_view, std::string_view> SectionAndName(std::string_view key) {
  const auto dot = key.find('.');
  return {key.substr(0, dot), key.substr(dot + 1)};
}

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string_view WithoutMark(std::string_view text) {
  return text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size()) : text;
}

TomlError ErrorOf(const toml::parse_error& error, std::string_view text) {
  const TextPlace place = PlaceBefore(text, PlaceOf(error.source().begin));
  const std::size_t at = OffsetOf(ToTomlAscii(text), error.source().begin);
  // No text is open there, so the parser stumbled over the letter's ASCII form.
  if (ToTomlAscii(text).substr(at, 1) == "~")
    return {place, "letters beyond ASCII may stand in texts and comments alone"};
  return {place, FromTomlAscii(error.description())};
}

std::string WithValue(std::string_view text, std::string_view key, std::string_view value) {
  const auto [section, name] = SectionAndName(key);
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) return std::string(text);
  if (const auto node = Find(parsed.table(), section, name)) {
    const std::size_t begin = OffsetOf(text, node->value.begin);
    const std::size_t end = OffsetOf(text, node->value.end);
    return fmt::format("{}{}{}", text.substr(0, begin), value, text.substr(end));
  }
  if (const auto place = PlaceInSection(text, section, name))
    return Inserted(text, *place, fmt::format("{} = {}", name, value));
  if (const toml::table* table = parsed.table()[section].as_table(); table && !table->empty()) {
    // The section is written as dotted keys: one more, below them.
    std::size_t last = 0;
    for (const auto& [inner, node] : *table)
      last = std::max(last, LineEnd(text, OffsetOf(text, node.source().end)));
    return Inserted(text, last, fmt::format("{} = {}", key, value));
  }
  const std::string_view newline = text.contains("\r\n") ? "\r\n" : "\n";
  return Inserted(text, text.size(),
                  fmt::format("{}[{}]{}{} = {}", Trimmed(text).empty() ? "" : newline, section,
                              newline, name, value));
}

std::string WithoutValue(std::string_view text, std::string_view key) {
  const auto [section, name] = SectionAndName(key);
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) return std::string(text);
  const auto node = Find(parsed.table(), section, name);
  if (!node) return std::string(text);
  const std::size_t begin = LineBegin(text, OffsetOf(text, node->key.begin));
  const std::size_t end = LineEnd(text, OffsetOf(text, node->value.end));
  return fmt::format("{}{}", text.substr(0, begin), text.substr(end));
}

// The edit of the text's ASCII form, with the mark at its beginning kept.
template <class Edit>
std::string Edited(std::string_view text, Edit edit) {
  const std::string_view rest = WithoutMark(text);
  if (!IsValidUtf8(rest)) return std::string(text);
  return std::string(text.substr(0, text.size() - rest.size())) +
         FromTomlAscii(edit(ToTomlAscii(rest)));
}

}  // namespace

std::expected<std::vector<TomlEntry>, TomlError> ReadToml(std::string_view text) {
  text = WithoutMark(text);
  if (const std::string valid = ToValidUtf8(text, text.size()); valid != text) {
    const auto at = std::ranges::mismatch(valid, text).in1 - valid.begin();
    return std::unexpected(
        TomlError{PlaceAt(text, static_cast<std::size_t>(at)), "these bytes are not UTF-8"});
  }
  const toml::parse_result parsed = toml::parse(ToTomlAscii(text));
  if (!parsed) return std::unexpected(ErrorOf(parsed.error(), text));
  const auto place_of = [&](const toml::key& key) {
    return PlaceBefore(text, PlaceOf(key.source().begin));
  };
  std::vector<TomlEntry> entries;
  for (const auto& [name, node] : parsed.table()) {
    const toml::table* section = node.as_table();
    entries.push_back({.key = FromTomlAscii(name.str()),
                       .is_section = section != nullptr,
                       .value = RawOf(node),
                       .key_place = place_of(name)});
    if (section == nullptr) continue;
    for (const auto& [inner, value] : *section) {
      entries.push_back({.key = FromTomlAscii(fmt::format("{}.{}", name.str(), inner.str())),
                         .value = RawOf(value),
                         .key_place = place_of(inner)});
    }
  }
  return entries;
}

std::string WithTomlValue(std::string_view text, std::string_view key, std::string_view value) {
  return Edited(text,
                [&](std::string_view ascii) { return WithValue(ascii, key, ToTomlAscii(value)); });
}

std::string WithoutTomlValue(std::string_view text, std::string_view key) {
  return Edited(text, [&](std::string_view ascii) { return WithoutValue(ascii, key); });
}

}  // namespace fallow
