// The lease of a store: how it knows that its files are the live ones and no copy of
// them, so that no log is ever signed in two places (rule A2).
//
// A file beside the database says where that file itself was made: its inode, its time
// of birth, its file system, the machine, and a random nonce. The database says the
// same. A copy of the directory, or a backup put back, has a file that was made
// elsewhere or at another time; a store that was renamed within its file system has
// not. Each run that writes makes the file anew, under another inode: so an older copy
// that is written into the very same files says where an older one was made. The file
// also says whether logs were written to and not closed in order, and how many blocks
// they had then, which tells a crash, and a database that was set back.
// What follows from a verdict: weft/node.h; the bytes: docs/formats.md; engine/
// file_lease.h has the real one.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/crypto.h"
#include "engine/status.h"

namespace weft {

enum class LeaseStart : std::uint8_t {
  kFresh,    // the store has no lease yet
  kLive,     // it is the live one, and was closed in order
  kUnclean,  // it is the live one, and was not
  kForeign,  // a copy, a backup, or on another machine or file system
};

struct LeaseVerdict {
  LeaseStart start = LeaseStart::kLive;
  std::string reason;  // of kForeign, for a person
};

// Not thread-safe: it lives on the strand of the store.
class StoreLease {
 public:
  virtual ~StoreLease() = default;

  // To be called once, first. `own_blocks`: in all logs that the store writes. Finishes
  // what a run that died had begun: then it writes.
  virtual LeaseVerdict Judge(std::uint64_t own_blocks) = 0;
  // This directory is the live one from now on; after kFresh and kForeign, once the
  // store has written down what follows from that. Durable when it returns.
  // RESOURCE_EXHAUSTED, UNAVAILABLE  the disk; nothing has changed
  virtual absl::Status Take(std::uint64_t own_blocks) = 0;
  // To be called before an own log grows, which it must not do after an error: unless
  // Close is called, the next start is unclean. Begins to make the lease anew if this
  // run, or this minute, has not; that costs one sync of a small file.
  // FAILED_PRECONDITION  the lease is not held: the store can be read only
  // RESOURCE_EXHAUSTED, UNAVAILABLE  the disk
  virtual absl::Status Appending() = 0;
  // So many blocks of own logs are on the disk for good, and so is everything else that
  // was committed; nobody has been told of them yet. Costs no sync.
  virtual void Synced(std::uint64_t own_blocks) = 0;
  // Everything is on the disk, and the store is about to be closed.
  virtual void Close(std::uint64_t own_blocks) = 0;
};

// Where the file of a lease is, as the system says. Zero: it does not say.
struct LeasePlace {
  std::uint64_t inode = 0;
  std::uint64_t birth = 0;        // ns since 1970
  std::uint64_t file_system = 0;  // its id; zero also where that is the device number
  std::uint64_t device = 0;       // a hint for the message; changes with every mount
  Hash32 machine;                 // a hash of the machine's id
  bool operator==(const LeasePlace&) const = default;
};

// What the file says of itself.
struct LeaseRecord {
  Hash32 nonce;
  LeasePlace place;
  bool operator==(const LeaseRecord&) const = default;
};

// What the database says: the file that was there when it was last made anew, and the
// one that then took its place. Either is the live one, so that it does not matter
// which of the two changes a crash, or a power cut, lets through.
struct LeaseRow {
  LeaseRecord held;
  std::optional<LeaseRecord> next;
  bool operator==(const LeaseRow&) const = default;
};

// What the file says besides.
struct LeaseProgress {
  bool open = false;             // logs may have been written to since
  std::uint64_t own_blocks = 0;  // that were on the disk for good
  bool operator==(const LeaseProgress&) const = default;
};

inline constexpr std::size_t kLeaseRecordBytes = 1 + 32 + 4 * 8 + 32;
inline constexpr std::size_t kLeaseProgressBytes = 1 + 8 + 8;

Bytes EncodeLease(const LeaseRecord& record);
// Nothing if it is not one, or of a version that is not known.
std::optional<LeaseRecord> DecodeLease(ByteView bytes);
Bytes EncodeLeaseRow(const LeaseRow& row);
std::optional<LeaseRow> DecodeLeaseRow(ByteView bytes);
// Bound to its lease by the nonce and a checksum.
Bytes EncodeLeaseProgress(const Hash32& nonce, const LeaseProgress& progress);
std::optional<LeaseProgress> DecodeLeaseProgress(const Hash32& nonce, ByteView bytes);

// What is known of a lease when a store is opened.
struct LeaseFacts {
  std::optional<LeaseRow> row;  // in the database
  bool file_exists = false;
  std::optional<LeaseRecord> file;        // absent: damaged
  std::optional<LeaseProgress> progress;  // absent: damaged
  LeasePlace here;                        // of the file, as it is now
  std::uint64_t own_blocks = 0;           // in the database
};

// Pure: every decision about a lease is here.
LeaseVerdict JudgeLease(const LeaseFacts& facts);

}  // namespace weft
