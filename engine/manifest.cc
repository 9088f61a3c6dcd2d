#include "engine/manifest.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "engine/check.h"
#include "engine/codec.h"
#include "engine/merkle_tree.h"
#include "engine/namespace.h"

namespace weft {
namespace {

constexpr std::uint64_t kAllowPatch = 1;
constexpr std::uint64_t kHasPrologue = 2;
constexpr std::uint64_t kHasLinked = 4;
constexpr std::uint64_t kHasUserData = 8;
constexpr std::size_t kSignerBytes = 65;

enum LayoutV0 : std::uint64_t { kStatic = 0, kSingle = 1, kMany = 2 };

const Hash32& TreeNamespace() {
  static const Hash32 value = NamespaceOf("hypercore", 0);
  return value;
}

const Hash32& ManifestNamespace() {
  static const Hash32 value = NamespaceOf("hypercore", 3);
  return value;
}

void WriteSigners(Writer& writer, const std::vector<Signer>& signers) {
  for (const Signer& signer : signers) {
    writer.Uint(0);  // Ed25519
    writer.Raw(signer.name_space.view());
    writer.Raw(signer.public_key.view());
  }
}

Signer ReadSigner(Reader& reader) {
  if (reader.Uint() != 0) reader.Fail();
  Signer signer;
  signer.name_space = reader.Fixed<Hash32>();
  signer.public_key = reader.Fixed<PublicKey>();
  return signer;
}

void ReadSigners(Reader& reader, std::vector<Signer>* signers) {
  const std::size_t count = reader.Count(kSignerBytes);
  signers->reserve(count);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    signers->push_back(ReadSigner(reader));
  }
}

void ReadBodyV0(Reader& reader, Manifest* manifest) {
  if (reader.Uint() != 0) reader.Fail();  // BLAKE2b
  manifest->type = reader.Uint();
  switch (manifest->type) {
    case kStatic:
      manifest->quorum = 0;
      manifest->prologue = Prologue{reader.Fixed<TreeHash>(), 0};
      return;
    case kSingle:
      manifest->quorum = 1;
      manifest->signers.push_back(ReadSigner(reader));
      return;
    case kMany: {
      const std::uint64_t flags = reader.Uint();
      if ((flags & ~kAllowPatch) != 0) reader.Fail();
      manifest->allow_patch = (flags & kAllowPatch) != 0;
      manifest->quorum = reader.Uint();
      ReadSigners(reader, &manifest->signers);
      return;
    }
    default:
      reader.Fail();
  }
}

void ReadBody(Reader& reader, Manifest* manifest) {
  const std::uint64_t flags = reader.Uint();
  std::uint64_t known = kAllowPatch | kHasPrologue;
  if (manifest->version >= 2) known |= kHasLinked | kHasUserData;
  if ((flags & ~known) != 0 || reader.Uint() != 0) reader.Fail();
  manifest->allow_patch = (flags & kAllowPatch) != 0;
  manifest->quorum = reader.Uint();
  ReadSigners(reader, &manifest->signers);
  if ((flags & kHasPrologue) != 0) {
    Prologue prologue;
    prologue.tree_hash = reader.Fixed<TreeHash>();
    prologue.length = reader.Uint();
    manifest->prologue = prologue;
  }
  if ((flags & kHasLinked) != 0) {
    std::vector<CoreKey>& linked = manifest->linked.emplace();
    const std::size_t count = reader.Count(CoreKey::kSize);
    for (std::size_t i = 0; i < count; ++i) linked.push_back(reader.Fixed<CoreKey>());
  }
  if ((flags & kHasUserData) != 0) manifest->user_data = ToBytes(reader.Buffer());
}

Bytes EncodeV0(const Manifest& manifest) {
  Bytes out;
  Writer writer(&out);
  writer.Uint(0);  // version
  writer.Uint(0);  // BLAKE2b
  writer.Uint(manifest.type);
  if (manifest.type == kStatic) {
    writer.Raw(manifest.prologue ? manifest.prologue->tree_hash.view()
                                 : TreeHash{}.view());
    return out;
  }
  if (manifest.type == kMany) {
    writer.Uint(manifest.allow_patch ? kAllowPatch : 0);
    writer.Uint(manifest.quorum);
    writer.Uint(manifest.signers.size());
  }
  WriteSigners(writer, manifest.signers);
  return out;
}

// What signer `signer` signs; the namespace matters in version 0 only.
Bytes SignableOf(const Manifest& manifest, const CoreKey& key, std::size_t signer,
                 const TreeHash& tree, std::uint64_t length, std::uint64_t fork) {
  Bytes out;
  out.reserve(112);
  Writer writer(&out);
  writer.Raw(TreeNamespace().view());
  if (!manifest.compat) {
    writer.Raw(manifest.version >= 1 ? key.view()
                                     : manifest.signers[signer].name_space.view());
  }
  writer.Raw(tree.view());
  writer.U64(length);
  writer.U64(fork);
  return out;
}

// One signer's share of a multisignature. `patch` blocks more than the log has were in
// the tree that this one signed.
struct Input {
  std::size_t signer = 0;
  Signature signature;
  std::uint64_t patch = 0;
  std::vector<std::uint64_t> patch_nodes;  // version 0: positions in the node list
};

// container v1 := (signer:uint signature:64 patch:uint)[] node[]
// container v0 := (flags:uint signer:uint signature:64 [patch])[] node[]
// patch        := start:uint length:uint position:uint[]
// node         := tree_index:uint size:uint hash:32
struct Container {
  std::vector<Input> inputs;
  std::vector<TreeNode> nodes;  // version 1 and up: by tree index, each once
  std::vector<bool> used;       // of those, which a patch needed
};

Input ReadInput(Reader& reader, const Manifest& manifest, std::uint64_t length) {
  Input input;
  if (manifest.version >= 1) {
    input.signer = reader.CanonicalUint();
    input.signature = reader.Fixed<Signature>();
    input.patch = reader.CanonicalUint();
    return input;
  }
  const std::uint64_t flags = reader.CanonicalUint();
  if (flags > 1) reader.Fail();
  input.signer = reader.CanonicalUint();
  input.signature = reader.Fixed<Signature>();
  if (flags == 1) {
    if (reader.CanonicalUint() != length) reader.Fail();
    input.patch = reader.CanonicalUint();
    const std::size_t count = reader.Count(1);
    for (std::size_t i = 0; i < count; ++i) {
      input.patch_nodes.push_back(reader.CanonicalUint());
    }
  }
  return input;
}

// Stricter than a Node peer: nothing in two forms, and no node twice or without a patch
// that needs it, so that what others pass on cannot be made longer and stay valid. As
// there, inputs beyond the quorum are not verified.
std::optional<Container> ReadContainer(const Manifest& manifest, std::uint64_t length,
                                       ByteView signature) {
  Reader reader(signature);
  Container container;
  const std::size_t inputs = reader.Count(66);
  if (inputs > manifest.signers.size()) return std::nullopt;
  for (std::size_t i = 0; i < inputs && reader.ok(); ++i) {
    container.inputs.push_back(ReadInput(reader, manifest, length));
    if (container.inputs.back().patch != 0 && !manifest.allow_patch)
      return std::nullopt;
  }
  const std::size_t nodes = reader.Count(34);
  if (nodes != 0 && !manifest.allow_patch) return std::nullopt;
  container.nodes.reserve(nodes);
  for (std::size_t i = 0; i < nodes; ++i) {
    TreeNode node;
    node.tree_index = reader.CanonicalUint();
    node.size = reader.CanonicalUint();
    node.hash = reader.Fixed<TreeHash>();
    container.nodes.push_back(node);
  }
  if (!reader.ok() || !reader.done()) return std::nullopt;
  if (manifest.version >= 1) {
    std::ranges::sort(container.nodes, {}, &TreeNode::tree_index);
    const auto twice =
        std::ranges::adjacent_find(container.nodes, {}, &TreeNode::tree_index);
    if (twice != container.nodes.end()) return std::nullopt;
  }
  container.used.resize(nodes);
  return container;
}

// Where the node stands that the patch of `input` means by this index.
std::optional<std::size_t> PlaceOf(const Container& container, const Manifest& manifest,
                                   const Input& input, std::uint64_t tree_index) {
  if (manifest.version >= 1) {
    const auto found = std::ranges::lower_bound(container.nodes, tree_index, {},
                                                &TreeNode::tree_index);
    if (found == container.nodes.end() || found->tree_index != tree_index) {
      return std::nullopt;
    }
    return static_cast<std::size_t>(found - container.nodes.begin());
  }
  for (const std::uint64_t position : input.patch_nodes) {
    if (position < container.nodes.size() &&
        container.nodes[position].tree_index == tree_index) {
      return static_cast<std::size_t>(position);
    }
  }
  return std::nullopt;
}

// The tree that this signer signed, which is longer if it has a patch.
std::optional<MerkleTree> SignedTree(const MerkleTree& tree, Container& container,
                                     const Manifest& manifest, const Input& input) {
  if (input.patch == 0) return tree;
  if (input.patch > flat_tree::kLengthMax - tree.length()) return std::nullopt;
  const auto by_index = [&](std::uint64_t tree_index) -> std::optional<TreeNode> {
    const auto place = PlaceOf(container, manifest, input, tree_index);
    if (!place) return std::nullopt;
    container.used[*place] = true;
    return container.nodes[*place];
  };
  return ExtendTree(tree, tree.length() + input.patch, by_index);
}

bool IsBare(const Manifest& manifest) {
  return manifest.compat || (manifest.version == 0 && manifest.signers.size() == 1 &&
                             !manifest.allow_patch);
}

bool VerifyBare(const Manifest& manifest, const CoreKey& key, const TreeHash& tree,
                std::uint64_t length, std::uint64_t fork, ByteView signature) {
  const auto bare = Signature::From(signature);
  return bare && manifest.signers.size() == 1 &&
         Verify(manifest.signers[0].public_key,
                SignableOf(manifest, key, 0, tree, length, fork), *bare);
}

bool VerifyMany(const Manifest& manifest, const CoreKey& key, const MerkleTree& tree,
                std::uint64_t fork, ByteView signature) {
  auto container = ReadContainer(manifest, tree.length(), signature);
  if (!container || container->inputs.size() < manifest.quorum) return false;
  std::vector<bool> seen(manifest.signers.size());
  for (std::uint64_t i = 0; i < container->inputs.size(); ++i) {
    const Input& input = container->inputs[i];
    const auto signed_tree = SignedTree(tree, *container, manifest, input);
    if (i >= manifest.quorum) continue;
    if (input.signer >= manifest.signers.size() || seen[input.signer]) return false;
    seen[input.signer] = true;
    if (!signed_tree) return false;
    const Bytes message = SignableOf(manifest, key, input.signer, signed_tree->hash(),
                                     signed_tree->length(), fork);
    if (!Verify(manifest.signers[input.signer].public_key, message, input.signature)) {
      return false;
    }
  }
  return std::ranges::find(container->used, false) == container->used.end();
}

}  // namespace

