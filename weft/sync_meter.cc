#include "weft/sync_meter.h"

#include <algorithm>

namespace weft {

SyncMeter::SyncMeter(const std::vector<std::unique_ptr<BaseNode>>& bases,
                     const std::vector<Swarm::Connection>& connections) {
  for (const Swarm::Connection& connection : connections) {
    const std::shared_ptr<Session>& session = connection.session;
    carried_before_[session] = {session->blocks_received(), session->blocks_sent()};
  }
  for (const auto& base : bases) {
    for (const FeedHead& head : base->HeldLengths()) {
      held_before_[{base.get(), head.core}] = head.settled;
    }
  }
}

SyncMeter::Count SyncMeter::Received(const Exchanges& exchanges) const {
  Count count;
  for (const auto& [base, exchange] : exchanges) {
    const auto& announced = exchange->feeds();
    for (const FeedHead& head : base->HeldLengths()) {
      const auto known = held_before_.find({base, head.core});
      const std::uint64_t before = known == held_before_.end() ? 0 : known->second;
      const auto there = announced.find(head.core);
      const bool told =
          there != announced.end() && there->second.settled != kFeedUnsaid;
      const std::uint64_t wanted =
          std::max(head.settled, told ? there->second.settled : 0);
      count.done += head.settled - std::min(head.settled, before);
      count.total += wanted - std::min(wanted, before);
    }
  }
  return count;
}

// A feed of which neither side has spoken was level from the start.
SyncMeter::Count SyncMeter::Sent(const Exchanges& exchanges) const {
  Count count;
  for (const auto& [base, exchange] : exchanges) {
    for (const auto& [core, feed] : exchange->feeds()) {
      if (feed.first == kFeedUnsaid || feed.told == kFeedUnsaid) continue;
      const std::uint64_t there =
          exchange->IsLevel() ? feed.told : std::max(feed.durable, feed.first);
      count.done +=
          std::min(feed.told, there) - std::min({feed.told, there, feed.first});
      count.total += feed.told - std::min(feed.told, feed.first);
    }
  }
  return count;
}

Progress SyncMeter::Measure(const Exchanges& exchanges) const {
  const Count received = Received(exchanges);
  const Count sent = Sent(exchanges);
  return {received.done + sent.done, received.total + sent.total};
}

SyncResult SyncMeter::Result(const std::shared_ptr<Session>& session) const {
  const auto known = carried_before_.find(session);
  const Carried before = known == carried_before_.end() ? Carried() : known->second;
  SyncResult result;
  result.blocks_received = session->blocks_received() - before.received;
  result.blocks_sent = session->blocks_sent() - before.sent;
  return result;
}

}  // namespace weft
