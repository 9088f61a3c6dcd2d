// Every small history, in every order of delivery, into the engine: all must end alike.
//
//   model_exhaustive data OPS [SHARD SHARDS]       3 writers, 2 keys
//   model_exhaustive authority OPS [SHARD SHARDS]  4 members who grant, revoke, resign
//
// A history is a way for writers to see each other's blocks and an op for each block.
// Where all writers are equal, ways that differ by their names alone count once; so do
// histories that differ by the names of the keys. Prints how many histories and
// deliveries there were. Exit code 1: two deliveries of one history ended differently,
// which is printed.

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <set>

#include "engine/merkle_tree.h"
#include "tests/crdt/replica.h"

namespace weft {
namespace {

constexpr std::size_t kWriters = 4;                // at most
using Seen = std::array<std::uint64_t, kWriters>;  // lengths that a block names

struct Node {
  std::size_t writer = 0;
  std::uint64_t position = 0;
  Seen seen = {};
  auto operator<=>(const Node&) const = default;
};
using Shape = std::vector<Node>;  // in an order of creation

// All ways for `count` blocks to see each other, each once up to the writers' names.
class Shapes {
 public:
  // `equal`: the writers have no rank.
  Shapes(std::size_t count, std::size_t writers, bool equal)
      : count_(count), writers_(writers), equal_(equal) {
    Extend({}, {}, {});
  }
  const std::vector<Shape>& all() const { return all_; }

 private:
  void Extend(const Shape& shape, const Seen& lengths,
              const std::array<Seen, kWriters>& named) {
    if (shape.size() == count_) {
      if (known_.insert(Canonical(shape)).second) all_.push_back(shape);
      return;
    }
    for (std::size_t writer = 0; writer < writers_; ++writer) {
      Choose(shape, lengths, named, writer, 0, named[writer]);
    }
  }

  void Choose(const Shape& shape, const Seen& lengths,
              const std::array<Seen, kWriters>& named, std::size_t writer,
              std::size_t other, const Seen& seen) {
    if (other == writers_) {
      Shape longer = shape;
      longer.push_back({writer, lengths[writer], seen});
      Seen grown = lengths;
      ++grown[writer];
      std::array<Seen, kWriters> told = named;
      told[writer] = seen;
      Extend(longer, grown, told);
      return;
    }
    if (other == writer) return Choose(shape, lengths, named, writer, other + 1, seen);
    for (std::uint64_t n = named[writer][other]; n <= lengths[other]; ++n) {
      Seen more = seen;
      more[other] = n;
      Choose(shape, lengths, named, writer, other + 1, more);
    }
  }

  Shape Canonical(const Shape& shape) const {
    std::array<std::size_t, kWriters> names = {0, 1, 2, 3};
    Shape best;
    do {
      Shape renamed;
      for (const Node& node : shape) {
        Node& copy = renamed.emplace_back(node);
        copy.writer = names[node.writer];
        for (std::size_t i = 0; i < writers_; ++i) copy.seen[names[i]] = node.seen[i];
      }
      std::sort(renamed.begin(), renamed.end());
      if (best.empty() || renamed < best) best = renamed;
    } while (equal_ &&
             std::next_permutation(
                 names.begin(), names.begin() + static_cast<std::ptrdiff_t>(writers_)));
    return best;
  }

  std::size_t count_;
  std::size_t writers_;
  bool equal_;
  std::set<Shape> known_;
  std::vector<Shape> all_;
};

// What the blocks of each writer may say: data for the one run, authority for the
// other.
struct Menu {
  std::size_t writers = 0;
  std::array<std::size_t, kWriters> sizes;
  bool authority = false;
};
constexpr Menu kData{3, {8, 8, 8, 0}, false};
constexpr Menu kAuthority{4, {5, 4, 4, 2}, true};

class World {
 public:
  explicit World(const Menu& menu) : menu_(menu) {
    sim::SimRandom random(7);
    genesis_.salt = RandomSalt(random);
    for (std::size_t i = 0; i < 4; ++i) {
      const IdentityKeys keys = MakeIdentity(genesis_.salt, random);
      if (i == 0 || (!menu.authority && i < menu.writers)) {
        genesis_.founders.push_back(keys.manifest);
      }
      ids_.push_back(keys.id());
    }
    if (menu.authority) WriteGrants();
  }

