#include "tests/sim/byzantine.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "weft/convert.h"

namespace weft::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Nanos kTenYears = hours(24 * 3652);
constexpr std::size_t kHostsMost = 12;
// Who may remove others, beside the founder, where there are enough who do not lie.
constexpr std::size_t kAdmin = 1;
// More would take their connections from each other: a peer has two at most.
constexpr std::size_t kCopiesOfOne = 1;

bool HasEffect(FateKind kind) {
  return kind == FateKind::kWinner || kind == FateKind::kConflict ||
         kind == FateKind::kSuperseded || kind == FateKind::kRemoved;
}

}  // namespace

Byzantine::Byzantine(World* world, Checker* checker, std::uint64_t seed,
                     const WorkloadOptions& options)
    : world_(world),
      checker_(checker),
      options_(options),
      steps_(seed, options_),
      people_(world->size()),
      first_liar_(world->size() - std::min(options.liars, world->size() - 1)) {
  for (std::size_t person = 0; person < people_; ++person) {
    person_of_.push_back(person);
  }
}

// --- steps ---

void Byzantine::Run() {
  LetIn();
  while (world_->problems().empty()) {
    std::optional<SimRandom> random = steps_.Next(writes_.size() + refused_);
    if (!random) return;
    random_ = *random;
    Step();
  }
}

// All are writers, and the first of those who do not lie an admin.
void Byzantine::LetIn() {
  for (std::size_t person = 1; person < people_; ++person) {
    GrantOp grant;
    grant.identity = world_->WriterOf(person);
    const bool is_admin = person == kAdmin && !IsLiar(person);
    grant.role = is_admin ? GrantRole::kAdmin : GrantRole::kWriter;
    grant.may_delegate = is_admin;
    const AuthOperation operation = grant;
    const auto said = world_->Say(0, std::span(&operation, 1));
    if (!said.ok()) world_->Problem("grant: " + said.status().ToString());
  }
  world_->RunFor(seconds(2));
}

void Byzantine::Step() {
  Recover();
  if (!world_->problems().empty()) return;
  if (const auto host = SomeHostUp()) Write(*host);
  Misfortune();
  if (random_.Chance(0.1)) {
    world_->RunFor(seconds(3) + Upto(random_, seconds(20)));
  } else {
    world_->RunFor(Upto(random_, milliseconds(500)));
  }
  if (const auto host = SomeHostUp(); host && random_.Chance(0.3)) {
    checker_->SampleByzantine(*host);
  }
}

void Byzantine::Misfortune() {
  const std::uint64_t kind = random_.Below(100);
  const std::size_t victim = random_.Below(world_->size());
  if (kind < 14 && options_.restores) {
    PutBack(SomeLiar());
  } else if (kind < 22 && options_.copies) {
    CopyHost(SomeLiar());
  } else if (kind < 32 && options_.partitions) {
    std::set<std::size_t> side;
    for (std::size_t host = 0; host < world_->size(); ++host) {
      if (random_.Chance(0.5)) side.insert(host);
    }
    Split(std::move(side));
  } else if (kind < 38 && options_.crashes) {
    world_->Crash(victim);
  } else if (kind < 42 && world_->IsUp(victim)) {
    world_->FlushView(victim, random_.Chance(0.5));
  } else if (kind < 48 && options_.clock_steps) {
    world_->StepClock(victim, random_.Chance(0.5) ? kTenYears : -kTenYears);
  } else if (kind < 58 && options_.revocations) {
    ChangeRights();
  }
}

void Byzantine::Recover() {
  for (std::size_t host = 0; host < world_->size(); ++host) {
    if (!world_->IsUp(host) && random_.Chance(0.3)) world_->Restart(host);
  }
  if (split_ && random_.Chance(0.15)) {
    world_->network().HealAll();
    world_->Note("the lines are mended");
    split_ = false;
  }
}

std::optional<std::size_t> Byzantine::SomeHostUp() {
  for (int tries = 0; tries < 20; ++tries) {
    const std::size_t host = random_.Below(world_->size());
    if (world_->IsUp(host)) return host;
  }
  return std::nullopt;
}

// Nothing passes between those of `side` and the others.
void Byzantine::Split(std::set<std::size_t> side) {
  split_ = true;
  for (std::size_t a = 0; a < world_->size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      if (side.contains(a) != side.contains(b)) world_->Partition(a, b);
    }
  }
}

