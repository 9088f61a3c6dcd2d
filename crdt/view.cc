#include "crdt/view.h"

#include <algorithm>
#include <mutex>

#include "engine/key_layout.h"

namespace weft {
namespace {

// So many go in one by one where others are in order.
constexpr std::size_t kFewChanged = 16;

}  // namespace

View::View(Storage* storage, std::uint64_t base, std::size_t siblings_max, bool empty,
           const Counts& counts)
    : storage_(storage),
      base_(base),
      siblings_max_(siblings_max),
      complete_(empty),
      counts_(counts) {}

absl::Status View::Load(std::span<const std::string_view> keys) {
  if (complete_) return absl::OkStatus();
  std::vector<std::string_view> missing;
  for (const std::string_view key : keys) {
    if (!entries_.contains(key)) missing.push_back(key);
  }
  if (missing.empty()) return absl::OkStatus();
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  std::vector<Bytes> rows;
  rows.reserve(missing.size());
  for (const std::string_view key : missing) {
    rows.push_back(keys::ViewKey(base_, AsBytes(key)));
  }
  WEFT_ASSIGN_OR_RETURN(const auto found,
                        storage_->MultiGet(Family::kView, rows, nullptr));
  std::vector<std::unique_ptr<Entry>> loaded;
  for (std::size_t i = 0; i < missing.size(); ++i) {
    auto entry = std::make_unique<Entry>();
    entry->key = std::string(missing[i]);
    if (found[i]) {
      WEFT_ASSIGN_OR_RETURN(entry->state, Decode(entry->key, *found[i], nullptr));
      entry->readable = entry->state.readable();
      entry->conflict = entry->state.has_conflict();
      entry->conflict_stored = entry->conflict;
    }
    loaded.push_back(std::move(entry));
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  for (std::unique_ptr<Entry>& entry : loaded) {
    const std::string_view name = entry->key;
    entries_.emplace(name, std::move(entry));
  }
  return absl::OkStatus();
}

View::Entry* View::Touch(std::string_view key) {
  if (const auto found = entries_.find(key); found != entries_.end()) {
    return found->second.get();
  }
  auto entry = std::make_unique<Entry>();
  entry->key = std::string(key);
  Entry* result = entry.get();
  entries_.emplace(std::string_view(result->key), std::move(entry));
  return result;
}

void View::Changed(Entry* entry) {
  const bool readable = entry->state.readable();
  const bool conflict = readable && entry->state.has_conflict();
  counts_.keys += (readable ? 1U : 0U);
  counts_.keys -= (entry->readable ? 1U : 0U);
  counts_.conflicts += (conflict ? 1U : 0U);
  counts_.conflicts -= (entry->conflict ? 1U : 0U);
  entry->readable = readable;
  entry->conflict = conflict;
  if (!entry->dirty) {
    entry->dirty = true;
    dirty_.push_back(entry);
  }
  if (!entry->leaf_dirty) {
    entry->leaf_dirty = true;
    leaf_dirty_.push_back(entry);
  }
}

absl::StatusOr<const SequenceLane*> View::HeldSequence(std::string_view key, Lane tag) {
  WEFT_RETURN_IF_ERROR(Load(std::span(&key, 1)));
  const std::lock_guard<std::mutex> lock(mutex_);
  const KeyState& state = Touch(key)->state;
  return tag == Lane::kText ? state.text.get() : state.list.get();
}

ViewEntry View::ResolveHeld(const Entry& entry) const {
  return Resolve(entry.key, entry.state, writers_, siblings_max_);
}

void View::BeginAnew() {
  const std::lock_guard<std::mutex> lock(mutex_);
  anew_ = true;
}

void View::Forget() {
  const std::lock_guard<std::mutex> lock(mutex_);
  dirty_.clear();
  dirty_in_order_.clear();
  leaf_dirty_.clear();
  entries_.clear();
  counts_ = {};
  complete_ = true;
}

void View::EndAnew() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    anew_ = false;
  }
  ready_.notify_all();
}

