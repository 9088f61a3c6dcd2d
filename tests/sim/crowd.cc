#include "tests/sim/crowd.h"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <map>

#include "absl/strings/str_format.h"
#include "engine/corestore.h"
#include "engine/memory_storage.h"
#include "replication/swarm.h"
#include "tests/sim/hostile.h"
#include "tests/sim/sim_network.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kBlocksAtFirst = 4;

// An honest store. It outlives its swarms, of which there is one a life.
class CrowdNode final : public CoreProvider, public SessionObserver {
 public:
  CrowdNode(std::uint64_t seed, std::string host)
      : random_(seed), host_(std::move(host)) {
    cores = *Corestore::Open(&storage_, &random_);
  }

  void Start(asio::io_context& io, SimClock* clock, SimNetwork& network) {
    view_ = network.HostView(host_);
    SwarmOptions options;
    options.executor = io.get_executor();
    options.clock = clock;
    options.random = &random_;
    options.network = view_.get();
    options.cores = this;
    options.observer = this;
    swarm = std::make_unique<Swarm>(options);
    if (!swarm->Listen(address()).ok()) std::abort();
    for (const std::string& dial : dials) swarm->Keep(dial);
  }
  // The views of the past are kept: what is under way may use them.
  void Stop() {
    for (const auto& connection : swarm->connections()) connection.session->Abandon();
    swarm.reset();
    old_views_.push_back(std::move(view_));
  }

  std::string address() const { return host_ + ":1"; }
  const std::string& host() const { return host_; }

  absl::StatusOr<std::shared_ptr<Hypercore>> Find(const DiscoveryKey& key) override {
    return cores->Find(key);
  }
  std::optional<CoreKey> KeyOf(const DiscoveryKey& key) override {
    return cores->FindKey(key);
  }
  void OnReady(Session& session) override {
    for (const auto& core : wanted) session.Replicate(core, Download::Whole());
    for (const auto& core : own) session.Replicate(core, Download::None());
  }

  std::unique_ptr<Corestore> cores;
  std::unique_ptr<Swarm> swarm;
  std::vector<std::string> dials;
  std::vector<std::shared_ptr<Hypercore>> own;
  std::vector<std::shared_ptr<Hypercore>> wanted;  // copies

 private:
  SimRandom random_;
  std::string host_;
  MemoryStorage storage_;
  std::unique_ptr<Network> view_;
  std::vector<std::unique_ptr<Network>> old_views_;
};

class Crowd {
 public:
  Crowd(std::uint64_t seed, const CrowdOptions& options)
      : options_(options), random_(seed), network_(&clock_, random_.U64(), {}) {
    network_.set_tap([this](const std::string& from, const std::string& to,
                            ByteView bytes) { Trace(from, to, bytes); });
  }
  ~Crowd() {
    for (const auto& attacker : attackers_) attacker->Stop();
    for (const auto& node : nodes_) {
      if (node->swarm) node->Stop();
    }
    while (io_.restart(), io_.poll() > 0 || clock_.next() != Nanos::max()) {
      clock_.Clear();
    }
  }

  CrowdResult Run();

 private:
  void Build();
  void Append(CrowdNode& node, std::size_t blocks);
  void Busy();
  void Churn();
  void Split(bool heal);
  bool IsLevel() const;
  void Measure();
  void Judge();
  void RunFor(Nanos duration);
  void Trace(const std::string& from, const std::string& to, ByteView bytes);
  CrowdNode& Any() { return *nodes_[random_.Below(nodes_.size())]; }

  CrowdOptions options_;
  SimRandom random_;
  asio::io_context io_{1};
  SimClock clock_{Nanos(std::chrono::hours(1))};
  SimNetwork network_;
  std::vector<std::unique_ptr<CrowdNode>> nodes_;
  std::vector<std::unique_ptr<Attacker>> attackers_;
  std::vector<std::unique_ptr<Network>> attacker_views_;
  // What hostile readers know: the cores of the authors, to be served wrongly.
  std::map<CoreKey, std::shared_ptr<Hypercore>> authors_;
  CrowdResult result_;
  Hash32 trace_;
};

void Crowd::Trace(const std::string& from, const std::string& to, ByteView bytes) {
  const auto now = static_cast<std::uint64_t>(clock_.Steady().count());
  std::array<std::uint8_t, 8> moment;
  for (std::size_t i = 0; i < 8; ++i) {
    moment[i] = static_cast<std::uint8_t>(now >> (8 * i));
  }
  trace_ = Blake2b256({trace_.view(), moment, AsBytes(from), AsBytes(to), bytes});
}

void Crowd::RunFor(Nanos duration) {
  const Nanos until = clock_.Steady() + duration;
  for (;;) {
    io_.restart();
    io_.poll();
    if (clock_.next() > until || !clock_.Step()) break;
  }
  clock_.AdvanceTo(until);
}

void Crowd::Append(CrowdNode& node, std::size_t blocks) {
  Hypercore& core = *node.own[random_.Below(node.own.size())];
  for (std::size_t i = 0; i < blocks; ++i) {
    const Bytes block(1 + random_.Below(200), static_cast<std::uint8_t>(core.length()));
    const ByteView view(block);
    if (!core.Append({&view, 1}).ok()) result_.problems.push_back("an append failed");
    ++result_.blocks;
  }
}

