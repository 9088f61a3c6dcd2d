// Where the indexer reads the writers' logs: the one thing it knows of cores.

#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "engine/crypto.h"
#include "engine/hypercore.h"
#include "engine/status.h"

namespace weft {

struct LogInfo {
  std::uint64_t length = 0;  // blocks held without a gap from the first
  std::uint64_t fork = 0;
};

// Not thread-safe: used on the strand of the base only.
class LogSource {
 public:
  virtual ~LogSource() = default;
  // Length 0 for a log that is not in the store.
  virtual absl::StatusOr<LogInfo> Info(const CoreKey& log) = 0;
  // Blocks [from, to), all held, each checked against its hash.
  virtual absl::StatusOr<std::vector<Bytes>> Read(const CoreKey& log,
                                                  std::uint64_t from,
                                                  std::uint64_t to) = 0;
  // Of a forked log: blocks [from, length) of a branch whose first `length` blocks have
  // this tree hash, if that is held beside the one that Read reads; else nothing.
  virtual absl::StatusOr<std::vector<Bytes>> ReadBranch(const CoreKey& log,
                                                        std::uint64_t from,
                                                        std::uint64_t length,
                                                        const TreeHash& hash) {
    (void)log, (void)from, (void)length, (void)hash;
    return std::vector<Bytes>();
  }
  // The indexer has done what there was to do: what was opened may be let go of.
  virtual void Rest() {}
};

// Reads hypercores. `open` gives the core of a key, or null if it is not in the store.
// Opening a core verifies its signature, so handles are kept until the indexer rests.
class CoreLogs final : public LogSource {
 public:
  using Opener = std::function<std::shared_ptr<Hypercore>(const CoreKey&)>;
  // As LogSource::ReadBranch.
  using BranchReader = std::function<absl::StatusOr<std::vector<Bytes>>(
      const CoreKey&, std::uint64_t, std::uint64_t, const TreeHash&)>;
  explicit CoreLogs(Opener open, BranchReader branches = nullptr)
      : open_(std::move(open)), branches_(std::move(branches)) {}

  absl::StatusOr<LogInfo> Info(const CoreKey& log) override;
  absl::StatusOr<std::vector<Bytes>> Read(const CoreKey& log, std::uint64_t from,
                                          std::uint64_t to) override;
  absl::StatusOr<std::vector<Bytes>> ReadBranch(const CoreKey& log, std::uint64_t from,
                                                std::uint64_t length,
                                                const TreeHash& hash) override {
    return branches_ ? branches_(log, from, length, hash) : std::vector<Bytes>();
  }
  void Rest() override { cores_.clear(); }

 private:
  std::shared_ptr<Hypercore> CoreOf(const CoreKey& log);

  Opener open_;
  BranchReader branches_;
  absl::flat_hash_map<CoreKey, std::shared_ptr<Hypercore>> cores_;
};

}  // namespace weft
