#include "engine/tokenizer/word_rules.h"

#include <algorithm>
#include <array>
#include <vector>

namespace fallow::engine {
namespace {

// Pieces of patterns. A word may take one sign in front of it along, "n't" and its like go apart
// or stay, white space leaves its last character to the word behind it.
#define CONTRACTION R"('(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD]))"
#define SIGN_IN_FRONT R"([^\r\n\p{L}\p{N}])"
#define SIGNS R"( ?[^\s\p{L}\p{N}]++)"
#define SPACE_TO_NEWLINE R"(\s*[\r\n]++)"
#define SPACE R"(\s+(?!\S)|\s++)"
#define WORD SIGN_IN_FRONT R"(?+\p{L}++)"

// Words that end where small letters do. The published pattern is: a sign, capitals*, small
// letters+, or else a sign, capitals+, small letters*, where letters without case and marks are
// BOTH. Here the same words are found without going back over the capitals: up to the small letters
// behind them, or else up to the last of BOTH, or else capitals alone.
#define CAPITAL R"(\p{Lu}\p{Lt})"
#define BOTH R"(\p{Lm}\p{Lo}\p{M})"
#define ANY_OF(CLASS, TIMES) "[" CLASS "]" TIMES
#define NOT_HAN_OF(CLASS, TIMES) R"((?:(?!\p{Han})[)" CLASS "])" TIMES
#define CASED_WORD(OF, SUFFIX)                                    \
  SIGN_IN_FRONT "?(?:" OF(CAPITAL BOTH, "*+") OF(R"(\p{Ll})", "") \
      OF(R"(\p{Ll})" BOTH, "*+") "|(?:" OF(CAPITAL, "*+")         \
          OF(BOTH, "++") ")++)" SUFFIX "|" SIGN_IN_FRONT "?" OF(CAPITAL, "++") SUFFIX

constexpr std::string_view kGpt2 = R"('(?:[stmd]|re|ve|ll)| ?\p{L}++| ?\p{N}++|)" SIGNS "|" SPACE;
// Digits by threes.
constexpr std::string_view kLlama3 =
    CONTRACTION "|" WORD R"(|\p{N}{1,3}+|)" SIGNS R"([\r\n]*+|)" SPACE_TO_NEWLINE "|" SPACE;
// Digits one by one.
constexpr std::string_view kQwen2 =
    CONTRACTION "|" WORD R"(|\p{N}|)" SIGNS R"([\r\n]*+|)" SPACE_TO_NEWLINE "|" SPACE;
constexpr std::string_view kGpt4o =
    CASED_WORD(ANY_OF, "(?:" CONTRACTION ")?+") R"(|\p{N}{1,3}+|)" SIGNS
                                                R"([\r\n/]*+|)" SPACE_TO_NEWLINE "|" SPACE;
constexpr std::string_view kBloom =
    R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]++)";
constexpr std::string_view kHanKana = R"([\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]++)";
constexpr std::string_view kDeepSeekWord =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]++|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]++|)"
    R"( ?[\p{P}\p{S}]++[\r\n]*+|)" SPACE_TO_NEWLINE "|" SPACE;
// Letters with case, as far as Unicode had them when the pattern was made.
constexpr std::string_view kDeepSeekLetters =
    R"(\s?[)"
    R"(A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386})"
    R"(\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F})"
    R"(\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA})"
    R"(\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A})"
    R"(\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D})"
    R"(\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4})"
    R"(\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3})"
    R"(\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107})"
    R"(\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D})"
    R"(\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184})"
    R"(\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D})"
    R"(\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E})"
    R"(\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A})"
    R"(\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB})"
    R"(\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943})"
    R"(]++)";
constexpr std::string_view kAnyCjk = R"([\x{800}-\x{9FA5}\x{AC00}-\x{D7FF}]++)";

using Cut = WordPass::Cut;

constexpr WordPass kDefaultPasses[] = {
    {R"([\p{P}\$\+<=>\^~\|]++)"}, {kGpt2}, {R"(\p{N}++)"}, {"[0-9][0-9][0-9]"}};
