#include "crdt/envelope.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "engine/check.h"
#include "engine/codec.h"

namespace weft {
namespace {

constexpr std::uint64_t kDepsMax = 64;
constexpr std::uint64_t kSemVersionKnown = 1;

bool IsKnown(BlockKind kind) {
  return kind == BlockKind::kData || kind == BlockKind::kAuth ||
         kind == BlockKind::kAck || kind == BlockKind::kIncarnation;
}

void MarkInvalid(BlockHeader& header, std::string reason) {
  if (header.state != BlockState::kValid) return;
  header.state = BlockState::kInvalid;
  header.reason = std::move(reason);
}

}  // namespace

// An envelope and the table entries it brings, before the log takes them over.
struct LogState::Draft {
  Envelope envelope;
  std::vector<CoreKey> new_writers;
  std::vector<OpId> new_grants;
  std::vector<std::uint32_t> dep_indexes;  // beside envelope.deps
};

std::optional<std::uint64_t> LogState::open_batch() const {
  if (batch_next_ == 0) return std::nullopt;
  return position_ - batch_next_;
}

std::uint64_t LogState::named(const CoreKey& writer) const {
  const auto found = writer_index_.find(writer);
  return found == writer_index_.end() ? 0 : named_[found->second];
}

void LogState::Park(std::uint64_t position) {
  if (!parked_.has_value()) parked_ = position;
}

bool LogState::CountAuthOps(std::uint64_t count, const Limits& limits) {
  if (count > limits.auth_ops_per_writer - auth_ops_) return false;
  auth_ops_ += count;
  return true;
}

// Only the grammar: false if the envelope counts for nothing.
bool LogState::Parse(Reader& reader, Draft& draft) const {
  Envelope& envelope = draft.envelope;
  envelope.kind = static_cast<BlockKind>(reader.U8());
  envelope.sem_version = reader.CanonicalUint();
  envelope.flags = reader.U8();
  envelope.batch_index = reader.CanonicalUint();
  envelope.batch_count = reader.CanonicalUint();
  envelope.hlc.ms = reader.CanonicalUint();
  const std::uint64_t counter = reader.CanonicalUint();
  const std::uint64_t cite = reader.CanonicalUint();
  const std::uint64_t last_auth = reader.CanonicalUint();
  if (!reader.ok() || envelope.hlc.ms >= kHlcMsEnd || counter >= kHlcCounterEnd) {
    return false;
  }
  envelope.hlc.counter = static_cast<std::uint32_t>(counter);
  if (last_auth > 0) envelope.last_auth = last_auth - 1;

  const std::uint64_t new_writers = reader.CanonicalUint();
  if (!reader.ok() || new_writers > kDepsMax) return false;
  for (std::uint64_t i = 0; i < new_writers; ++i) {
    const CoreKey key = reader.Fixed<CoreKey>();
    const auto& seen = draft.new_writers;
    if (!reader.ok() || key == writer_ || writer_index_.contains(key) ||
        std::find(seen.begin(), seen.end(), key) != seen.end()) {
      return false;
    }
    draft.new_writers.push_back(key);
  }

  // Only cite uses the grant table, so a block brings one entry at most.
  const std::uint64_t new_grants = reader.CanonicalUint();
  if (!reader.ok() || new_grants > 1) return false;
  if (new_grants == 1) {
    OpId grant;
    grant.writer = reader.Fixed<CoreKey>();
    grant.position = reader.CanonicalUint();
    const std::uint64_t op_index = reader.CanonicalUint();
    if (!reader.ok() || op_index > UINT32_MAX || cite != grants_.size()) return false;
    grant.op_index = static_cast<std::uint32_t>(op_index);
    if (grant_index_.contains(grant)) return false;
    draft.new_grants.push_back(grant);
    envelope.cite = grant;
  } else {
    if (cite >= grants_.size()) return false;
    envelope.cite = grants_[cite];
  }

  const std::uint64_t deps = reader.CanonicalUint();
  if (!reader.ok() || deps > kDepsMax) return false;
  const std::uint64_t known = writers_.size();
  std::uint64_t new_used = 0;
  std::optional<std::uint64_t> previous;
  for (std::uint64_t i = 0; i < deps; ++i) {
    const std::uint64_t index = reader.CanonicalUint();
    Dep dep;
    dep.length = reader.CanonicalUint();
    dep.tree_hash = reader.Fixed<TreeHash>();
    if (!reader.ok() || dep.length == 0 || index >= known + draft.new_writers.size() ||
        (previous.has_value() && index <= *previous)) {
      return false;
    }
    previous = index;
    if (index >= known) ++new_used;
    dep.writer = index < known ? writers_[index] : draft.new_writers[index - known];
    envelope.deps.push_back(dep);
    draft.dep_indexes.push_back(static_cast<std::uint32_t>(index));
  }
  return new_used == draft.new_writers.size();
}

void LogState::Adopt(const Draft& draft) {
  for (const CoreKey& key : draft.new_writers) {
    writer_index_.emplace(key, static_cast<std::uint32_t>(writers_.size()));
    writers_.push_back(key);
    named_.push_back(0);
  }
  for (const OpId& grant : draft.new_grants) {
    grant_index_.emplace(grant, static_cast<std::uint32_t>(grants_.size()));
    grants_.push_back(grant);
  }
  for (std::size_t i = 0; i < draft.dep_indexes.size(); ++i) {
    std::uint64_t& named = named_[draft.dep_indexes[i]];
    named = std::max(named, draft.envelope.deps[i].length);
  }
  last_hlc_ = std::max(last_hlc_, draft.envelope.hlc);
  if (draft.envelope.kind == BlockKind::kAuth) last_auth_ = position_;
}

// Rule D8: the place of the block in its batch, whatever else is wrong with it.
// A count beyond the limit opens nothing: whoever holds an open batch keeps its blocks.
void LogState::Number(const Limits& limits, BlockHeader& header) {
  const bool open = batch_next_ > 0;
  bool continues = false;
  bool starts = false;
  if (header.envelope.has_value()) {
    const Envelope& envelope = *header.envelope;
    continues = open && envelope.batch_index == batch_next_ &&
                envelope.batch_count == batch_count_;
    starts = !continues && envelope.batch_index == 0 && envelope.batch_count > 0 &&
             envelope.batch_count <= limits.batch_blocks;
  }
  header.breaks_open_batch = open && !continues;
  header.in_batch = continues || starts;
  if (!header.in_batch) {
    batch_next_ = 0;
    if (header.envelope.has_value()) {
      MarkInvalid(
          header,
          absl::StrFormat("block %d of a batch of %d follows no such batch",
                          header.envelope->batch_index, header.envelope->batch_count));
    }
    return;
  }
  batch_count_ = header.envelope->batch_count;
  batch_next_ = header.envelope->batch_index + 1;
  header.ends_batch = batch_next_ == batch_count_;
  if (header.ends_batch) batch_next_ = 0;
}

void LogState::CheckRules(const Limits& limits, std::size_t block_size,
                          BlockHeader& header) const {
  const Envelope& envelope = *header.envelope;
  if (envelope.flags != 0) {
    MarkInvalid(header, absl::StrFormat("unknown flags %d", envelope.flags));
  }
  if (block_size > limits.block_bytes) {
    MarkInvalid(header, absl::StrFormat("%d bytes, and the limit is %d", block_size,
                                        limits.block_bytes));
  }
  if (envelope.batch_count > limits.batch_blocks) {
    MarkInvalid(header, absl::StrFormat("a batch of %d blocks, and the limit is %d",
                                        envelope.batch_count, limits.batch_blocks));
  }
  if (envelope.deps.size() > limits.deps) {
    MarkInvalid(header, absl::StrFormat("%d deps, and the limit is %d",
                                        envelope.deps.size(), limits.deps));
  }
  if (position_ > 0 && envelope.hlc <= last_hlc_) {
    MarkInvalid(header, "the stamp is not above that of the log's earlier blocks");
  }
  if (envelope.last_auth != last_auth_) {
    MarkInvalid(header, "last_auth is not the position of the previous auth block");
  }
  if (envelope.kind == BlockKind::kIncarnation && position_ != 0) {
    MarkInvalid(header, "an incarnation certificate beyond block 0");
  }
}

BlockHeader LogState::Read(ByteView block, const Limits& limits) {
  BlockHeader header;
  header.position = position_;
  Reader reader(block);
  const std::uint8_t format = reader.U8();
  Draft draft;
  const bool parsed = reader.ok() && Parse(reader, draft);
  if (parsed) {
    header.payload_offset = reader.position();
    header.envelope = draft.envelope;
    const auto named_before = named(draft.envelope.cite.writer);
    header.envelope->cite_named = named_before;
    for (const Dep& dep : draft.envelope.deps) {
      if (dep.writer == draft.envelope.cite.writer) {
        header.envelope->cite_named = std::max(named_before, dep.length);
      }
    }
    if (draft.envelope.cite.writer == writer_) header.envelope->cite_named = position_;
  }
  if (!block.empty() && format != kBlockFormat) {
    Park(position_);
    header.reason = absl::StrFormat("format %d", format);
  } else if (parsed && draft.envelope.sem_version != kSemVersionKnown) {
    Park(position_);
    header.reason = absl::StrFormat("sem_version %d", draft.envelope.sem_version);
  } else if (parsed && !IsKnown(draft.envelope.kind)) {
    Park(position_);
    header.reason = absl::StrFormat("kind %d", static_cast<int>(draft.envelope.kind));
  }
  if (parked_.has_value()) {
    header.state = BlockState::kParked;
    if (header.reason.empty()) {
      header.reason = absl::StrFormat("parked since block %d", *parked_);
    }
  } else if (!parsed) {
    MarkInvalid(header, "the envelope cannot be decoded");
  } else {
    CheckRules(limits, block.size(), header);
  }
  if (header.state != BlockState::kParked) Number(limits, header);
  if (parsed) Adopt(draft);
  ++position_;
  return header;
}

absl::StatusOr<Bytes> EncodeEnvelope(const LogState& log, const Envelope& envelope,
                                     const Limits& limits) {
  std::vector<CoreKey> new_writers;
  std::vector<std::pair<std::uint64_t, const Dep*>> ordered;
  for (const Dep& dep : envelope.deps) {
    const auto known = log.writer_index_.find(dep.writer);
    const bool repeated = std::find(new_writers.begin(), new_writers.end(),
                                    dep.writer) != new_writers.end();
    if (dep.writer == log.writer_ || dep.length == 0 || repeated) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "block %d: a dep on the own log, of length 0, or twice on one writer",
          log.position_));
    }
    std::uint64_t index = log.writers_.size() + new_writers.size();
    if (known != log.writer_index_.end()) {
      index = known->second;
    } else {
      new_writers.push_back(dep.writer);
    }
    ordered.emplace_back(index, &dep);
  }
  std::sort(ordered.begin(), ordered.end());
  const auto cited = log.grant_index_.find(envelope.cite);
  const bool new_grant = cited == log.grant_index_.end();

  Bytes out;
  Writer writer(&out);
  writer.U8(kBlockFormat);
  writer.U8(static_cast<std::uint8_t>(envelope.kind));
  writer.Uint(envelope.sem_version);
  writer.U8(envelope.flags);
  writer.Uint(envelope.batch_index);
  writer.Uint(envelope.batch_count);
  writer.Uint(envelope.hlc.ms);
  writer.Uint(envelope.hlc.counter);
  writer.Uint(new_grant ? log.grants_.size() : cited->second);
  writer.Uint(log.last_auth_.has_value() ? *log.last_auth_ + 1 : 0);
  writer.Uint(new_writers.size());
  for (const CoreKey& key : new_writers) writer.Raw(key.view());
  writer.Uint(new_grant ? 1 : 0);
  if (new_grant) {
    writer.Raw(envelope.cite.writer.view());
    writer.Uint(envelope.cite.position);
    writer.Uint(envelope.cite.op_index);
  }
  writer.Uint(ordered.size());
  for (const auto& [index, dep] : ordered) {
    writer.Uint(index);
    writer.Uint(dep->length);
    writer.Raw(dep->tree_hash.view());
  }

  WEFT_RETURN_IF_ERROR(log.CheckNext(out, limits));
  return out;
}

