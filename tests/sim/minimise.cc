#include "tests/sim/minimise.h"

#include <algorithm>
#include <numeric>

namespace weft::sim {
namespace {

class Minimiser {
 public:
  Minimiser(const RunOrder& order, std::size_t runs_max) : runs_max_(runs_max) {
    best_.order = order;
    // By the seed's own kind, so that it need not be derived again.
    best_.result = Simulate(order);
    best_.runs = 1;
    if (!best_.result.problems.empty()) {
      kind_ = ProblemKind(best_.result.problems.front());
    }
  }

  Minimised Run() {
    if (kind_.empty()) return std::move(best_);
    FewerPeers();
    FewerWrites();
    NoFaults();
    FewerSteps();
    FewerPeers();
    NoFaults();
    return std::move(best_);
  }

 private:
  // Keeps the order if it fails in the same way.
  bool Try(const RunOrder& order) {
    if (best_.runs >= runs_max_) return false;
    ++best_.runs;
    RunResult result = Simulate(order);
    const bool is_same =
        !result.problems.empty() && ProblemKind(result.problems.front()) == kind_;
    if (!is_same) return false;
    best_.order = order;
    best_.result = std::move(result);
    return true;
  }

  void FewerPeers() {
    const std::size_t now = OptionsOf(best_.order).world.peers;
    for (std::size_t peers = 2; peers < now; ++peers) {
      RunOrder order = best_.order;
      order.peers = peers;
      if (Try(order)) return;
    }
  }

  void FewerWrites() {
    for (;;) {
      RunOrder order = best_.order;
      order.writes = OptionsOf(order).workload.writes / 2;
      if (order.writes == 0 || !Try(order)) return;
    }
  }

  void NoFaults() {
    for (const std::string& name : FaultNames()) {
      if (!HasFault(OptionsOf(best_.order), name)) continue;
      RunOrder order = best_.order;
      order.without.push_back(name);
      Try(order);
    }
  }

  // Leaves out runs of steps, long ones first, until no single one can be left out.
  void FewerSteps() {
    RunOrder order = best_.order;
    if (!order.steps) {
      order.steps.emplace(best_.result.steps);
      std::iota(order.steps->begin(), order.steps->end(), 0);
      order.writes = 0;  // of no meaning beside the steps
      if (!Try(order)) return;
    }
    for (std::size_t size = std::max<std::size_t>(1, best_.order.steps->size() / 2);;) {
      const bool found = LeaveOut(size);
      if (size == 1 && !found) return;
      if (best_.runs >= runs_max_) return;
      size = std::max<std::size_t>(1, size / 2);
    }
  }

  bool LeaveOut(std::size_t size) {
    bool found = false;
    for (std::size_t end = best_.order.steps->size(); end > 0;) {
      const std::size_t first = end - std::min(end, size);
      RunOrder order = best_.order;
      order.steps->erase(order.steps->begin() + static_cast<std::ptrdiff_t>(first),
                         order.steps->begin() + static_cast<std::ptrdiff_t>(end));
      if (Try(order)) found = true;
      end = first;
    }
    return found;
  }

  std::size_t runs_max_;
  Minimised best_;
  std::string kind_;
};

}  // namespace

Minimised Minimise(const RunOrder& order, std::size_t runs_max) {
  return Minimiser(order, runs_max).Run();
}

std::string ProblemKind(const std::string& problem) {
  constexpr std::size_t kWordsMost = 5;
  std::string kind;
  std::size_t words = 0;
  for (std::size_t at = 0; at < problem.size() && words < kWordsMost;) {
    const std::size_t end = std::min(problem.find(' ', at), problem.size());
    const std::string word = problem.substr(at, end - at);
    at = end + 1;
    // A rule has a colon behind its number; names of peers, ids and lengths differ.
    const bool is_rule = word.size() <= 4 && word.back() == ':' && word[0] < 'a';
    const bool is_plain = std::none_of(word.begin(), word.end(), [](char letter) {
      return letter >= '0' && letter <= '9';
    });
    if (is_rule) return word;
    if (!is_plain || IsPeerName(word)) continue;
    kind += (words == 0 ? "" : " ") + word;
    ++words;
  }
  return kind;
}

}  // namespace weft::sim
