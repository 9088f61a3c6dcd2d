// Genesis, identities and incarnations: rules S1 and S2, with frozen bytes.

#include "crdt/genesis.h"

#include "crdt/identity.h"
#include "engine/codec.h"
#include "tests/crdt/authors.h"

namespace weft {
namespace {

Genesis GenesisOf(const Author& founder, const Salt& salt) {
  Genesis genesis;
  genesis.salt = salt;
  genesis.founders = {founder.manifest()};
  genesis.name = "notes";
  return genesis;
}

TEST(Genesis, S1_BytesAreFrozen) {
  const auto vectors = CrdtVectors()["genesis"];
  const Bytes bytes = Hex(vectors["bytes"]);
  const auto genesis = DecodeGenesis(bytes);
  ASSERT_TRUE(genesis.ok()) << genesis.status();
  EXPECT_EQ(genesis->salt, Fixed<Salt>(vectors["salt"]));
  EXPECT_EQ(genesis->name, vectors["name"].get<std::string>());
  EXPECT_EQ(genesis->limits, Limits());
  ASSERT_EQ(genesis->founders.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(KeyOf(genesis->founders[i]), Fixed<CoreKey>(vectors["founders"][i]));
  }
  EXPECT_EQ(EncodeGenesis(*genesis), bytes);
  EXPECT_EQ(BaseIdOf(bytes), Fixed<BaseId>(vectors["base_id"]));
  EXPECT_EQ(DiscoveryKeyOf(BaseIdOf(bytes)),
            Fixed<DiscoveryKey>(vectors["channel_id"]));
  EXPECT_EQ(IdentityNamespace(genesis->salt), Fixed<Hash32>(vectors["namespace"]));
}

TEST(Genesis, S7_LimitsMayBeLoweredAndNotRaised) {
  const auto vectors = CrdtVectors()["genesis"];
  const auto lowered = DecodeGenesis(Hex(vectors["lowered_key_bytes"]));
  ASSERT_TRUE(lowered.ok()) << lowered.status();
  EXPECT_EQ(lowered->limits.key_bytes, 64U);
  const auto raised = DecodeGenesis(Hex(vectors["raised_deps"]));
  EXPECT_EQ(raised.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(raised.status().message().find("deps per block is 65"), std::string::npos);
}

TEST(Genesis, S1_AnotherPolicyOrVersionNeedsANewerProgram) {
  Bytes bytes = Hex(CrdtVectors()["genesis"]["bytes"]);
  const std::size_t name = 1 + 12;  // "Großes Heft" is 12 bytes
  for (std::size_t policy = 1; policy <= 3; ++policy) {
    Bytes changed = bytes;
    changed[changed.size() - name - policy] = 1;
    EXPECT_EQ(DecodeGenesis(changed).status().code(),
              absl::StatusCode::kFailedPrecondition);
  }
  for (const std::size_t byte : {0, 1}) {
    Bytes changed = bytes;
    changed[byte] = 2;
    EXPECT_EQ(DecodeGenesis(changed).status().code(),
              absl::StatusCode::kFailedPrecondition);
  }
}

TEST(Genesis, S1_EveryTruncationAndChangedByteIsRefusedOrNamesAnotherBase) {
  const Bytes bytes = Hex(CrdtVectors()["genesis"]["bytes"]);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeGenesis(ByteView(bytes).first(size)).ok()) << size;
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      Bytes changed = bytes;
      changed[i] = static_cast<std::uint8_t>(changed[i] ^ flip);
      const auto genesis = DecodeGenesis(changed);
      if (!genesis.ok()) continue;
      EXPECT_EQ(EncodeGenesis(*genesis), changed);
      EXPECT_NE(BaseIdOf(changed), BaseIdOf(bytes));
    }
  }
}

TEST(Genesis, Attack65_FoundersOfAnotherBaseAreRefused) {
  SeededRandom random(1);
  const Salt salt = RandomSalt(random);
  const Author ada(salt, random);
  Genesis genesis = GenesisOf(ada, salt);
  ASSERT_TRUE(CheckGenesis(genesis).ok());
  genesis.salt = RandomSalt(random);
  EXPECT_FALSE(CheckGenesis(genesis).ok()) << "ada's namespace is of the other salt";
  genesis = GenesisOf(ada, salt);
  genesis.founders.push_back(ada.manifest());
  EXPECT_FALSE(CheckGenesis(genesis).ok()) << "ada twice";
  genesis = GenesisOf(ada, salt);
  genesis.founders.clear();
  EXPECT_FALSE(CheckGenesis(genesis).ok()) << "nobody";
  genesis = GenesisOf(ada, salt);
  genesis.name = "\xff";
  EXPECT_FALSE(CheckGenesis(genesis).ok()) << "a name that is not UTF-8";
}

