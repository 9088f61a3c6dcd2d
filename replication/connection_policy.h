// Who may have which logs, and from whom we take them: what a person decides, as
// opposed to what limits enforce.
//
// A rule says upload and download, and for which logs: all, none, those of a list, or
// those a predicate accepts. Several rules may apply to one log on one connection (of
// the store, of the peer, of the base); then all of them must allow it.

#pragma once

#include <functional>
#include <set>

#include "engine/crypto.h"

namespace weft {

// What may pass of one log on one connection.
struct FeedPermission {
  bool upload = true;    // we serve it
  bool download = true;  // we fetch it
  bool any() const { return upload || download; }
  bool operator==(const FeedPermission&) const = default;
};

struct FeedRule {
  enum class Which { kAll, kNone, kList, kPredicate };
  Which which = Which::kAll;
  std::set<CoreKey> list;                           // kList
  std::function<bool(const CoreKey& key)> accepts;  // kPredicate; absent: nothing
  bool upload = true;
  bool download = true;

  bool Covers(const CoreKey& key) const {
    switch (which) {
      case Which::kAll:
        return true;
      case Which::kNone:
        return false;
      case Which::kList:
        return list.contains(key);
      case Which::kPredicate:
        return accepts && accepts(key);
    }
    return false;
  }
  FeedPermission Of(const CoreKey& key) const {
    const bool covered = Covers(key);
    return {covered && upload, covered && download};
  }
};

inline FeedPermission Both(FeedPermission a, FeedPermission b) {
  return {a.upload && b.upload, a.download && b.download};
}

}  // namespace weft
