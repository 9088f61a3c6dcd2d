// Authority: who may do what, as one pure function of the blocks held (part 6).
//
// Grants form a tree whose roots the genesis names; seniority is the path in it. Every
// block cites the grant it uses and must have named that grant's batch in its deps, so
// whatever can decide a batch lies in its past. As long as nothing revokes, cuts or
// moderates (such ops park), the evaluation of 6.4 is therefore monotone: each batch is
// judged once, when its past has been judged, and the verdict stands for ever.

#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "crdt/batch.h"
#include "crdt/genesis.h"

namespace weft {

// One step of a path (rule P1). The member order is the order of comparison.
struct PathStep {
  std::uint8_t late = 0;     // rule S2; always 0 while there are no later incarnations
  std::uint64_t number = 0;  // of the issuer's incarnation
  CoreKey core;
  std::uint64_t position = 0;
  std::uint32_t op_index = 0;
  auto operator<=>(const PathStep&) const = default;
};

// Smaller is more senior; a proper prefix is smaller.
struct GrantPath {
  std::uint32_t founder = 0;  // index in the genesis
  std::vector<PathStep> steps;
  auto operator<=>(const GrantPath&) const = default;
};

struct Grant {
  OpId id;
  CoreKey identity;  // the holder
  GrantRole role = GrantRole::kReader;
  Bytes scope;  // a key prefix
  bool may_delegate = false;
  std::uint32_t forks = 0;
  GrantPath path;
  OpId issued_under;            // the grant its issuer cited; its own id in genesis
  CoreKey issuer;               // the writer whose log holds it; zero in genesis
  std::uint64_t batch_end = 0;  // length of the issuer's log with its whole batch

  bool is_genesis() const { return IsGenesisGrantId(id); }
  bool operator==(const Grant&) const = default;
};

struct Verdict {
  enum class Kind : std::uint8_t {
    kEffective,
    kPending,  // a moderated member's, waits for an accept
    kNotAllowed,
    kInvalid,
  };
  Kind kind = Kind::kEffective;
  std::string reason;         // of kNotAllowed and kInvalid
  std::vector<OpId> granted;  // the grants that this batch made effective
};

class Authority {
 public:
  // How many blocks of a writer lie in the past of the batch's first block.
  using PastLength = std::function<std::uint64_t(const CoreKey& writer)>;

  // `genesis` has passed CheckGenesis.
  explicit Authority(const Genesis& genesis);

  // Decides a whole batch of `writer` (first block to ends_batch), and makes its grants
  // effective if it is. Everything in its past has been judged before. `past` is asked
  // only when the base is about to exceed its member limit; for `writer` itself it is
  // the position of the first block.
  Verdict Judge(const CoreKey& writer, std::span<const DecodedBlock> batch,
                const PastLength& past);

  // Null if there is no effective grant of this id. Stays valid as long as this object.
  const Grant* Find(const OpId& id) const;
  // The effective grants of an identity, most senior first.
  std::vector<const Grant*> GrantsOf(const CoreKey& identity) const;
  // All effective grants, most senior first.
  const absl::btree_map<GrantPath, const Grant*>& grants() const { return by_path_; }
  bool IsMember(const CoreKey& identity) const;
  std::size_t member_count() const { return by_identity_.size(); }

  // For the author: the most senior grant of `identity` under which the commit is
  // effective; if there is none, one under which it is pending.
  // PERMISSION_DENIED  names the identity, and the first key or grant it may not write
  absl::StatusOr<const Grant*> ChooseGrant(const CoreKey& identity,
                                           std::span<const Operation> operations) const;
  absl::StatusOr<const Grant*> ChooseGrant(
      const CoreKey& identity, std::span<const AuthOperation> operations) const;
  // Any grant will do, for an ack.
  absl::StatusOr<const Grant*> ChooseGrant(const CoreKey& identity) const;

  // The shortest prefix of grant.issuer that a block citing `grant` after `log` must
  // have as an explicit dep: 0 if none is needed. `auth_block`: it will carry auth ops.
  static std::uint64_t DepNeeded(const Grant& grant, const LogState& log,
                                 bool auth_block);

  // For a cache that spares judging again: restore the grants in any order in which
  // Judge made them. Genesis grants are neither saved nor restored.
  // DATA_LOSS  not what EncodeGrant wrote
  static Bytes EncodeGrant(const Grant& grant);
  absl::Status RestoreGrant(ByteView saved);

 private:
  const Grant* Insert(Grant grant);
  bool ExceedsMembers(std::size_t made, const PastLength& past) const;

  Limits limits_;
  // The members below point into it.
  absl::flat_hash_map<OpId, std::unique_ptr<Grant>> by_id_;
  absl::btree_map<GrantPath, const Grant*> by_path_;
  absl::flat_hash_map<CoreKey, std::vector<const Grant*>> by_identity_;
  // Grant::batch_end of the effective grants by issuer, ascending: counts what a past
  // holds whole.
  absl::flat_hash_map<CoreKey, std::vector<std::uint64_t>> batch_ends_;
};

const char* RoleText(GrantRole role);

}  // namespace weft
