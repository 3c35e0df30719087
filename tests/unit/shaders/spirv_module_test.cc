// The reader of SPIR-V must find what it is there for: a sound module is broken in one way at a
// time.
#include "shaders/spirv_module.h"

#include <gmock/gmock.h>
#include <spirv/unified1/GLSL.std.450.h>

#include <spirv/unified1/spirv.hpp11>

namespace fallow::shaders {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A module of instructions as they come; ids are the test's business.
class ModuleWriter {
 public:
  ModuleWriter() : words_{spv::MagicNumber, 0x10500, 0, 100, 0} {}

  ModuleWriter& Add(spv::Op op, std::vector<std::uint32_t> operands) {
    words_.push_back(static_cast<std::uint32_t>(operands.size() + 1) << 16 |
                     static_cast<std::uint32_t>(op));
    words_.insert(words_.end(), operands.begin(), operands.end());
    return *this;
  }
  const std::vector<std::uint32_t>& words() const { return words_; }

 private:
  std::vector<std::uint32_t> words_;
};

constexpr std::uint32_t kMain = 1, kFloat = 2, kInt = 3, kVector = 4, kLibrary = 5, kResult = 20,
                        kA = 21, kB = 22;
constexpr auto kPreserve = static_cast<std::uint32_t>(spv::ExecutionMode::SignedZeroInfNanPreserve);
constexpr auto kNoContraction = static_cast<std::uint32_t>(spv::Decoration::NoContraction);

// Types and modes of a sound module, before the one instruction of a test.
ModuleWriter Sound() {
  ModuleWriter m;
  m.Add(spv::Op::OpCapability, {1})
      .Add(spv::Op::OpEntryPoint, {5, kMain, 0x6E69616D, 0})
      .Add(spv::Op::OpExecutionMode, {kMain, kPreserve, 32})
      .Add(spv::Op::OpTypeFloat, {kFloat, 32})
      .Add(spv::Op::OpTypeInt, {kInt, 32, 1})
      .Add(spv::Op::OpTypeVector, {kVector, kFloat, 4});
  return m;
}

std::vector<std::string> Broken(const ModuleWriter& m) {
  const auto broken = BrokenExactRules(m.words());
  EXPECT_TRUE(broken.has_value());
  return broken.value_or(std::vector<std::string>{"not read"});
}

TEST(SpirvRules, AllowDecoratedArithmetic) {
  for (const spv::Op op :
       {spv::Op::OpFAdd, spv::Op::OpFSub, spv::Op::OpFMul, spv::Op::OpVectorTimesScalar}) {
    ModuleWriter m = Sound();
    m.Add(spv::Op::OpDecorate, {kResult, kNoContraction}).Add(op, {kFloat, kResult, kA, kB});
    EXPECT_THAT(Broken(m), IsEmpty());
  }
}

TEST(SpirvRules, FindArithmeticThatMayBeContracted) {
  for (const spv::Op op :
       {spv::Op::OpFAdd, spv::Op::OpFSub, spv::Op::OpFMul, spv::Op::OpVectorTimesScalar})
    for (const std::uint32_t type : {kFloat, kVector}) {
      ModuleWriter m = Sound();
      m.Add(spv::Op::OpDecorate, {kA, kNoContraction}).Add(op, {type, kResult, kA, kB});
      EXPECT_THAT(Broken(m), ElementsAre(HasSubstr("NoContraction")));
    }
}

TEST(SpirvRules, FindDivisionConversionAndGroupArithmetic) {
  for (const spv::Op op :
       {spv::Op::OpFDiv, spv::Op::OpFRem, spv::Op::OpFMod, spv::Op::OpFConvert,
        spv::Op::OpQuantizeToF16, spv::Op::OpAtomicFAddEXT, spv::Op::OpAtomicExchange,
        spv::Op::OpGroupNonUniformFAdd, spv::Op::OpGroupNonUniformFMul,
        spv::Op::OpGroupNonUniformFMin, spv::Op::OpGroupNonUniformFMax,
        spv::Op::OpMatrixTimesVector, spv::Op::OpOuterProduct, spv::Op::OpDPdx}) {
    ModuleWriter m = Sound();
    m.Add(op, {kFloat, kResult, kA, kB});
    EXPECT_THAT(Broken(m), ElementsAre(HasSubstr("no rule allows"))) << static_cast<int>(op);
  }
}

TEST(SpirvRules, FindFloatFunctionsAndAllowIntegerOnes) {
  for (const std::uint32_t function :
       {GLSLstd450Fma, GLSLstd450Sqrt, GLSLstd450Exp, GLSLstd450FMin, GLSLstd450NMax,
        GLSLstd450InverseSqrt, GLSLstd450UnpackHalf2x16, GLSLstd450FClamp}) {
    ModuleWriter m = Sound();
    m.Add(spv::Op::OpExtInstImport, {kLibrary, 0})
        .Add(spv::Op::OpExtInst, {kFloat, kResult, kLibrary, function, kA});
    EXPECT_THAT(Broken(m), ElementsAre(HasSubstr("integer list"))) << function;
  }
  ModuleWriter m = Sound();
  m.Add(spv::Op::OpExtInstImport, {kLibrary, 0})
      .Add(spv::Op::OpExtInst, {kInt, kResult, kLibrary, GLSLstd450UMin, kA, kB});
  EXPECT_THAT(Broken(m), IsEmpty());
}

TEST(SpirvRules, FindFloatsOfOtherWidths) {
  for (const std::uint32_t bits : {16u, 64u}) {
    ModuleWriter m = Sound();
    m.Add(spv::Op::OpTypeFloat, {50, bits});
    EXPECT_THAT(Broken(m), ElementsAre(HasSubstr("32 bits")));
  }
}

TEST(SpirvRules, FindMissingFloatControls) {
  ModuleWriter m;
  m.Add(spv::Op::OpEntryPoint, {5, kMain, 0x6E69616D, 0});
  EXPECT_THAT(Broken(m), ElementsAre(HasSubstr("SignedZeroInfNanPreserve")));
  m.Add(spv::Op::OpExecutionMode, {kMain, kPreserve, 16});
  EXPECT_THAT(Broken(m), ElementsAre(HasSubstr("SignedZeroInfNanPreserve")));
}

TEST(SpirvRules, RefuseWhatIsNoModule) {
  EXPECT_FALSE(BrokenExactRules({}).has_value());
  const std::vector<std::uint32_t> zeros(10);
  EXPECT_FALSE(BrokenExactRules(zeros).has_value());
  ModuleWriter sound = Sound();
  std::vector<std::uint32_t> longer = sound.words();
  longer.push_back(9u << 16 | static_cast<std::uint32_t>(spv::Op::OpFAdd));
  EXPECT_FALSE(BrokenExactRules(longer).has_value());
  longer.back() = static_cast<std::uint32_t>(spv::Op::OpFAdd);  // of no words
  EXPECT_FALSE(BrokenExactRules(longer).has_value());
  ModuleWriter short_type;
  short_type.Add(spv::Op::OpTypeFloat, {kFloat});
  EXPECT_FALSE(BrokenExactRules(short_type.words()).has_value());
}

TEST(RoundingModeRte, StandsAfterTheEntryPointAndItsCapabilityFirst) {
  ModuleWriter want;
  want.Add(spv::Op::OpCapability, {1})
      .Add(spv::Op::OpCapability, {static_cast<std::uint32_t>(spv::Capability::RoundingModeRTE)})
      .Add(spv::Op::OpEntryPoint, {5, kMain, 0x6E69616D, 0})
      .Add(spv::Op::OpExecutionMode,
           {kMain, static_cast<std::uint32_t>(spv::ExecutionMode::RoundingModeRTE), 32})
      .Add(spv::Op::OpExecutionMode, {kMain, kPreserve, 32})
      .Add(spv::Op::OpTypeFloat, {kFloat, 32})
      .Add(spv::Op::OpTypeInt, {kInt, 32, 1})
      .Add(spv::Op::OpTypeVector, {kVector, kFloat, 4});
  const auto words = WithRoundingModeRte(Sound().words());
  ASSERT_TRUE(words.has_value());
  EXPECT_EQ(*words, want.words());
}

TEST(RoundingModeRte, RefusesAModuleWithoutAnEntryPoint) {
  ModuleWriter m;
  m.Add(spv::Op::OpCapability, {1});
  EXPECT_FALSE(WithRoundingModeRte(m.words()).has_value());
}

}  // namespace
}  // namespace fallow::shaders
