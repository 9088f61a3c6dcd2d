// The view of a set of logs, straight from the rules: whole pasts as sets, every pair
// of ops compared, nothing incremental. Shares with the engine the block parser and the
// judge of one batch, and nothing of the graph, the lanes or the view.

#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "crdt/authority.h"
#include "crdt/batch.h"
#include "crdt/fate.h"
#include "engine/merkle_tree.h"

namespace weft {

class ViewModel {
 public:
  using Logs = std::map<CoreKey, std::vector<Bytes>>;
  // What a reader sees at a key: ("" or column) -> values, the winner first.
  using Seen = std::map<std::string, std::vector<std::string>>;

  ViewModel(const Genesis& genesis, const Logs& logs)
      : genesis_(genesis),
        authority_(genesis, [](const CoreKey&, std::uint64_t, const CoreKey&) {
          return std::uint64_t{0};
        }) {
    for (const auto& [key, blocks] : logs) {
      Log& log = logs_.try_emplace(key, key).first->second;
      MerkleTree tree;
      for (const Bytes& block : blocks) {
        tree.AppendBlock(block, [](const TreeNode&) {});
        log.hashes.push_back(tree.hash());
        log.blocks.push_back(DecodeBlock(log.state, block, genesis.limits));
      }
    }
    while (DeliverOne()) {
    }
    // Each op after its past: somebody may have seen half of a batch that was whole
    // only after he wrote.
    std::sort(ops_.begin(), ops_.end(), [](const Op& a, const Op& b) {
      const std::size_t past = a.past->size();
      const std::size_t other_past = b.past->size();
      return std::tie(past, a.id) < std::tie(other_past, b.id);
    });
  }

  // Keys that are readable, with what is seen there.
  std::map<std::string, Seen> Read() const {
    std::map<std::string, std::vector<const Op*>> by_key;
    for (const Op& op : ops_) by_key[std::string(AsText(op.op->key))].push_back(&op);
    std::map<std::string, Seen> view;
    for (const auto& [key, ops] : by_key) {
      Seen seen;
      ReadRegister(ops, &seen);
      ReadRecord(ops, &seen);
      ReadTyped(ops, &seen);
      ReadSequence(ops, Lane::kText, "text", &seen);
      ReadSequence(ops, Lane::kList, "list", &seen);
      if (!seen.empty()) view[key] = std::move(seen);
    }
    return view;
  }

  // What became of an op, as far as the definition says it without the lanes; kWinner
  // stands for "effective".
  OpFateKind BlockFate(const OpId& id) const {
    const auto found = logs_.find(id.writer);
    if (found == logs_.end() || id.position >= found->second.blocks.size()) {
      return OpFateKind::kUnknown;
    }
    if (id.position >= found->second.delivered) return OpFateKind::kWaiting;
    const auto fate = found->second.fates.find(id.position);
    return fate == found->second.fates.end() ? OpFateKind::kWaiting : fate->second;
  }

  // The fate of an effective put, and who overruled it first; nothing for other ops.
  std::optional<std::pair<OpFateKind, std::set<OpId>>> PutFate(const OpId& id) const {
    const auto self = std::find_if(ops_.begin(), ops_.end(),
                                   [&](const Op& op) { return op.id == id; });
    if (self == ops_.end() || self->op->type != OpType::kPut) return std::nullopt;
    std::vector<const Op*> later;
    bool wins = true;
    for (const Op& op : ops_) {
      if (!Equal(op.op->key, self->op->key) || !SpeaksTo(op, Lane::kRegister)) continue;
      if (Saw(op, *self)) later.push_back(&op);
    }
    if (later.empty()) {
      for (const Op& op : ops_) {
        if (!Equal(op.op->key, self->op->key) || op.op->type != OpType::kPut) continue;
        const bool live = std::none_of(ops_.begin(), ops_.end(), [&](const Op& other) {
          return Equal(other.op->key, op.op->key) && SpeaksTo(other, Lane::kRegister) &&
                 Saw(other, op);
        });
        wins = wins && !(live && Wins(op, *self));
      }
      return {{wins ? OpFateKind::kWinner : OpFateKind::kConflict, {}}};
    }
    std::set<OpId> by;
    bool removed = true;
    for (const Op* op : later) {
      if (std::any_of(later.begin(), later.end(),
                      [&](const Op* other) { return Saw(*op, *other); })) {
        continue;
      }
      by.insert(op->id);
      removed = removed && op->op->type == OpType::kDel;
    }
    return {{removed ? OpFateKind::kRemoved : OpFateKind::kSuperseded, by}};
  }