absl::Status View::UpdateTrie(Trie* trie) {
  std::sort(leaf_dirty_.begin(), leaf_dirty_.end(),
            [](const Entry* a, const Entry* b) { return a->key < b->key; });
  for (Entry* entry : leaf_dirty_) {
    const ByteView key = AsBytes(entry->key);
    if (entry->readable) {
      const Bytes lanes = [&] {
        // A sequence keeps the hashes of its pages, and readers copy it.
        const std::lock_guard<std::mutex> lock(mutex_);
        return LeafLanesOf(entry->state, writers_);
      }();
      WEFT_RETURN_IF_ERROR(trie->Set(key, TrieLeafHash(key, lanes)));
    } else {
      WEFT_RETURN_IF_ERROR(trie->Erase(key));
    }
    entry->leaf_dirty = false;
  }
  leaf_dirty_.clear();
  return absl::OkStatus();
}

void View::FlushPages(std::string_view key, Lane tag, SequenceLane* lane,
                      StorageBatch* batch) const {
  if (lane == nullptr) return;
  // A sequence notes which pages are stored, and readers copy it.
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto lane_number = static_cast<std::uint8_t>(tag);
  if (lane->replaces()) {
    const ScanRange all = keys::SequencePages(base_, AsBytes(key), lane_number);
    batch->DeleteRange(Family::kView, all.from, *all.to);
  }
  lane->StorePages([&](WriterNumber writer, std::uint64_t page, Bytes row) {
    batch->Put(Family::kView,
               keys::SequencePage(base_, AsBytes(key), lane_number, writer, page),
               std::move(row));
  });
}

void View::Flush(StorageBatch* batch) {
  // dirty_ is sorted in a copy: readers walk the list itself.
  std::vector<Entry*> sorted = dirty_;
  std::sort(sorted.begin(), sorted.end(),
            [](const Entry* a, const Entry* b) { return a->key < b->key; });
  for (const Entry* entry : sorted) {
    const ByteView key = AsBytes(entry->key);
    batch->Put(Family::kView, keys::ViewKey(base_, key), EncodeKeyState(entry->state));
  }
  for (Entry* entry : sorted) {
    FlushPages(entry->key, Lane::kText, entry->state.text.get(), batch);
    FlushPages(entry->key, Lane::kList, entry->state.list.get(), batch);
  }
  for (Entry* entry : sorted) {
    Bytes row = keys::ViewConflict(base_, AsBytes(entry->key));
    if (entry->conflict) {
      batch->Put(Family::kView, std::move(row), {});
      entry->conflict_stored = true;
    } else if (entry->conflict_stored) {
      batch->Delete(Family::kView, std::move(row));
      entry->conflict_stored = false;
    }
  }
}

void View::MarkFlushed(std::size_t cache_keys_max) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Entry* entry : dirty_) {
    entry->dirty = false;
    if (entry->state.record) entry->state.record->EndReplay();
  }
  dirty_.clear();
  dirty_in_order_.clear();
  // Whoever is not asked for again costs one look-up; keeping count of use would cost
  // more than that at every op.
  if (entries_.size() > cache_keys_max && leaf_dirty_.empty()) {
    entries_.clear();
    complete_ = false;
  }
}

absl::StatusOr<KeyState> View::Decode(std::string_view key, ByteView row,
                                      const StorageSnapshot* snapshot) const {
  WEFT_ASSIGN_OR_RETURN(KeyState state, DecodeKeyState(row, writers_.size()));
  WEFT_RETURN_IF_ERROR(ReadPages(key, Lane::kText, state.text.get(), snapshot));
  WEFT_RETURN_IF_ERROR(ReadPages(key, Lane::kList, state.list.get(), snapshot));
  return state;
}

