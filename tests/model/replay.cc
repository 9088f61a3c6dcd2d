// The engine's side of the differential runs: replays whole histories into real
// indexers and says what came of them. Reads one JSON request a line from stdin,
// answers each with one line on stdout.
//
// identities  {do, salt, count, first}       -> [{key, manifest}], from fixed seeds
// sign        {do, items: [[seed, message]]} -> [signature]
// public      {do, seeds: [n]}               -> [public key]
// case        {do, genesis, keys, logs, orders, ops, watch}
//             -> {states: [...], differs: null or which order ended elsewhere}
// What a case's fields mean is said in engine.py, which writes them.

#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/merkle_tree.h"
#include "tests/crdt/replica.h"

namespace weft {
namespace {

using Json = nlohmann::json;

template <class T>
T KeyFrom(const Json& hex) {
  return *T::From(*FromHex(hex.get<std::string>()));
}
template <class T>
std::string HexOf(const T& key) {
  return ToHex(key.view());
}

KeyPair PairOf(std::uint64_t seed) {
  sim::SimRandom random(seed);
  return KeyPairFromSeed(RandomSeed(random));
}

Json Identities(const Json& request) {
  const Salt salt = KeyFrom<Salt>(request["salt"]);
  Json people = Json::array();
  const std::uint64_t first = request["first"];
  for (std::uint64_t i = 0; i < request["count"]; ++i) {
    const PublicKey key = PairOf(first + i).public_key;
    const Manifest manifest = IdentityManifest(salt, std::span(&key, 1), 1);
    people.push_back({{"key", HexOf(KeyOf(manifest))},
                      {"manifest", ToHex(EncodeManifest(manifest))}});
  }
  return people;
}

Json Sign(const Json& request) {
  Json signatures = Json::array();
  for (const Json& item : request["items"]) {
    const KeyPair pair = PairOf(item[0]);
    signatures.push_back(
        HexOf(weft::Sign(pair.secret_key, *FromHex(item[1].get<std::string>()))));
  }
  return signatures;
}

Json PublicKeys(const Json& request) {
  Json keys = Json::array();
  for (const Json& seed : request["seeds"]) {
    keys.push_back(HexOf(PairOf(seed).public_key));
  }
  return keys;
}

// One history, and how to say op ids of it in short.
class Case {
 public:
  explicit Case(const Json& request) : request_(request) {
    const Bytes bytes = *FromHex(request["genesis"].get<std::string>());
    auto genesis = DecodeGenesis(bytes);
    WEFT_CHECK(genesis.ok());
    genesis_ = *std::move(genesis);
    for (const Json& key : request["keys"]) {
      number_[KeyFrom<CoreKey>(key)] = keys_.size();
      keys_.push_back(KeyFrom<CoreKey>(key));
    }
    for (const Json& log : request["logs"]) {
      std::vector<Bytes>& blocks = logs_.emplace_back();
      for (const Json& block : log["blocks"]) {
        blocks.push_back(*FromHex(block.get<std::string>()));
      }
      log_keys_.push_back(keys_[log["key"].get<std::size_t>()]);
      ReadCertificate(log_keys_.back(), blocks);
    }
    for (const Json& op : request["ops"]) {
      ops_.push_back({keys_[op[0].get<std::size_t>()], op[1], op[2]});
    }
  }

  Json Run() {
    Json answer = {{"states", Json::array()}, {"differs", nullptr}};
    Json first;
    std::size_t n = 0;
    for (const Json& order : request_["orders"]) {
      Json end = RunOrder(order, answer);
      if (n == 0) {
        first = end;
        answer["states"].push_back(std::move(end));
      } else if (end != first && answer["differs"].is_null()) {
        answer["differs"] = {{"order", n}, {"state", std::move(end)}};
      }
      ++n;
    }
    return answer;
  }

 private:
  void ReadCertificate(const CoreKey& key, const std::vector<Bytes>& blocks) {
    if (blocks.empty()) return;
    LogState log(key);
    const DecodedBlock first = DecodeBlock(log, blocks[0], genesis_.limits);
    if (!first.incarnation || first.header.state != BlockState::kValid) return;
    const BaseId base = BaseIdOf(EncodeGenesis(genesis_));
    if (!VerifyIncarnation(base, genesis_.salt, key, *first.incarnation).ok()) return;
    certificates_.emplace(key, first.incarnation->identity);
  }

