// The Merkle trie by its definition: quadratic, recursive, one nibble at a time, and
// sharing no code with the engine's but the hash.

#pragma once

#include <map>
#include <random>
#include <string>
#include <vector>

#include "engine/crypto.h"
#include "engine/storage.h"
#include "engine/trie_root.h"

namespace weft {

using TrieModel = std::map<std::string, Hash32>;

inline std::string Nibbles(const std::string& key) {
  std::string nibbles;
  for (const char c : key) {
    nibbles.push_back(static_cast<char>(static_cast<std::uint8_t>(c) >> 4));
    nibbles.push_back(static_cast<char>(c & 15));
  }
  return nibbles;
}

// `below` maps the rest of the nibbles of each key to its leaf; `path` is how many
// nibbles were passed since the branch above.
inline Hash32 NaiveHash(const std::map<std::string, Hash32>& below, std::string path) {
  if (below.size() == 1) return below.begin()->second;
  std::map<char, std::map<std::string, Hash32>> children;
  for (const auto& [rest, leaf] : below) {
    if (!rest.empty()) children[rest[0]][rest.substr(1)] = leaf;
  }
  const bool value = below.contains("");
  if (!value && children.size() == 1) {
    return NaiveHash(children.begin()->second, path + children.begin()->first);
  }
  Bytes bytes = {1};
  if (path.size() <= 0xfc) {
    bytes.push_back(static_cast<std::uint8_t>(path.size()));
  } else {
    bytes.push_back(0xfd);
    bytes.push_back(static_cast<std::uint8_t>(path.size()));
    bytes.push_back(static_cast<std::uint8_t>(path.size() >> 8));
  }
  if (path.size() % 2 != 0) path.push_back(0);
  for (std::size_t i = 0; i < path.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(path[i] * 16 + path[i + 1]));
  }
  bytes.push_back(value ? 1 : 0);
  if (value) Append(bytes, below.at("").view());
  unsigned map = 0;
  for (const auto& child : children) map |= 1U << child.first;
  bytes.push_back(static_cast<std::uint8_t>(map));
  bytes.push_back(static_cast<std::uint8_t>(map >> 8));
  for (const auto& child : children) Append(bytes, NaiveHash(child.second, "").view());
  return Blake2b256(bytes);
}

inline Hash32 NaiveRoot(const TrieModel& model) {
  if (model.empty()) return Blake2b256(Bytes{0});
  std::map<std::string, Hash32> below;
  for (const auto& [key, leaf] : model) below[Nibbles(key)] = leaf;
  return NaiveHash(below, "");
}

inline std::vector<TrieItem> ItemsOf(const TrieModel& model) {
  std::vector<TrieItem> items;
  for (const auto& [key, leaf] : model) items.push_back({AsBytes(key), leaf});
  return items;
}

// Keys that like to share prefixes, to be prefixes of each other, and to be long.
inline std::vector<std::string> TrieKeys(std::mt19937_64& random, std::size_t count) {
  const std::vector<std::string> stems = {
      "", "a", "airports/", std::string(1, '\0'), std::string(200, 'x'), "\xff\xff"};
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < count; ++i) {
    std::string key = stems[random() % stems.size()];
    for (std::size_t length = random() % 4; length > 0; --length) {
      const char letters[] = {0x00, 0x01, 0x10, 0x11, 'a', 'b', '\x7f', '\xff'};
      key.push_back(random() % 4 == 0 ? static_cast<char>(random())
                                      : letters[random() % std::size(letters)]);
    }
    keys.push_back(std::move(key));
  }
  return keys;
}

inline std::map<Bytes, Bytes> Rows(Storage& storage) {
  std::map<Bytes, Bytes> rows;
  for (auto cursor = storage.Scan(Family::kView, {}, nullptr); cursor->valid();
       cursor->Next()) {
    rows.emplace(ToBytes(cursor->key()), ToBytes(cursor->value()));
  }
  return rows;
}

}  // namespace weft
