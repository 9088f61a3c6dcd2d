// Reads the vector files, and small stand-ins for what a connection is given.

#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/check.h"
#include "engine/crypto.h"

namespace weft {

inline nlohmann::json LoadVectors(const std::string& name) {
  std::ifstream file(std::string(WEFT_VECTORS_DIR) + "/" + name);
  WEFT_CHECK(file.good());
  return nlohmann::json::parse(file);
}

inline Bytes Hex(const nlohmann::json& text) {
  return *FromHex(text.get<std::string>());
}

template <class T>
T Key(const nlohmann::json& text) {
  return *T::From(Hex(text));
}

// Gives the bytes it was filled with, in order, and then a counting pattern.
class ScriptedRandom : public Random {
 public:
  explicit ScriptedRandom(std::uint8_t pattern = 1) : pattern_(pattern) {}
  void Push(ByteView bytes) { next_.insert(next_.end(), bytes.begin(), bytes.end()); }
  void Fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) {
      if (next_.empty()) {
        byte = static_cast<std::uint8_t>(pattern_ + 7 * count_ + (count_ >> 5));
        ++count_;
      } else {
        byte = next_.front();
        next_.pop_front();
      }
    }
  }

 private:
  std::uint8_t pattern_;
  std::uint64_t count_ = 0;
  std::deque<std::uint8_t> next_;
};

}  // namespace weft
