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
// all that it names, unless they would wait for each other. Blocks that would are taken
// in one after another, in an order that is the same wherever the logs are.

#include <algorithm>
#include <map>
#include <set>

#include "crdt/indexer_state.h"

namespace weft {

bool Indexer::State::MeetForkDep(WriterNumber writer, WriterNumber number,
                                 const Dep& dep, Fork* fork) {
  WriterState& state = writers[writer];
  const std::uint64_t position = state.pending->block.header.position;
  const bool is_demoted = demoted.contains({writer, position});
  const std::uint64_t edge =
      !is_demoted && fork->Survives(dep) ? dep.length : fork->point;
  const bool waits_for_named = !released.contains({writer, position});
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
  std::vector<Place> named;  // and those that it only names
  bool by_survival = false;  // some are in its past only because they survive
  Place cited{};             // holds the grant that it uses, if that is known
  // Of the search for cycles.
  std::size_t found = 0;
  std::size_t low = 0;
  bool on_stack = false;

  std::size_t count() const { return below.size() + named.size(); }
  const Place& Next(std::size_t i) const {
    return i < below.size() ? below[i] : named[i - below.size()];
  }
};
using Nodes = std::map<Place, Node>;
using Cycle = std::vector<Place>;  // nodes that lie in, or name, each other's past

// Tarjan's components of more than one node, without recursion; those that others wait
// for come first.
class CycleFinder {
 public:
  explicit CycleFinder(Nodes* nodes) : nodes_(nodes) {}

  std::vector<Cycle> Find() {
    for (auto& [place, node] : *nodes_) {
      if (node.found == 0) Walk(place);
    }
    return std::move(cycles_);
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
      if (steps_.back().next < node.count()) {
        const auto below = nodes_->find(node.Next(steps_.back().next++));
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
    const auto found = std::find(stack_.rbegin(), stack_.rend(), root);
    const auto from = std::prev(found.base());
    if (stack_.end() - from > 1) cycles_.emplace_back(from, stack_.end());
    for (auto at = from; at != stack_.end(); ++at) nodes_->at(*at).on_stack = false;
    stack_.erase(from, stack_.end());
  }

  Nodes* nodes_;  // not owned
  std::size_t count_ = 0;
  std::vector<Place> stack_;
  std::vector<Step> steps_;
  std::vector<Cycle> cycles_;
};

// The nodes of a cycle, each behind what lies in its past, as there is no cycle of
// pasts alone. Of those that could come next one whose grant is here, if there is one;
// else, and among these, by the keys of their logs.
Cycle InOrder(const Cycle& cycle, const Nodes& nodes, const WriterTable& writers) {
  std::map<Place, std::size_t> missing;
  for (const Place& place : cycle) missing.emplace(place, 0);
  std::map<Place, std::vector<Place>> above;
  std::map<Place, std::vector<Place>> users;  // that are ready but for their grant
  using Key = std::pair<CoreKey, std::uint64_t>;
  std::map<Key, Place> judgeable;
  std::map<Key, Place> blind;
  std::set<Place> done;
  const auto key_of = [&](const Place& place) {
    return Key(writers.key(place.first), place.second);
  };
  const auto make_ready = [&](const Place& place) {
    const Place& cited = nodes.at(place).cited;
    if (!missing.contains(cited) || done.contains(cited)) {
      judgeable.emplace(key_of(place), place);
    } else {
      blind.emplace(key_of(place), place);
      users[cited].push_back(place);
    }
  };
  for (auto& [place, count] : missing) {
    for (const Place& below : nodes.at(place).below) {
      if (!missing.contains(below)) continue;
      above[below].push_back(place);
      ++count;
    }
  }
  for (const auto& [place, count] : missing) {
    if (count == 0) make_ready(place);
  }
  Cycle ordered;
  while (!judgeable.empty() || !blind.empty()) {
    auto& ready = judgeable.empty() ? blind : judgeable;
    const Place place = ready.begin()->second;
    ready.erase(ready.begin());
    ordered.push_back(place);
    done.insert(place);
    for (const Place& next : above[place]) {
      if (--missing.at(next) == 0) make_ready(next);
    }
    for (const Place& user : users[place]) {
      if (blind.erase(key_of(user)) > 0) judgeable.emplace(key_of(user), user);
    }
  }
  return ordered;
}

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
      branch.Add(header);
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

  // What is complete, with what lies in its past; and what it only names.
  Nodes Graph(bool names) const {
    Nodes nodes;
    for (WriterNumber n = 0; n < rest_.size(); ++n) {
      for (std::size_t i = 0; rest_[n] && i < rest_[n]->complete; ++i) {
        const Place place{n, state_->graph->length(n) + i};
        Node& node = nodes[place];
        if (i > 0) node.below.push_back({n, place.second - 1});
        for (const Dep& dep : rest_[n]->deps[i]) AddEdge(place, dep, names, &node);
        const Dot& cited = rest_[n]->cited[i];
        if (const auto holder = state_->view->writers().Find(cited.writer)) {
          node.cited = {*holder, cited.position};
        }
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
    const std::uint64_t delivered = state_->graph->length(number);
    const auto* fork = state_->ForkOf(dep.writer);
    std::uint64_t edge = dep.length;
    if (fork != nullptr && dep.length > fork->point) {
      const bool survives = fork->Survives(dep) && !state_->demoted.contains(place);
      if (!survives) edge = fork->point;
      node->by_survival = node->by_survival || survives;
      const std::uint64_t named = std::min(dep.length, fork->cut);
      const bool waits = names && !state_->released.contains(place);
      if (waits && named > std::max(edge, delivered)) {
        node->named.push_back({number, named - 1});
      }
    }
    if (edge > delivered) node->below.push_back({number, edge - 1});
  }

  Indexer::State* state_;  // not owned
  std::vector<std::optional<Indexer::State::Fork::Branch>> rest_;
};

}  // namespace

// If blocks wait for each other in a circle: lets go of it. True if there is more to
// deliver now, or more was delivered.
absl::StatusOr<bool> Indexer::State::BreakCycles(IndexResult* result) {
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
  Nodes nodes = undelivered.Graph(false);
  bool let_go = false;
  for (const Cycle& cycle : CycleFinder(&nodes).Find()) {
    for (const Place& place : cycle) {
      if (!nodes.at(place).by_survival || !demoted.insert(place).second) continue;
      let_go = true;
      Pending& pending = *writers[place.first].pending;
      if (pending.block.header.position != place.second) continue;
      pending.deps_met = 0;
      pending.edges.clear();
      Enqueue(place.first);
    }
  }
  if (let_go) return true;
  // One at a time, and then whatever that brings: or chance would decide which of two
  // is judged knowing the other.
  nodes = undelivered.Graph(true);
  for (const Cycle& cycle : CycleFinder(&nodes).Find()) {
    for (const Place& place : InOrder(cycle, nodes, view->writers())) {
      if (graph->length(place.first) != place.second) continue;
      if (!released.insert(place).second) continue;
      let_go = true;
      Enqueue(place.first);
      WEFT_RETURN_IF_ERROR(DeliverReady(result));
    }
  }
  return let_go;
}

}  // namespace weft
