// What the machine can do at best, measured in the same run as what is compared to it:
// the rates of the primitives that a log cannot do without.
//
// All rates are per second, on one thread, over a tenth of a second each.

#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "engine/storage.h"

namespace weft::bench {

double SignRate();
double VerifyRate();
double LeafHashRate(std::size_t block_bytes);
double ParentHashRate();
// Commits of `records` values of `value_bytes` under ascending keys: records/s.
double BatchRate(Storage& storage, std::size_t records, std::size_t value_bytes,
                 Durability durability);
// How often `work` runs in a second.
double RateOf(const std::function<void()>& work);

// A directory that is deleted with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace weft::bench
