// A view computed again from the logs and compared with the one that there is.
//
// The second view is built in memory, a step at a time, so that whoever else needs the
// strand has his turn; what is indexed meanwhile it takes in as well.

#pragma once

#include <memory>

#include "crdt/indexer.h"
#include "engine/memory_storage.h"

namespace weft {

// Strand only, but for the destructor.
class Verification {
 public:
  // `indexer`, and what it reads from, must outlive it.
  static absl::StatusOr<std::unique_ptr<Verification>> Begin(Indexer* indexer);

  // Takes in about `ops` more. True: all is compared, and equal.
  // DATA_LOSS  root or digest differ;  any other  the disk's. Then it is over.
  absl::StatusOr<bool> Step(std::uint64_t ops);

 private:
  explicit Verification(Indexer* indexer) : indexer_(indexer) {}

  void FollowAll();
  absl::Status Compare();

  Indexer* indexer_;  // not owned
  MemoryStorage storage_;
  std::unique_ptr<Indexer> fresh_;
};

}  // namespace weft
