// Authority: who may do what, as one pure function of the blocks held (part 6).
//
// Grants form a tree whose roots the genesis names; seniority is the path in it. Every
// block cites the grant it uses. What a batch says is checked once, when it is whole
// (Check): that it names its grant, and that role and scope of the grant suffice. What
// becomes of it is decided by the pass of 6.4 over the grants in order of seniority:
// revocations come only from smaller paths and grants make only larger ones.
//
// The pass is kept up to date rather than run again: Evaluate looks again only at the
// grants that something new, or a changed verdict, points to, in the order of their
// paths, so each at most once. Two things look at more: the redemptions of invites are
// decided together after all other grants (P8), and everything is decided anew when a
// later incarnation changes the rank of a grant that is there already (S2).

#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "crdt/batch.h"
#include "crdt/genesis.h"
#include "crdt/identity.h"
#include "crdt/moderation.h"

namespace weft {

// One step of a path (rule P1). The member order is the order of comparison. The step
// of a redemption has the identity as `core` and nothing else.
struct PathStep {
  std::uint8_t late = 0;     // rule S2
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

// So many logs of an identity count for one grant (rule S2).
inline constexpr std::size_t kIncarnationsCounted = 64;

// By arrival in this store; they mean nothing elsewhere.
using GrantNumber = std::uint32_t;

struct Grant {
  enum class Kind : std::uint8_t { kGenesis, kGranted, kInvite, kRedeemed };

  Kind kind = Kind::kGenesis;
  GrantNumber number = 0;
  // Of a redeemed grant: of the redemption with the smallest op id of those that count.
  OpId id;
  CoreKey identity;  // the holder; of an invite: zero
  GrantRole role = GrantRole::kReader;
  Bytes scope;  // a key prefix
  bool may_delegate = false;
  std::uint32_t forks = 0;
  PublicKey invite_key;     // of an invite
  std::uint64_t uses = 0;   // of an invite
  std::uint64_t depth = 0;  // steps below the genesis grant
  GrantPath path;           // of no meaning while not effective
  OpId issued_under;  // the grant its issuer cited, or the invite; own id in genesis
  CoreKey issuer;     // the writer whose log holds it; zero in genesis
  std::uint64_t batch_end = 0;  // length of the issuer's log with its whole batch
  bool revoked = false;         // an effective revocation names it, or what is above it

  bool is_genesis() const { return kind == Kind::kGenesis; }
};

// What Check finds in a whole batch.
struct Verdict {
  enum class Kind : std::uint8_t {
    kSound,       // has effect whenever its grant lets it
    kNotAllowed,  // never has effect
    kInvalid,     // never has effect
  };
  Kind kind = Kind::kSound;
  std::string reason;  // of kNotAllowed and kInvalid
  GrantNumber cited = 0;
};

// What the pass says of a sound batch at this moment.
enum class Standing : std::uint8_t {
  kEffective,
  kPending,      // a moderated member's, waits for an accept
  kRejected,     // a moderated member's
  kQuarantined,  // at or after a cut, or below a grant that is
  kNotAllowed,   // its grant is beyond a limit, or its invite was used up
  kAfterFork,    // at or after the cut of a forked log
};

// Blocks [from, to) of a log whose standing may have changed. `ops`: what is hidden
// there may have, besides.
struct TouchedRange {
  CoreKey log;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  bool ops = false;
};

struct AuthorityChange {
  std::vector<TouchedRange> ranges;
  std::vector<OpId> ops;          // hidden or shown again one by one
  std::vector<CoreKey> admitted;  // identities that hold their first effective grant
  std::vector<OpId> overused;     // invites that were used more often than allowed
  std::vector<CoreKey> holders;   // whose grants, or their cuts, changed
};

class Authority {
 public:
  // How many blocks of `of` lie in the past of the block of `writer` at `position`; for
  // `writer` itself the position.
  using PastLength = std::function<std::uint64_t(
      const CoreKey& writer, std::uint64_t position, const CoreKey& of)>;

  // `genesis` has passed CheckGenesis. `past` is asked only by Evaluate, and only of
  // batches that were added.
  Authority(const Genesis& genesis, PastLength past);