void Crowd::Build() {
  for (std::size_t i = 0; i < options_.nodes; ++i) {
    nodes_.push_back(std::make_unique<CrowdNode>(
        random_.U64(), absl::StrFormat("10.1.%d.%d", i / 250, 1 + i % 250)));
  }
  for (std::size_t i = 0; i < options_.feeds; ++i) {
    CrowdNode& author = *nodes_[i % nodes_.size()];
    author.own.push_back(*author.cores->OpenNamed(absl::StrFormat("feed %d", i)));
    authors_.emplace(author.own.back()->key(), author.own.back());
  }
  for (const auto& node : nodes_) {
    for (std::size_t i = 0; i < kBlocksAtFirst * node->own.size(); ++i) {
      Append(*node, 1);
    }
  }
  for (const auto& node : nodes_) {
    for (std::size_t i = 0; i < options_.follows; ++i) {
      CrowdNode& author = Any();
      if (&author == node.get()) continue;
      node->dials.push_back(author.address());
      for (const auto& core : author.own) {
        node->wanted.push_back(*node->cores->OpenRemote(core->key()));
      }
    }
  }
  for (const auto& node : nodes_) node->Start(io_, &clock_, network_);
  for (std::size_t i = 0; i < options_.hostile; ++i) {
    attacker_views_.push_back(
        network_.HostView(absl::StrFormat("10.9.%d.%d", i / 250, 1 + i % 250)));
    AttackerOptions how;
    how.kind = static_cast<HostileKind>(i % kHostileKinds);
    how.io = &io_;
    how.clock = &clock_;
    how.network = attacker_views_.back().get();
    how.seed = random_.U64();
    how.cores = &authors_;
    for (const auto& node : nodes_) how.targets.push_back(node->address());
    attackers_.push_back(std::make_unique<Attacker>(std::move(how)));
    attackers_.back()->Start();
  }
}

void Crowd::Churn() {
  CrowdNode& node = Any();
  network_.Drop(node.host());
  node.Stop();
  RunFor(milliseconds(random_.Below(1500)));
  node.Start(io_, &clock_, network_);
}

void Crowd::Split(bool heal) {
  if (heal) return network_.HealAll();
  for (std::size_t i = 0; i < nodes_.size() / 2; ++i) {
    for (std::size_t j = nodes_.size() / 2; j < nodes_.size(); ++j) {
      network_.Partition(nodes_[i]->host(), nodes_[j]->host());
    }
  }
}

void Crowd::Measure() {
  for (const auto& node : nodes_) {
    const Swarm& swarm = *node->swarm;
    result_.connections_most =
        std::max(result_.connections_most, swarm.connections().size());
    result_.received_bytes_most =
        std::max(result_.received_bytes_most, swarm.budget().received->bytes());
    result_.upload_bytes_most =
        std::max(result_.upload_bytes_most, swarm.budget().upload->bytes());
  }
}

void Crowd::Busy() {
  const Nanos started = clock_.Steady();
  bool split = false, healed = false;
  while (clock_.Steady() - started < options_.busy) {
    RunFor(milliseconds(500));
    Append(Any(), 1 + random_.Below(3));
    if (random_.Chance(0.3)) Churn();
    const Nanos passed = clock_.Steady() - started;
    if (!split && passed > options_.busy / 3) {
      Split(false);
      split = true;
    }
    if (!healed && passed > options_.busy * 2 / 3) {
      Split(true);
      healed = true;
    }
    Measure();
  }
}

bool Crowd::IsLevel() const {
  for (const auto& node : nodes_) {
    for (const auto& copy : node->wanted) {
      const Hypercore& truth = *authors_.at(copy->key());
      if (copy->length() != truth.length() || copy->held_blocks() != truth.length()) {
        return false;
      }
    }
  }
  return true;
}

// What must hold of every honest node.
void Crowd::Judge() {
  const Nanos now = clock_.Steady();
  for (const auto& node : nodes_) {
    for (const auto& other : nodes_) {
      const IpPrefix from = *IpPrefixOf(other->host());
      const BanTable& bans = node->swarm->bans();
      if (bans.IsBanned(from, now) || bans.IsBanned(other->swarm->key(), now)) {
        result_.problems.push_back(absl::StrFormat("%s banned %s, which is honest",
                                                   node->host(), other->host()));
      }
      result_.points_most = std::max(result_.points_most,
                                     static_cast<std::size_t>(bans.Score(from, now)));
    }
    for (std::size_t i = 0; i < options_.hostile; ++i) {
      const std::string host = absl::StrFormat("10.9.%d.%d", i / 250, 1 + i % 250);
      result_.hostile_bans += node->swarm->bans().IsBanned(*IpPrefixOf(host), now);
    }
    for (const auto& copy : node->wanted) {
      const Hypercore& truth = *authors_.at(copy->key());
      result_.blocks_copied += copy->held_blocks();
      if (copy->length() == truth.length() && copy->tree_hash() != truth.tree_hash()) {
        result_.problems.push_back("a copy is no copy");
      }
    }
  }
}

CrowdResult Crowd::Run() {
  Build();
  Busy();
  const Nanos healed = clock_.Steady();
  while (!(result_.level = IsLevel()) && clock_.Steady() - healed < options_.calm) {
    RunFor(seconds(1));
    Measure();
  }
  result_.level_after = clock_.Steady() - healed;
  if (!result_.level) result_.problems.push_back("honest nodes are not level");
  Judge();
  for (const auto& attacker : attackers_) result_.hostile_dials += attacker->dials();
  result_.bytes = network_.bytes_carried();
  result_.trace_hash = ToHex(trace_.view());
  return result_;
}

}  // namespace

CrowdResult RunCrowd(std::uint64_t seed, const CrowdOptions& options) {
  return std::make_unique<Crowd>(seed, options)->Run();
}

}  // namespace weft::sim