  std::uint64_t delivered(const CoreKey& key) const {
    const auto found = logs_.find(key);
    return found == logs_.end() ? 0 : found->second.delivered;
  }

 private:
  using BlockId = std::pair<CoreKey, std::uint64_t>;
  struct Log {
    explicit Log(const CoreKey& key) : state(key) {}
    LogState state;
    std::vector<DecodedBlock> blocks;
    std::vector<TreeHash> hashes;
    std::vector<std::set<BlockId>> pasts;
    std::uint64_t delivered = 0;
    std::map<std::uint64_t, OpFateKind> fates;  // of closed batches, by position
    std::uint64_t batch_start = 0;
    bool batch_open = false;

    void Close(std::uint64_t end, OpFateKind fate) {
      for (; batch_open && batch_start < end; ++batch_start) fates[batch_start] = fate;
      batch_open = false;
    }
  };
  struct Op {
    const Operation* op;
    OpId id;
    Hlc hlc;
    const std::set<BlockId>* past;
  };

  bool DeliverOne() {
    for (auto& [key, log] : logs_) {
      if (log.delivered == log.blocks.size()) continue;
      std::set<BlockId> past;
      if (!Past(key, log, &past)) continue;
      log.pasts.push_back(std::move(past));
      const std::uint64_t position = log.delivered++;
      Place(key, log, position);
      return true;
    }
    return false;
  }

  bool Past(const CoreKey& key, const Log& log, std::set<BlockId>* past) const {
    const std::uint64_t position = log.delivered;
    if (position > 0) {
      *past = log.pasts[position - 1];
      past->insert({key, position - 1});
    }
    if (!log.blocks[position].header.envelope) return true;
    for (const Dep& dep : log.blocks[position].header.envelope->deps) {
      const auto found = logs_.find(dep.writer);
      if (found == logs_.end() || found->second.delivered < dep.length ||
          found->second.hashes[dep.length - 1] != dep.tree_hash) {
        return false;
      }
      past->insert(found->second.pasts[dep.length - 1].begin(),
                   found->second.pasts[dep.length - 1].end());
      past->insert({dep.writer, dep.length - 1});
    }
    return true;
  }

  void Place(const CoreKey& key, Log& log, std::uint64_t position) {
    const BlockHeader& header = log.blocks[position].header;
    if (header.state == BlockState::kParked) {
      log.Close(position, OpFateKind::kParked);
      log.fates[position] = OpFateKind::kParked;
      return;
    }
    if (header.breaks_open_batch) log.Close(position, OpFateKind::kInvalid);
    if (!header.in_batch) {
      log.fates[position] = OpFateKind::kInvalid;
      return;
    }
    if (!log.batch_open) log.batch_start = position;
    log.batch_open = true;
    if (!header.ends_batch) return;
    const std::span<const DecodedBlock> batch =
        std::span(log.blocks).subspan(log.batch_start, position + 1 - log.batch_start);
    // Without revocations a sound batch has effect at once and for ever.
    const Envelope& envelope = *batch.front().header.envelope;
    const Verdict verdict = authority_.Check(
        key, batch, authority_.Cited(envelope.cite, envelope.cite_named));
    const bool effective =
        verdict.kind == Verdict::Kind::kSound &&
        authority_.StandingOf(verdict.cited, key, log.batch_start, position + 1,
                              true) == Standing::kEffective;
    log.Close(position + 1, effective ? OpFateKind::kWinner
                            : verdict.kind == Verdict::Kind::kInvalid
                                ? OpFateKind::kInvalid
                                : OpFateKind::kNotAllowed);
    if (!effective) return;
    if (!batch.front().payload.auth_operations.empty()) {
      authority_.Add(key, batch, verdict.cited);
      AuthorityChange change;
      authority_.Evaluate(&change);
    }
    for (const DecodedBlock& block : batch) {
      for (std::size_t i = 0; i < block.payload.operations.size(); ++i) {
        past_sets_.push_back(
            std::make_unique<std::set<BlockId>>(log.pasts[block.header.position]));
        ops_.push_back({&block.payload.operations[i],
                        {key, block.header.position, static_cast<std::uint32_t>(i)},
                        block.header.envelope->hlc,
                        past_sets_.back().get()});
      }
    }
  }

