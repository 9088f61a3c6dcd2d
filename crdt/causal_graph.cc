#include "crdt/causal_graph.h"

#include <algorithm>
#include <numeric>

#include "engine/check.h"
#include "engine/key_layout.h"

namespace weft {
namespace {

constexpr std::uint64_t kPageBlocks = 64;
constexpr std::size_t kPagesMax = 8192;         // kept clean in memory
constexpr std::size_t kTipBytesMax = 64 << 20;  // vectors kept in memory
constexpr std::size_t kReasonBytesMax = 200;
constexpr std::uint64_t kJoinStepsMax = 16;
// In the status byte of a stored block.
constexpr unsigned kStatusBits = 15;
constexpr unsigned kEffectiveBit = 16;
constexpr unsigned kAuthBit = 32;
constexpr unsigned kWritesBit = 64;

std::uint64_t At(std::span<const std::uint64_t> vector, WriterNumber writer) {
  return writer < vector.size() ? vector[writer] : 0;
}

void RaiseIn(std::vector<std::uint64_t>& vector, WriterNumber writer,
             std::uint64_t length) {
  if (writer >= vector.size()) vector.resize(writer + 1);
  vector[writer] = std::max(vector[writer], length);
}

}  // namespace

struct CausalGraph::Page {
  struct Block {
    TreeHash tree_hash;
    BlockRecord record;
    std::uint32_t delta_end = 0;
  };

  std::vector<std::uint64_t> base;
  std::vector<Block> blocks;
  std::vector<Edge> deltas;
  std::vector<std::pair<std::uint8_t, std::string>> reasons;
  bool dirty = false;

  std::span<const Edge> DeltaOf(std::size_t block) const {
    const std::size_t begin = block == 0 ? 0 : blocks[block - 1].delta_end;
    return std::span(deltas).subspan(begin, blocks[block].delta_end - begin);
  }
  std::span<const Edge> DeltasThrough(std::size_t block) const {
    return std::span(deltas).first(blocks[block].delta_end);
  }
  void Encode(Writer& out) const;
  // False if the bytes are not a page.
  static bool Decode(Reader& in, std::size_t writers, Page* page);
};

void CausalGraph::Page::Encode(Writer& out) const {
  out.Uint(static_cast<std::uint64_t>(
      std::count_if(base.begin(), base.end(), [](std::uint64_t n) { return n != 0; })));
  for (std::size_t i = 0; i < base.size(); ++i) {
    if (base[i] == 0) continue;
    out.Uint(i);
    out.Uint(base[i]);
  }
  out.Uint(blocks.size());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    out.Raw(blocks[i].tree_hash.view());
    const BlockRecord& record = blocks[i].record;
    out.U8(static_cast<std::uint8_t>(
        static_cast<unsigned>(record.status) | (record.effective ? kEffectiveBit : 0U) |
        (record.auth ? kAuthBit : 0U) | (record.batch_writes ? kWritesBit : 0U)));
    out.Uint(blocks[i].record.first_arrival);
    out.Uint(blocks[i].record.op_count);
    out.Uint(blocks[i].record.payload_offset);
    out.Uint(blocks[i].record.decided_by);
    out.Uint(record.batch_index);
    out.Uint(record.batch_count);
    out.Uint(record.cited);
    const std::span<const Edge> delta = DeltaOf(i);
    out.Uint(delta.size());
    for (const Edge& edge : delta) {
      out.Uint(edge.writer);
      out.Uint(edge.length);
    }
  }
  out.Uint(reasons.size());
  for (const auto& [block, text] : reasons) {
    out.U8(block);
    out.Buffer(AsBytes(text));
  }
}

