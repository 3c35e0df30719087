#include "coordinator/http/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "coordinator/http/error_response.h"

namespace fallow::http {
namespace {

std::vector<std::string> Split(std::string_view path) {
  std::vector<std::string> segments;
  std::size_t begin = 1;  // after the leading '/'
  for (;;) {
    const std::size_t end = path.find('/', begin);
    segments.emplace_back(path.substr(begin, end == std::string_view::npos ? end : end - begin));
    if (end == std::string_view::npos) return segments;
    begin = end + 1;
  }
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The captured segments, still encoded; none if the path does not match.
std::optional<std::vector<std::string>> Match(const std::vector<std::string>& pattern,
                                              const std::vector<std::string>& path) {
  if (pattern.size() != path.size()) return std::nullopt;
  std::vector<std::string> captures;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == "{}") {
      if (path[i].empty()) return std::nullopt;
      captures.push_back(path[i]);
    } else if (pattern[i] != path[i]) {
      return std::nullopt;
    }
  }
  return captures;
}

}  // namespace

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = HexDigit(text[i + 1]), low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high << 4 | low);
      i += 2;
    }
    if (c == '\0') return std::nullopt;
    decoded += c;
  }
  return decoded;
}

std::vector<std::pair<std::string, std::string>> ParseQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  while (!query.empty()) {
    const std::size_t ampersand = query.find('&');
    std::string pair(query.substr(0, ampersand));
    query = ampersand == std::string_view::npos ? std::string_view() : query.substr(ampersand + 1);
    std::ranges::replace(pair, '+', ' ');
    const std::size_t equals = pair.find('=');
    auto name = PercentDecode(std::string_view(pair).substr(0, equals));
    auto value =
        PercentDecode(equals == std::string::npos ? std::string_view()
                                                  : std::string_view(pair).substr(equals + 1));
    if (name.has_value() && value.has_value() && !name->empty())
      parameters.emplace_back(*std::move(name), *std::move(value));
  }
  return parameters;
}

std::optional<std::string> Call::Query(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return value;
  return std::nullopt;
}

void Router::Add(std::string method, std::string_view pattern, RouteHandler handler) {
  routes_.push_back({std::move(method), Split(pattern), std::move(handler)});
}

std::unique_ptr<BodySink> Router::Handle(const RequestHead& head,
                                         std::shared_ptr<Responder> responder) const {
  const std::vector<std::string> path = Split(head.path);
  const std::string_view method =
      head.method == "HEAD" ? std::string_view("GET") : std::string_view(head.method);
  std::string allowed;
  for (const Route& route : routes_) {
    auto captures = Match(route.segments, path);
    if (!captures.has_value()) continue;
    if (route.method != method) {
      allowed += (allowed.empty() ? "" : ", ") + route.method;
      continue;
    }
    for (std::string& capture : *captures) {
      auto decoded = PercentDecode(capture);
      if (!decoded.has_value()) {
        responder->Send(ErrorResponse(
            {.status = 400,
             .message = fmt::format("The path is not well-formed: \"{}\".", head.path)}));
        return nullptr;
      }
      capture = *std::move(decoded);
    }
    const Call call{head, *std::move(captures), ParseQuery(head.query)};
    return route.handler(call, std::move(responder));
  }
  if (!allowed.empty()) {
    Response response =
        ErrorResponse({.status = 405,
                       .message = fmt::format("{} is not a method of {}; it has {}.", head.method,
                                              head.path, allowed)});
    response.headers.emplace_back("allow", allowed);
    responder->Send(std::move(response));
    return nullptr;
  }
  if (fallback_) return fallback_(Call{head, {}, ParseQuery(head.query)}, std::move(responder));
  responder->Send(ErrorResponse({.status = 404,
                                 .message = fmt::format("There is no {}.", head.path),
                                 .code = "unknown_url"}));
  return nullptr;
}

}  // namespace fallow::http
