#include "crdt/lanes/set.h"

#include <algorithm>

namespace weft {
namespace {

bool AnyShows(const SetLane::Adds& adds, std::size_t presence) {
  return std::any_of(adds.begin(), adds.end(),
                     [&](const SetLane::Add& add) { return Shows(add, presence); });
}

}  // namespace

void SetLane::Forget(Adds& adds, const LocalOp& op, const CausalOrder& order) {
  const auto seen = [&](const Add& add) { return order.Before(add.stamp.op, op); };
  adds.erase(std::remove_if(adds.begin(), adds.end(), seen), adds.end());
}

void SetLane::Insert(const Stamp& stamp, std::string_view element,
                     const CausalOrder& order) {
  Adds& adds = elements_[std::string(element)];
  Forget(adds, stamp.op, order);
  adds.push_back({stamp, {}});
}

void SetLane::Remove(const LocalOp& op, std::string_view element,
                     const CausalOrder& order) {
  const auto found = elements_.find(std::string(element));
  if (found == elements_.end()) return;
  Forget(found->second, op, order);
  if (found->second.empty()) elements_.erase(found);
}

void SetLane::Clear(const LocalOp& op, const CausalOrder& order) {
  for (auto element = elements_.begin(); element != elements_.end();) {
    Forget(element->second, op, order);
    element = element->second.empty() ? elements_.erase(element) : std::next(element);
  }
}

bool SetLane::readable(std::size_t presence) const {
  return std::any_of(elements_.begin(), elements_.end(), [&](const auto& element) {
    return AnyShows(element.second, presence);
  });
}

std::vector<std::string_view> SetLane::Elements(std::size_t presence) const {
  std::vector<std::string_view> shown;
  for (const auto& [element, adds] : elements_) {
    if (AnyShows(adds, presence)) shown.push_back(element);
  }
  return shown;
}

const Stamp* SetLane::Newest(std::size_t presence, const WriterTable& writers) const {
  const Stamp* newest = nullptr;
  for (const auto& [element, adds] : elements_) {
    TakeNewest(adds, &Add::stamp, presence, writers, &newest);
  }
  return newest;
}

bool SetLane::Stands(const LocalOp& op, std::size_t presence) const {
  for (const auto& [element, adds] : elements_) {
    for (const Add& add : adds) {
      if (add.stamp.op == op && Shows(add, presence)) return true;
    }
  }
  return false;
}

bool SetLane::Contains(std::string_view element, std::size_t presence) const {
  const auto found = elements_.find(std::string(element));
  return found != elements_.end() && AnyShows(found->second, presence);
}

Bytes SetLane::AddsState(const Adds& adds, std::size_t presence,
                         const WriterTable& writers) {
  std::vector<LocalOp> ops;
  for (const Add& add : adds) {
    if (Shows(add, presence)) ops.push_back(add.stamp.op);
  }
  std::sort(ops.begin(), ops.end(),
            [&](const LocalOp& a, const LocalOp& b) { return writers.IdLess(a, b); });
  Bytes state;
  Writer out(&state);
  out.Uint(ops.size());
  for (const LocalOp& op : ops) WriteOpId(op, writers, out);
  return state;
}

LaneItems SetLane::Items(std::size_t presence, const WriterTable& writers) const {
  LaneItems items;
  for (const auto& [element, adds] : elements_) {
    if (!AnyShows(adds, presence)) continue;
    items.emplace_back(ToBytes(AsBytes(element)), AddsState(adds, presence, writers));
  }
  return items;
}

void SetLane::WriteState(std::size_t presence, const WriterTable& writers,
                         Writer& out) const {
  const LaneItems items = Items(presence, writers);
  out.Uint(items.size());
  for (const auto& [element, adds] : items) {
    out.Buffer(element);
    out.Raw(adds);
  }
}

void SetLane::Store(Writer& out) const {
  out.Uint(elements_.size());
  for (const auto& [element, adds] : elements_) {
    out.Buffer(AsBytes(element));
    out.Uint(adds.size());
    for (const Add& add : adds) {
      StoreStamp(add.stamp, out);
      StoreOps(add.buried_for, out);
    }
  }
}

SetLane SetLane::Read(std::size_t writers, Reader& in) {
  constexpr std::size_t kAddBytesMin = 12;
  SetLane lane;
  for (std::size_t n = in.Count(2); n > 0 && in.ok(); --n) {
    const std::string element(AsText(in.Buffer()));
    if (element.empty()) in.Fail();
    Adds adds;
    for (std::size_t m = in.Count(kAddBytesMin); m > 0 && in.ok(); --m) {
      Add add;
      add.stamp = ReadStamp(writers, in);
      add.buried_for = ReadOps(writers, in);
      adds.push_back(std::move(add));
    }
    if (in.ok()) lane.elements_.emplace_hint(lane.elements_.end(), element, adds);
  }
  return lane;
}

}  // namespace weft
