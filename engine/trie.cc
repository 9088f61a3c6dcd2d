#include "engine/trie.h"

#include <bit>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_format.h"
#include "engine/check.h"
#include "engine/trie_proof.h"

namespace weft {
namespace {

constexpr std::uint8_t kRootKey = 0xff;

struct Branch;

// What hangs at a child's place or at the root: nothing (only at the root), a leaf or
// a branch. `path` leads from the nibble to the branch or to the end of the key.
struct Edge {
  enum class Kind : std::uint8_t { kEmpty = 0, kBranch = 1, kLeaf = 3 };

  Hash32 hash{};  // not valid while the branch is stale
  NibblePath path;
  std::unique_ptr<Branch> branch;  // null unless a branch that is in memory
  Kind kind = Kind::kEmpty;
};

struct Branch {
  std::optional<Hash32> value;
  std::uint16_t child_map = 0;
  bool stale = false;      // must be hashed; so must every branch above
  bool unsaved = false;    // must be written; so must every branch above
  bool stored = false;     // there is a record of it
  std::uint32_t used = 0;  // the flush interval of the last use
  std::vector<Edge> children;

  std::size_t IndexOf(std::uint8_t nibble) const {
    return static_cast<std::size_t>(std::popcount(child_map & ((1U << nibble) - 1)));
  }
  bool Has(std::uint8_t nibble) const { return (child_map >> nibble & 1) != 0; }
  Edge& Child(std::uint8_t nibble) { return children[IndexOf(nibble)]; }
  Edge& Add(std::uint8_t nibble, Edge edge) {
    WEFT_CHECK(!Has(nibble));
    if (children.capacity() == 0) children.reserve(2);
    const auto at = children.begin() + static_cast<std::ptrdiff_t>(IndexOf(nibble));
    child_map = static_cast<std::uint16_t>(child_map | 1U << nibble);
    return *children.insert(at, std::move(edge));
  }
  void Remove(std::uint8_t nibble) {
    WEFT_CHECK(Has(nibble));
    children.erase(children.begin() + static_cast<std::ptrdiff_t>(IndexOf(nibble)));
    child_map = static_cast<std::uint16_t>(child_map & ~(1U << nibble));
  }
  std::uint8_t OnlyNibble() const {
    return static_cast<std::uint8_t>(std::countr_zero(child_map));
  }
};

Edge LeafEdge(NibbleView path, const Hash32& hash) {
  Edge edge;
  edge.hash = hash;
  edge.path = NibblePath(path);
  edge.kind = Edge::Kind::kLeaf;
  return edge;
}

void WriteEdge(Bytes* out, const Edge& edge) {
  WriteNibbles(out, edge.path.view());
  Append(*out, edge.hash.view());
}

Edge ReadEdge(Reader& reader, Edge::Kind kind) {
  Edge edge;
  edge.kind = kind;
  edge.path = ReadNibbles(reader);
  edge.hash = reader.Fixed<Hash32>();
  return edge;
}

Bytes EncodeRecord(const Branch& branch) {
  Bytes record;
  WriteTrieValue(&record, branch.value);
  std::uint16_t leaf_map = 0;
  unsigned left = branch.child_map;
  for (const Edge& child : branch.children) {
    const unsigned lowest = left & -left;
    if (child.kind == Edge::Kind::kLeaf) {
      leaf_map = static_cast<std::uint16_t>(leaf_map | lowest);
    }
    left &= ~lowest;
  }
  Writer writer(&record);
  writer.U16(branch.child_map);
  writer.U16(leaf_map);
  for (const Edge& child : branch.children) WriteEdge(&record, child);
  return record;
}

// Null if the bytes are no record.
std::unique_ptr<Branch> DecodeRecord(ByteView record) {
  Reader reader(record);
  auto branch = std::make_unique<Branch>();
  branch->value = ReadTrieValue(reader);
  branch->child_map = reader.U16();
  const std::uint16_t leaf_map = reader.U16();
  branch->children.reserve(static_cast<std::size_t>(std::popcount(branch->child_map)));
  for (unsigned nibble = 0; nibble < 16; ++nibble) {
    if ((branch->child_map >> nibble & 1) == 0) continue;
    const bool leaf = (leaf_map >> nibble & 1) != 0;
    branch->children.push_back(
        ReadEdge(reader, leaf ? Edge::Kind::kLeaf : Edge::Kind::kBranch));
  }
  if (!reader.ok() || !reader.done()) return nullptr;
  branch->stored = true;
  return branch;
}

}  // namespace

struct Trie::State {
  Storage* storage = nullptr;  // not owned; null in memory only
  Bytes prefix;
  Options options;
  Edge root;
  bool root_unsaved = false;
  std::uint32_t interval = 1;   // flushes so far, and one
  std::size_t resident = 0;     // branches in memory
  std::vector<Bytes> vanished;  // keys of records to delete at the next flush
  Bytes scratch;                // for hashing
  // The branches that the current change has passed, the topmost first.
  absl::InlinedVector<Branch*, 32> passed;

