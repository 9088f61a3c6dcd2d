#include "crdt/moderation.h"

#include <algorithm>

#include "engine/bytes.h"

namespace weft {
namespace {

constexpr std::uint64_t kPageBlocks = 64;
constexpr std::uint64_t kPagesMax = 16;

bool IsHide(AuthOpType type) {
  return type == AuthOpType::kHide || type == AuthOpType::kUnhide;
}

}  // namespace

void Moderation::Insert(Ranges* ranges, std::uint64_t from, std::uint64_t to,
                        ModerationNumber number) {
  const std::uint64_t first = from / kPageBlocks;
  const std::uint64_t last = (to - 1) / kPageBlocks;
  if (last - first >= kPagesMax) {
    ranges->wide.push_back(number);
    return;
  }
  for (std::uint64_t page = first; page <= last; ++page) {
    std::vector<ModerationNumber>& list = ranges->by_page[page];
    if (list.empty() || list.back() != number) list.push_back(number);
  }
}

ModerationNumber Moderation::Add(ModerationEntry entry) {
  const auto number = static_cast<ModerationNumber>(entries_.size());
  if (!IsHide(entry.type)) {
    Insert(&verdicts_[entry.log], entry.from, entry.to, number);
  } else if (entry.ops.empty()) {
    Insert(&hides_[entry.log], entry.from, entry.to, number);
  } else {
    for (const OpId& op : entry.ops) {
      Insert(&hides_[op.writer], op.position, op.position + 1, number);
    }
  }
  entries_.push_back(std::move(entry));
  return number;
}

void Moderation::VisitAt(const RangesByLog& map, const CoreKey& log,
                         std::uint64_t position, const Visit& visit) const {
  const auto found = map.find(log);
  if (found == map.end()) return;
  const Ranges& ranges = found->second;
  for (const ModerationNumber number : ranges.wide) {
    if (entries_[number].active) visit(entries_[number]);
  }
  const auto page = ranges.by_page.find(position / kPageBlocks);
  if (page == ranges.by_page.end()) return;
  for (const ModerationNumber number : page->second) {
    if (entries_[number].active) visit(entries_[number]);
  }
}

void Moderation::VisitCovering(const CoreKey& log, std::uint64_t first,
                               std::uint64_t end, const Visit& visit) const {
  VisitAt(verdicts_, log, first, [&](const ModerationEntry& entry) {
    if (entry.from <= first && end <= entry.to) visit(entry);
  });
}

void Moderation::VisitHiding(const OpId& op, std::string_view key,
                             const Visit& visit) const {
  VisitAt(hides_, op.writer, op.position, [&](const ModerationEntry& entry) {
    if (!entry.ops.empty()) {
      if (std::find(entry.ops.begin(), entry.ops.end(), op) != entry.ops.end()) {
        visit(entry);
      }
      return;
    }
    const bool inside = entry.from <= op.position && op.position < entry.to;
    if (inside && key.starts_with(AsText(entry.prefix))) visit(entry);
  });
}

}  // namespace weft
