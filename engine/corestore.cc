#include "engine/corestore.h"

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "engine/hypercore_state.h"
#include "engine/key_layout.h"
#include "engine/namespace.h"
#include "engine/store_directory.h"

namespace weft {
namespace {

const Hash32& CorestoreNamespace() {
  static const Hash32 value = NamespaceOf("corestore", 0);
  return value;
}

absl::Status NotInStore(ByteView key) {
  return absl::NotFoundError(
      absl::StrFormat("core %s is not in the store", ToHex(key)));
}

}  // namespace

struct Corestore::State {
  Storage* storage;  // not owned
  Random* random;    // not owned
  Seed primary_key;
  std::shared_ptr<CoreIndex> index = std::make_shared<CoreIndex>();

  ~State() { Wipe(primary_key.bytes); }

  absl::Status LoadPrimaryKey();
  absl::Status LoadHeads();
  absl::StatusOr<std::size_t> Require(const CoreKey& key) const;
  // The one open core of an entry.
  absl::StatusOr<std::shared_ptr<Hypercore>> Share(std::size_t entry);
  // That of an entry which was just made, and of which nothing is to be read.
  std::shared_ptr<Hypercore> ShareMade(std::size_t entry);
  // Makes those of which nothing is known, in one batch; returns their entries.
  absl::StatusOr<std::vector<std::size_t>> MakeRemotes(std::span<const CoreKey> keys);
  absl::StatusOr<std::size_t> Make(const CoreKey& key,
                                   const std::optional<Manifest>& manifest,
                                   const SecretKey* secret);
  // Changes what a head says besides the log itself. Durable when it returns.
  absl::Status Rewrite(std::size_t entry, bool removed,
                       const std::optional<Manifest>& manifest,
                       const SecretKey* secret);
};

Hash32 ChildNamespace(const Hash32& parent, ByteView name) {
  return Blake2b256({parent.view(), name});
}

KeyPair DeriveNamedKeyPair(const Seed& primary_key, const Hash32& name_space,
                           std::string_view name) {
  Seed seed{KeyedBlake2b256(primary_key.view(), {CorestoreNamespace().view(),
                                                 name_space.view(), AsBytes(name)})
                .bytes};
  KeyPair pair = KeyPairFromSeed(seed);
  Wipe(seed.bytes);
  return pair;
}

absl::Status Corestore::State::LoadPrimaryKey() {
  WEFT_ASSIGN_OR_RETURN(const auto format, storage->Get(Family::kMeta, keys::Format()));
  if (format) WEFT_RETURN_IF_ERROR(CheckStoreFormat("of these cores", *format));
  WEFT_ASSIGN_OR_RETURN(auto stored, storage->Get(Family::kMeta, keys::PrimaryKey()));
  if (stored) {
    const auto seed = Seed::From(*stored);
    Wipe(*stored);
    if (!seed) return absl::DataLossError("the store's primary key is damaged");
    primary_key = *seed;
    return absl::OkStatus();
  }
  primary_key = RandomSeed(*random);
  StorageBatch batch;
  batch.Put(Family::kMeta, keys::Format(), EncodeStoreFormat());
  batch.Put(Family::kMeta, keys::PrimaryKey(), ToBytes(primary_key.view()));
  return storage->Commit(batch, Durability::kSynced);
}

absl::Status Corestore::State::LoadHeads() {
  const auto cursor = storage->Scan(Family::kCores, keys::AllHeads());
  std::vector<CoreSummary> summaries;
  for (; cursor->valid(); cursor->Next()) {
    const auto number = keys::CoreOfHead(cursor->key());
    if (!number) return absl::DataLossError("a core's head has a foreign key");
    WEFT_ASSIGN_OR_RETURN(const CoreSummary summary,
                          DecodeSummary(*number, cursor->value()));
    summaries.push_back(summary);
  }
  WEFT_RETURN_IF_ERROR(cursor->status());
  index->Reserve(summaries.size());
  for (const CoreSummary& summary : summaries) index->Add(summary);
  // What a crash left in the log of the storage counts as durable only once it is.
  return summaries.empty() ? absl::OkStatus() : storage->Sync();
}

absl::StatusOr<std::size_t> Corestore::State::Require(const CoreKey& key) const {
  const auto entry = index->Find(DiscoveryKeyOf(key));
  if (!entry) return NotInStore(key.view());
  return *entry;
}

absl::StatusOr<std::shared_ptr<Hypercore>> Corestore::State::Share(std::size_t entry) {
  if (const auto found = index->open.find(entry); found != index->open.end()) {
    if (auto core = found->second.lock()) return core;
  }
  WEFT_ASSIGN_OR_RETURN(auto state, Hypercore::State::Load(storage, index, entry));
  auto core = std::make_shared<Hypercore>(std::move(state));
  index->open.insert_or_assign(entry, core);
  return core;
}

std::shared_ptr<Hypercore> Corestore::State::ShareMade(std::size_t entry) {
  auto core = std::make_shared<Hypercore>(
      std::make_unique<Hypercore::State>(storage, index, entry));
  index->open.insert_or_assign(entry, core);
  return core;
}

absl::StatusOr<std::vector<std::size_t>> Corestore::State::MakeRemotes(
    std::span<const CoreKey> keys) {
  std::vector<CoreSummary> made;
  StorageBatch batch;
  absl::flat_hash_set<CoreKey> seen;
  for (const CoreKey& key : keys) {
    CoreSummary summary;
    summary.key = key;
    summary.discovery_key = DiscoveryKeyOf(key);
    if (index->Find(summary.discovery_key) || !seen.insert(key).second) continue;
    summary.number = index->next_number() + made.size();
    batch.Put(Family::kCores, keys::Head(summary.number),
              EncodeHead(summary, CoreTip(), std::nullopt));
    made.push_back(summary);
  }
  std::vector<std::size_t> entries;
  if (made.empty()) return entries;
  WEFT_RETURN_IF_ERROR(storage->Commit(batch, Durability::kLogged));
  index->Reserve(index->size() + made.size());
  for (const CoreSummary& summary : made) entries.push_back(index->Add(summary));
  return entries;
}

absl::StatusOr<std::size_t> Corestore::State::Make(
    const CoreKey& key, const std::optional<Manifest>& manifest,
    const SecretKey* secret) {
  CoreSummary summary;
  summary.key = key;
  summary.discovery_key = DiscoveryKeyOf(key);
  summary.number = index->next_number();
  summary.writable = secret != nullptr;
  StorageBatch batch;
  batch.Put(Family::kCores, keys::Head(summary.number),
            EncodeHead(summary, CoreTip(), manifest));
  if (secret != nullptr) {
    batch.Put(Family::kCores, keys::SecretKeyOf(summary.number),
              ToBytes(secret->view()));
  }
  // A key known from elsewhere can be learned again; a pair of ours must not be lost.
  WEFT_RETURN_IF_ERROR(storage->Commit(
      batch, secret != nullptr ? Durability::kSynced : Durability::kLogged));
  return index->Add(summary);
}

absl::Status Corestore::State::Rewrite(std::size_t entry, bool removed,
                                       const std::optional<Manifest>& manifest,
                                       const SecretKey* secret) {
  CoreSummary summary = index->at(entry).summary;
  WEFT_ASSIGN_OR_RETURN(const auto bytes,
                        storage->Get(Family::kCores, keys::Head(summary.number)));
  WEFT_ASSIGN_OR_RETURN(
      CoreHead head, DecodeHead(summary.number, bytes ? ByteView(*bytes) : ByteView()));
  summary.removed = removed;
  if (manifest) head.manifest = manifest;
  StorageBatch batch;
  if (secret != nullptr) {
    summary.writable = true;
    batch.Put(Family::kCores, keys::SecretKeyOf(summary.number),
              ToBytes(secret->view()));
  }
  batch.Put(Family::kCores, keys::Head(summary.number),
            EncodeHead(summary, head.tip, head.manifest));
  WEFT_RETURN_IF_ERROR(storage->Commit(batch, Durability::kSynced));
  index->at(entry).summary = summary;
  const auto found = index->open.find(entry);
  if (found == index->open.end()) return absl::OkStatus();
  if (const auto core = found->second.lock()) {
    core->state_->manifest = std::move(head.manifest);
    if (secret != nullptr) core->state_->secret_key = *secret;
  }
  return absl::OkStatus();
}

Corestore::Corestore(std::unique_ptr<State> state) : state_(std::move(state)) {}
Corestore::~Corestore() = default;

absl::StatusOr<std::unique_ptr<Corestore>> Corestore::Open(Storage* storage,
                                                           Random* random) {
  auto state = std::make_unique<State>();
  state->storage = storage;
  state->random = random;
  WEFT_RETURN_IF_ERROR(state->LoadPrimaryKey());
  WEFT_RETURN_IF_ERROR(state->LoadHeads());
  return std::unique_ptr<Corestore>(new Corestore(std::move(state)));
}

absl::StatusOr<std::shared_ptr<Hypercore>> Corestore::OpenNamed(std::string_view name) {
  if (name.empty()) return absl::InvalidArgumentError("the name of a core is empty");
  KeyPair pair = DeriveNamedKeyPair(state_->primary_key, Hash32{}, name);
  auto core = OpenOwn(SingleSigner(pair.public_key), pair);
  Wipe(pair.secret_key.bytes);
  return core;
}

absl::StatusOr<std::shared_ptr<Hypercore>> Corestore::OpenOwn(const Manifest& manifest,
                                                              const KeyPair& pair) {
  if (manifest.signers.size() != 1 || manifest.quorum != 1 ||
      manifest.signers[0].public_key != pair.public_key) {
    return absl::InvalidArgumentError("the key pair is not that of the one signer");
  }
  const CoreKey key = KeyOf(manifest);
  const auto found = state_->index->Find(DiscoveryKeyOf(key));
  if (!found) {
    WEFT_ASSIGN_OR_RETURN(const std::size_t made,
                          state_->Make(key, manifest, &pair.secret_key));
    return state_->Share(made);
  }
  const CoreSummary& summary = state_->index->at(*found).summary;
  if (!summary.writable || summary.removed) {
    WEFT_RETURN_IF_ERROR(state_->Rewrite(*found, false, manifest, &pair.secret_key));
  }
  return state_->Share(*found);
}

absl::StatusOr<std::shared_ptr<Hypercore>> Corestore::Open(const CoreKey& key) {
  WEFT_ASSIGN_OR_RETURN(const std::size_t entry, state_->Require(key));
  return state_->Share(entry);
}

absl::StatusOr<std::shared_ptr<Hypercore>> Corestore::OpenRemote(const CoreKey& key) {
  const auto found = state_->index->Find(DiscoveryKeyOf(key));
  if (!found) {
    WEFT_ASSIGN_OR_RETURN(const std::size_t made,
                          state_->Make(key, std::nullopt, nullptr));
    return state_->ShareMade(made);
  }
  if (state_->index->at(*found).summary.removed) {
    WEFT_RETURN_IF_ERROR(state_->Rewrite(*found, false, std::nullopt, nullptr));
  }
  return state_->Share(*found);
}

absl::StatusOr<std::vector<std::shared_ptr<Hypercore>>> Corestore::OpenRemotes(
    std::span<const CoreKey> keys) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<std::size_t> made, state_->MakeRemotes(keys));
  // Kept open until the loop below has them.
  std::vector<std::shared_ptr<Hypercore>> fresh;
  for (const std::size_t entry : made) fresh.push_back(state_->ShareMade(entry));
  std::vector<std::shared_ptr<Hypercore>> cores;
  cores.reserve(keys.size());
  for (const CoreKey& key : keys) {
    WEFT_ASSIGN_OR_RETURN(std::shared_ptr<Hypercore> core, OpenRemote(key));
    cores.push_back(std::move(core));
  }
  return cores;
}