  // The logs of a history; `ops` has an entry of the menu for each node.
  void Build(const Shape& shape, const std::vector<std::size_t>& ops, bool reversed) {
    logs_ = before_;
    states_.clear();
    trees_.assign(kWriters, MerkleTree());
    hashes_.assign(kWriters, {});
    for (std::size_t w = 0; w < kWriters; ++w) {
      states_.emplace_back(ids_[w]);
      for (const Bytes& block : logs_[w]) Append(w, block, false);
    }
    for (std::size_t n = 0; n < shape.size(); ++n) AddBlock(shape, n, ops[n], reversed);
  }

  // Every order of delivery; false if two ended differently.
  bool AllOrdersAgree(std::uint64_t* deliveries) {
    first_.clear();
    std::vector<std::size_t> order;
    return Deliver(order, deliveries);
  }

 private:
  static constexpr std::array<std::string_view, 2> kKeys = {"a", "b"};

  void WriteGrants() {
    std::vector<AuthOperation> grants;
    for (std::size_t i = 1; i < ids_.size(); ++i) {
      GrantOp grant;
      grant.identity = ids_[i];
      grant.role = i < 3 ? GrantRole::kAdmin : GrantRole::kWriter;
      grant.may_delegate = i < 3;
      grants.push_back(grant);
    }
    const CommitHeader header{{1, 0}, GenesisGrantId(0), {}};
    auto batch = EncodeBatch(LogState(ids_[0]), header,
                             std::span<const AuthOperation>(grants), genesis_.limits);
    WEFT_CHECK(batch.ok() && batch->blocks.size() == 1);
    before_[0] = batch->blocks;
  }

  OpId CiteOf(std::size_t writer) const {
    if (!menu_.authority) return GenesisGrantId(static_cast<std::uint32_t>(writer));
    if (writer == 0) return GenesisGrantId(0);
    return {ids_[0], 0, static_cast<std::uint32_t>(writer - 1)};
  }

  void AddBlock(const Shape& shape, std::size_t n, std::size_t op, bool reversed) {
    const Node& node = shape[n];
    CommitHeader header;
    header.hlc = {
        reversed ? 100 - 10 * node.writer + node.position : 10 + node.position, 0};
    header.cite = CiteOf(node.writer);
    for (std::size_t other = 0; other < kWriters; ++other) {
      const std::uint64_t length = node.seen[other] + before_[other].size();
      if (other == node.writer || length == 0) continue;
      if (states_[node.writer].named(ids_[other]) >= length) continue;
      header.deps.push_back({ids_[other], length, hashes_[other][length - 1]});
    }
    const bool is_auth = menu_.authority && (node.writer < 3 || op > 0);
    auto batch =
        is_auth ? EncodeAuthority(header, node, op) : EncodeData(header, node, op);
    WEFT_CHECK(batch.ok() && batch->blocks.size() == 1);
    Append(node.writer, batch->blocks[0], true);
  }

  absl::StatusOr<EncodedBatch> EncodeData(const CommitHeader& header, const Node& node,
                                          std::size_t op) {
    const ByteView key = AsBytes(kKeys[op / 4]);
    const ValueView value{ValueType::kText, AsBytes(kKeys[node.position % 2])};
    const std::array<CellWrite, 1> cells = {SetCell(AsBytes("p"), value)};
    const std::array<Operation, 4> ops = {
        PutOp(key, value), DelOp(key, MaskOf(Lane::kRegister) | MaskOf(Lane::kRecord)),
        RecordOp(key, cells), DelOp(key, MaskOf(Lane::kRecord), kDeleteWins)};
    return EncodeBatch(states_[node.writer], header,
                       std::span<const Operation>(&ops[op % 4], 1), genesis_.limits);
  }

  // 0 to 2: revoke the grant of admin 1, of admin 2, of the writer, keeping what was
  // seen; that of oneself is a resignation. 3: grant to the writer once more; but of
  // the founder: revoke that of admin 1 with all below, keeping nothing, and 4 the
  // grant. Of the writer 1: resign.
  absl::StatusOr<EncodedBatch> EncodeAuthority(const CommitHeader& header,
                                               const Node& node, std::size_t op) {
    AuthOperation operation;
    const bool subtree = node.writer == 0 && op == 3;
    if (op == 4 || (op == 3 && !subtree)) {
      GrantOp grant;
      grant.identity = ids_[3];
      grant.role = GrantRole::kWriter;
      operation = grant;
    } else {
      const std::size_t victim = node.writer == 3 ? 3 : subtree ? 1 : op + 1;
      RevokeOp revoke;
      revoke.grant = {ids_[0], 0, static_cast<std::uint32_t>(victim - 1)};
      if (!subtree && node.seen[victim] > 0) {
        revoke.keep.push_back({ids_[victim], node.seen[victim]});
      }
      revoke.subtree = subtree;
      operation = revoke;
    }
    return EncodeBatch(states_[node.writer], header,
                       std::span<const AuthOperation>(&operation, 1), genesis_.limits);
  }

