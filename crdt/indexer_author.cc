// Commits into blocks: what the author sees, whom the blocks name, when they were.

#include <algorithm>
#include <set>

#include "absl/strings/str_format.h"
#include "crdt/copy_mark.h"
#include "crdt/indexer_state.h"
#include "crdt/sequence_draft.h"
#include "engine/text.h"

namespace weft {
namespace {

// One mutation, ready to encode; owns what its operation borrows.
struct Draft {
  Operation operation;
  std::vector<CellWrite> cells;
  const SequenceDraftOp* sequence = nullptr;  // of an insert or a cut

  // The operation, with what may have grown since it was begun.
  const Operation& Finished() {
    if (sequence == nullptr) return operation;
    operation.edit = &sequence->edit;
    if (!sequence->content.empty()) {
      operation.value = {ValueType::kText, AsBytes(sequence->content)};
    }
    return operation;
  }
};

// Which lanes hold something at a key, for an author in the middle of a commit.
class SeenLanes {
 public:
  explicit SeenLanes(const View* view) : view_(view) {}

  absl::StatusOr<LaneMask*> At(std::string_view key) {
    const auto found = lanes_.find(key);
    if (found != lanes_.end()) return &found->second;
    LaneMask mask = 0;
    if (view_) {
      WEFT_ASSIGN_OR_RETURN(mask, view_->LanesAt(key));
    }
    return &lanes_.emplace(std::string(key), mask).first->second;
  }

 private:
  const View* view_;  // not owned; null if nothing that is there is taken away
  std::map<std::string, LaneMask, std::less<>> lanes_;
};

absl::Status FillCells(const Mutation& mutation, Draft* draft) {
  for (const auto& [column, value] : mutation.cells) {
    draft->cells.push_back(mutation.kind == Mutation::Kind::kSet
                               ? SetCell(AsBytes(column), value)
                               : UnsetCell(AsBytes(column)));
  }
  std::sort(draft->cells.begin(), draft->cells.end(),
            [](const CellWrite& a, const CellWrite& b) {
              return Compare(a.column, b.column) < 0;
            });
  for (std::size_t i = 1; i < draft->cells.size(); ++i) {
    if (Equal(draft->cells[i - 1].column, draft->cells[i].column)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "key \"%s\": column \"%s\" occurs twice", std::string(mutation.key),
          std::string(AsText(draft->cells[i].column))));
    }
  }
  return absl::OkStatus();
}

// What is deleted is what the author sees, his own commit so far included.
absl::Status FillDelete(const Mutation& mutation, LaneMask* seen, Draft* draft) {
  LaneMask lanes = *seen;
  if (mutation.kind == Mutation::Kind::kErase) lanes &= MaskOf(Lane::kRecord);
  if (lanes == 0) {
    return absl::NotFoundError(absl::StrFormat("key \"%s\": there is nothing to delete",
                                               std::string(mutation.key)));
  }
  const bool wins = mutation.delete_wins && (lanes & MaskOf(Lane::kRecord)) != 0;
  draft->operation =
      DelOp(AsBytes(mutation.key), lanes, wins ? kDeleteWins : std::uint8_t{0});
  *seen &= static_cast<LaneMask>(~lanes);
  return absl::OkStatus();
}

// The change of one of the lanes 3 to 7, without its place.
Operation TypedOperation(const Mutation& mutation) {
  const ByteView key = AsBytes(mutation.key);
  switch (mutation.kind) {
    case Mutation::Kind::kIncrement:
      return IncOp(key, mutation.number);
    case Mutation::Kind::kReset:
      return ResetOp(key);
    case Mutation::Kind::kAdd:
      return AddOp(key, mutation.value);
    case Mutation::Kind::kRemove:
      return RemoveOp(key, mutation.value);
    case Mutation::Kind::kRaiseMax:
      return RaiseOp(key, Lane::kMax, mutation.number);
    case Mutation::Kind::kRaiseMin:
      return RaiseOp(key, Lane::kMin, mutation.number);
    case Mutation::Kind::kEnable:
      return FlagOp(key, kFlagOn);
    default:
      return FlagOp(key, mutation.disable_wins ? kFlagOffWins : std::uint8_t{0});
  }
}