// The first time a backup is made; later it is put back, mostly where some cannot see
// it, so that it does not meet what it wrote since.
void Byzantine::PutBack(std::size_t liar) {
  if (!backed_up_.contains(liar) || random_.Chance(0.2)) {
    if (!world_->IsUp(liar)) return;
    world_->BackUp(liar);
    backed_up_.insert(liar);
    return;
  }
  if (IsHeadAloneOf(liar)) return;
  if (options_.partitions && random_.Chance(0.8)) {
    std::set<std::size_t> side = {liar};
    for (std::size_t host = 0; host < world_->size(); ++host) {
      if (random_.Chance(0.3)) side.insert(host);
    }
    Split(std::move(side));
  }
  world_->RestoreBackup(liar);
  if (world_->IsUp(liar) && random_.Chance(0.7)) Write(liar);
}

// Whether somebody holds, or may yet get, a head of a log of the liar's, and not all
// blocks under it.
// Nobody could give these any more once the liar's store is that of another time, and
// the engine proves no fork from a branch that it does not hold whole.
bool Byzantine::IsHeadAloneOf(std::size_t liar) const {
  std::vector<CoreKey> logs = {world_->WriterOf(liar)};
  for (std::size_t host = 0; host < world_->size(); ++host) {
    if (!world_->IsUp(host)) return true;
    if (person_of_[host] != liar) continue;
    if (world_->network().HasUnderWay(world_->NameOf(host))) return true;
    const std::vector<CoreKey>& later = world_->base(host)->record().logs;
    logs.insert(logs.end(), later.begin(), later.end());
  }
  for (std::size_t host = 0; host < world_->size(); ++host) {
    for (const CoreKey& log : logs) {
      const auto core = world_->node(host)->cores().Open(log);
      if (core.ok() && (*core)->contiguous_length() < (*core)->length()) return true;
    }
  }
  return false;
}

void Byzantine::CopyHost(std::size_t liar) {
  const auto hosts = std::count(person_of_.begin(), person_of_.end(), liar);
  const bool is_enough = static_cast<std::size_t>(hosts) > kCopiesOfOne;
  if (!world_->IsUp(liar) || is_enough || world_->size() >= kHostsMost) return;
  const absl::StatusOr<std::size_t> copy = world_->CloneHost(liar);
  if (!copy.ok()) return world_->Problem("copy: " + copy.status().ToString());
  person_of_.push_back(liar);
  if (options_.partitions && random_.Chance(0.8)) {
    std::set<std::size_t> side = {*copy};
    for (std::size_t host = 0; host < *copy; ++host) {
      if (host != liar && random_.Chance(0.5)) side.insert(host);
    }
    Split(std::move(side));
  }
  if (random_.Chance(0.7)) Write(liar);
  if (random_.Chance(0.7)) Write(*copy);
}

// --- rights ---

void Byzantine::ChangeRights() {
  const bool has_admin = !IsLiar(kAdmin);
  const std::size_t by = has_admin && random_.Chance(0.5) ? kAdmin : 0;
  if (!world_->IsUp(by)) return;
  const std::size_t whom = 1 + random_.Below(people_ - 1);
  if (whom == by) return;
  const Authority& authority = world_->base(by)->indexer()->authority();
  if (authority.GrantsOf(world_->WriterOf(whom)).empty() || random_.Chance(0.3)) {
    LetInAgain(by, whom);
  } else {
    Revoke(by, whom);
  }
}

void Byzantine::Revoke(std::size_t by, std::size_t whom) {
  const Indexer& indexer = *world_->base(by)->indexer();
  std::vector<const Grant*> grants =
      indexer.authority().GrantsOf(world_->WriterOf(whom));
  // The most junior first: a commit needs a grant that still stands.
  std::reverse(grants.begin(), grants.end());
  const bool subtree = random_.Chance(0.3);
  const bool keeps = random_.Chance(0.8);
  std::vector<AuthOperation> operations;
  for (const Grant* grant : grants) {
    RevokeOp revoke;
    revoke.grant = grant->id;
    revoke.subtree = subtree;
    if (keeps) revoke.keep = indexer.KnownLengths(*grant, subtree);
    operations.emplace_back(std::move(revoke));
  }
  world_->Note(
      absl::StrFormat("%s removes %s", world_->NameOf(by), world_->NameOf(whom)));
  CannotHoldToIt(whom);
  // Whoever is not above them is refused.
  world_->Say(by, operations).status().IgnoreError();
}

