#include "engine/model/model_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <string>

#include "base/utf8.h"
#include "engine/chat/load_chat_format.h"
#include "engine/gguf/split_part.h"
#include "engine/model/architecture.h"
#include "engine/model/limits.h"
#include "engine/model/refusals.h"
#include "engine/tokenizer/load_tokenizer.h"

namespace fallow::engine {
namespace {

std::string KnownArchitectures() {
  std::vector<std::string_view> names;
  for (const Architecture* architecture : AllArchitectures()) names.push_back(architecture->name);
  return fmt::format("{}", fmt::join(names, ", "));
}

// Reads one part after the other; a part that fails leaves its reason and does not stop the rest.
class ModelFileReader {
 public:
  ModelFileReader(ModelFile& model, const StepControl& control)
      : model_(model), file_(model.gguf), control_(control) {}

  std::vector<Error> Run() {
    FillCard();
    RefuseSplitParts();
    const Architecture* architecture = ReadArchitecture();
    ReadTokenizer();
    if (architecture != nullptr) {
      ReadShape(*architecture);
      if (shape_is_sound_) model_.graph = Describe(*architecture);
    }
    FillMemory();
    return refusals_.Take();
  }

 private:
  template <class T>
  std::optional<T> Take(Result<std::optional<T>> found) {
    if (found.has_value()) return *std::move(found);
    refusals_.Add(std::move(found).error());
    return std::nullopt;
  }

  void FillCard() {
    ModelCard& card = model_.card;
    card.name =
        ToValidUtf8(Take(file_.FindString("general.name")).value_or(""), kMaxModelNameBytes);
    card.license =
        ToValidUtf8(Take(file_.FindString("general.license")).value_or(""), kMaxLicenseBytes);
    std::map<std::string_view, std::uint32_t> types;
    for (const GgufTensor& tensor : file_.tensors()) {
      card.parameter_count += tensor.element_count();
      ++types[tensor.type->name];
    }
    for (const auto& [type, count] : types) {
      card.weight_types +=
          fmt::format("{}{} {}", card.weight_types.empty() ? "" : ", ", type, count);
    }
  }

  void RefuseSplitParts() {
    if (auto whole = CheckIsWhole(file_); !whole.has_value())
      refusals_.Add(std::move(whole).error());
  }

  const Architecture* ReadArchitecture() {
    const auto name = file_.RequireString("general.architecture");
    if (!name.has_value()) {
      refusals_.Add(name.error());
      return nullptr;
    }
    model_.card.architecture = Shown(*name);
    const Architecture* architecture = FindArchitecture(*name);
    if (architecture == nullptr) {
      refusals_.AddNotComputed(fmt::format("general.architecture \"{}\" is not computed; {} are",
                                           Shown(*name), KnownArchitectures()));
    }
    return architecture;
  }

  void ReadTokenizer() {
    const std::string_view model = Take(file_.FindString("tokenizer.ggml.model")).value_or("");
    const std::string_view rule = Take(file_.FindString("tokenizer.ggml.pre")).value_or("");
    model_.card.tokenizer =
        rule.empty() ? Shown(model) : fmt::format("{} ({})", Shown(model), Shown(rule));
    auto tokenizer = LoadTokenizer(file_, control_);
    if (!tokenizer.has_value()) {
      refusals_.Add(std::move(tokenizer).error());
      return;
    }
    model_.tokenizer = *std::move(tokenizer);
    model_.card.vocabulary_size = model_.tokenizer->vocabulary_size();
    auto chat_format = LoadChatFormat(file_);
    if (!chat_format.has_value()) {
      refusals_.Add(std::move(chat_format).error());
      return;
    }
    model_.chat_format = *std::move(chat_format);
    model_.card.chat = model_.chat_format != nullptr;
  }

  void ReadShape(const Architecture& architecture) {
    const std::size_t before = refusals_.count();
    KeyReader keys(file_, architecture.name, refusals_);
    architecture.read_keys(keys, model_.shape);
    shape_is_sound_ = refusals_.count() == before;
    ModelShape& shape = model_.shape;
    shape.vocabulary_size = model_.card.vocabulary_size;
    if (shape.vocabulary_size == 0) {  // the tokenizer was refused: the table tells
      const GgufTensor* table = file_.FindTensor("token_embd.weight");
      const std::uint64_t rows = table == nullptr ? 1 : table->dimensions[1];
      shape.vocabulary_size =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(rows, kMaxMatrixColumns));
    }
    ModelCard& card = model_.card;
    card.context_length = shape.context_length;
    card.layer_count = shape.layer_count;
    card.embedding_length = shape.embedding_length;
    card.pooling = shape.pooling;
  }

  Graph Describe(const Architecture& architecture) {
    GraphBuilder builder(file_, model_.shape, refusals_);
    return builder.Finish(architecture.describe(builder, model_.shape));
  }

  void FillMemory() {
    for (const GgufTensor& tensor : file_.tensors())
      model_.card.weight_bytes += tensor.bytes.size();
    const AttentionShape& attention = model_.shape.attention;
    const std::uint64_t head_blocks = (attention.head_size + kQuantBlock - 1) / kQuantBlock;
    // Keys and values, each block with a scale.
    model_.card.bytes_per_position = 2 * head_blocks * attention.kv_head_count *
                                     (kQuantBlock + sizeof(float)) * model_.shape.layer_count;
  }

  ModelFile& model_;
  const GgufFile& file_;
  const StepControl& control_;
  Refusals refusals_;
  bool shape_is_sound_ = false;
};

}  // namespace

std::unique_ptr<ModelFile> ReadModelFile(ByteView bytes, std::vector<Error>& refusals,
                                         const StepControl& control) {
  auto gguf = GgufFile::Parse(bytes);
  if (gguf.has_value()) return ReadModelFile(*std::move(gguf), bytes.size(), refusals, control);
  refusals.push_back(std::move(gguf).error());
  auto model = std::make_unique<ModelFile>();
  model->card.file_bytes = bytes.size();
  return model;
}

std::unique_ptr<ModelFile> ReadModelFile(GgufFile gguf, std::uint64_t file_bytes,
                                         std::vector<Error>& refusals, const StepControl& control) {
  auto model = std::make_unique<ModelFile>();
  model->card.file_bytes = file_bytes;
  model->gguf = std::move(gguf);
  refusals = ModelFileReader(*model, control).Run();
  return model;
}

ModelReport ReadModelReport(ByteView file) {
  ModelReport report;
  report.card = ReadModelFile(file, report.refusals)->card;
  return report;
}

ModelReport ReadModelReport(GgufFile file, std::uint64_t file_bytes) {
  ModelReport report;
  report.card = ReadModelFile(std::move(file), file_bytes, report.refusals)->card;
  return report;
}

Result<ModelCard> ReadModelCard(ByteView file) {
  ModelReport report = ReadModelReport(file);
  if (!report.refusals.empty()) return std::unexpected(std::move(report.refusals.front()));
  return std::move(report.card);
}

std::uint64_t ModelCard::MemoryBytes(std::uint32_t sequence_count, std::uint32_t tokens) const {
  // Caches are lent out by the page.
  const std::uint64_t pages = (std::uint64_t{tokens} + kPagePositions - 1) / kPagePositions;
  return weight_bytes + sequence_count * pages * kPagePositions * bytes_per_position;
}

}  // namespace fallow::engine