TEST(Identity, S2_OnlyPlainManifestsOfTheBaseAreIdentities) {
  SeededRandom random(2);
  const Salt salt = RandomSalt(random);
  const IdentityKeys keys = MakeIdentity(salt, random);
  ASSERT_TRUE(CheckIdentityManifest(salt, keys.manifest).ok());
  EXPECT_EQ(keys.id(), KeyOf(keys.manifest));

  Manifest manifest = keys.manifest;
  manifest.quorum = 0;
  EXPECT_FALSE(CheckIdentityManifest(salt, manifest).ok());
  manifest.quorum = 2;
  EXPECT_FALSE(CheckIdentityManifest(salt, manifest).ok());
  manifest = keys.manifest;
  manifest.signers.push_back(manifest.signers[0]);
  EXPECT_FALSE(CheckIdentityManifest(salt, manifest).ok()) << "the same signer twice";
  manifest = keys.manifest;
  manifest.allow_patch = true;
  EXPECT_FALSE(CheckIdentityManifest(salt, manifest).ok());
  manifest = SingleSigner(keys.pair.public_key);
  EXPECT_FALSE(CheckIdentityManifest(salt, manifest).ok()) << "an ordinary core";
  std::vector<PublicKey> crowd(kIdentitySignersMax + 1);
  for (std::size_t i = 0; i < crowd.size(); ++i) {
    crowd[i].bytes[0] = static_cast<std::uint8_t>(i);
  }
  EXPECT_FALSE(CheckIdentityManifest(salt, IdentityManifest(salt, crowd, 2)).ok());
}

TEST(Identity, TwoIdentitiesFromOneSourceOfRandomnessDiffer) {
  SeededRandom random(3);
  const Salt salt = RandomSalt(random);
  EXPECT_NE(MakeIdentity(salt, random).id(), MakeIdentity(salt, random).id());
}

TEST(Incarnation, S2_BytesAndSignaturesAreFrozen) {
  const auto vectors = CrdtVectors();
  const BaseId base_id = Fixed<BaseId>(vectors["genesis"]["base_id"]);
  const Salt salt = Fixed<Salt>(vectors["genesis"]["salt"]);
  const CoreKey core = Fixed<CoreKey>(vectors["incarnation"]["core"]);
  const Bytes bytes = Hex(vectors["incarnation"]["bytes"]);
  const auto incarnation = DecodeIncarnation(bytes);
  ASSERT_TRUE(incarnation.ok()) << incarnation.status();
  EXPECT_EQ(incarnation->number, 3U);
  EXPECT_EQ(incarnation->prev_length, 5U);
  EXPECT_EQ(EncodeIncarnation(*incarnation), bytes);
  EXPECT_EQ(IncarnationSignable(base_id, core, *incarnation),
            Hex(vectors["incarnation"]["signable"]));
  EXPECT_TRUE(VerifyIncarnation(base_id, salt, core, *incarnation).ok());

  Seed ada;
  ada.bytes.fill(1);
  const IncarnationSignature signature = {
      0, Sign(KeyPairFromSeed(ada).secret_key,
              IncarnationSignable(base_id, core, *incarnation))};
  EXPECT_EQ(signature, incarnation->signatures[0]);
}

TEST(Incarnation, Attack62_ACertificateHoldsForOneBaseOneCoreOneNumber) {
  const auto vectors = CrdtVectors();
  const BaseId base_id = Fixed<BaseId>(vectors["genesis"]["base_id"]);
  const Salt salt = Fixed<Salt>(vectors["genesis"]["salt"]);
  const CoreKey core = Fixed<CoreKey>(vectors["incarnation"]["core"]);
  const Incarnation good = *DecodeIncarnation(Hex(vectors["incarnation"]["bytes"]));

  BaseId other_base = base_id;
  other_base.bytes[0] ^= 1;
  EXPECT_EQ(VerifyIncarnation(other_base, salt, core, good).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_FALSE(VerifyIncarnation(base_id, salt, CoreKey{}, good).ok());
  Incarnation changed = good;
  changed.number = 4;
  EXPECT_FALSE(VerifyIncarnation(base_id, salt, core, changed).ok());
  changed = good;
  changed.prev_length = 6;
  EXPECT_FALSE(VerifyIncarnation(base_id, salt, core, changed).ok());
  changed = good;
  changed.signatures.pop_back();
  EXPECT_FALSE(VerifyIncarnation(base_id, salt, core, changed).ok()) << "below quorum";
  changed = good;
  changed.signatures[1] = changed.signatures[0];
  EXPECT_FALSE(VerifyIncarnation(base_id, salt, core, changed).ok()) << "one for two";
  changed = good;
  changed.identity.bytes[0] ^= 1;
  EXPECT_FALSE(VerifyIncarnation(base_id, salt, core, changed).ok());
}

TEST(Incarnation, EveryTruncationAndChangedByteDecodesCanonicallyOrIsRefused) {
  const Bytes bytes = Hex(CrdtVectors()["incarnation"]["bytes"]);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeIncarnation(ByteView(bytes).first(size)).ok()) << size;
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      Bytes changed = bytes;
      changed[i] = static_cast<std::uint8_t>(changed[i] ^ flip);
      const auto incarnation = DecodeIncarnation(changed);
      if (incarnation.ok()) {
        EXPECT_EQ(EncodeIncarnation(*incarnation), changed);
      }
    }
  }
}

}  // namespace
}  // namespace weft