  // --- facts ---
  // The grant that a block cites with `cite`, if it names it (6.2): `cite_named` blocks
  // of the log that holds it (Envelope::cite_named).
  std::optional<GrantNumber> Cited(const OpId& cite, std::uint64_t cite_named) const;
  // What can be said of a whole batch of `writer` for ever. `cited`: what Cited gave
  // for its first block.
  Verdict Check(const CoreKey& writer, std::span<const DecodedBlock> batch,
                std::optional<GrantNumber> cited) const;
  // Takes away the `named` of ops that cannot be proven: redemptions with a bad
  // signature. (Ranges with a wrong tree hash are the indexer's to find.)
  void DropUnproven(const CoreKey& writer, std::span<DecodedBlock> batch) const;
  // A sound batch with auth ops; in an order in which each follows its past. Nothing
  // has effect before Evaluate.
  void Add(const CoreKey& writer, std::span<const DecodedBlock> batch,
           GrantNumber cited);
  // A later incarnation whose block 0 was verified and delivered (S2).
  void AddIncarnation(const CoreKey& writer, const Incarnation& certificate);
  // What survives of a forked log, and the fork's position (rules F2, F4).
  void SetFork(const CoreKey& writer, std::uint64_t fork_point, std::uint64_t cut);
  // Brings all verdicts up to date; adds what changed.
  void Evaluate(AuthorityChange* change);

  // --- verdicts ---
  Standing StandingOf(GrantNumber cited, const CoreKey& writer, std::uint64_t first,
                      std::uint64_t end, bool writes) const;
  // Why a batch is not effective, and which op is to blame, if one is.
  struct Blame {
    std::string reason;
    std::optional<OpId> by;
  };
  Blame WhyNot(GrantNumber cited, const CoreKey& writer, std::uint64_t first,
               std::uint64_t end, bool writes) const;
  // The hide that stands against an op of an effective batch.
  std::optional<OpId> HiddenBy(GrantNumber cited, const OpId& op,
                               std::string_view key) const;
  bool HidesIn(const CoreKey& log) const { return moderation_.HidesIn(log); }
  // What a verdict that cites `by` would change (crdt/authority_effect.cc). kOverruled:
  // nothing, as the author, or somebody who has spoken before, is no junior of ours.
  enum class Effect { kSome, kNone, kOverruled };
  // An accept, reject or admit that covers the batch.
  Effect EffectOn(AuthOpType type, const Grant& by, GrantNumber cited,
                  const CoreKey& writer, std::uint64_t first, std::uint64_t end,
                  bool writes) const;
  // A hide or unhide of an op of a batch.
  Effect EffectOnOp(bool hide, const Grant& by, GrantNumber cited, const OpId& op,
                    std::string_view key) const;
  // The blocks of which a hide that is effective speaks, whether it decides or not.
  std::vector<TouchedRange> HideRanges() const;
  // Whether an op of an effective auth batch does anything: a redemption that counts.
  bool RedemptionCounts(const OpId& op) const;
  bool IsRedemption(const OpId& op) const { return redeems_.contains(op); }