  static bool Saw(const Op& later, const Op& earlier) {
    if (later.id.dot() == earlier.id.dot())
      return earlier.id.op_index < later.id.op_index;
    return later.past->contains({earlier.id.writer, earlier.id.position});
  }
  static bool SpeaksTo(const Op& op, Lane lane) {
    return op.op->type == OpType::kDel ? (op.op->lanes & MaskOf(lane)) != 0
                                       : op.op->lane == lane;
  }
  static bool Wins(const Op& a, const Op& b) {
    return std::tie(a.hlc, a.id) > std::tie(b.hlc, b.id);
  }
  static std::string TextOf(ValueView value) {
    return std::string(AsText(value.bytes));
  }

  static void ReadRegister(const std::vector<const Op*>& ops, Seen* seen) {
    std::vector<const Op*> live;
    for (const Op* op : ops) {
      if (op->op->type != OpType::kPut) continue;
      bool overruled = false;
      for (const Op* other : ops) {
        overruled |= SpeaksTo(*other, Lane::kRegister) && Saw(*other, *op);
      }
      if (!overruled) live.push_back(op);
    }
    std::sort(live.begin(), live.end(),
              [](const Op* a, const Op* b) { return Wins(*a, *b); });
    for (const Op* op : live) (*seen)["value"].push_back(TextOf(op->op->value));
  }

  static bool CountsAsPast(const Op& del, const Op& op) {
    return Saw(del, op) || ((del.op->flags & kDeleteWins) != 0 && !Saw(op, del));
  }

  using Ops = std::vector<const Op*>;
  static Ops PresenceOf(const Ops& records, const Ops& deletes) {
    Ops presence;
    for (const Op* op : records) {
      bool gone = false;
      for (const Op* other : records) gone |= Saw(*other, *op);
      for (const Op* del : deletes) gone |= CountsAsPast(*del, *op);
      if (!gone) presence.push_back(op);
    }
    return presence;
  }
  static Ops SeenBy(const Op& by, const Ops& ops) {
    Ops seen;
    for (const Op* op : ops) {
      if (Saw(by, *op)) seen.push_back(op);
    }
    return seen;
  }
  // A delete stands between, and the row that `by` has seen did not show the write.
  static bool IsBuried(const Op* write, const Op* by, const Ops& records,
                       const Ops& deletes,
                       std::map<std::pair<const Op*, const Op*>, bool>* known) {
    const Ops taken = SeenBy(*by, deletes);
    bool between = false;
    for (const Op* del : taken) between |= CountsAsPast(*del, *write);
    if (write == by || !between) return false;
    const auto found = known->find({write, by});
    if (found != known->end()) return found->second;
    bool buried = true;
    for (const Op* present : PresenceOf(SeenBy(*by, records), taken)) {
      buried &= IsBuried(write, present, records, deletes, known);
    }
    known->emplace(std::pair(write, by), buried);
    return buried;
  }

  // Rule D11, sentence by sentence.
  static void ReadRecord(const std::vector<const Op*>& all, Seen* seen) {
    std::vector<const Op*> records;
    std::vector<const Op*> deletes;
    for (const Op* op : all) {
      if (op->op->type == OpType::kRecord) records.push_back(op);
      if (op->op->type == OpType::kDel && SpeaksTo(*op, Lane::kRecord)) {
        deletes.push_back(op);
      }
    }
    const std::vector<const Op*> presence = PresenceOf(records, deletes);
    if (presence.empty()) return;
    (*seen)["present"].push_back(std::to_string(presence.size()));
    struct Write {
      const Op* op;
      const CellWrite* cell;
    };
    std::map<std::string, std::vector<Write>> columns;
    std::map<std::pair<const Op*, const Op*>, bool> known;
    const auto is_buried = [&](const Op* op) {
      for (const Op* present : presence) {
        if (!IsBuried(op, present, records, deletes, &known)) return false;
      }
      return true;
    };
    std::map<std::string, std::vector<TypedWrite>> typed;
    for (const Op* op : records) {
      for (const CellWrite& cell : op->op->cells) {
        const std::string column = "." + std::string(AsText(cell.column));
        if (cell.lane == Lane::kRegister) {
          columns[column].push_back({op, &cell});
        } else {
          typed[column].push_back({op, cell.lane, cell.verb, cell.flags, cell.number,
                                   TextOf(cell.value), !is_buried(op)});
        }
      }
    }
    for (const auto& [column, writes] : typed) ReadLanes(writes, column, seen);
    for (auto& [column, writes] : columns) {
      std::sort(writes.begin(), writes.end(),
                [](const Write& a, const Write& b) { return Wins(*a.op, *b.op); });
      for (const Write& write : writes) {
        bool overwritten = write.cell->verb != OpType::kPut;
        for (const Write& other : writes) overwritten |= Saw(*other.op, *write.op);
        if (overwritten || is_buried(write.op)) continue;
        (*seen)[column].push_back(TextOf(write.cell->value));
      }
    }
  }

