// The inside of the indexer, shared by its .cc files and by nobody else:
//   indexer.cc          the public face, versions, status
//   indexer_deliver.cc  blocks into the causal graph
//   indexer_batches.cc  blocks into batches, batches to the judge, heads
//   indexer_authority.cc  what changes when a verdict does
//   indexer_apply.cc    ops into the lanes
//   indexer_moderation.cc  whether a verdict would change anything
//   indexer_plan.cc     what a revocation would take away
//   indexer_held.cc     what is here and has no effect
//   indexer_fork.cc     forked logs: what survives, everything anew
//   indexer_fork_proofs.cc  forked logs: proofs
//   indexer_fork_order.cc  forked logs: what counts as a block's past
//   indexer_store.cc    what is written back, and read at the start
//   indexer_author.cc   commits into blocks
//   indexer_fate.cc     what became of an op
//   indexer_log.cc      what a log says, op by op

#pragma once

#include <algorithm>
#include <deque>
#include <map>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "crdt/causal_graph.h"
#include "crdt/fork.h"
#include "crdt/indexer.h"
#include "crdt/indexer_rows.h"
#include "crdt/op_index.h"
#include "crdt/view.h"

namespace weft {

// The same blocks, each at most once: one batch may hold thousands of verdicts on one
// log. By log; of one log first those without `ops`.
std::vector<TouchedRange> JoinRanges(std::vector<TouchedRange> ranges);

struct Indexer::State {
  // A block that was read and is not delivered yet: it waits for a dep.
  struct Pending {
    Pending() {}  // written out: clang 14 does not find the implicit one in here
    DecodedBlock block;
    Bytes bytes;  // dropped while waiting if large, and read again
    std::size_t deps_met = 0;
    std::vector<CausalGraph::Edge> edges;  // of the deps met
  };

  struct Wait {
    WriterNumber writer = 0;
    std::uint64_t length = 0;
    bool other_branch = false;
    bool surviving = false;  // for what of a forked log survives beyond its fork point
    bool operator==(const Wait&) const = default;
  };

  // What is known of a forked log (part 7).
  struct Fork {
    // A dep on more than both branches share.
    struct Name {
      WriterNumber writer = 0;
      std::uint64_t position = 0;  // of the block that has it
      std::uint64_t length = 0;
      TreeHash tree_hash;
    };
    // A branch beyond the fork point as far as it was read.
    struct Branch {
      explicit Branch(LogState log_in) : log(std::move(log_in)), complete(0) {}
      void Add(const BlockHeader& header);  // of the next block
      LogState log;
      MerkleTree tree;
      std::vector<TreeHash> hashes;        // at lengths point + 1, point + 2, ..
      std::vector<std::vector<Dep>> deps;  // of the blocks from point on
      std::vector<Dot> cited;              // the blocks that hold the grants they use
      std::size_t complete;                // so many of them are
    };
    std::uint64_t point = 0;
    std::optional<Incarnation> certificate;  // shown by the proof
    // Blocks below `cut` >= point are taken in; `hashes` of its prefixes beyond point.
    std::uint64_t cut = 0;
    std::vector<TreeHash> hashes;
    bool other = false;  // they are read with LogSource::ReadBranch
    // The first `judged` are of sound batches under an admin's grant; what becomes of
    // the batches of the others is not known yet.
    std::vector<Name> names;
    std::size_t judged = 0;
    std::vector<Indexer::NamedBranch>
        wanted;                  // names that would count and are not here
    std::optional<Branch> held;  // what Read gives; filled when needed
    std::vector<Bytes> rest;     // what ReadBranch gives, until the indexer rests
    // What survives was found with as many changes of authority, and does not change
    // before there are more of them or of the names.
    std::optional<std::uint64_t> found_at;
    // Rule F2 gives no answer: nothing beyond the fork point survives. For as long as
    // authority and the names are what they were.
    bool frozen = false;
    bool frozen_anew = false;  // they are not

