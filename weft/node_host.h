// The world as a store sees it: the strand everything runs on, the four seams (storage,
// time, chance and the network), and what only a real store has: threads, and a lease.

#pragma once

#include <asio/any_io_executor.hpp>

#include "engine/async_host.h"
#include "engine/storage.h"
#include "engine/store_lease.h"

namespace weft {

struct NodeHost {
  asio::any_io_executor executor;  // the strand
  PublicKey peer_key;          // by which peers know this store; the node fills it in
  Storage* storage = nullptr;  // none of these is owned
  AsyncClock* clock = nullptr;
  Random* random = nullptr;
  Network* network = nullptr;
  Workers* workers = nullptr;  // null: everything is done on the strand
  // Null: the store is the live one, and was always closed in order.
  StoreLease* lease = nullptr;
};

}  // namespace weft
