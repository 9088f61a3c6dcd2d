// The causal indexer of one base: it reads the writers' logs, waits for what a block
// had seen, judges whole batches, merges their ops into the lanes, and keeps the view,
// its Merkle root and the fate of every op.
//
// One door (P9): our own blocks come in here as everybody's do, after they were
// appended to our log. The result depends on the set of blocks alone.
//
// The view is a cache of the logs in family kView: what changed since the last flush is
// in memory, and is read again from the logs after a crash. A flush is one atomic
// volatile commit, after the logs were synced, so that a stored view never shows a
// block that could be lost.
//
// Threads: everything belongs to the strand of the base, except Get, ScanView and
// ViewScan, which any thread may use. Batches appear in reads whole (I11).

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/authority.h"
#include "crdt/batch.h"
#include "crdt/fate.h"
#include "crdt/lane.h"
#include "crdt/log_source.h"
#include "crdt/version.h"
#include "crdt/view_entry.h"
#include "engine/host.h"
#include "engine/storage.h"

namespace weft {

struct IndexerOptions {
  std::uint64_t base_number = 0;  // of the rows in kView
  std::uint64_t flush_ops = 65'536;
  std::size_t cache_keys_max = 262'144;  // kept in memory after a flush, clean
};

// A prefix that a log needs and the store lacks.
struct MissingPrefix {
  CoreKey waiting;             // the writer that waits
  std::uint64_t position = 0;  // of the block that waits
  CoreKey log;
  std::uint64_t length = 0;
  // The prefix is held but has another hash: the waiting block had seen another branch.
  bool other_branch = false;
};

// Something that an auth op, or a fork, did to what others had written.
struct AuthEvent {
  enum class Kind : std::uint8_t {
    kWithdrawn,  // blocks that had effect no longer have
    kRestored,   // blocks that had none have it again
    kPending,    // a moderated member's blocks wait for an accept
    kForked,     // a log has two branches; what survives is below `from`
    kOverused,   // an invite was redeemed more often than it allows; `op` is the invite
  };
  Kind kind = Kind::kWithdrawn;
  CoreKey log;  // blocks [from, to)
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::optional<OpId> op;
  std::string reason;  // of kWithdrawn
};

struct IndexResult {
  std::uint64_t blocks = 0;  // taken into the causal graph
  std::uint64_t effective_ops = 0;
  std::vector<ViewChange> changes;  // of the keys that the change filter names
  std::vector<CoreKey> admitted;    // identities that got a grant
  std::vector<AuthEvent> events;
};

struct ParkedLog {
  CoreKey writer;
  std::uint64_t position = 0;
  std::string reason;
};

struct IndexerStatus {
  std::uint64_t writers = 0;        // with settled length > 0
  std::uint64_t blocks = 0;         // settled
  std::uint64_t keys = 0;           // readable
  std::uint64_t conflicts = 0;      // keys with conflicts
  std::uint64_t ops = 0;            // effective
  std::uint64_t clock_suspect = 0;  // effective ops stamped > 5 min ahead on arrival
  std::vector<MissingPrefix> waiting;
  std::vector<ParkedLog> parked;
  std::vector<CoreKey> refused;  // logs with fork > 0 (rule S3)
};

// A log of which two branches were proven (part 7).
struct ForkedLog {
  CoreKey log;
  CoreKey identity;              // whose it is
  std::uint64_t fork_point = 0;  // blocks that the branches share; the smallest proven
  std::uint64_t cut = 0;         // nothing from here on has effect (F2)
  // What survives beyond the fork point is of another branch than the one that is held
  // as the log.
  bool other_branch = false;
  std::optional<CoreKey> shown;  // the identity that the proof itself certifies
  bool operator==(const ForkedLog&) const = default;
};

// Blocks of a log that have no effect, whole batches, and why; or ops there, which a
// moderator hid.
struct HeldBack {
  CoreKey log;
  std::uint64_t from = 0;  // blocks [from, to)
  std::uint64_t to = 0;
  std::uint64_t ops = 0;  // of those that are hidden: these
  Standing standing = Standing::kPending;
  bool hidden = false;  // by `by`; `standing` is kEffective
  std::string reason;
  std::optional<OpId> by;
};

struct MemberInfo {
  const Grant* grant = nullptr;  // valid as long as the indexer
  std::uint64_t settled_length = 0;
  std::uint64_t forked_logs = 0;  // of his incarnations
};

// What an author asks for. `lanes` and order are found here; values are copied into
// the blocks.
struct Mutation {
  enum class Kind : std::uint8_t {
    kPut,
    kDelete,
    kSet,
    kUnset,
    kErase,
    // Of a key or, with `column`, of one cell of a record.
    kIncrement,
    kReset,
    kAdd,
    kRemove,
    kRaiseMax,
    kRaiseMin,
    kEnable,
    kDisable,
    // Of a key; positions count what is readable after the changes before this one.
    kInsertText,
    kCutText,
    kInsertItem,
    kCutItems,
  };
  static constexpr std::uint64_t kAtEnd = UINT64_MAX;
  Kind kind = Kind::kPut;
  std::string_view key;
  std::optional<std::string_view> column;
  ValueView value;          // kPut, kAdd, kRemove, kInsertText (text), kInsertItem
  std::uint64_t index = 0;  // kInsertText, kInsertItem: or kAtEnd; kCutText, kCutItems
  std::uint64_t count = 0;  // kCutText, kCutItems
  std::int64_t number = 0;  // kIncrement, kRaiseMax, kRaiseMin
  bool disable_wins = false;                                  // kDisable
  std::vector<std::pair<std::string_view, ValueView>> cells;  // kSet; names for kUnset
  bool delete_wins = false;                                   // kErase
};

// Blocks for our own log, in order, and the op ids of the mutations.
struct PreparedCommit {
  std::uint64_t first_position = 0;  // of blocks[0]; the log must have this length
  std::vector<Bytes> blocks;
  std::vector<OpId> ops;
};

class SequenceLane;
class ViewScan;
struct TrieProof;

class Indexer {
 public:
  // Loads the stored view, or starts a new one if there is none, if it is of another
  // format, or if it shows blocks that the logs do not hold. Then call IndexAll.
  // `storage`, `logs` and `clock` must outlive it; `genesis` has passed CheckGenesis.
  static absl::StatusOr<std::unique_ptr<Indexer>> Open(Storage* storage,
                                                       LogSource* logs,
                                                       const Clock* clock,
                                                       const Genesis& genesis,
                                                       const IndexerOptions& options);
  ~Indexer();