// On the key, or as the one cell of a record op.
absl::Status FillTyped(const Mutation& mutation, LaneMask* seen, Draft* draft) {
  const Operation op = TypedOperation(mutation);
  if (mutation.column) {
    draft->cells.push_back({.column = AsBytes(*mutation.column),
                            .lane = op.lane,
                            .verb = op.type,
                            .value = op.value,
                            .number = op.number,
                            .flags = op.flags});
    draft->operation = RecordOp(op.key, draft->cells);
    *seen |= MaskOf(Lane::kRecord);
    return absl::OkStatus();
  }
  draft->operation = op;
  *seen |= MaskOf(op.lane);
  return absl::OkStatus();
}

absl::Status Fill(const Mutation& mutation, SeenLanes* seen_lanes, Draft* draft) {
  WEFT_ASSIGN_OR_RETURN(LaneMask* const seen, seen_lanes->At(mutation.key));
  switch (mutation.kind) {
    case Mutation::Kind::kPut:
      draft->operation = PutOp(AsBytes(mutation.key), mutation.value);
      *seen |= MaskOf(Lane::kRegister);
      return absl::OkStatus();
    case Mutation::Kind::kUnset:
      // The op would be a presence (D11): a row nobody made.
      if ((*seen & MaskOf(Lane::kRecord)) == 0) {
        return absl::NotFoundError(
            absl::StrFormat("key \"%s\": there is no row", std::string(mutation.key)));
      }
      [[fallthrough]];
    case Mutation::Kind::kSet:
      WEFT_RETURN_IF_ERROR(FillCells(mutation, draft));
      draft->operation = RecordOp(AsBytes(mutation.key), draft->cells);
      *seen |= MaskOf(Lane::kRecord);
      return absl::OkStatus();
    case Mutation::Kind::kDelete:
    case Mutation::Kind::kErase:
      return FillDelete(mutation, seen, draft);
    default:
      return FillTyped(mutation, seen, draft);
  }
}

// The mutations of one commit as operations.
class CommitDrafts {
 public:
  CommitDrafts(Indexer::State* state, const CoreKey& self, bool takes_away)
      : state_(state),
        self_(*state->view->writers().Find(self)),
        seen_(takes_away ? state->view.get() : nullptr) {}

  absl::Status Add(const Mutation& mutation) {
    using Kind = Mutation::Kind;
    const bool is_text =
        mutation.kind == Kind::kInsertText || mutation.kind == Kind::kCutText;
    if (is_text || mutation.kind == Kind::kInsertItem ||
        mutation.kind == Kind::kCutItems) {
      return Edit(mutation, is_text ? Lane::kText : Lane::kList);
    }
    op_of_.push_back(drafts_.size());
    Draft& draft = drafts_.emplace_back();
    WEFT_RETURN_IF_ERROR(Fill(mutation, &seen_, &draft));
    const Operation& op = draft.operation;
    for (const Lane lane : {Lane::kText, Lane::kList}) {
      if (op.type != OpType::kDel || (op.lanes & MaskOf(lane)) == 0) continue;
      WEFT_ASSIGN_OR_RETURN(SequenceDraft* const sequence, At(mutation.key, lane));
      sequence->Clear();
    }
    return absl::OkStatus();
  }

  std::vector<Operation> Operations() {
    std::vector<Operation> operations;
    operations.reserve(drafts_.size());
    for (Draft& draft : drafts_) operations.push_back(draft.Finished());
    return operations;
  }

  // Edits that were typed on share an op: one op id for each mutation.
  void Spread(PreparedCommit* commit) const {
    if (op_of_.size() == drafts_.size()) return;
    std::vector<OpId> ops;
    ops.reserve(op_of_.size());
    for (const std::size_t op : op_of_) ops.push_back(commit->ops[op]);
    commit->ops = std::move(ops);
  }

 private:
  absl::StatusOr<SequenceDraft*> At(std::string_view key, Lane lane) {
    const auto known = sequences_.find({std::string(key), lane});
    if (known != sequences_.end()) return &known->second;
    WEFT_ASSIGN_OR_RETURN(const SequenceLane* const held,
                          state_->view->HeldSequence(key, lane));
    return &sequences_
                .try_emplace({std::string(key), lane}, held, &state_->view->writers(),
                             self_)
                .first->second;
  }