bool CausalGraph::Page::Decode(Reader& in, std::size_t writers, Page* page) {
  const auto read_edge = [&] {
    Edge edge;
    const std::uint64_t writer = in.Uint();
    if (writer >= writers) in.Fail();
    edge.writer = static_cast<WriterNumber>(writer);
    edge.length = in.Uint();
    return edge;
  };
  for (std::size_t n = in.Count(2); n > 0; --n) {
    const Edge edge = read_edge();
    if (!in.ok()) return false;
    RaiseIn(page->base, edge.writer, edge.length);
  }
  const std::size_t blocks = in.Count(41);
  for (std::size_t i = 0; i < blocks && in.ok(); ++i) {
    Block block;
    block.tree_hash = in.Fixed<TreeHash>();
    const unsigned status = in.U8();
    block.record.status = static_cast<BlockStatus>(status & kStatusBits);
    block.record.effective = (status & kEffectiveBit) != 0;
    block.record.auth = (status & kAuthBit) != 0;
    block.record.batch_writes = (status & kWritesBit) != 0;
    block.record.first_arrival = in.Uint();
    block.record.op_count = static_cast<std::uint32_t>(in.Uint());
    block.record.payload_offset = static_cast<std::uint32_t>(in.Uint());
    block.record.decided_by = static_cast<std::uint32_t>(in.Uint());
    block.record.batch_index = static_cast<std::uint32_t>(in.Uint());
    block.record.batch_count = static_cast<std::uint32_t>(in.Uint());
    block.record.cited = static_cast<std::uint32_t>(in.Uint());
    for (std::size_t n = in.Count(2); n > 0; --n) page->deltas.push_back(read_edge());
    block.delta_end = static_cast<std::uint32_t>(page->deltas.size());
    page->blocks.push_back(block);
  }
  for (std::size_t n = in.Count(2); n > 0 && in.ok(); --n) {
    const std::uint8_t block = in.U8();
    page->reasons.emplace_back(block, std::string(AsText(in.Buffer())));
  }
  return in.ok() && in.done() && page->blocks.size() <= kPageBlocks;
}

CausalGraph::CausalGraph(Storage* storage, std::uint64_t base)
    : storage_(storage), base_(base) {}
CausalGraph::~CausalGraph() = default;

void CausalGraph::AddWriter() {
  Tip tip;
  tip.loaded = true;
  tips_.push_back(std::move(tip));
  mark_.push_back(0);
}

void CausalGraph::RestoreLength(WriterNumber writer, std::uint64_t length) {
  tips_[writer].length = length;
  tips_[writer].loaded = length == 0;
}

CausalGraph::Page* CausalGraph::Find(WriterNumber writer, std::uint64_t page) const {
  const std::pair<WriterNumber, std::uint64_t> name{writer, page};
  if (const auto found = pages_.find(name); found != pages_.end()) {
    return found->second.get();
  }
  if (pages_.size() >= 2 * kPagesMax) EvictClean();
  auto loaded = std::make_unique<Page>();
  auto row = storage_->Get(Family::kView, keys::GraphPage(base_, writer, page));
  if (!row.ok()) {
    error_.Update(row.status());
  } else if (!row->has_value()) {
    error_.Update(absl::DataLossError("a page of the causal graph is missing"));
  } else {
    Reader in(**row);
    if (!Page::Decode(in, tips_.size(), loaded.get())) {
      error_.Update(absl::DataLossError("a page of the causal graph is malformed"));
      *loaded = Page();
    }
  }
  Page* result = loaded.get();
  pages_[name] = std::move(loaded);
  return result;
}

CausalGraph::Page* CausalGraph::PageOf(WriterNumber writer,
                                       std::uint64_t position) const {
  Page* page = Find(writer, position / kPageBlocks);
  // Only after an error of the disk is a block that was added not on its page.
  if (page->blocks.size() <= position % kPageBlocks) {
    error_.Update(absl::DataLossError("a page of the causal graph is too short"));
    page->blocks.resize(position % kPageBlocks + 1);
    for (Page::Block& block : page->blocks) {
      block.delta_end = static_cast<std::uint32_t>(page->deltas.size());
    }
  }
  return page;
}

