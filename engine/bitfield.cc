#include "engine/bitfield.h"

#include <algorithm>
#include <bit>

namespace weft {
namespace {

constexpr std::uint64_t kAllOnes = ~std::uint64_t{0};

// The bits [from, to) of a word, 0 <= from < to <= 64.
std::uint64_t Mask(std::uint64_t from, std::uint64_t to) {
  const std::uint64_t low = kAllOnes << from;
  return to == 64 ? low : low & ((std::uint64_t{1} << to) - 1);
}

std::uint32_t Population(const Bitfield::Page& words) {
  std::uint32_t set = 0;
  for (const std::uint64_t word : words) {
    set += static_cast<std::uint32_t>(std::popcount(word));
  }
  return set;
}

// The first bit of [from, to) within a page that equals `value`.
std::optional<std::uint64_t> FirstInPage(const Bitfield::Page& words,
                                         std::uint64_t from, std::uint64_t to,
                                         bool value) {
  for (std::uint64_t bit = from; bit < to;) {
    std::uint64_t word = words[bit / 64];
    if (!value) word = ~word;
    word &= Mask(bit % 64, 64);
    const std::uint64_t base = bit / 64 * 64;
    if (word != 0) {
      const std::uint64_t found =
          base + static_cast<std::uint64_t>(std::countr_zero(word));
      return found < to ? std::optional(found) : std::nullopt;
    }
    bit = base + 64;
  }
  return std::nullopt;
}

}  // namespace

bool Bitfield::IsFull(std::uint64_t page) const {
  auto run = full_.upper_bound(page);
  if (run == full_.begin()) return false;
  --run;
  return page < run->second;
}

bool Bitfield::Get(std::uint64_t bit) const {
  const std::uint64_t page = bit / kPageBits;
  if (const auto part = parts_.find(page); part != parts_.end()) {
    const std::uint64_t within = bit % kPageBits;
    return (part->second->words[within / 64] >> (within % 64)) & 1;
  }
  return IsFull(page);
}

bool Bitfield::Set(std::uint64_t bit, bool value) {
  if (Get(bit) == value) return false;
  SetInPage(bit / kPageBits, bit % kPageBits, bit % kPageBits + 1, value);
  return true;
}

Bitfield::Part* Bitfield::Open(std::uint64_t page) {
  auto& part = parts_[page];
  if (!part) {
    part = std::make_unique<Part>();
    if (IsFull(page)) {
      part->words.fill(kAllOnes);
      part->set = kPageBits;
      RemoveFull(page, page + 1);
    }
  }
  return part.get();
}

void Bitfield::Close(std::uint64_t page) {
  const auto part = parts_.find(page);
  if (part == parts_.end()) return;
  const std::uint32_t set = part->second->set;
  if (set != 0 && set != kPageBits) return;
  parts_.erase(part);
  if (set == kPageBits) AddFull(page, page + 1);
}

void Bitfield::SetInPage(std::uint64_t page, std::uint64_t from, std::uint64_t to,
                         bool value) {
  Part* part = Open(page);
  count_ -= part->set;
  for (std::uint64_t bit = from; bit < to;) {
    const std::uint64_t stop = std::min(to, bit / 64 * 64 + 64);
    const std::uint64_t mask = Mask(bit % 64, stop - bit / 64 * 64);
    std::uint64_t& word = part->words[bit / 64];
    const int before = std::popcount(word);
    word = value ? word | mask : word & ~mask;
    part->set += static_cast<std::uint32_t>(std::popcount(word) - before);
    bit = stop;
  }
  count_ += part->set;
  Close(page);
}

void Bitfield::AddFull(std::uint64_t from, std::uint64_t to) {
  auto next = full_.lower_bound(from);
  if (next != full_.begin()) {
    const auto before = std::prev(next);
    if (before->second >= from) {
      from = before->first;
      to = std::max(to, before->second);
      next = full_.erase(before);
    }
  }
  while (next != full_.end() && next->first <= to) {
    to = std::max(to, next->second);
    next = full_.erase(next);
  }
  full_.emplace(from, to);
}

void Bitfield::RemoveFull(std::uint64_t from, std::uint64_t to) {
  auto run = full_.upper_bound(from);
  if (run != full_.begin()) --run;
  while (run != full_.end() && run->first < to) {
    const auto [first, last] = *run;
    if (last <= from) {
      ++run;
      continue;
    }
    run = full_.erase(run);
    if (first < from) full_.emplace(first, from);
    if (last > to) full_.emplace(to, last);
    run = full_.lower_bound(std::min(last, to));
  }
}

void Bitfield::SetPages(std::uint64_t from, std::uint64_t to, bool value) {
  if (from >= to) return;
  count_ -= Count(from * kPageBits, to * kPageBits);
  for (auto part = parts_.lower_bound(from);
       part != parts_.end() && part->first < to;) {
    part = parts_.erase(part);
  }
  RemoveFull(from, to);
  if (value) {
    AddFull(from, to);
    count_ += (to - from) * kPageBits;
  }
}

void Bitfield::SetRange(std::uint64_t from, std::uint64_t to, bool value) {
  if (from >= to) return;
  const std::uint64_t first = from / kPageBits;
  const std::uint64_t last = to / kPageBits;  // the page of the end, maybe not touched
  if (first == last) {
    SetInPage(first, from % kPageBits, to % kPageBits, value);
    return;
  }
  std::uint64_t whole = first;
  if (from % kPageBits != 0) {
    SetInPage(first, from % kPageBits, kPageBits, value);
    whole = first + 1;
  }
  SetPages(whole, last, value);
  if (to % kPageBits != 0) SetInPage(last, 0, to % kPageBits, value);
}

std::uint64_t Bitfield::Count(std::uint64_t from, std::uint64_t to) const {
  if (from >= to) return 0;
  std::uint64_t count = 0;
  const std::uint64_t first = from / kPageBits;
  for (auto part = parts_.lower_bound(first);
       part != parts_.end() && part->first * kPageBits < to; ++part) {
    const std::uint64_t base = part->first * kPageBits;
    if (base >= from && base + kPageBits <= to) {
      count += part->second->set;
      continue;
    }
    const std::uint64_t stop = std::min(to - base, kPageBits);
    for (std::uint64_t bit = from > base ? from - base : 0; bit < stop;) {
      const std::uint64_t end = std::min(stop, bit / 64 * 64 + 64);
      const std::uint64_t mask = Mask(bit % 64, end - bit / 64 * 64);
      count += static_cast<std::uint64_t>(
          std::popcount(part->second->words[bit / 64] & mask));
      bit = end;
    }
  }
  auto run = full_.upper_bound(first);
  if (run != full_.begin()) --run;
  for (; run != full_.end() && run->first * kPageBits < to; ++run) {
    const std::uint64_t low = std::max(from, run->first * kPageBits);
    const std::uint64_t high = std::min(to, run->second * kPageBits);
    if (low < high) count += high - low;
  }
  return count;
}

std::optional<std::uint64_t> Bitfield::FirstSet(std::uint64_t from,
                                                std::uint64_t to) const {
  if (from >= to) return std::nullopt;
  std::optional<std::uint64_t> found;
  for (auto part = parts_.lower_bound(from / kPageBits);
       part != parts_.end() && part->first * kPageBits < to; ++part) {
    const std::uint64_t base = part->first * kPageBits;
    const auto bit = FirstInPage(part->second->words, from > base ? from - base : 0,
                                 std::min(to - base, kPageBits), true);
    if (bit) {
      found = base + *bit;
      break;
    }
  }
  auto run = full_.upper_bound(from / kPageBits);
  if (run != full_.begin() && std::prev(run)->second * kPageBits > from) --run;
  if (run != full_.end()) {
    const std::uint64_t bit = std::max(from, run->first * kPageBits);
    if (bit < to && (!found || bit < *found)) found = bit;
  }
  return found;
}

std::optional<std::uint64_t> Bitfield::FirstUnset(std::uint64_t from,
                                                  std::uint64_t to) const {
  while (from < to) {
    const std::uint64_t page = from / kPageBits;
    const std::uint64_t base = page * kPageBits;
    if (const auto part = parts_.find(page); part != parts_.end()) {
      const auto bit = FirstInPage(part->second->words, from - base,
                                   std::min(to - base, kPageBits), false);
      if (bit) return base + *bit;
      from = base + kPageBits;
      continue;
    }
    auto run = full_.upper_bound(page);
    if (run == full_.begin() || std::prev(run)->second <= page) return from;
    from = std::prev(run)->second * kPageBits;
  }
  return std::nullopt;
}

std::uint64_t Bitfield::end() const {
  std::uint64_t end = full_.empty() ? 0 : std::prev(full_.end())->second * kPageBits;
  if (!parts_.empty()) {
    const auto& [page, part] = *std::prev(parts_.end());
    for (std::size_t word = kPageWords; word-- > 0;) {
      if (part->words[word] == 0) continue;
      const auto width = static_cast<std::uint64_t>(std::bit_width(part->words[word]));
      end = std::max(end, page * kPageBits + word * 64 + width);
      break;
    }
  }
  return end;
}

std::uint32_t Bitfield::Word32(std::uint64_t word) const {
  const std::uint64_t bit = word * 32;
  const std::uint64_t page = bit / kPageBits;
  if (const auto part = parts_.find(page); part != parts_.end()) {
    const std::uint64_t within = bit % kPageBits;
    return static_cast<std::uint32_t>(part->second->words[within / 64] >>
                                      (within % 64));
  }
  return IsFull(page) ? ~std::uint32_t{0} : 0;
}

void Bitfield::SetWord32(std::uint64_t word, std::uint32_t value) {
  if (Word32(word) == value) return;
  const std::uint64_t bit = word * 32;
  const std::uint64_t page = bit / kPageBits;
  const std::uint64_t within = bit % kPageBits;
  Part* part = Open(page);
  std::uint64_t& place = part->words[within / 64];
  const int before = std::popcount(place);
  place &= ~(std::uint64_t{0xffffffff} << (within % 64));
  place |= std::uint64_t{value} << (within % 64);
  const auto change = static_cast<std::uint32_t>(std::popcount(place) - before);
  part->set += change;  // modulo 2^32, as the count below modulo 2^64
  count_ += static_cast<std::uint64_t>(
      static_cast<std::int64_t>(static_cast<std::int32_t>(change)));
  Close(page);
}

Bitfield::Page Bitfield::PageAt(std::uint64_t page) const {
  if (const auto part = parts_.find(page); part != parts_.end()) {
    return part->second->words;
  }
  Page words{};
  if (IsFull(page)) words.fill(kAllOnes);
  return words;
}

void Bitfield::SetPage(std::uint64_t page, const Page& value) {
  Part* part = Open(page);
  count_ -= part->set;
  part->words = value;
  part->set = Population(value);
  count_ += part->set;
  Close(page);
}

std::size_t Bitfield::memory_bytes() const {
  constexpr std::size_t kEntryBytes = 24;
  return parts_.size() * (sizeof(Part) + kEntryBytes) + full_.size() * kEntryBytes;
}

}  // namespace weft
