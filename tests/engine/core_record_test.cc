// The stored bytes of a core of three blocks, put together by hand from docs/formats.md
// and the vector files.

#include "engine/core_record.h"

#include "absl/strings/str_cat.h"
#include "engine/key_layout.h"
#include "engine/tree_pages.h"
#include "tests/engine/core_fixture.h"

namespace weft {
namespace {

// After its version.
constexpr const char* kHead =
    "09d8c3a0597903b28d751c6e0b7107775e388ec5a3cf669bdd1e7ec41b8b8f6e72fb892b1c77fdcb05"
    "dcbd234607208b7036e00a13e7f2cc0bbaa463924e57865a00031e0344010021747b818834c465e39d"
    "ea934a3a0b4e37487fefe49a39802dfd742bad657e421ea175f45377f7a8c9fc27025ee7a863aa0977"
    "c655c09e5665cef758ccf11b0200000dc3c47b5f9368846bb6d41dec84f862124b7fba8b7bbcccca7c"
    "0a2876ef82dce6115344db4ff38388c808e97c229a9908cc139879c27be5e5c73d81620503fce1288a"
    "88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
constexpr const char* kHeadCheck = "7753d58531d83ca04ea0501d5805cb4b";
// Nodes 0, 2 and 4; node 1 follows from the first two.
constexpr const char* kTreePage =
    "150000000000000003186879917349eae33dcabc0450d27969fb14f613bd1cd6809b7d4e7508e85a9b"
    "0a"
    "114bd811230bddf4787b7e17665a8ab8e88f0f14626b9ef77603969b645b8889115344db4ff38388c8"
    "08"
    "e97c229a9908cc139879c27be5e5c73d81620503fce128";
constexpr const char* kRow =
    "03030a110516272435465768798a9bacbd435465768798a9bacbdcedfe0f20314253";

std::string Stored(Storage& storage, Family family, const Bytes& key) {
  const auto value = storage.Get(family, key);
  return value.ok() && *value ? ToHex(**value) : "";
}

TEST(CoreRecord, AThreeBlockCoreIsStoredAsTheFormatSays) {
  TestStore store;
  const KeyPair pair = PairOfSeed(1);
  const auto core = *store.cores->OpenOwn(SingleSigner(pair.public_key), pair);
  ASSERT_TRUE(AppendAll(*core, BlocksByRule(0, 3)).ok());
  EXPECT_EQ(Stored(store.storage, Family::kCores, *FromHex("010000000000000001")),
            absl::StrCat("02", kHead, kHeadCheck));
  EXPECT_EQ(Stored(store.storage, Family::kCores, *FromHex("020000000000000001")),
            ToHex(pair.secret_key.view()));
  EXPECT_EQ(Stored(store.storage, Family::kCores,
                   *FromHex("030000000000000001000000000000000000")),
            kTreePage);
  EXPECT_EQ(Stored(store.storage, Family::kBlocks,
                   *FromHex("00000000000000010000000000000000")),
            kRow);
  EXPECT_EQ(Stored(store.storage, Family::kMeta, keys::Format()), "0101");
  // Block 0 gone, blocks 1 and 2 are named by a bitfield page and a row of their own.
  ASSERT_TRUE(core->Clear(0, 1).ok());
  EXPECT_EQ(Stored(store.storage, Family::kCores,
                   *FromHex("0400000000000000010000000000000000")),
            "06");
  EXPECT_EQ(Stored(store.storage, Family::kBlocks,
                   *FromHex("00000000000000010000000000000001")),
            "020a112435465768798a9bacbd435465768798a9bacbdcedfe0f20314253");
  EXPECT_EQ(Stored(store.storage, Family::kBlocks,
                   *FromHex("00000000000000010000000000000000")),
            "");
}

TEST(CoreRecord, EveryKindOfManifestComesBackFromItsHead) {
  for (const auto& entry : VectorFile("keys.json", "manifests")) {
    SCOPED_TRACE(entry["name"].get<std::string>());
    CoreSummary summary;
    summary.key = HexFixed<CoreKey>(entry["key"]);
    summary.discovery_key = DiscoveryKeyOf(summary.key);
    summary.removed = true;
    const std::optional<Manifest> manifest =
        *DecodeManifest(HexBytes(entry["encoded"]));
    const auto head = DecodeHead(7, EncodeHead(summary, CoreTip(), manifest));
    ASSERT_TRUE(head.ok());
    EXPECT_EQ(head->manifest, manifest);
    EXPECT_TRUE(head->summary.removed);
  }
}

TEST(CoreRecord, AHeadCutShortIsRefusedAtEveryByte) {
  for (const Bytes& whole : {*FromHex(absl::StrCat("01", kHead)),
                             *FromHex(absl::StrCat("02", kHead, kHeadCheck))}) {
    ASSERT_TRUE(DecodeHead(1, whole).ok());
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(DecodeHead(1, ByteView(whole).first(size)).ok());
    }
  }
}

TEST(CoreRecord, Attack70_AHeadWithOneBitChangedIsRefused) {
  Bytes head = *FromHex(absl::StrCat("02", kHead, kHeadCheck));
  for (std::size_t bit = 0; bit < head.size() * 8; ++bit) {
    head[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    EXPECT_FALSE(DecodeHead(1, head).ok()) << bit;
    head[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
  }
}

TEST(CoreRecord, AHeadOfTheFirstVersionIsOpenedIfItsSignatureIsValid) {
  TestStore store;
  const KeyPair pair = PairOfSeed(1);
  const CoreKey key =
      (*store.cores->OpenOwn(SingleSigner(pair.public_key), pair))->key();
  for (const bool valid : {true, false}) {
    Bytes head = *FromHex(absl::StrCat("01", kHead));
    if (!valid) head[80] ^= 1;  // in the signature
    StorageBatch batch;
    batch.Put(Family::kCores, keys::Head(1), head);
    ASSERT_TRUE(store.storage.Commit(batch, Durability::kSynced).ok());
    store.Reopen();
    const auto core = store.cores->Open(key);
    EXPECT_EQ(core.ok(), valid) << core.status();
  }
}

TEST(TreePages, EveryIndexHasASlotOfItsOwnAndComesBackFromIt) {
  for (std::uint64_t index = 0; index < 70000; ++index) {
    const TreeSlot at = SlotOf(index);
    EXPECT_EQ(TreeIndexOf(at.level, at.page, at.slot), index);
  }
  const TreeSlot last = SlotOf(flat_tree::kTreeIndexMax);
  EXPECT_EQ(TreeIndexOf(last.level, last.page, last.slot), flat_tree::kTreeIndexMax);
}

TEST(TreePages, APageThatIsTornOrNamesASlotItCannotHaveIsRefused) {
  const Bytes whole = *FromHex(kTreePage);
  ASSERT_TRUE(TreePage::Decode(0, whole).ok());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(TreePage::Decode(0, ByteView(whole).first(size)).ok());
  }
  Bytes foreign(8);
  foreign[7] = 0x80;
  EXPECT_FALSE(TreePage::Decode(0, foreign).ok());
  foreign[7] = 0;
  foreign[4] = 1;
  EXPECT_FALSE(TreePage::Decode(1, foreign).ok());
}

}  // namespace
}  // namespace weft
