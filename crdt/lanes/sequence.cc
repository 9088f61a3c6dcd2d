#include "crdt/lanes/sequence.h"

#include <algorithm>

#include "engine/key_layout.h"
#include "engine/trie_node.h"
#include "engine/trie_root.h"

namespace weft {
namespace {

constexpr std::size_t kInlineContentMax = 32;
constexpr std::size_t kItemKeyBytes = 40;

Bytes ItemKey(const CoreKey& writer, std::uint64_t page) {
  Bytes key = ToBytes(writer.view());
  keys::PutU64(key, page);
  return key;
}

LocalOp IdOf(const SequenceOp& op, WriterNumber writer) {
  return {writer, op.op_index, op.position};
}

}  // namespace

SequenceLog& SequenceLane::LogOf(WriterNumber writer) {
  return logs_.try_emplace(writer, is_text_).first->second;
}

const SequenceOp& SequenceLane::OpOf(Element element) const {
  const SequenceLog& log = logs_.at(element.writer);
  return log.ops()[log.OpAt(element.clock)];
}

std::optional<Element> SequenceLane::FindElement(const LocalOp& op,
                                                 std::uint64_t offset) const {
  const auto log = logs_.find(op.writer);
  if (log == logs_.end()) return std::nullopt;
  const auto found = log->second.Find(op.position, op.op_index);
  if (!found) return std::nullopt;
  const std::uint32_t start = log->second.ops()[*found].start;
  if (offset >= log->second.EndOf(*found) - start) return std::nullopt;
  return Element{op.writer, start + static_cast<std::uint32_t>(offset)};
}

// The element that a ref names, if it counts: it is here and in the past of the op.
std::optional<Element> SequenceLane::Resolve(const ElementRef& ref, const LocalOp& self,
                                             const CausalOrder& order,
                                             const WriterTable& writers) const {
  LocalOp op{self.writer, ref.op_index, ref.position};
  if (ref.place == ElementRef::Place::kThisBlock) op.position = self.position;
  if (ref.place == ElementRef::Place::kLog) {
    const std::optional<CoreKey> key = CoreKey::From(ref.writer);
    const auto writer = key ? writers.Find(*key) : std::nullopt;
    if (!writer) return std::nullopt;
    op.writer = *writer;
  }
  if (!order.Before(op, self)) return std::nullopt;
  return FindElement(op, ref.offset);
}

bool SequenceLane::InPast(Element element, const LocalOp& of,
                          const CausalOrder& order) const {
  return order.Before(IdOf(OpOf(element), element.writer), of);
}

// A piece is of one writer and in the order of his log: if its first element is not in
// the past, none is.
Element SequenceLane::NextInPast(Element element, const LocalOp& of,
                                 const CausalOrder& order) const {
  Element next = rope_.Next(element);
  while (next != kSequenceEnd && !InPast(next, of, order)) next = rope_.NextPiece(next);
  return next;
}

void SequenceLane::Insert(const Stamp& stamp, const SequenceEdit& edit,
                          std::string_view content, const CausalOrder& order,
                          const WriterTable& writers) {
  const std::uint32_t count = is_text_ ? CodePoints(content) : 1;
  SequenceLog& log = LogOf(stamp.op.writer);
  if (count == 0 || log.next() > UINT32_MAX - 2 - count) return;
  const auto resolved = [&](const ElementRef& ref, Element edge) {
    return ref.is_edge() ? edge : Resolve(ref, stamp.op, order, writers);
  };
  SequenceOp op;
  op.position = stamp.op.position;
  op.op_index = stamp.op.op_index;
  op.hlc = stamp.hlc;
  if (const std::optional<Element> left = resolved(edit.left, kSequenceStart)) {
    const Element next = NextInPast(*left, stamp.op, order);
    const auto is_known = [&](Element child) { return InPast(child, stamp.op, order); };
    const std::optional<Element> own = OwnChild(*left);
    const std::span<const Element> others = Hanging(*left, /*left=*/false);
    op.is_left =
        (own && is_known(*own)) || std::any_of(others.begin(), others.end(), is_known);
    op.parent = op.is_left ? next : *left;
    if (!op.is_left) op.right = next;
  } else {
    op.is_left = true;
    op.parent = resolved(edit.right, kSequenceEnd).value_or(kSequenceEnd);
  }
  log.Append(op, content, count);
  op.start = log.next() - count;
  Attach(op, stamp.op.writer, count, writers);
}

bool SequenceLane::Before(Element a, Element b, bool left,
                          const WriterTable& writers) const {
  const SequenceOp& op = OpOf(a);
  const SequenceOp& other = OpOf(b);
  if (!left && op.right_origin() != other.right_origin()) {
    return rope_.Precedes(other.right_origin(), op.right_origin());
  }
  return writers.TieLess({IdOf(op, a.writer), op.hlc},
                         {IdOf(other, b.writer), other.hlc});
}

std::optional<Element> SequenceLane::OwnChild(Element element) const {
  if (element.writer == kSequenceStart.writer) return std::nullopt;
  const SequenceLog& log = logs_.at(element.writer);
  const std::uint32_t next = element.clock + 1;
  if (next >= log.next()) return std::nullopt;
  const SequenceOp& op = log.ops()[log.OpAt(next)];
  const bool hangs = op.start != next || (op.parent == element && !op.is_left);
  return hangs ? std::optional(Element{element.writer, next}) : std::nullopt;
}

std::span<const Element> SequenceLane::Hanging(Element element, bool left) const {
  const auto found = children_.find({element, left});
  if (found == children_.end()) return {};
  return found->second;
}

Element SequenceLane::LastRightChild(Element element,
                                     const WriterTable& writers) const {
  const std::span<const Element> others = Hanging(element, /*left=*/false);
  const std::optional<Element> own = OwnChild(element);
  if (others.empty()) return *own;
  return own && Before(others.back(), *own, false, writers) ? *own : others.back();
}

Element SequenceLane::First(Element element) const {
  for (;;) {
    const auto found = children_.find({element, true});
    if (found == children_.end()) return element;
    element = found->second.front();
  }
}

Element SequenceLane::Last(Element element, const WriterTable& writers) const {
  for (;;) {
    // Along the writer's own chain as far as nothing else hangs on the right of it.
    auto found = children_.lower_bound({element, false});
    while (found != children_.end() && found->first.left) ++found;
    const bool same_writer =
        found != children_.end() && found->first.parent.writer == element.writer;
    const std::uint32_t stop = same_writer ? found->first.parent.clock : UINT32_MAX;
    const SequenceLog& log = logs_.at(element.writer);
    while (element.clock < stop && OwnChild(element)) {
      const std::size_t op = log.OpAt(element.clock);
      const std::uint32_t op_last = log.EndOf(op) - 1;
      element.clock = std::min(stop, std::max(element.clock + 1, op_last));
    }
    if (element.clock != stop) return element;
    element = LastRightChild(element, writers);
  }
}

// Hangs the op, which is in its log already, into the tree and the rope.
void SequenceLane::Attach(SequenceOp op, WriterNumber writer, std::uint32_t count,
                          const WriterTable& writers) {
  const Element self{writer, op.start};
  const SequenceRope::Piece piece{self, count, false};
  const bool own =
      !op.is_left && op.start > 0 && op.parent == Element{writer, op.start - 1};
  const auto is_before = [&](Element a, Element b) {
    return Before(a, b, op.is_left, writers);
  };
  const std::span<const Element> others = Hanging(op.parent, op.is_left);
  const auto place =
      std::partition_point(others.begin(), others.end(),
                           [&](Element other) { return is_before(other, self); });
  bool is_first = place == others.begin();
  std::optional<Element> next;
  if (place != others.end()) next = *place;
  // The parent's own next element hangs there too, without being listed.
  if (const auto chained = OwnChild(op.parent); chained && !op.is_left && !own) {
    if (is_before(*chained, self)) {
      is_first = false;
    } else if (!next || is_before(*chained, *next)) {
      next = chained;
    }
  }
  const auto at = place - others.begin();
  if (op.is_left || (next && !is_first)) {
    rope_.InsertBefore(next ? First(*next) : op.parent, piece);
  } else if (is_first) {
    rope_.InsertAfter(op.parent, piece);
  } else {
    const Element last = own ? others.back() : LastRightChild(op.parent, writers);
    rope_.InsertAfter(Last(last, writers), piece);
  }
  if (own) return;
  Children& kept = children_[{op.parent, op.is_left}];
  kept.insert(kept.begin() + at, self);
}

void SequenceLane::Cut(const Stamp& stamp, std::span<const ElementRange> ranges,
                       const CausalOrder& order, const WriterTable& writers) {
  for (const ElementRange& range : ranges) {
    if (range.first.is_edge()) continue;
    const std::optional<Element> first = Resolve(range.first, stamp.op, order, writers);
    if (!first) continue;
    SequenceLog& log = logs_.at(first->writer);
    const std::uint32_t end = log.EndOf(log.OpAt(first->clock));
    const auto count = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(range.count, end - first->clock));
    rope_.Kill(*first, count);
    log.Kill(first->clock, count);
  }
}

