#include "engine/tokenizer/sentence_piece.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <functional>
#include <queue>

#include "engine/tokenizer/space_mark.h"
#include "engine/tokenizer/spelling_index.h"
#include "engine/tokenizer/utf8.h"

namespace fallow::engine {
namespace {

constexpr std::uint32_t kNone = 0xFFFFFFFF;

// A piece of the run, as it is joined with its neighbours. One that was joined to the one before
// it has no bytes left.
struct Piece {
  std::uint32_t begin = 0;
  std::uint32_t length = 0;
  std::uint32_t previous = kNone;
  std::uint32_t next = kNone;
};

// A piece and the next one, which spell a token. Stale when they do not have its length by now.
struct Candidate {
  float score = 0;
  std::uint32_t left = 0;
  std::uint32_t length = 0;

  bool operator<(const Candidate& other) const {
    return score != other.score ? score < other.score : left > other.left;
  }
};

// Joins the pieces of one run.
class Joiner {
 public:
  Joiner(std::string_view text, const SpellingIndex& index, const std::vector<float>& scores)
      : text_(text), index_(index), scores_(scores) {
    std::uint32_t at = 0;
    while (at < text.size()) {
      const auto number = static_cast<std::uint32_t>(pieces_.size());
      const std::uint32_t length = ReadUtf8(text.substr(at)).length;
      pieces_.push_back({at, length, number - 1, number + 1});
      at += length;
    }
    pieces_.front().previous = kNone;
    pieces_.back().next = kNone;
  }

  template <class Visit>
  void Run(Visit visit) {
    std::vector<Candidate> candidates;
    for (std::uint32_t i = 0; i < pieces_.size(); ++i) {
      if (const auto candidate = CandidateAt(i); candidate.has_value())
        candidates.push_back(*candidate);
    }
    queue_ = std::priority_queue(std::less<>(), std::move(candidates));
    while (!queue_.empty()) {
      const Candidate candidate = queue_.top();
      queue_.pop();
      Join(candidate);
    }
    for (std::uint32_t i = 0; i != kNone; i = pieces_[i].next)
      visit(text_.substr(pieces_[i].begin, pieces_[i].length));
  }

 private:
  std::optional<Candidate> CandidateAt(std::uint32_t left) const {
    const std::uint32_t right = pieces_[left].next;
    if (right == kNone) return std::nullopt;
    const std::uint32_t length = pieces_[left].length + pieces_[right].length;
    const auto token = index_.Find(text_.substr(pieces_[left].begin, length));
    if (!token.has_value()) return std::nullopt;
    return Candidate{scores_[*token], left, length};
  }

  void Offer(std::uint32_t left) {
    if (const auto candidate = CandidateAt(left); candidate.has_value()) queue_.push(*candidate);
  }

  void Join(const Candidate& candidate) {
    Piece& left = pieces_[candidate.left];
    if (left.length == 0 || left.next == kNone) return;
    Piece& right = pieces_[left.next];
    if (left.length + right.length != candidate.length) return;
    left.length += right.length;
    right.length = 0;
    left.next = right.next;
    if (left.next != kNone) pieces_[left.next].previous = candidate.left;
    if (left.previous != kNone) Offer(left.previous);
    Offer(candidate.left);
  }

  std::string_view text_;
  const SpellingIndex& index_;
  const std::vector<float>& scores_;
  std::vector<Piece> pieces_;
  std::priority_queue<Candidate, std::vector<Candidate>, std::less<>> queue_;
};

// The byte that "<0x41>" names.
std::optional<std::uint8_t> NamedByte(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling.back() != '>')
    return std::nullopt;
  std::uint8_t byte = 0;
  const char* end = spelling.data() + 5;
  const auto [at, error] = std::from_chars(spelling.data() + 3, end, byte, 16);
  if (error != std::errc() || at != end) return std::nullopt;
  return byte;
}

struct SentencePiece final : RunEncoder {
  void Encode(std::string_view run, std::vector<std::uint32_t>& tokens) const override {
    std::string text;
    if (space_in_front) text = kSpaceMark;
    AppendWithSpaceMarks(run, text);
    Joiner(text, index, scores).Run([&](std::string_view piece) {
      if (const auto token = index.Find(piece); token.has_value()) {
        tokens.push_back(*token);
        return;
      }
      for (const char byte : piece) tokens.push_back(byte_tokens[static_cast<std::uint8_t>(byte)]);
    });
  }

  std::string Decode(std::uint32_t, std::string_view spelling, TokenKind kind) const override {
    if (kind == TokenKind::kByte) {
      if (const auto byte = NamedByte(spelling); byte.has_value())
        return std::string(1, static_cast<char>(*byte));
    }
    return WithSpaces(spelling);
  }

  bool puts_space_in_front() const override { return space_in_front; }

  SpellingIndex index;  // of the tokens that text can be joined to
  std::vector<float> scores;
  std::array<std::uint32_t, 256> byte_tokens{};
  bool space_in_front = true;
};

bool IsJoined(TokenKind kind) {
  return kind == TokenKind::kNormal || kind == TokenKind::kUser || kind == TokenKind::kUndefined;
}

// Its "<0x41>", or else the byte itself where that is a token.
Status FindByteTokens(const Vocabulary& vocabulary, SentencePiece& encoder) {
  SpellingIndex bytes;
  for (std::uint32_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.kinds[id] == TokenKind::kByte) bytes.Add(vocabulary.spellings[id], id);
  }
  bytes.Freeze();
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    auto token = bytes.Find(fmt::format("<0x{:02X}>", byte));
    if (!token.has_value()) token = encoder.index.Find(std::string(1, static_cast<char>(byte)));
    if (!token.has_value()) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("tokenizer.ggml.tokens: no byte token <0x{:02X}>", byte));
    }
    encoder.byte_tokens[byte] = *token;
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<RunEncoder>> NewSentencePiece(const GgufFile& file,
                                                     const Vocabulary& vocabulary,
                                                     const StepControl& control) {
  if (!vocabulary.kinds_known) {
    return Fail(ErrorCode::kInvalidArgument,
                "tokenizer.ggml.token_type is missing: byte and control tokens are told by it");
  }
  auto encoder = std::make_unique<SentencePiece>();
  FALLOW_ASSIGN_OR_RETURN(const auto prefix, file.FindBool("tokenizer.ggml.add_space_prefix"));
  encoder->space_in_front = prefix.value_or(true);
  FALLOW_ASSIGN_OR_RETURN(encoder->scores, ReadScores(file, vocabulary.size()));
  for (std::uint32_t id = 0; id < vocabulary.size(); ++id) {
    if (id % kEntriesBetweenLooks == 0) FALLOW_RETURN_IF_ERROR(control.GoOn());
    if (IsJoined(vocabulary.kinds[id]) && !vocabulary.IsTemplatesOwn(id) &&
        !vocabulary.spellings[id].empty())
      encoder->index.Add(vocabulary.spellings[id], id);
  }
  FALLOW_RETURN_IF_ERROR(control.GoOn());
  encoder->index.Freeze();
  FALLOW_RETURN_IF_ERROR(FindByteTokens(vocabulary, *encoder));
  return encoder;
}

}  // namespace fallow::engine