void Byzantine::LetInAgain(std::size_t by, std::size_t whom) {
  GrantOp grant;
  grant.identity = world_->WriterOf(whom);
  grant.role = GrantRole::kWriter;
  const AuthOperation operation = grant;
  world_->Note(
      absl::StrFormat("%s lets %s in", world_->NameOf(by), world_->NameOf(whom)));
  if (by == kAdmin) {
    let_in_by_admin_.insert(whom);
    if (removed_.contains(kAdmin)) removed_.insert(whom);
  }
  // An admin who was removed is refused.
  world_->Say(by, std::span(&operation, 1)).status().IgnoreError();
}

// What they write may lose its effect, and so may what those write whom they let in.
void Byzantine::CannotHoldToIt(std::size_t person) {
  removed_.insert(person);
  if (person != kAdmin) return;
  removed_.insert(let_in_by_admin_.begin(), let_in_by_admin_.end());
}

// --- writes ---

void Byzantine::Write(std::size_t host) {
  if (!world_->IsUp(host)) return;
  const Batch batch = NextBatch(host);
  if (batch.empty()) return;
  const absl::StatusOr<Committed> said = world_->Say(host, batch);
  if (!said.ok()) return CheckRefusal(host, said.status());
  wrote_[host] = world_->LivesOf(host);
  writes_.push_back({person_of_[host], said->ops});
  if (random_.Chance(0.2)) checker_->SampleByzantine(host);
}

// Who may write, and once knew it, is not refused, whatever clocks say (attack 41).
void Byzantine::CheckRefusal(std::size_t host, const absl::Status& why) {
  ++refused_;
  const std::size_t person = person_of_[host];
  const auto wrote = wrote_.find(host);
  const bool knew = wrote != wrote_.end() && wrote->second == world_->LivesOf(host);
  // A store of another time may be about to fetch the end of its own log.
  const bool may_be =
      world_->IsHonest(person)
          ? absl::IsPermissionDenied(why) && (!knew || removed_.contains(person))
          : absl::IsPermissionDenied(why) || absl::IsFailedPrecondition(why) ||
                absl::IsUnavailable(why);
  if (may_be) return;
  world_->Problem(
      absl::StrFormat("%s refused a write: %s", world_->NameOf(host), why.ToString()));
}

bool Byzantine::IsReadable(std::size_t host, const std::string& key) const {
  const absl::StatusOr<ViewEntry> entry = world_->base(host)->indexer()->Get(key);
  return entry.ok() && entry->readable();
}

Batch Byzantine::NextBatch(std::size_t host) {
  Batch batch;
  const std::uint64_t kind = random_.Below(100);
  const std::string token = absl::StrFormat("%s %d", world_->NameOf(host), ++tokens_);
  const std::string key = absl::StrFormat("key/%d", random_.Below(4));
  const std::string row = absl::StrFormat("rows/%d", random_.Below(2));
  if (kind < 35) {
    batch.Put(key, token);
  } else if (kind < 45) {
    if (IsReadable(host, key)) batch.Delete(key);
  } else if (kind < 60) {
    batch.Set(row, {{random_.Chance(0.5) ? "name" : "town", Datum::Of(token)}});
  } else if (kind < 65) {
    if (IsReadable(host, row)) batch.Delete(row);
  } else if (kind < 80) {
    AddGroup(host, batch);
  } else if (kind < 85) {
    batch.Increment("count", static_cast<std::int64_t>(1 + random_.Below(9)));
  } else if (kind < 90) {
    batch.Add("set", Datum::Integer(static_cast<std::int64_t>(random_.Below(5))));
  } else {
    batch.InsertText("text", random_.Chance(0.5) ? 0 : Batch::kAtEnd, token);
  }
  return batch;
}

void Byzantine::AddGroup(std::size_t host, Batch& batch) {
  const std::uint64_t group = random_.Below(2);
  const bool deletes = random_.Chance(0.15) && IsReadable(host, GroupKey(group, 0));
  const std::string token = absl::StrFormat("%s %d", world_->NameOf(host), ++tokens_);
  for (std::size_t i = 0; i < kGroupKeys; ++i) {
    if (deletes) {
      batch.Delete(GroupKey(group, i));
    } else {
      batch.Put(GroupKey(group, i), token);
    }
  }
}

// --- the end ---

