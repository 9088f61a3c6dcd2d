// Authority (6.4): a hundred thousand auth ops from scratch, and one more. The aims are
// 1 s and a median of 1 ms. And verdicts of moderators (6.6), each on all that somebody
// wrote.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "crdt/authority.h"
#include "engine/check.h"

namespace weft {
namespace {

constexpr std::uint64_t kOps = 100'000;
constexpr std::size_t kOpsPerBatch = 100;

// Two founders grant, invite and revoke in turns; blocks without bytes behind them.
class Facts {
 public:
  Facts() {
    std::uint64_t seed = 0;
    for (int i = 0; i < 2; ++i) {
      Seed secret;
      secret.bytes[0] = static_cast<std::uint8_t>(i + 1);
      const KeyPair pair = KeyPairFromSeed(secret);
      genesis_.founders.push_back(
          IdentityManifest(genesis_.salt, std::span(&pair.public_key, 1), 1));
    }
    for (std::uint64_t made = 0; made < kOps; made += kOpsPerBatch) {
      std::vector<AuthOperation> ops;
      const std::uint64_t founder = (made / kOpsPerBatch) % 2;
      for (std::size_t i = 0; i < kOpsPerBatch; ++i) {
        GrantOp grant;
        std::memcpy(grant.identity.bytes.data(), &++seed, sizeof(seed));
        grant.role = GrantRole::kWriter;
        const std::size_t before = grants_[founder].size();
        if (i % 4 == 3 && before > 10) {
          RevokeOp revoke;
          revoke.grant = grants_[founder][(seed * 7919) % before];
          revoke.keep.push_back({grant.identity, 5});
          revoke.named = UINT64_MAX;
          ops.emplace_back(revoke);
        } else {
          ops.emplace_back(grant);
        }
      }
      Add(founder, std::move(ops));
    }
  }

  void Add(std::uint64_t founder, std::vector<AuthOperation> ops) {
    const CoreKey writer = KeyOf(genesis_.founders[founder]);
    DecodedBlock block;
    block.header.position = lengths_[founder]++;
    block.header.envelope.emplace();
    block.header.envelope->cite = GenesisGrantId(static_cast<std::uint32_t>(founder));
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (!std::holds_alternative<GrantOp>(ops[i])) continue;
      grants_[founder].push_back(
          {writer, block.header.position, static_cast<std::uint32_t>(i)});
    }
    block.payload.auth_operations = std::move(ops);
    writers_.push_back(writer);
    founders_.push_back(static_cast<GrantNumber>(founder));
    blocks_.push_back(std::move(block));
  }

  std::unique_ptr<Authority> Start() const {
    return std::make_unique<Authority>(
        genesis_, [](const CoreKey&, std::uint64_t, const CoreKey&) {
          return std::uint64_t{UINT64_MAX};
        });
  }
  void Give(std::size_t i, Authority* authority) const {
    authority->Add(writers_[i], std::span(&blocks_[i], 1), founders_[i]);
  }
  std::size_t size() const { return blocks_.size(); }

 private:
  Genesis genesis_;
  std::vector<CoreKey> writers_;
  std::vector<GrantNumber> founders_;
  std::vector<DecodedBlock> blocks_;
  std::vector<OpId> grants_[2];
  std::uint64_t lengths_[2] = {0, 0};
};

void AuthorityFromScratch(benchmark::State& state) {
  const Facts facts;
  for (auto _ : state) {
    const auto authority = facts.Start();
    for (std::size_t i = 0; i < facts.size(); ++i) facts.Give(i, authority.get());
    AuthorityChange change;
    authority->Evaluate(&change);
    WEFT_CHECK(authority->grants().size() > kOps / 2);
  }
  state.counters["ops/s"] = benchmark::Counter(
      static_cast<double>(kOps * static_cast<std::uint64_t>(state.iterations())),
      benchmark::Counter::kIsRate);
}
BENCHMARK(AuthorityFromScratch)->Unit(benchmark::kMillisecond);

// After the hundred thousand: a grant or a revocation at a time.
void AuthorityOneMore(benchmark::State& state) {
  Facts facts;
  const auto authority = facts.Start();
  for (std::size_t i = 0; i < facts.size(); ++i) facts.Give(i, authority.get());
  AuthorityChange first;
  authority->Evaluate(&first);
  std::uint64_t seed = 1;
  std::vector<double> times;
  for (auto _ : state) {
    GrantOp grant;
    std::memcpy(grant.identity.bytes.data() + 8, &++seed, sizeof(seed));
    grant.role = GrantRole::kWriter;
    facts.Add(seed % 2, {grant});
    const auto begin = std::chrono::steady_clock::now();
    facts.Give(facts.size() - 1, authority.get());
    AuthorityChange change;
    authority->Evaluate(&change);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    times.push_back(took.count());
    state.SetIterationTime(took.count());
  }
  std::nth_element(times.begin(),
                   times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2),
                   times.end());
  state.counters["median_us"] = times[times.size() / 2] * 1e6;
}
BENCHMARK(AuthorityOneMore)
    ->Iterations(2'000)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

// So many verdicts, one after the other, on as many batches of a moderated member, and
// after each what becomes of each batch, which is what an indexer asks.
void AuthorityVerdicts(benchmark::State& state) {
  const auto count = static_cast<std::uint64_t>(state.range(0));
  const Salt salt{};
  Seed secret;
  secret.bytes[0] = 1;
  const KeyPair pair = KeyPairFromSeed(secret);
  Genesis genesis;
  genesis.founders.push_back(IdentityManifest(salt, std::span(&pair.public_key, 1), 1));
  const CoreKey founder = KeyOf(genesis.founders[0]);
  CoreKey member;
  member.bytes.fill(7);
  for (auto _ : state) {
    Authority authority(genesis, [](const CoreKey&, std::uint64_t, const CoreKey&) {
      return std::uint64_t{UINT64_MAX};
    });
    AuthorityChange change;
    DecodedBlock block;
    block.header.envelope.emplace();
    block.header.envelope->cite = GenesisGrantId(0);
    const auto add = [&](const AuthOperation& operation) {
      block.payload.auth_operations = {operation};
      authority.Add(founder, std::span(&block, 1), 0);
      authority.Evaluate(&change);
      ++block.header.position;
    };
    GrantOp grant;
    grant.identity = member;
    grant.role = GrantRole::kModerated;
    add(grant);
    const GrantNumber cited = *authority.Cited({founder, 0, 0}, 1);
    std::uint64_t effective = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      VerdictOp verdict;
      verdict.type = i % 2 == 0 ? AuthOpType::kAccept : AuthOpType::kReject;
      verdict.log = member;
      verdict.to = count;
      verdict.named = count;
      add(verdict);
      for (std::uint64_t at = 0; at < count; ++at) {
        const Standing standing = authority.StandingOf(cited, member, at, at + 1, true);
        effective += standing == Standing::kEffective ? 1 : 0;
      }
    }
    WEFT_CHECK(effective == (count + 1) / 2 * count);
  }
}
BENCHMARK(AuthorityVerdicts)
    ->Arg(250)
    ->Arg(500)
    ->Arg(1'000)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft

BENCHMARK_MAIN();