constexpr WordPass kGpt2Passes[] = {{kGpt2}};
constexpr WordPass kLlama3Passes[] = {{kLlama3}};
constexpr WordPass kQwen2Passes[] = {{kQwen2}};
constexpr WordPass kQwen35Passes[] = {
    {CONTRACTION "|" SIGN_IN_FRONT
                 R"(?[\p{L}\p{M}]++|\p{N}| ?[^\s\p{L}\p{M}\p{N}]++[\r\n]*+|)" SPACE_TO_NEWLINE
                 "|" SPACE}};
constexpr WordPass kGpt4oPasses[] = {{kGpt4o}};
constexpr WordPass kTekkenPasses[] = {
    {CASED_WORD(ANY_OF, "") R"(|\p{N}|)" SIGNS R"([\r\n/]*+|)" SPACE_TO_NEWLINE "|" SPACE}};
constexpr WordPass kFalconPasses[] = {{R"([\p{P}\$\+<=>\^~\|`]++)"}, {kGpt2}, {"[0-9][0-9][0-9]"}};
// The digits one by one, then as GPT-2.
constexpr WordPass kStarcoderPasses[] = {{R"(\p{N})"}, {kGpt2}};
constexpr WordPass kDeepSeekLlmPasses[] = {
    {"[\r\n]"},
    {kDeepSeekLetters},
    {R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]++)"},
    {R"((?<!\s)\s++\z)"},
    {kAnyCjk},
    {R"(\p{N}++)"}};
constexpr WordPass kDeepSeekCoderPasses[] = {
    {"[\r\n]"}, {R"(\s?\p{L}++)"}, {R"(\s?\p{P}++)"}, {kAnyCjk}, {R"(\p{N})"}};
constexpr WordPass kDeepSeek3Passes[] = {{R"(\p{N}{1,3}+)"}, {kHanKana}, {kDeepSeekWord}};
constexpr WordPass kBloomPasses[] = {{kBloom}};
constexpr WordPass kVikingPasses[] = {{kBloom}, {R"(\p{N})"}};
constexpr WordPass kJais2Passes[] = {
    {CONTRACTION
     "|" WORD R"(|\p{N}{1,3}+|)" SIGNS R"([\r\n]*+|)" SPACE_TO_NEWLINE
     R"(|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S))"
     R"(|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s)"}};
constexpr WordPass kChameleonPasses[] = {{"<sentinel:[0-9]++>"},      {"IMGIMG[A-I]{1,4}Z"},
                                         {R"([\t\n]|    |  )"},       {R"(\p{N})"},
                                         {R"([\p{P}!-/:-@\[-`{-~])"}, {kGpt2}};
constexpr WordPass kBailingPasses[] = {{R"('(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|)" WORD
                                        R"(|\p{N}|)" SIGNS R"([\r\n]*+|\s*[\r\n]|)" SPACE}};
constexpr WordPass kSeedCoderPasses[] = {
    {CONTRACTION "|" WORD R"(|\p{N}|)" SIGNS "|" SPACE_TO_NEWLINE "|" SPACE}};
constexpr WordPass kSuperBpePasses[] = {{R"(\p{N}++)"}, {R"(\p{Nd}++)", Cut::kThreesFromTheEnd}};
constexpr WordPass kKimiPasses[] = {{R"(\p{Han}++|)" CASED_WORD(
    NOT_HAN_OF, "(?:" CONTRACTION ")?+") R"(|\p{N}{1,3}+|)" SIGNS R"([\r\n]*+|)" SPACE_TO_NEWLINE
                                         "|" SPACE}};
constexpr WordPass kAfmoePasses[] = {
    {R"(\p{N}++)", Cut::kThreesFromTheEnd},
    // Han, Hangul, Kana and the scripts of South-East Asia that put no space between words.
    {R"([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{F900}-\x{FAFF}\x{3040}-\x{30FF}\x{FF65}-\x{FF9F})"
     R"(\x{2F00}-\x{2FDF}\x{E00}-\x{EFF}\x{1780}-\x{17FF}\x{1000}-\x{109F}\x{AA60}-\x{AA7F})"
     R"(\x{A9E0}-\x{A9FF}\x{AC00}-\x{D7AF}\x{1100}-\x{11FF}]++)"},
    {kDeepSeekWord}};
