// What of a forked log counts as the past of a block (F3, F3b).
//
// A dep beyond the fork point is met once what both branches share is here; as an edge
// it counts in full only if it names what survives. That may lie on a cycle, if two
// forkers conspire: each block names a prefix that the other's dead branch does not
// contain. Then nothing of it could ever be delivered, and the edges of the blocks on
// it count to the fork point alone.
//
// What a dep names (6.2) goes by its length alone, and so may be an op of the surviving
// branch that the block has not seen. The block waits for it, so that it is judged by
// all that it names, unless they would wait for each other.

#include <algorithm>

#include "crdt/indexer_state.h"

namespace weft {

bool Indexer::State::MeetForkDep(WriterNumber writer, WriterNumber number,
                                 const Dep& dep, Fork* fork) {
  WriterState& state = writers[writer];
  const std::uint64_t position = state.pending->block.header.position;
  const bool is_demoted = demoted.contains({writer, position});
  const std::uint64_t edge =
      !is_demoted && fork->Survives(dep) ? dep.length : fork->point;
  const bool waits_for_named = !is_demoted && !released.contains({writer, position});
  const std::uint64_t needed =
      waits_for_named ? std::max(edge, std::min(dep.length, fork->cut)) : edge;
  if (graph->length(number) < needed) {
    state.wait = Wait{number, needed, false, needed > fork->point};
    return false;
  }
  fork->names.push_back({writer, position, dep.length, dep.tree_hash});
  if (edge > 0) state.pending->edges.push_back({number, edge});
  return true;
}

namespace {

using Place = std::pair<WriterNumber, std::uint64_t>;

struct Node {
  std::vector<Place> below;  // other nodes that lie in its past
  bool by_survival = false;  // some of them only because they survive
  bool by_name = false;      // some of them only because it names them
  // Of the search for cycles.
  std::size_t found = 0;
  std::size_t low = 0;
  bool on_stack = false;
};
using Nodes = std::map<Place, Node>;

// The nodes that lie on a cycle: Tarjan's components, without recursion.
class CycleFinder {
 public:
  explicit CycleFinder(Nodes* nodes) : nodes_(nodes) {}

  std::vector<Place> Find() {
    for (auto& [place, node] : *nodes_) {
      if (node.found == 0) Walk(place);
    }
    return std::move(cyclic_);
  }

 private:
  struct Step {
    Place place;
    std::size_t next = 0;
  };

  void Enter(const Place& place) {
    Node& node = nodes_->at(place);
    node.found = node.low = ++count_;
    node.on_stack = true;
    stack_.push_back(place);
    steps_.push_back({place, 0});
  }

  void Walk(const Place& start) {
    Enter(start);
    while (!steps_.empty()) {
      const Place place = steps_.back().place;
      Node& node = nodes_->at(place);
      if (steps_.back().next < node.below.size()) {
        const auto below = nodes_->find(node.below[steps_.back().next++]);
        if (below == nodes_->end()) continue;
        if (below->second.found == 0) {
          Enter(below->first);
        } else if (below->second.on_stack) {
          node.low = std::min(node.low, below->second.found);
        }
        continue;
      }
      steps_.pop_back();
      if (!steps_.empty()) {
        Node& above = nodes_->at(steps_.back().place);
        above.low = std::min(above.low, node.low);
      }
      if (node.low == node.found) Close(place);
    }
  }

  void Close(const Place& root) {
    const auto from = std::find(stack_.begin(), stack_.end(), root);
    if (stack_.end() - from > 1) cyclic_.insert(cyclic_.end(), from, stack_.end());
    for (auto at = from; at != stack_.end(); ++at) nodes_->at(*at).on_stack = false;
    stack_.erase(from, stack_.end());
  }

  Nodes* nodes_;  // not owned
  std::size_t count_ = 0;
  std::vector<Place> stack_;
  std::vector<Step> steps_;
  std::vector<Place> cyclic_;
};

// Every block that is here and not delivered, each log as a branch.
class Undelivered {
 public:
  explicit Undelivered(Indexer::State* state)
      : state_(state), rest_(state->writers.size()) {}

  absl::Status Read() {
    for (WriterNumber n = 0; n < rest_.size(); ++n) {
      const auto& writer = state_->writers[n];
      if (!writer.pending || writer.refused) continue;
      WEFT_ASSIGN_OR_RETURN(const LogInfo info,
                            state_->logs->Info(state_->view->writers().key(n)));
      WEFT_ASSIGN_OR_RETURN(const std::uint64_t held, state_->HeldBlocks(n, info));
      const std::uint64_t length = state_->graph->length(n);
      WEFT_ASSIGN_OR_RETURN(const std::vector<Bytes> blocks,
                            state_->ReadBlocks(n, length, std::max(held, length)));
      auto& branch = rest_[n].emplace(writer.log);
      branch.tree = writer.tree;
      if (blocks.empty()) continue;
      // The log has read the pending one already.
      const auto& header = writer.pending->block.header;
      branch.tree.AppendBlock(blocks[0], [](const TreeNode&) {});
      branch.hashes.push_back(branch.tree.hash());
      branch.deps.push_back(header.envelope ? header.envelope->deps
                                            : std::vector<Dep>());
      state_->Extend(&branch, std::span(blocks).subspan(1));
    }
    return absl::OkStatus();
  }