const Hash32& DefaultNamespace() {
  static const Hash32 value = NamespaceOf("hypercore", 4);
  return value;
}

Manifest SingleSigner(const PublicKey& key, const Hash32& name_space) {
  Manifest manifest;
  manifest.signers = {{name_space, key}};
  return manifest;
}

Manifest CompatManifest(const CoreKey& key) {
  Manifest manifest = SingleSigner(PublicKey{key.bytes});
  manifest.compat = true;
  return manifest;
}

Bytes EncodeManifest(const Manifest& manifest) {
  if (manifest.version == 0) return EncodeV0(manifest);
  Bytes out;
  Writer writer(&out);
  writer.Uint(manifest.version);
  writer.Uint((manifest.allow_patch ? kAllowPatch : 0) |
              (manifest.prologue ? kHasPrologue : 0) |
              (manifest.linked ? kHasLinked : 0) |
              (manifest.user_data ? kHasUserData : 0));
  writer.Uint(0);  // BLAKE2b
  writer.Uint(manifest.quorum);
  writer.Uint(manifest.signers.size());
  WriteSigners(writer, manifest.signers);
  if (manifest.prologue) {
    writer.Raw(manifest.prologue->tree_hash.view());
    writer.Uint(manifest.prologue->length);
  }
  if (manifest.linked) {
    writer.Uint(manifest.linked->size());
    for (const CoreKey& key : *manifest.linked) writer.Raw(key.view());
  }
  if (manifest.user_data) writer.Buffer(*manifest.user_data);
  return out;
}

