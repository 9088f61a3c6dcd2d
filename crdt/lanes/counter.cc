#include "crdt/lanes/counter.h"

#include <algorithm>

namespace weft {
namespace {

constexpr std::size_t kKeptSingly = 64;

void WriteInt128(Int128 value, Writer& out) {
  __extension__ using Unsigned = unsigned __int128;
  const auto bits = static_cast<Unsigned>(value);
  out.U64(static_cast<std::uint64_t>(bits));
  out.U64(static_cast<std::uint64_t>(bits >> 64));
}

Int128 ReadInt128(Reader& in) {
  __extension__ using Unsigned = unsigned __int128;
  const std::uint64_t low = in.U64();
  const std::uint64_t high = in.U64();
  return static_cast<Int128>(static_cast<Unsigned>(high) << 64 | low);
}

}  // namespace

std::string Decimal(Int128 value) {
  std::string digits;
  const bool negative = value < 0;
  do {
    const auto digit = static_cast<int>(value % 10);
    digits.push_back(static_cast<char>('0' + (negative ? -digit : digit)));
    value /= 10;
  } while (value != 0);
  if (negative) digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::int64_t Saturated(Int128 value) {
  if (value > INT64_MAX) return INT64_MAX;
  if (value < INT64_MIN) return INT64_MIN;
  return static_cast<std::int64_t>(value);
}

void CounterLane::Add(const Stamp& stamp, std::int64_t delta) {
  parts_.push_back({stamp.op, stamp, delta, 1, {}});
}

bool CounterLane::Reset(const LocalOp& op, const CausalOrder& order) {
  bool exact = true;
  const auto seen = [&](const Part& part) {
    if (order.Before(part.last.op, op)) return true;
    if (part.count > 1 && order.Before(part.first, op)) exact = false;
    return false;
  };
  parts_.erase(std::remove_if(parts_.begin(), parts_.end(), seen), parts_.end());
  return exact;
}

// Halves the list once it is long: of each log, the newest stay single.
void CounterLane::Fold() {
  if (parts_.size() < 4 * kKeptSingly) return;
  std::vector<std::uint32_t> newer;  // by writer, so many parts after this one
  std::vector<Part> kept;            // newest first
  std::vector<std::size_t> open;     // by writer: the folded part in `kept`, plus one
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
    const WriterNumber writer = part->last.op.writer;
    if (writer >= newer.size()) {
      newer.resize(writer + 1);
      open.resize(writer + 1);
    }
    if (++newer[writer] <= kKeptSingly) {
      kept.push_back(std::move(*part));
      continue;
    }
    Part* into = open[writer] == 0 ? nullptr : &kept[open[writer] - 1];
    if (into != nullptr && into->buried_for == part->buried_for) {
      into->first = part->first;
      into->sum += part->sum;
      into->count += part->count;
    } else {
      kept.push_back(std::move(*part));
      open[writer] = kept.size();
    }
  }
  std::reverse(kept.begin(), kept.end());
  parts_ = std::move(kept);
}

bool CounterLane::readable(std::size_t presence) const {
  return std::any_of(parts_.begin(), parts_.end(),
                     [&](const Part& part) { return Shows(part, presence); });
}

Int128 CounterLane::Sum(std::size_t presence) const {
  Int128 sum = 0;
  for (const Part& part : parts_) {
    if (Shows(part, presence)) sum += part.sum;
  }
  return sum;
}

const Stamp* CounterLane::Newest(std::size_t presence,
                                 const WriterTable& writers) const {
  const Stamp* newest = nullptr;
  TakeNewest(parts_, &Part::last, presence, writers, &newest);
  return newest;
}

bool CounterLane::Counts(const LocalOp& op, std::size_t presence) const {
  const auto at = [](const LocalOp& id) { return std::pair(id.position, id.op_index); };
  return std::any_of(parts_.begin(), parts_.end(), [&](const Part& part) {
    return Shows(part, presence) && part.first.writer == op.writer &&
           at(part.first) <= at(op) && at(op) <= at(part.last.op);
  });
}

void CounterLane::WriteState(std::size_t presence, Writer& out) const {
  WriteInt128(Sum(presence), out);
}

void CounterLane::Store(Writer& out) const {
  out.Uint(parts_.size());
  for (const Part& part : parts_) {
    StoreOp(part.first, out);
    StoreStamp(part.last, out);
    WriteInt128(part.sum, out);
    out.Uint(part.count);
    StoreOps(part.buried_for, out);
  }
}

CounterLane CounterLane::Read(std::size_t writers, Reader& in) {
  constexpr std::size_t kPartBytesMin = 32;
  CounterLane lane;
  for (std::size_t n = in.Count(kPartBytesMin); n > 0 && in.ok(); --n) {
    Part part;
    part.first = ReadOp(writers, in);
    part.last = ReadStamp(writers, in);
    part.sum = ReadInt128(in);
    part.count = in.Uint();
    part.buried_for = ReadOps(writers, in);
    lane.parts_.push_back(std::move(part));
  }
  return lane;
}

}  // namespace weft
