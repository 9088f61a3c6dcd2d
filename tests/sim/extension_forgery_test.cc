// Extensions between whole stores: who said what cannot be made up.

#include <gtest/gtest.h>

#include "tests/sim/world.h"

namespace weft::sim {
namespace {

using std::chrono::seconds;

constexpr std::size_t kAda = 0, kBob = 1, kEve = 2;

class ExtensionForgery : public testing::Test {
 protected:
  static WorldOptions Three() {
    WorldOptions options;
    options.peers = 3;
    return options;
  }

  void SetUp() override {
    ASSERT_TRUE(world_.StartGranted().ok());
    ASSERT_TRUE(world_.RunUntilLevel(seconds(120)));
    Node* const ada = world_.node(kAda);
    const auto scope = ada->ScopeOf({world_.base(kAda)->name(), ""});
    ASSERT_TRUE(scope.ok());
    scope_ = *scope;
    ada->extensions().Add(scope_, "chat", [this, ada](const auto& arrival) {
      ++arrivals_;
      if (auto message = ada->MessageOf(arrival)) heard_.push_back(*std::move(message));
    });
  }

  // From `sender` to all its peers, with what `sign` makes of what is to be signed.
  void Say(std::size_t sender, const std::string& payload,
           const ExtensionHub::Sign& sign) {
    Node* const node = world_.node(sender);
    for (const auto& session : node->swarm().Ready()) {
      node->extensions().Send(*session, scope_, "chat", AsBytes(payload), sign);
    }
    world_.RunFor(seconds(5));
  }

  ExtensionAuthor AuthorOf(std::size_t peer, ByteView signed_bytes,
                           std::size_t signer) {
    Corestore& cores = world_.node(peer)->cores();
    const auto log = cores.Open(world_.WriterOf(peer));
    const auto signature =
        world_.node(signer)->cores().SignWith(world_.WriterOf(signer), signed_bytes);
    return {EncodeManifest(*(*log)->manifest()), *signature};
  }

  World world_{1, Three()};
  ExtensionScope scope_;
  int arrivals_ = 0;
  std::vector<ExtensionMessage> heard_;
};

TEST_F(ExtensionForgery, WhatAWriterSignedIsHeardAsHis) {
  Say(kBob, "hello",
      [&](ByteView bytes) { return std::optional(AuthorOf(kBob, bytes, kBob)); });
  ASSERT_EQ(heard_.size(), 1U);
  EXPECT_EQ(heard_[0].author, ToZBase32(world_.WriterOf(kBob).view()));
}

TEST_F(ExtensionForgery, Attack17_NobodySpeaksInTheNameOfAnother) {
  Say(kEve, "it is me, Bob",
      [&](ByteView bytes) { return std::optional(AuthorOf(kBob, bytes, kEve)); });
  EXPECT_EQ(arrivals_, 1);
  EXPECT_TRUE(heard_.empty());
}

TEST_F(ExtensionForgery,
       Attack17_WhatWasSignedForOneConnectionIsWorthNothingOnAnother) {
  Bytes overheard;
  Say(kBob, "hello", [&](ByteView bytes) {
    overheard = ToBytes(bytes);
    return std::optional(AuthorOf(kBob, bytes, kBob));
  });
  heard_.clear();
  const ExtensionAuthor kept = AuthorOf(kBob, overheard, kBob);
  Say(kEve, "hello", [&](ByteView) { return std::optional(kept); });
  EXPECT_EQ(arrivals_, 2);
  EXPECT_TRUE(heard_.empty());
}

TEST_F(ExtensionForgery, WhoIsNoWriterOfTheBaseIsNobody) {
  const auto reader = world_.AddReader();
  ASSERT_TRUE(reader.ok());
  ASSERT_TRUE(world_.RunUntilLevel(seconds(120)));
  arrivals_ = 0;
  heard_.clear();
  Say(*reader, "hello",
      [&](ByteView bytes) { return std::optional(AuthorOf(*reader, bytes, *reader)); });
  for (const ExtensionMessage& message : heard_) EXPECT_EQ(message.author, "");
  EXPECT_EQ(heard_.size(), static_cast<std::size_t>(arrivals_));
}

}  // namespace
}  // namespace weft::sim
