// People who write logs in tests: keys from a seed, blocks through the real encoder and
// decoder, and no store.

#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "crdt/authority.h"
#include "crdt/batch.h"
#include "crdt/genesis.h"
#include "engine/check.h"

namespace weft {

inline nlohmann::json CrdtVectors() {
  std::ifstream file(std::string(WEFT_VECTORS_DIR) + "/weft-crdt.json");
  WEFT_CHECK(file.good());
  return nlohmann::json::parse(file);
}

inline Bytes Hex(const nlohmann::json& text) {
  return *FromHex(text.get<std::string>());
}

template <class T>
T Fixed(const nlohmann::json& text) {
  return *T::From(Hex(text));
}

class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void Fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(engine_());
  }

 private:
  std::mt19937_64 engine_;
};

// One writer: his identity, his log as blocks, and the log as a reader knows it.
class Author {
 public:
  Author(const Salt& salt, Random& random)
      : keys_(MakeIdentity(salt, random)), id_(keys_.id()), log_(id_) {}

  const CoreKey& id() const { return id_; }
  const Manifest& manifest() const { return keys_.manifest; }
  const LogState& log() const { return log_; }
  std::uint64_t length() const { return log_.position(); }

  // A head of this log, with a stand-in for its tree hash.
  Dep Head() const { return HeadAt(length()); }
  Dep HeadAt(std::uint64_t length) const {
    TreeHash hash;
    hash.bytes = Blake2b256({id_.view(), ByteView(id_.bytes).first(length % 32)}).bytes;
    return {id_, length, hash};
  }

  // Appends a commit and reads it back: the decoded blocks of the batch.
  template <class Op>
  std::vector<DecodedBlock> Commit(const OpId& cite, std::vector<Dep> deps,
                                   const std::vector<Op>& operations,
                                   const Limits& limits = {}) {
    const CommitHeader header{*NextHlc(log_.last_hlc(), 0, 1'000), cite,
                              std::move(deps)};
    auto batch = EncodeBatch(log_, header, std::span<const Op>(operations), limits);
    EXPECT_TRUE(batch.ok()) << batch.status();
    return Append(batch->blocks, limits);
  }
  std::vector<DecodedBlock> Ack(const OpId& cite, std::vector<Dep> deps) {
    const CommitHeader header{*NextHlc(log_.last_hlc(), 0, 1'000), cite,
                              std::move(deps)};
    auto batch = EncodeAck(log_, header, {});
    EXPECT_TRUE(batch.ok()) << batch.status();
    return Append(batch->blocks, {});
  }
  std::vector<DecodedBlock> Append(const std::vector<Bytes>& blocks,
                                   const Limits& limits) {
    std::vector<DecodedBlock> decoded;
    for (const Bytes& block : blocks) {
      decoded.push_back(DecodeBlock(log_, block, limits));
    }
    return decoded;
  }

 private:
  IdentityKeys keys_;
  CoreKey id_;
  LogState log_;
};

inline GrantOp GrantTo(const Author& who, GrantRole role, std::string_view scope = "",
                       bool may_delegate = false) {
  GrantOp grant;
  grant.identity = who.id();
  grant.role = role;
  grant.scope = AsBytes(scope);
  grant.may_delegate = may_delegate;
  return grant;
}

inline Operation Put(std::string_view key, std::string_view value) {
  return PutOp(AsBytes(key), {ValueType::kText, AsBytes(value)});
}

}  // namespace weft