  // One write to one of the lanes 3 to 7, of a key or of a cell. A del of the key, and
  // an unset of a cell, are writes of type kDel.
  struct TypedWrite {
    const Op* op;
    Lane lane;
    OpType type;
    std::uint8_t flags;
    std::int64_t number;
    std::string value;
    bool shows;  // it is not buried
  };

  // D3, D4, D5: every pair of writes compared.
  static void ReadLane(Lane lane, const std::vector<TypedWrite>& all,
                       const std::string& name, Seen* seen) {
    std::vector<const TypedWrite*> live;
    for (const TypedWrite& write : all) {
      if (write.lane != lane || write.type == OpType::kDel || !write.shows ||
          write.type == OpType::kReset || write.type == OpType::kRemove) {
        continue;
      }
      bool gone = false;
      for (const TypedWrite& other : all) {
        if (other.lane != lane || !Saw(*other.op, *write.op)) continue;
        gone |= other.type == OpType::kDel || other.type == OpType::kReset ||
                (other.type == OpType::kRemove && other.value == write.value) ||
                other.type == OpType::kFlag;
      }
      if (!gone) live.push_back(&write);
    }
    if (live.empty()) return;
    std::vector<std::string>& out = (*seen)[name];
    if (lane == Lane::kSet) {
      std::set<std::string> elements;
      for (const TypedWrite* write : live) elements.insert(write->value);
      out.assign(elements.begin(), elements.end());
      return;
    }
    std::int64_t sum = 0;
    std::int64_t most = live[0]->number;
    bool on = false;
    bool off_wins = false;
    for (const TypedWrite* write : live) {
      sum += write->number;
      most = lane == Lane::kMax ? std::max(most, write->number)
                                : std::min(most, write->number);
      on |= (write->flags & kFlagOn) != 0;
      off_wins |= (write->flags & kFlagOffWins) != 0;
    }
    out.push_back(lane == Lane::kCounter ? std::to_string(sum)
                  : lane == Lane::kFlag  ? (on && !off_wins ? "on" : "off")
                                         : std::to_string(most));
  }

  static void ReadLanes(const std::vector<TypedWrite>& writes, const std::string& name,
                        Seen* seen) {
    for (int lane = 3; lane <= 7; ++lane) {
      ReadLane(static_cast<Lane>(lane), writes, name + "#" + std::to_string(lane),
               seen);
    }
  }

  // D6: the tree of FugueMax, element by element, read anew after each insert.
  struct Node {
    const Op* op;
    std::uint64_t offset;
    std::string content;
    int parent;  // kRoot, kTail or a node
    bool left;
    int right;  // origin of a right child: kTail or a node
    bool dead = false;
  };
  static constexpr int kRoot = -1;
  static constexpr int kTail = -2;

  static std::vector<int> OrderOf(const std::vector<Node>& nodes,
                                  const std::vector<int>& before) {
    const auto place = [&](int node) {
      return node == kTail ? before.end()
                           : std::find(before.begin(), before.end(), node);
    };
    std::vector<int> order;
    const std::function<void(int, bool)> side = [&](int parent, bool left) {
      std::vector<int> children;
      for (int i = 0; i < static_cast<int>(nodes.size()); ++i) {
        if (nodes[i].parent == parent && nodes[i].left == left) children.push_back(i);
      }
      std::sort(children.begin(), children.end(), [&](int a, int b) {
        if (!left && nodes[a].right != nodes[b].right) {
          return place(nodes[a].right) > place(nodes[b].right);
        }
        return Wins(*nodes[b].op, *nodes[a].op);
      });
      for (const int child : children) {
        side(child, true);
        order.push_back(child);
        side(child, false);
      }
    };
    side(kRoot, false);
    side(kTail, true);
    return order;
  }

