#include "engine/chat/jinja/token_cursor.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/gguf/gguf_file.h"

namespace fallow::engine::jinja {

const Token& TokenCursor::Peek(std::size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

const Token& TokenCursor::Next() {
  const Token& token = Peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool TokenCursor::IsName(std::string_view name, std::size_t ahead) const {
  return Peek(ahead).kind == TokenKind::kName && Peek(ahead).text == name;
}

bool TokenCursor::IsSign(std::string_view sign, std::size_t ahead) const {
  return Peek(ahead).kind == TokenKind::kSign && Peek(ahead).text == sign;
}

bool TokenCursor::TakeName(std::string_view name) {
  if (!IsName(name)) return false;
  Next();
  return true;
}

bool TokenCursor::TakeSign(std::string_view sign) {
  if (!IsSign(sign)) return false;
  Next();
  return true;
}

Status TokenCursor::ExpectSign(std::string_view sign) {
  if (TakeSign(sign)) return {};
  return Bad(fmt::format("\"{}\" is expected", sign));
}

Status TokenCursor::ExpectName(std::string_view name) {
  if (TakeName(name)) return {};
  return Bad(fmt::format("\"{}\" is expected", name));
}

Result<std::string> TokenCursor::ExpectAnyName(std::string_view wanted) {
  if (!Is(TokenKind::kName)) return Bad(fmt::format("{} is expected", wanted));
  return Next().text;
}

Status TokenCursor::ExpectKind(TokenKind kind, std::string_view wanted) {
  if (!Is(kind)) return Bad(fmt::format("{} is expected", wanted));
  Next();
  return {};
}

std::unexpected<Error> TokenCursor::Fail(std::size_t offset, ErrorCode code,
                                         std::string message) const {
  return FailAt(source_, offset, {code, std::move(message)});
}

std::unexpected<Error> TokenCursor::Bad(std::string message) const {
  return Fail(Peek().offset, ErrorCode::kInvalidArgument,
              fmt::format("{}, not \"{}\"", message, Shown(Peek().text)));
}

std::unexpected<Error> TokenCursor::Unknown(std::size_t offset, std::string message) const {
  return Fail(offset, ErrorCode::kUnimplemented, std::move(message));
}

}  // namespace fallow::engine::jinja
