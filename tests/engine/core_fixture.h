// What the tests of cores share: vector files, blocks by rule, a store in memory that
// can be reopened, and two cores that replicate by hand.

#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/check.h"
#include "engine/corestore.h"
#include "engine/memory_storage.h"

namespace weft {

inline nlohmann::json VectorFile(const std::string& name) {
  std::ifstream file(std::string(WEFT_VECTORS_DIR) + "/" + name);
  WEFT_CHECK(file.good());
  return nlohmann::json::parse(file);
}

// One part of a file, by value: a loop over it must not outlive its parent.
inline nlohmann::json VectorFile(const std::string& name, const char* part) {
  return VectorFile(name).at(part);
}

inline Bytes HexBytes(const nlohmann::json& text) {
  return *FromHex(text.get<std::string>());
}

template <class T>
T HexFixed(const nlohmann::json& text) {
  return *T::From(HexBytes(text));
}

inline TreeNode NodeOf(const nlohmann::json& json) {
  return {json["index"], json["size"], HexFixed<TreeHash>(json["hash"])};
}

inline std::vector<TreeNode> NodesOf(const nlohmann::json& list) {
  std::vector<TreeNode> nodes;
  for (const auto& json : list) nodes.push_back(NodeOf(json));
  return nodes;
}

// The rule of the vector files: block 23 is empty.
inline Bytes BlockByRule(std::uint64_t i) {
  Bytes block((i * 7 + 3) % 41);
  for (std::size_t j = 0; j < block.size(); ++j) {
    block[j] = static_cast<std::uint8_t>(i * 31 + j * 17 + 5);
  }
  return block;
}

inline std::vector<Bytes> BlocksByRule(std::uint64_t from, std::uint64_t to) {
  std::vector<Bytes> blocks;
  for (std::uint64_t i = from; i < to; ++i) blocks.push_back(BlockByRule(i));
  return blocks;
}

inline std::vector<Bytes> BlocksOf(const nlohmann::json& json, std::uint64_t length) {
  if (!json.contains("blocks")) return BlocksByRule(0, length);
  std::vector<Bytes> blocks;
  for (const auto& text : json["blocks"]) blocks.push_back(HexBytes(text));
  return blocks;
}

inline absl::StatusOr<std::uint64_t> AppendAll(
    Hypercore& core, const std::vector<Bytes>& blocks,
    Durability durability = Durability::kSynced) {
  const std::vector<ByteView> views(blocks.begin(), blocks.end());
  return core.Append(views, durability);
}

inline KeyPair PairOfSeed(std::uint8_t byte) {
  Seed seed;
  seed.bytes.fill(byte);
  return KeyPairFromSeed(seed);
}

// Pseudorandom and the same every time.
class TestRandom final : public Random {
 public:
  explicit TestRandom(std::uint64_t seed) : state_(seed * 2 + 1) {}
  void Fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(Next() >> 32);
  }
  std::uint64_t Below(std::uint64_t bound) { return (Next() >> 11) % bound; }

 private:
  std::uint64_t Next() {  // xorshift64*, Marsaglia 2003
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1dULL;
  }
  std::uint64_t state_;
};

// A store in memory; Reopen is what a new process would see.
class TestStore {
 public:
  explicit TestStore(std::uint64_t seed = 1) : random(seed) { Reopen(); }
  void Reopen() {
    cores.reset();
    auto opened = Corestore::Open(&storage, &random);
    WEFT_CHECK(opened.ok());
    cores = *std::move(opened);
  }

  MemoryStorage storage;
  TestRandom random;
  std::unique_ptr<Corestore> cores;
};

// A disk that counts what it is given, and is full when told to be.
class FailingStorage final : public Storage {
 public:
  absl::StatusOr<std::optional<Bytes>> Get(Family family, ByteView key,
                                           const StorageSnapshot* snapshot) override {
    return memory_.Get(family, key, snapshot);
  }
  absl::StatusOr<std::vector<std::optional<Bytes>>> MultiGet(
      Family family, std::span<const Bytes> keys,
      const StorageSnapshot* snapshot) override {
    return memory_.MultiGet(family, keys, snapshot);
  }
  std::unique_ptr<StorageCursor> Scan(Family family, const ScanRange& range,
                                      const StorageSnapshot* snapshot) override {
    return memory_.Scan(family, range, snapshot);
  }
  std::shared_ptr<const StorageSnapshot> TakeSnapshot() override {
    return memory_.TakeSnapshot();
  }
  absl::Status Commit(const StorageBatch& batch, Durability durability) override {
    if (failing) return absl::ResourceExhaustedError("the disk is full");
    ++commits;
    return memory_.Commit(batch, durability);
  }
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::Status Flush() override { return absl::OkStatus(); }

  bool failing = false;
  int commits = 0;

 private:
  MemoryStorage memory_;
};

// What a peer would ask for block `block_index`.
inline ProofRequest RequestBlock(const Hypercore& asker, std::uint64_t block_index) {
  ProofRequest request;
  request.block = BlockRequest{block_index, asker.MissingNodes(block_index)};
  return request;
}

// What a peer would ask to get level with `source`.
inline ProofRequest RequestUpgrade(const Hypercore& asker, const Hypercore& source) {
  ProofRequest request;
  const std::uint64_t start = asker.fork() == source.fork() ? asker.length() : 0;
  request.upgrade = UpgradeRequest{start, source.length() - start};
  request.manifest = !asker.manifest().has_value();
  return request;
}

inline absl::Status ApplyOne(Hypercore& core, const Proof& proof) {
  const auto results = core.Apply(std::span<const Proof>(&proof, 1));
  return results.ok() ? results->at(0) : results.status();
}

}  // namespace weft
