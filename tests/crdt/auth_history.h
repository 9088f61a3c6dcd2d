// Random histories of grants, invites, removals and verdicts, with writes between them.

#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/crdt/replica.h"
#include "tests/sim/sim_random.h"

namespace weft {

class History {
 public:
  explicit History(std::uint64_t seed) : people_(6, seed), random_(seed * 77 + 1) {
    for (const CoreKey& id : people_.ids) {
      replicas_.push_back(std::make_unique<Replica>(people_.genesis, id));
    }
    made_.grants.push_back(GenesisGrantId(0));
    for (std::size_t i = 1; i < 4; ++i) {
      GrantOp grant;
      grant.identity = people_.ids[i];
      grant.role = i == 3 ? GrantRole::kModerated : GrantRole::kAdmin;
      grant.may_delegate = i == 1;
      Try(0, grant);
    }
    for (std::size_t i = 1; i < replicas_.size(); ++i) {
      replicas_[i]->FetchAll(*replicas_[0]);
    }
  }

  void Step() {
    const std::size_t who = Below(replicas_.size());
    switch (Below(12)) {
      case 0:
      case 1:
      case 2: {
        const std::string key(1, static_cast<char>('a' + Below(4)));
        auto commit = replicas_[who]->Commit(
            std::vector<Mutation>{Put(key, std::to_string(Below(1000)))});
        if (commit.ok()) made_.ops.push_back(commit->ops[0]);
        break;
      }
      case 3:
        Try(who, RandomGrant());
        break;
      case 4:
        Try(who, RandomRevoke());
        break;
      case 5:
      case 6:
        TryModeration(who);
        break;
      case 7:
        TryInvite(who);
        break;
      case 8:
        TryRedeem(who);
        break;
      default: {
        const std::size_t other = Below(replicas_.size());
        if (other == who) break;
        const CoreKey log = people_.ids[Below(people_.ids.size())];
        replicas_[who]->Fetch(*replicas_[other], log, Below(40));
        if (Below(2) == 0) replicas_[who]->FetchAll(*replicas_[other]);
        break;
      }
    }
    if (Below(40) == 0) {
      WEFT_CHECK(replicas_[who]->indexer().Flush().ok());
      replicas_[who]->Reopen();
    }
  }

  void Meet() {
    for (auto& a : replicas_) {
      for (auto& b : replicas_) {
        if (a != b) a->FetchAll(*b);
      }
    }
  }

  std::vector<std::unique_ptr<Replica>>& replicas() { return replicas_; }
  const People& people() const { return people_; }
  std::uint64_t Below(std::uint64_t n) { return random_.Below(n); }
  int revokes() const { return revokes_; }

  AuthOperation RandomRevoke() {
    RevokeOp revoke;
    revoke.grant = made_.grants[Below(made_.grants.size())];
    if (!made_.invites.empty() && Below(4) == 0) {
      revoke.grant = made_.invites[Below(made_.invites.size())].first;
    }
    revoke.subtree = Below(3) == 0;
    for (const CoreKey& id : people_.ids) {
      if (Below(3) != 0) revoke.keep.push_back({id, Below(20)});
    }
    return revoke;
  }

 private:
  void Try(std::size_t who, const AuthOperation& operation) {
    Replica& replica = *replicas_[who];
    auto commit = replica.indexer().PrepareAuth(
        replica.self(), std::span(&operation, 1),
        static_cast<std::uint64_t>(replica.clock().now_ms));
    if (!commit.ok()) return;
    WEFT_CHECK(replica.Append(*commit).ok());
    if (std::holds_alternative<GrantOp>(operation)) {
      made_.grants.push_back(commit->ops[0]);
    } else if (std::holds_alternative<RevokeOp>(operation)) {
      ++revokes_;
    } else if (std::holds_alternative<InviteOp>(operation)) {
      made_.invites.emplace_back(commit->ops[0], invite_pair_);
    } else if (std::holds_alternative<RedeemOp>(operation)) {
      made_.grants.push_back(commit->ops[0]);
    }
  }

  GrantOp RandomGrant() {
    GrantOp grant;
    grant.identity = people_.ids[Below(people_.ids.size())];
    grant.role = static_cast<GrantRole>(Below(5));
    grant.may_delegate = Below(2) == 0;
    return grant;
  }

  void TryModeration(std::size_t who) {
    const CoreKey log = people_.ids[Below(people_.ids.size())];
    const std::uint64_t length = replicas_[who]->logs().logs[log].size();
    if (length == 0) return;
    const std::uint64_t from = Below(length);
    const std::uint64_t to = from + 1 + Below(length - from);
    switch (Below(4)) {
      case 0: {
        HideOp hide;
        hide.hide = Below(2) == 0;
        hide.log = log;
        hide.from = from;
        hide.to = to;
        return Try(who, hide);
      }
      case 1: {
        if (made_.ops.empty()) return;
        HideOp hide;
        hide.hide = Below(3) != 0;
        hide.ops = {made_.ops[Below(made_.ops.size())]};
        return Try(who, hide);
      }
      default: {
        constexpr AuthOpType kTypes[] = {AuthOpType::kAccept, AuthOpType::kReject,
                                         AuthOpType::kAdmit};
        VerdictOp verdict;
        verdict.type = kTypes[Below(3)];
        verdict.log = log;
        verdict.from = from;
        verdict.to = to;
        return Try(who, verdict);
      }
    }
  }

  void TryInvite(std::size_t who) {
    Seed seed = RandomSeed(random_);
    invite_pair_ = KeyPairFromSeed(seed);
    InviteOp invite;
    invite.key = invite_pair_.public_key;
    invite.role = static_cast<GrantRole>(Below(3));
    invite.uses = 1 + Below(2);
    Try(who, invite);
  }

  void TryRedeem(std::size_t who) {
    if (made_.invites.empty()) return;
    const auto& [invite, pair] = made_.invites[Below(made_.invites.size())];
    RedeemOp redeem;
    redeem.invite = invite;
    redeem.identity = people_.ids[Below(people_.ids.size())];
    redeem.signature = Sign(
        pair.secret_key, RedeemSignable(BaseIdOf(EncodeGenesis(people_.genesis)).view(),
                                        redeem.identity));
    Try(who, redeem);
  }

  struct Made {
    std::vector<OpId> grants;
    std::vector<std::pair<OpId, KeyPair>> invites;
    std::vector<OpId> ops;
  };
  People people_;
  sim::SimRandom random_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  Made made_;
  KeyPair invite_pair_;
  int revokes_ = 0;
};

// What a replica would answer about everything.
inline std::string Answers(Replica& replica, const std::vector<CoreKey>& logs) {
  std::string text =
      ToHex(replica.Root().view()) + "\n" + ToHex(replica.Digest().view()) + "\n";
  for (const auto& [path, grant] : replica.indexer().authority().grants()) {
    text += absl::StrFormat("%s %s %d revoked %d\n", ToText(grant->id),
                            RoleText(grant->role), grant->path.steps.size(),
                            grant->revoked);
  }
  const VersionVector settled = replica.indexer().Settled();
  for (const CoreKey& log : logs) {
    for (std::uint64_t position = 0; position < settled.length(log); ++position) {
      const OpFate fate = replica.Fate({log, position, 0});
      text += absl::StrFormat("%s %d: %s", ToZBase32(log.view()).substr(0, 6), position,
                              FateText(fate.kind));
      for (const OpId& by : fate.by) text += " by " + ToText(by);
      text += "\n";
    }
  }
  return text;
}

}  // namespace weft