void SequenceLane::Clear(const LocalOp& op, const CausalOrder& order) {
  for (auto& [writer, log] : logs_) {
    // What was seen of a log is a prefix of it, and what was cleared before needs no
    // second look: there may be many of these ops.
    const auto unseen =
        std::partition_point(log.ops().begin(), log.ops().end(),
                             [&, writer = writer](const SequenceOp& each) {
                               return order.Before(IdOf(each, writer), op);
                             });
    const std::uint32_t seen = unseen == log.ops().end() ? log.next() : unseen->start;
    const std::uint32_t cleared = log.cleared();
    if (seen <= cleared) continue;
    rope_.Kill({writer, cleared}, seen - cleared);
    log.Clear(seen);
  }
}

std::string SequenceLane::Text(std::uint64_t from, std::uint64_t count) const {
  std::string text;
  rope_.ForEachLive(from, count, [&](Element first, std::uint32_t taken) {
    text.append(logs_.at(first.writer).Content(first.clock, taken));
  });
  return text;
}

std::vector<std::string> SequenceLane::Values() const {
  std::vector<std::string> values;
  rope_.ForEachLive(0, UINT64_MAX, [&](Element first, std::uint32_t taken) {
    const SequenceLog& log = logs_.at(first.writer);
    for (std::uint32_t i = 0; i < taken; ++i) {
      values.emplace_back(log.Content(first.clock + i, 1));
    }
  });
  return values;
}

