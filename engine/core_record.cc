#include "engine/core_record.h"

#include "absl/strings/str_format.h"
#include "engine/codec.h"

namespace weft {
namespace {

constexpr std::uint8_t kVersion = 2;
constexpr std::uint8_t kVersionWithoutCheck = 1;
constexpr std::size_t kCheckSize = 16;
constexpr std::uint8_t kWritable = 1;
constexpr std::uint8_t kRemoved = 2;
constexpr std::uint8_t kManifestEncoded = 4;
constexpr std::uint8_t kManifestDefault = 8;
constexpr std::uint8_t kManifestCompat = 16;

absl::Status Damaged(std::uint64_t number) {
  return absl::DataLossError(absl::StrFormat("core %d: its head is damaged", number));
}

std::uint8_t ManifestFlag(const std::optional<Manifest>& manifest) {
  if (!manifest) return 0;
  if (manifest->compat) return kManifestCompat;
  const bool plain = manifest->signers.size() == 1 &&
                     *manifest == SingleSigner(manifest->signers[0].public_key);
  return plain ? kManifestDefault : kManifestEncoded;
}

// Reads up to where the signature begins.
std::uint8_t ReadSummary(Reader& reader, CoreSummary* summary) {
  const std::uint8_t version = reader.U8();
  if (version != kVersion && version != kVersionWithoutCheck) reader.Fail();
  const std::uint8_t flags = reader.U8();
  summary->writable = (flags & kWritable) != 0;
  summary->removed = (flags & kRemoved) != 0;
  summary->key = reader.Fixed<CoreKey>();
  summary->discovery_key = reader.Fixed<DiscoveryKey>();
  summary->fork = reader.CanonicalUint();
  summary->length = reader.CanonicalUint();
  summary->byte_length = reader.CanonicalUint();
  summary->contiguous = reader.CanonicalUint();
  if (summary->length > flat_tree::kLengthMax ||
      summary->contiguous > summary->length) {
    reader.Fail();
  }
  return flags;
}

void ReadManifest(Reader& reader, std::uint8_t flags, CoreHead* head) {
  switch (flags & (kManifestEncoded | kManifestDefault | kManifestCompat)) {
    case 0:
      return;
    case kManifestCompat:
      head->manifest = CompatManifest(head->summary.key);
      return;
    case kManifestDefault:
      head->manifest = SingleSigner(reader.Fixed<PublicKey>());
      return;
    case kManifestEncoded:
      if (auto manifest = DecodeManifest(reader.Rest()); manifest.ok()) {
        head->manifest = *std::move(manifest);
        return;
      }
      break;
    default:
      break;
  }
  reader.Fail();
}

// What follows a head: it is as it was written.
Bytes CheckOf(ByteView head) {
  return ToBytes(Blake2b256(head).view().first(kCheckSize));
}

}  // namespace

Bytes EncodeHead(const CoreSummary& summary, const CoreTip& tip,
                 const std::optional<Manifest>& manifest) {
  const std::uint8_t manifest_flag = ManifestFlag(manifest);
  Bytes out;
  out.reserve(256 + tip.tree.roots().size() * 40);
  Writer writer(&out);
  writer.U8(kVersion);
  writer.U8(static_cast<std::uint8_t>((summary.writable ? kWritable : 0) |
                                      (summary.removed ? kRemoved : 0) |
                                      manifest_flag));
  writer.Raw(summary.key.view());
  writer.Raw(summary.discovery_key.view());
  writer.Uint(tip.fork);
  writer.Uint(tip.tree.length());
  writer.Uint(tip.tree.byte_length());
  writer.Uint(summary.contiguous);
  writer.Buffer(tip.signature);
  for (const TreeNode& root : tip.tree.roots()) {
    writer.Uint(root.size);
    writer.Raw(root.hash.view());
  }
  if (manifest_flag == kManifestDefault) {
    writer.Raw(manifest->signers[0].public_key.view());
  } else if (manifest_flag == kManifestEncoded) {
    writer.Raw(EncodeManifest(*manifest));
  }
  writer.Raw(CheckOf(out));
  return out;
}

absl::StatusOr<CoreSummary> DecodeSummary(std::uint64_t number, ByteView bytes) {
  Reader reader(bytes);
  CoreSummary summary;
  summary.number = number;
  ReadSummary(reader, &summary);
  if (!reader.ok()) return Damaged(number);
  return summary;
}

absl::StatusOr<CoreHead> DecodeHead(std::uint64_t number, ByteView bytes) {
  CoreHead head;
  head.is_checked = !bytes.empty() && bytes[0] == kVersion;
  if (head.is_checked) {
    if (bytes.size() < kCheckSize) return Damaged(number);
    const ByteView check = bytes.last(kCheckSize);
    bytes = bytes.first(bytes.size() - kCheckSize);
    if (!Equal(check, CheckOf(bytes))) return Damaged(number);
  }
  Reader reader(bytes);
  head.summary.number = number;
  const std::uint8_t flags = ReadSummary(reader, &head.summary);
  head.tip.signature = ToBytes(reader.Buffer());
  std::vector<TreeNode> roots;
  for (const std::uint64_t index : flat_tree::FullRoots(head.summary.length)) {
    TreeNode root;
    root.tree_index = index;
    root.size = reader.CanonicalUint();
    root.hash = reader.Fixed<TreeHash>();
    roots.push_back(root);
  }
  auto tree = MerkleTree::FromRoots(roots);
  ReadManifest(reader, flags, &head);
  if (!reader.ok() || !reader.done() || !tree ||
      tree->byte_length() != head.summary.byte_length ||
      DiscoveryKeyOf(head.summary.key) != head.summary.discovery_key) {
    return Damaged(number);
  }
  head.tip.fork = head.summary.fork;
  head.tip.tree = *std::move(tree);
  return head;
}

Bytes EncodeBitfieldPage(const Bitfield::Page& page) {
  Bytes out;
  out.reserve(Bitfield::kPageBits / 8);
  bool full = true;
  for (const std::uint64_t word : page) {
    full = full && word == ~std::uint64_t{0};
    for (int shift = 0; shift < 64; shift += 8) {
      out.push_back(static_cast<std::uint8_t>(word >> shift));
    }
  }
  if (full) return {};
  while (!out.empty() && out.back() == 0) out.pop_back();
  return out;
}

absl::StatusOr<Bitfield::Page> DecodeBitfieldPage(ByteView bytes) {
  Bitfield::Page page{};
  if (bytes.size() > Bitfield::kPageBits / 8) {
    return absl::DataLossError(
        absl::StrFormat("bitfield page of %d bytes", bytes.size()));
  }
  if (bytes.empty()) page.fill(~std::uint64_t{0});
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    page[i / 8] |= std::uint64_t{bytes[i]} << (8 * (i % 8));
  }
  return page;
}

}  // namespace weft