  // --- grants ---
  // Null if there is no effective grant, or invite, of this id. Stays valid.
  const Grant* Find(const OpId& id) const;
  const Grant& At(GrantNumber number) const { return grants_[number]->grant; }
  // All that any batch ever made, by number, and whether one is effective and not
  // revoked.
  std::size_t grant_count() const { return grants_.size(); }
  bool Stands(GrantNumber number) const {
    const Outcome& now = grants_[number]->now;
    return now.effective && now.hits.empty();
  }
  // The effective grants of an identity that are not revoked, most senior first.
  std::vector<const Grant*> GrantsOf(const CoreKey& identity) const;
  // All effective grants but invites, revoked ones included, most senior first.
  const absl::btree_map<GrantPath, const Grant*>& grants() const { return by_path_; }
  std::vector<const Grant*> Invites() const;  // effective ones, revoked ones included
  const Grant* FindInvite(const PublicKey& invite_key) const;  // of those; null: none
  // The grant itself and, with `subtree`, every effective grant and invite below it.
  std::vector<GrantNumber> Below(GrantNumber number, bool subtree) const;
  // The logs that carry redemptions of the invite.
  std::vector<CoreKey> CarriersOf(const Grant& invite) const;
  // How many identities have redeemed it with effect.
  std::uint64_t UsesOf(const Grant& invite) const;
  // Holds an effective grant that is not revoked.
  bool IsMember(const CoreKey& identity) const;
  // How many logs of the identity have forked, as far as is known.
  std::uint32_t ForkedLogsOf(const CoreKey& identity) const;
  // The identity whose log this is: itself, unless it is a later incarnation.
  const CoreKey& IdentityOf(const CoreKey& writer) const;
  std::uint64_t NumberOf(const CoreKey& writer) const;  // 0 for incarnation 0
  // The logs of an identity, in order of incarnations.
  std::vector<CoreKey> LogsOf(const CoreKey& identity) const;
  // Rule C1, before anything is raised: UINT64_MAX for the whole log.
  std::uint64_t SettledLimit(const CoreKey& writer) const;
  struct ForkState {
    std::uint64_t fork_point = 0;
    std::uint64_t cut = 0;
  };
  const absl::btree_map<CoreKey, ForkState>& forks() const { return forks_; }
  // Whether an effective grant, revoked or not, names the identity of this log (C1).
  bool IsNamed(const CoreKey& writer) const;
  // The path of the most senior effective grant of the identity that no redemption
  // made; null if there is none.
  const GrantPath* SeniorPath(const CoreKey& identity) const;

  // --- for the author ---
  // The most senior grant of the writer under which the commit is effective; if there
  // is none, one under which it is pending.
  // PERMISSION_DENIED  names the identity, and the first key or grant it may not write
  absl::StatusOr<const Grant*> ChooseGrant(const CoreKey& writer,
                                           std::span<const Operation> operations) const;
  absl::StatusOr<const Grant*> ChooseGrant(
      const CoreKey& writer, std::span<const AuthOperation> operations) const;
  // Any grant will do, for an ack.
  absl::StatusOr<const Grant*> ChooseGrant(const CoreKey& writer) const;
  // How many logs that begin now would count for a grant of the identity (S2), of that
  // grant for which most would.
  std::size_t IncarnationsLeft(const CoreKey& identity) const;

  // The shortest prefix of grant.issuer that a block citing `grant` after `log` must
  // have as an explicit dep: 0 if none is needed. `auth_block`: it will carry auth ops.
  static std::uint64_t DepNeeded(const Grant& grant, const LogState& log,
                                 bool auth_block);

  // For a cache that spares judging again: the facts added since the last call, one row
  // each; RestoreFact takes them in that order. Then Evaluate.
  // DATA_LOSS  not what TakeNewFacts gave
  std::vector<Bytes> TakeNewFacts();
  std::span<const Bytes> new_facts() const { return new_facts_; }
  absl::Status RestoreFact(ByteView saved);
  // As Add, of a batch of one block that nobody has written and that names all it
  // speaks of: for a copy that is made to see what would follow, and thrown away.
  void Suppose(const CoreKey& writer, std::uint64_t position, GrantNumber cited,
               std::span<const AuthOperation> operations);

 private:
  using BatchNumber = std::uint32_t;
  static constexpr std::uint32_t kNone = UINT32_MAX;

