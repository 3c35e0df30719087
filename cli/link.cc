#include "cli/link.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace fallow::cli {

namespace {

constexpr std::size_t kMaxLinkBytes = 4096;  // a real one has about 200

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// The value of `name` in "a=1&b=2".
std::optional<std::string_view> Field(std::string_view fragment, std::string_view name) {
  while (!fragment.empty()) {
    const std::string_view field = fragment.substr(0, fragment.find('&'));
    fragment.remove_prefix(std::min(fragment.size(), field.size() + 1));
    const std::size_t equals = field.find('=');
    if (equals != std::string_view::npos && field.substr(0, equals) == name)
      return field.substr(equals + 1);
  }
  return std::nullopt;
}

}  // namespace

Result<std::string> ParseCoordinatorUrl(std::string_view text) {
  constexpr std::string_view kScheme = "https://";
  text = Trimmed(text);
  if (!text.starts_with(kScheme)) {
    return Fail(ErrorCode::kInvalidArgument, "the coordinator's address must begin with https://");
  }
  std::string_view host = text.substr(kScheme.size());
  while (host.ends_with('/')) host.remove_suffix(1);
  const bool plain = std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return c > 0x20 && c < 0x7F &&
           std::string_view("/?#@\\\"<>").find(static_cast<char>(c)) == std::string_view::npos;
  });
  if (host.empty() || !plain) {
    return Fail(ErrorCode::kInvalidArgument,
                "the coordinator's address must be https://HOST:PORT and nothing more");
  }
  return std::string(kScheme) + std::string(host);
}

Status CheckKey(std::string_view key) {
  constexpr std::size_t kMaxKeyBytes = 512;
  const bool sound =
      !key.empty() && key.size() <= kMaxKeyBytes &&
      std::all_of(key.begin(), key.end(), [](unsigned char c) { return c > 0x20 && c < 0x7F; });
  if (sound) return {};
  return Fail(ErrorCode::kInvalidArgument,
              "the API key must be printable ASCII without spaces, at most 512 bytes");
}

Result<SignInLink> ParseSignInLink(std::string_view text) {
  text = Trimmed(text);
  if (text.size() > kMaxLinkBytes) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("sign-in link: {} bytes, more than the {} a link may have", text.size(),
                            kMaxLinkBytes));
  }
  const std::size_t hash = text.find('#');
  if (hash == std::string_view::npos) {
    return Fail(ErrorCode::kInvalidArgument,
                "sign-in link: the part from # on is missing; in a shell, put the link in quotes");
  }
  SignInLink link;
  auto url = ParseCoordinatorUrl(text.substr(0, hash));
  if (!url.has_value()) return Wrap(std::move(url).error(), "sign-in link");
  link.url = *std::move(url);

  const std::string_view fragment = text.substr(hash + 1);
  if (Field(fragment, "join").has_value()) {
    return Fail(ErrorCode::kInvalidArgument,
                "this is a join link, for devices: `fallow-agent join LINK`. To sign in, take the "
                "coordinator's "
                "sign-in link");
  }
  const auto key = Field(fragment, "key");
  if (!key.has_value() || key->empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "sign-in link: key= is missing; in a shell, put the link in quotes");
  }
  if (auto sound = CheckKey(*key); !sound.has_value())
    return Wrap(std::move(sound).error(), "sign-in link");
  const auto pin_text = Field(fragment, "pin");
  if (!pin_text.has_value()) {
    return Fail(ErrorCode::kInvalidArgument,
                "sign-in link: pin= is missing; in a shell, put the link in quotes");
  }
  const auto pin = Digest::FromHex(*pin_text);
  if (!pin.has_value()) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format(
            "sign-in link: the pin must be 64 hexadecimal digits, this one has {} characters",
            pin_text->size()));
  }
  link.key = std::string(*key);
  link.pin = *pin;
  return link;
}

}  // namespace fallow::cli
