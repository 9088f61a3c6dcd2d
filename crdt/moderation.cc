#include "crdt/moderation.h"

#include <tuple>

#include "engine/bytes.h"

namespace weft {
namespace {

bool IsHide(AuthOpType type) {
  return type == AuthOpType::kHide || type == AuthOpType::kUnhide;
}

// Calls `visit` with the level and number of each page that [from, to) is made of.
template <class Visit>
void VisitPages(std::uint64_t from, std::uint64_t to, const Visit& visit) {
  for (std::size_t level = 0; from < to; ++level) {
    if (from % 2 == 1) visit(std::make_pair(level, from++));
    if (to % 2 == 1) visit(std::make_pair(level, --to));
    from /= 2;
    to /= 2;
  }
}

}  // namespace

bool Moderation::DecidesOver(const ModerationEntry& a, const ModerationEntry& b) const {
  if (a.cited != b.cited) return is_senior_(a.cited, b.cited);
  return std::tie(a.number, a.id) > std::tie(b.number, b.id);
}

bool Moderation::Decides::operator()(ModerationNumber a, ModerationNumber b) const {
  return table->DecidesOver(table->entries_[a], table->entries_[b]);
}

const ModerationEntry* Moderation::Better(const ModerationEntry* a,
                                          const ModerationEntry* b) const {
  return a == nullptr || DecidesOver(*b, *a) ? b : a;
}

// --- what is said ---

ModerationNumber Moderation::Add(ModerationEntry entry) {
  const auto number = static_cast<ModerationNumber>(entries_.size());
  if (IsHide(entry.type)) {
    if (entry.ops.empty()) hidden_in_.insert(entry.log);
    for (const OpId& op : entry.ops) hidden_in_.insert(op.writer);
  }
  entries_.push_back(std::move(entry));
  return number;
}

void Moderation::PutRange(Pages* pages, ModerationNumber number) {
  const ModerationEntry& entry = entries_[number];
  VisitPages(entry.from, entry.to, [&](const auto& page) {
    const auto [found, added] = pages->entries.try_emplace(page, Decides{this});
    found->second.insert(number);
    if (!added) return;
    if (pages->by_level.size() <= page.first) pages->by_level.resize(page.first + 1);
    ++pages->by_level[page.first];
  });
}

void Moderation::TakeRange(Pages* pages, ModerationNumber number) {
  const ModerationEntry& entry = entries_[number];
  VisitPages(entry.from, entry.to, [&](const auto& page) {
    const auto found = pages->entries.find(page);
    found->second.erase(number);
    if (!found->second.empty()) return;
    pages->entries.erase(found);
    --pages->by_level[page.first];
  });
}

void Moderation::SetHide(ModerationNumber number, bool active) {
  const ModerationEntry& entry = entries_[number];
  for (const OpId& op : entry.ops) {
    Entries& of = hides_of_.try_emplace(op, Decides{this}).first->second;
    if (active) {
      of.insert(number);
    } else if (of.erase(number); of.empty()) {
      hides_of_.erase(op);
    }
  }
  if (!entry.ops.empty()) return;
  Prefixes& prefixes = hides_[entry.log];
  const std::string prefix(AsText(entry.prefix));
  std::size_t& count = prefixes.lengths[prefix.size()];
  if (active) {
    PutRange(&prefixes.pages[prefix], number);
    ++count;
    return;
  }
  Pages& pages = prefixes.pages[prefix];
  TakeRange(&pages, number);
  if (pages.entries.empty()) prefixes.pages.erase(prefix);
  if (--count == 0) prefixes.lengths.erase(prefix.size());
}

void Moderation::SetActive(ModerationNumber number, bool active) {
  ModerationEntry& entry = entries_[number];
  if (entry.active == active) return;
  entry.active = active;
  if (IsHide(entry.type)) return SetHide(number, active);
  auto& map = entry.type == AuthOpType::kAdmit ? admits_ : verdicts_;
  if (active) {
    PutRange(&map[entry.log], number);
  } else {
    TakeRange(&map[entry.log], number);
  }
}

void Moderation::Deactivate() {
  verdicts_.clear();
  admits_.clear();
  hides_.clear();
  hides_of_.clear();
  for (ModerationEntry& entry : entries_) entry.active = false;
}

// --- what decides ---

const ModerationEntry* Moderation::FirstAt(const Pages& pages, std::uint64_t position,
                                           const ModerationEntry* best) const {
  for (std::size_t level = 0; level < pages.by_level.size(); ++level) {
    if (pages.by_level[level] == 0) continue;
    const auto found = pages.entries.find(std::make_pair(level, position >> level));
    if (found == pages.entries.end()) continue;
    best = Better(best, &entries_[*found->second.begin()]);
  }
  return best;
}

const ModerationEntry* Moderation::VerdictOn(const CoreKey& log,
                                             std::uint64_t first) const {
  const auto found = verdicts_.find(log);
  return found == verdicts_.end() ? nullptr : FirstAt(found->second, first, nullptr);
}

const ModerationEntry* Moderation::AdmitOf(const CoreKey& log,
                                           std::uint64_t first) const {
  const auto found = admits_.find(log);
  return found == admits_.end() ? nullptr : FirstAt(found->second, first, nullptr);
}

const ModerationEntry* Moderation::HidingOf(const OpId& op,
                                            std::string_view key) const {
  const ModerationEntry* best = nullptr;
  if (const auto found = hides_of_.find(op); found != hides_of_.end()) {
    best = &entries_[*found->second.begin()];
  }
  const auto prefixes = hides_.find(op.writer);
  if (prefixes == hides_.end()) return best;
  for (const auto& [length, count] : prefixes->second.lengths) {
    if (length > key.size()) break;
    const auto pages = prefixes->second.pages.find(std::string(key.substr(0, length)));
    if (pages == prefixes->second.pages.end()) continue;
    best = FirstAt(pages->second, op.position, best);
  }
  return best;
}

}  // namespace weft