  absl::Status Edit(const Mutation& mutation, Lane lane) {
    WEFT_ASSIGN_OR_RETURN(SequenceDraft* const sequence, At(mutation.key, lane));
    const bool cuts = mutation.kind == Mutation::Kind::kCutText ||
                      mutation.kind == Mutation::Kind::kCutItems;
    const bool at_end = !cuts && mutation.index == Mutation::kAtEnd;
    const std::uint64_t index = at_end ? sequence->length() : mutation.index;
    const std::uint64_t count = cuts ? mutation.count : 0;
    if (index > sequence->length() || count > sequence->length() - index) {
      return absl::OutOfRangeError(absl::StrFormat(
          "key \"%s\": position %d is beyond the end, %d", std::string(mutation.key),
          index + count, sequence->length()));
    }
    const std::string_view content = AsText(mutation.value.bytes);
    if (cuts ? count == 0 : lane == Lane::kText && content.empty()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "key \"%s\": an edit that changes nothing", std::string(mutation.key)));
    }
    const auto number = static_cast<std::uint32_t>(drafts_.size());
    const SequenceDraftOp* op = nullptr;
    if (cuts) {
      op = sequence->Cut(index, count, number);
    } else if (lane == Lane::kText) {
      op = sequence->Insert(index, content, CodePoints(content), number,
                            state_->genesis.limits.value_bytes);
    } else {
      op = sequence->Insert(index, {}, 1, number, 0);
    }
    op_of_.push_back(op->number);
    if (op->number != number) return absl::OkStatus();
    Draft& draft = drafts_.emplace_back();
    draft.sequence = op;
    const ByteView key = AsBytes(mutation.key);
    draft.operation = cuts ? CutOp(key, lane, &op->edit)
                           : InsertOp(key, lane, &op->edit, mutation.value);
    WEFT_ASSIGN_OR_RETURN(LaneMask* const seen, seen_.At(mutation.key));
    *seen |= MaskOf(lane);
    return absl::OkStatus();
  }

  Indexer::State* state_;  // not owned
  WriterNumber self_;
  SeenLanes seen_;
  std::deque<Draft> drafts_;
  std::vector<std::size_t> op_of_;  // by mutation
  std::map<std::pair<std::string, Lane>, SequenceDraft> sequences_;
};

// An author at work on one commit.
class CommitAuthor {
 public:
  CommitAuthor(const Indexer::State* state, const CoreKey& self, std::uint64_t wall_ms)
      : state_(state), self_(self), wall_ms_(wall_ms) {}
  // The batch will say what it is a copy of.
  void MarkAsCopy(std::uint32_t copy_mark) { copy_mark_ = copy_mark; }

  absl::Status Begin() { return BeginAs(state_->authority->IdentityOf(self_)); }

