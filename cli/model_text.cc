#include "cli/model_text.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <utility>

#include "cli/text.h"

namespace fallow::cli {
namespace {

std::string UseText(const ModelRecord& model) {
  if (model.pooling.empty()) return "";
  if (!model.embeds()) return "generates text";
  return fmt::format("embeds texts as {} values ({} pooling)", CountText(model.embedding_length),
                     model.pooling);
}

std::string TokenizerText(const ModelRecord& model) {
  if (model.tokenizer.empty()) return "";
  return fmt::format("{}, {} tokens", model.tokenizer, CountText(model.vocabulary_size));
}

// A row for each number of sequences, a column for each length of theirs.
std::string MemoryTable(const ModelRecord& model) {
  std::set<std::uint64_t> sequences, tokens;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> bytes;
  for (const ModelMemory& row : model.memory) {
    sequences.insert(row.sequences);
    tokens.insert(row.tokens);
    bytes[{row.sequences, row.tokens}] = row.bytes;
  }
  std::vector<Table::Column> columns = {{"MEMORY FOR"}};
  for (const std::uint64_t length : tokens) {
    columns.push_back({CountText(length) + " TOKENS EACH", Align::kRight});
  }
  Table table(std::move(columns));
  for (const std::uint64_t count : sequences) {
    std::vector<std::string> cells = {
        fmt::format("{} {}", CountText(count), count == 1 ? "sequence" : "sequences")};
    for (const std::uint64_t length : tokens) {
      const auto found = bytes.find({count, length});
      cells.push_back(found == bytes.end() ? "" : BytesText(found->second));
    }
    table.AddRow(std::move(cells));
  }
  return table.Render();
}

}  // namespace

std::string ModelFacts(const ModelRecord& model) {
  std::string text;
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) text += fmt::format("{:<13}  {}\n", name, Printable(value));
  };
  const auto add_if = [&](std::uint64_t known, std::string_view name, const std::string& value) {
    if (known != 0) add(name, value);
  };
  add("name", model.id);
  add("title", model.title);
  add("architecture", model.architecture);
  add_if(model.parameter_count, "parameters",
         fmt::format("{} ({})", ShortCountText(model.parameter_count),
                     CountText(model.parameter_count)));
  add_if(model.layer_count, "layers",
         fmt::format("{} of width {}", CountText(model.layer_count),
                     CountText(model.embedding_length)));
  add_if(model.context_length, "context", CountText(model.context_length) + " tokens");
  add("weights", model.weight_types);
  add("use", UseText(model));
  add("tokenizer", TokenizerText(model));
  if (!model.embeds()) add("chat template", model.chat);
  add("licence", model.license);
  add_if(model.size_bytes, "size", BytesText(model.size_bytes));
  add("sha256", model.digest);
  if (model.created_at != 0) add("added", TimeText(model.created_at));
  if (!model.memory.empty()) text += "\n" + MemoryTable(model);
  return text;
}

}  // namespace fallow::cli
