#include "engine/hypercore_state.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "engine/key_layout.h"

namespace weft {

CoreEdit::CoreEdit(const Hypercore::State& state)
    : tip(state.tip),
      manifest(state.manifest),
      nodes(&state.nodes),
      kept_length(state.tip.tree.length()) {}

Hypercore::State::State(Storage* the_storage, std::shared_ptr<CoreIndex> the_index,
                        std::size_t the_entry)
    : storage(the_storage),
      index(std::move(the_index)),
      entry_number(the_entry),
      nodes(storage, &index->pages, index->at(the_entry).summary.number),
      rows(storage, &index->rows, index->at(the_entry).summary.number) {}

Hypercore::State::~State() {
  if (secret_key) Wipe(secret_key->bytes);
  const auto found = index->open.find(entry_number);
  if (found != index->open.end() && found->second.expired()) index->open.erase(found);
}

absl::StatusOr<std::unique_ptr<Hypercore::State>> Hypercore::State::Load(
    Storage* storage, std::shared_ptr<CoreIndex> index, std::size_t entry) {
  auto state = std::make_unique<State>(storage, std::move(index), entry);
  const CoreSummary& known = state->summary();
  WEFT_ASSIGN_OR_RETURN(const auto bytes,
                        storage->Get(Family::kCores, keys::Head(known.number)));
  if (!bytes) {
    return absl::DataLossError(absl::StrFormat("core %d has no head", known.number));
  }
  WEFT_ASSIGN_OR_RETURN(CoreHead head, DecodeHead(known.number, *bytes));
  if (head.summary.key != known.key) {
    return absl::DataLossError(
        absl::StrFormat("core %d: its head is another core's", known.number));
  }
  state->tip = std::move(head.tip);
  state->manifest = std::move(head.manifest);
  if (!head.is_checked) WEFT_RETURN_IF_ERROR(state->CheckSigned());
  if (head.summary.writable) {
    WEFT_ASSIGN_OR_RETURN(
        auto secret, storage->Get(Family::kCores, keys::SecretKeyOf(known.number)));
    if (secret) {
      state->secret_key = SecretKey::From(*secret);
      Wipe(*secret);
    }
    if (!state->secret_key) {
      return absl::DataLossError(
          absl::StrFormat("core %d: its secret key is gone", known.number));
    }
  }
  WEFT_RETURN_IF_ERROR(state->LoadBitfield());
  return state;
}

// A head that is not as it was written means that the disk lied; no block under it can
// be trusted, so we refuse to open. Its check says so for a hundredth of what the
// signature costs, which every core of a store had to pay as soon as a peer asked for
// it; what was written was verified before. Without a check, the signature must do.
absl::Status Hypercore::State::CheckSigned() const {
  if (tip.tree.length() == 0 && tip.signature.empty()) return absl::OkStatus();
  if (VerifyTree(ManifestOrCompat(), summary().key, tip.tree.roots(), tip.tree.length(),
                 tip.fork, tip.signature)) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      absl::StrFormat("core %s: the signature does not cover length %d, fork %d",
                      ToHex(summary().key.view()), tip.tree.length(), tip.fork));
}

absl::Status Hypercore::State::LoadBitfield() {
  const CoreSummary& known = summary();
  // A whole copy has no pages: no need to look.
  if (known.contiguous == known.length) {
    bitfield.SetRange(0, known.contiguous, true);
    return absl::OkStatus();
  }
  const auto cursor = storage->Scan(
      Family::kCores,
      keys::BitfieldPages(known.number, known.contiguous / Bitfield::kPageBits));
  for (; cursor->valid(); cursor->Next()) {
    const auto number = keys::PageOfBitfield(cursor->key());
    WEFT_ASSIGN_OR_RETURN(const Bitfield::Page page,
                          DecodeBitfieldPage(cursor->value()));
    if (!number || *number > known.length / Bitfield::kPageBits) {
      return absl::DataLossError(
          absl::StrFormat("core %d: a bitfield page is misplaced", known.number));
    }
    bitfield.SetPage(*number, page);
    stored_bitfield_pages.insert(*number);
  }
  WEFT_RETURN_IF_ERROR(cursor->status());
  if (bitfield.end() > known.length) {
    return absl::DataLossError(
        absl::StrFormat("core %d: its bitfield is longer than it is", known.number));
  }
  bitfield.SetRange(0, known.contiguous, true);
  return absl::OkStatus();
}

absl::Status Hypercore::State::CheckUsable() const {
  if (entry().purged) return absl::FailedPreconditionError("the core was purged");
  return absl::OkStatus();
}

absl::Status Hypercore::State::CheckWritable() const {
  WEFT_RETURN_IF_ERROR(CheckUsable());
  if (!secret_key || !manifest) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "core %s: we hold no secret key for it", ToHex(summary().key.view())));
  }
  return absl::OkStatus();
}

Manifest Hypercore::State::ManifestOrCompat() const {
  return manifest ? *manifest : CompatManifest(summary().key);
}

std::vector<BlockRun> Hypercore::State::ApplyRuns(std::span<const BlockRun> runs) {
  std::vector<BlockRun> undo;
  for (const BlockRun& run : runs) {
    // Only what differs is undone: the parts of the run that were the other way.
    for (std::uint64_t at = run.from; at < run.to;) {
      const auto from =
          run.held ? bitfield.FirstUnset(at, run.to) : bitfield.FirstSet(at, run.to);
      if (!from) break;
      const auto to = run.held ? bitfield.FirstSet(*from, run.to)
                               : bitfield.FirstUnset(*from, run.to);
      undo.push_back({*from, to.value_or(run.to), !run.held});
      at = to.value_or(run.to);
    }
    bitfield.SetRange(run.from, run.to, run.held);
  }
  std::ranges::reverse(undo);
  return undo;
}