  // Of a log that is not known as its holder's yet.
  absl::Status BeginAs(const CoreKey& holder) {
    const std::optional<WriterNumber> number = state_->view->writers().Find(self_);
    if (!number || state_->authority->GrantsOf(holder).empty()) {
      // Says who we are and that there is no grant.
      return state_->authority->ChooseGrant(holder).status();
    }
    number_ = *number;
    const auto& writer = state_->writers[number_];
    log_ = &writer.log;
    WEFT_ASSIGN_OR_RETURN(const LogInfo info, state_->logs->Info(self_));
    if (log_->parked()) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "our log needs a newer program from block %d on", *log_->parked()));
    }
    if (const Indexer::State::Fork* fork = state_->ForkOf(self_)) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "our log has two branches from block %d on: what we write needs a new one",
          fork->point));
    }
    if (writer.refused) return absl::FailedPreconditionError("our log was rewritten");
    if (writer.pending || !writer.open.empty() || log_->position() != info.length) {
      return absl::FailedPreconditionError(
          absl::StrFormat("our log has %d blocks, of which %d are indexed", info.length,
                          writer.closed));
    }
    return absl::OkStatus();
  }

  // What comes next stands in the log behind this commit, as part of the same append.
  void GoOnBehind(const PreparedCommit& commit) {
    ReadAhead(
        std::span(commit.blocks).subspan(log_->position() - commit.first_position));
  }

  // Ends with the blocks of the commit; before them, as many that only merge heads as
  // it takes to leave few enough for one block.
  template <class Op>
  absl::StatusOr<PreparedCommit> Finish(std::span<const Op> operations) {
    constexpr bool kAuth = std::is_same_v<Op, AuthOperation>;
    WEFT_ASSIGN_OR_RETURN(const Grant* grant,
                          state_->authority->ChooseGrant(self_, operations));
    PreparedCommit commit;
    commit.first_position = log_->position();
    std::vector<Dep> deps = Heads();
    std::vector<KeptLength> needed;
    if constexpr (kAuth) {
      for (const Op& operation : operations) {
        WEFT_RETURN_IF_ERROR(FindNeeded(operation, &needed));
      }
      if (log_->auth_ops() + operations.size() >
          state_->genesis.limits.auth_ops_per_writer) {
        return absl::InvalidArgumentError(absl::StrFormat(
            "our log has %d auth ops, and the limit is %d", log_->auth_ops(),
            state_->genesis.limits.auth_ops_per_writer));
      }
    }
    AddGrant(*grant, kAuth, &needed);
    WEFT_RETURN_IF_ERROR(AddNeeded(needed, &deps));
    const std::size_t deps_max = state_->genesis.limits.deps;
    if (deps.size() > deps_max) {
      // Every auth block repeats the deps on the logs that it speaks of.
      if (needed.size() > deps_max) {
        return absl::InvalidArgumentError(absl::StrFormat(
            "commit: speaks of %d logs, and the limit is %d", needed.size(), deps_max));
      }
      while (!deps.empty() && deps.size() + needed.size() > deps_max) {
        WEFT_RETURN_IF_ERROR(Merge(*grant, deps_max, &deps, &commit));
      }
      WEFT_RETURN_IF_ERROR(AddNeeded(needed, &deps));
    }
    WEFT_ASSIGN_OR_RETURN(CommitHeader header, HeaderOf(*grant, std::move(deps)));
    if (copy_mark_) {
      WEFT_ASSIGN_OR_RETURN(header.hlc, StampWithMark(header.hlc, *copy_mark_));
    }
    WEFT_ASSIGN_OR_RETURN(EncodedBatch batch, EncodeBatch(*log_, header, operations,
                                                          state_->genesis.limits));
    for (std::size_t i = 0; i < operations.size(); ++i) {
      commit.ops.push_back(batch.IdOf(self_, i));
    }
    for (Bytes& block : batch.blocks) commit.blocks.push_back(std::move(block));
    return commit;
  }

  // The block that begins the log. What it has no room to name the next one names.
  absl::StatusOr<PreparedCommit> FinishCertificate(const Incarnation& certificate) {
    WEFT_ASSIGN_OR_RETURN(const Grant* grant,
                          state_->authority->ChooseGrant(certificate.identity));
    std::vector<KeptLength> needed;
    AddGrant(*grant, false, &needed);
    std::vector<Dep> deps = Heads();
    WEFT_RETURN_IF_ERROR(AddNeeded(needed, &deps));
    std::stable_partition(deps.begin(), deps.end(), [&](const Dep& dep) {
      return dep.writer == grant->issuer || dep.writer == certificate.prev_core;
    });
    deps.resize(std::min<std::size_t>(deps.size(), state_->genesis.limits.deps));
    WEFT_ASSIGN_OR_RETURN(const CommitHeader header, HeaderOf(*grant, std::move(deps)));
    WEFT_ASSIGN_OR_RETURN(
        EncodedBatch batch,
        EncodeCertificate(*log_, header, certificate, state_->genesis.limits));
    PreparedCommit commit;
    commit.first_position = batch.first_position;
    commit.blocks = std::move(batch.blocks);
    return commit;
  }

 private:
  std::vector<Dep> Heads() const {
    std::vector<Dep> deps;
    if (ahead_) return deps;  // named by what goes before
    for (WriterNumber n = 0; n < state_->writers.size(); ++n) {
      const auto& writer = state_->writers[n];
      if (n == number_ || !writer.is_head || writer.kept == 0) continue;
      deps.push_back({state_->view->writers().key(n), writer.kept,
                      state_->graph->TreeHashAt(n, writer.kept)});
    }
    return deps;
  }

  // A block that only merges the first of `deps`.
  absl::Status Merge(const Grant& grant, std::size_t deps_max, std::vector<Dep>* deps,
                     PreparedCommit* commit) {
    const auto end =
        deps->begin() + static_cast<std::ptrdiff_t>(std::min(deps->size(), deps_max));
    std::vector<Dep> some(deps->begin(), end);
    deps->erase(deps->begin(), end);
    WEFT_ASSIGN_OR_RETURN(const CommitHeader header, HeaderOf(grant, std::move(some)));
    WEFT_ASSIGN_OR_RETURN(EncodedBatch ack,
                          EncodeAck(*log_, header, state_->genesis.limits));
    ReadAhead(ack.blocks);
    for (Bytes& block : ack.blocks) commit->blocks.push_back(std::move(block));
    return absl::OkStatus();
  }

  // Our own blocks are read as anybody would read them, to know how the log goes on.
  void ReadAhead(std::span<const Bytes> blocks) {
    if (!ahead_) ahead_ = *log_;
    log_ = &*ahead_;
    for (const Bytes& block : blocks) {
      DecodeBlock(*ahead_, block, state_->genesis.limits);
    }
  }

  // 6.2: the grant's own batch is named, even if another head has seen it.
  void AddGrant(const Grant& grant, bool auth, std::vector<KeptLength>* needed) const {
    const std::uint64_t length = Authority::DepNeeded(grant, *log_, auth);
    if (length > 0) needed->push_back({grant.issuer, length});
  }

  // 6.2: what an auth op refers to is named too.
  absl::Status FindNeeded(const AuthOperation& operation,
                          std::vector<KeptLength>* needed) const {
    const auto need_grant = [&](const OpId& id) -> absl::Status {
      const Grant* grant = state_->authority->Find(id);
      if (grant == nullptr) {
        return absl::NotFoundError(
            absl::StrFormat("there is no effective grant or invite %s", ToText(id)));
      }
      if (!grant->is_genesis()) needed->push_back({grant->issuer, grant->batch_end});
      return absl::OkStatus();
    };
    if (const auto* revoke = std::get_if<RevokeOp>(&operation)) {
      return need_grant(revoke->grant);
    }
    if (const auto* redeem = std::get_if<RedeemOp>(&operation)) {
      return need_grant(redeem->invite);
    }
    if (const auto* verdict = std::get_if<VerdictOp>(&operation)) {
      needed->push_back({verdict->log, verdict->to});
    } else if (const auto* hide = std::get_if<HideOp>(&operation)) {
      if (hide->ops.empty()) needed->push_back({hide->log, hide->to});
      for (const OpId& op : hide->ops) {
        const std::optional<WriterNumber> log = state_->view->writers().Find(op.writer);
        if (!log || op.position >= state_->graph->length(*log)) {
          return absl::NotFoundError(
              absl::StrFormat("there is no op %s here", ToText(op)));
        }
        needed->push_back({op.writer, op.position + 1});
      }
    }
    return absl::OkStatus();
  }

  // Makes `needed` one entry a log, and has `deps` reach that far.
  absl::Status AddNeeded(std::vector<KeptLength>& needed,
                         std::vector<Dep>* deps) const {
    absl::flat_hash_map<CoreKey, std::uint64_t> lengths;
    for (const KeptLength& entry : needed) {
      std::uint64_t& length = lengths[entry.log];
      length = std::max(length, entry.length);
    }
    lengths.erase(self_);
    needed.clear();
    for (const auto& [log, length] : lengths) needed.push_back({log, length});
    std::sort(needed.begin(), needed.end(),
              [](const auto& a, const auto& b) { return a.log < b.log; });
    for (const KeptLength& entry : needed) {
      const auto dep = std::find_if(deps->begin(), deps->end(), [&](const Dep& other) {
        return other.writer == entry.log;
      });
      if (dep != deps->end() && dep->length >= entry.length) continue;
      const std::optional<WriterNumber> number =
          state_->view->writers().Find(entry.log);
      if (!number || state_->graph->length(*number) < entry.length) {
        return absl::NotFoundError(absl::StrFormat(
            "log %s has no %d blocks here", ToZBase32(entry.log.view()), entry.length));
      }
      const Dep wanted{entry.log, entry.length,
                       state_->graph->TreeHashAt(*number, entry.length)};
      if (dep != deps->end()) {
        *dep = wanted;
      } else {
        deps->insert(deps->begin(), wanted);
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<CommitHeader> HeaderOf(const Grant& grant,
                                        std::vector<Dep> deps) const {
    // What could not be read has a hash of zeros: signed, it would end our log.
    WEFT_RETURN_IF_ERROR(state_->graph->status());
    CommitHeader header;
    WEFT_ASSIGN_OR_RETURN(header.hlc,
                          NextHlc(log_->last_hlc(), state_->seen_ms, wall_ms_));
    header.cite = grant.id;
    header.deps = std::move(deps);
    return header;
  }

  const Indexer::State* state_;  // not owned
  CoreKey self_;
  std::uint64_t wall_ms_;
  std::optional<std::uint32_t> copy_mark_;
  WriterNumber number_ = 0;
  const LogState* log_ = nullptr;  // as it is, or ahead_
  std::optional<LogState> ahead_;  // with the blocks that go before, of this commit
};

}  // namespace

absl::StatusOr<PreparedCommit> Indexer::Prepare(const CoreKey& self,
                                                std::span<const Mutation> mutations,
                                                std::uint64_t wall_ms) {
  CommitAuthor author(state_.get(), self, wall_ms);
  WEFT_RETURN_IF_ERROR(author.Begin());
  const bool takes_away =
      std::any_of(mutations.begin(), mutations.end(), [](const Mutation& mutation) {
        return mutation.kind == Mutation::Kind::kDelete ||
               mutation.kind == Mutation::Kind::kErase ||
               mutation.kind == Mutation::Kind::kUnset;
      });
  CommitDrafts drafts(state_.get(), self, takes_away);
  for (const Mutation& mutation : mutations) {
    WEFT_RETURN_IF_ERROR(drafts.Add(mutation));
  }
  const std::vector<Operation> operations = drafts.Operations();
  WEFT_ASSIGN_OR_RETURN(PreparedCommit commit,
                        author.Finish(std::span<const Operation>(operations)));
  drafts.Spread(&commit);
  return commit;
}

absl::StatusOr<PreparedCommit> Indexer::PrepareCopies(
    const CoreKey& self, std::span<const Operation> operations, std::uint32_t copy_mark,
    std::uint64_t wall_ms) {
  CommitAuthor author(state_.get(), self, wall_ms);
  author.MarkAsCopy(copy_mark);
  WEFT_RETURN_IF_ERROR(author.Begin());
  return author.Finish(operations);
}

absl::StatusOr<PreparedCommit> Indexer::PrepareIncarnation(
    const CoreKey& self, const Incarnation& certificate, std::uint64_t wall_ms) {
  CommitAuthor author(state_.get(), self, wall_ms);
  WEFT_RETURN_IF_ERROR(author.BeginAs(certificate.identity));
  return author.FinishCertificate(certificate);
}

absl::StatusOr<PreparedCommit> Indexer::PrepareGrants(const CoreKey& self,
                                                      std::span<const GrantOp> grants,
                                                      std::uint64_t wall_ms) {
  const std::vector<AuthOperation> operations(grants.begin(), grants.end());
  return PrepareAuth(self, operations, wall_ms);
}

absl::StatusOr<PreparedCommit> Indexer::PrepareAuth(
    const CoreKey& self, std::span<const AuthOperation> operations,
    std::uint64_t wall_ms) {
  CommitAuthor author(state_.get(), self, wall_ms);
  WEFT_RETURN_IF_ERROR(author.Begin());
  std::vector<AuthOperation> filled(operations.begin(), operations.end());
  for (AuthOperation& operation : filled) {
    if (auto* grant = std::get_if<GrantOp>(&operation)) {
      grant->forks = state_->authority->ForkedLogsOf(grant->identity);
    }
    auto* verdict = std::get_if<VerdictOp>(&operation);
    if (verdict == nullptr) continue;
    const auto number = state_->view->writers().Find(verdict->log);
    if (!number || verdict->to == 0 || state_->graph->length(*number) < verdict->to) {
      return absl::NotFoundError(absl::StrFormat(
          "log %s has no %d blocks here", ToZBase32(verdict->log.view()), verdict->to));
    }
    verdict->tree_hash = state_->graph->TreeHashAt(*number, verdict->to);
  }
  return author.Finish(std::span<const AuthOperation>(filled));
}

absl::StatusOr<PreparedCommit> Indexer::PrepareResignations(
    const CoreKey& self, std::span<const AuthOperation> resignations,
    std::uint64_t wall_ms) {
  CommitAuthor author(state_.get(), self, wall_ms);
  WEFT_RETURN_IF_ERROR(author.Begin());
  PreparedCommit all;
  for (std::size_t i = 0; i < resignations.size(); ++i) {
    WEFT_ASSIGN_OR_RETURN(PreparedCommit one,
                          author.Finish(resignations.subspan(i, 1)));
    author.GoOnBehind(one);
    if (i == 0) {
      all = std::move(one);
      continue;
    }
    std::move(one.blocks.begin(), one.blocks.end(), std::back_inserter(all.blocks));
    all.ops.insert(all.ops.end(), one.ops.begin(), one.ops.end());
  }
  return all;
}

}  // namespace weft