    // The blocks are going to be delivered anew.
    void Forget() {
      names.clear();
      judged = 0;
      held.reset();
      rest.clear();
      found_at.reset();
    }
    void CountToPoint() {
      cut = point;
      hashes.clear();
      other = false;
      rest.clear();
    }
    // Of what Read gives the blocks from here on do not survive: all of another branch,
    // if that does.
    std::uint64_t dead_from() const { return other ? point : cut; }
    // Of a dep beyond the fork point: it names what survives.
    bool Survives(const Dep& dep) const {
      return dep.length <= cut && hashes[dep.length - point - 1] == dep.tree_hash;
    }
  };

  // One log. `log` has read what is in the graph, the pending block besides.
  struct WriterState {
    explicit WriterState(const CoreKey& key) : log(key) {}

    LogState log;
    MerkleTree tree;           // of the blocks in the graph
    std::uint64_t closed = 0;  // blocks in batches that are judged, or invalid ones
    // Rule C1: so many blocks settle by themselves; all, if the holder has an effective
    // grant that is not revoked.
    std::uint64_t limit = 0;
    std::uint64_t pulled = 0;  // so many, because what settles elsewhere has seen them
    std::uint64_t kept = 0;    // whole batches below `limit`: what an author may name
    std::optional<Pending> pending;
    std::optional<Wait> wait;                            // of the pending block
    std::multimap<std::uint64_t, WriterNumber> waiters;  // by the length they need
    std::deque<Bytes> ahead;         // blocks read and not decoded yet
    std::vector<DecodedBlock> open;  // the batch that is not whole yet
    std::size_t open_ops = 0;
    std::size_t open_size = 0;
    std::uint64_t open_since = 0;  // the next arrival number when it began; 0: unknown
    std::optional<GrantNumber> cited;  // what its first block cites, if that is named
    std::vector<CausalGraph::Edge> open_taught;
    bool relearn_heads = false;  // open_taught is not complete, after a restart
    bool late = false;           // somebody had seen a part of the open batch
    bool is_head = false;
    bool refused = false;
    bool queued = false;
    bool dirty = false;          // the row
    std::uint64_t restored = 0;  // blocks in the graph when it was loaded
    std::string park_reason;

    bool member() const { return limit == UINT64_MAX; }
  };

  State(Storage* storage_in, LogSource* logs_in, const Clock* clock_in,
        const Genesis& genesis_in, const IndexerOptions& options_in);

  // indexer.cc
  WriterNumber AddWriter(const CoreKey& key);
  std::vector<std::uint64_t> SettledLengths() const;
  std::vector<MissingPrefix> Missing() const;

  // indexer_deliver.cc
  void Enqueue(WriterNumber writer);
  void SpendStep(std::uint64_t done) {
    if (step_left != UINT64_MAX) step_left -= std::min(step_left, done);
  }
  absl::Status Drain(IndexResult* result);
  absl::Status Advance(WriterNumber writer, IndexResult* result);
  absl::Status AdvanceTo(WriterNumber writer, std::uint64_t held, IndexResult* result);
  absl::Status ReadAhead(WriterNumber writer, std::uint64_t held);
  static void DropLargeBuffers(WriterState* state);
  // What needs nothing but what is here; DrainQueue goes on where blocks wait for each
  // other in a circle.
  absl::Status DeliverReady(IndexResult* result);
  absl::Status DrainQueue(IndexResult* result);
  absl::StatusOr<bool> MeetDeps(WriterNumber writer);
  absl::Status Rehydrate(WriterNumber writer, DecodedBlock* block);
  absl::Status Deliver(WriterNumber writer, IndexResult* result);

  // indexer_batches.cc
  absl::Status Replay(WriterNumber writer, DecodedBlock block);
  absl::Status TakePlace(WriterNumber writer, DecodedBlock block, IndexResult* result);
  void Open(WriterNumber writer, DecodedBlock block);
  void DropOpen(WriterState* state);
  void CloseInvalid(WriterNumber writer, std::string_view reason);
  absl::Status CloseBatch(WriterNumber writer, IndexResult* result);
  void RecordBatch(WriterNumber writer, const Verdict& verdict, bool effective);
  absl::Status TakeCertificate(WriterNumber writer, const Incarnation& certificate,
                               IndexResult* result);
  void BecomeHead(WriterNumber writer);
  void LearnHeads();

