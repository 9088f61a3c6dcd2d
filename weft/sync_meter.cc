#include "weft/sync_meter.h"

#include <algorithm>

namespace weft {

SyncMeter::SyncMeter(const std::vector<std::unique_ptr<BaseNode>>& bases) {
  for (const auto& base : bases) {
    for (const FeedHead& head : base->HeldLengths()) {
      held_before_[{base.get(), head.core}] = head.settled;
    }
  }
}

SyncMeter::Count SyncMeter::Received(const Exchanges& exchanges) const {
  Count count;
  for (const auto& [base, exchange] : exchanges) {
    const auto& announced = exchange->remote_heads();
    for (const FeedHead& head : base->HeldLengths()) {
      const auto known = held_before_.find({base, head.core});
      const std::uint64_t before = known == held_before_.end() ? 0 : known->second;
      const auto there = announced.find(head.core);
      const std::uint64_t wanted =
          std::max(head.settled, there == announced.end() ? 0 : there->second);
      count.done += head.settled - std::min(head.settled, before);
      count.total += wanted - std::min(wanted, before);
    }
  }
  return count;
}

SyncMeter::Count SyncMeter::Sent(const Exchanges& exchanges) const {
  Count count;
  for (const auto& [base, exchange] : exchanges) {
    // A peer that has not said what it has may be level already.
    if (exchange->remote_heads().empty() && exchange->remote_durable().empty())
      continue;
    for (const FeedHead& head : base->HeldLengths()) {
      const auto known = exchange->first_remote_heads().find(head.core);
      const std::uint64_t before =
          known == exchange->first_remote_heads().end() ? 0 : known->second;
      const auto acked = exchange->remote_durable().find(head.core);
      const std::uint64_t there =
          acked == exchange->remote_durable().end() ? 0 : acked->second;
      if (exchange->IsLevel()) {
        count.done += head.settled - std::min(head.settled, before);
      } else {
        count.done += std::min(head.settled, std::max(there, before)) -
                      std::min(head.settled, before);
      }
      count.total += head.settled - std::min(head.settled, before);
    }
  }
  return count;
}

Progress SyncMeter::Measure(const Exchanges& exchanges) const {
  const Count received = Received(exchanges);
  const Count sent = Sent(exchanges);
  return {received.done + sent.done, received.total + sent.total};
}

SyncResult SyncMeter::Result(const Exchanges& exchanges) const {
  SyncResult result;
  result.blocks_received = Received(exchanges).done;
  result.blocks_sent = Sent(exchanges).done;
  return result;
}

}  // namespace weft
