// A store on RocksDB in a temporary directory, and blocks to put into it.

#pragma once

#include <memory>

#include "bench/limits.h"
#include "engine/check.h"
#include "engine/corestore.h"
#include "engine/real_host.h"
#include "engine/rocks_storage.h"

namespace weft::bench {

class LogFixture {
 public:
  LogFixture() { Open(); }
  void Open() {
    auto opened = RocksStorage::Open(directory.path() + "/store", {.create = true});
    WEFT_CHECK(opened.ok());
    storage = *std::move(opened);
    auto cores_opened = Corestore::Open(storage.get(), &random);
    WEFT_CHECK(cores_opened.ok());
    cores = *std::move(cores_opened);
  }
  void Close() {
    cores.reset();
    storage.reset();
  }

  TemporaryDirectory directory;
  SystemRandom random;
  std::unique_ptr<RocksStorage> storage;
  std::unique_ptr<Corestore> cores;
};

inline std::vector<ByteView> Repeated(const Bytes& block, std::size_t count) {
  return std::vector<ByteView>(count, ByteView(block));
}

}  // namespace weft::bench
