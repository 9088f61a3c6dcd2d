#include "crdt/identity.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_format.h"
#include "engine/codec.h"
#include "engine/text.h"

namespace weft {
namespace {

absl::Status Refuse(std::string_view what) {
  return absl::InvalidArgumentError(ToAbsl("identity: " + std::string(what)));
}

constexpr std::size_t kManifestBytesMax = 64 + 65 * kIdentitySignersMax;

}  // namespace

Hash32 IdentityNamespace(const Salt& salt) {
  return Blake2b256({AsBytes("weft identity 1"), salt.view()});
}

Manifest IdentityManifest(const Salt& salt, std::span<const PublicKey> signers,
                          std::uint64_t quorum) {
  Manifest manifest;
  manifest.version = 1;
  manifest.quorum = quorum;
  const Hash32 name_space = IdentityNamespace(salt);
  for (const PublicKey& key : signers) manifest.signers.push_back({name_space, key});
  return manifest;
}

IdentityKeys MakeIdentity(const Salt& salt, Random& random) {
  Seed seed = RandomSeed(random);
  IdentityKeys keys;
  keys.pair = KeyPairFromSeed(seed);
  Wipe(seed.bytes);
  keys.manifest = IdentityManifest(salt, std::span(&keys.pair.public_key, 1), 1);
  return keys;
}

absl::Status CheckIdentityManifest(const Salt& salt, const Manifest& manifest) {
  const std::size_t count = manifest.signers.size();
  if (manifest.compat || manifest.version != 1)
    return Refuse("manifest is not version 1");
  if (count == 0 || count > kIdentitySignersMax) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "identity: %d signers, not 1 to %d", count, kIdentitySignersMax));
  }
  if (manifest.quorum == 0 || manifest.quorum > count) {
    return absl::InvalidArgumentError(
        absl::StrFormat("identity: quorum %d of %d signers", manifest.quorum, count));
  }
  if (manifest.allow_patch || manifest.prologue.has_value() ||
      manifest.linked.has_value() || manifest.user_data.has_value()) {
    return Refuse("manifest with patches, prologue, links or user data");
  }
  const Hash32 name_space = IdentityNamespace(salt);
  std::set<PublicKey> seen;
  for (const Signer& signer : manifest.signers) {
    if (signer.name_space != name_space) return Refuse("a signer of another base");
    if (!seen.insert(signer.public_key).second) return Refuse("a signer twice");
  }
  return absl::OkStatus();
}

Bytes EncodeIncarnation(const Incarnation& incarnation) {
  Bytes out;
  Writer writer(&out);
  writer.Raw(incarnation.identity.view());
  writer.Buffer(EncodeManifest(incarnation.manifest));
  writer.Uint(incarnation.number);
  writer.Raw(incarnation.prev_core.view());
  writer.Uint(incarnation.prev_length);
  writer.Raw(incarnation.prev_tree_hash.view());
  writer.Uint(incarnation.signatures.size());
  for (const IncarnationSignature& signature : incarnation.signatures) {
    writer.Uint(signature.signer);
    writer.Raw(signature.signature.view());
  }
  return out;
}

absl::StatusOr<Incarnation> DecodeIncarnation(ByteView payload) {
  Reader reader(payload);
  Incarnation result;
  result.identity = reader.Fixed<CoreKey>();
  const ByteView manifest = reader.Buffer();
  result.number = reader.CanonicalUint();
  result.prev_core = reader.Fixed<CoreKey>();
  result.prev_length = reader.CanonicalUint();
  result.prev_tree_hash = reader.Fixed<TreeHash>();
  const std::uint64_t count = reader.CanonicalUint();
  if (!reader.ok() || manifest.size() > kManifestBytesMax ||
      count > kIdentitySignersMax) {
    return Refuse("incarnation is cut short or names too many signers");
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t signer = reader.CanonicalUint();
    result.signatures.push_back({signer, reader.Fixed<Signature>()});
  }
  if (!reader.ok() || !reader.done()) {
    return Refuse("incarnation is cut short or has bytes after its end");
  }
  WEFT_ASSIGN_OR_RETURN(result.manifest, DecodeManifest(manifest));
  // One form only: whatever else stood there decodes to something shorter or longer.
  if (EncodeIncarnation(result) != ToBytes(payload)) {
    return Refuse("incarnation is not in its canonical form");
  }
  return result;
}

Bytes IncarnationSignable(const BaseId& base_id, const CoreKey& core,
                          const Incarnation& incarnation) {
  Bytes message = ToBytes("weft incarnation");
  Writer writer(&message);
  writer.Raw(base_id.view());
  writer.U64(incarnation.number);
  writer.Raw(core.view());
  writer.Raw(incarnation.prev_core.view());
  writer.U64(incarnation.prev_length);
  writer.Raw(incarnation.prev_tree_hash.view());
  return message;
}

absl::Status VerifyIncarnation(const BaseId& base_id, const Salt& salt,
                               const CoreKey& core, const Incarnation& incarnation) {
  if (incarnation.number == 0) return Refuse("incarnation 0 has no certificate");
  WEFT_RETURN_IF_ERROR(CheckIdentityManifest(salt, incarnation.manifest));
  if (KeyOf(incarnation.manifest) != incarnation.identity) {
    return Refuse("incarnation shows the manifest of somebody else");
  }
  const std::uint64_t quorum = incarnation.manifest.quorum;
  if (incarnation.signatures.size() != quorum) {
    return absl::InvalidArgumentError(
        absl::StrFormat("identity: incarnation has %d signatures, and the quorum is %d",
                        incarnation.signatures.size(), quorum));
  }
  const Bytes message = IncarnationSignable(base_id, core, incarnation);
  for (std::size_t i = 0; i < quorum; ++i) {
    const IncarnationSignature& entry = incarnation.signatures[i];
    if (entry.signer >= incarnation.manifest.signers.size() ||
        (i > 0 && entry.signer <= incarnation.signatures[i - 1].signer)) {
      return Refuse("incarnation names its signers out of order or a foreign one");
    }
    const PublicKey& key = incarnation.manifest.signers[entry.signer].public_key;
    if (!Verify(key, message, entry.signature)) {
      return absl::DataLossError(absl::StrFormat(
          "identity: signature %d of the incarnation does not hold", i));
    }
  }
  return absl::OkStatus();
}

}  // namespace weft