  Bytes RecordKey(NibbleView way) const {
    Bytes key = prefix;
    key.reserve(prefix.size() + way.size());
    for (std::size_t i = 0; i < way.size(); ++i) key.push_back(way[i]);
    return key;
  }

  Bytes RootKey() const {
    Bytes key = prefix;
    key.push_back(kRootKey);
    return key;
  }

  Hash32 HashOf(NibbleView path, const Branch& branch) {
    scratch.clear();
    WriteTrieBranchHead(&scratch, path, branch.value, branch.child_map);
    for (const Edge& child : branch.children) Append(scratch, child.hash.view());
    return Blake2b256(scratch);
  }

  void HashStale(Edge& edge) {
    if (edge.branch == nullptr || !edge.branch->stale) return;
    for (Edge& child : edge.branch->children) HashStale(child);
    edge.hash = HashOf(edge.path.view(), *edge.branch);
    edge.branch->stale = false;
  }

  std::unique_ptr<Branch> NewBranch() {
    auto branch = std::make_unique<Branch>();
    branch->stale = branch->unsaved = true;
    branch->used = interval;
    ++resident;
    return branch;
  }

  // Makes sure that the branch of `edge`, at the end of `way`, is in memory.
  absl::Status Load(Edge& edge, NibbleView way) {
    if (edge.branch != nullptr) {
      edge.branch->used = interval;
      return absl::OkStatus();
    }
    WEFT_CHECK(storage != nullptr);
    WEFT_ASSIGN_OR_RETURN(const std::optional<Bytes> record,
                          storage->Get(Family::kView, RecordKey(way)));
    auto branch = record ? DecodeRecord(*record) : nullptr;
    if (branch == nullptr || HashOf(edge.path.view(), *branch) != edge.hash) {
      return absl::DataLossError(
          absl::StrFormat("trie: the branch at depth %d is %s", way.size(),
                          record ? "not the one its parent names" : "missing"));
    }
    branch->used = interval;
    ++resident;
    edge.branch = std::move(branch);
    return absl::OkStatus();
  }

  void MarkPassed() {
    for (Branch* branch : passed) branch->stale = branch->unsaved = true;
    root_unsaved = true;
  }

