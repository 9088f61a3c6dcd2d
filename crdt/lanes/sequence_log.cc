#include "crdt/lanes/sequence_log.h"

#include <algorithm>
#include <tuple>

#include "engine/check.h"

namespace weft {
namespace {

constexpr std::uint32_t kMarkEvery = 64;
// What so many blocks can insert at most; a row that speaks of more is damaged.
constexpr std::uint64_t kPageElementsMax = kSequencePageBlocks << 20;

constexpr std::uint8_t kSameBlock = 1;
constexpr std::uint8_t kNextIndex = 2;
constexpr std::uint8_t kOneElement = 4;
constexpr std::uint8_t kLeftChild = 8;
constexpr std::uint8_t kAfterOwn = 16;
constexpr std::uint8_t kSameRight = 32;

constexpr std::uint64_t kStartTag = 0;
constexpr std::uint64_t kEndTag = 1;
constexpr std::uint64_t kOwnTag = 2;
constexpr std::uint64_t kOtherTag = 3;

bool StartsCodePoint(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

void WriteElement(const Element& element, WriterNumber self, std::uint32_t clock,
                  Writer& out) {
  if (element == kSequenceStart) return WriteLeb(kStartTag, out);
  if (element == kSequenceEnd) return WriteLeb(kEndTag, out);
  if (element.writer == self) {
    WriteLeb(kOwnTag, out);
    return WriteLeb(ZigZag(std::int64_t{element.clock} - std::int64_t{clock}), out);
  }
  WriteLeb(kOtherTag, out);
  WriteLeb(element.writer, out);
  WriteLeb(element.clock, out);
}

std::uint32_t Narrow(std::uint64_t value, Reader& in) {
  if (value > UINT32_MAX - 1) in.Fail();
  return static_cast<std::uint32_t>(value);
}

Element ReadElement(WriterNumber self, std::uint32_t clock, Reader& in) {
  const std::uint64_t tag = ReadLeb(in);
  if (tag == kStartTag) return kSequenceStart;
  if (tag == kEndTag) return kSequenceEnd;
  Element element{self, 0};
  if (tag == kOwnTag) {
    const std::int64_t at = std::int64_t{clock} + UnZigZag(ReadLeb(in));
    element.clock = Narrow(static_cast<std::uint64_t>(at), in);
  } else {
    if (tag != kOtherTag) in.Fail();
    element.writer = Narrow(ReadLeb(in), in);
    element.clock = Narrow(ReadLeb(in), in);
  }
  return element;
}

}  // namespace

std::uint32_t CodePoints(std::string_view utf8) {
  return static_cast<std::uint32_t>(
      std::count_if(utf8.begin(), utf8.end(), StartsCodePoint));
}

void WriteLeb(std::uint64_t value, Writer& out) {
  for (; value >= 0x80; value >>= 7) out.U8(static_cast<std::uint8_t>(value | 0x80));
  out.U8(static_cast<std::uint8_t>(value));
}

std::uint64_t ReadLeb(Reader& in) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t byte = in.U8();
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if ((byte & 0x80) == 0) return value;
  }
  in.Fail();
  return 0;
}

void SequenceLog::AppendContent(std::string_view content, std::uint32_t count) {
  if (!is_text_) {
    WEFT_CHECK(count == 1);
    marks_.push_back(static_cast<std::uint32_t>(content_.size()));
    content_.append(content);
    ++next_;
    return;
  }
  const std::size_t base = content_.size();
  content_.append(content);
  for (std::size_t i = 0; i < content.size(); ++i) {
    if (!StartsCodePoint(content[i])) continue;
    if (next_ % kMarkEvery == 0) marks_.push_back(static_cast<std::uint32_t>(base + i));
    ++next_;
  }
}

void SequenceLog::Append(const SequenceOp& op, std::string_view content,
                         std::uint32_t count) {
  const std::uint64_t number = op.position / kSequencePageBlocks;
  if (pages_.empty() || pages_.back().number != number) {
    pages_.push_back({});
    pages_.back().number = number;
    pages_.back().first_op = ops_.size();
  }
  pages_.back().dirty = true;
  pages_.back().hashed = false;
  ops_.push_back(op);
  ops_.back().start = next_;
  AppendContent(content, count);
  WEFT_CHECK(next_ == ops_.back().start + count);
  dead_.resize(next_, false);
}

std::size_t SequenceLog::OpAt(std::uint32_t clock) const {
  const auto after = std::upper_bound(
      ops_.begin(), ops_.end(), clock,
      [](std::uint32_t at, const SequenceOp& op) { return at < op.start; });
  return static_cast<std::size_t>(after - ops_.begin()) - 1;
}