void CausalGraph::EvictClean() const {
  for (auto entry = pages_.begin(); entry != pages_.end();) {
    const auto next = std::next(entry);
    if (!entry->second->dirty) pages_.erase(entry);
    entry = next;
  }
}

std::vector<std::uint64_t> CausalGraph::VectorAt(WriterNumber writer,
                                                 std::uint64_t position) const {
  const Page* page = PageOf(writer, position);
  std::vector<std::uint64_t> vector = page->base;
  for (const Edge& edge : page->DeltasThrough(position % kPageBlocks)) {
    RaiseIn(vector, edge.writer, edge.length);
  }
  return vector;
}

const CausalGraph::Tip& CausalGraph::Loaded(WriterNumber writer) const {
  const Tip& tip = tips_[writer];
  if (!tip.loaded) {
    tip.vector = VectorAt(writer, tip.length - 1);
    tip.loaded = true;
  }
  return tip;
}

std::span<const std::uint64_t> CausalGraph::TipVector(WriterNumber writer) const {
  return Loaded(writer).vector;
}

void CausalGraph::Raise(Tip& tip, WriterNumber of, std::uint64_t length) {
  if (of >= tip.vector.size()) tip.vector.resize(of + 1);
  if (tip.vector[of] >= length) return;
  tip.vector[of] = length;
  if (mark_[of] != mark_now_) {
    mark_[of] = mark_now_;
    touched_.push_back(of);
  }
}

// Takes the vector of the dep's last block into that of `into`. What lies in the past
// of a block we had seen is known already, so only the steps since then can teach.
void CausalGraph::Join(WriterNumber into, const Edge& dep) {
  Tip& tip = tips_[into];
  const std::uint64_t known = At(tip.vector, dep.writer);
  if (known >= dep.length) return;
  Raise(tip, dep.writer, dep.length);
  const auto raise_all = [&](std::span<const Edge> edges) {
    for (const Edge& edge : edges) {
      if (edge.writer != into) Raise(tip, edge.writer, edge.length);
    }
  };
  const auto raise_vector = [&](std::span<const std::uint64_t> vector) {
    for (std::size_t i = 0; i < vector.size(); ++i) {
      const auto of = static_cast<WriterNumber>(i);
      if (of != into && vector[i] > At(tip.vector, of)) Raise(tip, of, vector[i]);
    }
  };
  const std::uint64_t steps = dep.length - known;
  if (steps <= kJoinStepsMax) {
    for (std::uint64_t position = known; position < dep.length; ++position) {
      raise_all(PageOf(dep.writer, position)->DeltaOf(position % kPageBlocks));
    }
  } else if (dep.length == tips_[dep.writer].length) {
    raise_vector(Loaded(dep.writer).vector);
  } else {
    const Page* page = PageOf(dep.writer, dep.length - 1);
    raise_vector(page->base);
    raise_all(page->DeltasThrough((dep.length - 1) % kPageBlocks));
  }
}

std::span<const CausalGraph::Edge> CausalGraph::AddBlock(WriterNumber writer,
                                                         std::span<const Edge> deps,
                                                         const TreeHash& tree_hash) {
  Loaded(writer);
  Tip& tip = tips_[writer];
  const std::uint64_t block = tip.length % kPageBlocks;
  const std::pair<WriterNumber, std::uint64_t> name{writer, tip.length / kPageBlocks};
  if (block == 0) {
    auto fresh = std::make_unique<Page>();
    fresh->base = tip.vector;
    pages_[name] = std::move(fresh);
  }
  // Dirty pages are never let go of, so the pointer holds while deps load theirs.
  Page* page = Find(writer, name.second);
  if (!page->dirty) {
    page->dirty = true;
    dirty_.push_back(name);
  }
  if (++mark_now_ == 0) {
    std::fill(mark_.begin(), mark_.end(), 0);
    mark_now_ = 1;
  }
  touched_.clear();
  taught_.clear();
  for (const Edge& dep : deps) Join(writer, dep);
  for (const WriterNumber of : touched_) taught_.push_back({of, tip.vector[of]});
  page->deltas.insert(page->deltas.end(), taught_.begin(), taught_.end());
  page->blocks.push_back(
      {tree_hash, {}, static_cast<std::uint32_t>(page->deltas.size())});
  tip.length += 1;
  return taught_;
}

