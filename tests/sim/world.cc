#include "tests/sim/world.h"

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/post.hpp>

#include "absl/strings/str_format.h"
#include "engine/check.h"
#include "weft/convert.h"

namespace weft::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Noon of the first of January 2026: every wall clock is near it.
constexpr Nanos kStart = seconds(1'767'268'800);
constexpr const char* kNames[] = {"ada", "bob", "cyd", "dan", "eve", "fay", "gus",
                                  "hal", "ida", "joe", "kit", "lea", "max", "ned"};
constexpr const char* kBaseName = "base";
// More steps than this without a moment passing: somebody spins.
constexpr std::uint64_t kStepsMax = 20'000'000;
// Of all that runs so much takes its time.
constexpr double kLateChance = 0.5;

std::string AddressOf(const std::string& name) {
  return name + ":1";
}

std::string Milliseconds(Nanos time) {
  return absl::StrFormat("%10.3f", static_cast<double>((time - kStart).count()) / 1e6);
}

std::string ShortHash(const Hash32& hash) {
  return ToHex(hash.view().first(4));
}

}  // namespace

bool IsPeerName(std::string_view word) {
  if (word.ends_with(':')) word.remove_suffix(1);
  return std::find(std::begin(kNames), std::end(kNames), word) != std::end(kNames);
}

World::World(std::uint64_t seed, const WorldOptions& options)
    : options_(options),
      random_(seed),
      late_random_(~seed),
      clock_(kStart),
      network_(&clock_, random_.U64(), options.network) {
  network_.set_tap([this](const std::string& from, const std::string& to,
                          ByteView bytes) { Trace(from, to, bytes); });
}

World::~World() {
  for (const auto& peer : peers_) network_.Drop(peer->name);
  for (const auto& peer : peers_) {
    if (!peer->life) continue;
    peer->life->storage.Kill();
    peer->life->node.reset();
    buried_.push_back(std::move(peer->life));
  }
  // What is still under way ends with errors; what sleeps is dropped.
  while (io_.restart(), io_.poll() > 0 || clock_.next() != Nanos::max()) {
    clock_.Clear();
  }
}

// --- starting ---

absl::Status World::Start() {
  for (std::size_t i = 0; i < options_.peers; ++i) WEFT_RETURN_IF_ERROR(AddPeer());
  return absl::OkStatus();
}