void Byzantine::CheckEnd() {
  std::set<std::string> ends;
  std::set<std::string> forks;
  for (std::size_t host = 0; host < world_->size(); ++host) {
    checker_->SampleByzantine(host);
    BaseNode& base = *world_->base(host);
    const absl::StatusOr<RootInfo> info = base.Root();
    if (info.ok()) ends.insert(info->version_digest + " " + info->root);
    std::string known;
    for (const ForkedLog& fork : base.indexer()->Forks()) {
      known += absl::StrFormat("%s from %d, cut %d; ", IdText(fork.log).substr(0, 8),
                               fork.fork_point, fork.cut);
      for (std::size_t person = 0; person < people_; ++person) {
        if (!world_->IsHonest(person) || fork.identity != world_->WriterOf(person)) {
          continue;
        }
        world_->Problem(absl::StrFormat("I4: %s says that %s forked",
                                        world_->NameOf(host), world_->NameOf(person)));
      }
    }
    forks.insert(known);
    const absl::Status verified = Verify(base);
    if (!verified.ok()) {
      world_->Problem(
          absl::StrFormat("%s: I2: %s", world_->NameOf(host), verified.ToString()));
    }
  }
  if (ends.size() > 1) {
    world_->Problem("I12: not equal in the end: " + world_->Digests());
  }
  if (forks.size() > 1) {
    std::string text = "I13: not the same forks:";
    for (const std::string& known : forks) text += " [" + known + "]";
    world_->Problem(text);
  }
  if (world_->problems().empty()) CheckFates();
}

// Empty if it is beyond what its log counts for, and so may be held or not.
std::string Byzantine::FateText(std::size_t host, const OpName& op) {
  BaseNode& base = *world_->base(host);
  const absl::StatusOr<Fate> fate = base.FateOf(op);
  if (!fate.ok()) {
    world_->Problem(absl::StrFormat("%s: fate of %s: %s", world_->NameOf(host),
                                    op.ToText(), fate.status().ToString()));
    return "";
  }
  const std::optional<OpId> id = ToOpId(op);
  const bool counts = id && op.position < base.indexer()->Settled().length(id->writer);
  if (!counts) {
    if (HasEffect(fate->kind)) {
      world_->Problem(absl::StrFormat("%s: C1: %s is %s beyond the settled length",
                                      world_->NameOf(host), op.ToText(),
                                      std::string(FateName(fate->kind))));
    }
    return "";
  }
  std::string text(FateName(fate->kind));
  for (const OpName& by : fate->by) text += " by " + by.ToText();
  return text + " " + fate->reason;
}

// I1: equal versions, equal fates. I3, G1: no honest write is lost.
void Byzantine::CheckFates() {
  for (const Said& said : writes_) {
    for (const OpName& op : said.ops) {
      const std::string first = FateText(0, op);
      for (std::size_t host = 1; host < world_->size(); ++host) {
        const std::string its = FateText(host, op);
        if (its == first) continue;
        world_->Problem(absl::StrFormat("I1: the fate of %s is %s to %s and %s to %s",
                                        op.ToText(), first, world_->NameOf(0), its,
                                        world_->NameOf(host)));
      }
    }
    CheckPromise(said);
    if (!world_->problems().empty()) return;
  }
}

void Byzantine::CheckPromise(const Said& said) {
  if (!world_->IsHonest(said.person) || removed_.contains(said.person)) return;
  BaseNode& base = *world_->base(0);
  for (const OpName& op : said.ops) {
    const absl::StatusOr<Fate> fate = base.FateOf(op);
    const bool stands = fate.ok() && (fate->kind == FateKind::kWinner ||
                                      fate->kind == FateKind::kConflict);
    bool is_kept = stands || (fate.ok() && HasEffect(fate->kind) && !fate->by.empty());
    if (fate.ok() && !stands) {
      for (const OpName& by : fate->by) {
        const absl::StatusOr<Fate> its = base.FateOf(by);
        is_kept = is_kept && its.ok() && HasEffect(its->kind);
      }
    }
    if (is_kept) continue;
    world_->Problem(absl::StrFormat(
        "G1: %s wrote %s, was never removed, and its fate is %s %s",
        world_->NameOf(said.person), op.ToText(),
        fate.ok() ? std::string(FateName(fate->kind)) : fate.status().ToString(),
        fate.ok() ? fate->reason : ""));
  }
}

}  // namespace weft::sim
