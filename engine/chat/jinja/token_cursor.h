// Walks a template's tokens for the parsers and says what is wrong where.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/chat/jinja/lexer.h"
#include "engine/chat/limits.h"

namespace fallow::engine::jinja {

class TokenCursor {
 public:
  // `source` must outlive the cursor; the last token is kEnd.
  TokenCursor(std::string_view source, std::vector<Token> tokens)
      : source_(source), tokens_(std::move(tokens)) {}

  const Token& Peek(std::size_t ahead = 0) const;
  const Token& Next();
  bool Is(TokenKind kind) const { return Peek().kind == kind; }
  bool IsName(std::string_view name, std::size_t ahead = 0) const;
  bool IsSign(std::string_view sign, std::size_t ahead = 0) const;
  bool TakeName(std::string_view name);
  bool TakeSign(std::string_view sign);
  // Takes a token that must be there; `wanted` says what it is for.
  Status ExpectSign(std::string_view sign);
  Status ExpectName(std::string_view name);
  Result<std::string> ExpectAnyName(std::string_view wanted);
  Status ExpectKind(TokenKind kind, std::string_view wanted);

  std::unexpected<Error> Fail(std::size_t offset, ErrorCode code, std::string message) const;
  // At the current token.
  std::unexpected<Error> Bad(std::string message) const;
  std::unexpected<Error> Unknown(std::size_t offset, std::string message) const;

 private:
  std::string_view source_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

// Counts how deep a parser is while it lives.
class DepthGuard {
 public:
  explicit DepthGuard(std::uint32_t& depth) : depth_(depth) { ++depth_; }
  ~DepthGuard() { --depth_; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

 private:
  std::uint32_t& depth_;
};

}  // namespace fallow::engine::jinja
