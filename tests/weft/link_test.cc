// Links as people paste them.

#include "weft/link.h"

#include <gmock/gmock.h>

#include "tests/crdt/authors.h"

namespace weft {
namespace {

std::string ErrorOf(std::string_view text) {
  const auto link = ParseLink(text);
  EXPECT_EQ(link.status().code(), absl::StatusCode::kInvalidArgument) << text;
  const std::string message(link.status().message());
  EXPECT_EQ(message.find('\n'), std::string::npos);
  return message;
}

TEST(Link, TextIsFrozen) {
  const auto vectors = CrdtVectors();
  const BaseId base_id = Fixed<BaseId>(vectors["genesis"]["base_id"]);
  const std::string plain = vectors["link"]["plain"];
  Link bare;
  bare.base_id = base_id;
  EXPECT_EQ(ToText(bare), plain);
  const auto parsed = ParseLink(plain);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->base_id, base_id);

  const auto full = ParseLink(vectors["link"]["full"].get<std::string>());
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ(full->base_id, base_id);
  EXPECT_EQ(full->addresses,
            vectors["link"]["addresses"].get<std::vector<std::string>>());
  EXPECT_EQ(full->salt, Fixed<Salt>(vectors["genesis"]["salt"]));
  EXPECT_EQ(full->invite_secret, Fixed<Seed>(vectors["link"]["secret"]));
  EXPECT_EQ(*ParseLink(ToText(*full)), *full);
}

TEST(Link, AnErrorIsOneLineThatNamesTheLinkAndTheFact) {
  const std::string plain = CrdtVectors()["link"]["plain"];
  using testing::HasSubstr;
  EXPECT_THAT(ErrorOf("http://example.org"), HasSubstr("does not begin with weft://"));
  EXPECT_THAT(ErrorOf("weft://abc"), HasSubstr("base id has 3 characters, not 52"));
  EXPECT_THAT(ErrorOf(plain + "y"), HasSubstr("base id has 53 characters"));
  std::string foreign = plain;
  foreign[10] = 'l';  // not in the alphabet
  EXPECT_THAT(ErrorOf(foreign), HasSubstr("not z-base-32"));
  EXPECT_THAT(ErrorOf(plain + "?a=host"), HasSubstr("address \"host\""));
  EXPECT_THAT(ErrorOf(plain + "?i=abc"), HasSubstr("invite secret has 3 characters"));
  EXPECT_THAT(ErrorOf("weft://\n\x1b[31m"), HasSubstr("link \"weft://?"));
  ErrorOf("");
  ErrorOf(plain + "?" + std::string(5000, 'x'));
}

TEST(Link, UnknownParametersAreIgnoredAndTheSecretIsNotShownInErrors) {
  const std::string plain = CrdtVectors()["link"]["plain"];
  EXPECT_TRUE(ParseLink(plain + "?").ok());
  EXPECT_TRUE(ParseLink(plain + "?z=1&&y&a=h:1&").ok());
  EXPECT_EQ(ErrorOf(plain + "?a=bad").find(plain), std::string::npos);
}

TEST(Link, AddressesHaveAHostAndAPort) {
  for (const char* good :
       {"a:1", "127.0.0.1:65535", "[::1]:80", "my-host.local:4000"}) {
    EXPECT_TRUE(IsAddress(good)) << good;
  }
  for (const char* bad : {"", ":", "a", "a:", ":1", "a:0", "a:65536", "a:01", "::1:80",
                          "a b:1", "a:1x", "a?:1", "[]:1", "[a]b:1"}) {
    EXPECT_FALSE(IsAddress(bad)) << bad;
  }
}

}  // namespace
}  // namespace weft