absl::StatusOr<std::shared_ptr<Hypercore>> Corestore::Find(const DiscoveryKey& key) {
  if (!Contains(key)) return NotInStore(key.view());
  return state_->Share(*state_->index->Find(key));
}

bool Corestore::Contains(const DiscoveryKey& key) const {
  const auto entry = state_->index->Find(key);
  return entry && !state_->index->at(*entry).summary.removed;
}

bool Corestore::IsRemoved(const DiscoveryKey& key) const {
  const auto entry = state_->index->Find(key);
  return entry && state_->index->at(*entry).summary.removed;
}

std::optional<CoreKey> Corestore::FindKey(const DiscoveryKey& key) const {
  const auto entry = state_->index->Find(key);
  if (!entry || state_->index->at(*entry).summary.removed) return std::nullopt;
  return state_->index->at(*entry).summary.key;
}

std::vector<CoreInfo> Corestore::List() const {
  std::vector<CoreInfo> list;
  list.reserve(size());
  for (const CoreIndex::Entry& entry : state_->index->entries()) {
    if (entry.purged) continue;
    const CoreSummary& core = entry.summary;
    list.push_back({.key = core.key,
                    .discovery_key = core.discovery_key,
                    .length = core.length,
                    .fork = core.fork,
                    .byte_length = core.byte_length,
                    .contiguous_length = core.contiguous,
                    .writable = core.writable,
                    .removed = core.removed});
  }
  return list;
}

