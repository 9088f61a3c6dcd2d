// A BaseNode is one base on the strand of its store: its genesis, our own log in it,
// the logs of the others, and the indexer that merges them.
//
// A base whose genesis no peer has given yet can be announced to peers and nothing
// else: reads find nothing, writes are refused.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "crdt/genesis.h"
#include "crdt/indexer.h"
#include "engine/corestore.h"
#include "engine/signal.h"
#include "replication/feed_exchange.h"
#include "weft/base_directory.h"
#include "weft/base.h"
#include "weft/types.h"

namespace weft {

struct NodeHost;

class BaseNode final : public FeedSource {
 public:
  struct Hooks {
    // These logs have grown in the index, and everything indexed is on the disk.
    std::function<void(std::span<const FeedHead>)> settled;
    std::function<void()> wants_changed;
    std::function<void()> genesis_known;
    // Keys that read differently now.
    std::function<void(const std::vector<ViewChange>&)> changed;
    std::function<void(const std::string&)> event;
  };

  // Reads the record, opens the logs and indexes what is new in them. A record without
  // an identity is of a base that is just being joined (Save makes it last).
  static absl::StatusOr<std::unique_ptr<BaseNode>> Open(const NodeHost& host,
                                                        Corestore* cores,
                                                        const BaseRecord& record);
  ~BaseNode() override;
  void SetHooks(Hooks hooks) { hooks_ = std::move(hooks); }

  const std::string& name() const { return record_.name; }
  const BaseRecord& record() const { return record_; }
  // False: the name in the genesis replaces ours when it comes.
  void set_named_by_user(bool named) { named_by_user_ = named; }
  bool genesis_known() const { return indexer_ != nullptr; }
  absl::Status Save();
  Link MakeLink() const;

  // Writes the changes to our log as one batch that is visible at once, but durable,
  // and told to others, only when the store is next synced and Synced() called.
  // FAILED_PRECONDITION  the genesis is not known yet; and as Base::Commit
  absl::StatusOr<Committed> CommitLogged(const Batch& batch);
  absl::StatusOr<Committed> GrantLogged(const CoreKey& identity, GrantRole role,
                                        std::string_view scope);
  // Everything committed is on the disk: peers may hear of it.
  void Synced();

  // Null before the genesis is known.
  Indexer* indexer() const { return indexer_.get(); }
  // Something has arrived that is not indexed, or not told, yet.
  bool busy() const { return step_posted_ || settle_posted_; }
  absl::Status Flush();

  bool IsWriter(const CoreKey& key) const { return logs_.contains(key); }
  // Its blocks count, or are waited for, so that it is fetched wherever it is found.
  bool WantsCore(const CoreKey& key) const;
  // How many blocks of each log of the base are here, from the first on.
  std::vector<FeedHead> HeldLengths() const;

  // FeedSource
  const BaseId& base_id() const override { return record_.base_id; }
  std::optional<Bytes> Genesis() const override { return record_.genesis; }
  absl::Status TakeGenesis(ByteView genesis) override;
  std::optional<FeedDigest> Digest() const override;
  std::vector<FeedHead> Heads() const override;
  std::shared_ptr<Hypercore> Wanted(const CoreKey& key, std::uint64_t settled) override;

 private:
  struct Log {
    std::shared_ptr<Hypercore> core;
    std::shared_ptr<void> observing;
    bool touched = false;  // waits in touched_
  };

  BaseNode(const NodeHost& host, Corestore* cores, const BaseRecord& record);

  absl::Status Activate(bool fresh_genesis);
  absl::StatusOr<Hypercore*> OpenLog(const CoreKey& key);
  void Touch(const CoreKey& key);
  void PostStep();
  void Step();
  void PostSettle();
  void Settle();
  absl::Status IndexNow(const CoreKey& key);
  absl::StatusOr<Committed> AppendAndIndex(const PreparedBatch& prepared,
                                           std::size_t op_count);

  const NodeHost& host_;
  Corestore* cores_;  // not owned
  BaseRecord record_;
  bool named_by_user_ = true;
  Hooks hooks_;
  std::shared_ptr<Hypercore> own_;
  std::unique_ptr<Indexer> indexer_;
  absl::flat_hash_map<CoreKey, Log> logs_;
  std::vector<CoreKey> touched_;  // grew since they were last indexed, in that order
  std::map<CoreKey, std::uint64_t> grown_;  // settled lengths not told yet
  bool step_posted_ = false;
  bool settle_posted_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace weft