absl::Status View::ReadPages(std::string_view key, Lane tag, SequenceLane* lane,
                             const StorageSnapshot* snapshot) const {
  if (lane == nullptr) return absl::OkStatus();
  const auto malformed = absl::DataLossError("the rows of a sequence are malformed");
  auto rows = storage_->Scan(
      Family::kView,
      keys::SequencePages(base_, AsBytes(key), static_cast<std::uint8_t>(tag)),
      snapshot);
  for (; rows->valid(); rows->Next()) {
    const auto [writer, page] = keys::PlaceOfSequencePage(rows->key());
    if (writer >= writers_.size()) return malformed;
    if (!lane->ReadPage(static_cast<WriterNumber>(writer), page, rows->value())) {
      return malformed;
    }
  }
  WEFT_RETURN_IF_ERROR(rows->status());
  return lane->FinishRead(writers_) ? absl::OkStatus() : malformed;
}

template <class Use>
absl::Status View::WithState(std::string_view key, Use use) const {
  std::unique_lock<std::mutex> lock(mutex_);
  ready_.wait(lock, [this] { return !anew_; });
  if (const auto found = entries_.find(key); found != entries_.end()) {
    use(found->second->state);
    return absl::OkStatus();
  }
  if (complete_) return absl::OkStatus();
  WEFT_ASSIGN_OR_RETURN(
      const std::optional<Bytes> row,
      storage_->Get(Family::kView, keys::ViewKey(base_, AsBytes(key)), nullptr));
  if (!row) return absl::OkStatus();
  WEFT_ASSIGN_OR_RETURN(const KeyState state, Decode(key, *row, nullptr));
  use(state);
  return absl::OkStatus();
}

absl::StatusOr<ViewEntry> View::Get(std::string_view key) const {
  ViewEntry entry;
  entry.key = std::string(key);
  WEFT_RETURN_IF_ERROR(WithState(key, [&](const KeyState& state) {
    entry = Resolve(key, state, writers_, siblings_max_);
  }));
  return entry;
}

absl::StatusOr<LaneMask> View::LanesAt(std::string_view key) const {
  LaneMask lanes = 0;
  WEFT_RETURN_IF_ERROR(
      WithState(key, [&](const KeyState& state) { lanes = state.lanes(); }));
  return lanes;
}

absl::Status View::ReadSequence(
    std::string_view key, Lane tag,
    const std::function<void(const SequenceLane&)>& use) const {
  return WithState(key, [&](const KeyState& state) {
    const auto& lane = tag == Lane::kText ? state.text : state.list;
    if (lane) use(*lane);
  });
}

// Whoever reads between writes finds few new ones, and pays for those.
const std::vector<View::Entry*>& View::DirtyInOrder() const {
  const auto by_key = [](const Entry* a, const Entry* b) { return a->key < b->key; };
  std::vector<Entry*>& sorted = dirty_in_order_;
  const auto known = static_cast<std::ptrdiff_t>(sorted.size());
  if (dirty_.size() - sorted.size() <= kFewChanged) {
    for (auto it = dirty_.begin() + known; it != dirty_.end(); ++it) {
      sorted.insert(std::upper_bound(sorted.begin(), sorted.end(), *it, by_key), *it);
    }
  } else {
    sorted.insert(sorted.end(), dirty_.begin() + known, dirty_.end());
    std::sort(sorted.begin() + known, sorted.end(), by_key);
    std::inplace_merge(sorted.begin(), sorted.begin() + known, sorted.end(), by_key);
  }
  return sorted;
}

