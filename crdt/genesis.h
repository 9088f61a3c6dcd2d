// Genesis: the bytes that name a base (rule S1).
//
// genesis := format:u8=1 sem_version:varint=1 salt:32
//            founders:[manifest:buffer] limits witness:u8=0 encryption:u8=0 quorum:u8=0
//            name:buffer
// limits := 13 varints in the order of struct Limits
// base_id := BLAKE2b-256("weft base 1" genesis)
// varints are canonical. Founders are 1 to 64 identity manifests in order of seniority;
// the name is UTF-8 of at most 256 bytes and no authority. A base is joined by base_id,
// so nobody can replace its genesis.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crdt/identity.h"
#include "crdt/limits.h"
#include "crdt/version.h"

namespace weft {

inline constexpr std::size_t kFoundersMax = 64;
inline constexpr std::size_t kBaseNameBytesMax = 256;
inline constexpr std::size_t kGenesisBytesMax = 64 * 1024;
inline constexpr std::uint64_t kSemVersion = 1;

struct Genesis {
  std::uint64_t sem_version = kSemVersion;
  Salt salt;
  std::vector<Manifest> founders;
  Limits limits;
  std::string name;

  bool operator==(const Genesis&) const = default;
};

Salt RandomSalt(Random& random);

// All that DecodeGenesis checks beyond the grammar.
// INVALID_ARGUMENT     a limit above the hard maximum or 0, no founder, a founder twice
//                      or of another base, a name that is not UTF-8: names the fact
// FAILED_PRECONDITION  a sem_version that needs a newer program
absl::Status CheckGenesis(const Genesis& genesis);

// `genesis` must pass CheckGenesis.
Bytes EncodeGenesis(const Genesis& genesis);

// INVALID_ARGUMENT     malformed, not canonical, or fails CheckGenesis
// FAILED_PRECONDITION  a format, sem_version or policy that needs a newer program
absl::StatusOr<Genesis> DecodeGenesis(ByteView bytes);

BaseId BaseIdOf(ByteView genesis_bytes);

// The id of the channel on which peers that share the base meet. It reveals nothing of
// base_id, which is itself the secret that lets one read.
DiscoveryKey DiscoveryKeyOf(const BaseId& base_id);

}  // namespace weft
