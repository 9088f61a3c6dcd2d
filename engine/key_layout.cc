#include "engine/key_layout.h"

namespace weft::keys {

void PutU64(Bytes& key, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    key.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

std::uint64_t U64At(ByteView key, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = (value << 8) | key[at + i];
  return value;
}

namespace {

constexpr std::uint8_t kHead = 1;
constexpr std::uint8_t kSecretKey = 2;
constexpr std::uint8_t kTreePage = 3;
constexpr std::uint8_t kBitfieldPage = 4;

constexpr std::uint8_t kViewState = 0;
constexpr std::uint8_t kViewWriter = 1;
constexpr std::uint8_t kViewLog = 2;
constexpr std::uint8_t kViewGrant = 3;
constexpr std::uint8_t kViewKey = 4;
constexpr std::uint8_t kViewConflict = 5;
constexpr std::uint8_t kOpChunk = 6;
constexpr std::uint8_t kGraphPage = 7;
constexpr std::uint8_t kTrie = 8;
constexpr std::uint8_t kSequencePage = 16;
constexpr std::string_view kName = "name";

Bytes OfCore(std::uint8_t kind, std::uint64_t core) {
  Bytes key;
  key.reserve(18);
  key.push_back(kind);
  PutU64(key, core);
  return key;
}

Bytes OfBase(std::uint64_t base, std::uint8_t kind, std::size_t more) {
  Bytes key;
  key.reserve(9 + more);
  PutU64(key, base);
  key.push_back(kind);
  return key;
}

Bytes OfBase(std::uint64_t base, std::uint8_t kind, ByteView name) {
  Bytes key = OfBase(base, kind, name.size());
  Append(key, name);
  return key;
}

Bytes Numbered(std::uint64_t base, std::uint8_t kind, std::uint64_t number) {
  Bytes key = OfBase(base, kind, 8);
  PutU64(key, number);
  return key;
}

ScanRange AllOfKind(std::uint64_t base, std::uint8_t kind) {
  return {.from = OfBase(base, kind, std::size_t{0}),
          .to = OfBase(base, static_cast<std::uint8_t>(kind + 1), std::size_t{0})};
}

}  // namespace

Bytes Format() {
  return ToBytes("format");
}
Bytes PrimaryKey() {
  return ToBytes("primary-key");
}

Bytes Lease() {
  return ToBytes("lease");
}
Bytes PeerNonce() {
  return ToBytes("peer");
}
Bytes BaseRow(std::string_view kind, std::uint64_t base) {
  Bytes key = ToBytes(kind);
  PutU64(key, base);
  return key;
}
ScanRange BaseRows(std::string_view kind, std::uint64_t base) {
  ScanRange range;
  range.from = BaseRow(kind, base);
  range.to = PrefixEnd(range.from);
  return range;
}
Bytes ForkProof(std::uint64_t base, const CoreKey& log) {
  Bytes key = BaseRow("fork", base);
  Append(key, log.view());
  return key;
}
Bytes ForkBranches(std::uint64_t base, const CoreKey& log) {
  Bytes key = BaseRow("branch", base);
  Append(key, log.view());
  return key;
}
Bytes ForkBranch(std::uint64_t base, const CoreKey& log, const TreeHash& hash) {
  Bytes key = ForkBranches(base, log);
  Append(key, hash.view());
  return key;
}
ScanRange ForkProofs(std::uint64_t base) {
  return BaseRows("fork", base);
}

Bytes CopiedCore(const CoreKey& core) {
  Bytes key = ToBytes("copied");
  Append(key, core.view());
  return key;
}

Bytes CoreName(const CoreKey& core) {
  Bytes key = ToBytes(kName);
  Append(key, core.view());
  return key;
}

ScanRange CoreNames() {
  const Bytes prefix = ToBytes(kName);
  return {.from = prefix, .to = PrefixEnd(prefix)};
}

std::optional<CoreKey> CoreOfName(ByteView key) {
  if (key.size() <= kName.size()) return std::nullopt;
  return CoreKey::From(key.subspan(kName.size()));
}

Bytes Head(std::uint64_t core) {
  return OfCore(kHead, core);
}

ScanRange AllHeads() {
  return {.from = {kHead}, .to = Bytes{kHead + 1}};
}

std::optional<std::uint64_t> CoreOfHead(ByteView key) {
  if (key.size() != 9 || key[0] != kHead) return std::nullopt;
  return U64At(key, 1);
}

Bytes SecretKeyOf(std::uint64_t core) {
  return OfCore(kSecretKey, core);
}

Bytes TreePage(std::uint64_t core, std::uint8_t level, std::uint64_t page) {
  Bytes key = OfCore(kTreePage, core);
  key.push_back(level);
  PutU64(key, page);
  return key;
}

Bytes BitfieldPage(std::uint64_t core, std::uint64_t page) {
  Bytes key = OfCore(kBitfieldPage, core);
  PutU64(key, page);
  return key;
}

ScanRange BitfieldPages(std::uint64_t core, std::uint64_t first_page) {
  return {.from = BitfieldPage(core, first_page),
          .to = OfCore(kBitfieldPage, core + 1)};
}

std::optional<std::uint64_t> PageOfBitfield(ByteView key) {
  if (key.size() != 17 || key[0] != kBitfieldPage) return std::nullopt;
  return U64At(key, 9);
}

Bytes BlockRow(std::uint64_t core, std::uint64_t first_block) {
  Bytes key;
  key.reserve(16);
  PutU64(key, core);
  PutU64(key, first_block);
  return key;
}

std::optional<std::uint64_t> FirstOfBlockRow(ByteView key) {
  if (key.size() != 16) return std::nullopt;
  return U64At(key, 8);
}

ScanRange ViewOf(std::uint64_t base) {
  Bytes from;
  PutU64(from, base);
  return {.from = from, .to = PrefixEnd(from)};
}

Bytes ViewState(std::uint64_t base) {
  return OfBase(base, kViewState, std::size_t{0});
}
Bytes ViewWriter(std::uint64_t base, std::uint64_t writer) {
  return Numbered(base, kViewWriter, writer);
}
ScanRange ViewWriters(std::uint64_t base) {
  return AllOfKind(base, kViewWriter);
}
Bytes ViewLog(std::uint64_t base, std::uint64_t writer) {
  return Numbered(base, kViewLog, writer);
}
Bytes ViewGrant(std::uint64_t base, std::uint64_t grant) {
  return Numbered(base, kViewGrant, grant);
}
ScanRange ViewGrants(std::uint64_t base) {
  return AllOfKind(base, kViewGrant);
}
Bytes ViewKey(std::uint64_t base, ByteView key) {
  return OfBase(base, kViewKey, key);
}
Bytes ViewConflict(std::uint64_t base, ByteView key) {
  return OfBase(base, kViewConflict, key);
}
ByteView KeyOfView(ByteView row_key) {
  return row_key.subspan(9);
}
Bytes OpChunk(std::uint64_t base, std::uint64_t chunk) {
  return Numbered(base, kOpChunk, chunk);
}
Bytes GraphPage(std::uint64_t base, std::uint64_t writer, std::uint64_t page) {
  Bytes key = OfBase(base, kGraphPage, 16);
  PutU64(key, writer);
  PutU64(key, page);
  return key;
}
Bytes TriePrefix(std::uint64_t base) {
  return OfBase(base, kTrie, std::size_t{0});
}

namespace {

Bytes SequencePrefix(std::uint64_t base, ByteView key, std::uint8_t lane) {
  Bytes row = OfBase(base, kSequencePage, key.size() + 19);
  row.push_back(static_cast<std::uint8_t>(key.size() >> 8));
  row.push_back(static_cast<std::uint8_t>(key.size()));
  Append(row, key);
  row.push_back(lane);
  return row;
}

}  // namespace

Bytes SequencePage(std::uint64_t base, ByteView key, std::uint8_t lane,
                   std::uint64_t writer, std::uint64_t page) {
  Bytes row = SequencePrefix(base, key, lane);
  PutU64(row, writer);
  PutU64(row, page);
  return row;
}

ScanRange SequencePages(std::uint64_t base, ByteView key, std::uint8_t lane) {
  const Bytes from = SequencePrefix(base, key, lane);
  return {.from = from, .to = PrefixEnd(from)};
}

std::pair<std::uint64_t, std::uint64_t> PlaceOfSequencePage(ByteView row_key) {
  return {U64At(row_key, row_key.size() - 16), U64At(row_key, row_key.size() - 8)};
}

}  // namespace weft::keys