  // --- indexing ---
  // The log of this writer grew, or came to be held. Takes in all that can be, of this
  // and of every writer that waited for it. Does nothing for a log nobody has named.
  // After an error (the disk's, always) the indexer must be thrown away.
  absl::StatusOr<IndexResult> Index(const CoreKey& log);
  // The same for every log that matters here.
  absl::StatusOr<IndexResult> IndexAll();
  // The same in steps of about `ops` ops, of which the next goes on where the last one
  // stopped. True: all is taken in that there was when its log's turn came. A step that
  // settles forks takes its time.
  absl::StatusOr<bool> IndexSome(std::uint64_t ops);
  // Fork proofs (F1), from anybody; what is malformed or does not hold is passed over.
  // One is kept for ever, and effective at once, if its log is known here; else it is
  // remembered until it is, or until this process ends. If blocks beyond a fork were
  // taken in, everything is computed anew, once; reads wait for that.
  absl::StatusOr<IndexResult> TakeForkProofs(std::span<const Bytes> proofs);
  // Which changed keys to report; null: none. Costs a copy of the entry twice a change.
  void SetChangeFilter(std::function<bool(std::string_view key)> filter);
  // Writes back what changed, after syncing the logs.
  absl::Status Flush();

  // --- logs and versions ---
  // This log is a later incarnation of a member, by a certificate that was verified
  // (S2): it is wanted from now on. Its own block 0 decides what it is.
  void Follow(const CoreKey& log);
  // The logs to hold: of members, and those that somebody's deps name. By number.
  std::vector<CoreKey> WantedLogs() const;
  // How many they are; a log that is wanted once stays so.
  std::size_t wanted_count() const;
  std::vector<MissingPrefix> Missing() const;
  // The forked logs that are known here, and the proofs of them that are kept.
  std::vector<ForkedLog> Forks() const;
  std::optional<ForkedLog> ForkOf(const CoreKey& log) const;
  absl::StatusOr<std::vector<Bytes>> ForkProofs() const;
  // Prefixes that seniors have named of forked logs (F2), and that are not held: as
  // MissingPrefix with other_branch, most senior first.
  struct NamedBranch {
    CoreKey log;
    std::uint64_t fork_point = 0;
    std::uint64_t length = 0;
    TreeHash tree_hash;
    bool operator==(const NamedBranch&) const = default;
  };
  std::vector<NamedBranch> WantedBranches() const;
  // Of the first `length` blocks of what survives of a forked log beyond its fork
  // point; nullopt elsewhere.
  std::optional<TreeHash> SurvivorAt(const CoreKey& log, std::uint64_t length) const;
  Version CurrentVersion() const;
  Hash32 CurrentDigest() const;  // version_digest; kept while nothing changes
  // Settled lengths, by writer; the same as in CurrentVersion.
  VersionVector Settled() const;