constexpr WordPass kTinyAyaPasses[] = {{R"((?<!\p{Nd})\p{Nd}++\b)", Cut::kThreesFromTheEnd},
                                       {kGpt4o}};
constexpr WordPass kExaoneMoePasses[] = {
    {CONTRACTION "|" SIGN_IN_FRONT R"(?+(?:\p{L}\p{M}*+(?: \p{L}\p{M}*+)*+)++|\p{N}|)" SIGNS
                 R"([\r\n/]?+|\s*[\r\n]|)" SPACE}};

// As Qwen 2 without the contractions.
constexpr WordPass kUfakzekaPasses[] = {
    {WORD R"(|\p{N}|)" SIGNS R"([\r\n]*+|)" SPACE_TO_NEWLINE "|" SPACE}};
constexpr WordPass kMiniCpm5Passes[] = {
    {R"(\p{N}{1,3}+)"},
    {CONTRACTION "|" WORD R"(|\p{N}++|)" SIGNS R"([\r\n]*+|)" SPACE_TO_NEWLINE "|" SPACE}};
constexpr WordPass kLagunaPasses[] = {{R"([^\n]++|\n++)"}, {kQwen2}};
constexpr WordPass kYoutuPasses[] = {
    {R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]++|)"
     R"([\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C})"
     R"(\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]++|[\x{3105}-\x{312F}]++|)"
     R"([\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]++)"},
    {CASED_WORD(ANY_OF, "(?:" CONTRACTION ")?+") R"(|\p{N}|)" SIGNS R"([\r\n/]*+|)" SPACE_TO_NEWLINE
                                                 "|" SPACE}};

constexpr std::string_view kDefaultNames[] = {"default"};
constexpr std::string_view kGpt2Names[] = {
    "gpt-2",       "phi-2",        "mpt",        "olmo",           "jais",
    "trillion",    "gigachat",     "exaone4",    "mellum",         "a.x-4.0",
    "modern-bert", "roberta-bpe",  "jina-es",    "jina-de",        "jina-v2-es",
    "jina-v2-de",  "jina-v2-code", "jina-v1-en", "granite-docling"};
constexpr std::string_view kLlama3Names[] = {"llama-bpe", "llama3",    "llama-v3",
                                             "falcon3",   "falcon-h1", "pixtral",
                                             "midm-2.0",  "lfm2",      "jina-v5-nano"};
constexpr std::string_view kLlama3PlainNames[] = {"dbrx", "smaug-bpe", "chatglm-bpe", "glm4"};
constexpr std::string_view kQwen2Names[] = {"qwen2",  "deepseek-r1-qwen", "stablelm2",
                                            "megrez", "hunyuan",          "grok-2",
                                            "kormo",  "f2llmv2",          "solar-open"};
constexpr std::string_view kQwen35Names[] = {"qwen35"};
constexpr std::string_view kGpt4oNames[] = {"gpt-4o", "llama4", "kanana2", "minimax-m2"};
constexpr std::string_view kTekkenNames[] = {"tekken"};
constexpr std::string_view kFalconNames[] = {"falcon"};
constexpr std::string_view kStarcoderNames[] = {"starcoder", "refact", "command-r", "smollm",
                                                "codeshell", "exaone", "minerva-7b"};
