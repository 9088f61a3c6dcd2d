#include "crdt/authority.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "engine/check.h"
#include "engine/codec.h"

namespace weft {
namespace {

bool Extends(ByteView key, ByteView scope) {
  return key.size() >= scope.size() && Equal(key.first(scope.size()), scope);
}

// Rule P2: why `grant` must not be given under `cited`, or nothing.
std::string RefuseGrant(const Grant& cited, const GrantOp& grant,
                        const Limits& limits) {
  if (cited.role < GrantRole::kAdmin) {
    return absl::StrFormat("the cited grant is to a %s, who cannot grant",
                           RoleText(cited.role));
  }
  if (grant.role > cited.role) {
    return absl::StrFormat("a %s cannot make a %s", RoleText(cited.role),
                           RoleText(grant.role));
  }
  if (!Extends(grant.scope, cited.scope)) {
    return "the scope does not extend that of the cited grant";
  }
  if (grant.role >= GrantRole::kModerator && !cited.may_delegate) {
    return absl::StrFormat("the cited grant may not delegate to a %s",
                           RoleText(grant.role));
  }
  if (cited.path.steps.size() >= limits.delegation_depth) {
    return absl::StrFormat("delegated more than %d deep", limits.delegation_depth);
  }
  return {};
}

// Why `op` is beyond `cited`, or nothing.
std::string RefuseData(const Grant& cited, const Operation& op) {
  if (cited.role < GrantRole::kModerated) return "a reader cannot write";
  if (!Extends(op.key, cited.scope)) {
    return absl::StrFormat("key \"%s\" is outside the scope \"%s\"",
                           AsText(op.key).substr(0, 32),
                           AsText(ByteView(cited.scope)).substr(0, 32));
  }
  return {};
}

// 6.4, "need": why the batch has no authority under `cited`, or nothing.
std::string RefuseBatch(const CoreKey& writer, const Grant& cited,
                        std::span<const DecodedBlock> batch, const Limits& limits) {
  // While there are no later incarnations, an identity's only log has its own key.
  if (cited.identity != writer) return "the cited grant is somebody else's";
  for (const DecodedBlock& block : batch) {
    for (std::size_t i = 0; i < block.payload.operations.size(); ++i) {
      std::string reason = RefuseData(cited, block.payload.operations[i]);
      if (!reason.empty()) return absl::StrFormat("op %d: %s", i, reason);
    }
    for (std::size_t i = 0; i < block.payload.auth_operations.size(); ++i) {
      const auto& grant = std::get<GrantOp>(block.payload.auth_operations[i]);
      std::string reason = RefuseGrant(cited, grant, limits);
      if (!reason.empty()) return absl::StrFormat("op %d: %s", i, reason);
    }
  }
  return {};
}

// The grants that a batch makes, should it be effective.
std::vector<Grant> GrantsIn(const CoreKey& writer, const Grant& cited,
                            std::span<const DecodedBlock> batch) {
  std::vector<Grant> made;
  const std::uint64_t batch_end = batch.back().header.position + 1;
  for (const DecodedBlock& block : batch) {
    const auto& operations = block.payload.auth_operations;
    for (std::size_t i = 0; i < operations.size(); ++i) {
      const auto& op = std::get<GrantOp>(operations[i]);
      Grant grant;
      grant.id = {writer, block.header.position, static_cast<std::uint32_t>(i)};
      grant.identity = op.identity;
      grant.role = op.role;
      grant.scope = ToBytes(op.scope);
      grant.may_delegate = op.may_delegate;
      grant.forks = op.forks;
      grant.path = cited.path;
      grant.path.steps.push_back({0, 0, writer, grant.id.position, grant.id.op_index});
      grant.issued_under = cited.id;
      grant.issuer = writer;
      grant.batch_end = batch_end;
      made.push_back(std::move(grant));
    }
  }
  return made;
}

std::string ShortName(const CoreKey& key) {
  return ToZBase32(key.view()).substr(0, 8);
}

}  // namespace

const char* RoleText(GrantRole role) {
  switch (role) {
    case GrantRole::kReader:
      return "reader";
    case GrantRole::kModerated:
      return "moderated writer";
    case GrantRole::kWriter:
      return "writer";
    case GrantRole::kModerator:
      return "moderator";
    case GrantRole::kAdmin:
      return "admin";
    case GrantRole::kFounder:
      return "founder";
  }
  return "unknown role";
}

Authority::Authority(const Genesis& genesis) : limits_(genesis.limits) {
  for (std::size_t i = 0; i < genesis.founders.size(); ++i) {
    const auto index = static_cast<std::uint32_t>(i);
    Grant grant;
    grant.id = GenesisGrantId(index);
    grant.identity = KeyOf(genesis.founders[i]);
    grant.role = GrantRole::kFounder;
    grant.may_delegate = true;
    grant.path.founder = index;
    grant.issued_under = grant.id;
    Insert(std::move(grant));
  }
}

const Grant* Authority::Insert(Grant grant) {
  auto owned = std::make_unique<Grant>(std::move(grant));
  const Grant* inserted = owned.get();
  by_id_.emplace(inserted->id, std::move(owned));
  by_path_.emplace(inserted->path, inserted);
  auto& held = by_identity_[inserted->identity];
  held.insert(std::upper_bound(
                  held.begin(), held.end(), inserted,
                  [](const Grant* a, const Grant* b) { return a->path < b->path; }),
              inserted);
  auto& ends = batch_ends_[inserted->issuer];
  ends.insert(std::upper_bound(ends.begin(), ends.end(), inserted->batch_end),
              inserted->batch_end);
  return inserted;
}

// Members are counted as grants in the past of the batch, because that is the same on
// every replica whatever else it holds (docs/semantics.md).
bool Authority::ExceedsMembers(std::size_t made, const PastLength& past) const {
  if (made == 0 || by_id_.size() + made <= limits_.members) return false;
  std::uint64_t count = made;
  for (const auto& [issuer, ends] : batch_ends_) {
    if (issuer == CoreKey{}) {
      count += ends.size();
      continue;
    }
    const auto beyond = std::upper_bound(ends.begin(), ends.end(), past(issuer));
    count += static_cast<std::uint64_t>(beyond - ends.begin());
  }
  return count > limits_.members;
}

Verdict Authority::Judge(const CoreKey& writer, std::span<const DecodedBlock> batch,
                         const PastLength& past) {
  WEFT_CHECK(!batch.empty());
  if (absl::Status status = CheckBatch(batch, limits_); !status.ok()) {
    return {Verdict::Kind::kInvalid, std::string(status.message()), {}};
  }
  // A grant that is not named may be here or not yet: one reason for both. What the
  // first block of a batch names, the others name too.
  const Envelope& envelope = *batch.front().header.envelope;
  const Grant* cited = Find(envelope.cite);
  if (cited == nullptr || envelope.cite_named < cited->batch_end) {
    return {Verdict::Kind::kNotAllowed,
            "does not name the batch of an effective grant that it cites",
            {}};
  }
  std::string reason = RefuseBatch(writer, *cited, batch, limits_);
  if (!reason.empty()) return {Verdict::Kind::kNotAllowed, std::move(reason), {}};
  std::vector<Grant> made = GrantsIn(writer, *cited, batch);
  if (ExceedsMembers(made.size(), past)) {
    return {Verdict::Kind::kNotAllowed,
            absl::StrFormat("more than %d grants", limits_.members),
            {}};
  }
  const bool writes = std::any_of(batch.begin(), batch.end(), [](const auto& block) {
    return !block.payload.operations.empty();
  });
  Verdict verdict;
  if (writes && cited->role == GrantRole::kModerated) {
    verdict.kind = Verdict::Kind::kPending;
  }
  for (Grant& grant : made) verdict.granted.push_back(Insert(std::move(grant))->id);
  return verdict;
}

const Grant* Authority::Find(const OpId& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second.get();
}

std::vector<const Grant*> Authority::GrantsOf(const CoreKey& identity) const {
  const auto found = by_identity_.find(identity);
  return found == by_identity_.end() ? std::vector<const Grant*>() : found->second;
}

bool Authority::IsMember(const CoreKey& identity) const {
  return by_identity_.contains(identity);
}

absl::StatusOr<const Grant*> Authority::ChooseGrant(
    const CoreKey& identity, std::span<const Operation> operations) const {
  const Grant* pending = nullptr;
  std::string refusal = "holds no grant here";
  for (const Grant* grant : GrantsOf(identity)) {
    std::string reason;
    for (const Operation& op : operations) {
      reason = RefuseData(*grant, op);
      if (!reason.empty()) break;
    }
    if (!reason.empty()) {
      refusal = std::move(reason);
    } else if (grant->role >= GrantRole::kWriter) {
      return grant;
    } else if (pending == nullptr) {
      pending = grant;
    }
  }
  if (pending != nullptr) return pending;
  return absl::PermissionDeniedError(
      absl::StrFormat("identity %s: %s", ShortName(identity), refusal));
}

absl::StatusOr<const Grant*> Authority::ChooseGrant(
    const CoreKey& identity, std::span<const AuthOperation> operations) const {
  std::string refusal = "holds no grant here";
  for (const Grant* grant : GrantsOf(identity)) {
    std::string reason;
    for (const AuthOperation& operation : operations) {
      reason = RefuseGrant(*grant, std::get<GrantOp>(operation), limits_);
      if (!reason.empty()) break;
    }
    if (reason.empty()) return grant;
    refusal = std::move(reason);
  }
  return absl::PermissionDeniedError(
      absl::StrFormat("identity %s: %s", ShortName(identity), refusal));
}

absl::StatusOr<const Grant*> Authority::ChooseGrant(const CoreKey& identity) const {
  const std::vector<const Grant*> held = GrantsOf(identity);
  if (!held.empty()) return held.front();
  return absl::PermissionDeniedError(
      absl::StrFormat("identity %s: holds no grant here", ShortName(identity)));
}

std::uint64_t Authority::DepNeeded(const Grant& grant, const LogState& log,
                                   bool auth_block) {
  if (grant.is_genesis() || grant.issuer == log.writer()) return 0;
  const bool named = log.named(grant.issuer) >= grant.batch_end;
  return named && !auth_block ? 0 : grant.batch_end;
}

Bytes Authority::EncodeGrant(const Grant& grant) {
  Bytes out;
  Writer writer(&out);
  writer.Raw(grant.id.writer.view());
  writer.Uint(grant.id.position);
  writer.Uint(grant.id.op_index);
  writer.Raw(grant.identity.view());
  writer.U8(static_cast<std::uint8_t>(grant.role));
  writer.Buffer(grant.scope);
  writer.U8(grant.may_delegate ? 1 : 0);
  writer.Uint(grant.forks);
  writer.Raw(grant.issued_under.writer.view());
  writer.Uint(grant.issued_under.position);
  writer.Uint(grant.issued_under.op_index);
  writer.Uint(grant.batch_end);
  return out;
}

absl::Status Authority::RestoreGrant(ByteView saved) {
  const auto read_id = [](Reader& reader) {
    OpId id;
    id.writer = reader.Fixed<CoreKey>();
    id.position = reader.Uint();
    id.op_index = static_cast<std::uint32_t>(reader.Uint());
    return id;
  };
  Reader reader(saved);
  Grant grant;
  grant.id = read_id(reader);
  grant.issuer = grant.id.writer;
  grant.identity = reader.Fixed<CoreKey>();
  grant.role = static_cast<GrantRole>(reader.U8());
  grant.scope = ToBytes(reader.Buffer());
  grant.may_delegate = reader.U8() != 0;
  grant.forks = static_cast<std::uint32_t>(reader.Uint());
  grant.issued_under = read_id(reader);
  grant.batch_end = reader.Uint();
  const Grant* cited = Find(grant.issued_under);
  if (!reader.ok() || !reader.done() || grant.role > GrantRole::kAdmin ||
      cited == nullptr || Find(grant.id) != nullptr) {
    return absl::DataLossError("authority: a saved grant is damaged or out of order");
  }
  grant.path = cited->path;
  grant.path.steps.push_back(
      {0, 0, grant.issuer, grant.id.position, grant.id.op_index});
  Insert(std::move(grant));
  return absl::OkStatus();
}

}  // namespace weft