std::optional<std::size_t> SequenceLog::Find(std::uint64_t position,
                                             std::uint32_t op_index) const {
  const auto found = std::lower_bound(
      ops_.begin(), ops_.end(), std::pair(position, op_index),
      [](const SequenceOp& op, const std::pair<std::uint64_t, std::uint32_t>& id) {
        return std::pair(op.position, op.op_index) < id;
      });
  if (found == ops_.end() || found->position != position ||
      found->op_index != op_index) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(found - ops_.begin());
}

std::uint32_t SequenceLog::RunEnd(std::uint32_t clock, std::uint32_t end) const {
  const bool is_dead = dead_[clock];
  while (++clock < end && dead_[clock] == is_dead) {
  }
  return clock;
}

void SequenceLog::Kill(std::uint32_t clock, std::uint32_t count) {
  std::fill_n(dead_.begin() + static_cast<std::ptrdiff_t>(clock), count, true);
  const std::size_t first = OpAt(clock);
  const std::size_t last = OpAt(clock + count - 1);
  auto page = std::upper_bound(
      pages_.begin(), pages_.end(), first,
      [](std::size_t op, const PageInfo& info) { return op < info.first_op; });
  for (--page; page != pages_.end() && page->first_op <= last; ++page) {
    page->dirty = true;
    page->hashed = false;
  }
}

void SequenceLog::Clear(std::uint32_t end) {
  Kill(cleared_, end - cleared_);
  cleared_ = end;
}

std::size_t SequenceLog::OffsetOf(std::uint32_t clock) const {
  if (clock == next_) return content_.size();
  if (!is_text_) return marks_[clock];
  std::size_t offset = marks_[clock / kMarkEvery];
  for (std::uint32_t left = clock % kMarkEvery; left > 0; --left) {
    do {
      ++offset;
    } while (!StartsCodePoint(content_[offset]));
  }
  return offset;
}

std::string_view SequenceLog::Content(std::uint32_t clock, std::uint32_t count) const {
  const std::size_t from = OffsetOf(clock);
  const std::size_t to = OffsetOf(clock + count);
  return std::string_view(content_).substr(from, to - from);
}

Bytes SequenceLog::EncodePage(std::size_t page, WriterNumber self) const {
  Bytes bytes;
  Writer out(&bytes);
  const PageInfo& info = pages_[page];
  const std::size_t end = PageEnd(page);
  WriteLeb(info.hashed ? info.size : 0, out);
  out.Raw(info.hash.view());
  WriteLeb(end - info.first_op, out);
  const SequenceOp none;
  for (std::size_t i = info.first_op; i < end; ++i) {
    const bool first = i == info.first_op;
    const SequenceOp& op = ops_[i];
    const SequenceOp& last = first ? none : ops_[i - 1];
    const std::uint32_t count = EndOf(i) - op.start;
    const bool same_block = !first && op.position == last.position;
    const bool next_index = same_block && op.op_index == last.op_index + 1;
    const bool after_own =
        op.start > 0 && op.parent == Element{self, op.start - 1} && !op.is_left;
    const bool same_right = !op.is_left && op.right == last.right;
    out.U8(static_cast<std::uint8_t>(
        (same_block ? kSameBlock : 0) | (next_index ? kNextIndex : 0) |
        (count == 1 ? kOneElement : 0) | (op.is_left ? kLeftChild : 0) |
        (after_own ? kAfterOwn : 0) | (same_right ? kSameRight : 0)));
    if (!same_block) {
      WriteLeb(
          op.position - (first ? info.number * kSequencePageBlocks : last.position),
          out);
      WriteLeb(op.op_index, out);
      WriteLeb(ZigZag(static_cast<std::int64_t>(op.hlc - last.hlc)), out);
    } else if (!next_index) {
      WriteLeb(op.op_index - last.op_index, out);
    }
    if (count != 1) WriteLeb(count, out);
    if (!after_own) WriteElement(op.parent, self, op.start, out);
    if (!op.is_left && !same_right) WriteElement(op.right, self, op.start, out);
  }
  const std::uint32_t clocks_end = EndOf(end - 1);
  Bytes gaps;
  Writer gaps_out(&gaps);
  std::uint64_t count = 0;
  std::uint32_t clock = ops_[info.first_op].start;
  while (clock < clocks_end) {
    const std::uint32_t alive = dead_[clock] ? clock : RunEnd(clock, clocks_end);
    if (alive == clocks_end) break;
    const std::uint32_t dead_end = RunEnd(alive, clocks_end);
    WriteLeb(alive - clock, gaps_out);
    WriteLeb(dead_end - alive, gaps_out);
    clock = dead_end;
    ++count;
  }
  WriteLeb(count, out);
  out.Raw(gaps);
  for (clock = ops_[info.first_op].start; clock < clocks_end;) {
    const std::uint32_t run_end = RunEnd(clock, clocks_end);
    if (!dead_[clock] && is_text_) out.Raw(AsBytes(Content(clock, run_end - clock)));
    for (std::uint32_t at = clock; !is_text_ && !dead_[clock] && at < run_end; ++at) {
      WriteLeb(Content(at, 1).size(), out);
      out.Raw(AsBytes(Content(at, 1)));
    }
    clock = run_end;
  }
  return bytes;
}