  // A revoke, or several of one grant in one batch.
  struct Revocation {
    BatchNumber batch = 0;
    OpId id;
    GrantNumber target = 0;
    bool resignation = false;  // of the grant it cites
    bool subtree = false;
    absl::flat_hash_map<CoreKey, std::uint64_t> keep;
    std::string reason;
  };
  struct Redemption {
    BatchNumber batch = 0;
    OpId id;
    GrantNumber grant = 0;
    bool counts = false;
  };
  struct Batch {
    CoreKey writer;
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    GrantNumber cited = 0;
    std::vector<GrantNumber> made;           // grants and invites
    std::vector<std::uint32_t> revocations;  // indexes
    std::vector<std::uint32_t> redemptions;
    std::vector<ModerationNumber> moderation;
    std::size_t late = SIZE_MAX;  // its place in late_batches_
    bool passes = false;
  };
  // One log of the holder, as far as it is not plain.
  struct Cut {
    CoreKey log;
    std::uint64_t length = UINT64_MAX;     // blocks from here on are cut off
    std::uint64_t late_from = UINT64_MAX;  // rank-creating ops from here on are late
    bool counts = true;
    bool by_limit = false;  // does not count only because 64 others do
    bool operator==(const Cut&) const = default;
  };
  // An effective revocation of a grant, and what it keeps of which log.
  struct Hit {
    std::uint32_t revocation = 0;
    bool operator==(const Hit&) const = default;
  };
  // What of a grant decides about the batches that cite it.
  struct Outcome {
    bool effective = false;
    bool beyond_limit = false;
    std::vector<Cut> cuts;  // of the holder's logs, by log; empty: all plain
    std::vector<Hit> hits;  // the effective revocations
    bool operator==(const Outcome&) const = default;
  };
  struct GrantState {
    Grant grant;
    GrantNumber parent = 0;  // itself in genesis
    BatchNumber batch = kNone;
    std::vector<BatchNumber> batches;        // with auth ops, that cite it; by arrival
    std::vector<GrantNumber> children;       // grants, invites, redeemed
    std::vector<std::uint32_t> revocations;  // that name it, effective or not
    std::vector<std::uint32_t> redemptions;  // of a redeemed grant, by arrival
    std::vector<std::uint32_t> counted;  // of those, the first of each log that counts
    std::vector<GrantNumber> used;       // of an invite: effective children
    // Of an invite: logs from whose end on it is used up for those who never used it.
    absl::flat_hash_set<CoreKey> used_up;
    // What the pass says.
    Outcome now;
    Outcome told;            // as it was when a change was last reported
    bool listed = false;     // in by_path_
    std::size_t judged = 0;  // so many of `batches` were judged with `now`
  };
  struct IncarnationState {
    CoreKey log;
    std::uint64_t number = 0;
    CoreKey prev_core;
    std::uint64_t prev_length = 0;
  };
  struct PathLess {
    const Authority* authority;
    bool operator()(GrantNumber a, GrantNumber b) const;
  };
  // authority.cc
  GrantState& NewGrant(Grant grant, GrantNumber parent, BatchNumber batch);
  std::string RefuseBatch(const CoreKey& writer, const Grant& cited,
                          std::span<const DecodedBlock> batch) const;
  static bool NamesGrant(const Grant& grant, std::uint64_t named, const Batch& batch);
  bool NamesRedemption(const OpId& id, std::uint64_t named,
                       BatchNumber own = kNone) const;
  void AddOp(BatchNumber number, const OpId& id, const AuthOperation& operation);
  void AddRevoke(BatchNumber number, const OpId& id, const RevokeOp& op);
  void AddRedeem(BatchNumber number, const OpId& id, const RedeemOp& op);
  void AddBatch(Batch batch,
                std::span<const std::pair<OpId, const AuthOperation*>> ops);
  static Bytes EncodeFact(const Batch& batch, const OpId& cite,
                          std::span<const DecodedBlock> blocks);
  static Bytes EncodeIncarnationFact(const CoreKey& writer,
                                     const Incarnation& certificate);