// Merges what was changed and not yet stored with the rows of a snapshot.
class ViewScanner final : public ViewScan {
 public:
  // The lock of `view` is held. Of what was changed, no more is copied than `limit`
  // entries can show.
  ViewScanner(const View* view, std::string_view from,
              std::optional<std::string_view> to, bool reverse, bool conflicts_only,
              std::uint64_t limit)
      : view_(view), reverse_(reverse), conflicts_only_(conflicts_only) {
    const std::vector<View::Entry*>& dirty = view->DirtyInOrder();
    const auto before = [](const View::Entry* entry, std::string_view key) {
      return entry->key < key;
    };
    auto first = std::lower_bound(dirty.begin(), dirty.end(), from, before);
    auto last = to ? std::lower_bound(first, dirty.end(), *to, before) : dirty.end();
    while (first != last && limit > 0) {
      const View::Entry* const entry = reverse_ ? *--last : *first++;
      const bool listed = conflicts_only ? entry->conflict : entry->readable;
      changed_.push_back(
          {entry->key, listed ? entry->state.Copy() : KeyState(), listed});
      if (listed) --limit;
    }
    const auto row = conflicts_only ? keys::ViewConflict : keys::ViewKey;
    ScanRange range;
    range.from = row(view->base_, AsBytes(from));
    range.to = to ? row(view->base_, AsBytes(*to)) : PrefixEnd(row(view->base_, {}));
    range.reverse = reverse;
    snapshot_ = view->storage_->TakeSnapshot();
    if (!to || from < *to) {
      rows_ = view->storage_->Scan(Family::kView, range, snapshot_.get());
    }
  }

  std::optional<ViewEntry> Next() override {
    while (status_.ok()) {
      const bool row = rows_ && rows_->valid();
      if (!row && rows_ && !rows_->status().ok()) {
        status_ = rows_->status();
        break;
      }
      if (!row && next_ == changed_.size()) break;
      const std::string_view row_key =
          row ? AsText(keys::KeyOfView(rows_->key())) : std::string_view();
      if (next_ < changed_.size() &&
          (!row || !ComesFirst(row_key, changed_[next_].key))) {
        const Changed& changed = changed_[next_++];
        if (row && row_key == changed.key) rows_->Next();
        if (changed.listed) return ResolveNow(changed.key, changed.state);
        continue;
      }
      if (std::optional<ViewEntry> entry = ReadRow(row_key)) return entry;
    }
    return std::nullopt;
  }

  absl::Status status() const override { return status_; }

 private:
  struct Changed {
    std::string key;
    KeyState state;
    bool listed = false;
  };

  bool ComesFirst(std::string_view a, std::string_view b) const {
    return reverse_ ? b < a : a < b;
  }

  ViewEntry ResolveNow(std::string_view key, const KeyState& state) const {
    const std::lock_guard<std::mutex> lock(view_->mutex_);
    return Resolve(key, state, view_->writers_, view_->siblings_max_);
  }

  // The entry of the row at the cursor, which moves on; nullopt if it is not readable.
  std::optional<ViewEntry> ReadRow(std::string_view row_key) {
    const std::string key(row_key);
    Bytes row = ToBytes(rows_->value());
    rows_->Next();
    if (conflicts_only_) {
      auto found = view_->storage_->Get(
          Family::kView, keys::ViewKey(view_->base_, AsBytes(key)), snapshot_.get());
      status_ = found.status();
      if (!found.ok() || !*found) return std::nullopt;
      row = **std::move(found);
    }
    const std::lock_guard<std::mutex> lock(view_->mutex_);
    auto state = view_->Decode(key, row, snapshot_.get());
    status_ = state.status();
    if (!state.ok() || !state->readable()) return std::nullopt;
    return Resolve(key, *state, view_->writers_, view_->siblings_max_);
  }

  const View* view_;  // not owned
  bool reverse_;
  bool conflicts_only_;
  std::vector<Changed> changed_;
  std::size_t next_ = 0;
  std::shared_ptr<const StorageSnapshot> snapshot_;
  std::unique_ptr<StorageCursor> rows_;
  absl::Status status_;
};

std::unique_ptr<ViewScan> View::Scan(std::string_view from,
                                     std::optional<std::string_view> to, bool reverse,
                                     bool conflicts_only, std::uint64_t limit) const {
  std::unique_lock<std::mutex> lock(mutex_);
  ready_.wait(lock, [this] { return !anew_; });
  return std::make_unique<ViewScanner>(this, from, to, reverse, conflicts_only, limit);
}

}  // namespace weft