// The ops of a page; the clock after the last.
std::uint64_t SequenceLog::DecodeOps(std::uint64_t number, WriterNumber self,
                                     Reader& in) {
  const std::uint64_t op_count = ReadLeb(in);
  if (op_count == 0 || op_count > in.remaining()) in.Fail();
  std::uint64_t clock = next_;
  SequenceOp last;
  last.position = number * kSequencePageBlocks;
  for (std::uint64_t i = 0; i < op_count && in.ok(); ++i) {
    SequenceOp op = last;
    const std::uint8_t flags = in.U8();
    if ((flags & kSameBlock) == 0) {
      op.position = last.position + ReadLeb(in);
      op.op_index = Narrow(ReadLeb(in), in);
      op.hlc = last.hlc + static_cast<std::uint64_t>(UnZigZag(ReadLeb(in)));
    } else {
      op.op_index =
          last.op_index + ((flags & kNextIndex) != 0 ? 1 : Narrow(ReadLeb(in), in));
    }
    op.start = Narrow(clock, in);
    clock += (flags & kOneElement) != 0 ? 1 : ReadLeb(in);
    op.is_left = (flags & kLeftChild) != 0;
    if ((flags & kAfterOwn) != 0) {
      if (op.start == 0) in.Fail();
      op.parent = {self, op.start - 1};
    } else {
      op.parent = ReadElement(self, op.start, in);
    }
    if (op.is_left) {
      op.right = kSequenceEnd;
    } else if ((flags & kSameRight) == 0) {
      op.right = ReadElement(self, op.start, in);
    }
    if (clock <= op.start || clock - next_ > kPageElementsMax) in.Fail();
    const bool hangs = op.parent == kSequenceStart ? !op.is_left
                       : op.parent == kSequenceEnd ? op.is_left
                                                   : true;
    const bool ascends = i == 0 || std::tie(last.position, last.op_index) <
                                       std::tie(op.position, op.op_index);
    if (!hangs || !ascends || op.right == kSequenceStart ||
        op.position / kSequencePageBlocks != number) {
      in.Fail();
    }
    ops_.push_back(op);
    last = op;
  }
  return clock;
}

bool SequenceLog::DecodePage(std::uint64_t number, WriterNumber self, ByteView row) {
  Reader in(row);
  if (!pages_.empty() && pages_.back().number >= number) in.Fail();
  PageInfo info;
  info.number = number;
  info.first_op = ops_.size();
  info.dirty = false;
  info.size = ReadLeb(in);
  info.hashed = info.size != 0;
  info.hash = in.Fixed<Hash32>();
  const std::uint32_t clocks_begin = next_;
  const std::uint64_t clock = DecodeOps(number, self, in);
  if (!in.ok() || clock > UINT32_MAX - 1) return false;
  // Gaps: what a page cannot hold is refused before anything is made.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> dead_runs;
  std::uint64_t at = clocks_begin;
  std::uint64_t live = clock - clocks_begin;
  for (std::uint64_t n = ReadLeb(in); n > 0 && in.ok(); --n) {
    at += ReadLeb(in);
    const std::uint64_t count = ReadLeb(in);
    if (count == 0 || count > clock || at + count > clock) return false;
    dead_runs.emplace_back(static_cast<std::uint32_t>(at),
                           static_cast<std::uint32_t>(count));
    at += count;
    live -= count;
  }
  if (!in.ok() || live > in.remaining()) return false;
  dead_.resize(clock, false);
  const auto add_live = [&](std::uint32_t count) {
    if (!is_text_) {
      for (; count > 0 && in.ok(); --count) {
        AppendContent(AsText(in.Raw(static_cast<std::size_t>(ReadLeb(in)))), 1);
      }
      return;
    }
    // As many bytes as hold so many code points.
    const std::string_view rest = AsText(row.subspan(in.position()));
    std::size_t size = 0;
    for (std::uint32_t seen = 0; size < rest.size(); ++size) {
      if (StartsCodePoint(rest[size]) && ++seen > count) break;
    }
    AppendContent(AsText(in.Raw(size)), count);
  };
  for (const auto& [first, count] : dead_runs) {
    add_live(first - next_);
    std::fill_n(dead_.begin() + first, count, true);
    if (is_text_) AppendContent(std::string(count, '?'), count);
    for (std::uint32_t i = 0; !is_text_ && i < count; ++i) AppendContent({}, 1);
    if (!in.ok() || next_ != first + count) return false;
  }
  add_live(static_cast<std::uint32_t>(clock) - next_);
  pages_.push_back(info);
  return in.ok() && in.done() && next_ == clock;
}

}  // namespace weft
