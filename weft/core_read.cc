#include "weft/core_read.h"

#include "absl/strings/str_format.h"
#include "engine/crypto_blocks.h"

namespace weft {
namespace {

std::uint64_t PaddingOf(const CoreReadRequest& request) {
  return request.encryption_key ? kBlockPaddingBytes : 0;
}

// Which block, and where in it; NOT_FOUND if nodes are missing that would tell.
absl::StatusOr<std::pair<std::uint64_t, std::uint64_t>> Place(
    const Hypercore& core, const CoreReadRequest& request) {
  if (!request.byte_offset) return std::pair(*request.block_index, std::uint64_t{0});
  return core.Seek(*request.byte_offset, PaddingOf(request));
}

// The key that readers share, from which that of the blocks is made, or that itself,
// which a core may be given instead.
absl::StatusOr<Bytes> Decrypt(const Hypercore& core, const Hash32& encryption_key,
                              std::uint64_t block_index, ByteView stored) {
  const bool compat = core.manifest() && core.manifest()->compat;
  for (const Hash32& key :
       {BlockKey(core.key(), encryption_key, compat), encryption_key}) {
    const BlockCipher cipher(key);
    // There is no tag. But a block says the fork it was written in, and that is never
    // higher than the log's.
    const auto fork = cipher.ForkOf(block_index, stored);
    std::optional<Bytes> block = cipher.Open(block_index, stored);
    if (fork && *fork <= core.fork() && block) return *std::move(block);
  }
  return absl::PermissionDeniedError(absl::StrFormat(
      "block %d of the core is not encrypted under this key", block_index));
}

absl::StatusOr<CoreReadResult> ReadHeld(const Hypercore& core,
                                        const CoreReadRequest& request) {
  CoreReadResult result;
  WEFT_ASSIGN_OR_RETURN(const auto place, Place(core, request));
  result.block_index = place.first;
  result.offset = place.second;
  WEFT_ASSIGN_OR_RETURN(result.block, core.Get(result.block_index));
  if (request.encryption_key) {
    WEFT_ASSIGN_OR_RETURN(result.block, Decrypt(core, *request.encryption_key,
                                                result.block_index, result.block));
  }
  return result;
}

// Whether a peer may know more of it than we do.
bool AskPeers(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsOutOfRange(status);
}

}  // namespace

absl::StatusOr<CoreReadResult> ReadHeldCore(Corestore& cores,
                                            const CoreReadRequest& request) {
  WEFT_ASSIGN_OR_RETURN(const std::shared_ptr<Hypercore> core, cores.Open(request.key));
  return ReadHeld(*core, request);
}

Task<absl::StatusOr<CoreReadResult>> ReadCore(Node* node, CoreReadRequest request) {
  if (request.connect.empty()) co_return ReadHeldCore(node->cores(), request);
  WEFT_CO_ASSIGN_OR_RETURN(const std::shared_ptr<Hypercore> core,
                           node->cores().OpenRemote(request.key));
  absl::StatusOr<CoreReadResult> held = ReadHeld(*core, request);
  if (held.ok() || !AskPeers(held.status())) co_return held;
  Node::CloneRequest clone;
  clone.key = request.key;
  clone.timeout = request.timeout;
  clone.what_there_is = true;
  if (request.byte_offset) {
    clone.seeks.push_back({*request.byte_offset, PaddingOf(request)});
  } else {
    clone.blocks = BlockRange{*request.block_index, *request.block_index + 1};
  }
  WEFT_CO_RETURN_IF_ERROR(co_await node->Clone(request.connect, clone));
  co_return ReadHeld(*core, request);
}

}  // namespace weft