// What the log would not accept is not signed.
absl::Status LogState::CheckNext(ByteView block, const Limits& limits) const {
  Draft draft;
  Reader reader(block.subspan(1));
  BlockHeader header;
  if (!Parse(reader, draft)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "block %d: a stamp out of range, or more than 64 deps", position_));
  }
  header.envelope = std::move(draft.envelope);
  CheckRules(limits, block.size(), header);
  const Envelope& envelope = *header.envelope;
  const bool next = envelope.batch_index == batch_next_ &&
                    (batch_next_ == 0 || envelope.batch_count == batch_count_) &&
                    envelope.batch_index < envelope.batch_count;
  if (header.state != BlockState::kValid || !next) {
    return absl::InvalidArgumentError(
        absl::StrFormat("block %d: %s", position_,
                        next ? header.reason : "not the next block of its batch"));
  }
  return absl::OkStatus();
}

Bytes LogState::Save() const {
  Bytes out;
  Writer writer(&out);
  writer.Uint(position_);
  writer.Uint(last_hlc_.ms);
  writer.Uint(last_hlc_.counter);
  writer.Uint(last_auth_.has_value() ? *last_auth_ + 1 : 0);
  writer.Uint(parked_.has_value() ? *parked_ + 1 : 0);
  writer.Uint(batch_next_);
  writer.Uint(batch_count_);
  writer.Uint(auth_ops_);
  writer.Uint(writers_.size());
  for (std::size_t i = 0; i < writers_.size(); ++i) {
    writer.Raw(writers_[i].view());
    writer.Uint(named_[i]);
  }
  writer.Uint(grants_.size());
  for (const OpId& grant : grants_) {
    writer.Raw(grant.writer.view());
    writer.Uint(grant.position);
    writer.Uint(grant.op_index);
  }
  return out;
}