// Stamps rise along a log, so the last op of each with a live element is enough.
std::optional<Stamp> SequenceLane::Newest(const WriterTable& writers) const {
  std::optional<Stamp> newest;
  for (const auto& [writer, log] : logs_) {
    for (std::size_t i = log.ops().size(); i-- > 0;) {
      const SequenceOp& op = log.ops()[i];
      const bool all_dead =
          log.dead(op.start) && log.RunEnd(op.start, log.EndOf(i)) == log.EndOf(i);
      if (all_dead) continue;
      const Stamp stamp{IdOf(op, writer), op.hlc};
      if (!newest || writers.TieLess(*newest, stamp)) newest = stamp;
      break;
    }
  }
  return newest;
}

std::optional<std::uint64_t> SequenceLane::LiveOf(const LocalOp& op) const {
  const auto log = logs_.find(op.writer);
  if (log == logs_.end()) return std::nullopt;
  const auto found = log->second.Find(op.position, op.op_index);
  if (!found) return std::nullopt;
  std::uint64_t live = 0;
  const std::uint32_t end = log->second.EndOf(*found);
  for (std::uint32_t at = log->second.ops()[*found].start; at < end; ++at) {
    live += log->second.dead(at) ? 0 : 1;
  }
  return live;
}

NamedElement SequenceLane::NameOf(Element element) const {
  const SequenceOp& op = OpOf(element);
  return {IdOf(op, element.writer), element.clock - op.start};
}

std::uint64_t SequenceLane::LiveRun(Element element, std::uint64_t max) const {
  const SequenceLog& log = logs_.at(element.writer);
  const std::uint32_t of_op = log.EndOf(log.OpAt(element.clock)) - element.clock;
  return std::min<std::uint64_t>({max, of_op, rope_.RunFrom(element)});
}

// --- the view root ---

