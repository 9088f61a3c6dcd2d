// The rows of a text or list, and the tree put in order again from them.
//
// The order is not stored: it follows from the tree. What hangs on the right of an
// element is ordered by right origins that all stand after it, so the tree is read from
// its end to its start, and they are in place when they are asked for.

#include <algorithm>

#include "crdt/lanes/sequence.h"

namespace weft {

void SequenceLane::Store(Writer& out) const {
  out.Uint(rope_.live());
}

void SequenceLane::StorePages(const PageSink& sink) {
  for (auto& [writer, log] : logs_) {
    for (std::size_t i = 0; i < log.pages().size(); ++i) {
      SequenceLog::PageInfo& page = log.pages()[i];
      if (!page.dirty) continue;
      page.dirty = false;
      sink(writer, page.number, log.EncodePage(i, writer));
    }
  }
  replaces_ = false;
}

std::unique_ptr<SequenceLane> SequenceLane::Replacing(bool is_text) {
  auto lane = std::make_unique<SequenceLane>(is_text);
  lane->replaces_ = true;
  return lane;
}

SequenceLane SequenceLane::Read(bool is_text, Reader& in) {
  SequenceLane lane(is_text);
  lane.live_stored_ = in.Uint();
  return lane;
}

bool SequenceLane::ReadPage(WriterNumber writer, std::uint64_t page, ByteView row) {
  return LogOf(writer).DecodePage(page, writer, row);
}

// One pass over the tree, from the end.
struct SequenceLane::Rebuild {
  // Elements first.clock..last of one writer, to be put in place; or, `visit`, the
  // element and all that hangs on it, along the writer's own chain.
  struct Task {
    Element first;
    std::uint32_t last = 0;
    bool visit = false;
  };

  Rebuild(SequenceLane* lane_in, const WriterTable* writers_in)
      : lane(*lane_in), writers(*writers_in) {}

  bool Exists(Element element) const {
    if (element == kSequenceStart || element == kSequenceEnd) return true;
    const auto log = lane.logs_.find(element.writer);
    return log != lane.logs_.end() && element.clock < log->second.next();
  }

  // Who hangs on whom, not in order yet. False if somebody hangs on nothing.
  bool CollectChildren() {
    std::vector<std::pair<ChildKey, Element>> all;
    for (const auto& [writer, log] : lane.logs_) {
      total += log.next();
      ranks[writer].resize(log.next());
      for (const SequenceOp& op : log.ops()) {
        if (!Exists(op.parent) || !Exists(op.right)) return false;
        const bool own =
            !op.is_left && op.start > 0 && op.parent == Element{writer, op.start - 1};
        if (!own) all.push_back({{op.parent, op.is_left}, {writer, op.start}});
      }
    }
    std::sort(all.begin(), all.end());
    for (const auto& [key, child] : all) {
      lane.children_.try_emplace(lane.children_.end(), key)->second.push_back(child);
    }
    return true;
  }

  std::uint64_t RankOf(Element element) const {
    if (element == kSequenceStart) return 0;  // of a malformed row only
    return element == kSequenceEnd ? UINT64_MAX
                                   : ranks.at(element.writer)[element.clock];
  }

  bool Before(Element a, Element b, bool left) const {
    const SequenceOp& op = lane.OpOf(a);
    const SequenceOp& other = lane.OpOf(b);
    if (!left && op.right_origin() != other.right_origin()) {
      return RankOf(op.right_origin()) > RankOf(other.right_origin());
    }
    return writers.TieLess({{a.writer, op.op_index, op.position}, op.hlc},
                           {{b.writer, other.op_index, other.position}, other.hlc});
  }

  // The children of one side in order, put in order for good.
  Children Sorted(Element parent, bool left) {
    const auto found = lane.children_.find({parent, left});
    Children children;
    if (found != lane.children_.end()) {
      std::sort(found->second.begin(), found->second.end(),
                [&](Element a, Element b) { return Before(a, b, left); });
      children = found->second;
    }
    const std::optional<Element> own = left ? std::nullopt : lane.OwnChild(parent);
    if (!own) return children;
    children.insert(
        std::find_if(children.begin(), children.end(),
                     [&](Element child) { return Before(*own, child, false); }),
        *own);
    return children;
  }

  // What is pushed last is done first.
  void PushSide(Element parent, bool left) {
    for (const Element child : Sorted(parent, left)) {
      tasks.push_back({child, 0, true});
    }
  }

  void Visit(Element first) {
    // The writer's own chain from here, up to where something else hangs on it.
    const SequenceLog& log = lane.logs_.at(first.writer);
    const auto found = lane.children_.lower_bound({first, false});
    const bool same_writer =
        found != lane.children_.end() && found->first.parent.writer == first.writer;
    const std::uint32_t stop = same_writer ? found->first.parent.clock : UINT32_MAX;
    Element at = first;
    while (at.clock < stop && lane.OwnChild(at)) {
      const std::uint32_t op_last = log.EndOf(log.OpAt(at.clock)) - 1;
      at.clock = std::min(stop, std::max(at.clock + 1, op_last));
    }
    if (at.clock > first.clock) tasks.push_back({first, at.clock - 1, false});
    PushSide(at, true);
    tasks.push_back({at, at.clock, false});
    PushSide(at, false);
  }

  void Place(const Task& task) {
    const SequenceLog& log = lane.logs_.at(task.first.writer);
    std::vector<std::uint64_t>& rank = ranks.at(task.first.writer);
    for (std::uint32_t at = task.last + 1; at-- > task.first.clock;)
      rank[at] = --next_rank;
    std::uint32_t end = task.last + 1;
    while (end > task.first.clock) {
      std::uint32_t from = end - 1;
      while (from > task.first.clock && log.dead(from - 1) == log.dead(end - 1)) --from;
      pieces.push_back({{task.first.writer, from}, end - from, log.dead(end - 1)});
      end = from;
    }
  }

  // False if it goes round in a circle.
  bool Drain() {
    while (!tasks.empty()) {
      const Task task = tasks.back();
      tasks.pop_back();
      if (task.visit) {
        Visit(task.first);
        continue;
      }
      placed += task.last + 1 - task.first.clock;
      if (placed > total) return false;
      Place(task);
    }
    return true;
  }

  bool Run() {
    if (!CollectChildren()) return false;
    next_rank = total;
    // What hangs on the end is in place before what may have it as right origin.
    PushSide(kSequenceEnd, true);
    if (!Drain()) return false;
    PushSide(kSequenceStart, false);
    if (!Drain() || placed != total) return false;
    for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
      lane.rope_.Append(*piece);
    }
    return true;
  }

  SequenceLane& lane;
  const WriterTable& writers;
  std::uint64_t total = 0;
  std::uint64_t placed = 0;
  std::uint64_t next_rank = 0;
  std::map<WriterNumber, std::vector<std::uint64_t>> ranks;  // places, by clock
  std::vector<Task> tasks;
  std::vector<SequenceRope::Piece> pieces;  // from the end
};

bool SequenceLane::FinishRead(const WriterTable& writers) {
  Rebuild rebuild(this, &writers);
  return rebuild.Run() && rope_.live() == live_stored_;
}

}  // namespace weft