  static OpId IdOf(const ElementRef& ref, const Op& op) {
    if (ref.place == ElementRef::Place::kThisBlock) {
      return {op.id.writer, op.id.position, ref.op_index};
    }
    if (ref.place == ElementRef::Place::kThisLog) {
      return {op.id.writer, ref.position, ref.op_index};
    }
    return {*CoreKey::From(ref.writer), ref.position, ref.op_index};
  }

  static void ShowSequence(const std::vector<Node>& nodes,
                           const std::vector<int>& order, Lane lane,
                           const std::string& name, Seen* seen) {
    std::vector<std::string> live;
    for (const int node : order) {
      if (!nodes[node].dead) live.push_back(nodes[node].content);
    }
    if (live.empty()) return;
    if (lane == Lane::kList) {
      (*seen)[name] = live;
    } else {
      std::string text;
      for (const std::string& element : live) text += element;
      (*seen)[name] = {text};
    }
  }

  static void ReadSequence(const std::vector<const Op*>& all, Lane lane,
                           const std::string& name, Seen* seen) {
    std::vector<Node> nodes;
    std::vector<int> order;
    const auto find = [&](const ElementRef& ref, const Op& op, int edge) {
      constexpr int kDead = -3;
      if (ref.is_edge()) return edge;
      for (int i = 0; i < static_cast<int>(nodes.size()); ++i) {
        if (nodes[i].op->id == IdOf(ref, op) && nodes[i].offset == ref.offset) {
          return Saw(op, *nodes[i].op) ? i : kDead;
        }
      }
      return kDead;
    };
    for (const Op* op : all) {
      if (op->op->type == OpType::kDel && SpeaksTo(*op, lane)) {
        for (Node& node : nodes) node.dead |= Saw(*op, *node.op);
      }
      if (op->op->lane != lane) continue;
      if (op->op->type == OpType::kCut) {
        for (const ElementRange& range : op->op->edit->ranges) {
          ElementRef ref = range.first;
          for (std::uint64_t i = 0; i < range.count; ++i, ++ref.offset) {
            const int node = find(ref, *op, -3);
            if (node >= 0) nodes[node].dead = true;
          }
        }
        continue;
      }
      const int left = find(op->op->edit->left, *op, kRoot);
      Node first{op, 0, {}, kTail, true, kTail};
      if (left >= kRoot) {
        auto at = left == kRoot ? order.begin()
                                : std::find(order.begin(), order.end(), left) + 1;
        while (at != order.end() && !Saw(*op, *nodes[*at].op)) ++at;
        const int next = at == order.end() ? kTail : *at;
        first.left = false;
        for (const Node& node : nodes) {
          first.left |= node.parent == left && !node.left && Saw(*op, *node.op);
        }
        first.parent = first.left ? next : left;
        first.right = next;
      } else if (const int right = find(op->op->edit->right, *op, kTail); right >= 0) {
        first.parent = right;
      }
      const std::string bytes = TextOf(op->op->value);
      std::size_t elements = 0;
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        const bool starts = lane == Lane::kList ? i == 0 : (bytes[i] & 0xc0) != 0x80;
        if (!starts) {
          nodes.back().content += bytes[i];
          continue;
        }
        Node node = first;
        node.offset = elements++;
        node.content = bytes[i];
        if (node.offset > 0) {
          node.left = false;
          node.parent = static_cast<int>(nodes.size()) - 1;
          if (first.left) node.right = first.parent;
        }
        nodes.push_back(node);
      }
      order = OrderOf(nodes, order);
    }
    ShowSequence(nodes, order, lane, name, seen);
  }

  static void ReadTyped(const std::vector<const Op*>& all, Seen* seen) {
    std::vector<TypedWrite> writes;
    for (const Op* op : all) {
      for (int lane = 3; lane <= 7; ++lane) {
        if (!SpeaksTo(*op, static_cast<Lane>(lane))) continue;
        writes.push_back({op, static_cast<Lane>(lane), op->op->type, op->op->flags,
                          op->op->number, TextOf(op->op->value), true});
      }
    }
    ReadLanes(writes, "", seen);
  }

  Genesis genesis_;
  Authority authority_;
  std::map<CoreKey, Log> logs_;
  std::vector<Op> ops_;
  std::vector<std::unique_ptr<std::set<BlockId>>> past_sets_;
};

}  // namespace weft
