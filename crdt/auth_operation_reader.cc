#include "crdt/auth_operation_reader.h"

#include "absl/strings/str_format.h"
#include "crdt/auth_tags.h"

namespace weft {
namespace {

constexpr char kShort[] = "columns shorter than the operations need";
constexpr char kFlags[] = "unknown flags";

}  // namespace

AuthReader::AuthReader(const wire::AuthPayload& wire, const Limits& limits)
    : ops_(Column(wire.ops())),
      flag_column_(Column(wire.flags())),
      flags_(flag_column_),
      keys_(Column(wire.keys())),
      numbers_(Column(wire.numbers())),
      sizes_(Column(wire.sizes())),
      heap_(Column(wire.heap())),
      limits_(limits) {}

std::string AuthReader::FindUnknown() const {
  for (std::size_t i = 0; i < ops_.size(); ++i) {
    if (ops_[i] < static_cast<std::uint8_t>(AuthOpType::kGrant) ||
        ops_[i] > kLastBuiltAuthOp) {
      return absl::StrFormat("auth op type %d", ops_[i]);
    }
    // One flag byte an op: a column of another length is found to be wrong later.
    if (ops_[i] == static_cast<std::uint8_t>(AuthOpType::kGrant) &&
        i < flag_column_.size() && (flag_column_[i] & kIndexer) != 0) {
      return "a grant to an indexer";
    }
  }
  return {};
}

std::string AuthReader::Read(Payload& payload) {
  if (ops_.empty()) return "no operations";
  if (ops_.size() > limits_.batch_ops) {
    return absl::StrFormat("%d operations, and the limit is %d", ops_.size(),
                           limits_.batch_ops);
  }
  payload.auth_operations.reserve(ops_.size());
  for (std::size_t i = 0; i < ops_.size(); ++i) {
    AuthOperation operation;
    std::string error = ReadOp(static_cast<AuthOpType>(ops_[i]), &operation);
    if (error.empty() && !intact()) error = kShort;
    if (!error.empty()) return absl::StrFormat("op %d: %s", i, error);
    payload.auth_operations.push_back(std::move(operation));
  }
  const bool exact = flags_.exact() && keys_.exact() && numbers_.exact() &&
                     sizes_.exact() && heap_.exact();
  return exact ? "" : "columns longer than the operations use";
}

std::string AuthReader::ReadOp(AuthOpType type, AuthOperation* operation) {
  const std::uint8_t flags = flags_.Next();
  switch (type) {
    case AuthOpType::kGrant:
      return ReadGrant(flags, operation);
    case AuthOpType::kRevoke:
      return ReadRevoke(flags, operation);
    case AuthOpType::kInvite:
      return flags == 0 ? ReadInvite(operation) : kFlags;
    case AuthOpType::kRedeem:
      return flags == 0 ? ReadRedeem(operation) : kFlags;
    case AuthOpType::kAccept:
    case AuthOpType::kReject:
    case AuthOpType::kAdmit:
      return flags == 0 ? ReadVerdict(type, operation) : kFlags;
    case AuthOpType::kHide:
    case AuthOpType::kUnhide:
      return ReadHide(flags, type == AuthOpType::kHide, operation);
    default:
      return "an operation that is not built";  // FindUnknown has parked it
  }
}

bool AuthReader::intact() const {
  return flags_.ok() && keys_.ok() && numbers_.ok() && sizes_.ok() && heap_.ok();
}

template <class Key>
Key AuthReader::ReadKey() {
  const ByteView bytes = keys_.Take(Key::kSize);
  return Key::From(bytes).value_or(Key());
}

bool AuthReader::ReadOpId(const CoreKey& writer, OpId* id) {
  id->writer = writer;
  id->position = numbers_.Next();
  const std::uint64_t op_index = numbers_.Next();
  id->op_index = static_cast<std::uint32_t>(op_index);
  return op_index <= UINT32_MAX;
}

std::string AuthReader::ReadGrant(std::uint8_t flags, AuthOperation* operation) {
  GrantOp grant;
  grant.identity = ReadKey<CoreKey>();
  const std::uint64_t role = numbers_.Next();
  const std::uint64_t forks = numbers_.Next();
  grant.scope = heap_.Take(sizes_.Next());
  if (!intact()) return kShort;
  if ((flags & ~kMayDelegate) != 0) return kFlags;
  if (role > static_cast<std::uint64_t>(GrantRole::kAdmin)) {
    return absl::StrFormat("role %d cannot be granted", role);
  }
  if (forks > UINT32_MAX) return "more forks than can be";
  if (grant.scope.size() > limits_.key_bytes) {
    return absl::StrFormat("a scope of %d bytes", grant.scope.size());
  }
  grant.role = static_cast<GrantRole>(role);
  grant.may_delegate = (flags & kMayDelegate) != 0;
  grant.forks = static_cast<std::uint32_t>(forks);
  *operation = grant;
  return {};
}

std::string AuthReader::ReadRevoke(std::uint8_t flags, AuthOperation* operation) {
  RevokeOp revoke;
  const auto writer = ReadKey<CoreKey>();
  const bool index_ok = ReadOpId(writer, &revoke.grant);
  const std::uint64_t count = numbers_.Next();
  if (count > keys_.left() / CoreKey::kSize || count > numbers_.left()) return kShort;
  revoke.keep.resize(static_cast<std::size_t>(count));
  for (KeptLength& kept : revoke.keep) kept.log = ReadKey<CoreKey>();
  for (KeptLength& kept : revoke.keep) kept.length = numbers_.Next();
  revoke.reason = heap_.Take(sizes_.Next());
  if (!intact()) return kShort;
  if ((flags & ~kSubtree) != 0) return kFlags;
  if (!index_ok) return "an op index out of range";
  revoke.subtree = (flags & kSubtree) != 0;
  *operation = std::move(revoke);
  return {};
}

std::string AuthReader::ReadInvite(AuthOperation* operation) {
  InviteOp invite;
  invite.key = ReadKey<PublicKey>();
  const std::uint64_t role = numbers_.Next();
  invite.uses = numbers_.Next();
  invite.scope = heap_.Take(sizes_.Next());
  if (!intact()) return kShort;
  if (role > static_cast<std::uint64_t>(GrantRole::kWriter)) {
    return absl::StrFormat("an invite cannot give role %d", role);
  }
  if (invite.uses == 0) return "an invite for nobody";
  if (invite.scope.size() > limits_.key_bytes) {
    return absl::StrFormat("a scope of %d bytes", invite.scope.size());
  }
  invite.role = static_cast<GrantRole>(role);
  *operation = invite;
  return {};
}

std::string AuthReader::ReadRedeem(AuthOperation* operation) {
  RedeemOp redeem;
  const auto writer = ReadKey<CoreKey>();
  redeem.identity = ReadKey<CoreKey>();
  const bool index_ok = ReadOpId(writer, &redeem.invite);
  const ByteView signature = heap_.Take(sizes_.Next());
  if (!intact()) return kShort;
  if (!index_ok) return "an op index out of range";
  if (signature.size() != Signature::kSize) {
    return absl::StrFormat("a signature of %d bytes", signature.size());
  }
  redeem.signature = *Signature::From(signature);
  *operation = redeem;
  return {};
}

std::string AuthReader::ReadVerdict(AuthOpType type, AuthOperation* operation) {
  VerdictOp verdict;
  verdict.type = type;
  verdict.log = ReadKey<CoreKey>();
  verdict.tree_hash = ReadKey<TreeHash>();
  verdict.from = numbers_.Next();
  verdict.to = numbers_.Next();
  if (!intact()) return kShort;
  if (verdict.from >= verdict.to) return "a range without blocks";
  *operation = verdict;
  return {};
}

std::string AuthReader::ReadHide(std::uint8_t flags, bool hide,
                                 AuthOperation* operation) {
  HideOp op;
  op.hide = hide;
  if ((flags & ~kRange) != 0) return kFlags;
  if ((flags & kRange) != 0) {
    op.log = ReadKey<CoreKey>();
    op.from = numbers_.Next();
    op.to = numbers_.Next();
    op.prefix = heap_.Take(sizes_.Next());
    if (!intact()) return kShort;
    if (op.from >= op.to) return "a range without blocks";
    if (op.prefix.size() > limits_.key_bytes) {
      return absl::StrFormat("a prefix of %d bytes", op.prefix.size());
    }
  } else {
    const std::uint64_t count = numbers_.Next();
    if (count > keys_.left() / CoreKey::kSize || count > numbers_.left() / 2) {
      return kShort;
    }
    if (count == 0) return "names no op";
    op.ops.resize(static_cast<std::size_t>(count));
    op.ops_named.resize(op.ops.size());
    for (OpId& id : op.ops) id.writer = ReadKey<CoreKey>();
    for (OpId& id : op.ops) {
      if (!ReadOpId(id.writer, &id)) return "an op index out of range";
    }
  }
  *operation = std::move(op);
  return {};
}

}  // namespace weft