  // authority_pass.cc
  void EvaluateAll(AuthorityChange* change);
  void RunHeap(AuthorityChange* change);
  void EvaluateGrant(GrantNumber number, AuthorityChange* change);
  void FindHits(const GrantState& state, std::vector<Hit>* hits) const;
  void FindCuts(const GrantState& state, std::vector<Hit>* hits,
                std::vector<Cut>* cuts) const;
  void FindLate(const CoreKey& identity, std::vector<Cut>* cuts) const;
  std::uint64_t Kept(const GrantState& state, const Hit& hit, const CoreKey& log) const;
  bool IsAdmitted(const GrantState& state, std::span<const Hit> hits,
                  const CoreKey& writer, std::uint64_t first, std::uint64_t end) const;
  bool Passes(const GrantState& state, const Batch& batch) const;
  void Judge(GrantState* state, BatchNumber number, AuthorityChange* change);
  void Toggle(const GrantState& state, BatchNumber number, AuthorityChange* change);
  void ToggleModeration(const Batch& batch, AuthorityChange* change);
  bool IsSeniorToSome(GrantNumber cited, const CoreKey& log) const;
  void SetEffective(GrantState* state, bool effective);
  bool IsWithinLimit(const GrantState& state);
  void List(GrantState* state);
  bool MovesRank(const GrantState& state, std::span<const Cut> cuts) const;
  GrantPath PathOf(const GrantState& state) const;
  void MarkDirty(GrantNumber number);
  void MarkSubtree(GrantNumber number);
  void DecideRedemptions(AuthorityChange* change);
  bool Counts(const Redemption& redemption);
  bool CountsBefore(GrantNumber grant, const Redemption& redemption) const;
  bool HasRoom(const Redemption& redemption);
  void DecideRedemption(std::uint32_t index, AuthorityChange* change);
  void DecideLateBatch(BatchNumber number, AuthorityChange* change);
  void Report(GrantState* state, AuthorityChange* change);
  void ReportEntry(const ModerationEntry& entry, AuthorityChange* change) const;
  std::uint64_t ForkCut(const CoreKey& log) const;
  static const Cut* CutIn(std::span<const Cut> cuts, const CoreKey& log);
  static const Cut* CutOf(const GrantState& state, const CoreKey& log) {
    return CutIn(state.now.cuts, log);
  }
  bool IsModerated(const GrantState& state) const;
  // authority_author.cc
  bool CountsFor(const Grant& grant, const CoreKey& writer) const;
  // authority_standing.cc
  Standing StandingOfGrant(const GrantState& state) const;
  const ModerationEntry* VerdictOn(const GrantState& state, const CoreKey& writer,
                                   std::uint64_t first) const;
  void BlameGrant(const GrantState& state, Blame* blame) const;
  void BlameCut(const GrantState& state, const CoreKey& log, std::uint64_t end,
                Blame* blame) const;

  Limits limits_;
  BaseId base_id_;
  PastLength past_;
  std::vector<std::unique_ptr<GrantState>> grants_;
  std::vector<Batch> batches_;
  std::vector<Revocation> revocations_;
  std::vector<Redemption> redemptions_;
  absl::flat_hash_map<OpId, GrantNumber> by_id_;  // redemptions too
  absl::flat_hash_map<std::pair<GrantNumber, CoreKey>, GrantNumber> redeemed_;
  absl::flat_hash_map<OpId, std::uint32_t> redemption_by_id_;
  absl::flat_hash_set<OpId> redeems_;  // all, those of no invite included
  absl::flat_hash_map<CoreKey, std::vector<GrantNumber>> by_holder_;
  absl::flat_hash_map<CoreKey, std::vector<BatchNumber>> by_log_;  // by position
  Moderation moderation_{[this](GrantNumber a, GrantNumber b) {
    return grants_[a]->grant.path < grants_[b]->grant.path;
  }};
  absl::flat_hash_map<CoreKey, std::vector<IncarnationState>> incarnations_;
  absl::flat_hash_map<CoreKey, std::pair<CoreKey, std::uint64_t>> identities_;
  absl::btree_map<CoreKey, ForkState> forks_;
  absl::flat_hash_map<CoreKey, std::uint64_t> forked_logs_;  // how many, by identity
  std::vector<Bytes> new_facts_;
  bool restoring_ = false;

  // The pass.
  absl::btree_map<GrantPath, const Grant*> by_path_;
  std::set<GrantNumber, PathLess> dirty_;
  std::vector<BatchNumber>
      late_batches_;  // with redemptions, or citing redeemed grants
  std::vector<GrantNumber> redeemed_grants_;
  std::size_t late_judged_ = 0;   // so many of late_batches_
  std::size_t granted_ = 0;       // of by_path_, not made by redemption
  std::size_t beyond_limit_ = 0;  // likewise, of no effect
  bool limit_met_ = false;        // by a redemption
  // Logs from whose end on there is no room for whoever is not in.
  absl::flat_hash_set<CoreKey> full_;
  absl::flat_hash_set<OpId> overused_;  // invites of which that was reported
  bool redemptions_dirty_ = false;
  bool all_dirty_ = false;
  bool in_full_pass_ = false;
};

const char* RoleText(GrantRole role);

}  // namespace weft