std::uint64_t CausalGraph::Seen(WriterNumber writer, std::uint64_t position,
                                WriterNumber of) const {
  if (writer == of) return position;
  const Tip& tip = tips_[writer];
  if (tip.loaded && position + 1 == tip.length) return At(tip.vector, of);
  const Page* page = PageOf(writer, position);
  const std::span<const Edge> deltas = page->DeltasThrough(position % kPageBlocks);
  for (std::size_t i = deltas.size(); i > 0; --i) {
    if (deltas[i - 1].writer == of) return deltas[i - 1].length;
  }
  return At(page->base, of);
}

bool CausalGraph::Before(const LocalOp& a, const LocalOp& b) const {
  if (a.writer == b.writer) {
    return a.position != b.position ? a.position < b.position : a.op_index < b.op_index;
  }
  return a.position < Seen(b.writer, b.position, a.writer);
}

std::uint64_t CausalGraph::PastSize(WriterNumber writer, std::uint64_t position) const {
  const std::vector<std::uint64_t> vector = VectorAt(writer, position);
  return std::accumulate(vector.begin(), vector.end(), position);
}

TreeHash CausalGraph::TreeHashAt(WriterNumber writer, std::uint64_t length) const {
  return PageOf(writer, length - 1)->blocks[(length - 1) % kPageBlocks].tree_hash;
}

BlockRecord CausalGraph::RecordOf(WriterNumber writer, std::uint64_t position) const {
  return PageOf(writer, position)->blocks[position % kPageBlocks].record;
}

void CausalGraph::SetRecord(WriterNumber writer, std::uint64_t position,
                            const BlockRecord& record, std::string_view reason) {
  Page* page = PageOf(writer, position);
  if (!page->dirty) {
    page->dirty = true;
    dirty_.emplace_back(writer, position / kPageBlocks);
  }
  BlockRecord& stored = page->blocks[position % kPageBlocks].record;
  stored = record;
  stored.decided_by = static_cast<std::uint32_t>(tips_[writer].length - position);
  if (!reason.empty()) {
    page->reasons.emplace_back(static_cast<std::uint8_t>(position % kPageBlocks),
                               std::string(reason.substr(0, kReasonBytesMax)));
  }
}

void CausalGraph::SetEffective(WriterNumber writer, std::uint64_t position,
                               bool effective) {
  Page* page = PageOf(writer, position);
  if (!page->dirty) {
    page->dirty = true;
    dirty_.emplace_back(writer, position / kPageBlocks);
  }
  page->blocks[position % kPageBlocks].record.effective = effective;
}

std::string CausalGraph::ReasonOf(WriterNumber writer, std::uint64_t position) const {
  const Page* page = PageOf(writer, position);
  for (const auto& [block, text] : page->reasons) {
    if (block == position % kPageBlocks) return text;
  }
  return {};
}

void CausalGraph::Flush(StorageBatch* batch) {
  std::sort(dirty_.begin(), dirty_.end());
  for (const auto& [writer, number] : dirty_) {
    Page* page = pages_[{writer, number}].get();
    Bytes row;
    Writer out(&row);
    page->Encode(out);
    batch->Put(Family::kView, keys::GraphPage(base_, writer, number), std::move(row));
    page->dirty = false;
  }
  dirty_.clear();
  if (pages_.size() > kPagesMax) EvictClean();
  std::size_t tip_bytes = 0;
  for (Tip& tip : tips_) {
    tip_bytes += tip.vector.capacity() * sizeof(std::uint64_t);
    if (tip_bytes <= kTipBytesMax || tip.length == 0) continue;
    tip.loaded = false;
    tip.vector = {};
  }
}

}  // namespace weft