std::size_t Corestore::size() const {
  return state_->index->size();
}

absl::Status Corestore::Remove(const CoreKey& key) {
  WEFT_ASSIGN_OR_RETURN(const std::size_t entry, state_->Require(key));
  if (state_->index->at(entry).summary.removed) return absl::OkStatus();
  return state_->Rewrite(entry, true, std::nullopt, nullptr);
}

absl::Status Corestore::Purge(const CoreKey& key) {
  WEFT_ASSIGN_OR_RETURN(const std::size_t entry, state_->Require(key));
  const std::uint64_t core = state_->index->at(entry).summary.number;
  StorageBatch batch;
  batch.Delete(Family::kCores, keys::Head(core));
  batch.Delete(Family::kCores, keys::SecretKeyOf(core));
  batch.DeleteRange(Family::kCores, keys::TreePage(core, 0, 0),
                    keys::TreePage(core + 1, 0, 0));
  batch.DeleteRange(Family::kCores, keys::BitfieldPage(core, 0),
                    keys::BitfieldPage(core + 1, 0));
  batch.DeleteRange(Family::kBlocks, keys::BlockRow(core, 0),
                    keys::BlockRow(core + 1, 0));
  WEFT_RETURN_IF_ERROR(state_->storage->Commit(batch, Durability::kSynced));
  state_->index->Purge(entry);
  return absl::OkStatus();
}

