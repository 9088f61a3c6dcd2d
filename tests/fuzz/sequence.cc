// Texts and lists from bytes that others wrote: names of elements, which have one form;
// ops with any origins whatever, in any causal order; rows as a damaged disk may give
// them back. What is stored reads back as the same sequence with the same root.

#include "crdt/lanes/sequence.h"

#include <array>
#include <map>
#include <optional>

#include "engine/check.h"

namespace {

using weft::Bytes;
using weft::ByteView;
using weft::ElementRef;
using weft::LocalOp;
using weft::SequenceLane;

constexpr std::uint32_t kWriters = 3;

const weft::WriterTable& Writers() {
  static const weft::WriterTable table = [] {
    weft::WriterTable made;
    for (std::uint8_t seed = 1; seed <= kWriters; ++seed) {
      weft::CoreKey key;
      key.bytes.fill(seed);
      made.Add(key);
    }
    return made;
  }();
  return table;
}

void ReadNames(ByteView data) {
  weft::Reader in(data);
  weft::ElementRefReader reader;
  weft::ElementRefWriter writer;
  Bytes again;
  weft::Writer out(&again);
  while (!in.done()) {
    const ElementRef ref = reader.Read(in);
    if (!in.ok()) return;
    writer.Write(ref, {}, out);
    WEFT_CHECK(weft::Equal(again, data.first(in.position())));
  }
}

// Ops of one block each; every op has seen of each log a prefix, and what that had
// seen.
class Order final : public weft::CausalOrder {
 public:
  using Seen = std::array<std::uint64_t, kWriters>;

  LocalOp Add(std::uint32_t writer, std::uint32_t other, std::uint64_t length) {
    Seen seen{};
    if (!seen_[writer].empty()) seen = seen_[writer].back();
    length = std::min<std::uint64_t>(length, seen_[other].size());
    if (other != writer && length > 0) {
      for (std::uint32_t i = 0; i < kWriters; ++i) {
        seen[i] = std::max(seen[i], seen_[other][length - 1][i]);
      }
      seen[other] = std::max(seen[other], length);
    }
    seen[writer] = seen_[writer].size();
    seen_[writer].push_back(seen);
    return {writer, 0, seen_[writer].size() - 1};
  }

  bool Before(const LocalOp& a, const LocalOp& b) const override {
    return a.op_index == 0 && a.position < seen_[b.writer][b.position][a.writer];
  }

 private:
  std::array<std::vector<Seen>, kWriters> seen_;
};

ElementRef NameFrom(weft::Reader& in) {
  ElementRef ref;
  ref.place = static_cast<ElementRef::Place>(in.U8() % 4);
  ref.position = in.U8();
  ref.op_index = in.U8() % 16 == 15 ? 1 : 0;
  ref.offset = in.U8() % 8;
  if (ref.place == ElementRef::Place::kLog) {
    ref.writer = Writers().key(in.U8() % kWriters).view();
  }
  return ref;
}

using Rows = std::map<std::pair<weft::WriterNumber, std::uint64_t>, Bytes>;

std::optional<SequenceLane> FromRows(bool is_text, const Bytes& head,
                                     const Rows& rows) {
  weft::Reader in(head);
  SequenceLane lane = SequenceLane::Read(is_text, in);
  for (const auto& [place, row] : rows) {
    if (!lane.ReadPage(place.first, place.second, row)) return std::nullopt;
  }
  if (!lane.FinishRead(Writers())) return std::nullopt;
  return lane;
}

// Every way of reading agrees with the others.
void Look(const SequenceLane& lane) {
  std::size_t live = 0;
  for (std::uint64_t n = 0; n < lane.length(); ++n) {
    const weft::Element element = lane.At(n);
    WEFT_CHECK(!lane.is_dead(element) && lane.LiveBefore(element) == n);
    const weft::NamedElement name = lane.NameOf(element);
    WEFT_CHECK(lane.FindElement(name.op, name.offset) == element);
    ++live;
  }
  WEFT_CHECK(live == lane.length() && lane.readable() == (live > 0));
  if (!lane.is_text()) WEFT_CHECK(lane.Values().size() == live);
}

void Apply(bool is_text, weft::Reader& in) {
  SequenceLane lane(is_text);
  Order order;
  Rows rows;
  while (in.ok() && !in.done()) {
    const std::uint8_t kind = in.U8();
    const LocalOp op = order.Add(in.U8() % kWriters, in.U8() % kWriters, in.U8());
    const weft::Stamp stamp{op, in.U8()};
    if (kind % 8 == 7) {
      lane.Clear(op, order);
    } else if (kind % 8 >= 5) {
      const weft::ElementRange range{NameFrom(in), 1 + std::uint64_t{in.U8()} % 9};
      lane.Cut(stamp, {&range, 1}, order, Writers());
    } else {
      const weft::SequenceEdit edit{NameFrom(in), NameFrom(in), {}};
      const char* const words[] = {"a", "bc", "d\xc3\xa9", "\xf0\x9f\x98\x80"};
      lane.Insert(stamp, edit, words[kind / 8 % 4], order, Writers());
    }
    if (kind % 16 != 0) continue;
    lane.StorePages([&](weft::WriterNumber writer, std::uint64_t page, Bytes row) {
      rows[{writer, page}] = std::move(row);
    });
  }
  Look(lane);
  const weft::Hash32 root = lane.NestedRoot(Writers());
  lane.StorePages([&](weft::WriterNumber writer, std::uint64_t page, Bytes row) {
    rows[{writer, page}] = std::move(row);
  });
  Bytes head;
  weft::Writer out(&head);
  lane.Store(out);
  const auto again = FromRows(is_text, head, rows);
  WEFT_CHECK(again.has_value());
  WEFT_CHECK(again->Values() == lane.Values());
  WEFT_CHECK(again->NestedRoot(Writers()) == root);
  // One byte of one row is another.
  if (rows.empty()) return;
  Bytes& row = rows.begin()->second;
  std::uint8_t& byte = row[root.bytes[0] % row.size()];
  byte = static_cast<std::uint8_t>(byte ^ (root.bytes[1] | 1));
  if (const auto damaged = FromRows(is_text, head, rows)) Look(*damaged);
}

void ReadRows(bool is_text, weft::Reader& in) {
  Rows rows;
  const Bytes head = weft::ToBytes(in.Raw(std::min<std::size_t>(1, in.remaining())));
  while (in.ok() && !in.done()) {
    const weft::WriterNumber writer = in.U8() % kWriters;
    const std::uint64_t page = in.U8() % 4;
    const std::size_t size = std::min<std::size_t>(in.U8(), in.remaining());
    rows[{writer, page}] = weft::ToBytes(in.Raw(size));
  }
  if (const auto lane = FromRows(is_text, head, rows)) Look(*lane);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView bytes(data + 1, size - 1);
  ReadNames(bytes);
  weft::Reader in(bytes);
  const bool is_text = data[0] % 2 == 0;
  data[0] / 2 % 2 == 0 ? Apply(is_text, in) : ReadRows(is_text, in);
  return 0;
}
