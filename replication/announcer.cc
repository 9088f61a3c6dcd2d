#include "replication/announcer.h"

#include <algorithm>
#include <bit>

namespace weft {
namespace {

constexpr std::uint64_t kWindowMin = 32;
constexpr std::size_t kWantsMax = 512;       // L14
constexpr std::uint64_t kTailBlocks = 256;   // near the end everything is told
constexpr std::size_t kAnswersPerFlush = 1;  // a bitfield may take 256 KiB

// Adds [from, to) to disjoint runs, joining what touches.
void Merge(std::map<std::uint64_t, std::uint64_t>& runs, BlockRange blocks) {
  if (blocks.from >= blocks.to) return;
  auto next = runs.upper_bound(blocks.from);
  if (next != runs.begin() && std::prev(next)->second >= blocks.from) --next;
  while (next != runs.end() && next->first <= blocks.to) {
    blocks.from = std::min(blocks.from, next->first);
    blocks.to = std::max(blocks.to, next->second);
    next = runs.erase(next);
  }
  runs.emplace(blocks.from, blocks.to);
}

}  // namespace

void Announcer::Open(std::uint64_t visible_length, const SendMessage& send) {
  due_ = wants_;
  const std::uint64_t held = std::min(core_->contiguous_length(), visible_length);
  if (held == 0 || (held < visible_length && visible_length > kTailBlocks)) return;
  SendRange(false, {0, held}, send);
  if (held == visible_length) told_contiguous_ = held;
}

void Announcer::OnWant(const WantMessage& message) {
  if (message.length > kWantBlocksMax) return;
  const bool aligned = message.length >= kWindowMin &&
                       std::has_single_bit(message.length) &&
                       message.start % message.length == 0;
  if (!aligned || (wants_.size() >= kWantsMax && !wants_.contains(message.start))) {
    wants_all_ = true;
    return;
  }
  wants_[message.start] = message;
  due_[message.start] = message;
}

void Announcer::OnUnwant(const WantMessage& message) {
  wants_.erase(message.start);
  due_.erase(message.start);
}

void Announcer::OnBlocks(BlockRange blocks) {
  Merge(fresh_, blocks);
}

void Announcer::OnCleared(BlockRange blocks) {
  Merge(dropped_, blocks);
  told_contiguous_ = std::min(told_contiguous_, blocks.from);
}

void Announcer::Flush(std::uint64_t visible_length, const RemoteState& remote,
                      const SendMessage& send) {
  for (const auto& [from, to] : dropped_) SendRange(true, {from, to}, send);
  dropped_.clear();
  TellFresh(visible_length, remote, send);
  for (std::size_t i = 0; i < kAnswersPerFlush && !due_.empty(); ++i) {
    const auto [start, want] = *due_.begin();
    due_.erase(due_.begin());
    Answer(start, want, visible_length, send);
  }
}

void Announcer::TellFresh(std::uint64_t visible_length, const RemoteState& remote,
                          const SendMessage& send) {
  const std::uint64_t contiguous = core_->contiguous_length();
  if (contiguous >= visible_length && visible_length > told_contiguous_) {
    SendRange(false, {0, visible_length}, send);
    told_contiguous_ = visible_length;
  }
  std::map<std::uint64_t, std::uint64_t> later;
  for (const auto& [from, to] : fresh_) {
    if (to > visible_length) later.emplace(std::max(from, visible_length), to);
    const std::uint64_t end = std::min(to, visible_length);
    if (from >= end || end <= told_contiguous_) continue;
    const bool near_the_end = from + kTailBlocks >= visible_length;
    const bool known = !remote.blocks().FirstUnset(from, end).has_value();
    if (known || (!near_the_end && !Wanted({from, end}))) continue;
    SendHeld({from, end}, send);
  }
  fresh_ = std::move(later);
}

// Some may have been cleared again since.
void Announcer::SendHeld(BlockRange blocks, const SendMessage& send) {
  const Bitfield& held = core_->bitfield();
  while (const auto from = held.FirstSet(blocks.from, blocks.to)) {
    const std::uint64_t to = held.FirstUnset(*from, blocks.to).value_or(blocks.to);
    SendRange(false, {*from, to}, send);
    blocks.from = to;
  }
}

bool Announcer::Wanted(BlockRange blocks) const {
  if (wants_all_) return true;
  for (const auto& [start, want] : wants_) {
    if (start < blocks.to && blocks.from < start + want.length) return true;
  }
  return false;
}

void Announcer::Answer(std::uint64_t start, const WantMessage& want,
                       std::uint64_t visible_length, const SendMessage& send) {
  if (start >= visible_length) return;
  const std::uint64_t contiguous = std::min(core_->contiguous_length(), visible_length);
  const std::uint64_t end = std::min(start + want.length, visible_length);
  if (contiguous >= end) {
    SendRange(false, {0, contiguous}, send);
    return;
  }
  if (want.any) {
    const auto held = core_->bitfield().FirstSet(start, end);
    if (held) SendRange(false, {*held, *held + 1}, send);
    return;
  }
  BitfieldMessage message;
  message.start = start;
  const std::uint64_t words = (end - start + 31) / 32;
  for (std::uint64_t i = 0; i < words; ++i) {
    message.words.push_back(core_->bitfield().Word32(start / 32 + i));
  }
  while (!message.words.empty() && message.words.back() == 0) message.words.pop_back();
  scratch_.clear();
  Encode(message, &scratch_);
  send(CoreMessage::kBitfield, scratch_);
}

void Announcer::SendRange(bool drop, BlockRange blocks, const SendMessage& send) {
  scratch_.clear();
  Encode(RangeMessage{drop, blocks.from, blocks.to - blocks.from}, &scratch_);
  send(CoreMessage::kRange, scratch_);
}

}  // namespace weft
