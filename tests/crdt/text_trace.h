// A real editing history, and the logs of two writers who write it anew with its true
// concurrency (tests/data/SOURCES.md).

#pragma once

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/crdt/replica.h"

namespace weft {

struct TextTrace {
  struct Patch {
    std::uint64_t position = 0;  // code points
    std::uint64_t removed = 0;
    std::string inserted;
  };
  struct Txn {
    std::size_t agent = 0;
    std::vector<Patch> patches;
    // Of each agent, so many of his txns lie in the past of this one.
    std::size_t seen[2] = {0, 0};
  };

  std::vector<Txn> txns;
  std::string end_content;
};

// `path`: a .json.gz of the concurrent traces of josephg/editing-traces, two agents.
inline TextTrace LoadTextTrace(const std::string& path) {
  std::FILE* const pipe = popen(("gzip -dc '" + path + "'").c_str(), "r");
  WEFT_CHECK(pipe != nullptr);
  std::string bytes;
  char buffer[65536];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    bytes.append(buffer, n);
  }
  WEFT_CHECK(pclose(pipe) == 0);
  const nlohmann::json json = nlohmann::json::parse(bytes);
  TextTrace trace;
  trace.end_content = json["endContent"].get<std::string>();
  std::size_t done[2] = {0, 0};
  std::vector<std::array<std::size_t, 2>> after;
  for (const auto& from : json["txns"]) {
    TextTrace::Txn txn;
    txn.agent = from["agent"].get<std::size_t>();
    for (const auto& parent : from["parents"]) {
      for (std::size_t i = 0; i < 2; ++i) {
        txn.seen[i] = std::max(txn.seen[i], after[parent.get<std::size_t>()][i]);
      }
    }
    WEFT_CHECK(txn.seen[txn.agent] == done[txn.agent]);
    for (const auto& patch : from["patches"]) {
      txn.patches.push_back({patch[0].get<std::uint64_t>(),
                             patch[1].get<std::uint64_t>(),
                             patch[2].get<std::string>()});
    }
    after.push_back({txn.seen[0], txn.seen[1]});
    after.back()[txn.agent] = ++done[txn.agent];
    trace.txns.push_back(std::move(txn));
  }
  return trace;
}

// The patches of one txn as mutations that borrow from it.
inline void AddMutations(const TextTrace::Txn& txn, std::string_view key,
                         std::vector<Mutation>* mutations) {
  for (const TextTrace::Patch& patch : txn.patches) {
    Mutation mutation;
    mutation.key = key;
    mutation.index = patch.position;
    if (patch.removed > 0) {
      mutation.kind = Mutation::Kind::kCutText;
      mutation.count = patch.removed;
      mutations->push_back(mutation);
    }
    if (patch.inserted.empty()) continue;
    mutation.kind = Mutation::Kind::kInsertText;
    mutation.value = {ValueType::kText, AsBytes(patch.inserted)};
    mutations->push_back(mutation);
  }
}

// Both people type their txns into `key`, in commits of up to `batch` of them; each has
// seen of the other what the trace says. The two have met at the end.
inline void TypeTrace(const TextTrace& trace, std::string_view key, std::size_t batch,
                      Replica& ada, Replica& bob) {
  Replica* const who[2] = {&ada, &bob};
  // By agent: the length of his log after so many of his txns.
  std::vector<std::uint64_t> lengths[2];
  for (std::size_t i = 0; i < 2; ++i) {
    lengths[i].push_back(who[i]->logs().logs[who[i]->self()].size());
  }
  std::vector<Mutation> open[2];
  std::size_t open_txns[2] = {0, 0};
  std::size_t fetched[2] = {0, 0};
  // What the other has seen of an agent ends with a whole commit.
  std::set<std::size_t> cuts[2];
  for (const TextTrace::Txn& txn : trace.txns) {
    cuts[1 - txn.agent].insert(txn.seen[1 - txn.agent]);
  }
  std::size_t typed[2] = {0, 0};
  const auto commit = [&](std::size_t agent) {
    if (open_txns[agent] == 0) return;
    WEFT_CHECK(who[agent]->Commit(open[agent]).ok());
    const std::uint64_t length = who[agent]->logs().logs[who[agent]->self()].size();
    for (; open_txns[agent] > 0; --open_txns[agent]) lengths[agent].push_back(length);
    open[agent].clear();
  };
  for (const TextTrace::Txn& txn : trace.txns) {
    const std::size_t agent = txn.agent;
    const std::size_t other = 1 - agent;
    if (txn.seen[other] > fetched[agent]) {
      commit(agent);
      commit(other);
      fetched[agent] = txn.seen[other];
      who[agent]->Fetch(*who[other], who[other]->self(),
                        lengths[other][fetched[agent]]);
    }
    AddMutations(txn, key, &open[agent]);
    ++open_txns[agent];
    if (cuts[agent].contains(++typed[agent]) || open_txns[agent] == batch) {
      commit(agent);
    }
  }
  commit(0);
  commit(1);
  ada.FetchAll(bob);
  bob.FetchAll(ada);
}

}  // namespace weft