  // Finds how much of each log is complete (C1, F3).
  void Complete() {
    for (bool grew = true; grew;) {
      grew = false;
      for (auto& branch : rest_) {
        while (branch && branch->complete < branch->deps.size() &&
               AllMet(branch->deps[branch->complete])) {
          ++branch->complete;
          grew = true;
        }
      }
    }
  }

  // What is complete, with its edges; and what it waits for because it names it.
  Nodes Graph(bool names) const {
    Nodes nodes;
    for (WriterNumber n = 0; n < rest_.size(); ++n) {
      for (std::size_t i = 0; rest_[n] && i < rest_[n]->complete; ++i) {
        const Place place{n, state_->graph->length(n) + i};
        Node& node = nodes[place];
        if (i > 0) node.below.push_back({n, place.second - 1});
        for (const Dep& dep : rest_[n]->deps[i]) AddEdge(place, dep, names, &node);
      }
    }
    return nodes;
  }

 private:
  bool AllMet(const std::vector<Dep>& deps) const {
    return std::all_of(deps.begin(), deps.end(),
                       [this](const Dep& dep) { return IsMet(dep); });
  }

  bool IsMet(const Dep& dep) const {
    const std::optional<WriterNumber> number = state_->view->writers().Find(dep.writer);
    if (!number) return false;
    const auto& branch = rest_[*number];
    const std::uint64_t delivered = state_->graph->length(*number);
    const std::uint64_t complete = delivered + (branch ? branch->complete : 0);
    const auto* fork = state_->ForkOf(dep.writer);
    if (fork != nullptr && dep.length > fork->point) return complete >= fork->point;
    if (complete < dep.length) return false;
    const TreeHash hash = dep.length <= delivered
                              ? state_->graph->TreeHashAt(*number, dep.length)
                              : branch->hashes[dep.length - delivered - 1];
    return hash == dep.tree_hash;
  }

  void AddEdge(const Place& place, const Dep& dep, bool names, Node* node) const {
    const WriterNumber number = *state_->view->writers().Find(dep.writer);
    const auto* fork = state_->ForkOf(dep.writer);
    std::uint64_t edge = dep.length;
    if (fork != nullptr && dep.length > fork->point) {
      const bool is_demoted = state_->demoted.contains(place);
      const bool survives = fork->Survives(dep) && !is_demoted;
      if (!survives) edge = fork->point;
      node->by_survival = node->by_survival || survives;
      const std::uint64_t named = std::min(dep.length, fork->cut);
      if (names && named > edge && !is_demoted && !state_->released.contains(place)) {
        edge = named;
        node->by_name = true;
      }
    }
    if (edge > state_->graph->length(number)) node->below.push_back({number, edge - 1});
  }

  Indexer::State* state_;  // not owned
  std::vector<std::optional<Indexer::State::Fork::Branch>> rest_;
};

}  // namespace

// If blocks wait for each other in a circle: lets go of it. True if there is more to
// deliver now.
absl::StatusOr<bool> Indexer::State::BreakCycles() {
  // One that waits for the branch where what comes before it is here.
  const bool any = std::any_of(writers.begin(), writers.end(), [&](const auto& writer) {
    if (!writer.wait || !writer.wait->surviving) return false;
    const WriterNumber number = writer.wait->writer;
    return graph->length(number) >= ForkOf(view->writers().key(number))->point;
  });
  if (!any) return false;
  Undelivered undelivered(this);
  WEFT_RETURN_IF_ERROR(undelivered.Read());
  undelivered.Complete();
  // What is on a cycle of edges counts to the fork point; what is on one only because
  // of names need not wait.
  std::vector<Place> free;
  Nodes nodes = undelivered.Graph(false);
  for (const Place& place : CycleFinder(&nodes).Find()) {
    if (nodes.at(place).by_survival && demoted.insert(place).second) {
      free.push_back(place);
    }
  }
  if (free.empty()) {
    nodes = undelivered.Graph(true);
    for (const Place& place : CycleFinder(&nodes).Find()) {
      if (nodes.at(place).by_name && released.insert(place).second) {
        free.push_back(place);
      }
    }
  }
  for (const Place& place : free) {
    Pending& pending = *writers[place.first].pending;
    if (pending.block.header.position != place.second) continue;
    pending.deps_met = 0;
    pending.edges.clear();
    Enqueue(place.first);
  }
  return !free.empty();
}

}  // namespace weft
