#include "tests/sim/checker.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_format.h"
#include "crdt/batch.h"
#include "weft/convert.h"

namespace weft::sim {
namespace {

bool HasConflict(const Register& shown) {
  return !shown.conflicts.empty();
}

bool HasConflict(const Entry& entry) {
  return (entry.value && HasConflict(*entry.value)) ||
         std::any_of(entry.cells.begin(), entry.cells.end(),
                     [](const auto& cell) { return HasConflict(cell.second); });
}

std::vector<Entry> ReadAll(std::unique_ptr<ViewScan> scan) {
  std::vector<Entry> entries;
  while (std::optional<ViewEntry> entry = scan->Next()) {
    entries.push_back(ToEntry(*entry));
  }
  return entries;
}

// The values of a key by their text, what a reader of a group compares: winner first,
// or else sorted.
std::vector<std::string> Tokens(const Register& shown, bool by_tie) {
  std::vector<std::string> tokens = {shown.winner.value.ToText()};
  for (const Sibling& sibling : shown.conflicts) {
    tokens.push_back(sibling.value.ToText());
  }
  if (!by_tie) std::sort(tokens.begin(), tokens.end());
  return tokens;
}

std::uint64_t MillisecondsOf(Nanos time) {
  return static_cast<std::uint64_t>(time / std::chrono::milliseconds(1));
}

}  // namespace

std::string GroupKey(std::uint64_t group, std::size_t place) {
  return absl::StrFormat("group/%d/%d", group, place);
}

void Checker::Problem(std::size_t peer, const std::string& what) {
  world_->Problem(absl::StrFormat("%s: %s", world_->NameOf(peer), what));
}

void Checker::Sample(std::size_t peer) {
  if (!world_->IsUp(peer) || !world_->base(peer)->genesis_known()) return;
  ++samples_;
  const VersionVector held = world_->base(peer)->indexer()->Settled();
  CheckMonotonic(peer, held);
  const absl::StatusOr<std::vector<Entry>> entries = world_->Dump(peer);
  if (!entries.ok()) return Problem(peer, "scan: " + entries.status().ToString());
  const Model model(world_->writes(), held);
  const std::string difference = Difference(model, *entries);
  if (!difference.empty()) Problem(peer, "the view is wrong: " + difference);
  CheckGroups(peer, *entries);
  CheckOtherReads(peer, *entries);
  CheckPure(peer, *entries);
  CheckNoFork(peer);
}

void Checker::SampleByzantine(std::size_t peer) {
  if (!world_->IsUp(peer) || !world_->base(peer)->genesis_known()) return;
  ++samples_;
  const absl::StatusOr<std::vector<Entry>> entries = world_->Dump(peer);
  if (!entries.ok()) return Problem(peer, "scan: " + entries.status().ToString());
  CheckGroups(peer, *entries);
  CheckOtherReads(peer, *entries);
  CheckPure(peer, *entries);
}

// C5: within one life a version only grows; what was acknowledged is in every life's.
void Checker::CheckMonotonic(std::size_t peer, const VersionVector& held) {
  Progress& last = progress_[peer];
  if (last.life == world_->LivesOf(peer) && !held.Includes(last.held)) {
    Problem(peer, "C5: the version went back");
  }
  if (held.length(world_->WriterOf(peer)) < world_->AckedLength(peer)) {
    Problem(peer, "C5: it does not read its own acknowledged writes");
  }
  last = {world_->LivesOf(peer), held};
}

// I11, G5: the keys of a group are always written together.
void Checker::CheckGroups(std::size_t peer, const std::vector<Entry>& entries) {
  std::map<std::string, std::vector<const Entry*>> groups;
  for (const Entry& entry : entries) {
    if (!entry.key.starts_with("group/")) continue;
    groups[entry.key.substr(0, entry.key.rfind('/'))].push_back(&entry);
  }
  // Blocks of one batch have stamps of their own: a write beside it may win over some
  // of them, and lose to others.
  const bool by_tie = std::none_of(
      world_->writes().begin(), world_->writes().end(),
      [](const WriteRecord& write) { return write.end - write.first > 1; });
  for (const auto& [group, members] : groups) {
    bool whole = members.size() == kGroupKeys;
    for (const Entry* entry : members) {
      whole = whole && entry->value && members[0]->value &&
              Tokens(*entry->value, by_tie) == Tokens(*members[0]->value, by_tie);
    }
    if (!whole) Problem(peer, absl::StrFormat("I11: %s is shown in part", group));
  }
}

// Get, the backward scan and the index of conflicts say what the scan says.
void Checker::CheckOtherReads(std::size_t peer, const std::vector<Entry>& entries) {
  const Indexer& indexer = *world_->base(peer)->indexer();
  std::vector<Entry> backward =
      ReadAll(indexer.ScanView("", std::nullopt, /*reverse=*/true));
  std::reverse(backward.begin(), backward.end());
  std::vector<Entry> conflicts;
  for (const Entry& entry : entries) {
    if (HasConflict(entry)) conflicts.push_back(entry);
  }
  conflicts_ += conflicts.size();
  if (world_->plants_a_bug_in_reads()) return;
  if (ToText(backward) != ToText(entries)) {
    Problem(peer, "the backward scan differs from the forward one");
  }
  const std::vector<Entry> listed =
      ReadAll(indexer.ScanView("", std::nullopt, false, /*conflicts_only=*/true));
  if (ToText(listed) != ToText(conflicts)) {
    Problem(peer, "the list of conflicts is " + ToText(listed) + "and not " +
                      ToText(conflicts));
  }
  if (entries.empty()) return;
  const Entry& chosen = entries[samples_ % entries.size()];
  const absl::StatusOr<ViewEntry> got = indexer.Get(chosen.key);
  if (!got.ok() || ToText({ToEntry(*got)}) != ToText({chosen})) {
    Problem(peer, absl::StrFormat("get of %s differs from the scan", chosen.key));
  }
}

// I1, G2: one version, one root and one content, wherever and whenever.
void Checker::CheckPure(std::size_t peer, const std::vector<Entry>& entries) {
  // After an error of the disk a base reads, but has no root any more.
  if (world_->DiskFaultOf(peer)) return;
  const absl::StatusOr<RootInfo> info = world_->base(peer)->Root();
  if (!info.ok()) return Problem(peer, "root: " + info.status().ToString());
  world_->Note(absl::StrFormat(
      "%s shows %d keys, version %s, root %s", world_->NameOf(peer), entries.size(),
      info->version_digest.substr(0, 8), info->root.substr(0, 8)));
  const Shown now{info->root, ToText(entries)};
  const auto [first, fresh] = shown_.emplace(info->version_digest, now);
  if (fresh) return;
  if (first->second.root != now.root) {
    Problem(peer, absl::StrFormat("I1: version %s has roots %s and %s",
                                  info->version_digest, first->second.root, now.root));
  }
  if (first->second.text != now.text) {
    Problem(peer, absl::StrFormat("G2: version %s has two contents:\n%sand\n%s",
                                  info->version_digest, first->second.text, now.text));
  }
}

// I4: nobody ever holds two logs of one writer and length. An author may still lose
// what it has not acknowledged, so its own log counts only as far as that.
void Checker::CheckNoFork(std::size_t peer) {
  const Version version = world_->base(peer)->indexer()->CurrentVersion();
  for (const auto& [writer, prefix] : version.writers) {
    if (writer == world_->WriterOf(peer) && prefix.length > world_->AckedLength(peer)) {
      continue;
    }
    const auto [first, fresh] =
        told_.emplace(std::pair(writer, prefix.length), prefix.tree_hash);
    if (!fresh && first->second != prefix.tree_hash) {
      Problem(peer, absl::StrFormat("I4: %s has two contents of %d blocks",
                                    IdText(writer).substr(0, 8), prefix.length));
    }
  }
}

void Checker::CheckEnd() {
  std::set<std::string> digests;
  for (std::size_t peer = 0; peer < world_->size(); ++peer) {
    if (!world_->IsUp(peer)) continue;
    Sample(peer);
    const absl::StatusOr<RootInfo> info = world_->base(peer)->Root();
    if (info.ok()) digests.insert(info->version_digest + " " + info->root);
    CheckFates(peer);
    CheckClocks(peer);
    const absl::Status verified = Verify(*world_->base(peer));
    if (!verified.ok()) Problem(peer, "I2: " + verified.ToString());
    const BaseStatus status = world_->base(peer)->Status();
    if (!status.waiting.empty()) Problem(peer, "waits: " + status.waiting.front());
    if (!status.parked.empty()) Problem(peer, "parked: " + status.parked.front());
  }
  if (digests.size() > 1) {
    world_->Problem("I12: not equal in the end: " + world_->Digests());
  }
}

// I3, G1, D10: every op has one fate, and it says what became of it.
void Checker::CheckFates(std::size_t peer) {
  BaseNode& base = *world_->base(peer);
  const VersionVector held = base.indexer()->Settled();
  const Model model(world_->writes(), held);
  for (const WriteRecord& write : world_->writes()) {
    // The names of a lost write may belong to later ones.
    if (write.state == WriteRecord::State::kLost) continue;
    for (std::size_t i = 0; i < write.ops.size(); ++i) {
      const ModelOp op{&write, i};
      const absl::StatusOr<Fate> fate = base.FateOf(op.name());
      const std::string name = op.name().ToText();
      if (!fate.ok()) {
        Problem(peer, "fate of " + name + ": " + fate.status().ToString());
      } else if (held.length(write.writer) < write.end) {
        const bool promised = write.state == WriteRecord::State::kAcknowledged;
        if (promised) Problem(peer, "I3: acknowledged and not here: " + name);
      } else {
        CheckPutFate(peer, model, op, *fate);
      }
    }
  }
}

void Checker::CheckPutFate(std::size_t peer, const Model& model, const ModelOp& op,
                           const Fate& fate) {
  const std::string text =
      absl::StrFormat("G1: the fate of %s on %s is %s", op.name().ToText(),
                      op.what().key, std::string(FateName(fate.kind)));
  const bool stands =
      fate.kind == FateKind::kWinner || fate.kind == FateKind::kConflict;
  if (!stands && fate.kind != FateKind::kSuperseded &&
      fate.kind != FateKind::kRemoved) {
    return Problem(peer, text + " " + fate.reason);
  }
  if (!stands && fate.by.empty()) return Problem(peer, text + " by nobody");
  for (const OpName& name : fate.by) {
    const ModelOp* const later = model.Find(name);
    if (later == nullptr || later->what().key != op.what().key || !Before(op, *later)) {
      Problem(peer, text + " by " + name.ToText() + ", which has not seen it");
    }
  }
  if (!op.IsPut()) return;
  const auto entry = model.entries().find(op.what().key);
  const bool live =
      entry != model.entries().end() && entry->second.values.contains(op.name());
  if (stands != live) return Problem(peer, text + (live ? ": it is shown" : ""));
  if (!live) return;
  const absl::StatusOr<ViewEntry> shown =
      world_->base(peer)->indexer()->Get(op.what().key);
  const bool wins = shown.ok() && shown->value &&
                    ToOpName(shown->value->live.front().op) == op.name();
  if (wins != (fate.kind == FateKind::kWinner)) Problem(peer, text);
}

// I9: the stamps of a log rise, and remote clocks pull them by five minutes at most.
void Checker::CheckClocks(std::size_t peer) {
  for (std::size_t author = 0; author < world_->size(); ++author) {
    const CoreKey writer = world_->WriterOf(author);
    const auto core = world_->node(peer)->cores().Open(writer);
    if (!core.ok()) continue;
    const auto blocks = (*core)->GetRange(0, (*core)->contiguous_length());
    if (!blocks.ok()) {
      Problem(peer, "blocks: " + blocks.status().ToString());
      continue;
    }
    std::map<std::uint64_t, Nanos> walls;  // by position of the first block
    for (const WriteRecord& write : world_->writes()) {
      const bool there =
          write.peer == author && write.state != WriteRecord::State::kLost;
      if (there) walls[write.first] = write.wall;
    }
    LogState log(writer);
    Hlc last;
    for (const Bytes& block : *blocks) {
      const std::uint64_t position = log.position();
      const DecodedBlock decoded = DecodeBlock(log, block, Limits());
      if (!decoded.header.envelope) {
        Problem(peer, absl::StrFormat("block %d of %s has no envelope", position,
                                      world_->NameOf(author)));
        break;
      }
      const Hlc now = decoded.header.envelope->hlc;
      const auto wall = walls.find(position);
      const std::uint64_t most =
          wall == walls.end()
              ? now.ms
              : std::max(MillisecondsOf(wall->second) + kClockPullMs, last.ms + 1);
      if (position > 0 && now <= last) Problem(peer, "I9: a clock went back");
      if (now.ms > most) Problem(peer, "I9: a clock was pulled too far");
      last = now;
    }
  }
}

}  // namespace weft::sim
