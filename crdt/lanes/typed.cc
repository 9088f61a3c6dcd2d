#include "crdt/lanes/typed.h"

#include "engine/check.h"

namespace weft {
namespace {

template <class L, class... Arguments>
L& Made(std::optional<L>& lane, Arguments... arguments) {
  if (!lane) lane.emplace(arguments...);
  return *lane;
}

}  // namespace

bool TypedLanes::Apply(const TypedChange& change, const Stamp& stamp,
                       const CausalOrder& order, bool fold) {
  const bool removes = change.type == OpType::kDel;
  switch (change.lane) {
    case Lane::kCounter:
      if (change.type == OpType::kInc) {
        Made(counter).Add(stamp, change.number);
        if (fold) counter->Fold();
        return true;
      }
      return !counter || counter->Reset(stamp.op, order);
    case Lane::kSet:
      if (change.type == OpType::kAdd) {
        Made(set).Insert(stamp, change.value, order);
      } else if (set && removes) {
        set->Clear(stamp.op, order);
      } else if (set) {
        set->Remove(stamp.op, change.value, order);
      }
      return true;
    case Lane::kMax:
    case Lane::kMin: {
      const bool greatest = change.lane == Lane::kMax;
      std::optional<ExtremeLane>& lane = greatest ? max : min;
      if (!removes) {
        Made(lane, greatest).Apply(stamp, change.number, order);
      } else if (lane) {
        lane->Clear(stamp.op, order);
      }
      return true;
    }
    case Lane::kFlag:
      if (!removes) {
        Made(flag).Apply(stamp, change.flags, order);
      } else if (flag) {
        flag->Clear(stamp.op, order);
      }
      return true;
    default:
      WEFT_CHECK(false);
  }
  return true;
}

LaneMask TypedLanes::Readable(std::size_t presence) const {
  LaneMask mask = 0;
  if (counter && counter->readable(presence)) mask |= MaskOf(Lane::kCounter);
  if (set && set->readable(presence)) mask |= MaskOf(Lane::kSet);
  if (max && max->Value(presence)) mask |= MaskOf(Lane::kMax);
  if (min && min->Value(presence)) mask |= MaskOf(Lane::kMin);
  if (flag && flag->readable(presence)) mask |= MaskOf(Lane::kFlag);
  return mask;
}

const Stamp* TypedLanes::Newest(Lane lane, std::size_t presence,
                                const WriterTable& writers) const {
  switch (lane) {
    case Lane::kCounter:
      return counter ? counter->Newest(presence, writers) : nullptr;
    case Lane::kSet:
      return set ? set->Newest(presence, writers) : nullptr;
    case Lane::kMax:
      return max ? max->Newest(presence, writers) : nullptr;
    case Lane::kMin:
      return min ? min->Newest(presence, writers) : nullptr;
    case Lane::kFlag:
      return flag ? flag->Newest(presence, writers) : nullptr;
    default:
      return nullptr;
  }
}

bool TypedLanes::has_conflict(std::size_t presence) const {
  return flag && flag->has_conflict(presence);
}

bool TypedLanes::empty() const {
  return !(counter && !counter->empty()) && !(set && !set->empty()) &&
         !(max && !max->empty()) && !(min && !min->empty()) &&
         !(flag && !flag->empty());
}

void TypedLanes::WriteState(Lane lane, std::size_t presence, const WriterTable& writers,
                            Writer& out) const {
  switch (lane) {
    case Lane::kCounter:
      return counter->WriteState(presence, out);
    case Lane::kSet:
      return set->WriteState(presence, writers, out);
    case Lane::kMax:
      return max->WriteState(presence, out);
    case Lane::kMin:
      return min->WriteState(presence, out);
    case Lane::kFlag:
      return flag->WriteState(presence, writers, out);
    default:
      WEFT_CHECK(false);
  }
}

void TypedLanes::Store(Writer& out) const {
  out.U8(static_cast<std::uint8_t>((counter ? 1 : 0) | (set ? 2 : 0) | (max ? 4 : 0) |
                                   (min ? 8 : 0) | (flag ? 16 : 0)));
  if (counter) counter->Store(out);
  if (set) set->Store(out);
  if (max) max->Store(out);
  if (min) min->Store(out);
  if (flag) flag->Store(out);
}

TypedLanes TypedLanes::Read(std::size_t writers, Reader& in) {
  TypedLanes lanes;
  const std::uint8_t present = in.U8();
  if ((present & 1) != 0) lanes.counter = CounterLane::Read(writers, in);
  if ((present & 2) != 0) lanes.set = SetLane::Read(writers, in);
  if ((present & 4) != 0) lanes.max = ExtremeLane::Read(true, writers, in);
  if ((present & 8) != 0) lanes.min = ExtremeLane::Read(false, writers, in);
  if ((present & 16) != 0) lanes.flag = FlagLane::Read(writers, in);
  return lanes;
}

}  // namespace weft