constexpr std::string_view kDeepSeekLlmNames[] = {"deepseek-llm"};
constexpr std::string_view kDeepSeekCoderNames[] = {"deepseek-coder"};
constexpr std::string_view kDeepSeek3Names[] = {"deepseek-v3", "hunyuan-dense", "joyai-llm"};
constexpr std::string_view kBloomNames[] = {"bloom", "poro-chat", "gpt3-finnish"};
constexpr std::string_view kVikingNames[] = {"viking"};
constexpr std::string_view kJais2Names[] = {"jais-2"};
constexpr std::string_view kChameleonNames[] = {"chameleon"};
constexpr std::string_view kBailingNames[] = {"bailingmoe", "bailingmoe2", "llada-moe"};
constexpr std::string_view kSeedCoderNames[] = {"seed-coder"};
constexpr std::string_view kSuperBpeNames[] = {"superbpe"};
constexpr std::string_view kKimiNames[] = {"kimi-k2"};
constexpr std::string_view kAfmoeNames[] = {"afmoe"};
constexpr std::string_view kTinyAyaNames[] = {"tiny_aya", "cohere2moe"};
constexpr std::string_view kExaoneMoeNames[] = {"exaone-moe"};

constexpr std::string_view kUfakzekaNames[] = {"ufakzeka"};
constexpr std::string_view kMiniCpm5Names[] = {"minicpm5"};
constexpr std::string_view kLagunaNames[] = {"laguna"};
constexpr std::string_view kYoutuNames[] = {"youtu"};
constexpr std::string_view kGraniteNames[] = {"granite-embed-multi-97m"};

constexpr WordRule kRules[] = {
    {.names = kDefaultNames, .passes = kDefaultPasses},
    {.names = kGpt2Names, .passes = kGpt2Passes},
    {.names = kLlama3Names, .passes = kLlama3Passes, .whole_words = true, .add_bos = true},
    {.names = kLlama3PlainNames, .passes = kLlama3Passes},
    {.names = kQwen2Names, .passes = kQwen2Passes},
    {.names = kQwen35Names, .passes = kQwen35Passes},
    {.names = kGpt4oNames, .passes = kGpt4oPasses},
    {.names = kTekkenNames, .passes = kTekkenPasses, .whole_words = true, .add_bos = true},
    {.names = kFalconNames, .passes = kFalconPasses},
    {.names = kStarcoderNames, .passes = kStarcoderPasses},
    {.names = kDeepSeekLlmNames, .passes = kDeepSeekLlmPasses},
    {.names = kDeepSeekCoderNames, .passes = kDeepSeekCoderPasses},
    {.names = kDeepSeek3Names, .passes = kDeepSeek3Passes},
    {.names = kBloomNames, .passes = kBloomPasses},
    {.names = kVikingNames, .passes = kVikingPasses},
    {.names = kJais2Names, .passes = kJais2Passes},
    {.names = kChameleonNames, .passes = kChameleonPasses, .add_bos = true},
    {.names = kBailingNames, .passes = kBailingPasses},
    {.names = kSeedCoderNames, .passes = kSeedCoderPasses},
    {.names = kSuperBpeNames, .passes = kSuperBpePasses},
    {.names = kKimiNames, .passes = kKimiPasses},
    {.names = kAfmoeNames, .passes = kAfmoePasses},
    {.names = kTinyAyaNames, .passes = kTinyAyaPasses},
    {.names = kExaoneMoeNames, .passes = kExaoneMoePasses},
    {.names = kUfakzekaNames, .passes = kUfakzekaPasses},
    {.names = kMiniCpm5Names, .passes = kMiniCpm5Passes, .whole_words = true},
    {.names = kLagunaNames, .passes = kLagunaPasses},
    {.names = kYoutuNames, .passes = kYoutuPasses, .whole_words = true},
    {.names = kGraniteNames, .passes = kGpt4oPasses, .whole_words = true},
};

}  // namespace

const WordRule* FindWordRule(std::string_view name) {
  const auto found = std::ranges::find_if(kRules, [&](const WordRule& rule) {
    return std::ranges::find(rule.names, name) != rule.names.end();
  });
  return found == std::ranges::end(kRules) ? nullptr : &*found;
}

std::string KnownWordRules() {
  std::vector<std::string_view> names;
  for (const WordRule& rule : kRules)
    names.insert(names.end(), rule.names.begin(), rule.names.end());
  std::ranges::sort(names);
  std::string text;
  for (const std::string_view name : names) {
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

}  // namespace fallow::engine
