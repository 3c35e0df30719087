#include "shaders/spirv_module.h"

#include <fmt/format.h>
#include <spirv/unified1/GLSL.std.450.h>

#include <map>
#include <set>
#include <spirv/unified1/spirv.hpp11>
#include <string_view>

namespace fallow::shaders {
namespace {

constexpr std::size_t kHeaderWords = 5;

struct Instruction {
  spv::Op op;
  std::size_t at;  // word index in the module
  std::span<const std::uint32_t> operands;
};

Result<std::vector<Instruction>> ReadInstructions(std::span<const std::uint32_t> words) {
  if (words.size() < kHeaderWords || words[0] != spv::MagicNumber)
    return Fail(ErrorCode::kInvalidArgument, "not a SPIR-V module: no header");
  std::vector<Instruction> instructions;
  for (std::size_t at = kHeaderWords; at < words.size();) {
    const std::size_t length = words[at] >> 16;
    if (length == 0 || length > words.size() - at)
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("SPIR-V word {}: instruction of {} words, {} are left", at, length,
                              words.size() - at));
    instructions.push_back(
        {static_cast<spv::Op>(words[at] & 0xFFFF), at, words.subspan(at + 1, length - 1)});
    at += length;
  }
  return instructions;
}

// The functions of GLSL.std.450 that work on integers or only move bits.
bool IsAllowedFunction(std::uint32_t function) {
  switch (function) {
    case GLSLstd450SAbs:
    case GLSLstd450UMin:
    case GLSLstd450SMin:
    case GLSLstd450UMax:
    case GLSLstd450SMax:
    case GLSLstd450UClamp:
    case GLSLstd450SClamp:
    case GLSLstd450FindILsb:
    case GLSLstd450FindSMsb:
    case GLSLstd450FindUMsb:
      return true;
    default:
      return false;
  }
}

class RuleReader {
 public:
  Result<std::vector<std::string>> Read(std::span<const std::uint32_t> words) {
    FALLOW_ASSIGN_OR_RETURN(const auto instructions, ReadInstructions(words));
    for (const Instruction& i : instructions)
      if (!ReadDeclaration(i))
        return Fail(ErrorCode::kInvalidArgument,
                    fmt::format("SPIR-V word {}: instruction too short", i.at));
    for (const Instruction& i : instructions) CheckOperation(i);
    if (!preserves_)
      broken_.push_back("the entry point does not declare SignedZeroInfNanPreserve for 32 bits");
    return std::move(broken_);
  }

 private:
  bool ReadDeclaration(const Instruction& i) {
    const auto& o = i.operands;
    switch (i.op) {
      case spv::Op::OpDecorate:
        if (o.size() < 2) return false;
        if (o[1] == static_cast<std::uint32_t>(spv::Decoration::NoContraction))
          uncontracted_.insert(o[0]);
        if (o[1] == static_cast<std::uint32_t>(spv::Decoration::FPFastMathMode))
          broken_.push_back(fmt::format("word {}: FPFastMathMode", i.at));
        return true;
      case spv::Op::OpExtInstImport:
        return !o.empty();
      case spv::Op::OpExecutionMode:
        if (o.size() < 2) return false;
        if (o[1] == static_cast<std::uint32_t>(spv::ExecutionMode::SignedZeroInfNanPreserve))
          preserves_ = o.size() > 2 && o[2] == 32;
        return true;
      case spv::Op::OpTypeFloat:
        if (o.size() < 2) return false;
        float_bits_[o[0]] = o[1];
        return true;
      case spv::Op::OpTypeVector:
        if (o.size() < 3) return false;
        if (float_bits_.contains(o[1])) float_bits_[o[0]] = float_bits_[o[1]];
        return true;
      default:
        return true;
    }
  }

  void CheckOperation(const Instruction& i) {
    const std::string_view why = Forbidden(i);
    if (!why.empty())
      broken_.push_back(fmt::format("word {}: operation {} {}", i.at, static_cast<int>(i.op), why));
  }

