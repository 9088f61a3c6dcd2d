// A Corestore is many cores in one storage under one primary key: names become key
// pairs, keys become open cores, shared by handle.
//
// Opening it reads the heads of all cores in one scan and opens none of them; a core
// nobody touches costs its entry in a map. Key derivation is that of the Node
// corestore 7, so the same primary key and name give the same core there.
// Source: the wire specification, 3.6.

#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/host.h"
#include "engine/hypercore.h"

namespace weft {

struct CoreInfo {
  CoreKey key;
  DiscoveryKey discovery_key;
  std::uint64_t length = 0;
  std::uint64_t fork = 0;
  std::uint64_t byte_length = 0;
  std::uint64_t contiguous_length = 0;
  bool writable = false;
  bool removed = false;  // kept on disk, neither served nor fetched
};

// The root namespace is 32 zero bytes; namespaces nest.
Hash32 ChildNamespace(const Hash32& parent, ByteView name);
// The key pair of a named core: wire specification, 3.6.
KeyPair DeriveNamedKeyPair(const Seed& primary_key, const Hash32& name_space,
                           std::string_view name);

// Not thread-safe: one strand for the store and all its cores.
class Corestore {
 public:
  // Makes the primary key if there is none. `storage` and `random` must outlive it.
  // FAILED_PRECONDITION  the storage is of a newer format
  static absl::StatusOr<std::unique_ptr<Corestore>> Open(Storage* storage,
                                                         Random* random);
  ~Corestore();

  // The core of a name, made if absent (durable when it returns).
  // INVALID_ARGUMENT  the name is empty
  absl::StatusOr<std::shared_ptr<Hypercore>> OpenNamed(std::string_view name);
  // A core with this manifest (one signer) and key pair, made if absent; durable when
  // it returns.  INVALID_ARGUMENT  the pair is not the one signer's
  absl::StatusOr<std::shared_ptr<Hypercore>> OpenOwn(const Manifest& manifest,
                                                     const KeyPair& pair);
  // A core that is in the store.  NOT_FOUND  it is not
  absl::StatusOr<std::shared_ptr<Hypercore>> Open(const CoreKey& key);
  // A core of which only the key is known, made if absent, to be filled by peers.
  absl::StatusOr<std::shared_ptr<Hypercore>> OpenRemote(const CoreKey& key);
  // The same for many, in the order of `keys`; those that are absent are made in one
  // batch.
  absl::StatusOr<std::vector<std::shared_ptr<Hypercore>>> OpenRemotes(
      std::span<const CoreKey> keys);
  // Answers from memory if no such core is there.  NOT_FOUND  or it was removed
  absl::StatusOr<std::shared_ptr<Hypercore>> Find(const DiscoveryKey& key);
  bool Contains(const DiscoveryKey& key) const;
  // Of a core that Find would find; from memory.
  std::optional<CoreKey> FindKey(const DiscoveryKey& key) const;

  // It is in the store and Remove was its last word; from memory.
  bool IsRemoved(const DiscoveryKey& key) const;

  // All cores without opening one, by core number, the order of their making.
  std::vector<CoreInfo> List() const;
  std::size_t size() const;

  // Stops serving and fetching it; the data stays, Open still reads it, and OpenRemote,
  // OpenOwn or OpenNamed bring it back. Durable when it returns.  NOT_FOUND
  absl::Status Remove(const CoreKey& key);
  // Deletes the core and every byte of it; open handles fail from then on. Durable when
  // it returns. An own core must not be made again under the same name if anybody has
  // seen it: it would begin at length 0 under the same key.  NOT_FOUND
  absl::Status Purge(const CoreKey& key);

  // Signs with the secret key of an own core of one signer. `message` must begin with
  // words of its own, so that it can be taken for no tree.
  // NOT_FOUND  no such core;  PERMISSION_DENIED  it is not ours
  absl::StatusOr<Signature> SignWith(const CoreKey& key, ByteView message);

  // Makes every append so far durable, and tells the cores.
  absl::Status Sync();

  const Seed& primary_key() const;  // secret: never print it
  Storage* storage() const;
  Random* random() const;

 private:
  struct State;
  explicit Corestore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
