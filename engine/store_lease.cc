#include "engine/store_lease.h"

#include "absl/strings/str_format.h"
#include "engine/codec.h"

namespace weft {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kCheckBytes = 8;

// Where one of the two is not known, nothing can be concluded.
bool Differ(std::uint64_t a, std::uint64_t b) {
  return a != 0 && b != 0 && a != b;
}

// Why the file is not where it was made; empty if it is.
std::string Moved(const LeasePlace& made, const LeasePlace& here) {
  const Hash32 none;
  if (made.machine != none && here.machine != none && made.machine != here.machine) {
    return "it comes from another machine";
  }
  if (Differ(made.file_system, here.file_system)) {
    return "it comes from another file system";
  }
  if (made.inode != here.inode || Differ(made.birth, here.birth)) {
    return made.device == here.device
               ? "its files are a copy or a backup"
               : "its files are a copy or a backup, from another device";
  }
  return "";
}

LeaseVerdict Foreign(std::string reason) {
  return {LeaseStart::kForeign, std::move(reason)};
}

}  // namespace

Bytes EncodeLease(const LeaseRecord& record) {
  Bytes bytes;
  Writer writer(&bytes);
  writer.U8(kVersion);
  writer.Raw(record.nonce.view());
  writer.U64(record.place.inode);
  writer.U64(record.place.birth);
  writer.U64(record.place.file_system);
  writer.U64(record.place.device);
  writer.Raw(record.place.machine.view());
  return bytes;
}

std::optional<LeaseRecord> DecodeLease(ByteView bytes) {
  Reader reader(bytes);
  LeaseRecord record;
  const std::uint8_t version = reader.U8();
  record.nonce = reader.Fixed<Hash32>();
  record.place.inode = reader.U64();
  record.place.birth = reader.U64();
  record.place.file_system = reader.U64();
  record.place.device = reader.U64();
  record.place.machine = reader.Fixed<Hash32>();
  if (!reader.ok() || !reader.done() || version != kVersion) return std::nullopt;
  return record;
}

Bytes EncodeLeaseRow(const LeaseRow& row) {
  Bytes bytes = EncodeLease(row.held);
  if (row.next) Append(bytes, EncodeLease(*row.next));
  return bytes;
}

std::optional<LeaseRow> DecodeLeaseRow(ByteView bytes) {
  const bool two = bytes.size() == 2 * kLeaseRecordBytes;
  const auto held = DecodeLease(two ? bytes.first(kLeaseRecordBytes) : bytes);
  if (!held) return std::nullopt;
  LeaseRow row{*held, std::nullopt};
  if (two) {
    row.next = DecodeLease(bytes.subspan(kLeaseRecordBytes));
    if (!row.next) return std::nullopt;
  }
  return row;
}

Bytes EncodeLeaseProgress(const Hash32& nonce, const LeaseProgress& progress) {
  Bytes bytes;
  Writer writer(&bytes);
  writer.U8(progress.open ? 1 : 0);
  writer.U64(progress.own_blocks);
  const Hash32 check = Blake2b256({nonce.view(), bytes});
  writer.Raw(check.view().first(kCheckBytes));
  return bytes;
}

std::optional<LeaseProgress> DecodeLeaseProgress(const Hash32& nonce, ByteView bytes) {
  Reader reader(bytes);
  LeaseProgress progress;
  progress.open = reader.U8() != 0;
  progress.own_blocks = reader.U64();
  if (!reader.ok() || !Equal(EncodeLeaseProgress(nonce, progress), bytes)) {
    return std::nullopt;
  }
  return progress;
}

LeaseVerdict JudgeLease(const LeaseFacts& facts) {
  const bool set_back =
      facts.file && facts.progress && facts.progress->own_blocks > facts.own_blocks;
  if (!facts.row) {
    // Of before there were leases, or made a moment ago and not finished.
    if (!set_back) return {LeaseStart::kFresh, ""};
  } else {
    if (!facts.file_exists) return Foreign("its file LEASE is missing");
    if (!facts.file) return Foreign("its file LEASE is damaged");
    if (*facts.file != facts.row->held && *facts.file != facts.row->next) {
      return Foreign("its parts are not of one time");
    }
    const std::string moved = Moved(facts.file->place, facts.here);
    if (!moved.empty()) return Foreign(moved);
  }
  if (set_back) {
    return Foreign(absl::StrFormat(
        "its database has %d blocks of what was written here, and had %d",
        facts.own_blocks, facts.progress->own_blocks));
  }
  const bool clean = facts.progress && !facts.progress->open &&
                     facts.progress->own_blocks == facts.own_blocks;
  return {clean ? LeaseStart::kLive : LeaseStart::kUnclean, ""};
}

}  // namespace weft
