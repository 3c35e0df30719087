// SHA-256 digests: the name of every artifact and the commitment of every result.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace fallow {

struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  static std::optional<Digest> FromHex(std::string_view hex);  // 64 hexadecimal digits
  std::string Hex() const;
  auto operator<=>(const Digest&) const = default;
};

// Incremental SHA-256 (FIPS 180-4), by OpenSSL.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(ByteView bytes);
  void Update(std::string_view text) { Update(AsBytes(text)); }
  // The digest of everything so far; the object starts anew.
  Digest Finish();

  static Digest Of(ByteView bytes);
  static Digest Of(std::string_view text) { return Of(AsBytes(text)); }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fallow
