#include "engine/model/model_weights.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "base/check.h"
#include "engine/exact.h"
#include "engine/model/rotary_table.h"

namespace fallow::engine {
namespace {

constexpr Int8Forms kNoForms{false, false};

const WeightFormat& FormatOf(const GgufTensor& tensor) {
  const WeightFormat* format = FindWeightFormat(tensor.type->name);
  FALLOW_CHECK(format != nullptr);
  return *format;
}

bool IsFinite(float value) {
  return (std::bit_cast<std::uint32_t>(value) & 0x7F800000u) != 0x7F800000u;
}

// Rotary angles are divided by these.
bool IsDivisor(float value) {
  return IsFinite(value) && value >= 1e-6f && value <= 1e6f;
}

// Value `index` of a tensor of floats.
Result<float> FloatAt(const GgufTensor& tensor, std::uint64_t index) {
  const WeightFormat& format = FormatOf(tensor);
  const std::uint8_t* at = tensor.bytes.data() + index * format.block_bytes;
  float value = 0;
  std::uint16_t half = 0;
  switch (format.type) {
    case WeightType::kF32:
      std::memcpy(&value, at, sizeof value);
      break;
    case WeightType::kF16:
      std::memcpy(&half, at, sizeof half);
      value = (half & 0x7C00) == 0x7C00 ? std::bit_cast<float>(EXACT_INF_BITS) : ExactHalf(half);
      break;
    case WeightType::kBF16:
      std::memcpy(&half, at, sizeof half);
      value = std::bit_cast<float>(std::uint32_t{half} << 16);
      break;
    default:  // refused where it was described
      FALLOW_UNREACHABLE();
  }
  if (IsFinite(value)) return value;
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("tensor {}: value {} is not a finite number", tensor.name, index));
}

class WeightLoader {
 public:
  WeightLoader(const ModelFile& file, Backend& backend, const StepControl& control,
               ModelWeights& weights)
      : file_(file), backend_(backend), control_(control), weights_(weights) {}

  Status Run() {
    const std::size_t count = file_.graph.weights.size();
    weights_.matrices.resize(count);
    weights_.rows.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      if (weights_.matrices[i] != nullptr || weights_.rows[i] != nullptr) continue;
      FALLOW_RETURN_IF_ERROR(control_.GoOn());
      const GraphWeight& weight = file_.graph.weights[i];
      FALLOW_RETURN_IF_ERROR(weight.is_row ? LoadRow(weight, weights_.rows[i])
                                           : LoadMatrix(weight, weights_.matrices[i]));
    }
    const std::vector<RotarySpec>& specs = file_.graph.rotary_tables;
    while (weights_.rotary_tables.size() < specs.size())
      FALLOW_RETURN_IF_ERROR(LoadRotaryTable(specs[weights_.rotary_tables.size()]));
    return {};
  }

 private:
  Status LoadMatrix(const GraphWeight& weight, std::unique_ptr<Matrix>& matrix) {
    const WeightFormat& format = FormatOf(*weight.tensor);
    const std::uint64_t row_bytes = WeightRowBytes(format.type, weight.columns);
    const std::uint64_t first_row = weight.first_value / weight.columns;
    auto loaded = backend_.NewMatrix(
        format.type, weight.rows, weight.columns,
        weight.tensor->bytes.subspan(first_row * row_bytes, weight.rows * row_bytes), control_);
    if (!loaded.has_value())
      return Wrap(std::move(loaded).error(), fmt::format("tensor {}", weight.tensor->name));
    matrix = *std::move(loaded);
    return {};
  }

  Status LoadRow(const GraphWeight& weight, std::unique_ptr<Tensor>& row) {
    std::vector<float> values;
    for (std::uint32_t i = 0; i < weight.columns; ++i) {
      FALLOW_ASSIGN_OR_RETURN(const float value, FloatAt(*weight.tensor, weight.first_value + i));
      values.push_back(ExactWeight(value));
    }
    FALLOW_ASSIGN_OR_RETURN(auto loaded, backend_.NewTensor(1, weight.columns, kNoForms, control_));
    FALLOW_RETURN_IF_ERROR(backend_.Upload(*loaded, values, control_));
    row = std::move(loaded);
    return {};
  }

  Result<std::vector<float>> ReadDivisors(const std::string& name) {
    std::vector<float> divisors;
    if (name.empty()) return divisors;
    const GgufTensor* tensor = file_.gguf.FindTensor(name);
    FALLOW_CHECK(tensor != nullptr);
    for (std::uint64_t i = 0; i < tensor->element_count(); ++i) {
      FALLOW_ASSIGN_OR_RETURN(const float value, FloatAt(*tensor, i));
      if (!IsDivisor(value)) {
        return Fail(
            ErrorCode::kInvalidArgument,
            fmt::format("tensor {}: value {} is {}; 1e-6 to 1e6 are allowed", name, i, value));
      }
      divisors.push_back(value);
    }
    return divisors;
  }

  Status LoadRotaryTable(const RotarySpec& spec) {
    const ModelShape& shape = file_.shape;
    FALLOW_ASSIGN_OR_RETURN(const auto divisors, ReadDivisors(spec.divisors));
    FALLOW_ASSIGN_OR_RETURN(const auto short_divisors, ReadDivisors(spec.short_divisors));
    const bool all_short = shape.short_context >= shape.context_length;
    const std::uint32_t rows = RotaryTableRows(shape);
    std::vector<float> values;
    values.reserve(std::size_t{rows} * spec.size);
    FALLOW_RETURN_IF_ERROR(AppendRotaryTable(spec, all_short ? short_divisors : divisors,
                                             shape.context_length, control_, values));
    if (rows > shape.context_length) {
      FALLOW_RETURN_IF_ERROR(
          AppendRotaryTable(spec, short_divisors, shape.short_context, control_, values));
    }
    FALLOW_ASSIGN_OR_RETURN(auto table, backend_.NewTensor(rows, spec.size, kNoForms, control_));
    FALLOW_RETURN_IF_ERROR(backend_.Upload(*table, values, control_));
    weights_.rotary_tables.push_back(std::move(table));
    return {};
  }

  const ModelFile& file_;
  Backend& backend_;
  const StepControl& control_;
  ModelWeights& weights_;
};

}  // namespace

std::uint32_t RotaryTableRows(const ModelShape& shape) {
  return shape.context_length +
         (shape.short_context < shape.context_length ? shape.short_context : 0);
}

std::uint64_t ModelWeightBytes(const ModelFile& file, const Backend& backend) {
  std::uint64_t bytes = 0;
  for (const GraphWeight& weight : file.graph.weights) {
    bytes += weight.is_row
                 ? backend.TensorBytes(1, weight.columns, kNoForms)
                 : backend.MatrixBytes(FormatOf(*weight.tensor).type, weight.rows, weight.columns);
  }
  for (const RotarySpec& spec : file.graph.rotary_tables)
    bytes += backend.TensorBytes(RotaryTableRows(file.shape), spec.size, kNoForms);
  return bytes;
}

Status LoadModelWeights(const ModelFile& file, Backend& backend, const StepControl& control,
                        ModelWeights& weights) {
  return WeightLoader(file, backend, control, weights).Run();
}

}  // namespace fallow::engine
