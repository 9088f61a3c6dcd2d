// A peer that serves a core from a copy of its own, and spoils what it likes.

#pragma once

#include <memory>

#include "tests/replication/raw_peer.h"

namespace weft {

inline SyncMessage SyncOf(const Hypercore& core) {
  SyncMessage sync;
  sync.fork = core.fork();
  sync.length = core.length();
  sync.can_upgrade = sync.uploading = sync.downloading = sync.has_manifest = true;
  return sync;
}

struct Liar {
  Liar(World& world, Peer& victim, Hypercore& core, std::shared_ptr<RawPeer> peer = {})
      : raw(peer ? peer : RawPeer::Connect(world, victim)), truth(&core) {
    channel = raw->OpenCore(core.key());
    raw->heard.clear();
    Bytes sync, range;
    Encode(SyncOf(core), &sync);
    Encode(RangeMessage{false, 0, core.length()}, &range);
    raw->SendBody(channel, CoreMessage::kSync, sync);
    raw->SendBody(channel, CoreMessage::kRange, range);
    raw->Flush();
  }
  // Answers what was asked so far. Returns how many requests there were.
  template <class Spoil>
  std::size_t Answer(Spoil&& spoil) {
    const auto requests = raw->Take(CoreMessage::kRequest);
    for (const auto& heard : requests) {
      const RequestMessage request = *DecodeRequest(heard.body);
      Proof proof = *truth->Prove(request.parts);
      spoil(proof);
      Bytes body;
      EncodeData(request.id, request.fork, proof, &body);
      raw->SendBody(channel, CoreMessage::kData, body);
    }
    raw->Flush();
    return requests.size();
  }
  // The right data, as answers to requests that nobody made.
  void SendUnasked(const std::vector<std::uint64_t>& request_ids) {
    ProofRequest all;
    all.block = BlockRequest{0, 0};
    all.upgrade = UpgradeRequest{0, truth->length()};
    all.manifest = true;
    for (const std::uint64_t id : request_ids) {
      Bytes body;
      EncodeData(id, 0, *truth->Prove(all), &body);
      raw->SendBody(channel, CoreMessage::kData, body);
    }
    raw->Flush();
  }
  std::shared_ptr<RawPeer> raw;
  Hypercore* truth;
  MuxChannel* channel = nullptr;
};

}  // namespace weft