absl::StatusOr<LogState> LogState::Restore(const CoreKey& writer, ByteView saved) {
  LogState log(writer);
  Reader reader(saved);
  log.position_ = reader.Uint();
  log.last_hlc_.ms = reader.Uint();
  log.last_hlc_.counter = static_cast<std::uint32_t>(reader.Uint());
  if (const std::uint64_t value = reader.Uint(); value > 0) log.last_auth_ = value - 1;
  if (const std::uint64_t value = reader.Uint(); value > 0) log.parked_ = value - 1;
  log.batch_next_ = reader.Uint();
  log.batch_count_ = reader.Uint();
  log.auth_ops_ = reader.Uint();
  const std::size_t writers = reader.Count(CoreKey::kSize + 1);
  for (std::size_t i = 0; i < writers; ++i) {
    log.writers_.push_back(reader.Fixed<CoreKey>());
    log.named_.push_back(reader.Uint());
    log.writer_index_.emplace(log.writers_.back(), static_cast<std::uint32_t>(i));
  }
  const std::size_t grants = reader.Count(CoreKey::kSize + 2);
  for (std::size_t i = 0; i < grants; ++i) {
    const CoreKey key = reader.Fixed<CoreKey>();
    const std::uint64_t position = reader.Uint();
    log.grants_.push_back({key, position, static_cast<std::uint32_t>(reader.Uint())});
    log.grant_index_.emplace(log.grants_.back(), static_cast<std::uint32_t>(i));
  }
  if (!reader.ok() || !reader.done()) {
    return absl::DataLossError("log state: the saved bytes are damaged");
  }
  return log;
}

}  // namespace weft
