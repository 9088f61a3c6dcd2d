// Asking. What becomes of the answers is in downloader_answers.cc.

#include "replication/downloader.h"

#include <algorithm>
#include <utility>

#include "engine/flat_tree.h"

namespace weft {
namespace {

// A little less than a peer takes (L15): an upgrade may ride along. So many only of a
// peer that answers: what it was asked for nobody else is, for a while.
constexpr std::size_t kInFlightMax = 3840;
constexpr std::size_t kInFlightAtFirst = 2048;
constexpr std::uint64_t kInFlightBytes = 8 * 1024 * 1024;
// A stock peer breaks its own stream if it has to answer two such blocks at once: its
// batch of answers outgrows a frame.
constexpr std::uint64_t kLargeBlockBytes = 2 * 1024 * 1024;
constexpr std::size_t kNoDataRunMax = 4096;
// L13: so far beyond what is signed a length is believed.
constexpr std::uint64_t kUnsignedBlocksMax = 1 << 24;

}  // namespace

Downloader::Downloader(std::shared_ptr<Hypercore> core,
                       std::shared_ptr<DownloadScheduler> scheduler, SendMessage send,
                       std::function<void()> wake)
    : core_(std::move(core)),
      scheduler_(std::move(scheduler)),
      send_(std::move(send)),
      wake_(std::move(wake)) {}

Downloader::~Downloader() {
  Stop();
}

void Downloader::Stop() {
  for (std::size_t i = 0; i < outstanding_.size(); ++i) Release(outstanding_[i]);
  if (peer_ == 0) return;
  scheduler_->RemovePeer(std::exchange(peer_, 0));
  if (in_flight() > 0) scheduler_->Wake();
}

void Downloader::SetMode(const Download& mode) {
  if (mode_ == mode) return;
  mode_ = mode;
  done_ = false;
  probes_sent_.clear();
  if (outstanding_.empty()) return;
  const std::vector<BlockRange> targets = Targets(ExpectedLength());
  for (std::size_t i = 0; i < outstanding_.size(); ++i) {
    const Outstanding& request = outstanding_[i];
    if (request.state != Outstanding::State::kWaiting || request.upgrade) continue;
    const bool wanted = std::ranges::any_of(targets, [&request](const BlockRange& one) {
      return request.block_index && one.from <= *request.block_index &&
             *request.block_index < one.to;
    });
    if (!wanted) Cancel(i);
  }
}

std::vector<BlockRange> Downloader::TargetsOf(const Download& wanted,
                                              std::uint64_t length) const {
  std::vector<BlockRange> targets;
  if (wanted.kind == Download::Kind::kNone) return targets;
  for (const BlockRange& range : wanted.ranges) {
    const BlockRange clamped{range.from, std::min(range.to, length)};
    if (clamped.from < clamped.to) targets.push_back(clamped);
  }
  for (const SeekRequest& seek : wanted.seeks) {
    const auto at = core_->Locate(seek.byte_offset, seek.padding);
    if (!at.ok()) continue;
    // Of two leaves whose sizes nothing pins down, the block of the first does.
    const std::uint64_t block_index = flat_tree::LeftSpan(at->tree_index) / 2;
    if (flat_tree::Depth(at->tree_index) > 1 || block_index >= length) continue;
    targets.push_back({block_index, block_index + 1});
  }
  if (wanted.kind == Download::Kind::kWhole) targets.push_back({0, length});
  return targets;
}

std::optional<ProofRequest> Downloader::NextProbe() const {
  for (const SeekRequest& seek : mode_.seeks) {
    const auto at = core_->Locate(seek.byte_offset, seek.padding);
    if (!at.ok() || flat_tree::Depth(at->tree_index) < 2) continue;
    if (probes_sent_.contains({at->tree_index, seek.byte_offset})) continue;
    // From the first leaf below the node every other leaf is to the right of the path,
    // so that the seek hangs on one of its siblings, wherever the byte is.
    ProofRequest probe;
    probe.hash =
        HashRequest{flat_tree::LeftSpan(at->tree_index),
                    static_cast<std::uint64_t>(flat_tree::Depth(at->tree_index))};
    probe.seek = seek;
    return probe;
  }
  return std::nullopt;
}

std::uint64_t Downloader::ExpectedLength() const {
  return upgrade_asked_ ? std::max(upgrade_to_, core_->length()) : core_->length();
}

// Roughly: what is wanted, held or not, less what is held or asked for.
std::uint64_t Downloader::Missing() const {
  std::uint64_t wanted = 0;
  if (mode_.kind == Download::Kind::kWhole) {
    wanted = ExpectedLength() - std::min(ExpectedLength(), core_->held_blocks());
  } else {
    for (const BlockRange& target : mode_.ranges) wanted += target.to - target.from;
  }
  return wanted - std::min(wanted, scheduler_->taken());
}

std::size_t Downloader::Window() const {
  if (core_->length() == 0) return mode_.first_requests;
  const std::uint64_t mean =
      std::max<std::uint64_t>(1, core_->byte_length() / core_->length());
  if (mean > kLargeBlockBytes) return 1;
  const auto window = static_cast<std::size_t>(std::clamp<std::uint64_t>(
      kInFlightBytes / mean, 1, std::min(kInFlightMax, kInFlightAtFirst + answered_)));
  return std::min(window, scheduler_->Share(Missing()));
}

// An upgrade is worth asking for only when the peer has echoed exactly our length: a
// stock peer ignores any other. A core of our own can be behind too: in a store that
// was put back from a backup.
bool Downloader::NeedsUpgrade(const RemoteState& remote, Nanos now) const {
  return !upgrade_refused_ && !Rests(now) && remote.sync().can_upgrade &&
         remote.length() > core_->length() && remote.acked_length() == core_->length();
}

std::uint64_t Downloader::Offered(const RemoteState& remote, bool allow_fork) const {
  if (!interested() || !remote.synced() || !remote.sync().uploading ||
      upgrade_refused_) {
    return 0;
  }
  if (remote.fork() > core_->fork()) {
    return allow_fork && !core_->writable() ? UINT64_MAX : 0;
  }
  return remote.fork() == core_->fork() && remote.sync().can_upgrade ? remote.length()
                                                                     : 0;
}

std::size_t Downloader::Request(RemoteState& remote, std::size_t budget,
                                bool allow_fork, Nanos now) {
  scheduler_->Offer(peer_, Offered(remote, allow_fork));
  if (!interested() || !remote.synced() || !remote.sync().uploading || budget == 0 ||
      no_data_run_ > kNoDataRunMax) {
    return 0;
  }
  const std::size_t before = outstanding_.size();
  if (remote.fork() > core_->fork()) {
    if (allow_fork && !core_->writable() && remote.length() > 0 && !upgrade_refused_ &&
        !upgrade_asked_ && !Rests(now) && scheduler_->TakeUpgrade()) {
      RequestUpgrade(remote, /*start=*/0, now);
    }
    return outstanding_.size() - before;
  }
  if (remote.fork() != core_->fork()) return 0;
  if (remote.blocks().count() > 0) scheduler_->MarkHolder(peer_);
  if (!upgrade_asked_ && NeedsUpgrade(remote, now) && scheduler_->TakeUpgrade()) {
    RequestUpgrade(remote, core_->length(), now);
  }
  if (!mode_.seeks.empty()) RequestProbe(now);
  const std::size_t sent = outstanding_.size() - before;
  if (sent < budget) RequestBlocks(remote, budget - sent, now);
  if (in_flight() == 0 && scheduler_->taken() > 0 &&
      scheduler_->Relieve(peer_, remote.blocks(), now)) {
    RequestBlocks(remote, budget, now);
  }
  return outstanding_.size() - before;
}

void Downloader::RequestUpgrade(const RemoteState& remote, std::uint64_t start,
                                Nanos now) {
  RequestMessage message;
  message.fork = remote.fork();
  message.parts.upgrade = UpgradeRequest{start, remote.length() - start};
  message.parts.manifest = !core_->manifest().has_value() && remote.sync().has_manifest;
  if (remote.fork() == core_->fork()) {
    // A block beyond our length may ride along and saves a round trip.
    for (const BlockRange& target : Targets(remote.length())) {
      const BlockRange fresh{std::max(target.from, start), target.to};
      const auto run = scheduler_->Next(core_->bitfield(), remote.blocks(), fresh, 1);
      if (!run) continue;
      message.parts.block = BlockRequest{run->from, 0};
      scheduler_->Take(*run);
      asked_.Set(run->from);
      break;
    }
  }
  upgrade_asked_ = true;
  upgrade_to_ = remote.length();
  Send(message, /*hopeful=*/false, now);
}

// One at a time: where it leads is known when it is answered.
void Downloader::RequestProbe(Nanos now) {
  for (std::size_t i = 0; i < outstanding_.size(); ++i) {
    if (outstanding_[i].byte_offset) return;
  }
  const std::optional<ProofRequest> probe = NextProbe();
  if (!probe) return;
  std::uint64_t top = probe->hash->tree_index;
  for (std::uint64_t i = 0; i < probe->hash->nodes; ++i) top = flat_tree::Parent(top);
  probes_sent_.emplace(top, probe->seek->byte_offset);
  RequestMessage message;
  message.fork = core_->fork();
  message.parts = *probe;
  Send(message, /*hopeful=*/false, now);
}

std::size_t Downloader::RequestBlocks(RemoteState& remote, std::size_t budget,
                                      Nanos now) {
  const std::size_t window = Window();
  std::size_t sent = 0;
  for (const BlockRange& target :
       Targets(std::min(ExpectedLength(), remote.length()))) {
    SearchPlace place;
    while (sent < budget && in_flight() < window) {
      const std::size_t room = std::min(budget - sent, window - in_flight());
      const auto run =
          scheduler_->Next(core_->bitfield(), remote.blocks(), target, room, &place);
      if (!run) break;
      sent += RequestRun(remote, *run, now);
    }
  }
  return sent;
}

// Marks what it asks for in one go, up to a block that this peer cannot give.
std::size_t Downloader::RequestRun(RemoteState& remote, BlockRange run, Nanos now) {
  const auto mark = [this](BlockRange asked) {
    scheduler_->Take(asked);
    asked_.SetRange(asked.from, asked.to, true);
  };
  RequestMessage message;
  message.fork = core_->fork();
  std::size_t sent = 0;
  std::uint64_t from = run.from;
  for (std::uint64_t at = run.from; at < run.to; ++at) {
    const Path path = PathOf(at, from);
    // A shorter peer cannot climb to a node that covers more than it has.
    if ((((at >> path.nodes) + 1) << path.nodes) > remote.length()) {
      remote.Lacks(at);
      mark({from, at});
      from = at + 1;
      continue;
    }
    message.parts.block = BlockRequest{at, path.nodes};
    Send(message, path.hopeful, now);
    ++sent;
  }
  mark({from, run.to});
  return sent;
}

// Climbs from the leaf to the first node that is known, or will be when the answers
// before this one are applied: the sibling's path, for a block asked for below the
// sibling; the new roots, and the right-hand neighbours of the old ones, for an
// upgrade.
Downloader::Path Downloader::PathOf(std::uint64_t block_index,
                                    std::uint64_t run_from) const {
  if (exact_requests_ > 0 && block_index < core_->length()) {
    return {core_->MissingNodes(block_index), false};
  }
  const std::uint64_t length = core_->length();
  const std::uint64_t expected = ExpectedLength();
  for (std::uint64_t depth = 0;; ++depth) {
    const std::uint64_t offset = block_index >> depth;
    const std::uint64_t sibling = (offset ^ 1) << depth;
    const std::uint64_t width = std::uint64_t{1} << depth;
    const bool in_run = sibling < block_index && sibling + width > run_from;
    if (in_run || asked_.FirstSet(sibling, sibling + width)) return {depth, true};
    const std::uint64_t tree_index = flat_tree::Index(static_cast<int>(depth), offset);
    if (core_->HasNode(tree_index)) return {depth, false};
    const std::uint64_t parent_from = (offset >> 1) << (depth + 1);
    const bool parent_fits = parent_from + 2 * width <= expected;
    const bool beside_the_old = (offset << depth) >= length && parent_from < length;
    if (!parent_fits || beside_the_old) return {depth, true};
  }
}

void Downloader::Send(RequestMessage& message, bool hopeful, Nanos now) {
  message.id = outstanding_.next_id();
  if (outstanding_.waiting() == 0) pace_.OnBusy(now);
  Outstanding& request = outstanding_.Add();
  request.upgrade = message.parts.upgrade.has_value();
  request.upgrade_start = request.upgrade ? message.parts.upgrade->start : 0;
  request.hopeful = hopeful;
  request.fork = message.fork;
  request.sent_at = now;
  if (message.parts.block) request.block_index = message.parts.block->block_index;
  if (message.parts.hash) request.tree_index = message.parts.hash->tree_index;
  if (message.parts.seek) request.byte_offset = message.parts.seek->byte_offset;
  if (exact_requests_ > 0) --exact_requests_;
  scratch_.clear();
  Encode(message, &scratch_);
  send_(CoreMessage::kRequest, scratch_);
}

bool Downloader::IsAsLong(const RemoteState& remote) const {
  return remote.synced() && remote.fork() == core_->fork() &&
         core_->length() >= remote.length();
}

bool Downloader::HoldsAll(const Download& wanted, const RemoteState& remote) const {
  return std::ranges::none_of(
      TargetsOf(wanted, remote.length()), [&](const BlockRange& target) {
        return AnyMissing(core_->bitfield(), remote.blocks(), target);
      });
}

bool Downloader::IsLevel(const RemoteState& remote) const {
  return mode_.kind != Download::Kind::kNone && in_flight() == 0 && IsAsLong(remote) &&
         !NextProbe() && HoldsAll(mode_, remote);
}

bool Downloader::Has(const Download& wanted, const RemoteState& remote) const {
  if (wanted.kind != Download::Kind::kRanges || !IsAsLong(remote)) return false;
  for (const SeekRequest& seek : wanted.seeks) {
    const auto at = core_->Locate(seek.byte_offset, seek.padding);
    if (at.ok() && flat_tree::Depth(at->tree_index) > 1) return false;
  }
  return HoldsAll(wanted, remote);
}

std::optional<std::uint64_t> Downloader::UnknownWindow(const Download& wanted,
                                                       const RemoteState& remote,
                                                       std::uint64_t from) const {
  const std::uint64_t length = std::min(
      {ExpectedLength(), remote.length(), core_->length() + kUnsignedBlocksMax});
  for (const BlockRange& target : TargetsOf(wanted, length)) {
    const auto unknown = FirstUnknown(core_->bitfield(), remote.blocks(),
                                      {std::max(from, target.from), target.to});
    if (unknown) return *unknown / kWantBlocksMax * kWantBlocksMax;
  }
  return std::nullopt;
}

}  // namespace weft
