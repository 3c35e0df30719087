#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/fake/clock.h"
#include "platform/tls.h"

namespace fallow {
namespace {

using ::testing::HasSubstr;

const WallTime kNow = SimulatedClock().Wall();

TEST(Certificates, AuthorityAndServerEndWhenTheyShould) {
  const auto authority = MakeCertificateAuthority("house", kNow, 3650).value();
  const auto server = MakeServerCertificate(authority, {"10.0.0.1", "pc.local"}, kNow, 90).value();
  EXPECT_EQ(CertificateExpiry(authority.certificate).value(), kNow + std::chrono::days(3650));
  EXPECT_EQ(CertificateExpiry(server.certificate).value(), kNow + std::chrono::days(90));
}

TEST(Certificates, PinNamesOneCertificate) {
  const auto first = MakeCertificateAuthority("house", kNow, 10).value();
  const auto second = MakeCertificateAuthority("house", kNow, 10).value();
  EXPECT_EQ(CertificatePin(first.certificate).value(), CertificatePin(first.certificate).value());
  EXPECT_NE(CertificatePin(first.certificate).value(), CertificatePin(second.certificate).value())
      << "serial numbers and keys are random";
}

TEST(Certificates, BadInputIsNamed) {
  EXPECT_EQ(CertificatePin("hello").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(CertificateExpiry("").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(MakeCertificateAuthority("", kNow, 10).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(MakeCertificateAuthority("house", kNow, 0).error().code, ErrorCode::kInvalidArgument);

  const auto authority = MakeCertificateAuthority("house", kNow, 10).value();
  EXPECT_FALSE(MakeServerCertificate(authority, {}, kNow, 10).has_value());
  const auto injected = MakeServerCertificate(authority, {"a,DNS:evil.example"}, kNow, 10);
  ASSERT_FALSE(injected.has_value());
  EXPECT_THAT(injected.error().message, HasSubstr("a,DNS:evil.example"));

  const auto other = MakeCertificateAuthority("other", kNow, 10).value();
  EXPECT_FALSE(MakeServerCertificate({authority.certificate, other.private_key}, {"a"}, kNow, 10)
                   .has_value());
}

}  // namespace
}  // namespace fallow
