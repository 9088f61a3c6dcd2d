#include "crdt/genesis.h"

#include <set>

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "engine/text.h"

namespace weft {
namespace {

constexpr std::uint8_t kGenesisFormat = 1;

// The order of limits in the bytes, which is that of the struct.
constexpr std::array kLimitFields = {
    &Limits::key_bytes,         &Limits::value_bytes,         &Limits::column_bytes,
    &Limits::cells_per_op,      &Limits::block_bytes,         &Limits::batch_ops,
    &Limits::batch_bytes,       &Limits::batch_blocks,        &Limits::deps,
    &Limits::members,           &Limits::auth_ops_per_writer, &Limits::delegation_depth,
    &Limits::siblings_reported,
};
constexpr std::array<const char*, kLimitFields.size()> kLimitNames = {
    "key bytes",         "value bytes",   "column bytes",        "cells per op",
    "block bytes",       "ops per batch", "batch bytes",         "blocks per batch",
    "deps per block",    "members",       "auth ops per writer", "delegation depth",
    "siblings reported",
};

absl::Status Refuse(std::string_view what) {
  return absl::InvalidArgumentError(ToAbsl("genesis: " + std::string(what)));
}

absl::Status CheckLimits(const Limits& limits) {
  const Limits hard;
  for (std::size_t i = 0; i < kLimitFields.size(); ++i) {
    const std::uint64_t value = limits.*kLimitFields[i];
    const std::uint64_t max = hard.*kLimitFields[i];
    if (value == 0 || value > max) {
      return absl::InvalidArgumentError(
          absl::StrFormat("genesis: limit of %s is %d, and may be 1 to %d",
                          kLimitNames[i], value, max));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPolicies(std::uint8_t witness, std::uint8_t encryption,
                           std::uint8_t quorum) {
  const std::pair<const char*, std::uint8_t> policies[] = {
      {"witness", witness}, {"encryption", encryption}, {"quorum", quorum}};
  for (const auto& [name, value] : policies) {
    if (value != 0) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "genesis: %s policy %d needs a newer program; this one knows 0", name,
          value));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Salt RandomSalt(Random& random) {
  Salt salt;
  random.Fill(salt.bytes);
  return salt;
}

absl::Status CheckGenesis(const Genesis& genesis) {
  if (genesis.sem_version != kSemVersion) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "genesis: sem_version %d needs a newer program; this one knows %d",
        genesis.sem_version, kSemVersion));
  }
  if (genesis.founders.empty() || genesis.founders.size() > kFoundersMax) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "genesis: %d founders, not 1 to %d", genesis.founders.size(), kFoundersMax));
  }
  std::set<CoreKey> seen;
  for (const Manifest& founder : genesis.founders) {
    WEFT_RETURN_IF_ERROR(CheckIdentityManifest(genesis.salt, founder));
    if (!seen.insert(KeyOf(founder)).second) return Refuse("a founder twice");
  }
  WEFT_RETURN_IF_ERROR(CheckLimits(genesis.limits));
  if (genesis.founders.size() > genesis.limits.members) {
    return Refuse("more founders than members allowed");
  }
  if (genesis.name.size() > kBaseNameBytesMax || !IsUtf8(AsBytes(genesis.name))) {
    return Refuse("the name is not UTF-8 of at most 256 bytes");
  }
  return absl::OkStatus();
}

Bytes EncodeGenesis(const Genesis& genesis) {
  Bytes out;
  Writer writer(&out);
  writer.U8(kGenesisFormat);
  writer.Uint(genesis.sem_version);
  writer.Raw(genesis.salt.view());
  writer.Uint(genesis.founders.size());
  for (const Manifest& founder : genesis.founders)
    writer.Buffer(EncodeManifest(founder));
  for (const auto field : kLimitFields) writer.Uint(genesis.limits.*field);
  for (int policy = 0; policy < 3; ++policy) writer.U8(0);
  writer.Buffer(AsBytes(genesis.name));
  return out;
}

absl::StatusOr<Genesis> DecodeGenesis(ByteView bytes) {
  if (bytes.size() > kGenesisBytesMax) return Refuse("longer than 64 KiB");
  Reader reader(bytes);
  const std::uint8_t format = reader.U8();
  Genesis genesis;
  genesis.sem_version = reader.CanonicalUint();
  if (!reader.ok()) return Refuse("cut short");
  if (format != kGenesisFormat || genesis.sem_version != kSemVersion) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "genesis: format %d, sem_version %d need a newer program; this one knows 1, 1",
        format, genesis.sem_version));
  }
  genesis.salt = reader.Fixed<Salt>();
  const std::uint64_t founders = reader.CanonicalUint();
  for (std::uint64_t i = 0; reader.ok() && i < founders; ++i) {
    const ByteView manifest = reader.Buffer();
    if (!reader.ok() || i >= kFoundersMax) break;
    WEFT_ASSIGN_OR_RETURN(genesis.founders.emplace_back(), DecodeManifest(manifest));
  }
  if (genesis.founders.size() != founders) return Refuse("founders are cut short");
  for (const auto field : kLimitFields) genesis.limits.*field = reader.CanonicalUint();
  const std::uint8_t witness = reader.U8();
  const std::uint8_t encryption = reader.U8();
  const std::uint8_t quorum = reader.U8();
  genesis.name = AsText(reader.Buffer());
  if (!reader.ok() || !reader.done())
    return Refuse("cut short, or bytes after its end");
  WEFT_RETURN_IF_ERROR(CheckPolicies(witness, encryption, quorum));
  WEFT_RETURN_IF_ERROR(CheckGenesis(genesis));
  if (EncodeGenesis(genesis) != ToBytes(bytes)) {
    return Refuse("not in its canonical form");
  }
  return genesis;
}

BaseId BaseIdOf(ByteView genesis_bytes) {
  BaseId id;
  id.bytes = Blake2b256({AsBytes("weft base 1"), genesis_bytes}).bytes;
  return id;
}

DiscoveryKey DiscoveryKeyOf(const BaseId& base_id) {
  CoreKey key;
  key.bytes = base_id.bytes;
  return DiscoveryKeyOf(key);
}

}  // namespace weft
