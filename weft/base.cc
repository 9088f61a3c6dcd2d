#include "weft/base.h"

#include "absl/strings/str_format.h"
#include "weft/store_impl.h"

namespace weft {
namespace {

absl::StatusOr<CoreKey> ParseIdentity(std::string_view text) {
  const std::optional<Bytes> bytes = FromZBase32(text);
  std::optional<CoreKey> key;
  if (bytes) key = CoreKey::From(*bytes);
  if (!key) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "identity %s: it must be 52 characters of z-base-32, as join prints it",
        std::string(text)));
  }
  return *key;
}

absl::StatusOr<OpName> FirstOp(absl::StatusOr<Committed> committed) {
  if (!committed.ok()) return committed.status();
  return committed->ops.front();
}

}  // namespace

// --- Entries ---

Entries::Entries(std::shared_ptr<Source> source) : source_(std::move(source)) {
  Advance();
}

void Entries::Advance() { current_ = source_->Next(); }

absl::Status Entries::status() const { return source_->status(); }

// --- Base ---

std::string Base::name() const {
  return impl_->store->Run([&] { return impl_->node->name(); });
}

std::string Base::id() const { return ToZBase32(impl_->node->base_id().view()); }

std::string Base::link() const {
  return impl_->store->Run([&] { return ToText(impl_->node->MakeLink()); });
}

std::string Base::identity() const {
  return impl_->store->Run(
      [&] { return ToZBase32(impl_->node->record().identity.view()); });
}

absl::StatusOr<Committed> Base::Commit(const Batch& batch) {
  return impl_->store->CommitDurably(
      impl_->node, [&] { return impl_->node->CommitLogged(batch); });
}

absl::StatusOr<OpName> Base::Put(std::string_view key, const Datum& value) {
  Batch batch;
  batch.Put(key, value);
  return FirstOp(Commit(batch));
}

absl::StatusOr<OpName> Base::Delete(std::string_view key) {
  Batch batch;
  batch.Delete(key);
  return FirstOp(impl_->store->CommitDurably(
      impl_->node, [&]() -> absl::StatusOr<Committed> {
        WEFT_RETURN_IF_ERROR(impl_->node->Get(key).status());
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
  batch.Unset(table_key, std::move(columns));
  return FirstOp(Commit(batch));
}

absl::StatusOr<OpName> Base::Erase(std::string_view table_key) {
  Batch batch;
  batch.Erase(table_key);
  return FirstOp(impl_->store->CommitDurably(
      impl_->node, [&]() -> absl::StatusOr<Committed> {
        WEFT_ASSIGN_OR_RETURN(const Entry entry, impl_->node->Get(table_key));
        if (!entry.is_record) {
          return absl::NotFoundError(
              absl::StrFormat("key %s: there is no record", std::string(table_key)));
        }
        return impl_->node->CommitLogged(batch);
      }));
}

absl::StatusOr<Entry> Base::Get(std::string_view key) const {
  return impl_->store->Run([&] { return impl_->node->Get(key); });
}

Entries Base::Scan(const Range& range) const {
  return Entries(impl_->store->Run([&] { return impl_->node->Scan(range); }));
}

Entries Base::Conflicts(const Range& range) const {
  return Entries(impl_->store->Run([&] { return impl_->node->Conflicts(range); }));
}

std::shared_ptr<void> Base::Watch(
    const Range& range, std::function<void(const std::vector<Change>&)> callback) {
  // The handle keeps the store open, whose thread it is registered with.
  struct Watching {
    std::shared_ptr<BaseImpl> base;
    std::shared_ptr<void> watcher;
  };
  auto watching = std::make_shared<Watching>();
  watching->base = impl_;
  watching->watcher =
      impl_->store->watches().Add(impl_->node, range, std::move(callback));
  return watching;
}

absl::StatusOr<OpName> Base::Grant(std::string_view identity, Role role,
                                   std::string_view scope) {
  WEFT_ASSIGN_OR_RETURN(const CoreKey key, ParseIdentity(identity));
  if (role != Role::kReader && role != Role::kWriter) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "role %s: only reader and writer can be granted", std::string(RoleName(role))));
  }
  const GrantRole granted =
      role == Role::kWriter ? GrantRole::kWriter : GrantRole::kReader;
  return FirstOp(impl_->store->CommitDurably(impl_->node, [&] {
    return impl_->node->GrantLogged(key, granted, scope);
  }));
}

std::vector<Member> Base::Members() const {
  return impl_->store->Run([&] { return impl_->node->Members(); });
}

absl::StatusOr<RootInfo> Base::Root() const {
  return impl_->store->Run([&] { return impl_->node->Root(); });
}

Fate Base::FateOf(const OpName& op) const {
  return impl_->store->Run([&] { return impl_->node->FateOf(op); });
}

BaseStatus Base::Status() const {
  return impl_->store->Run([&] { return impl_->node->Status(); });
}

absl::Status Base::Verify() const {
  return impl_->store->Run([&] { return impl_->node->Verify(); });
}

}  // namespace weft
