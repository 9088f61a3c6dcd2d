#include "crdt/auth_operation.h"

#include "absl/strings/str_format.h"
#include "crdt/auth_tags.h"
#include "crdt/operation.h"
#include "operation_generated.h"

namespace weft {
namespace {

absl::Status CheckScope(std::string_view what, ByteView scope, const Limits& limits) {
  if (scope.size() <= limits.key_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: a scope of %d bytes, and the limit is %d", what,
                      scope.size(), limits.key_bytes));
}

absl::Status CheckRange(std::uint64_t from, std::uint64_t to) {
  if (from < to) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("blocks %d to %d: there are none", from, to));
}

struct Checker {
  const Limits& limits;

  absl::Status operator()(const GrantOp& op) const {
    if (op.role > GrantRole::kAdmin) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "grant: role %d cannot be granted", static_cast<int>(op.role)));
    }
    return CheckScope("grant", op.scope, limits);
  }
  absl::Status operator()(const RevokeOp& op) const {
    if (op.reason.size() <= kReasonBytesMax) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrFormat("revoke: a reason of %d bytes, and the limit is %d",
                        op.reason.size(), kReasonBytesMax));
  }
  absl::Status operator()(const InviteOp& op) const {
    if (op.role > GrantRole::kWriter) {
      return absl::InvalidArgumentError(
          absl::StrFormat("invite: cannot give role %d", static_cast<int>(op.role)));
    }
    if (op.uses == 0) return absl::InvalidArgumentError("invite: for nobody");
    return CheckScope("invite", op.scope, limits);
  }
  absl::Status operator()(const RedeemOp&) const { return absl::OkStatus(); }
  absl::Status operator()(const VerdictOp& op) const {
    return CheckRange(op.from, op.to);
  }
  absl::Status operator()(const HideOp& op) const {
    if (!op.ops.empty()) return absl::OkStatus();
    WEFT_RETURN_IF_ERROR(CheckScope("hide", op.prefix, limits));
    return CheckRange(op.from, op.to);
  }
};

struct Sizer {
  std::size_t operator()(const GrantOp& op) const { return 54 + op.scope.size(); }
  std::size_t operator()(const RevokeOp& op) const {
    return 64 + 40 * op.keep.size() + op.reason.size();
  }
  std::size_t operator()(const InviteOp& op) const { return 54 + op.scope.size(); }
  std::size_t operator()(const RedeemOp&) const { return 150; }
  std::size_t operator()(const VerdictOp&) const { return 82; }
  std::size_t operator()(const HideOp& op) const {
    return 54 + 48 * op.ops.size() + op.prefix.size();
  }
};

// A member per column.
class AuthWriter {
 public:
  void Add(const AuthOperation& operation) {
    ops_.push_back(static_cast<std::uint8_t>(TypeOf(operation)));
    std::visit(*this, operation);
  }

  void operator()(const GrantOp& op) {
    flags_.push_back(op.may_delegate ? kMayDelegate : 0);
    Append(keys_, op.identity.view());
    numbers_.push_back(static_cast<std::uint64_t>(op.role));
    numbers_.push_back(op.forks);
    AddSized(op.scope);
  }
  void operator()(const RevokeOp& op) {
    flags_.push_back(op.subtree ? kSubtree : 0);
    AddOpId(op.grant);
    numbers_.push_back(op.keep.size());
    for (const KeptLength& kept : op.keep) {
      Append(keys_, kept.log.view());
      numbers_.push_back(kept.length);
    }
    AddSized(op.reason);
  }
  void operator()(const InviteOp& op) {
    flags_.push_back(0);
    Append(keys_, op.key.view());
    numbers_.push_back(static_cast<std::uint64_t>(op.role));
    numbers_.push_back(op.uses);
    AddSized(op.scope);
  }
  void operator()(const RedeemOp& op) {
    flags_.push_back(0);
    AddOpId(op.invite);
    Append(keys_, op.identity.view());
    AddSized(op.signature.view());
  }
  void operator()(const VerdictOp& op) {
    flags_.push_back(0);
    Append(keys_, op.log.view());
    Append(keys_, op.tree_hash.view());
    numbers_.push_back(op.from);
    numbers_.push_back(op.to);
  }
  void operator()(const HideOp& op) {
    flags_.push_back(op.ops.empty() ? kRange : 0);
    if (op.ops.empty()) {
      Append(keys_, op.log.view());
      numbers_.push_back(op.from);
      numbers_.push_back(op.to);
      AddSized(op.prefix);
      return;
    }
    numbers_.push_back(op.ops.size());
    for (const OpId& id : op.ops) AddOpId(id);
  }

  Bytes Finish() {
    flatbuffers::FlatBufferBuilder builder(1024);
    builder.Finish(wire::CreateAuthPayloadDirect(builder, &ops_, &flags_, &keys_,
                                                 &numbers_, &sizes_, &heap_));
    return ToBytes(ByteView(builder.GetBufferPointer(), builder.GetSize()));
  }

 private:
  void AddOpId(const OpId& id) {
    Append(keys_, id.writer.view());
    numbers_.push_back(id.position);
    numbers_.push_back(id.op_index);
  }
  void AddSized(ByteView bytes) {
    sizes_.push_back(static_cast<std::uint32_t>(bytes.size()));
    Append(heap_, bytes);
  }

  std::vector<std::uint8_t> ops_;
  std::vector<std::uint8_t> flags_;
  Bytes keys_;
  std::vector<std::uint64_t> numbers_;
  std::vector<std::uint32_t> sizes_;
  Bytes heap_;
};

}  // namespace

AuthOpType TypeOf(const AuthOperation& operation) {
  struct Typer {
    AuthOpType operator()(const GrantOp&) const { return AuthOpType::kGrant; }
    AuthOpType operator()(const RevokeOp&) const { return AuthOpType::kRevoke; }
    AuthOpType operator()(const InviteOp&) const { return AuthOpType::kInvite; }
    AuthOpType operator()(const RedeemOp&) const { return AuthOpType::kRedeem; }
    AuthOpType operator()(const VerdictOp& op) const { return op.type; }
    AuthOpType operator()(const HideOp& op) const {
      return op.hide ? AuthOpType::kHide : AuthOpType::kUnhide;
    }
  };
  return std::visit(Typer(), operation);
}

Bytes RedeemSignable(ByteView base_id, const CoreKey& identity) {
  Bytes message = ToBytes(base_id);
  Append(message, identity.view());
  return message;
}

absl::Status CheckOperation(const AuthOperation& operation, const Limits& limits) {
  return std::visit(Checker{limits}, operation);
}

std::size_t EncodedSizeMax(const AuthOperation& operation) {
  return std::visit(Sizer(), operation);
}

Bytes EncodePayload(std::span<const AuthOperation> operations) {
  AuthWriter writer;
  for (const AuthOperation& operation : operations) writer.Add(operation);
  return writer.Finish();
}

}  // namespace weft
