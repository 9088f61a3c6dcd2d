// Who asks to be let into a base, and letting him in where an invite says so.
//
// It travels as evidence of the feed exchange (opaque there), first byte the kind:
//   02 invite_key:32 identity:32 signature:64  a redemption that somebody should carry
//   03 identity:32 note:buffer                 a request that an admin may approve
//   04 core:32 incarnation                     a later incarnation: proof of it (S2)
// 01 is for fork proofs. Whoever holds an invite signs for his identity with its key;
// any member who hears of that carries the redemption in his log (rule P8). Requests
// prove nothing: they are kept, 256 of them, until somebody decides; beyond that one a
// second takes the place of the oldest.
//
// Record of a request, family kMeta: "ask" number:u64 identity:32 -> note

#pragma once

#include <deque>
#include <map>
#include <string>

#include "weft/base_node.h"

namespace weft {

// Not thread-safe: on the strand of the store.
class BasePeople {
 public:
  // `node` must outlive it. Reads the requests that were kept.
  explicit BasePeople(BaseNode* node);

  // What we ask for ourselves, and what we heard others ask for; certificates too.
  std::vector<Bytes> Asked() const;
  // One of the kinds above; what is of a newer program is ignored.
  // INVALID_ARGUMENT, DATA_LOSS  it proves nothing;  NOT_FOUND  it is of no use here
  absl::Status Take(ByteView evidence);
  // By identity.
  const std::map<CoreKey, std::string>& requests() const { return requests_; }
  void Forget(const CoreKey& identity);

 private:
  absl::Status TakeRedemption(ByteView body);
  absl::Status TakeRequest(ByteView body);
  // Who has been let in, or was named some other way, asks no more.
  void ForgetNamed();

  BaseNode* node_;  // not owned
  std::map<CoreKey, std::string> requests_;
  std::deque<CoreKey> oldest_first_;  // of requests_
  std::optional<Nanos> replaced_;     // when one took the place of another
};

}  // namespace weft