  // Certificates travel as evidence, ahead of the logs (S2).
  void FollowCertified(Replica& replica) const {
    for (bool more = true; more;) {
      const std::size_t wanted = replica.indexer().wanted_count();
      for (const auto& [log, identity] : certificates_) {
        if (!replica.indexer().authority().IsNamed(identity)) continue;
        replica.indexer().Follow(log);
      }
      more = replica.indexer().wanted_count() > wanted;
      if (more) WEFT_CHECK(replica.indexer().IndexAll().ok());
    }
  }

  Json RunOrder(const Json& order, Json& answer) {
    IndexerOptions options;
    options.flush_ops = order["flush_ops"];
    options.cache_keys_max = order["cache_keys"];
    Replica replica(genesis_, CoreKey{}, options);
    for (const Json& step : order["steps"]) {
      if (step[0] == "flush") {
        WEFT_CHECK(replica.indexer().Flush().ok());
      } else if (step[0] == "restart") {
        replica.Reopen();
      } else if (step[0] == "proofs") {
        for (const Json& proof : request_["proofs"]) {
          replica.TakeProof(ProofOf(proof[0], proof[1]));
        }
      } else if (step[0] == "state") {
        answer["states"].push_back(StateOf(replica));
      } else {
        const std::size_t log = step[0];
        replica.Hold(log_keys_[log], logs_[log], step[1].get<std::uint64_t>());
      }
      FollowCertified(replica);
      if (request_["watch"].get<bool>()) Watch(replica, answer);
    }
    return StateOf(replica);
  }

  // A proof that a log has two branches from block `point` on: two that the history
  // has, or what else its owner might have signed.
  ForkProof ProofOf(std::size_t writer, std::size_t point) {
    std::vector<std::vector<Bytes>> sides;
    for (std::size_t log = 0; log < logs_.size(); ++log) {
      if (log_keys_[log] != keys_[writer]) continue;
      const std::vector<Bytes>& blocks = logs_[log];
      const auto prefix = static_cast<std::ptrdiff_t>(point);
      if (blocks.size() <= point) continue;
      std::vector<Bytes> side(blocks.begin(), blocks.begin() + prefix + 1);
      const bool is_new = sides.empty() || sides.back() != side;  // two may begin alike
      if (is_new) sides.push_back(std::move(side));
    }
    for (std::size_t log = 0; sides.size() < 2; ++log) {
      WEFT_CHECK(log < 2 * logs_.size());
      if (log_keys_[log % logs_.size()] != keys_[writer]) continue;
      std::vector<Bytes> side = logs_[log % logs_.size()];
      if (side.size() < point) continue;
      side.resize(point);
      side.push_back({static_cast<std::uint8_t>(sides.size())});
      sides.push_back(std::move(side));
    }
    for (std::uint64_t seed = 1;; ++seed) {
      const KeyPair pair = PairOf(seed);
      const Manifest manifest =
          IdentityManifest(genesis_.salt, std::span(&pair.public_key, 1), 1);
      if (KeyOf(manifest) != keys_[writer]) continue;
      return ProveFork(manifest, pair, sides[0], sides[1]);
    }
  }

  // I1 at every moment: one digest, one root, one fate of each op below the settled
  // lengths.
  void Watch(Replica& replica, Json& answer) {
    const VersionVector settled = replica.indexer().Settled();
    Json now = {{"root", HexOf(replica.Root())}, {"fates", Json::array()}};
    for (const OpId& op : ops_) {
      if (settled.Includes(op.dot())) now["fates"].push_back(FateOf(replica, op));
    }
    const auto [known, added] = watched_.emplace(HexOf(replica.Digest()), now);
    if (!added && known->second != now && answer["differs"].is_null()) {
      answer["differs"] = {{"one_digest_but", {known->second, now}}};
    }
  }

  Json Name(const OpId& op) const {
    const auto found = number_.find(op.writer);
    return {found == number_.end() ? Json(HexOf(op.writer)) : Json(found->second),
            op.position, op.op_index};
  }
  Json WriterName(const CoreKey& key) const {
    const auto found = number_.find(key);
    return found == number_.end() ? Json(HexOf(key)) : Json(found->second);
  }

  Json RegisterOf(const ViewRegister& seen) const {
    Json live = Json::array();
    for (const ViewSibling& sibling : seen.live) {
      live.push_back({Name(sibling.op), ToHex(AsBytes(sibling.value))});
    }
    return {{"live", live}, {"deleted", seen.deleted_concurrently}};
  }

  static Json TypedOf(const ViewTyped& typed) {
    Json out = Json::object();
    if (typed.counter) out["counter"] = {typed.counter->value, typed.counter->sum};
    if (typed.set) {
      out["set"] = Json::array();
      for (const std::string& element : *typed.set) {
        out["set"].push_back(ToHex(AsBytes(element)));
      }
    }
    if (typed.max) out["max"] = *typed.max;
    if (typed.min) out["min"] = *typed.min;
    if (typed.flag) out["flag"] = {typed.flag->enabled, typed.flag->in_conflict};
    return out;
  }