absl::StatusOr<Signature> Corestore::SignWith(const CoreKey& key, ByteView message) {
  WEFT_ASSIGN_OR_RETURN(const std::size_t entry, state_->Require(key));
  const std::uint64_t core = state_->index->at(entry).summary.number;
  WEFT_ASSIGN_OR_RETURN(auto stored,
                        state_->storage->Get(Family::kCores, keys::SecretKeyOf(core)));
  auto secret = stored ? SecretKey::From(*stored) : std::nullopt;
  if (stored) Wipe(*stored);
  if (!secret) {
    return absl::PermissionDeniedError(
        absl::StrFormat("core %s: it is not ours", ToHex(key.view())));
  }
  const Signature signature = Sign(*secret, message);
  Wipe(secret->bytes);
  return signature;
}

absl::Status Corestore::Sync() {
  WEFT_RETURN_IF_ERROR(state_->storage->Sync());
  for (const std::size_t entry : state_->index->TakeUndurable()) {
    const auto found = state_->index->open.find(entry);
    const auto core =
        found == state_->index->open.end() ? nullptr : found->second.lock();
    if (core) {
      core->MarkDurable();
    } else {
      state_->index->at(entry).durable_length = state_->index->at(entry).summary.length;
    }
  }
  return absl::OkStatus();
}

const Seed& Corestore::primary_key() const {
  return state_->primary_key;
}
Storage* Corestore::storage() const {
  return state_->storage;
}
Random* Corestore::random() const {
  return state_->random;
}

}  // namespace weft
