#include "weft/base.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "query/snapshot.h"
#include "weft/convert.h"
#include "weft/store_impl.h"

namespace weft {
// --- Entries ---

class Entries::Source {
 public:
  Source(std::shared_ptr<BaseImpl> base, const Range& range, bool conflicts_only)
      : base_(std::move(base)) {
    const Indexer* const reader = base_->node->reader();
    if (reader == nullptr) return;
    scan_ = conflicts_only ? SnapshotScan::Conflicts(*reader, ToKeyRange(range))
                           : SnapshotScan::Entries(*reader, ToKeyRange(range));
  }

  std::optional<Entry> Next() {
    if (!scan_) return std::nullopt;
    const std::optional<ViewEntry> entry = scan_->Next();
    if (!entry) return std::nullopt;
    return ToEntry(*entry);
  }
  absl::Status status() const { return scan_ ? scan_->status() : absl::OkStatus(); }

 private:
  std::shared_ptr<BaseImpl> base_;  // keeps the indexer
  std::optional<SnapshotScan> scan_;
};

Entries::Entries(std::shared_ptr<Source> source) : source_(std::move(source)) {
  Advance();
}

void Entries::Advance() {
  current_ = source_->Next();
}

absl::Status Entries::status() const {
  return source_->status();
}

// --- Base ---

std::string Base::name() const {
  return impl_->store->Run([&] { return impl_->node->name(); });
}

std::string Base::id() const {
  return ToZBase32(impl_->node->base_id().view());
}

std::string Base::link() const {
  return impl_->store->Run([&] { return ToText(impl_->node->MakeLink()); });
}

std::string Base::identity() const {
  return impl_->store->Run(
      [&] { return ToZBase32(impl_->node->record().identity.view()); });
}

absl::StatusOr<Committed> Base::Commit(const Batch& batch) {
  return impl_->store->CommitDurably(impl_->node,
                                     [&] { return impl_->node->CommitLogged(batch); });
}

absl::StatusOr<OpName> Base::Put(std::string_view key, const Datum& value) {
  Batch batch;
  batch.Put(key, value);
  return FirstOp(Commit(batch));
}

absl::StatusOr<OpName> Base::Delete(std::string_view key) {
  Batch batch;
  batch.Delete(key);
  return FirstOp(
      impl_->store->CommitDurably(impl_->node, [&]() -> absl::StatusOr<Committed> {
        WEFT_RETURN_IF_ERROR(Get(key).status());
        return impl_->node->CommitLogged(batch);
      }));
}

absl::StatusOr<OpName> Base::Set(std::string_view table_key,
                                 std::vector<std::pair<std::string, Datum>> cells) {
  Batch batch;
  batch.Set(table_key, std::move(cells));
  return FirstOp(Commit(batch));
}

absl::StatusOr<OpName> Base::Unset(std::string_view table_key,
                                   std::vector<std::string> columns) {
  Batch batch;
  batch.Unset(table_key, columns);
  return FirstOp(
      impl_->store->CommitDurably(impl_->node, [&]() -> absl::StatusOr<Committed> {
        WEFT_ASSIGN_OR_RETURN(const Entry entry, Get(table_key));
        const bool any =
            std::any_of(columns.begin(), columns.end(), [&](const auto& name) {
              return entry.cells.contains(name) || entry.lane_cells.contains(name);
            });
        if (!any) {
          return absl::NotFoundError(absl::StrFormat(
              "key %s: none of these cells is set", std::string(table_key)));
        }
        return impl_->node->CommitLogged(batch);
      }));
}

absl::StatusOr<OpName> Base::Erase(std::string_view table_key) {
  Batch batch;
  batch.Erase(table_key);
  return FirstOp(
      impl_->store->CommitDurably(impl_->node, [&]() -> absl::StatusOr<Committed> {
        WEFT_ASSIGN_OR_RETURN(const Entry entry, Get(table_key));
        if (!entry.is_record) {
          return absl::NotFoundError(
              absl::StrFormat("key %s: there is no record", std::string(table_key)));
        }
        return impl_->node->CommitLogged(batch);
      }));
}

absl::StatusOr<Entry> Base::Get(std::string_view key) const {
  ViewEntry entry;
  if (const Indexer* const reader = impl_->node->reader()) {
    WEFT_ASSIGN_OR_RETURN(entry, reader->Get(key));
  }
  if (entry.readable()) return ToEntry(entry);
  return absl::NotFoundError(absl::StrFormat("key %s: there is nothing", key));
}

Entries Base::Scan(const Range& range) const {
  return Entries(std::make_shared<Entries::Source>(impl_, range, false));
}

Entries Base::Conflicts(const Range& range) const {
  return Entries(std::make_shared<Entries::Source>(impl_, range, true));
}

std::shared_ptr<void> Base::Watch(
    const Range& range, std::function<void(const std::vector<Change>&)> callback) {
  if (!callback) return nullptr;
  // The handle keeps the store open, whose thread it is registered with.
  struct Watching {
    ~Watching() { base->store->EndWatch(std::move(watcher)); }
    std::shared_ptr<BaseImpl> base;
    std::shared_ptr<void> watcher;
  };
  auto watching = std::make_shared<Watching>();
  watching->base = impl_;
  watching->watcher = impl_->store->watches().Add(
      impl_->node, ToKeyRange(range),
      [callback = std::move(callback)](const std::vector<ViewChange>& view_changes) {
        std::vector<Change> changes;
        for (const ViewChange& view : view_changes) {
          Change change{view.key, std::nullopt, std::nullopt};
          if (view.before.readable()) change.before = ToEntry(view.before);
          if (view.after.readable()) change.after = ToEntry(view.after);
          changes.push_back(std::move(change));
        }
        callback(changes);
      });
  return watching;
}

std::vector<Member> Base::Members() const {
  return impl_->store->Run([&] { return impl_->node->Members(); });
}

absl::Status Base::WaitAcked(std::string_view writer, std::uint64_t length,
                             std::size_t peers, std::chrono::milliseconds timeout) {
  WEFT_ASSIGN_OR_RETURN(const CoreKey key, ParseId("writer", writer));
  return impl_->store->RunTask(impl_->store->node().WaitAcked(impl_->node, key, length,
                                                              peers, ToNanos(timeout)));
}

absl::StatusOr<RootInfo> Base::Root() const {
  return impl_->store->Run([&] { return impl_->node->Root(); });
}

absl::StatusOr<Fate> Base::FateOf(const OpName& op) const {
  return impl_->store->Run([&] { return impl_->node->FateOf(op); });
}

BaseStatus Base::Status() const {
  return impl_->store->Run([&] { return impl_->store->node().StatusOf(*impl_->node); });
}

absl::Status Base::Verify() const {
  std::unique_ptr<Verification> verification;
  for (bool done = false; !done;) {
    WEFT_ASSIGN_OR_RETURN(done, impl_->store->Run([&] {
      return impl_->node->VerifySome(&verification);
    }));
  }
  // The root is kept beside the entries: those may be damaged all the same.
  Entries entries = Scan(All());
  for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
  }
  return entries.status();
}

}  // namespace weft