  Json EntryOf(const ViewEntry& entry) const {
    Json out = {{"conflict", entry.has_conflicts()},
                {"shown", static_cast<int>(entry.shown)}};
    if (!entry.typed.empty()) out["typed"] = TypedOf(entry.typed);
    if (entry.value) out["register"] = RegisterOf(*entry.value);
    if (entry.text) out["text"] = *entry.text;
    if (entry.list) {
      out["list"] = Json::array();
      for (const std::string& item : *entry.list) {
        out["list"].push_back(ToHex(AsBytes(item)));
      }
    }
    if (entry.record) {
      Json cells = Json::object();
      for (const auto& [column, cell] : entry.record->cells) {
        cells[column] = RegisterOf(cell);
      }
      for (const auto& [column, cell] : entry.record->typed_cells) {
        out["typed_cells"][column] = TypedOf(cell);
      }
      Json presence = Json::array();
      for (const OpId& op : entry.record->presence) presence.push_back(Name(op));
      out["record"] = {{"cells", cells},
                       {"presence", presence},
                       {"deleted", entry.record->deleted_concurrently}};
    }
    return out;
  }

  Json FateOf(Replica& replica, const OpId& op) const {
    const OpFate fate = replica.Fate(op);
    Json by = Json::array();
    for (const OpId& other : fate.by) by.push_back(Name(other));
    return {FateText(fate.kind), by, fate.reason};
  }

  Json GrantsOf(Replica& replica) const {
    Json grants = Json::array();
    for (const auto& [path, grant] : replica.indexer().authority().grants()) {
      grants.push_back({{"op", Name(grant->id)},
                        {"identity", WriterName(grant->identity)},
                        {"role", static_cast<int>(grant->role)},
                        {"scope", ToHex(grant->scope)},
                        {"depth", path.steps.size()},
                        {"revoked", grant->revoked}});
    }
    return grants;
  }

  Json VersionOf(Replica& replica) const {
    const Version version = replica.indexer().CurrentVersion();
    Json writers = Json::array();
    for (const auto& [key, prefix] : version.writers) {
      writers.push_back({WriterName(key), prefix.length, HexOf(prefix.tree_hash)});
    }
    Json forked = Json::array();
    for (const auto& [key, point] : version.forked) {
      forked.push_back({WriterName(key), point});
    }
    Json parked = Json::array();
    for (const Dot& dot : version.parked) {
      parked.push_back({WriterName(dot.writer), dot.position});
    }
    return {{"writers", writers}, {"forked", forked}, {"parked", parked}};
  }

  Json StateOf(Replica& replica) const {
    Json view = Json::object();
    auto scan = replica.indexer().ScanView("", std::nullopt, false);
    while (const auto entry = scan->Next()) {
      view[ToHex(AsBytes(entry->key))] = EntryOf(*entry);
    }
    WEFT_CHECK(scan->status().ok());
    Json fates = Json::array();
    for (const OpId& op : ops_) fates.push_back(FateOf(replica, op));
    return {{"view", std::move(view)},        {"fates", std::move(fates)},
            {"grants", GrantsOf(replica)},    {"version", VersionOf(replica)},
            {"root", HexOf(replica.Root())},  {"digest", HexOf(replica.Digest())},
            {"conflicts", replica.Keys(true)}};
  }

  const Json& request_;
  Genesis genesis_;
  std::vector<CoreKey> keys_;
  std::map<CoreKey, std::size_t> number_;
  std::vector<std::vector<Bytes>> logs_;  // branches; several may be of one core
  std::vector<CoreKey> log_keys_;
  std::map<CoreKey, CoreKey> certificates_;  // of later incarnations; whose they are
  std::vector<OpId> ops_;
  std::map<std::string, Json> watched_;
};

Json Answer(const Json& request) {
  const std::string what = request["do"];
  if (what == "identities") return Identities(request);
  if (what == "sign") return Sign(request);
  if (what == "public") return PublicKeys(request);
  WEFT_CHECK(what == "case");
  return Case(request).Run();
}

}  // namespace
}  // namespace weft

int main() {
  std::ios::sync_with_stdio(false);
  std::string line;
  while (std::getline(std::cin, line)) {
    std::cout << weft::Answer(weft::Json::parse(line)).dump() << "\n" << std::flush;
  }
  return 0;
}