  // --- reading; any thread ---
  // Unreadable if nothing is there. An error is the disk's.
  absl::StatusOr<ViewEntry> Get(std::string_view key) const;
  // Calls `use` with the text or list at a key, unless nothing ever spoke to that lane.
  // `use` must be quick and keep nothing: changes wait for it.
  absl::Status ReadSequence(std::string_view key, Lane lane,
                            const std::function<void(const SequenceLane&)>& use) const;
  // The op id of an element, and the element of an id; nullopt if it is not here.
  // Inside of ReadSequence.
  OpId NameOf(const LocalOp& op) const;
  std::optional<LocalOp> LocalOf(const OpId& op) const;
  // Keys in [from, to), of the moment of the call. `conflicts_only` walks the index of
  // keys with conflicts. No more than `limit` entries are asked of it. The indexer must
  // outlive the scan.
  std::unique_ptr<ViewScan> ScanView(std::string_view from,
                                     std::optional<std::string_view> to, bool reverse,
                                     bool conflicts_only = false,
                                     std::uint64_t limit = UINT64_MAX) const;

  // --- strand only ---
  absl::StatusOr<Hash32> Root();
  // The bytes under the leaf of a readable key, for proofs (engine/trie_proof.h).
  // NOT_FOUND  nothing is readable there
  absl::StatusOr<Bytes> LeafLanes(std::string_view key);
  // Against Root(): that the key is readable with these lanes, or that it is not (V2).
  absl::StatusOr<TrieProof> Prove(std::string_view key);
  absl::StatusOr<OpFate> FateOf(const OpId& op);
  // The greatest stamp of an op on the key that has effect; nullopt if none has.
  absl::StatusOr<std::optional<Hlc>> LastWritten(std::string_view key);
  struct LoggedOp {
    OpId id;
    // One of the two; borrowed for the call.
    const Operation* operation = nullptr;
    const AuthOperation* auth_operation = nullptr;
    // In a branch of a forked log that does not survive: another op may have this id.
    bool after_fork = false;
  };
  using UseOp = std::function<absl::Status(const LoggedOp&)>;
  // Calls back with each op of a block, whose first op has this id.
  static absl::Status VisitOps(const OpId& first, const Payload& payload,
                               bool after_fork, const UseOp& use);
  // Calls back with each op in blocks [from, to) of a log, in order, as far as they are
  // indexed, and then with those of a branch that is held and does not survive; blocks
  // that are invalid or parked hold none. Returns where it ended, which is `from` at
  // the end of the log.
  // NOT_FOUND  no such log is wanted here;  what `use` returned;  the disk's
  absl::StatusOr<std::uint64_t> ReadOps(const CoreKey& log, std::uint64_t from,
                                        std::uint64_t to, const UseOp& use);
  const Authority& authority() const;
  const Genesis& genesis() const;
  std::vector<MemberInfo> Members() const;  // most senior first
  // What is pending, rejected, quarantined, hidden or after a fork; at most `max`.
  std::vector<HeldBack> ListHeldBack(std::size_t max) const;
  // The longest prefix known here of each log of the holder of `grant` and, with
  // `subtree`, of the holders of all below it; of an invite, of every log that carries
  // a redemption. For the keep list of a revoke.
  std::vector<KeptLength> KnownLengths(const Grant& grant, bool subtree) const;
  // What `self` would take away here by writing these revocations, of grants in one
  // hand: grants and invites that would stand no longer, and writes that would have no
  // effect any more, whosesoever they are. All auth ops are judged again, in a copy;
  // nothing here changes. Which branch of a forked log survives (F2) is taken to stay.
  // PERMISSION_DENIED  no grant of ours allows it;  the disk's
  struct RevocationCost {
    std::uint64_t grants = 0;
    std::uint64_t writes = 0;
  };
  absl::StatusOr<RevocationCost> CostOf(
      const CoreKey& self, std::span<const AuthOperation> revocations) const;
  // Whether a verdict of ours would change anything here, now; of other ops: OK.
  // NOT_FOUND          what it speaks of is as it says already, or waits for nothing
  // PERMISSION_DENIED  we may not, or the author, or who decided it, is no junior
  absl::Status CheckEffect(const CoreKey& self, const AuthOperation& operation) const;
  IndexerStatus Status() const;