  // Every instruction that gives a float must be on a list: what the list lacks, it forbids.
  std::string_view Forbidden(const Instruction& i) const {
    const auto& o = i.operands;
    if (i.op == spv::Op::OpTypeFloat)
      return o[1] == 32 ? "" : "makes floats that are not of 32 bits";
    if (i.op == spv::Op::OpExtInst)
      return o.size() >= 4 && IsAllowedFunction(o[3]) ? ""
                                                      : "calls a function outside the integer list";
    if (!GivesFloat(i)) return "";
    switch (i.op) {
      case spv::Op::OpFAdd:
      case spv::Op::OpFSub:
      case spv::Op::OpFMul:
      case spv::Op::OpVectorTimesScalar:
        return o.size() >= 2 && uncontracted_.contains(o[1]) ? "" : "on floats lacks NoContraction";
      case spv::Op::OpDot:  // of exact integers only: spirv_module.h
      case spv::Op::OpFNegate:
      case spv::Op::OpConvertSToF:
      case spv::Op::OpConvertUToF:
      case spv::Op::OpBitcast:
      case spv::Op::OpSelect:
      case spv::Op::OpPhi:
      case spv::Op::OpLoad:
      case spv::Op::OpCopyObject:
      case spv::Op::OpUndef:
      case spv::Op::OpConstant:
      case spv::Op::OpConstantComposite:
      case spv::Op::OpConstantNull:
      case spv::Op::OpSpecConstant:
      case spv::Op::OpSpecConstantComposite:
      case spv::Op::OpCompositeConstruct:
      case spv::Op::OpCompositeExtract:
      case spv::Op::OpCompositeInsert:
      case spv::Op::OpVectorShuffle:
      case spv::Op::OpVectorExtractDynamic:
      case spv::Op::OpVectorInsertDynamic:
      case spv::Op::OpFunction:
      case spv::Op::OpFunctionParameter:
      case spv::Op::OpFunctionCall:
      case spv::Op::OpGroupNonUniformShuffle:
      case spv::Op::OpGroupNonUniformShuffleXor:
      case spv::Op::OpGroupNonUniformBroadcast:
        return "";
      default:
        return "gives a float in a way that no rule allows";
    }
  }

  bool GivesFloat(const Instruction& i) const {
    const auto op = static_cast<std::uint32_t>(i.op);
    const bool declares =
        op < static_cast<std::uint32_t>(spv::Op::OpConstantTrue);  // names, modes, types
    const bool undef = i.op == spv::Op::OpUndef;
    const bool decorates = i.op == spv::Op::OpDecorate || i.op == spv::Op::OpMemberDecorate;
    const bool calls = i.op == spv::Op::OpExtInst;
    return (!declares || undef || calls) && !decorates && !i.operands.empty() &&
           float_bits_.contains(i.operands[0]);
  }

  std::set<std::uint32_t> uncontracted_;
  std::map<std::uint32_t, std::uint32_t> float_bits_;  // by type id
  std::vector<std::string> broken_;
  bool preserves_ = false;
};

constexpr std::uint32_t FirstWord(spv::Op op, std::uint32_t length) {
  return length << 16 | static_cast<std::uint32_t>(op);
}

}  // namespace

Result<std::vector<std::string>> BrokenExactRules(std::span<const std::uint32_t> words) {
  return RuleReader().Read(words);
}

Result<std::vector<std::uint32_t>> WithRoundingModeRte(std::span<const std::uint32_t> words) {
  FALLOW_ASSIGN_OR_RETURN(const auto instructions, ReadInstructions(words));
  std::vector<std::uint32_t> out(words.begin(), words.begin() + kHeaderWords);
  std::uint32_t entry_point = 0;
  std::size_t entry_points = 0;
  bool capability_added = false;
  bool mode_added = false;
  for (const Instruction& i : instructions) {
    // Capabilities open a module; execution modes follow the entry points.
    if (!capability_added && i.op != spv::Op::OpCapability) {
      out.insert(out.end(), {FirstWord(spv::Op::OpCapability, 2),
                             static_cast<std::uint32_t>(spv::Capability::RoundingModeRTE)});
      capability_added = true;
    }
    if (i.op == spv::Op::OpEntryPoint && i.operands.size() >= 2) {
      entry_point = i.operands[1];
      entry_points++;
    } else if (entry_points > 0 && !mode_added) {
      out.insert(out.end(), {FirstWord(spv::Op::OpExecutionMode, 4), entry_point,
                             static_cast<std::uint32_t>(spv::ExecutionMode::RoundingModeRTE), 32});
      mode_added = true;
    }
    out.insert(out.end(), words.begin() + static_cast<std::ptrdiff_t>(i.at),
               words.begin() + static_cast<std::ptrdiff_t>(i.at + i.operands.size() + 1));
  }
  if (entry_points != 1 || !mode_added)
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a kernel has one entry point, this has {}", entry_points));
  return out;
}

}  // namespace fallow::shaders