  void Append(std::size_t writer, const Bytes& block, bool store) {
    trees_[writer].AppendBlock(block, [](const TreeNode&) {});
    hashes_[writer].push_back(trees_[writer].hash());
    DecodeBlock(states_[writer], block, genesis_.limits);
    if (store) logs_[writer].push_back(block);
  }

  bool Deliver(std::vector<std::size_t>& order, std::uint64_t* deliveries) {
    bool done = true;
    for (std::size_t w = 0; w < kWriters; ++w) {
      const auto held = before_[w].size() + static_cast<std::size_t>(std::count(
                                                order.begin(), order.end(), w));
      if (held >= logs_[w].size()) continue;
      done = false;
      order.push_back(w);
      const bool agree = Deliver(order, deliveries);
      order.pop_back();
      if (!agree) return false;
    }
    if (!done) return true;
    ++*deliveries;
    const std::string end = EndOf(order);
    if (first_.empty()) first_ = end;
    if (end == first_) return true;
    std::cout << "two orders, two ends:\n" << first_ << "\n" << end << "\n";
    for (std::size_t w = 0; w < kWriters; ++w) {
      for (const Bytes& block : logs_[w]) std::cout << w << " " << ToHex(block) << "\n";
    }
    return false;
  }

  std::string EndOf(const std::vector<std::size_t>& order) {
    IndexerOptions options;
    options.flush_ops = 1'000;
    Replica replica(genesis_, CoreKey{}, options);
    std::array<std::uint64_t, kWriters> held = {};
    for (std::size_t w = 0; w < kWriters; ++w) {
      held[w] = before_[w].size();
      if (held[w] > 0) replica.Hold(ids_[w], before_[w]);
    }
    for (const std::size_t w : order) replica.Hold(ids_[w], logs_[w], ++held[w]);
    std::string end =
        ToHex(replica.Root().view()) + " " + ToHex(replica.Digest().view());
    for (std::size_t w = 0; w < kWriters; ++w) {
      for (std::uint64_t at = 0; at < logs_[w].size(); ++at) {
        const OpFate fate = replica.Fate({ids_[w], at, 0});
        end += absl::StrFormat(" %s/%d", FateText(fate.kind), fate.by.size());
      }
    }
    return end;
  }

  Menu menu_;
  Genesis genesis_;
  std::vector<CoreKey> ids_;
  std::array<std::vector<Bytes>, kWriters> before_;  // blocks that every history has
  std::array<std::vector<Bytes>, kWriters> logs_;
  std::vector<LogState> states_;
  std::vector<MerkleTree> trees_;
  std::vector<std::vector<TreeHash>> hashes_;
  std::string first_;
};

int Run(const Menu& menu, std::size_t count, std::uint64_t shard,
        std::uint64_t shards) {
  const Shapes shapes(count, menu.writers, !menu.authority);
  World world(menu);
  std::uint64_t histories = 0;
  std::uint64_t deliveries = 0;
  std::uint64_t number = 0;
  for (const Shape& shape : shapes.all()) {
    std::vector<std::size_t> ops(count, 0);
    for (;;) {
      // The first op is on the first key: keys have no names.
      const bool counts = menu.authority || ops[0] < menu.sizes[0] / 2;
      if (counts && number++ % shards == shard) {
        world.Build(shape, ops, number % 2 == 0);
        ++histories;
        if (!world.AllOrdersAgree(&deliveries)) return 1;
      }
      std::size_t at = 0;
      while (at < count && ++ops[at] == menu.sizes[shape[at].writer]) ops[at++] = 0;
      if (at == count) break;
    }
  }
  std::cout << shapes.all().size() << " shapes, " << histories << " histories, "
            << deliveries << " deliveries: all orders agree\n";
  return 0;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  const std::string_view mode = argc > 2 ? argv[1] : "";
  if (mode != "data" && mode != "authority") {
    std::cerr << "usage: model_exhaustive data|authority OPS [SHARD SHARDS]\n";
    return 2;
  }
  const std::uint64_t shard = argc > 4 ? std::stoull(argv[3]) : 0;
  const std::uint64_t shards = argc > 4 ? std::stoull(argv[4]) : 1;
  return weft::Run(mode == "data" ? weft::kData : weft::kAuthority,
                   std::stoull(argv[2]), shard, shards);
}