  // --- authorship ---
  // Turns a commit into blocks for the log `self`, which must be indexed to its end.
  // Nothing is stored: append the blocks, then call Index(self).
  // INVALID_ARGUMENT     empty, or an op, or the whole, exceeds a limit: names the fact
  // PERMISSION_DENIED    no grant of ours allows it: names the key
  // NOT_FOUND            a delete of a key at which nothing is readable
  // OUT_OF_RANGE         a position beyond the end of a text or list
  // FAILED_PRECONDITION  our log is parked, has two branches, or is not indexed to its
  //                      end
  absl::StatusOr<PreparedCommit> Prepare(const CoreKey& self,
                                         std::span<const Mutation> mutations,
                                         std::uint64_t wall_ms);
  absl::StatusOr<PreparedCommit> PrepareGrants(const CoreKey& self,
                                               std::span<const GrantOp> grants,
                                               std::uint64_t wall_ms);
  // The same for any auth ops; the tree hashes of ranges are filled in, and in grants
  // how many forks are known (F5). NOT_FOUND  an op, grant or range that they name is
  // not here
  absl::StatusOr<PreparedCommit> PrepareAuth(const CoreKey& self,
                                             std::span<const AuthOperation> operations,
                                             std::uint64_t wall_ms);

  // Resignations from grants of ours, in this order: each is a batch under the very
  // grant (rule P2), and all of them are one commit. Errors as PrepareAuth.
  absl::StatusOr<PreparedCommit> PrepareResignations(
      const CoreKey& self, std::span<const AuthOperation> resignations,
      std::uint64_t wall_ms);

  // Block 0 of a new incarnation in the log `self`, which is followed and empty. Errors
  // as Prepare.
  absl::StatusOr<PreparedCommit> PrepareIncarnation(const CoreKey& self,
                                                    const Incarnation& certificate,
                                                    std::uint64_t wall_ms);
  // One commit of operations as they once were, in another log, stamped with the mark
  // of the batch in which they were (crdt/copy_mark.h). Errors as Prepare.
  absl::StatusOr<PreparedCommit> PrepareCopies(const CoreKey& self,
                                               std::span<const Operation> operations,
                                               std::uint32_t copy_mark,
                                               std::uint64_t wall_ms);

  struct State;

 private:
  friend class Verification;
  explicit Indexer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The entries of one moment in key order; what is indexed meanwhile is not in it. Any
// one thread at a time.
class ViewScan {
 public:
  virtual ~ViewScan() = default;
  // The next readable entry; nullopt at the end or after an error.
  virtual std::optional<ViewEntry> Next() = 0;
  // Why Next gave nullopt: OK at the end.
  virtual absl::Status status() const = 0;
};

}  // namespace weft