void SequenceLane::WriteName(Element element, const WriterTable& writers,
                             Writer& out) const {
  if (element == kSequenceStart) return out.U8(0);
  if (element == kSequenceEnd) return out.U8(1);
  const NamedElement name = NameOf(element);
  out.U8(2);
  WriteOpId(name.op, writers, out);
  out.Uint(name.offset);
}

Bytes SequenceLane::ItemState(const SequenceLog& log, std::size_t page,
                              const WriterTable& writers) const {
  Bytes state;
  Writer out(&state);
  const std::size_t first = log.pages()[page].first_op;
  const std::size_t end = log.PageEnd(page);
  out.Uint(end - first);
  for (std::size_t i = first; i < end; ++i) {
    const SequenceOp& op = log.ops()[i];
    out.Uint(op.position);
    out.Uint(op.op_index);
    out.Uint(op.hlc >> 16);
    out.Uint(op.hlc & 0xffff);
    out.U8(op.is_left ? 1 : 0);
    WriteName(op.parent, writers, out);
    if (!op.is_left) WriteName(op.right, writers, out);
    const std::uint32_t clocks_end = log.EndOf(i);
    out.Uint(clocks_end - op.start);
    Bytes gaps;
    Writer gaps_out(&gaps);
    std::uint64_t count = 0;
    std::string content;
    for (std::uint32_t clock = op.start, counted = op.start; clock < clocks_end;) {
      const std::uint32_t run_end = log.RunEnd(clock, clocks_end);
      if (log.dead(clock)) {
        gaps_out.Uint(clock - counted);
        gaps_out.Uint(run_end - clock);
        counted = run_end;
        ++count;
      } else {
        content.append(log.Content(clock, run_end - clock));
      }
      clock = run_end;
    }
    out.Uint(count);
    out.Raw(gaps);
    out.Uint(content.size());
    if (content.size() <= kInlineContentMax) {
      out.Raw(AsBytes(content));
    } else {
      out.Raw(Blake2b256(AsBytes(content)).view());
    }
  }
  return state;
}

void SequenceLane::HashPages(const WriterTable& writers) const {
  for (auto& [writer, log] : logs_) {
    for (std::size_t i = 0; i < log.pages().size(); ++i) {
      SequenceLog::PageInfo& page = log.pages()[i];
      if (page.hashed) continue;
      const Bytes state = ItemState(log, i, writers);
      page.size = state.size();
      page.hash = NestedItemHash(ItemKey(writers.key(writer), page.number), state);
      page.hashed = true;
    }
  }
}

std::uint64_t SequenceLane::StateSize(const WriterTable& writers) const {
  HashPages(writers);
  std::uint64_t pages = 0;
  std::uint64_t size = 0;
  for (const auto& [writer, log] : logs_) {
    for (const SequenceLog::PageInfo& page : log.pages()) {
      ++pages;
      size += kItemKeyBytes + Writer::UintSize(page.size) + page.size;
    }
  }
  return size + Writer::UintSize(pages);
}

void SequenceLane::WriteState(const WriterTable& writers, Writer& out) const {
  LaneItems items;
  for (const auto& [writer, log] : logs_) {
    for (std::size_t i = 0; i < log.pages().size(); ++i) {
      items.emplace_back(ItemKey(writers.key(writer), log.pages()[i].number),
                         ItemState(log, i, writers));
    }
  }
  std::sort(items.begin(), items.end());
  out.Uint(items.size());
  for (const auto& [key, state] : items) {
    out.Raw(key);
    out.Buffer(state);
  }
}

Hash32 SequenceLane::NestedRoot(const WriterTable& writers) const {
  HashPages(writers);
  std::vector<std::pair<Bytes, Hash32>> items;
  for (const auto& [writer, log] : logs_) {
    for (const SequenceLog::PageInfo& page : log.pages()) {
      items.emplace_back(ItemKey(writers.key(writer), page.number), page.hash);
    }
  }
  std::sort(items.begin(), items.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<TrieItem> leaves;
  leaves.reserve(items.size());
  for (const auto& [key, hash] : items) leaves.push_back({key, hash});
  return TrieRoot(leaves);
}

}  // namespace weft