  // indexer_authority.cc
  void CheckRanges(std::span<DecodedBlock> batch) const;
  absl::Status TakeChange(const AuthorityChange& change, IndexResult* result);
  bool UpdateLimit(WriterNumber writer);
  void UpdateKept(WriterNumber writer);
  void Pull(std::span<const std::uint64_t> vector);
  void PullAgain();
  absl::Status Reconsider(const TouchedRange& range,
                          absl::flat_hash_set<std::string>* keys, IndexResult* result);
  // Calls back with the first block of each batch in the range that may have effect
  // and is judged, and the batch's end.
  absl::Status VisitBatches(
      const TouchedRange& range,
      const std::function<absl::Status(WriterNumber writer, std::uint64_t first,
                                       std::uint64_t end, const BlockRecord& record)>&
          use) const;
  absl::Status CollectKeys(const BlockRecord& record,
                           absl::flat_hash_set<std::string>* keys);
  bool HasEffect(const OpRow& row, std::string_view key) const;
  OpId IdOf(const LocalOp& op) const;
  void Note(AuthEvent::Kind kind, const CoreKey& log, std::uint64_t from,
            std::uint64_t to, IndexResult* result) const;

  // indexer_apply.cc
  // Puts the ops of a sound batch into the op index and, if it is effective, into the
  // lanes. `late`: somebody may have seen a part of it.
  absl::Status Apply(WriterNumber writer, std::span<const DecodedBlock> batch,
                     bool effective, bool late, IndexResult* result);
  void RememberBefore(View::Entry* entry);
  void CollectChanges(IndexResult* result);
  // The lanes of these keys anew, in one step; in any order, with repeats.
  absl::Status RecomputeKeys(std::vector<std::string> keys);
  absl::StatusOr<KeyState> Recompute(const View::Entry& entry, bool goes_on);
  void KeepReplay(KeyState* state);
  absl::StatusOr<bool> WasSeen(WriterNumber writer,
                               std::span<const DecodedBlock> batch);
  // The payloads of blocks that were read again, as long as it lives.
  using PayloadCache = absl::flat_hash_map<std::pair<WriterNumber, std::uint64_t>,
                                           std::shared_ptr<Payload>>;
  // An op, read again from its log.
  struct StoredOp {
    OpRow row;
    std::shared_ptr<Payload> payload;
    const Operation* operation = nullptr;  // into payload
  };
  absl::StatusOr<StoredOp> ReadOperation(const OpRow& row);

  // indexer_fork.cc
  const Fork* ForkOf(const CoreKey& log) const;
  absl::StatusOr<std::uint64_t> HeldBlocks(WriterNumber writer, const LogInfo& info);
  absl::StatusOr<std::vector<Bytes>> ReadBlocks(WriterNumber writer, std::uint64_t from,
                                                std::uint64_t to);
  absl::Status SettleForks(IndexResult* result);
  absl::StatusOr<bool> TakeNewForks(IndexResult* result);
  absl::Status Rebuild(IndexResult* result);
  absl::Status TakeTurns();
  absl::StatusOr<bool> UpdateForks();
  absl::StatusOr<bool> UpdateFork(const CoreKey& log, Fork* fork);
  bool JudgeNames(Fork* fork) const;
  std::vector<Fork::Name> CountingNames(const CoreKey& log, const Fork& fork) const;
  absl::Status ReadPieces(const CoreKey& log, std::uint64_t from, std::uint64_t to,
                          const std::function<void(std::span<const Bytes>)>& take);
  absl::Status ReadPrefix(const CoreKey& log, std::uint64_t point,
                          Fork::Branch* branch);
  absl::Status ReadHeld(const CoreKey& log, std::uint64_t length, Fork* fork);
  void Extend(Fork::Branch* branch, std::span<const Bytes> blocks) const;
  void CompleteBranch(Fork::Branch* branch) const;
  bool IsMet(const Dep& dep) const;

