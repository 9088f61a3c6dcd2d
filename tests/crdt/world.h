// Five people with a replica each, who let each other in and out, and what they write
// for that.

#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "tests/crdt/replica.h"

namespace weft {

inline GrantOp GrantTo(const CoreKey& who, GrantRole role, bool may_delegate = false) {
  GrantOp grant;
  grant.identity = who;
  grant.role = role;
  grant.may_delegate = may_delegate;
  return grant;
}

inline RevokeOp Revoke(const OpId& grant, std::vector<KeptLength> keep = {},
                       bool subtree = false) {
  RevokeOp revoke;
  revoke.grant = grant;
  revoke.keep = std::move(keep);
  revoke.subtree = subtree;
  return revoke;
}

inline HideOp Hide(const OpId& op, bool hide = true) {
  HideOp hiding;
  hiding.hide = hide;
  hiding.ops = {op};
  return hiding;
}

// Fay founds; the others come and go.
struct World {
  World() {
    for (const CoreKey& id : people.ids) {
      replicas.push_back(std::make_unique<Replica>(people.genesis, id));
    }
  }
  Replica& operator[](std::size_t who) { return *replicas[who]; }
  const CoreKey& id(std::size_t who) const { return people.ids[who]; }
  void Meet() {
    for (int turn = 0; turn < 2; ++turn) {
      for (auto& a : replicas) {
        for (auto& b : replicas) {
          if (a != b) a->FetchAll(*b);
        }
      }
    }
  }
  void ExpectAllEqual() {
    Meet();
    for (auto& replica : replicas) {
      EXPECT_EQ(replica->Root(), replicas[0]->Root());
      EXPECT_EQ(replica->Digest(), replicas[0]->Digest());
      EXPECT_TRUE(Verify(&replica->indexer()).ok()) << Verify(&replica->indexer());
    }
  }

  People people{5, 3};
  std::vector<std::unique_ptr<Replica>> replicas;
};

inline constexpr std::size_t kFay = 0;
inline constexpr std::size_t kAda = 1;
inline constexpr std::size_t kBob = 2;
inline constexpr std::size_t kMia = 3;
inline constexpr std::size_t kEve = 4;

}  // namespace weft