std::vector<Hypercore::State::PageChange> Hypercore::State::StageBitfield(
    std::span<const BlockRun> runs, std::uint64_t old_contiguous,
    std::uint64_t contiguous, StorageBatch* batch) const {
  constexpr std::uint64_t kBits = Bitfield::kPageBits;
  const std::uint64_t end = bitfield.end();
  absl::btree_set<std::uint64_t> touched;
  const auto touch = [&](std::uint64_t from, std::uint64_t to) {
    from = std::max(from, contiguous);
    to = std::min(to, end);
    if (from >= to) return;
    for (std::uint64_t page = from / kBits; page <= (to - 1) / kBits; ++page) {
      touched.insert(page);
    }
  };
  // What was implied by the contiguous length has to be said once it is not.
  touch(contiguous, old_contiguous);
  for (const BlockRun& run : runs) {
    if (run.held) {
      touch(run.from, run.to);
      continue;
    }
    for (auto page = stored_bitfield_pages.lower_bound(run.from / kBits);
         page != stored_bitfield_pages.end() && *page * kBits < run.to; ++page) {
      touched.insert(*page);
    }
  }
  for (auto page = stored_bitfield_pages.begin();
       page != stored_bitfield_pages.end() && *page * kBits <= contiguous; ++page) {
    touched.insert(*page);
  }
  std::vector<PageChange> changes;
  for (const std::uint64_t page : touched) {
    const std::uint64_t from = std::max(contiguous, page * kBits);
    if (bitfield.FirstSet(from, std::max(from, (page + 1) * kBits))) {
      batch->Put(Family::kCores, keys::BitfieldPage(summary().number, page),
                 EncodeBitfieldPage(bitfield.PageAt(page)));
      changes.push_back({page, true});
    } else if (stored_bitfield_pages.contains(page)) {
      batch->Delete(Family::kCores, keys::BitfieldPage(summary().number, page));
      changes.push_back({page, false});
    }
  }
  return changes;
}

absl::Status Hypercore::State::Commit(CoreEdit edit, Durability durability) {
  const Staged staged = Stage(edit);
  if (absl::Status status = storage->Commit(edit.batch, durability); !status.ok()) {
    Undo(staged);
    return status;
  }
  Publish(std::move(edit), staged, durability);
  return absl::OkStatus();
}

Hypercore::State::Staged Hypercore::State::Stage(CoreEdit& edit) {
  Staged staged;
  CoreSummary& next = staged.summary;
  next = summary();
  next.fork = edit.tip.fork;
  next.length = edit.tip.tree.length();
  next.byte_length = edit.tip.tree.byte_length();
  staged.undo = ApplyRuns(edit.runs);
  std::uint64_t search = next.contiguous;
  for (const BlockRun& run : edit.runs) {
    if (run.held) continue;
    search = std::min(search, run.from);
    staged.dropped = true;
  }
  next.contiguous = bitfield.FirstUnset(search, next.length).value_or(next.length);
  staged.pages =
      StageBitfield(edit.runs, summary().contiguous, next.contiguous, &edit.batch);
  edit.nodes.Stage(&edit.batch);
  edit.batch.Put(Family::kCores, keys::Head(next.number),
                 EncodeHead(next, edit.tip, edit.manifest));
  return staged;
}

void Hypercore::State::Undo(const Staged& staged) {
  for (const BlockRun& run : staged.undo) bitfield.SetRange(run.from, run.to, run.held);
}

void Hypercore::State::Publish(CoreEdit edit, const Staged& staged,
                               Durability durability) {
  for (const PageChange& page : staged.pages) {
    if (page.stored) {
      stored_bitfield_pages.insert(page.number);
    } else {
      stored_bitfield_pages.erase(page.number);
    }
  }
  edit.nodes.Publish();
  if (staged.dropped) rows.Forget();
  tip = std::move(edit.tip);
  manifest = std::move(edit.manifest);
  entry().summary = staged.summary;
  std::uint64_t& durable = entry().durable_length;
  if (durability == Durability::kSynced) {
    durable = staged.summary.length;
  } else {
    durable = std::min(durable, edit.kept_length);
    index->ListUndurable(entry_number);
  }
}

void Hypercore::State::Notify(std::span<const CoreEvent> events) {
  std::erase_if(observers, [](const auto& observer) { return observer.expired(); });
  std::vector<std::shared_ptr<Observer>> listening;
  for (const auto& observer : observers) listening.push_back(observer.lock());
  for (const CoreEvent& event : events) {
    for (const auto& observer : listening) {
      if (observer) (*observer)(event);
    }
  }
}

absl::StatusOr<TreeNode> RequireNode(const NodeSource& nodes,
                                     std::uint64_t tree_index) {
  WEFT_ASSIGN_OR_RETURN(const std::optional<TreeNode> node, nodes.Find(tree_index));
  if (!node) {
    return absl::DataLossError(
        absl::StrFormat("tree node %d is not on the disk", tree_index));
  }
  return *node;
}

}  // namespace weft