absl::Status World::StartGranted() {
  WEFT_RETURN_IF_ERROR(Start());
  for (std::size_t i = 1; i < size(); ++i) WEFT_RETURN_IF_ERROR(Grant(i));
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> World::AddReader() {
  WEFT_RETURN_IF_ERROR(AddPeer());
  return size() - 1;
}

absl::Status World::AddPeer() {
  const std::size_t number = size();
  WEFT_CHECK(number < std::size(kNames));
  auto added = std::make_unique<Peer>();
  Peer& peer = *added;
  peer.name = kNames[number];
  peer.disk = std::make_unique<SimStorage>(random_.U64());
  const auto skew_range = static_cast<std::uint64_t>(options_.skew_max.count());
  const auto skew = static_cast<std::int64_t>(random_.Below(2 * skew_range + 1));
  peer.clock = std::make_unique<WallClock>(&clock_, Nanos(skew) - options_.skew_max);
  std::vector<std::size_t> earlier;
  for (std::size_t i = 0; i < number; ++i) earlier.push_back(i);
  const std::size_t dials = std::clamp<std::size_t>(options_.dials, 1, number + 1);
  while (!earlier.empty() && peer.dials.size() < dials) {
    const auto chosen =
        earlier.begin() + static_cast<std::ptrdiff_t>(random_.Below(earlier.size()));
    peer.dials.push_back(AddressOf(peers_[*chosen]->name));
    earlier.erase(chosen);
  }
  peers_.push_back(std::move(added));
  WEFT_RETURN_IF_ERROR(Boot(number));
  if (number == 0) {
    WEFT_ASSIGN_OR_RETURN(BaseNode* const base, peer.life->node->CreateBase(kBaseName));
    link_ = base->MakeLink();
    peer.granted = true;
  } else {
    WEFT_RETURN_IF_ERROR(JoinByLink(peer));
  }
  peer.writer = base(number)->record().identity;
  Connect(peer);
  Note(absl::StrFormat("%s is %s, dials %d", peer.name,
                       IdText(peer.writer).substr(0, 8), peer.dials.size()));
  return absl::OkStatus();
}

// Opens the store on the disk as it is.
absl::Status World::Boot(std::size_t number) {
  Peer& peer = *peers_[number];
  auto life = std::make_unique<Life>(peer.disk.get(), random_.U64());
  life->storage.set_lies(options_.bug == PlantedBug::kSyncLies);
  if (options_.bug == PlantedBug::kForkProofsLost) life->storage.set_loses("fork");
  life->network = network_.HostView(peer.name);
  NodeHost host;
  host.executor = io_.get_executor();
  host.storage = &life->storage;
  host.clock = peer.clock.get();
  host.random = &life->random;
  host.network = life->network.get();
  absl::StatusOr<std::unique_ptr<Node>> node = Node::Open(host);
  if (!node.ok()) {
    buried_.push_back(std::move(life));
    return node.status();
  }
  life->node = *std::move(node);
  life->node->OnEvent([this, name = peer.name](const std::string& line) {
    Note(absl::StrFormat("%s: %s", name, line));
    CheckFault(name, line);
  });
  peer.life = std::move(life);
  peer.knows_grant = false;
  ++peer.lives;
  return absl::OkStatus();
}

// Nobody may find fault with the feed of a peer that does not lie.
void World::CheckFault(const std::string& name, const std::string& line) {
  constexpr std::string_view kMark = ": core ";
  const std::size_t found = line.find(kMark);
  if (found == std::string::npos) return;
  const std::string_view core = std::string_view(line).substr(found + kMark.size());
  const bool blames_honest =
      options_.honest ||
      std::any_of(peers_.begin(), peers_.end(), [core](const auto& peer) {
        return peer->honest && core.starts_with(IdText(peer->writer).substr(0, 8));
      });
  if (!blames_honest) return;
  Problem(absl::StrFormat("%s found fault with an honest peer: %s", name, line));
}

absl::Status World::JoinByLink(Peer& peer) {
  std::optional<absl::StatusOr<BaseNode*>> joined;
  asio::co_spawn(io_, peer.life->node->Join(*link_, kBaseName, ""),
                 [&joined](std::exception_ptr, absl::StatusOr<BaseNode*> result) {
                   joined = std::move(result);
                 });
  Poll();
  if (!joined) return absl::InternalError("a join with a salt waited for somebody");
  return joined->status();
}

void World::Connect(Peer& peer) {
  Swarm& swarm = peer.life->node->swarm();
  const absl::StatusOr<std::string> address = swarm.Listen(AddressOf(peer.name));
  WEFT_CHECK(address.ok());
  for (const std::string& dial : peer.dials) swarm.Keep(dial);
}

absl::Status World::Grant(std::size_t number) {
  if (!IsUp(0)) return absl::UnavailableError("the founder is down");
  Peer& founder = *peers_[0];
  Peer& peer = *peers_[number];
  BaseNode& from = *base(0);
  absl::Status logged = from.GrantLogged(peer.writer, GrantRole::kWriter, "").status();
  if (logged.ok()) logged = founder.life->node->cores().Sync();
  if (founder.life->dying) Crash(0);
  if (!IsUp(0)) return absl::UnavailableError("the founder died");
  if (!logged.ok()) return Refused(founder, logged);
  founder.acked = from.indexer()->Settled().length(founder.writer);
  peer.granted = true;
  Note(absl::StrFormat("%s grants %s", founder.name, peer.name));
  return absl::OkStatus();
}

// --- time ---

void World::Poll() {
  PollUntil(clock_.Steady());
}

// Time passes until `until` at the latest.
void World::PollUntil(Nanos until) {
  io_.restart();
  std::uint64_t steps = 0;
  while (io_.poll_one() > 0) {
    ++events_;
    if (++steps > kStepsMax) {
      Problem("somebody spins: time stands still");
      return;
    }
    if (options_.late_max > Nanos(0)) BeLate(until);
  }
}

void World::RunFor(Nanos duration) {
  const Nanos until = clock_.Steady() + duration;
  for (;;) {
    PollUntil(until);
    if (clock_.next() > until || !clock_.Step()) break;
  }
  clock_.AdvanceTo(until);
}

// What ran took its time: others are woken before what it left to do has its turn.
void World::BeLate(Nanos until) {
  if (!late_random_.Chance(kLateChance)) return;
  const Nanos late(late_random_.Below(options_.late_max.count()));
  const Nanos runs = std::min(until, clock_.Steady() + late);
  while (clock_.next() <= runs) clock_.Step();
}

bool World::AllHaveTold() const {
  for (std::size_t i = 0; i < size(); ++i) {
    if (!IsUp(i)) continue;
    for (const std::shared_ptr<Session>& session : node(i)->swarm().Ready()) {
      if (!node(i)->IsLevel(*session)) return false;
    }
  }
  return true;
}

bool World::RunUntilLevel(Nanos limit) {
  const Nanos deadline = clock_.Steady() + limit;
  int calm = 0;  // looks in a row at which all were level
  while (clock_.Steady() < deadline && calm < 4) {
    RunFor(milliseconds(500));
    std::optional<Hash32> digest;
    bool level = true;
    for (std::size_t i = 0; i < size(); ++i) {
      if (!IsUp(i)) continue;
      BaseNode& each = *base(i);
      level = level && each.genesis_known() && !each.busy();
      if (!level) break;
      const Hash32 its = each.indexer()->CurrentDigest();
      level = digest.value_or(its) == its;
      digest = its;
    }
    calm = level && AllHaveTold() ? calm + 1 : 0;
  }
  Note(absl::StrFormat("%s %s", calm < 4 ? "not level:" : "level:", Digests()));
  return calm == 4;
}

std::string World::Digests() const {
  std::string text;
  for (std::size_t i = 0; i < size(); ++i) {
    text += (i == 0 ? "" : " ") + NameOf(i) + " ";
    if (!IsUp(i)) {
      text += "down";
    } else if (!base(i)->genesis_known()) {
      text += "without genesis";
    } else {
      text += ShortHash(base(i)->indexer()->CurrentDigest());
    }
  }
  return text;
}

void World::NoteVersions() {
  for (std::size_t i = 0; i < size(); ++i) {
    if (!IsUp(i) || !base(i)->genesis_known()) continue;
    const Indexer& indexer = *base(i)->indexer();
    std::string text;
    for (const auto& [writer, prefix] : indexer.CurrentVersion().writers) {
      text += absl::StrFormat(" %s:%d(%s)", IdText(writer).substr(0, 8), prefix.length,
                              ToHex(prefix.tree_hash.view().first(3)));
    }
    for (const ForkedLog& fork : indexer.Forks()) {
      text += absl::StrFormat(" fork %s from %d, cut %d", IdText(fork.log).substr(0, 8),
                              fork.fork_point, fork.cut);
    }
    for (const auto& branch : indexer.WantedBranches()) {
      text += absl::StrFormat(" wants %s:%d(%s)", IdText(branch.log).substr(0, 8),
                              branch.length, ToHex(branch.tree_hash.view().first(3)));
    }
    for (const std::string& waiting : base(i)->Status().waiting) text += " " + waiting;
    Note(NameOf(i) + " has settled" + text);
  }
}

// --- peers ---

Node* World::node(std::size_t peer) const {
  return peers_[peer]->life ? peers_[peer]->life->node.get() : nullptr;
}

BaseNode* World::base(std::size_t peer) const {
  Node* const its = node(peer);
  return its == nullptr || its->bases().empty() ? nullptr : its->bases().front().get();
}

absl::StatusOr<std::vector<Entry>> World::Dump(std::size_t peer) const {
  const std::unique_ptr<ViewScan> scan =
      base(peer)->indexer()->ScanView("", std::nullopt, /*reverse=*/false);
  std::vector<Entry> entries;
  while (std::optional<ViewEntry> entry = scan->Next()) {
    entries.push_back(ToEntry(*entry));
  }
  WEFT_RETURN_IF_ERROR(scan->status());
  if (options_.bug == PlantedBug::kLastOpOfBatchLost) {
    for (const WriteRecord& write : writes_) {
      if (write.peer == peer || write.ops.size() < 2) continue;
      std::erase_if(entries, [&write](const Entry& entry) {
        return entry.value && entry.value->winner.op == write.ops.back();
      });
    }
  }
  return entries;
}

// --- writing ---

VersionVector World::SeenBy(std::size_t number) const {
  std::map<CoreKey, std::uint64_t> lengths;
  const VersionVector settled = base(number)->indexer()->Settled();
  for (const auto& [writer, length] : settled.lengths())
    lengths.emplace(writer, length);
  for (const WriteRecord& write : writes_) {
    if (write.state == WriteRecord::State::kLost) continue;
    const auto found = lengths.find(write.writer);
    if (found == lengths.end()) continue;
    if (write.first < found->second && found->second < write.end) {
      found->second = write.first;
    }
  }
  VersionVector seen;
  for (const auto& [writer, length] : lengths) {
    if (length > 0) seen.Raise(writer, length);
  }
  return seen;
}

WriteRecord World::Remember(std::size_t number, const Batch& batch) const {
  const Peer& peer = *peers_[number];
  const Indexer& indexer = *base(number)->indexer();
  WriteRecord record;
  record.peer = number;
  record.writer = peer.writer;
  record.batch = batch;
  record.seen = SeenBy(number);
  record.first = record.seen.length(peer.writer);
  record.end = record.first + 1;
  record.wall = peer.clock->Now();
  for (const Batch::Change& change : batch.changes()) {
    LaneMask lanes = 0;
    if (change.kind == Batch::Change::Kind::kErase) lanes = MaskOf(Lane::kRecord);
    if (change.kind == Batch::Change::Kind::kDelete) {
      const absl::StatusOr<ViewEntry> entry = indexer.Get(change.key);
      if (entry.ok() && entry->value) lanes |= MaskOf(Lane::kRegister);
      if (entry.ok() && entry->record) lanes |= MaskOf(Lane::kRecord);
    }
    record.removed_lanes.push_back(lanes);
    // What the names will be if the batch takes one block; replaced once it is known.
    record.ops.push_back({IdText(peer.writer), record.first,
                          static_cast<std::uint32_t>(record.ops.size())});
  }
  return record;
}

absl::Status World::Commit(std::size_t number, const Batch& batch, DeathPoint death) {
  Peer& peer = *peers_[number];
  BaseNode& author = *base(number);
  if (!author.genesis_known()) {
    return absl::PermissionDeniedError("it does not know the genesis yet");
  }
  WriteRecord record = Remember(number, batch);
  const bool had_failed = peer.life->storage.has_failed();
  const absl::StatusOr<Committed> committed = author.CommitLogged(batch);
  if (peer.life->dying) return Die(number, std::move(record));
  if (!committed.ok()) {
    // A disk that breaks does not know what it has taken last; a full one has not.
    const bool in_doubt = absl::IsUnavailable(committed.status()) && !had_failed;
    if (in_doubt) writes_.push_back(std::move(record));
    return Refused(peer, committed.status());
  }
  peer.knows_grant = true;
  record.ops = committed->ops;
  record.end = author.indexer()->Settled().length(peer.writer);
  if (committed->first_position != record.first || record.end <= record.first) {
    Problem(absl::StrFormat("%s wrote at %d and reads [%d, %d): not its own write",
                            peer.name, committed->first_position, record.first,
                            record.end));
  }
  return Finish(number, std::move(record), death);
}

// The write is logged and not durable yet.
absl::Status World::Finish(std::size_t number, WriteRecord record, DeathPoint death) {
  Peer& peer = *peers_[number];
  if (death == DeathPoint::kBeforeSync) {
    // Nobody may hear of it while the disk is slow.
    RunFor(Nanos(static_cast<std::int64_t>(random_.Below(200'000'000))));
    if (IsUp(number)) return Die(number, std::move(record));
  }
  if (!IsUp(number)) {
    writes_.push_back(std::move(record));
    return absl::UnavailableError("it died");
  }
  const absl::Status synced = peer.life->node->cores().Sync();
  if (peer.life->dying || death == DeathPoint::kBeforeTelling) {
    return Die(number, std::move(record));
  }
  if (!synced.ok()) {
    writes_.push_back(std::move(record));
    return Refused(peer, synced);
  }
  if (death == DeathPoint::kBeforeAnswer) return Die(number, std::move(record));
  record.state = WriteRecord::State::kAcknowledged;
  peer.acked = std::max(peer.acked, record.end);
  Note(absl::StrFormat("%s writes %d changes from %s, blocks [%d, %d)", peer.name,
                       record.batch.size(), record.batch.changes().front().key,
                       record.first, record.end));
  writes_.push_back(std::move(record));
  return absl::OkStatus();
}

absl::Status World::Die(std::size_t number, WriteRecord record) {
  Note(absl::StrFormat("%s dies while it writes [%d, %d), first %s", NameOf(number),
                       record.first, record.end, record.batch.changes().front().key));
  writes_.push_back(std::move(record));
  Crash(number);
  return absl::UnavailableError("it died");
}

// A refusal must have a reason that the world knows of.
absl::Status World::Refused(Peer& peer, const absl::Status& why) {
  const bool of_disk = absl::IsResourceExhausted(why) || absl::IsUnavailable(why);
  const bool expected = (absl::IsPermissionDenied(why) && !peer.knows_grant) ||
                        (of_disk && peer.disk_fault.has_value());
  if (!expected) {
    Problem(absl::StrFormat("%s refused a write: %s", peer.name, why.ToString()));
  }
  Note(absl::StrFormat("%s is refused: %s", peer.name, std::string(why.message())));
  return why;
}

// --- faults ---

void World::BackUp(std::size_t number) {
  Peer& peer = *peers_[number];
  peer.backup = peer.disk->Copy(random_.U64());
  Note(absl::StrFormat("%s is backed up", peer.name));
}

void World::RestoreBackup(std::size_t number) {
  Peer& peer = *peers_[number];
  Crash(number);
  peer.honest = false;
  old_disks_.push_back(std::move(peer.disk));
  peer.disk = peer.backup->Copy(random_.U64());
  Note(absl::StrFormat("%s is restored from its backup", peer.name));
  Restart(number);
}

absl::StatusOr<std::size_t> World::CloneHost(std::size_t original) {
  const std::size_t number = size();
  WEFT_CHECK(number < std::size(kNames));
  auto added = std::make_unique<Peer>();
  Peer& peer = *added;
  peer.name = kNames[number];
  peer.disk = peers_[original]->disk->Copy(random_.U64());
  peer.clock = std::make_unique<WallClock>(&clock_, Nanos(0));
  peer.dials = {AddressOf(peers_[0]->name), AddressOf(peers_[1]->name)};
  peer.writer = peers_[original]->writer;
  peer.granted = peers_[original]->granted;
  peer.honest = peers_[original]->honest = false;
  peers_.push_back(std::move(added));
  WEFT_RETURN_IF_ERROR(Boot(number));
  Connect(peer);
  Note(absl::StrFormat("%s is a copy of %s", peer.name, peers_[original]->name));
  return number;
}

absl::StatusOr<Committed> World::Told(std::size_t number,
                                      absl::StatusOr<Committed> committed,
                                      const std::string& what) {
  if (!committed.ok()) {
    Note(absl::StrFormat("%s cannot say %s: %s", NameOf(number), what,
                         std::string(committed.status().message())));
    return committed;
  }
  WEFT_RETURN_IF_ERROR(node(number)->cores().Sync());
  Note(absl::StrFormat("%s says %s at %d of %s", NameOf(number), what,
                       committed->first_position, committed->writer.substr(0, 8)));
  return committed;
}

absl::StatusOr<Committed> World::Say(std::size_t number, const Batch& batch) {
  return Told(number, base(number)->CommitLogged(batch), batch.changes().front().key);
}

absl::StatusOr<Committed> World::Say(std::size_t number,
                                     std::span<const AuthOperation> operations) {
  return Told(number, base(number)->AuthLogged(operations), "who may do what");
}

absl::StatusOr<OpName> World::Say(std::size_t number, const std::string& key,
                                  const std::string& value) {
  Batch batch;
  batch.Put(key, value);
  WEFT_ASSIGN_OR_RETURN(const Committed committed, Say(number, batch));
  return committed.ops[0];
}

void World::Crash(std::size_t number) {
  Peer& peer = *peers_[number];
  if (!peer.life) return;
  network_.Drop(peer.name);
  peer.life->storage.Kill();
  peer.life->node.reset();
  buried_.push_back(std::move(peer.life));
  peer.disk->Crash();
  peer.disk_fault.reset();
  Note(absl::StrFormat("%s crashes", peer.name));
}

void World::Stop(std::size_t number) {
  Peer& peer = *peers_[number];
  FlushView(number, /*settled=*/true);
  // The disk may have failed, or the process died, in the flush.
  if (!peer.life || peer.life->dying || peer.disk_fault) return Crash(number);
  peer.life->node.reset();
  peer.life->storage.Kill();
  buried_.push_back(std::move(peer.life));
  peer.disk->Crash(SimStorage::Loss::kNothing);
  Note(absl::StrFormat("%s stops", peer.name));
}

void World::FlushView(std::size_t number, bool settled) {
  Peer& peer = *peers_[number];
  const absl::Status flushed =
      settled ? peer.life->node->Flush() : base(number)->Flush();
  if (!flushed.ok() && !peer.disk_fault && !peer.life->dying) {
    Problem(absl::StrFormat("%s cannot flush: %s", peer.name, flushed.ToString()));
  }
  Note(absl::StrFormat("%s writes back its view%s", peer.name,
                       settled ? "" : ", not settled"));
}

void World::CrashInWrite(std::size_t number, std::uint64_t n, bool taken) {
  Life* const life = peers_[number]->life.get();
  Note(absl::StrFormat("%s will crash in write %d (%s)", NameOf(number), n,
                       taken ? "taken" : "not taken"));
  life->storage.KillAt(n, taken, [this, number, life] {
    life->dying = true;
    network_.Drop(NameOf(number));
    asio::post(io_, [this, number, life] {
      if (peers_[number]->life.get() == life) Crash(number);
    });
  });
}

void World::Restart(std::size_t number) {
  Peer& peer = *peers_[number];
  if (peer.life) return;
  const absl::Status booted = Boot(number);
  if (!booted.ok()) {
    return Problem(absl::StrFormat("%s does not open after a crash: %s", peer.name,
                                   booted.ToString()));
  }
  Note(absl::StrFormat("%s is back", peer.name));
  CheckRecovered(number);
  if (IsUp(number)) Connect(peer);
}

// What the disk kept must hold all that was acknowledged or told, and no half batch.
void World::CheckRecovered(std::size_t number) {
  Peer& peer = *peers_[number];
  const absl::StatusOr<std::shared_ptr<Hypercore>> log =
      node(number)->cores().Open(peer.writer);
  if (base(number) == nullptr || !log.ok()) {
    return Problem(absl::StrFormat("%s came back without its base", peer.name));
  }
  // A disk of another time may hold less.
  if (!peer.honest) return;
  const std::uint64_t length = (*log)->length();
  if (length < peer.acked) {
    Problem(absl::StrFormat("I3: %s had acknowledged %d blocks and came back with %d",
                            peer.name, peer.acked, length));
  }
  for (std::size_t other = 0; other < size(); ++other) {
    if (other == number || !IsUp(other)) continue;
    const auto theirs = node(other)->cores().Open(peer.writer);
    if (theirs.ok() && (*theirs)->length() > length) {
      Problem(absl::StrFormat("A1: %s holds %d blocks of %s, who came back with %d",
                              NameOf(other), (*theirs)->length(), peer.name, length));
    }
  }
  for (WriteRecord& write : writes_) {
    if (write.peer != number || write.state == WriteRecord::State::kLost) continue;
    if (write.end <= length) continue;
    if (write.first < length) {
      Problem(absl::StrFormat("D8: %s came back with half of the batch [%d, %d)",
                              peer.name, write.first, write.end));
    }
    write.state = WriteRecord::State::kLost;
  }
}

void World::Partition(std::size_t a, std::size_t b) {
  network_.Partition(NameOf(a), NameOf(b));
  Note(absl::StrFormat("%s and %s are cut off from each other", NameOf(a), NameOf(b)));
}

void World::Stall(std::size_t from, std::size_t to) {
  network_.Stall(NameOf(from), NameOf(to));
  Note(absl::StrFormat("nothing passes from %s to %s", NameOf(from), NameOf(to)));
}

void World::StepClock(std::size_t peer, Nanos by) {
  peers_[peer]->clock->Step(by);
  Note(absl::StrFormat("the clock of %s steps by %d ms", NameOf(peer),
                       by / milliseconds(1)));
}

void World::FailDisk(std::size_t peer, std::uint64_t n, DiskFault fault) {
  peers_[peer]->disk->FailWrite(n, fault);
  peers_[peer]->disk_fault = fault;
  Note(absl::StrFormat("the disk of %s is %s from write %d on", NameOf(peer),
                       fault == DiskFault::kFull ? "full" : "broken", n));
}

void World::Heal() {
  NetworkFaults calm = options_.network;
  calm.loss = 0;
  network_.set_faults(calm);
  network_.HealAll();
  Note("all is healed");
  for (std::size_t i = 0; i < size(); ++i) {
    if (peers_[i]->disk_fault) Crash(i);
    if (IsUp(i)) peers_[i]->life->storage.KillNever();
    Restart(i);
  }
}

// --- what happened ---

void World::Trace(std::string_view kind, std::string_view who, ByteView what) {
  Bytes moment;
  for (auto rest = static_cast<std::uint64_t>(clock_.Steady().count()); rest > 0;
       rest >>= 8) {
    moment.push_back(static_cast<std::uint8_t>(rest));
  }
  trace_ = Blake2b256({trace_.view(), moment, AsBytes(kind), AsBytes(who), what});
}

void World::Note(const std::string& line) {
  Trace("note", "", AsBytes(line));
  journal_.push_back(Milliseconds(clock_.Steady()) + " " + line);
}

void World::Problem(const std::string& what) {
  problems_.push_back(what);
  Note("PROBLEM: " + what);
}

std::string World::Journal() const {
  std::string text;
  for (const std::string& line : journal_) text += line + "\n";
  return text;
}

absl::Status Verify(BaseNode& base) {
  std::unique_ptr<Verification> verification;
  for (bool done = false; !done;) {
    WEFT_ASSIGN_OR_RETURN(done, base.VerifySome(&verification));
  }
  return absl::OkStatus();
}

}  // namespace weft::sim
