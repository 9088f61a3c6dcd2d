#include "weft/base_directory.h"

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "engine/key_layout.h"

namespace weft {
namespace {

constexpr std::string_view kPrefix = "base";
constexpr std::string_view kAddressPrefix = "addr";
constexpr std::uint8_t kRecordVersion = 1;
constexpr std::uint8_t kInvitedVersion = 2;
constexpr std::uint8_t kIncarnationVersion = 3;
constexpr std::uint8_t kInvited = 1;
constexpr std::uint8_t kRetired = 2;

absl::StatusOr<BaseRecord> Decode(ByteView key, ByteView value) {
  BaseRecord record;
  for (const std::uint8_t byte : key.subspan(kPrefix.size())) {
    record.number = record.number << 8 | byte;
  }
  Reader reader(value);
  const std::uint8_t version = reader.U8();
  record.name = AsText(reader.Buffer());
  record.base_id = reader.Fixed<BaseId>();
  record.salt = reader.Fixed<Salt>();
  record.identity = reader.Fixed<CoreKey>();
  const ByteView genesis = reader.Buffer();
  if (!genesis.empty()) record.genesis = ToBytes(genesis);
  if (version == kInvitedVersion) record.invite_secret = reader.Fixed<Seed>();
  if (version == kIncarnationVersion) {
    const std::uint8_t flags = reader.U8();
    if ((flags & kInvited) != 0) record.invite_secret = reader.Fixed<Seed>();
    record.retired = (flags & kRetired) != 0;
    const std::uint64_t count = reader.Count(CoreKey::kSize);
    for (std::uint64_t i = 0; i < count; ++i) {
      record.logs.push_back(reader.Fixed<CoreKey>());
    }
  }
  if (!reader.ok() || version < kRecordVersion || version > kIncarnationVersion) {
    return absl::DataLossError(
        absl::StrFormat("base %d: its record in the store is damaged", record.number));
  }
  return record;
}

}  // namespace

absl::StatusOr<std::vector<BaseRecord>> LoadBases(Storage* storage) {
  std::vector<BaseRecord> records;
  const ScanRange range{ToBytes(kPrefix), PrefixEnd(AsBytes(kPrefix)), false};
  const std::unique_ptr<StorageCursor> cursor = storage->Scan(Family::kMeta, range);
  for (; cursor->valid(); cursor->Next()) {
    if (cursor->key().size() != kPrefix.size() + 8) continue;
    WEFT_ASSIGN_OR_RETURN(BaseRecord record, Decode(cursor->key(), cursor->value()));
    records.push_back(std::move(record));
  }
  WEFT_RETURN_IF_ERROR(cursor->status());
  return records;
}

void PutBase(StorageBatch* batch, const BaseRecord& record) {
  Bytes value;
  Writer writer(&value);
  const bool later = record.retired || !record.logs.empty();
  writer.U8(later                  ? kIncarnationVersion
            : record.invite_secret ? kInvitedVersion
                                   : kRecordVersion);
  writer.Buffer(AsBytes(record.name));
  writer.Raw(record.base_id.view());
  writer.Raw(record.salt.view());
  writer.Raw(record.identity.view());
  writer.Buffer(record.genesis ? ByteView(*record.genesis) : ByteView());
  if (later) {
    writer.U8(static_cast<std::uint8_t>((record.invite_secret ? kInvited : 0) |
                                        (record.retired ? kRetired : 0)));
  }
  if (record.invite_secret) writer.Raw(record.invite_secret->view());
  if (later) {
    writer.Uint(record.logs.size());
    for (const CoreKey& log : record.logs) writer.Raw(log.view());
  }
  batch->Put(Family::kMeta, keys::BaseRow(kPrefix, record.number), std::move(value));
}

absl::Status SaveBase(Storage* storage, const BaseRecord& record) {
  StorageBatch batch;
  PutBase(&batch, record);
  return storage->Commit(batch, Durability::kSynced);
}

absl::StatusOr<std::vector<std::string>> LoadAddresses(Storage* storage,
                                                       std::uint64_t number) {
  std::vector<std::string> addresses;
  WEFT_ASSIGN_OR_RETURN(
      const std::optional<Bytes> row,
      storage->Get(Family::kMeta, keys::BaseRow(kAddressPrefix, number)));
  if (!row) return addresses;
  Reader reader(*row);
  for (std::size_t left = reader.Count(1); left > 0 && reader.ok(); --left) {
    addresses.emplace_back(AsText(reader.Buffer()));
  }
  if (!reader.ok()) {
    return absl::DataLossError(absl::StrFormat(
        "base %d: the addresses of its peers in the store are damaged", number));
  }
  return addresses;
}

absl::Status SaveAddresses(Storage* storage, std::uint64_t number,
                           const std::vector<std::string>& addresses) {
  Bytes row;
  Writer writer(&row);
  writer.Uint(addresses.size());
  for (const std::string& address : addresses) writer.Buffer(AsBytes(address));
  StorageBatch batch;
  batch.Put(Family::kMeta, keys::BaseRow(kAddressPrefix, number), std::move(row));
  return storage->Commit(batch, Durability::kSynced);
}

}  // namespace weft
