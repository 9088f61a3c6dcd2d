#include "bench/limits.h"

#include "absl/strings/str_format.h"
#include "engine/check.h"
#include "engine/crypto.h"
#include "engine/real_host.h"

namespace weft::bench {
namespace {

Bytes CountingKey(std::uint64_t number) {
  Bytes key(16);
  for (std::size_t i = 0; i < 8; ++i) {
    key[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  return key;
}

}  // namespace

double RateOf(const std::function<void()>& work) {
  constexpr Nanos kEnough = std::chrono::milliseconds(100);
  RealClock clock;
  std::uint64_t runs = 0;
  std::uint64_t step = 1;
  const Nanos start = clock.Steady();
  Nanos elapsed{};
  do {
    for (std::uint64_t i = 0; i < step; ++i) work();
    runs += step;
    elapsed = clock.Steady() - start;
    if (elapsed < kEnough / 10) step *= 2;
  } while (elapsed < kEnough);
  return static_cast<double>(runs) * 1e9 / static_cast<double>(elapsed.count());
}

double SignRate() {
  const KeyPair pair = KeyPairFromSeed(Seed{});
  const Bytes message(112);
  return RateOf([&] { Sign(pair.secret_key, message); });
}

double VerifyRate() {
  const KeyPair pair = KeyPairFromSeed(Seed{});
  const Bytes message(112);
  const Signature signature = Sign(pair.secret_key, message);
  return RateOf([&] { WEFT_CHECK(Verify(pair.public_key, message, signature)); });
}

double LeafHashRate(std::size_t block_bytes) {
  const Bytes block(block_bytes, 7);
  return RateOf([&] { LeafHash(block); });
}

double ParentHashRate() {
  const TreeNode left{0, 100, {}};
  const TreeNode right{2, 100, {}};
  return RateOf([&] { ParentHash(left, right); });
}

double BatchRate(Storage& storage, std::size_t records, std::size_t value_bytes,
                 Durability durability) {
  std::uint64_t number = 0;
  const double batches = RateOf([&] {
    StorageBatch batch;
    for (std::size_t i = 0; i < records; ++i) {
      batch.Put(Family::kBlocks, CountingKey(number++), Bytes(value_bytes, 7));
    }
    WEFT_CHECK(storage.Commit(batch, durability).ok());
  });
  StorageBatch cleanup;
  cleanup.DeleteRange(Family::kBlocks, CountingKey(0), CountingKey(number));
  WEFT_CHECK(storage.Commit(cleanup, durability).ok());
  return batches * static_cast<double>(records);
}

TemporaryDirectory::TemporaryDirectory() {
  SystemRandom random;
  path_ = std::filesystem::temp_directory_path() /
          absl::StrFormat("weft-bench-%016x", random.U64());
  std::filesystem::create_directories(path_);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace weft::bench
