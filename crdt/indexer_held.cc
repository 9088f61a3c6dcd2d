// What is here and has no effect, or is hidden, and whose doing that is.

#include <algorithm>

#include "crdt/fate.h"
#include "crdt/indexer_state.h"

namespace weft {
namespace {

// Makes the list for the logs in turn, each from its start; what goes on is one entry.
class HeldBackFinder {
 public:
  HeldBackFinder(Indexer::State* state, std::size_t max) : state_(state), max_(max) {
    hides_ = JoinRanges(state_->authority->HideRanges());
  }

  std::vector<HeldBack> Find() {
    for (WriterNumber n = 0; n < state_->writers.size(); ++n) {
      log_ = state_->view->writers().key(n);
      hide_ = std::lower_bound(hides_.begin(), hides_.end(), log_,
                               [](const TouchedRange& range, const CoreKey& log) {
                                 return range.log < log;
                               });
      LookAt(n);
      if (list_.size() <= max_) AddDead();
      if (list_.size() > max_) break;
    }
    state_->logs->Rest();
    list_.resize(std::min(list_.size(), max_));
    return std::move(list_);
  }

 private:
  void LookAt(WriterNumber n) {
    // What is beyond the cut is shown too, as far as it is here.
    const std::uint64_t end = state_->writers[n].closed;
    for (std::uint64_t position = 0; position < end && list_.size() <= max_;) {
      const BlockRecord record = state_->graph->RecordOf(n, position);
      if (record.status != BlockStatus::kSound || record.batch_count == 0) {
        ++position;
      } else if (record.effective) {
        AddHidden(position, record);
        ++position;
      } else {
        AddBatch(n, position, record);
        position += record.batch_count;
      }
    }
  }

  void AddBatch(WriterNumber n, std::uint64_t first, const BlockRecord& record) {
    HeldBack held;
    held.log = log_;
    held.from = first;
    held.to = first + record.batch_count;
    held.standing = state_->authority->StandingOf(record.cited, log_, held.from,
                                                  held.to, record.batch_writes);
    const Authority::Blame blame = state_->authority->WhyNot(
        record.cited, log_, held.from, held.to, record.batch_writes);
    held.reason = blame.reason;
    held.by = blame.by;
    for (std::uint64_t position = held.from; position < held.to; ++position) {
      held.ops += state_->graph->RecordOf(n, position).op_count;
    }
    Add(std::move(held));
  }

  // What of a forked log is held and survives nowhere is one entry.
  void AddDead() {
    const Indexer::State::Fork* const fork = state_->ForkOf(log_);
    if (fork == nullptr) return;
    const auto info = state_->logs->Info(log_);
    if (!info.ok() || info->fork != 0) return;
    HeldBack held;
    held.log = log_;
    held.from = fork->dead_from();
    held.to = info->length;
    if (held.from >= held.to) return;
    held.standing = Standing::kAfterFork;
    held.reason = AfterFork(fork->point).reason;
    const auto count = [&held](const Indexer::LoggedOp&) {
      ++held.ops;
      return absl::OkStatus();
    };
    if (!state_->VisitDead(log_, held.from, held.to, count).ok()) return;
    list_.push_back(std::move(held));
  }

  // The ops of an effective block that are hidden.
  void AddHidden(std::uint64_t position, const BlockRecord& record) {
    while (hide_ != hides_.end() && hide_->log == log_ && hide_->to <= position) {
      ++hide_;
    }
    const bool spoken_of =
        hide_ != hides_.end() && hide_->log == log_ && hide_->from <= position;
    if (!spoken_of || record.auth) return;
    for (std::uint32_t index = 0; index < record.op_count; ++index) {
      const auto row = state_->ops->Read(record.first_arrival + index);
      if (!row.ok()) continue;
      const auto by = state_->authority->HiddenBy(record.cited, {log_, position, index},
                                                  row->second);
      if (!by) continue;
      HeldBack held;
      held.log = log_;
      held.from = position;
      held.to = position + 1;
      held.ops = 1;
      held.standing = Standing::kEffective;
      held.hidden = true;
      held.reason = "hidden by " + ToText(*by);
      held.by = by;
      Add(std::move(held));
    }
  }

  void Add(HeldBack held) {
    if (!list_.empty()) {
      HeldBack& last = list_.back();
      const bool goes_on = last.to == held.from || (held.hidden && last.to == held.to);
      if (goes_on && last.log == held.log && last.standing == held.standing &&
          last.hidden == held.hidden && last.by == held.by) {
        last.to = held.to;
        last.ops += held.ops;
        return;
      }
    }
    list_.push_back(std::move(held));
  }

  Indexer::State* state_;  // not owned
  std::size_t max_;
  std::vector<TouchedRange> hides_;
  std::vector<TouchedRange>::const_iterator hide_;  // the next that may matter
  CoreKey log_;                                     // at which the search is
  std::vector<HeldBack> list_;
};

}  // namespace

std::vector<HeldBack> Indexer::ListHeldBack(std::size_t max) const {
  return HeldBackFinder(state_.get(), max).Find();
}

}  // namespace weft