absl::StatusOr<Manifest> DecodeManifest(ByteView bytes) {
  Reader reader(bytes);
  Manifest manifest;
  manifest.version = reader.Uint();
  if (!reader.ok() || manifest.version > 3) {
    return absl::InvalidArgumentError(
        absl::StrFormat("manifest of version %d", manifest.version));
  }
  if (manifest.version == 0) {
    ReadBodyV0(reader, &manifest);
  } else {
    ReadBody(reader, &manifest);
  }
  if (!reader.ok() || manifest.quorum > manifest.signers.size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("manifest of %d bytes is malformed", bytes.size()));
  }
  return manifest;
}

CoreKey KeyOf(const Manifest& manifest) {
  if (manifest.compat) return CoreKey{manifest.signers[0].public_key.bytes};
  return CoreKey{
      Blake2b256({ManifestNamespace().view(), EncodeManifest(manifest)}).bytes};
}

Bytes TreeSignable(const Manifest& manifest, const CoreKey& key, const TreeHash& tree,
                   std::uint64_t length, std::uint64_t fork) {
  WEFT_CHECK(manifest.version >= 1 || !manifest.signers.empty());
  return SignableOf(manifest, key, 0, tree, length, fork);
}

Bytes SignTree(const Manifest& manifest, const CoreKey& key, const SecretKey& secret,
               const TreeHash& tree, std::uint64_t length, std::uint64_t fork) {
  WEFT_CHECK(manifest.signers.size() == 1);
  const Signature signature =
      Sign(secret, SignableOf(manifest, key, 0, tree, length, fork));
  if (IsBare(manifest)) return ToBytes(signature.view());
  Bytes out;
  Writer writer(&out);
  writer.Uint(1);                             // inputs
  if (manifest.version == 0) writer.Uint(0);  // flags: no patch
  writer.Uint(0);                             // signer
  writer.Raw(signature.view());
  if (manifest.version >= 1) writer.Uint(0);  // patch
  writer.Uint(0);                             // nodes
  return out;
}

bool VerifyTree(const Manifest& manifest, const CoreKey& key,
                std::span<const TreeNode> roots, std::uint64_t length,
                std::uint64_t fork, ByteView signature) {
  const auto tree = MerkleTree::FromRoots(roots);
  if (!tree || tree->length() != length) return false;
  if (manifest.prologue && length <= manifest.prologue->length) {
    return length == manifest.prologue->length &&
           tree->hash() == manifest.prologue->tree_hash;
  }
  if (manifest.quorum == 0 || manifest.signers.empty()) return false;
  if (IsBare(manifest)) {
    return VerifyBare(manifest, key, tree->hash(), length, fork, signature);
  }
  return VerifyMany(manifest, key, *tree, fork, signature);
}

}  // namespace weft
