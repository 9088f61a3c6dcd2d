// What rocks_storage_test.cc does in another process: `storage_child WHAT PATH`.
//   crash  commits to the store and ends as if killed
//   lock   expects the store to be in use
//   full   writes until the disk is full
// Exits with 0 if everything went as it should, else with the number of the step.

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "engine/rocks_storage.h"

namespace weft {
namespace {

absl::Status Put(Storage& storage, Family family, std::string_view key,
                 std::string_view value, Durability durability) {
  StorageBatch batch;
  batch.Put(family, ToBytes(key), ToBytes(value));
  return storage.Commit(batch, durability);
}

bool Holds(Storage& storage, Family family, std::string_view key,
           std::string_view value) {
  const auto found = storage.Get(family, AsBytes(key), nullptr);
  return found.ok() && found->has_value() && AsText(**found) == value;
}

int Crash(const std::string& path) {
  auto storage = RocksStorage::Open(path, {});
  if (!storage.ok()) return 1;
  StorageBatch batch;
  batch.Put(Family::kCores, ToBytes("head"), ToBytes("1"));
  batch.Put(Family::kBlocks, ToBytes("block"), ToBytes("1"));
  if (!(*storage)->Commit(batch, Durability::kLogged).ok()) return 2;
  if (!Put(**storage, Family::kView, "kept", "1", Durability::kVolatile).ok()) return 3;
  if (!(*storage)->Flush().ok()) return 4;
  if (!Put(**storage, Family::kView, "lost", "1", Durability::kVolatile).ok()) return 5;
  ::_exit(0);
}

int Lock(const std::string& path) {
  const auto storage = RocksStorage::Open(path, {.create = true});
  if (!absl::IsUnavailable(storage.status())) return 1;
  const std::string expected = "store " + path + " is in use by another process";
  return std::string(storage.status().message()) == expected ? 0 : 2;
}

// A limit on the size of a file stands in for a full disk: it takes no privileges.
int Full(const std::string& path) {
  std::signal(SIGXFSZ, SIG_IGN);
  auto storage = RocksStorage::Open(path, {.create = true});
  if (!storage.ok()) return 1;
  if (!Put(**storage, Family::kCores, "first", "1", Durability::kSynced).ok()) return 2;
  const rlimit limit{256 * 1024, RLIM_INFINITY};
  if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
  absl::Status status;
  for (int i = 0; i < 50 && status.ok(); ++i) {
    const std::string block = "b" + std::to_string(i);
    StorageBatch batch;
    batch.Put(Family::kBlocks, ToBytes(block), Bytes(100 * 1024, 'x'));
    batch.Put(Family::kCores, ToBytes("last"), ToBytes(std::to_string(i)));
    status = (*storage)->Commit(batch, Durability::kSynced);
    if (status.ok()) continue;
    // Nothing of the failed batch is there; the one before is whole.
    const auto failed = (*storage)->Get(Family::kBlocks, AsBytes(block), nullptr);
    if (!failed.ok() || failed->has_value()) return 4;
    if (!Holds(**storage, Family::kCores, "last", std::to_string(i - 1))) return 5;
  }
  if (!absl::IsResourceExhausted(status)) return 6;
  const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
  if (::setrlimit(RLIMIT_FSIZE, &none) != 0) return 7;
  if (Put(**storage, Family::kCores, "late", "1", Durability::kLogged) != status)
    return 8;
  if ((*storage)->Sync() != status || (*storage)->Flush() != status) return 9;
  return Holds(**storage, Family::kCores, "first", "1") ? 0 : 10;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  if (argc != 3) return 99;
  const std::string what = argv[1];
  if (what == "crash") return weft::Crash(argv[2]);
  if (what == "lock") return weft::Lock(argv[2]);
  if (what == "full") return weft::Full(argv[2]);
  return 99;
}