  absl::Status Set(NibbleView key, const Hash32& leaf);
  absl::Status Split(Edge& edge, std::size_t shared, NibbleView key, std::size_t depth,
                     const Hash32& leaf);
  absl::Status Erase(NibbleView key);
  absl::Status RemoveAt(Edge& edge, NibbleView key, std::size_t depth,
                        std::optional<std::uint8_t> nibble);
  absl::StatusOr<const Hash32*> Find(NibbleView key);
  void Save(Edge& edge, NibblePath& way, StorageBatch* batch);
  void DropUnused(Edge& edge, std::uint32_t oldest);
};

// Makes a branch in the middle of `edge`, where `key` leaves it. `depth` nibbles of
// the key lead to the edge and `shared` more run along it.
absl::Status Trie::State::Split(Edge& edge, std::size_t shared, NibbleView key,
                                std::size_t depth, const Hash32& leaf) {
  const NibblePath old_path = edge.path;
  const NibbleView old = old_path.view();
  if (edge.kind == Edge::Kind::kBranch) {
    // Its path becomes shorter, so that it must be hashed again.
    NibblePath way(key.First(depth));
    way.Append(old);
    WEFT_RETURN_IF_ERROR(Load(edge, way.view()));
    edge.branch->stale = true;
  }
  auto branch = NewBranch();
  if (old.size() == shared) {
    branch->value = edge.hash;
  } else {
    Edge below = std::move(edge);
    below.path = NibblePath(old.From(shared + 1));
    branch->Add(old[shared], std::move(below));
  }
  const NibbleView rest = key.From(depth + shared);
  if (rest.empty()) {
    branch->value = leaf;
  } else {
    branch->Add(rest[0], LeafEdge(rest.From(1), leaf));
  }
  edge = Edge();
  edge.kind = Edge::Kind::kBranch;
  edge.path = NibblePath(old.First(shared));
  edge.branch = std::move(branch);
  MarkPassed();
  return absl::OkStatus();
}

absl::Status Trie::State::Set(NibbleView key, const Hash32& leaf) {
  passed.clear();
  Edge* edge = &root;
  std::size_t depth = 0;
  for (;;) {
    const NibbleView rest = key.From(depth);
    if (edge->kind == Edge::Kind::kEmpty) {
      *edge = LeafEdge(rest, leaf);
      MarkPassed();
      return absl::OkStatus();
    }
    const std::size_t shared = CommonPrefix(edge->path.view(), rest);
    const bool whole_path = shared == edge->path.size();
    if (edge->kind == Edge::Kind::kLeaf && whole_path && shared == rest.size()) {
      if (edge->hash == leaf) return absl::OkStatus();
      edge->hash = leaf;
      MarkPassed();
      return absl::OkStatus();
    }
    if (edge->kind == Edge::Kind::kLeaf || !whole_path) {
      return Split(*edge, shared, key, depth, leaf);
    }
    depth += shared;
    WEFT_RETURN_IF_ERROR(Load(*edge, key.First(depth)));
    Branch& branch = *edge->branch;
    passed.push_back(&branch);
    if (depth == key.size()) {
      if (branch.value == leaf) return absl::OkStatus();
      branch.value = leaf;
      MarkPassed();
      return absl::OkStatus();
    }
    const std::uint8_t nibble = key[depth++];
    if (!branch.Has(nibble)) {
      branch.Add(nibble, LeafEdge(key.From(depth), leaf));
      MarkPassed();
      return absl::OkStatus();
    }
    edge = &branch.Child(nibble);
  }
}

// Removes the child at `nibble`, or the value, of the branch of `edge`, which `depth`
// nibbles of the key lead to, and dissolves the branch if one thing is left in it.
absl::Status Trie::State::RemoveAt(Edge& edge, NibbleView key, std::size_t depth,
                                   std::optional<std::uint8_t> nibble) {
  Branch& branch = *edge.branch;
  const std::size_t left = branch.children.size() + (branch.value ? 1 : 0) - 1;
  if (left == 1 && !(nibble && branch.value)) {
    const unsigned gone = nibble ? 1U << *nibble : 0U;
    const auto last =
        static_cast<std::uint8_t>(std::countr_zero(branch.child_map & ~gone));
    Edge& child = branch.Child(last);
    if (child.kind == Edge::Kind::kBranch) {
      NibblePath way(key.First(depth));
      way.Append(last);
      way.Append(child.path.view());
      WEFT_RETURN_IF_ERROR(Load(child, way.view()));
      child.branch->stale = true;
    }
    NibblePath path = edge.path;
    path.Append(last);
    path.Append(child.path.view());
    Edge merged = std::move(child);
    merged.path = std::move(path);
    if (branch.stored) vanished.push_back(RecordKey(key.First(depth)));
    edge = std::move(merged);
    --resident;
    passed.pop_back();
  } else if (left == 1) {
    if (branch.stored) vanished.push_back(RecordKey(key.First(depth)));
    const Hash32 value = *branch.value;
    edge = LeafEdge(NibblePath(edge.path).view(), value);
    --resident;
    passed.pop_back();
  } else if (nibble) {
    branch.Remove(*nibble);
  } else {
    branch.value.reset();
  }
  MarkPassed();
  return absl::OkStatus();
}

absl::Status Trie::State::Erase(NibbleView key) {
  passed.clear();
  Edge* edge = &root;
  Edge* parent = nullptr;
  std::size_t depth = 0;         // of the key, up to the edge
  std::size_t parent_depth = 0;  // of the key, up to the branch of `parent`
  while (edge->kind != Edge::Kind::kEmpty) {
    const NibbleView rest = key.From(depth);
    const std::size_t shared = CommonPrefix(edge->path.view(), rest);
    if (shared != edge->path.size()) return absl::OkStatus();
    if (edge->kind == Edge::Kind::kLeaf) {
      if (shared != rest.size()) return absl::OkStatus();
      if (parent != nullptr)
        return RemoveAt(*parent, key, parent_depth, key[parent_depth]);
      *edge = Edge();
      MarkPassed();
      return absl::OkStatus();
    }
    depth += shared;
    WEFT_RETURN_IF_ERROR(Load(*edge, key.First(depth)));
    Branch& branch = *edge->branch;
    passed.push_back(&branch);
    if (depth == key.size()) {
      if (!branch.value) return absl::OkStatus();
      return RemoveAt(*edge, key, depth, std::nullopt);
    }
    const std::uint8_t nibble = key[depth];
    if (!branch.Has(nibble)) return absl::OkStatus();
    parent = edge;
    parent_depth = depth++;
    edge = &branch.Child(nibble);
  }
  return absl::OkStatus();
}

absl::StatusOr<const Hash32*> Trie::State::Find(NibbleView key) {
  Edge* edge = &root;
  std::size_t depth = 0;
  while (edge->kind != Edge::Kind::kEmpty) {
    const NibbleView rest = key.From(depth);
    const std::size_t shared = CommonPrefix(edge->path.view(), rest);
    if (shared != edge->path.size()) return nullptr;
    if (edge->kind == Edge::Kind::kLeaf) {
      return shared == rest.size() ? &edge->hash : nullptr;
    }
    depth += shared;
    WEFT_RETURN_IF_ERROR(Load(*edge, key.First(depth)));
    Branch& branch = *edge->branch;
    if (depth == key.size()) return branch.value ? &*branch.value : nullptr;
    const std::uint8_t nibble = key[depth++];
    if (!branch.Has(nibble)) return nullptr;
    edge = &branch.Child(nibble);
  }
  return nullptr;
}

void Trie::State::Save(Edge& edge, NibblePath& way, StorageBatch* batch) {
  if (edge.branch == nullptr || !edge.branch->unsaved) return;
  Branch& branch = *edge.branch;
  const std::size_t above = way.size();
  way.Append(edge.path.view());
  batch->Put(Family::kView, RecordKey(way.view()), EncodeRecord(branch));
  branch.unsaved = false;
  branch.stored = true;
  unsigned left = branch.child_map;
  for (Edge& child : branch.children) {
    const std::size_t here = way.size();
    way.Append(static_cast<std::uint8_t>(std::countr_zero(left)));
    Save(child, way, batch);
    way.Truncate(here);
    left &= left - 1;
  }
  way.Truncate(above);
}

// Children first, so that what stays is a tree from the root down.
void Trie::State::DropUnused(Edge& edge, std::uint32_t oldest) {
  if (edge.branch == nullptr || resident <= options.resident_branches_max) return;
  bool childless = true;
  for (Edge& child : edge.branch->children) {
    DropUnused(child, oldest);
    childless = childless && child.branch == nullptr;
  }
  if (!childless || edge.branch->used >= oldest) return;
  if (resident <= options.resident_branches_max) return;
  edge.branch.reset();
  --resident;
}

Trie::Trie() : state_(std::make_unique<State>()) {}
Trie::~Trie() = default;

absl::StatusOr<std::unique_ptr<Trie>> Trie::Open(Storage* storage, Bytes prefix) {
  return Open(storage, std::move(prefix), Options());
}

absl::StatusOr<std::unique_ptr<Trie>> Trie::Open(Storage* storage, Bytes prefix,
                                                 Options options) {
  auto trie = std::make_unique<Trie>();
  State& state = *trie->state_;
  state.storage = storage;
  state.prefix = std::move(prefix);
  state.options = options;
  WEFT_ASSIGN_OR_RETURN(const std::optional<Bytes> record,
                        storage->Get(Family::kView, state.RootKey()));
  if (!record) return trie;
  Reader reader(*record);
  const std::uint8_t kind = reader.U8();
  if (kind == static_cast<std::uint8_t>(Edge::Kind::kBranch) ||
      kind == static_cast<std::uint8_t>(Edge::Kind::kLeaf)) {
    state.root = ReadEdge(reader, static_cast<Edge::Kind>(kind));
  } else if (kind != 0) {
    reader.Fail();
  }
  if (!reader.ok() || !reader.done()) {
    return absl::DataLossError("trie: the record of the root is damaged");
  }
  return trie;
}

absl::Status Trie::Set(ByteView key, const Hash32& leaf) {
  return state_->Set(NibbleView(key), leaf);
}

absl::Status Trie::Erase(ByteView key) {
  return state_->Erase(NibbleView(key));
}

absl::StatusOr<std::optional<Hash32>> Trie::Get(ByteView key) {
  WEFT_ASSIGN_OR_RETURN(const Hash32* hash, state_->Find(NibbleView(key)));
  return hash == nullptr ? std::nullopt : std::optional<Hash32>(*hash);
}

bool Trie::empty() const {
  return state_->root.kind == Edge::Kind::kEmpty;
}

std::size_t Trie::resident_branches() const {
  return state_->resident;
}

Hash32 Trie::Root() {
  if (empty()) return EmptyTrieRoot();
  state_->HashStale(state_->root);
  return state_->root.hash;
}

void Trie::Flush(StorageBatch* batch) {
  State& state = *state_;
  WEFT_CHECK(state.storage != nullptr);
  state.HashStale(state.root);
  for (Bytes& key : state.vanished) batch->Delete(Family::kView, std::move(key));
  state.vanished.clear();
  if (state.root_unsaved) {
    Bytes record = {static_cast<std::uint8_t>(state.root.kind)};
    if (!empty()) WriteEdge(&record, state.root);
    batch->Put(Family::kView, state.RootKey(), std::move(record));
    state.root_unsaved = false;
  }
  NibblePath way;
  state.Save(state.root, way, batch);
  for (const std::uint32_t age : {16U, 4U, 1U, 0U}) {
    if (state.interval >= age) state.DropUnused(state.root, state.interval - age + 1);
  }
  ++state.interval;
}

absl::StatusOr<TrieSlot> Trie::SlotAt(NibbleView way) {
  State& state = *state_;
  state.HashStale(state.root);
  TrieSlot slot;
  slot.hash = EmptyTrieRoot();
  Edge* edge = &state.root;
  std::size_t depth = 0;
  for (;;) {
    if (edge->kind == Edge::Kind::kEmpty) return slot;
    const NibbleView rest = way.From(depth);
    const std::size_t shared = CommonPrefix(edge->path.view(), rest);
    if (shared != edge->path.size() && shared != rest.size()) return slot;
    NibblePath here(way.First(depth));
    here.Append(edge->path.view());
    const bool branch_here = edge->kind == Edge::Kind::kBranch;
    if (branch_here) WEFT_RETURN_IF_ERROR(state.Load(*edge, here.view()));
    if (shared == rest.size()) {
      slot.kind = branch_here ? TrieSlot::Kind::kBranch : TrieSlot::Kind::kLeaf;
      slot.way = std::move(here);
      slot.hash = edge->hash;
      if (!branch_here) return slot;
      slot.branch.path = edge->path;
      slot.branch.value = edge->branch->value;
      slot.branch.child_map = edge->branch->child_map;
      for (const Edge& child : edge->branch->children) {
        slot.branch.children.push_back(child.hash);
      }
      return slot;
    }
    depth += shared;
    if (!branch_here || !edge->branch->Has(way[depth])) return slot;
    edge = &edge->branch->Child(way[depth++]);
  }
}

absl::StatusOr<TrieProof> Trie::Prove(ByteView key, const LeafSource& source) {
  const NibbleView nibbles(key);
  TrieProof proof;
  std::size_t depth = 0;
  for (;;) {
    WEFT_ASSIGN_OR_RETURN(const TrieSlot slot, SlotAt(nibbles.First(depth)));
    if (slot.kind == TrieSlot::Kind::kEmpty) return proof;
    Hash32 end = slot.hash;
    Bytes end_key(slot.way.packed().begin(), slot.way.packed().end());
    if (slot.kind == TrieSlot::Kind::kBranch) {
      proof.branches.push_back(EncodeTrieBranch(slot.branch));
      const std::size_t shared =
          CommonPrefix(slot.branch.path.view(), nibbles.From(depth));
      depth += shared;
      if (shared != slot.branch.path.size()) return proof;
      if (depth != nibbles.size()) {
        if (!slot.branch.HasChild(nibbles[depth])) return proof;
        ++depth;
        continue;
      }
      if (!slot.branch.value) return proof;
      end = *slot.branch.value;
    }
    WEFT_ASSIGN_OR_RETURN(const Bytes lanes, source(end_key));
    if (TrieLeafHash(end_key, lanes) != end) {
      return absl::InternalError(absl::StrFormat(
          "trie: the lanes given for key %s are not those that were set",
          ToHex(end_key)));
    }
    proof.leaf = EncodeTrieLeaf(end_key, lanes);
    return proof;
  }
}

}  // namespace weft
