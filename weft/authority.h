// What the API says about who may do what: invites, removals, moderation.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weft/types.h"

namespace weft {

struct InviteOptions {
  Role role = Role::kWriter;  // reader, moderated or writer
  std::string scope = {};     // only keys with this prefix
  std::uint64_t uses = 1;     // so many people
  // "host:port" where a member can be met; may stay empty.
  std::vector<std::string> addresses = {};
};

struct RevokeOptions {
  // All grants below it too.
  bool subtree = false;
  // Keep nothing of what was written under it; otherwise all that is known here stays,
  // and what is not known here is cut off.
  bool keep_nothing = false;
  std::string reason = {};  // at most 200 bytes
};

// What a revocation would do, as far as is known here.
struct RevokePlan {
  std::uint64_t grants = 0;  // and invites, whosesoever, that would stand no longer
  std::uint64_t writes = 0;  // of anybody, that would no longer have effect
};

// Somebody who follows the base and asks for a grant.
struct JoinRequest {
  std::string identity;
  std::string note;  // his own words; anybody may have written them
};

// Writes of one log that are here and have no effect, or are hidden.
struct HeldBackWrites {
  std::string writer;      // core
  std::string author;      // identity
  std::uint64_t from = 0;  // blocks [from, to)
  std::uint64_t to = 0;
  std::uint64_t writes = 0;
  // pending, rejected, quarantined, not allowed, after fork, hidden
  std::string state;
  std::string reason;
  // Of Base::Recoverable: how many of the writes only a person can make again (edits of
  // texts and lists, whose places are lost with them, and grants, invites and
  // verdicts), and the keys of those texts and lists, 16 at most.
  std::uint64_t left = 0;
  std::vector<std::string> left_keys = {};
  // Of Base::Recoverable: keys that somebody has written to since, 16 at most. Written
  // again, the older writes are the newer ones there.
  std::vector<std::string> newer_keys = {};
};

// What Recover did.
struct Recovered {
  std::uint64_t writes = 0;  // written again
  std::uint64_t left = 0;    // to be made again by hand: HeldBackWrites::left
  // Commits that may not be written again, each with why: under the grants that we
  // hold now, or for a limit. All others were.
  std::vector<HeldBackWrites> refused = {};
};

}  // namespace weft