  // indexer_fork_proofs.cc
  absl::Status LoadProofs();
  absl::StatusOr<bool> TakeUnplaced(ForkProof proof);
  void BoundUnplaced();
  absl::StatusOr<bool> AdoptProofs(IndexResult* result);
  absl::Status CutUnread(const CoreKey& log, IndexResult* result);
  ForkedLog Describe(const CoreKey& log, const Fork& fork) const;

  // indexer_fork_order.cc
  // Whether a dep on more of a forked log than its branches share is met (F3), and if
  // so as which edge it counts (F3b).
  bool MeetForkDep(WriterNumber writer, WriterNumber number, const Dep& dep,
                   Fork* fork);
  absl::StatusOr<bool> BreakCycles(IndexResult* result);

  // indexer_log.cc
  absl::Status VisitLog(WriterNumber writer, std::uint64_t from, std::uint64_t to,
                        const std::function<absl::Status(const LoggedOp&)>& use);
  absl::Status VisitDead(const CoreKey& log, std::uint64_t from, std::uint64_t to,
                         const std::function<absl::Status(const LoggedOp&)>& use);

  // indexer_store.cc
  Bytes EncodeForks() const;
  absl::StatusOr<bool> DecodeForks(ByteView bytes);
  absl::Status Load();
  absl::StatusOr<bool> LoadRows();
  absl::StatusOr<bool> LoadFacts();
  std::unique_ptr<Authority> MakeAuthority() const;
  absl::StatusOr<std::unique_ptr<Authority>> CopyAuthority() const;
  absl::StatusOr<bool> LoadWriter(WriterNumber number, ByteView bytes);
  // From nothing. `running`: readers hold the view, which keeps the writers' numbers.
  absl::Status Clear(bool running);
  absl::Status Flush();

  Storage* storage;    // not owned
  LogSource* logs;     // not owned
  const Clock* clock;  // not owned
  Genesis genesis;
  BaseId base_id;
  IndexerOptions options;

  std::unique_ptr<View> view;  // holds the table of writers
  std::unique_ptr<CausalGraph> graph;
  std::unique_ptr<OpIndex> ops;
  std::unique_ptr<Trie> trie;
  std::unique_ptr<Authority> authority;
  std::deque<WriterState> writers;  // by number
  std::deque<WriterNumber> queue;
  std::map<CoreKey, Fork> forks;
  // Of logs that nobody here has named; bounded. With what block 0 in them says.
  struct UnplacedProof {
    ForkProof proof;
    std::optional<Incarnation> shown;
    std::uint64_t taken = 0;  // so many were before it
  };
  std::map<CoreKey, UnplacedProof> unplaced_proofs;
  std::uint64_t proofs_taken = 0;
  // Blocks on a cycle: what stands only because it survives counts to the fork point.
  absl::flat_hash_set<std::pair<WriterNumber, std::uint64_t>> demoted;
  // Blocks that wait no longer for what they name of a forked log and have not seen.
  absl::flat_hash_set<std::pair<WriterNumber, std::uint64_t>> released;
  std::size_t open_bytes = 0;  // of the payloads kept for open batches
  PayloadCache payloads;       // emptied when the indexer rests
  std::size_t payload_bytes = 0;
  std::size_t replay_bytes = 0;  // of keys whose replay goes on until the next flush

  std::uint64_t stored_facts = 0;  // of authority
  std::uint64_t effective_ops = 0;
  std::uint64_t clock_suspect = 0;
  std::uint64_t seen_ms = 0;
  std::uint64_t ops_since_flush = 0;
  std::uint64_t bytes_since_flush = 0;
  bool changed_since_flush = false;
  std::uint64_t step_left = UINT64_MAX;  // ops until the step ends; see IndexSome
  std::uint64_t deliveries = 0;          // blocks delivered and members admitted
  std::uint64_t authority_changes = 0;

  std::function<bool(std::string_view)> filter;
  // First sight of each changed key within one call, in key order.
  std::map<std::string, ViewEntry, std::less<>> before;

  struct DigestCache {
    std::uint64_t deliveries = UINT64_MAX;
    Hash32 digest;
  };
  mutable DigestCache digest;
};

}  // namespace weft
