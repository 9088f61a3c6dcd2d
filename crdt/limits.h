// The limits that are part of the meaning of a base (rule S7).
//
// The defaults are the hard maxima of this program. A genesis may only lower them, so
// that all replicas of a base refuse the same blocks; whatever exceeds one is an
// invalid block. The time limits belong to the format and are not in the genesis.

#pragma once

#include <array>
#include <cstdint>

namespace weft {

struct Limits {
  std::uint64_t key_bytes = 1024;  // of an op; at least 1 always
  std::uint64_t value_bytes = 256 * 1024;
  std::uint64_t column_bytes = 128;
  std::uint64_t cells_per_op = 1024;
  std::uint64_t block_bytes = 1024 * 1024;
  std::uint64_t batch_ops = 65'536;
  std::uint64_t batch_bytes = 64 * 1024 * 1024;
  std::uint64_t batch_blocks = 256;
  std::uint64_t deps = 64;  // per block
  std::uint64_t members = 100'000;
  std::uint64_t auth_ops_per_writer = 65'536;
  std::uint64_t delegation_depth = 16;
  std::uint64_t siblings_reported = 1024;  // per key; all are kept

  bool operator==(const Limits&) const = default;
};

inline constexpr std::uint64_t kHlcMsEnd = std::uint64_t{1} << 46;
inline constexpr std::uint32_t kHlcCounterEnd = std::uint32_t{1} << 16;

}  // namespace weft
